"""The commons: members harvest from a shared stock that grows again, unless it was harvested too far.

Source: Piatti et al. 2024, "Cooperate or Collapse: Emergence of Sustainable Cooperation in a Society of LLM Agents",
NeurIPS 37 (GovSim): five members, a stock of 100 that doubles after each round up to 100, and collapses below 5.
"""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from agentsim.core.answers import Move, MoveSpec, Option
from agentsim.core.games.game import Encounter, Game, Moves, Outcome, Stage

__all__ = ["CommonsGame"]


class CommonsGame(Game):
    """A group shares a stock; each round its members harvest from it at the same time, then it grows."""

    kind: Literal["commons"] = "commons"
    rounds: int = Field(default=12, ge=1, le=10_000)
    """Rounds of one game. After a collapse, nothing is left to harvest in the rounds that remain."""
    group: int = Field(default=5, ge=2, le=1000)
    """Members that share a stock through a whole game."""
    stock: float = Field(default=100, gt=0)
    """Units in the stock at the beginning of a game."""
    capacity: float = Field(default=100, gt=0)
    """The most units that the stock grows to."""
    growth: float = Field(default=2, ge=1)
    """The stock after a round is what was left, times this, up to the capacity."""
    collapse: float = Field(default=5, ge=0)
    """If fewer units than this are left after a round's harvest, the stock collapses: it is 0 for ever."""
    limit: Literal["stock", "share"] = "stock"
    """The most that a member may harvest: all of the `stock`, or an equal `share` of it. If all together want more than
    there is, each gets a part of the stock in proportion to what it wanted."""
    step: float | None = Field(default=1, gt=0)
    """Harvests are in steps of so many units; `null`: any amount."""

    default_pairing: ClassVar[str] = "repeated"
    whole_group: ClassVar[bool] = True

    @model_validator(mode="after")
    def _has_a_stock(self) -> Self:
        if self.stock > self.capacity:
            raise ValueError(f"stock: {self.stock:g} units are more than the capacity of {self.capacity:g}")
        if self.stock < self.collapse:
            raise ValueError(f"stock: {self.stock:g} units are below the {self.collapse:g} at which it collapses")
        return self

    @property
    def roles(self) -> tuple[str, ...]:
        """Return members, all alike."""
        return ("member",) * self.group

    @property
    def stages(self) -> tuple[str, ...]:
        """Return the one stage."""
        return ("harvest",)

    @property
    def n_questions(self) -> int:
        """Return one for each member."""
        return self.group

    @property
    def payoffs(self) -> tuple[float, float]:
        """Return nothing, and all of a full stock."""
        return 0.0, self.capacity

    def first_state(self, n_members: int) -> float:
        """Return the stock at the beginning."""
        return self.stock

    def after(self, encounter: Encounter, moves: Moves) -> Stage | Outcome:
        """Ask for harvests, then let the stock grow."""
        members, stock = encounter.members, encounter.state
        assert stock is not None
        if stock <= 0:
            return Outcome((0.0,) * len(members), state=0.0)
        if not moves:
            most = stock if self.limit == "stock" else stock / len(members)
            spec = MoveSpec((Option("harvest", high=most, step=self.step),))
            return Stage("harvest", tuple((member, spec) for member in members))
        wanted = [move.amount for member in members if (move := moves["harvest"][member]) is not None]
        if len(wanted) < len(members):
            return Outcome((0.0,) * len(members), state=stock, is_missing=True)
        amounts = [amount or 0.0 for amount in wanted]
        in_all = sum(amounts)
        if in_all > stock:
            amounts = [amount / in_all * stock for amount in amounts]
        left = max(stock - in_all, 0.0)
        after = min(left * self.growth, self.capacity) if left >= self.collapse and left > 0 else 0.0
        return Outcome(tuple(amounts), state=after)

    def move(self, spec: MoveSpec, level: float, *, stage: str) -> Move:
        """Return a harvest: nothing at level 1, the most that is possible at level 0."""
        return Move("harvest", spec.options[0].nearest(1 - level))

    def level(self, move: Move, spec: MoveSpec, *, stage: str) -> float | None:
        """Return the share of the most possible harvest that a member left."""
        high = spec.options[0].high
        return None if move.amount is None or not high else 1 - move.amount / high
