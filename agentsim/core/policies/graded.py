"""Quantitative policies: what they give follows the shares they see given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from agentsim.core.policies.records import decided_many, is_said_good, is_said_good_many
from agentsim.core.policies.traits import Draw, Draws, Fractions, Policy, Traits
from agentsim.core.policies.views import Views
from agentsim.core.requests import DecisionView

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ProportionalShare", "RaiseTheStakes"]


class ProportionalShare(Policy):
    """Gives in proportion to the share the recipient gave, at its last or over several turns.

    The linear reactive strategy of Killingback & Doebeli 2002, "The continuous prisoner's dilemma and the evolution of
    cooperation through reciprocal altruism with variable investment", Am. Nat. 160 (called give-as-good-as-you-get by
    Roberts & Renwick 2003, Proc. R. Soc. B 270), turned to third parties: as the donors of Wedekind & Milinski 2000,
    Science 288, it gives more to those who gave more. A punishment counts as a gift of nothing. A score or a standing
    tells no shares: to the good (0 or more) it gives as to the unknown, to the bad nothing.
    """

    model: Literal["scripted/proportional"] = "scripted/proportional"
    share: float = Field(default=0.5, ge=0, le=1)
    """Fraction of own resources given to a recipient of which nothing is known."""
    factor: float = Field(default=1, gt=0, le=100)
    """What it gives for each share it saw given; never more than all it has."""
    last: int = Field(default=1, ge=1, le=100)
    """Over how many of the newest turns shown it takes the mean; in a chain, those before the first are of others."""

    @property
    def help_share(self) -> float:
        """Return the share."""
        return self.share

    @property
    def traits(self) -> Traits:
        """What is said of it."""
        order: Literal[1, 2] = 1 if self.last == 1 else 2
        return Traits(order=order, is_nice=self.share > 0, is_forgiving=False, is_stochastic=False, is_graded=True)

    def decide(self, view: DecisionView, draw: Draw) -> float:
        """Return the factor times the mean share seen."""
        seen = _seen(view, self.share, last=self.last)
        return seen[1] if not seen[0] else min(1.0, self.factor * seen[1])

    def decide_many(self, views: Views, draw: Draws) -> Fractions:
        """Return the factor times the mean share seen, for each."""
        import numpy as np

        is_share, value = _seen_many(views, self.share, last=self.last)
        return np.where(is_share, np.minimum(1.0, self.factor * value), value)


class RaiseTheStakes(Policy):
    """Begins with little, gives a little more than a recipient that gave as much, and no more than one that gave less.

    Roberts & Sherratt 1998, "Development of cooperative relationships through increasing investment", Nature 394,
    turned to third parties. There, a player raises its investment over its partner's if that matched its own, and only
    matches it if not. Here the yardstick is `share`, with which it begins: whoever gave at least so much at its last
    turn gets that and `step` more; whoever gave less gets what it gave. A punishment counts as a gift of nothing. A
    score or a standing tells no shares: to the good (0 or more) it gives `share`, to the bad nothing.
    """

    model: Literal["scripted/raise-the-stakes"] = "scripted/raise-the-stakes"
    share: float = Field(default=0.1, gt=0, le=1)
    """Fraction of own resources given to a recipient of which nothing is known."""
    step: float = Field(default=0.1, ge=0, le=1)
    """How much more it gives than a recipient that gave enough; never more than all it has."""

    @property
    def help_share(self) -> float:
        """Return the share."""
        return self.share

    @property
    def traits(self) -> Traits:
        """What is said of it."""
        return Traits(order=1, is_nice=True, is_forgiving=False, is_stochastic=False, is_graded=True)

    def decide(self, view: DecisionView, draw: Draw) -> float:
        """Return what the recipient gave, or a step more."""
        is_share, value = _seen(view, self.share, last=1)
        return min(1.0, value + self.step) if is_share and value >= self.share else value

    def decide_many(self, views: Views, draw: Draws) -> Fractions:
        """Return what the recipient gave, or a step more, for each."""
        import numpy as np

        is_share, value = _seen_many(views, self.share, last=1)
        return np.where(is_share & (value >= self.share), np.minimum(1.0, value + self.step), value)


def _seen(view: DecisionView, unknown: float, *, last: int) -> tuple[bool, float]:
    """Return whether shares were seen, and their mean; without any, what is given to the unknown, or 0 to the bad."""
    if view.reputation is not None:
        return False, unknown if is_said_good(view.reputation) else 0.0
    total, n_seen = 0.0, 0
    for item in view.trace[:last]:
        if item.level is not None:
            total += item.level
            n_seen += 1
    return (True, total / n_seen) if n_seen else (False, unknown)


def _seen_many(views: Views, unknown: float, *, last: int) -> tuple[NDArray[np.bool_], Fractions]:
    import numpy as np

    n_donors = len(views.resources)
    if views.reputation is not None:
        is_good = is_said_good_many(views.reputation, views)
        return np.zeros(n_donors, dtype=np.bool_), np.where(is_good, unknown, 0.0)
    total, n_seen = np.zeros(n_donors), np.zeros(n_donors, dtype=np.int64)
    for row in range(min(last, len(views.fraction))):
        is_decided = decided_many(views, row)
        total += np.where(is_decided & views.is_gift[row], views.fraction[row], 0.0)
        n_seen += is_decided
    return n_seen > 0, np.where(n_seen > 0, total / np.maximum(n_seen, 1), unknown)
