"""The Donor Game: a donor may give units away and the recipient receives more than was given.

Source: Vallinder & Hughes, "Cultural Evolution of Cooperation among LLM Agents", arXiv 2412.10270 (2024), section 3.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from agentsim.core.facts import Act, Frozen
from agentsim.core.gifts import ANY_SHARE, Gift
from agentsim.core.rng import uniform

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["DonorGame", "Punishment"]


class Punishment(Frozen):
    """Instead of giving, the donor may spend units to take some away from the recipient."""

    cost: float = Field(default=1, gt=0)
    """Units spent ..."""
    effect: float = Field(default=2, gt=0)
    """... to remove so many from the recipient, which never falls below 0."""


class DonorGame(Frozen):
    """The rules of the game, and nothing of its course."""

    kind: Literal["donor"] = "donor"
    rounds: int = Field(default=12, ge=1, le=10_000)
    """Rounds of one game; agents are not told how many."""
    endowment: float = Field(default=10, gt=0)
    """Units every agent holds at the start of each game."""
    multiplier: float = Field(default=2, gt=0)
    """Units the recipient receives for each unit given. Of fixed gifts it is benefit ÷ cost and cannot be set."""
    gift: Gift = ANY_SHARE
    """What a donor may give: any `share` of its resources; a `fixed` gift or nothing; whole steps of `units`."""
    games: int = Field(default=2, ge=1, le=100)
    """Games a generation; each second one repeats the one before it with roles swapped."""
    punishment: Punishment | None = None
    """Costly punishment, or `null` where nobody may punish."""
    error: float = Field(default=0, ge=0, lt=1)
    """Probability that an act fails: the donor has decided, but nothing moves, and others see that nothing was given
    (implementation error: Fishman 2003, J. Theor. Biol. 225; Panchanathan & Boyd 2003, J. Theor. Biol. 224)."""
    continuation: float = Field(default=0, ge=0, lt=1)
    """Probability with which, after `rounds` rounds and each further one, there is another: a game without a known end
    (Roth & Murnighan 1978, J. Math. Psychol. 17). All games of a generation are equally long; agents are not told."""
    max_rounds: int = Field(default=10_000, ge=1, le=10_000)
    """Rounds after which a game ends in any case, as long as the longest that `rounds` can ask for."""

    told_if_changed: ClassVar[frozenset[str]] = frozenset({"gift"})

    @model_validator(mode="after")
    def _has_one_multiplier(self) -> Self:
        if (own := self.gift.own_multiplier) is not None:
            if "multiplier" in self.model_fields_set:
                raise ValueError("multiplier: of fixed gifts it is gift.benefit ÷ gift.cost; remove it")
            self.__dict__["multiplier"] = own
        return self

    @model_serializer(mode="wrap")
    def _without_what_follows(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        if self.gift.own_multiplier is not None:
            data.pop("multiplier", None)
        return data

    def received(self, amount: float) -> float:
        """Return the units that the recipient receives of a gift."""
        return self.gift.received(amount, self.multiplier)

    def received_of(self, amounts: Floats) -> Floats:
        """Return the same for many gifts."""
        return self.gift.received_of(amounts, self.multiplier)

    def log10_most(self, n_agents: int, n_rounds: int) -> float:
        """Return the decimal logarithm of the most units that `n_agents` can hold together after `n_rounds` rounds."""
        return math.log10(n_agents) + self.gift.log10_most(self.endowment, self.multiplier, n_rounds)

    def n_rounds(self, seed: int, *, generation: int) -> int:
        """Return how many rounds each game of a generation has."""
        n, chance = self.rounds, self.continuation
        number = uniform("rounds", seed, generation) if chance else 1.0
        while n < self.max_rounds and number < chance:
            n += 1
            chance *= self.continuation
        return n

    @model_validator(mode="after")
    def _may_be_that_long(self) -> Self:
        if self.max_rounds < self.rounds:
            raise ValueError(
                f"max_rounds: {self.max_rounds} is less than the {self.rounds} rounds that are played anyway"
            )
        return self

    @property
    def punishment_effect(self) -> float | None:
        """Units removed for each unit spent; `None` where nobody may punish."""
        return self.punishment.effect / self.punishment.cost if self.punishment else None

    @property
    def acts(self) -> tuple[Act, ...]:
        """What a donor may do."""
        return ("give", "punish") if self.punishment else ("give",)
