"""What all policies have in common: their interface, their traits, and the settings they share with models.

NumPy is imported where many decisions are made at once: reading a scenario needs none of it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field

from agentsim.core.facts import Frozen
from agentsim.core.policies.views import Views
from agentsim.core.requests import DecisionView

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Draw", "Draws", "Fractions", "PlayerSettings", "Policy", "Traits"]

Draw = Callable[[], float]
"""Gives the decision's own random number in [0, 1)."""
Draws: TypeAlias = "Callable[[], NDArray[np.float64]]"
"""Returns one such number for each of many decisions."""
Fractions: TypeAlias = "NDArray[np.float64]"


class PlayerSettings(Frozen):
    """The settings that models and policies share."""

    agents: Annotated[int, Field(ge=1, le=10_000)] | Annotated[float, Field(gt=0, lt=1)] | None = None
    """In a list of players: how many agents of the first generation it plays, as a number or as a share of all; by
    default all players have equal shares."""
    name: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9 ._-]{0,39}$")
    """Tells it apart from other players of the same model, for example `resident` and `invader`."""


@dataclass(frozen=True, slots=True)
class Traits:
    """Properties of a policy under its settings; the tests measure each of them on its decisions."""

    order: Literal[0, 1, 2, 3]
    """What its decisions can depend on: 0 nothing of the recipient; 1 what the recipient did, or its score or standing;
    2 also what was known of those it did that to; 3 also the donor's own standing."""
    is_nice: bool
    """Whether it gives, at least sometimes, to a recipient about which nothing is known."""
    is_forgiving: bool
    """Whether it gives, at least sometimes, to a recipient with the worst record, while in good standing itself."""
    is_stochastic: bool
    """Whether what it gives depends on chance."""
    is_graded: bool
    """Whether what it gives varies with the shares it sees, and not only with whether they reach a threshold."""
    looks_back: Literal[0, 1, 2, "all"] = 0
    """On how many of its newest encounters with the same partner its decisions can depend, where it remembers them."""
    minds_own_acts: bool = False
    """Whether they can depend also on what it did itself in those encounters."""


class Policy(PlayerSettings):
    """The interface of every scripted policy: which fraction of its resources a donor gives."""

    if TYPE_CHECKING:
        model: str

    meets_from: float | None = Field(default=None, ge=0, le=1, exclude_if=lambda least: least is None)
    """Before an encounter: the least mean level of what it knows of another agent's acts at which it does not refuse to
    meet that agent, or vote to exclude it; and of those that it may choose among, it takes the one with the highest.
    Unknown agents are taken to be good. `null`: it refuses nobody, votes for nobody and chooses at random."""
    joins_sanctions: bool = Field(default=True, exclude_if=lambda joins: joins)
    """Whether it joins those among whom there are sanctions, where it can choose."""

    @property
    @abstractmethod
    def traits(self) -> Traits:
        """What it can be relied on for."""

    @abstractmethod
    def decide(self, view: DecisionView, draw: Draw) -> float:
        """Return the fraction, in [0, 1], that a donor gives in one situation."""

    @property
    def decides_many(self) -> bool:
        """Whether it has `decide_many`; without it, its societies are played one after the other."""
        return type(self).decide_many is not Policy.decide_many

    def decide_many(self, views: Views, draw: Draws) -> Fractions:
        """Return the same for many situations at once; a policy need not have it."""
        raise NotImplementedError(f"{self.model} decides one by one")

    @property
    def help_share(self) -> float | None:
        """The fraction that it gives to help, at first or always; `None`: it has no such setting."""
        return None

    @property
    def judges_from(self) -> float | None:
        """The least fraction that counts as help where it judges acts itself; `None`: it does not judge acts so."""
        return None
