"""Policies that look at nobody's past: the yardsticks for all others."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from agentsim.core.policies.traits import Draw, Draws, Fractions, Policy, Traits
from agentsim.core.policies.views import Views
from agentsim.core.requests import DecisionView

__all__ = ["AllGive", "AllKeep", "ConstantShare", "RandomShare"]


class AllGive(Policy):
    """Gives all it has; the unconditional cooperator (AllC) of Nowak & Sigmund 1998."""

    model: Literal["scripted/all-give"] = "scripted/all-give"

    @property
    def traits(self) -> Traits:
        """What is said of it."""
        return Traits(order=0, is_nice=True, is_forgiving=True, is_stochastic=False, is_graded=False)

    def decide(self, view: DecisionView, draw: Draw) -> float:
        """Return 1."""
        return 1.0

    def decide_many(self, views: Views, draw: Draws) -> Fractions:
        """Return 1 for each."""
        import numpy as np

        return np.ones_like(views.resources)


class AllKeep(Policy):
    """Gives nothing; the unconditional defector (AllD) of Nowak & Sigmund 1998."""

    model: Literal["scripted/all-keep"] = "scripted/all-keep"

    @property
    def traits(self) -> Traits:
        """What is said of it."""
        return Traits(order=0, is_nice=False, is_forgiving=False, is_stochastic=False, is_graded=False)

    def decide(self, view: DecisionView, draw: Draw) -> float:
        """Return 0."""
        return 0.0

    def decide_many(self, views: Views, draw: Draws) -> Fractions:
        """Return 0 for each."""
        import numpy as np

        return np.zeros_like(views.resources)


class ConstantShare(Policy):
    """Gives the same share of its resources to everyone."""

    model: Literal["scripted/constant-share"] = "scripted/constant-share"
    share: float = Field(default=0.5, ge=0, le=1)
    """Fraction of own resources given in each encounter."""

    @property
    def help_share(self) -> float:
        """Return the share."""
        return self.share

    @property
    def traits(self) -> Traits:
        """What is said of it."""
        return Traits(
            order=0, is_nice=self.share > 0, is_forgiving=self.share > 0, is_stochastic=False, is_graded=False
        )

    def decide(self, view: DecisionView, draw: Draw) -> float:
        """Return the share."""
        return self.share

    def decide_many(self, views: Views, draw: Draws) -> Fractions:
        """Return the share for each."""
        import numpy as np

        return np.full_like(views.resources, self.share)


class RandomShare(Policy):
    """Gives a uniformly random share, drawn anew in each encounter."""

    model: Literal["scripted/random"] = "scripted/random"

    @property
    def traits(self) -> Traits:
        """What is said of it."""
        return Traits(order=0, is_nice=True, is_forgiving=True, is_stochastic=True, is_graded=False)

    def decide(self, view: DecisionView, draw: Draw) -> float:
        """Return a number in [0, 1)."""
        return draw()

    def decide_many(self, views: Views, draw: Draws) -> Fractions:
        """Return a number in [0, 1) for each."""
        return draw()
