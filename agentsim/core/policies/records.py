"""How policies read what they are shown: of one recipient (`DecisionView`), and the same of many (`Views`).

A score or standing that is shown decides; a policy judges acts itself only where acts are shown. A turn without a
readable decision, or of a donor that had nothing, says nothing about that donor. Unknown agents are taken to be good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from agentsim.core.facts import Reputation, TraceItem
from agentsim.core.observation import HIGHEST_SCORE, LOWEST_SCORE, Assessment
from agentsim.core.policies.views import Views
from agentsim.core.requests import DecisionView

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "decided_many",
    "gave",
    "gave_many",
    "known_level",
    "score",
    "score_many",
    "standing",
    "standing_many",
]

Flags: TypeAlias = "NDArray[np.bool_]"


def is_said_good(reputation: Reputation) -> bool:
    """Return whether a score is 0 or more, or a standing good."""
    return reputation.score >= 0


def is_said_good_many(reputation: NDArray[np.int64], views: Views) -> Flags:
    """Return `is_said_good` for each recipient; one about whom nothing is known is good."""
    is_good: Flags = reputation >= 0
    return is_good if views.is_known is None else is_good | ~views.is_known


def gave(item: TraceItem, threshold: float) -> bool | None:
    """Return whether an act was of at least that level; `None`: there was no decision, or nothing to give.

    In the donor game the level is the share given. A punishment is never enough.
    """
    level = item.level
    return None if level is None else item.act != "punish" and level >= threshold


def known_level(view: DecisionView) -> float:
    """Return the mean level of what is known of the recipient's acts; a score or standing is 1 or 0, an unknown one 1.

    What the agent remembers of its own encounters counts where nothing else is shown.
    """
    if view.reputation is not None:
        return 1.0 if is_said_good(view.reputation) else 0.0
    own = [item for item in view.trace if item.donor == view.recipient]
    acts = own or [act for past in view.memory for act in past.acts if act.donor == view.recipient]
    levels = [item.level for item in acts if item.level is not None]
    return sum(levels) / len(levels) if levels else 1.0


def decided_many(views: Views, row: int) -> Flags:
    """Return, for each donor, whether there is an item in that row that holds a decision: `gave` is not `None`."""
    import numpy as np

    is_act = views.is_gift[row] | views.is_punishment[row]
    is_decided: Flags = views.is_shown[row] & is_act & ~np.isnan(views.fraction[row])
    return is_decided


def gave_many(views: Views, row: int, threshold: float) -> Flags:
    """Return `gave` for each donor's item in that row; it means something only where there was a decision."""
    is_enough: Flags = views.is_gift[row] & (views.fraction[row] >= threshold)
    return is_enough


def _own_acts(view: DecisionView) -> tuple[TraceItem, ...]:
    """Return the recipient's own acts among those shown, newest first: of a chain, the first alone."""
    is_chain = len(view.trace) > 1 and view.trace[1].donor != view.trace[0].donor
    return view.trace[:1] if is_chain else view.trace


def score(view: DecisionView, threshold: float) -> int:
    """Return the recipient's image score: as shown, or counted from its own acts; 0 without any."""
    if view.reputation is not None:
        return view.reputation.score
    total = 0
    for item in reversed(_own_acts(view)):
        is_gift = gave(item, threshold)
        if is_gift is not None:
            total = max(LOWEST_SCORE, min(HIGHEST_SCORE, total + (1 if is_gift else -1)))
    return total


def score_many(views: Views, threshold: float) -> NDArray[np.int64]:
    """Return `score` for each."""
    import numpy as np

    if views.reputation is not None:
        return views.reputation if views.is_known is None else np.where(views.is_known, views.reputation, 0)
    total = np.zeros(len(views.resources), dtype=np.int64)
    for row in reversed(range(min(1, len(views.fraction)) if views.is_chain else len(views.fraction))):
        step = np.where(gave_many(views, row, threshold), 1, -1)
        total = np.clip(total + np.where(decided_many(views, row), step, 0), LOWEST_SCORE, HIGHEST_SCORE)
    return total


def standing(view: DecisionView, threshold: float, assessment: Assessment) -> bool:
    """Return whether the recipient is good: as shown (a score of 0 or more is), or judged from the acts shown.

    Acts are judged from the oldest to the newest, each by what the item before it in time made of its recipient. In a
    chain a donor's own standing before its act is not known, and taken to be good.
    """
    if view.reputation is not None:
        return is_said_good(view.reputation)
    donor, is_good = None, True  # whom the last item read was about, and what it made of that agent
    for item in reversed(view.trace):
        is_gift = gave(item, threshold)
        if is_gift is None:
            is_good = is_good or item.donor != donor
        else:
            is_recipient_good = is_good or item.recipient != donor
            is_good = assessment.judge(gave=is_gift, recipient="good" if is_recipient_good else "bad") == "good"
        donor = item.donor
    return is_good


def standing_many(views: Views, threshold: float, assessment: Assessment) -> Flags:
    """Return `standing` for each."""
    import numpy as np

    if views.reputation is not None:
        return is_said_good_many(views.reputation, views)
    unknown = np.ones(len(views.resources), dtype=np.bool_)
    is_good: Flags = unknown
    for row in reversed(range(len(views.fraction))):
        is_recipient_good, before = (is_good, unknown) if views.is_chain else (unknown, is_good)
        judged = np.where(
            gave_many(views, row, threshold),
            np.where(is_recipient_good, assessment.give_to_good == "good", assessment.give_to_bad == "good"),
            np.where(is_recipient_good, assessment.keep_from_good == "good", assessment.keep_from_bad == "good"),
        )
        is_good = np.where(decided_many(views, row), judged, before)
    return is_good
