"""The highest mean final resources that a schedule of the Donor Game allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from agentsim.core.answers import Answer
from agentsim.core.facts import Encounter
from agentsim.core.rules import SocietyRules
from agentsim.core.society import Society

__all__ = ["gives_shares", "highest_mean_of_first", "unit_worth"]


def gives_shares(game: Mapping[str, Any]) -> bool:
    """Return whether the game of a logged condition lets donors give any share of what they hold, the same at first.

    Then final resources are linear in what is given. Of fixed gifts and whole units, and of unequal endowments, neither
    the highest score nor the score of a constant share is known from the schedule alone.
    """
    if dict(game).get("kind", "donor") != "donor" or not isinstance(game["endowment"], int | float):
        return False
    return "gift" not in game or bool(game["gift"]["kind"] == "share")


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


def highest_mean_of_first(rules: SocietyRules, *, seed: int) -> float:
    """Return the highest mean final resources (units) of the first generation that rules and seed bring about."""
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
    worth = unit_worth(
        donor=holders[: len(met)],
        recipient=holders[len(met) :],
        round_=[event.round for event in met],
        multiplier=rules.donor_game.multiplier,
        n_holders=rules.agents * rules.game.games,
    )
    endowment = rules.donor_game.one_endowment
    return float("nan") if endowment is None else endowment * float(worth.mean())
