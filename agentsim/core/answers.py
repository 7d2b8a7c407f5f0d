"""What may be answered, and what was: the specification of an answer, and checked answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agentsim.core.facts import Act, Problem, Reading
from agentsim.core.gifts import ANY_SHARE, Gift

__all__ = ["ActSpec", "Answer", "AnswerSpec", "TextSpec"]


@dataclass(frozen=True, slots=True)
class ActSpec:
    """The answer of a donor: one of `acts` with an amount in [0, high]."""

    acts: tuple[Act, ...]
    high: float
    """Units that the donor holds."""
    gift: Gift = ANY_SHARE
    """Which of these amounts may be given."""

    def allows(self, act: Act, amount: float) -> bool:
        """Return whether an amount in [0, high] may be spent on an act."""
        return act != "give" or (amount <= self.gift.most(self.high) and self.gift.allows(amount, self.high))


@dataclass(frozen=True, slots=True)
class TextSpec:
    """The answer is the text behind the prompt set's marker for it, cut at `max_chars`."""

    max_chars: int
    what: Literal["strategy", "note"] = "strategy"
    """What the text is, and so which marker it stands behind."""


AnswerSpec = ActSpec | TextSpec


@dataclass(frozen=True, slots=True)
class Answer:
    """A checked answer, or the note that none could be read."""

    act: Act | None = None
    amount: float | None = None
    """Units given, or spent on punishing; within the spec's range."""
    text: str | None = None
    reading: Reading = "plain"
    is_cut: bool = False
    """Whether `text` was longer than allowed and lost its end."""
    problem: Problem | None = None
    """Why the last reply was not readable; `None` for a valid answer."""
    replaced_by: Literal["pass", "zero"] | None = None
    """The scenario's fallback where no readable answer came."""
    attempts: int = 1
    """How often the agent was asked."""

    @property
    def is_valid(self) -> bool:
        """Whether the agent itself said so."""
        return self.problem is None
