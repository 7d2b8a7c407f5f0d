"""What may be answered, and what was: the options of a decision, checked answers, and the moves they are.

They are named tuples, as all values that are built anew for each decision: a frozen dataclass takes twice as long.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from agentsim.core.facts import Act, Problem, Reading
from agentsim.core.gifts import ANY_SHARE, ROUNDING, Gift, is_in_steps, nearest_in_steps

__all__ = ["ActSpec", "Answer", "AnswerSpec", "DonorSpec", "Move", "MoveSpec", "Option", "TextSpec"]

_NOBODY: Final[Mapping[str, float]] = {}


class Option(NamedTuple):
    """One of the things that a member may do: `give` an amount, `cooperate`, or `punish` named members."""

    name: str
    """Its name in the core and in logs; a prompt set has its own words for it."""
    high: float | None = None
    """The most units it may be done with; `None`: it has no amount."""
    low: float = 0.0
    """The least units."""
    step: float | None = None
    """Amounts are `low`, `low + step`, ... up to `high`; `None`: any amount between."""
    targets: tuple[str, ...] = ()
    """The members that it may be aimed at, each with an amount of its own; empty: it is aimed at nobody."""

    def allows(self, amount: float) -> bool:
        """Return whether it may be done with an amount."""
        if self.high is None or not self.low <= amount <= self.high:
            return False
        return self.step is None or is_in_steps(amount - self.low, self.step)

    def nearest(self, level: float) -> float:
        """Return the amount at a level in [0, 1] between the least and the most, to the nearest step, halves up."""
        assert self.high is not None
        most = self.high - self.low
        return self.low + (level * most if self.step is None else nearest_in_steps(level, most, self.step))


class Move(NamedTuple):
    """What a member does: an option, and the units it does that with."""

    option: str
    amount: float | None = None
    """`None` for options without an amount, and for those that are aimed at named members."""
    aimed: Mapping[str, float] = _NOBODY
    """Units by the member that the option is aimed at."""


class ActSpec(NamedTuple):
    """The answer of a donor: one of `acts` with an amount in [0, high]."""

    acts: tuple[Act, ...]
    high: float
    """Units that the donor holds."""
    gift: Gift = ANY_SHARE
    """Which of these amounts may be given."""

    def allows(self, act: Act, amount: float) -> bool:
        """Return whether an amount in [0, high] may be spent on an act."""
        return act != "give" or (amount <= self.gift.most(self.high) and self.gift.allows(amount, self.high))


class MoveSpec(NamedTuple):
    """The answer is one of these options, with the amounts that it takes."""

    options: tuple[Option, ...]
    most_together: float | None = None
    """The most units of all amounts of one answer together; `None`: no such limit."""

    def option(self, name: str | None) -> Option | None:
        """Return the option of that name, if there is one."""
        return next((option for option in self.options if option.name == name), None)

    def allows(self, move: Move) -> bool:
        """Return whether a move is one of the options, with amounts that it takes."""
        option = self.option(move.option)
        if option is None:
            return False
        amounts = [*move.aimed.values(), *([] if move.amount is None else [move.amount])]
        if self.most_together is not None and sum(amounts) > self.most_together * (1 + ROUNDING):
            return False
        if option.targets:
            return move.amount is None and all(
                name in option.targets and option.allows(amount) for name, amount in move.aimed.items()
            )
        if move.aimed:
            return False
        return move.amount is None if option.high is None else move.amount is not None and option.allows(move.amount)


class TextSpec(NamedTuple):
    """The answer is the text behind the prompt set's marker for it, cut at `max_chars`."""

    max_chars: int
    what: Literal["strategy", "note", "message"] = "strategy"
    """What the text is, and so which marker it stands behind."""


DonorSpec = ActSpec | TextSpec
"""What an answer in the donor game must be."""
AnswerSpec = ActSpec | MoveSpec | TextSpec


class Answer(NamedTuple):
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
    move: Move | None = None
    """What a member does, in games other than the donor game; it is one that the spec allows."""

    @property
    def is_valid(self) -> bool:
        """Whether the agent itself said so."""
        return self.problem is None
