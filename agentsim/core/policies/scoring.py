"""Policies of first order: they judge a recipient by what it did, whomever it did that to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from agentsim.core.observation import HIGHEST_SCORE, LOWEST_SCORE
from agentsim.core.policies.judging import GenerousJudge, Judge
from agentsim.core.policies.records import (
    decided_many,
    gave,
    gave_many,
    is_said_good,
    is_said_good_many,
    score,
    score_many,
)
from agentsim.core.policies.traits import Traits
from agentsim.core.policies.views import Views
from agentsim.core.requests import DecisionView

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Discriminator", "GenerousDiscriminator", "ImageScorer"]


def _is_good(view: DecisionView, threshold: float) -> bool:
    """Return whether the recipient's score or standing is good, or else its last act; the unknown are trusted."""
    if view.reputation is not None:
        return is_said_good(view.reputation)
    return not view.trace or gave(view.trace[0], threshold) is not False


def _are_good(views: Views, threshold: float) -> NDArray[np.bool_]:
    import numpy as np

    if views.reputation is not None:
        return is_said_good_many(views.reputation, views)
    if not len(views.fraction):
        return np.ones(len(views.resources), dtype=np.bool_)
    return ~decided_many(views, 0) | gave_many(views, 0, threshold)


class Discriminator(Judge):
    """Gives to those whose last act as donor was generous, and keeps from the others.

    The discriminator of Nowak & Sigmund 1998 ("Evolution of indirect reciprocity by image scoring"), made continuous:
    the recipient's record is the share it gave in its last donor turn. Unknown recipients are trusted. Where a score or
    a standing is shown, that decides: good is a score of 0 or more, or good standing.
    """

    model: Literal["scripted/discriminator"] = "scripted/discriminator"

    @property
    def traits(self) -> Traits:
        """What is said of it."""
        gives = self.share > 0
        order: Literal[0, 1] = 1 if gives else 0
        return Traits(order=order, is_nice=gives, is_forgiving=False, is_stochastic=False, is_graded=False)

    def _trusts(self, view: DecisionView) -> bool:
        return _is_good(view, self.threshold)

    def _trusts_many(self, views: Views) -> NDArray[np.bool_]:
        return _are_good(views, self.threshold)


class GenerousDiscriminator(GenerousJudge):
    """A discriminator that gives by chance to those it finds wanting: generous scoring.

    After Schmid, Chatterjee, Hilbe & Nowak 2021, "A unified framework of direct and indirect reciprocity", Nat. Hum.
    Behav. 5. What it sees and how it judges is as for `scripted/discriminator`. Without generosity a mistake is
    answered by further ones for ever; with more than 1 - c/b (here 1 - 1/multiplier) it feeds defectors.
    """

    model: Literal["scripted/generous-discriminator"] = "scripted/generous-discriminator"
    generosity: float = Field(default=0.2, ge=0, le=1)
    """The probability, in each encounter, that it gives its share to one whose last act was not generous."""

    @property
    def traits(self) -> Traits:
        """What is said of it."""
        return self._traits(1)

    def _trusts(self, view: DecisionView) -> bool:
        return _is_good(view, self.threshold)

    def _trusts_many(self, views: Views) -> NDArray[np.bool_]:
        return _are_good(views, self.threshold)


class ImageScorer(GenerousJudge):
    """Gives to those whose image score is at least k.

    Nowak & Sigmund 1998, "Evolution of indirect reciprocity by image scoring", Nature 393: scores lie between -5 and
    5, begin with 0, rise with each gift and fall with each refusal; k = -5 gives to all and k = 6 to nobody. Where acts
    are shown instead of scores, it counts the recipient's own among them: all of a history, of a chain only the newest.
    A standing that is shown counts as a score of 1 (good) or -1 (bad). Unknown recipients have a score of 0.
    """

    model: Literal["scripted/image-scorer"] = "scripted/image-scorer"
    k: int = Field(default=0, ge=LOWEST_SCORE, le=HIGHEST_SCORE + 1)
    """The least score of a recipient that it gives to."""

    @property
    def traits(self) -> Traits:
        """What is said of it."""
        gives_to_all = self.k == LOWEST_SCORE
        order: Literal[0, 1] = 0 if gives_to_all or self.k > HIGHEST_SCORE else 1
        return self._traits(order, trusts_unknown=self.k <= 0, trusts_worst=gives_to_all)

    def _trusts(self, view: DecisionView) -> bool:
        return score(view, self.threshold) >= self.k

    def _trusts_many(self, views: Views) -> NDArray[np.bool_]:
        is_enough: NDArray[np.bool_] = score_many(views, self.threshold) >= self.k
        return is_enough
