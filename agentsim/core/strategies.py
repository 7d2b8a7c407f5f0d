"""Scripted policies: players that answer the typed request without text, for theory, baselines and tests.

Each policy is a frozen value with one method, `decide(view, rng) -> fraction of own resources to give`. A new policy is
one class here and one name in `ScriptedPlayer`. None of them punishes.
"""

from __future__ import annotations

from random import Random
from typing import Annotated, Literal

from pydantic import Field

from agentsim.core.types import DecisionView, Value

__all__ = ["AllGive", "AllKeep", "ConstantShare", "Discriminator", "RandomShare", "ScriptedPlayer"]


class AllGive(Value):
    """Gives all it has; the unconditional cooperator (AllC) of Nowak & Sigmund 1998."""

    model: Literal["scripted/all-give"] = "scripted/all-give"

    def decide(self, view: DecisionView, rng: Random) -> float:
        """Return 1."""
        return 1.0


class AllKeep(Value):
    """Gives nothing; the unconditional defector (AllD) of Nowak & Sigmund 1998."""

    model: Literal["scripted/all-keep"] = "scripted/all-keep"

    def decide(self, view: DecisionView, rng: Random) -> float:
        """Return 0."""
        return 0.0


class ConstantShare(Value):
    """Gives the same share of its resources to everyone."""

    model: Literal["scripted/constant-share"] = "scripted/constant-share"
    share: float = Field(default=0.5, ge=0, le=1)
    """Fraction of own resources given in each encounter."""

    def decide(self, view: DecisionView, rng: Random) -> float:
        """Return the share."""
        return self.share


class RandomShare(Value):
    """Gives a uniformly random share, drawn anew in each encounter."""

    model: Literal["scripted/random"] = "scripted/random"

    def decide(self, view: DecisionView, rng: Random) -> float:
        """Return a number in [0, 1)."""
        return rng.random()


class Discriminator(Value):
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

    def decide(self, view: DecisionView, rng: Random) -> float:
        """Return the share, or 0 for a recipient that gave less than the threshold."""
        if view.reputation is not None:
            is_good = view.reputation.value in ("good", *range(6))
            return self.share if is_good else 0.0
        last = view.trace[0] if view.trace else None
        if last is None or last.fraction is None:
            return self.share
        return self.share if last.act == "give" and last.fraction >= self.threshold else 0.0


ScriptedPlayer = Annotated[
    AllGive | AllKeep | ConstantShare | RandomShare | Discriminator, Field(discriminator="model")
]
