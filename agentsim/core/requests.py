"""What agents are asked and what they answer: views, requests, and checked answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agentsim.core.facts import Act, Note, Problem, Reading, Reputation, ShownStrategy, TraceItem
from agentsim.core.games.gifts import ANY_SHARE, Gift
from agentsim.core.rules import SocietyRules

__all__ = [
    "ActSpec",
    "Answer",
    "AnswerSpec",
    "DecisionView",
    "NoteView",
    "Request",
    "StrategyView",
    "TextSpec",
    "View",
]


@dataclass(frozen=True, slots=True)
class StrategyView:
    """What an agent knows when it forms its strategy."""

    name: str
    generation: int
    rules: SocietyRules
    """What is played. Prompts tell it, rule by rule; who plays is not part of it."""
    advice: tuple[ShownStrategy, ...]
    is_survivor: bool = False
    """Whether it has lived before and may state another strategy than its own."""
    own: str | None = None
    """The strategy that a survivor followed until now; `None` where it never stated one that could be read."""


@dataclass(frozen=True, slots=True)
class DecisionView:
    """What a donor knows when it decides."""

    name: str
    generation: int
    round: int
    rules: SocietyRules
    """What is played. Prompts tell it, rule by rule; who plays is not part of it."""
    strategy: str | None
    resources: float
    recipient: str
    recipient_resources: float
    trace: tuple[TraceItem, ...]
    """Newest first; a chain through partners, or the recipient's own history."""
    reputation: Reputation | None = None
    """The recipient's reputation, where the scenario shows it."""
    own_reputation: Reputation | None = None
    """The donor's own reputation, where the scenario shows it."""
    notes: tuple[Note, ...] = ()
    """The notes about the recipient, newest first, where the scenario shows them."""


@dataclass(frozen=True, slots=True)
class NoteView:
    """What a recipient knows when it writes about its donor."""

    name: str
    generation: int
    round: int
    rules: SocietyRules
    """What is played. Prompts tell it, rule by rule; who plays is not part of it."""
    strategy: str | None
    resources: float
    """What it holds now."""
    donor: str
    act: Act
    fraction: float | None
    """Share of its resources the donor gave or spent; `None` where it had nothing."""
    change: float
    """Units that the act added to what the recipient holds; below 0 where it was punished."""


View = StrategyView | DecisionView | NoteView


@dataclass(frozen=True, slots=True)
class ActSpec:
    """The answer must be one of `acts` with an amount in [0, high]."""

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
class Request:
    """A question to one agent; its key never changes."""

    key: str
    """`g3/strategy/3_4`, `g3/game1/r04/2_4` (generation, game, round, donor), or `g3/game1/r04/2_4/note`."""
    agent: str
    view: View
    spec: AnswerSpec


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
