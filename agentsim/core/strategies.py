"""Scripted policies: players that answer the typed request without text, for theory, baselines and tests.

Each policy is a frozen value that says which fraction of its resources a donor gives: `decide` for one view, and
`decide_many` the same for many at once. `draw` gives the decision's own random number in [0, 1). A new policy is one
class here and one name in `ScriptedPlayer`. None of them punishes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from agentsim.core.types import DecisionView, Value, Views

__all__ = [
    "AllGive",
    "AllKeep",
    "ConstantShare",
    "Discriminator",
    "Draw",
    "Draws",
    "Playing",
    "RandomShare",
    "ScriptedPlayer",
]

Draw = Callable[[], float]
Draws = Callable[[], NDArray[np.float64]]
Fractions = NDArray[np.float64]


class Playing(Value):
    """What every player may say beside its own settings."""

    agents: Annotated[int, Field(ge=1, le=10_000)] | Annotated[float, Field(gt=0, lt=1)] | None = None
    """Where `players` is a list: how many agents of the first generation it plays, as a number or as a share of all;
    by default all players have equal shares."""
    name: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9 ._-]{0,39}$")
    """Tells it from other players of the same model, as `resident` and `invader`."""


class AllGive(Playing):
    """Gives all it has; the unconditional cooperator (AllC) of Nowak & Sigmund 1998."""

    model: Literal["scripted/all-give"] = "scripted/all-give"

    def decide(self, view: DecisionView, draw: Draw) -> float:
        """Return 1."""
        return 1.0

    def decide_many(self, views: Views, draw: Draws) -> Fractions:
        """Return 1 for each."""
        return np.ones_like(views.resources)


class AllKeep(Playing):
    """Gives nothing; the unconditional defector (AllD) of Nowak & Sigmund 1998."""

    model: Literal["scripted/all-keep"] = "scripted/all-keep"

    def decide(self, view: DecisionView, draw: Draw) -> float:
        """Return 0."""
        return 0.0

    def decide_many(self, views: Views, draw: Draws) -> Fractions:
        """Return 0 for each."""
        return np.zeros_like(views.resources)


class ConstantShare(Playing):
    """Gives the same share of its resources to everyone."""

    model: Literal["scripted/constant-share"] = "scripted/constant-share"
    share: float = Field(default=0.5, ge=0, le=1)
    """Fraction of own resources given in each encounter."""

    def decide(self, view: DecisionView, draw: Draw) -> float:
        """Return the share."""
        return self.share

    def decide_many(self, views: Views, draw: Draws) -> Fractions:
        """Return the share for each."""
        return np.full_like(views.resources, self.share)


class RandomShare(Playing):
    """Gives a uniformly random share, drawn anew in each encounter."""

    model: Literal["scripted/random"] = "scripted/random"

    def decide(self, view: DecisionView, draw: Draw) -> float:
        """Return a number in [0, 1)."""
        return draw()

    def decide_many(self, views: Views, draw: Draws) -> Fractions:
        """Return a number in [0, 1) for each."""
        return draw()


class Discriminator(Playing):
    """Gives to those whose last act as donor was generous, and keeps from the others.

    The discriminator of Nowak & Sigmund 1998 ("Evolution of indirect reciprocity by image scoring"), made continuous:
    the recipient's record is the share it gave in its last donor turn. Unknown recipients are trusted. Where a score or
    a standing is shown, that decides: good is a score of 0 or more, or good standing.
    """

    model: Literal["scripted/discriminator"] = "scripted/discriminator"
    share: float = Field(default=0.5, ge=0, le=1)
    """Fraction of own resources given to a recipient in good standing."""
    threshold: float = Field(default=0.25, ge=0, le=1)
    """The least share the recipient must have given to be in good standing; a punishment never is."""

    def decide(self, view: DecisionView, draw: Draw) -> float:
        """Return the share, or 0 for a recipient that gave less than the threshold."""
        if view.reputation is not None:
            is_good = view.reputation.value in ("good", *range(6))
            return self.share if is_good else 0.0
        last = view.trace[0] if view.trace else None
        if last is None or last.fraction is None:
            return self.share
        return self.share if last.act == "give" and last.fraction >= self.threshold else 0.0

    def decide_many(self, views: Views, draw: Draws) -> Fractions:
        """Return the share, or 0, for each."""
        if views.reputation is not None:
            return np.where(views.reputation >= 0, self.share, 0.0)
        if not len(views.fraction):
            return np.full_like(views.resources, self.share)
        gave_enough = views.is_gift[0] & (views.fraction[0] >= self.threshold)
        is_good = ~views.is_shown[0] | np.isnan(views.fraction[0]) | gave_enough
        return np.where(is_good, self.share, 0.0)


ScriptedPlayer = Annotated[
    AllGive | AllKeep | ConstantShare | RandomShare | Discriminator, Field(discriminator="model")
]
