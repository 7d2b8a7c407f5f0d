"""The ultimatum game: a proposer offers a part of a sum, and a responder accepts, or both get nothing.

Source: Güth, Schmittberger & Schwarze 1982, "An experimental analysis of ultimatum bargaining", J. Econ. Behav. Organ.
3.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from agentsim.core.answers import Move, MoveSpec, Option
from agentsim.core.games.game import AmountGame, Encounter, Moves, Outcome, Stage

__all__ = ["UltimatumGame"]


class UltimatumGame(AmountGame):
    """A proposer divides a sum; if the responder rejects the offer, neither gets anything."""

    kind: Literal["ultimatum"] = "ultimatum"
    income: float = Field(default=10, gt=0)
    """Units to divide in each encounter."""
    step: float | None = Field(default=1, gt=0)
    """Offers are in steps of so many units; `null`: any amount."""

    @property
    def roles(self) -> tuple[str, ...]:
        """Return proposer and responder."""
        return ("proposer", "responder")

    @property
    def stages(self) -> tuple[str, ...]:
        """Return offering and responding."""
        return ("offer", "respond")

    @property
    def n_questions(self) -> int:
        """Return 2."""
        return 2

    @property
    def payoffs(self) -> tuple[float, float]:
        """Return nothing, and the whole sum."""
        return 0.0, self.income

    def after(self, encounter: Encounter, moves: Moves) -> Stage | Outcome:
        """Ask the proposer, then the responder."""
        proposer, responder = encounter.members
        if not moves:
            return Stage("offer", ((proposer, MoveSpec((Option("offer", high=self.income, step=self.step),))),))
        offer = moves["offer"][proposer]
        if offer is not None and "respond" not in moves:
            return Stage("respond", ((responder, MoveSpec((Option("accept"), Option("reject")))),))
        response = moves["respond"][responder] if "respond" in moves else None
        if offer is None or response is None:
            return Outcome((0.0, 0.0), is_missing=True)
        if response.option == "reject":
            return Outcome((0.0, 0.0))
        amount = offer.amount or 0.0
        return Outcome((self.income - amount, amount))

    def move(self, spec: MoveSpec, level: float, *, stage: str) -> Move:
        """Return the offer at a level of the whole sum; from one half on, a policy accepts."""
        if stage == "respond":
            return Move("accept" if level >= 0.5 else "reject")
        return super().move(spec, level, stage=stage)

    def level(self, move: Move, spec: MoveSpec, *, stage: str) -> float | None:
        """Return the share of the sum that was offered; 1 for accepting and 0 for rejecting."""
        if stage == "respond":
            return float(move.option == "accept")
        return super().level(move, spec, stage=stage)
