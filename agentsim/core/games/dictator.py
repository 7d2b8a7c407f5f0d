"""The dictator game: one of two gives the other any part of a sum, and the other has no say.

Source: Forsythe, Horowitz, Savin & Sefton 1994, "Fairness in simple bargaining experiments", Games Econ. Behav. 6.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from agentsim.core.answers import MoveSpec, Option
from agentsim.core.games.game import AmountGame, Encounter, Moves, Outcome, Stage

__all__ = ["DictatorGame"]


class DictatorGame(AmountGame):
    """A dictator keeps some of a sum and gives the rest to a recipient."""

    kind: Literal["dictator"] = "dictator"
    income: float = Field(default=10, gt=0)
    """Units to divide in each encounter."""
    step: float | None = Field(default=1, gt=0)
    """Gifts are in steps of so many units; `null`: any amount."""

    @property
    def roles(self) -> tuple[str, ...]:
        """Return dictator and recipient."""
        return ("dictator", "recipient")

    @property
    def stages(self) -> tuple[str, ...]:
        """Return the one stage."""
        return ("divide",)

    @property
    def n_questions(self) -> int:
        """Return 1."""
        return 1

    @property
    def payoffs(self) -> tuple[float, float]:
        """Return nothing, and the whole sum."""
        return 0.0, self.income

    def after(self, encounter: Encounter, moves: Moves) -> Stage | Outcome:
        """Ask the dictator, then divide the sum."""
        dictator, _ = encounter.members
        if not moves:
            return Stage("divide", ((dictator, MoveSpec((Option("give", high=self.income, step=self.step),))),))
        gift = moves["divide"][dictator]
        if gift is None:
            return Outcome((0.0, 0.0), is_missing=True)
        amount = gift.amount or 0.0
        return Outcome((self.income - amount, amount))
