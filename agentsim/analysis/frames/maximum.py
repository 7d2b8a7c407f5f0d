"""The highest mean final resources that a schedule of the Donor Game allows.

Of shares it follows from what a unit can come to (`unit_worth`), and of whole units too, where everyone always holds
whole steps. A fixed gift adds benefit - cost, so the highest mean is that of gifts in every encounter, where nobody
ever holds less than the cost then (`can_always_give`). Where holdings could run out it is not known: who gives to whom
would decide who can give later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from agentsim.core.answers import Answer
from agentsim.core.facts import Encounter
from agentsim.core.rules import SocietyRules
from agentsim.core.society import Society

__all__ = [
    "OF_FIXED",
    "OF_SHARES",
    "can_always_give",
    "gives_shares",
    "highest_mean_of_first",
    "known_rules",
    "unit_worth",
]

OF_SHARES: Final = ("endowment", "multiplier")
OF_FIXED: Final = ("endowment", "cost", "benefit")


def gives_shares(game: Mapping[str, Any]) -> bool:
    """Return whether the game of a logged condition lets donors give any share of what they hold, the same at first.

    Then final resources are linear in what is given, so the score of a constant share is known from the schedule alone.
    """
    return _donor_gift(game) == "share"


def known_rules(game: Mapping[str, Any]) -> dict[str, float]:
    """Return what the highest score of a schedule follows from, by the names in `OF_SHARES` or in `OF_FIXED`.

    Nothing where it does not follow: in other games, of unequal endowments, and of whole units that turn into broken
    ones on their way.
    """
    kind = _donor_gift(game)
    if kind == "fixed":
        return {"endowment": float(game["endowment"]), **{name: float(game["gift"][name]) for name in OF_FIXED[1:]}}
    is_known = kind == "share" or (kind == "units" and _stays_whole(game))
    return {name: float(game[name]) for name in OF_SHARES} if is_known else {}


def _donor_gift(game: Mapping[str, Any]) -> str | None:
    """Return the kind of gift in a logged Donor Game of equal endowments."""
    if dict(game).get("kind", "donor") != "donor" or not isinstance(game["endowment"], int | float):
        return None
    if game.get("refusal") is not None:  # who refuses decides how much there can be
        return None
    return str(game["gift"]["kind"]) if "gift" in game else "share"


def _stays_whole(game: Mapping[str, Any]) -> bool:
    """Return whether everyone always holds whole steps; where nothing can be gained it does not matter."""
    multiplier, steps = float(game["multiplier"]), float(game["endowment"]) / float(game["gift"]["step"])
    return multiplier <= 1 or (multiplier.is_integer() and steps.is_integer())


def unit_worth(
    *, donor: ArrayLike, recipient: ArrayLike, round_: ArrayLike, multiplier: ArrayLike, n_holders: int
) -> NDArray[np.float64]:
    """Return what one unit of each holder's endowment can come to by the end of its game, at most.

    A holder is one agent in one game, numbered from 0 to `n_holders` - 1. Computed backwards through the rounds: a
    donor keeps its unit, or passes `multiplier` units on to its recipient, whichever comes to more
    (w ← max(w, multiplier × w of the recipient)). Final resources are linear in what is given, so the endowment times
    the mean over holders is the highest mean of final resources that all donors together can bring about. Where roles
    alternate and the multiplier is at least 1 it is reached by giving all, always.

    Args:
        donor, recipient, round_, multiplier: one value an encounter, in any order; in one round of a game each holder
            has one encounter.
        n_holders: how many there are.
    """
    donors, recipients, rounds = (np.asarray(values, dtype=np.int64) for values in (donor, recipient, round_))
    factor = np.broadcast_to(np.asarray(multiplier, dtype=np.float64), donors.shape)
    worth = np.ones(n_holders)
    order = np.argsort(-rounds, kind="stable")
    for same_round in np.split(order, np.flatnonzero(np.diff(rounds[order])) + 1):
        givers = donors[same_round]
        worth[givers] = np.maximum(worth[givers], factor[same_round] * worth[recipients[same_round]])
    return worth


def can_always_give(
    *,
    donor: ArrayLike,
    recipient: ArrayLike,
    round_: ArrayLike,
    endowment: ArrayLike,
    cost: ArrayLike,
    benefit: ArrayLike,
    n_holders: int,
) -> NDArray[np.bool_]:
    """Return, for each holder, whether it can pay each of its gifts if everyone always gives.

    Args:
        donor, recipient, round_: as for `unit_worth`.
        endowment, cost, benefit: one for all, or one value an encounter; NaN where gifts are not fixed, and then the
            answer is no.
        n_holders: how many there are.
    """
    donors, recipients, rounds = (np.asarray(values, dtype=np.int64) for values in (donor, recipient, round_))
    begin, costs, benefits = (
        np.broadcast_to(np.asarray(values, dtype=np.float64), donors.shape) for values in (endowment, cost, benefit)
    )
    held, can = np.zeros(n_holders), np.ones(n_holders, dtype=np.bool_)
    held[donors], held[recipients] = begin, begin
    order = np.argsort(rounds, kind="stable")
    for same_round in np.split(order, np.flatnonzero(np.diff(rounds[order])) + 1):
        givers = donors[same_round]
        can[givers] &= held[givers] >= costs[same_round]
        held[givers] -= costs[same_round]
        held[recipients[same_round]] += benefits[same_round]
    return can


def highest_mean_of_first(rules: SocietyRules, *, seed: int) -> float | None:
    """Return the highest mean final resources (units) of the first generation that rules and seed bring about.

    `None` where it is not known (`known_rules`, and fixed gifts where holdings could run out).
    """
    known = known_rules(rules.game.model_dump())
    if not known:
        return None
    society = Society(rules.model_copy(update={"generations": 1}), labels="scripted/all-keep", seed=seed)
    waiting = society.start().asked
    met: list[Encounter] = []
    while waiting:
        step = society.answer(waiting.pop(), Answer(act="give", amount=0.0))
        waiting.extend(step.asked)
        met += [event for event in step.events if isinstance(event, Encounter)]
    holders, _ = pd.factorize(
        pd.Series([(event.game, event.donor) for event in met] + [(event.game, event.recipient) for event in met])
    )
    n_holders = rules.agents * rules.game.games
    schedule: dict[str, Any] = {
        "donor": holders[: len(met)],
        "recipient": holders[len(met) :],
        "round_": [event.round for event in met],
        "n_holders": n_holders,
    }
    if "cost" not in known:
        return known["endowment"] * float(unit_worth(**schedule, multiplier=known["multiplier"]).mean())
    gain = known["benefit"] - known["cost"]
    if gain <= 0:
        return known["endowment"]
    can = can_always_give(**schedule, endowment=known["endowment"], cost=known["cost"], benefit=known["benefit"])
    return known["endowment"] + len(met) * gain / n_holders if can.all() else None
