"""A game."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from agentsim.plugin import Encounter, Game, Move, Moves, MoveSpec, Option, Outcome, Stage

__all__ = ["GiveSome"]


class GiveSome(Game):
    """Two players give tokens to each other at the same time, which are worth more to whoever receives them.

    The give-some dilemma (Van Lange & Kuhlman 1994, J. Pers. Soc. Psychol. 67).
    """

    kind: Literal["give_some"] = "give_some"
    tokens: int = Field(default=4, ge=1)
    """Units that each player gets in each encounter."""
    worth: float = Field(default=2, ge=1)
    """What a unit that is given is worth to the other."""

    @property
    def roles(self) -> tuple[str, ...]:
        """Return two players."""
        return ("player", "player")

    @property
    def stages(self) -> tuple[str, ...]:
        """Return the one stage."""
        return ("give",)

    @property
    def n_questions(self) -> int:
        """Return 2."""
        return 2

    @property
    def payoffs(self) -> tuple[float, float]:
        """Return nothing, and all of one's own and all of the other's."""
        return 0.0, self.tokens * (1 + self.worth)

    def after(self, encounter: Encounter, moves: Moves) -> Stage | Outcome:
        """Ask both, then pay both."""
        if not moves:
            spec = MoveSpec((Option("give", high=float(self.tokens), step=1.0),))
            return Stage("give", tuple((member, spec) for member in encounter.members))
        given = [moves["give"][member] for member in encounter.members]
        if any(move is None for move in given):
            return Outcome((0.0, 0.0), is_missing=True)
        first, second = (move.amount or 0.0 for move in given if move is not None)
        return Outcome((self.tokens - first + self.worth * second, self.tokens - second + self.worth * first))

    def move(self, spec: MoveSpec, level: float, *, stage: str) -> Move:
        """Return the gift at a level of all tokens."""
        return Move("give", spec.options[0].nearest(level))

    def level(self, move: Move, spec: MoveSpec, *, stage: str) -> float | None:
        """Return the share of the tokens that was given."""
        return None if move.amount is None else move.amount / self.tokens
