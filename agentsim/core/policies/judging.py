"""Policies that give a share to the good and nothing to the bad.

This is how acts of all or nothing in the literature become amounts: to help is to give `share` of one's resources, and
an act counts as help if it gave at least `threshold` of the donor's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from agentsim.core.policies.traits import Draw, Draws, Fractions, Policy, Traits
from agentsim.core.policies.views import Views
from agentsim.core.requests import DecisionView

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["GenerousJudge", "Judge"]


class Judge(Policy, ABC):
    """Gives its share to those it trusts, and nothing to the others."""

    share: float = Field(default=0.5, ge=0, le=1)
    """Fraction of own resources given to a recipient in good standing."""
    threshold: float = Field(default=0.25, ge=0, le=1)
    """The least share the recipient must have given to be in good standing; a punishment never is."""

    @property
    def help_share(self) -> float:
        """Return the share."""
        return self.share

    @property
    def judges_from(self) -> float:
        """Return the threshold."""
        return self.threshold

    @abstractmethod
    def _trusts(self, view: DecisionView) -> bool: ...

    @abstractmethod
    def _trusts_many(self, views: Views) -> NDArray[np.bool_]: ...

    def decide(self, view: DecisionView, draw: Draw) -> float:
        """Return the share, or 0."""
        return self.share if self._trusts(view) else 0.0

    def decide_many(self, views: Views, draw: Draws) -> Fractions:
        """Return the share, or 0, for each."""
        import numpy as np

        return np.where(self._trusts_many(views), self.share, 0.0)


class GenerousJudge(Judge):
    """Gives its share to those it trusts, and by chance to the others.

    Generosity of tit for tat is from Nowak & Sigmund 1992, "Tit for tat in heterogeneous populations", Nature 355; that
    of indirect reciprocity, there called action generosity, from Schmid, Shati, Hilbe & Chatterjee 2021, "The
    evolution of indirect reciprocity under action and assessment generosity", Sci. Rep. 11, 17443.
    """

    generosity: float = Field(default=0, ge=0, le=1)
    """The probability, in each encounter, that it gives its share to one that it does not trust."""

    def decide(self, view: DecisionView, draw: Draw) -> float:
        """Return the share, or 0."""
        return self.share if self._trusts(view) or draw() < self.generosity else 0.0

    def decide_many(self, views: Views, draw: Draws) -> Fractions:
        """Return the share, or 0, for each."""
        import numpy as np

        return np.where(self._trusts_many(views) | (draw() < self.generosity), self.share, 0.0)

    def _traits(self, order: Literal[0, 1, 2, 3], *, trusts_unknown: bool = True, trusts_worst: bool = False) -> Traits:
        """Return the traits of one that would trust so if it had no generosity; order 0: it trusts all, or nobody."""
        gives, pardons = self.share > 0, self.generosity > 0
        return Traits(
            order=order if gives and self.generosity < 1 else 0,
            is_nice=gives and (trusts_unknown or pardons),
            is_forgiving=gives and (trusts_worst or pardons),
            is_stochastic=gives and 0 < self.generosity < 1 and not trusts_worst,
            is_graded=False,
        )
