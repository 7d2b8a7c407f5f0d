"""The trust game: what an investor sends is multiplied, and a trustee decides how much of it to return.

Source: Berg, Dickhaut & McCabe 1995, "Trust, reciprocity, and social history", Games Econ. Behav. 10: ten units for
each, and what is sent triples.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from agentsim.core.answers import Move, MoveSpec, Option
from agentsim.core.games.game import AmountGame, Encounter, Moves, Outcome, Stage

__all__ = ["TrustGame"]


class TrustGame(AmountGame):
    """An investor sends some of its income to a trustee, who may return some of what it receives."""

    kind: Literal["trust"] = "trust"
    income: float = Field(default=10, gt=0)
    """Units that both get at the beginning of each encounter."""
    multiplier: float = Field(default=3, gt=0)
    """Units that the trustee receives for each unit sent."""
    step: float | None = Field(default=1, gt=0)
    """Amounts are in steps of so many units; `null`: any amount."""

    @property
    def roles(self) -> tuple[str, ...]:
        """Return investor and trustee."""
        return ("investor", "trustee")

    @property
    def stages(self) -> tuple[str, ...]:
        """Return sending and returning."""
        return ("send", "return")

    @property
    def n_questions(self) -> int:
        """Return 2; where nothing is sent, nothing can be returned, and only the investor is asked."""
        return 2

    @property
    def payoffs(self) -> tuple[float, float]:
        """Return the bounds of what one of them gains."""
        return 0.0, self.income + max(
            self.income * max(self.multiplier, 1) - self.income, self.income * self.multiplier
        )

    def after(self, encounter: Encounter, moves: Moves) -> Stage | Outcome:
        """Ask the investor, then the trustee if there is anything to return."""
        investor, trustee = encounter.members
        if not moves:
            return Stage("send", ((investor, MoveSpec((Option("send", high=self.income, step=self.step),))),))
        sent = moves["send"][investor]
        if sent is None:
            return Outcome((0.0, 0.0), is_missing=True)
        amount = sent.amount or 0.0
        received = self.multiplier * amount
        if received > 0 and "return" not in moves:
            return Stage("return", ((trustee, MoveSpec((Option("return", high=received, step=self.step),))),))
        returned = moves["return"][trustee] if received > 0 else Move("return", 0.0)
        if returned is None:
            return Outcome((0.0, 0.0), is_missing=True)
        back = returned.amount or 0.0
        return Outcome((self.income - amount + back, self.income + received - back))
