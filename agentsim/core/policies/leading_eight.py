"""Policies of second and third order: they judge an act also by whom it was done to, and by who did it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from agentsim.core.observation import Assessment
from agentsim.core.policies.judging import GenerousJudge
from agentsim.core.policies.records import is_said_good, standing, standing_many
from agentsim.core.policies.traits import Traits
from agentsim.core.policies.views import Views
from agentsim.core.requests import DecisionView

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["LeadingEight", "StandingPolicy", "leading_eight"]

STANDING: Final = Assessment()
"""Only keeping from the good is bad."""
TABLES: Final = ("ggb", "bgb", "ggg", "gbg", "bgg", "bbg", "gbb", "bbb")
"""Of L1 to L8, what becomes of (a good donor that gives to the bad, a bad one that does, a bad one that keeps from the
bad). About all else the eight agree: giving to the good is good, keeping from the good is bad, and a good donor that
keeps from the bad stays good."""
GIVES_BACK: Final = (1, 2)
"""The rules by which a donor in bad standing gives to the bad too, as that alone makes it good again."""


def leading_eight(rule: int) -> tuple[Assessment, Assessment]:
    """Return how one of the leading eight, 1 to 8, judges donors in good and in bad standing.

    Ohtsuki & Iwasa 2006, J. Theor. Biol. 239, in the order of Hilbe, Schmid, Tkadlec, Chatterjee & Nowak 2018, PNAS
    115, Table 1.
    """
    good_gives, bad_gives, bad_keeps = ("good" if letter == "g" else "bad" for letter in TABLES[rule - 1])
    return (
        Assessment.model_validate({"give_to_bad": good_gives}),
        Assessment.model_validate({"give_to_bad": bad_gives, "keep_from_bad": bad_keeps}),
    )


class StandingPolicy(GenerousJudge):
    """Gives to those in good standing; who keeps from the bad stays good.

    Standing of Sugden 1986, "The Economics of Rights, Co-operation and Welfare", for indirect reciprocity by Leimar &
    Hammerstein 2001, Proc. R. Soc. B 268. A standing that is shown decides, by whichever table the scenario judges; so
    does a score, of which 0 or more is good. Where acts are shown, it judges them itself from the oldest to the newest,
    each by what the one before it in time made of its recipient; whoever is unknown is good. A history of own acts
    tells nothing about recipients, so there the newest act that was a decision says all.
    """

    model: Literal["scripted/standing"] = "scripted/standing"

    @property
    def traits(self) -> Traits:
        """What is said of it."""
        return self._traits(2)

    def _trusts(self, view: DecisionView) -> bool:
        return standing(view, self.threshold, STANDING)

    def _trusts_many(self, views: Views) -> NDArray[np.bool_]:
        return standing_many(views, self.threshold, STANDING)


class LeadingEight(GenerousJudge):
    """One of the eight rules that sustain cooperation best under errors: how to judge, and when to give.

    Ohtsuki & Iwasa 2004, J. Theor. Biol. 231, and 2006, J. Theor. Biol. 239; rule 3 is also called simple standing and
    rule 6 stern judging. It gives to the good and keeps from the bad; by rules 1 and 2 a donor that is bad itself gives
    to the bad too. Its own standing is what the scenario shows it (`shows_own`); otherwise it takes itself to be good.

    A standing or score that is shown decides about the recipient, whichever table made it; `leading_eight` has the
    tables of each rule, for the scenario's `observation`. Where acts are shown, it judges them by its own table, as
    `scripted/standing` does by its. As donors' earlier standing is not known there, what the rule says of bad donors
    has no part in that, so that 1, 3, 4 and 7 judge alike, and so do 2, 5, 6 and 8.
    """

    model: Literal["scripted/leading-eight"] = "scripted/leading-eight"
    rule: int = Field(default=3, ge=1, le=8)
    """Which of the eight, L1 to L8."""

    @property
    def traits(self) -> Traits:
        """What is said of it."""
        return self._traits(3 if self.rule in GIVES_BACK else 2)

    def _trusts(self, view: DecisionView) -> bool:
        if self.rule in GIVES_BACK and view.own_reputation is not None and not is_said_good(view.own_reputation):
            return True
        return standing(view, self.threshold, OF_GOOD_DONORS[self.rule - 1])

    def _trusts_many(self, views: Views) -> NDArray[np.bool_]:
        is_good = standing_many(views, self.threshold, OF_GOOD_DONORS[self.rule - 1])
        if self.rule in GIVES_BACK and views.own_reputation is not None:
            return is_good | (views.own_reputation < 0)
        return is_good


OF_GOOD_DONORS: Final = tuple(leading_eight(rule)[0] for rule in range(1, 9))
