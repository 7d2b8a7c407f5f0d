"""Sensitivity to lost decisions: exact bounds over all values that they could have had.

A decision is *lost* if no valid answer came: the encounter is missing, or the scenario's fallback counted it as a
gift of 0. The bounds take everything else as it happened: who met whom, and the fraction of each readable decision.
They are not a confidence interval and ignore how agents would have reacted to another past.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any, Final, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from agentsim.analysis.frames.columns import GENERATION, KEY
from agentsim.analysis.frames.decisions import lost, own_fraction
from agentsim.analysis.frames.maximum import gives_shares
from agentsim.analysis.frames.study import Study
from agentsim.log.records import RunStarted

__all__ = ["Band", "final_resources_band", "fraction_band", "score_sensitivity", "sensitivity"]

Numbers = npt.NDArray[np.int64]
FLOATS: Final = ("fraction", "donor_before")
NEEDED: Final = [*GENERATION, "game", "round", "donor", "recipient", "act", "is_lost", "own", *FLOATS]


class Band(NamedTuple):
    """A number, and the least and the most it could have been; None if not defined."""

    observed: float | None
    low: float | None
    """None, like `high`, if no bound is known."""
    high: float | None
    own_mean: float | None = None
    """The number if each lost decision had been its agent's mean in that generation."""


def fraction_band(encounters: pd.DataFrame) -> Band:
    """Return the mean fraction given, and its exact bounds over all values of the lost decisions.

    With S the sum of the n fractions that donors gave by decisions of their own, and k lost decisions of donors that
    had something to give: observed S/n, low S/(n + k) (each gives nothing), high (S + k)/(n + k) (each gives
    everything). If some of them had punished instead, they would count in no mean, and the result would lie between
    the same bounds.
    """
    [band] = _fraction_bands(_decided(encounters), np.zeros(len(encounters), dtype=np.int64), n_groups=1)
    return band


def _fraction_bands(known: pd.DataFrame, group: Numbers, *, n_groups: int) -> list[Band]:
    """Return `fraction_band` of each group of encounters."""
    fractions, is_own = known["own"].to_numpy(float), known["own"].notna().to_numpy()
    could = (known["is_lost"] & (known["donor_before"] > 0)).to_numpy(dtype=bool, na_value=False)
    totals = np.bincount(group[is_own], weights=fractions[is_own], minlength=n_groups).tolist()
    n_own, n_could = (np.bincount(group[which], minlength=n_groups).tolist() for which in (is_own, could))
    return [
        Band(total / n if n else None, total / (n + k), (total + k) / (n + k)) if n + k else Band(None, None, None)
        for total, n, k in zip(totals, n_own, n_could, strict=True)
    ]


def final_resources_band(encounters: pd.DataFrame, *, started: RunStarted, n_agents: int) -> Band:
    """Return the mean final resources (units) of one generation, and exact bounds given all readable fractions.

    A unit's worth at the end is computed backwards through each game: a donor that gave the fraction f keeps (1 - f) of
    a unit's worth and passes on f × multiplier of the recipient's. For a lost decision, f is chosen between 0 and 1 to
    be worst or best; worths are >= 0, so the worst or best choice at each step is the worst or best of all. A donor
    that had nothing to give is free as well: it might have had something after another past.

    The game must let donors give any share (`gives_shares`).

    With punishment there are no bounds, because what it removes is not proportional to what agents hold: then the
    encounters are played again in their order.
    """
    game, known = started.condition["game"], _decided(encounters)
    if game.get("punishment") is not None:
        return _played_again(known, game=game, n_agents=n_agents)
    [band] = _worth_bands(known, np.zeros(len(known), dtype=np.int64), games=[game], n_agents=[n_agents])
    return band


def _worth_bands(
    known: pd.DataFrame, group: Numbers, *, games: Sequence[Mapping[str, Any]], n_agents: Sequence[int]
) -> list[Band]:
    """Return `final_resources_band` of each generation: `group` is the place of an encounter's own in the others."""
    n_groups = len(games)
    agents, _ = pd.factorize(pd.concat([known["donor"], known["recipient"]]))
    number = known["game"].to_numpy(dtype=np.int64)
    of_game = group * (number.max(initial=0) + 1) + number
    pairs = np.tile(of_game, 2) * (agents.max(initial=0) + 1) + agents
    _, firsts, holders = np.unique(pairs, return_index=True, return_inverse=True)
    donors, recipients = np.split(holders, 2)
    is_lost = known["is_lost"].to_numpy(dtype=bool)
    is_free = is_lost | (known["donor_before"] == 0).to_numpy(dtype=bool, na_value=False)
    given = np.where(is_lost, 0.0, np.nan_to_num(known["fraction"].to_numpy(float)))
    shares = np.vstack([given, given, given, np.where(is_lost, _own_shares(known, group, agents), given)])
    multiplier = np.array([game["multiplier"] for game in games], dtype=float)[group]
    worth = np.ones((len(WAYS), len(firsts)))
    rounds = known["round"].to_numpy(dtype=np.int64)
    order = np.argsort(-rounds, kind="stable")
    for now in np.split(order, np.flatnonzero(np.diff(rounds[order])) + 1):  # a holder meets once in a round
        kept, passed = worth[:, donors[now]], multiplier[now] * worth[:, recipients[now]]
        after = (1 - shares[:, now]) * kept + shares[:, now] * passed
        for way, choose in ((1, np.minimum), (2, np.maximum)):
            after[way] = np.where(is_free[now], choose(kept[way], passed[way]), after[way])
        worth[:, donors[now]] = after
    of_holder = np.tile(group, 2)[firsts]
    n_games = np.bincount(group[np.unique(of_game, return_index=True)[1]], minlength=n_groups)
    n_holders = n_games * np.array(n_agents)
    n_idle = n_holders - np.bincount(of_holder, minlength=n_groups)  # agents without an encounter hold the endowment
    endowment = np.array([game["endowment"] for game in games], dtype=float)
    means = [
        endowment * (np.bincount(of_holder, weights=way_worth, minlength=n_groups) + n_idle) / n_holders
        for way_worth in worth
    ]
    return [Band(*band) for band in np.transpose(means).tolist()]


WAYS: Final = Band._fields
"""The treatments of a lost decision: nothing, the worst, the best, its agent's mean."""


def _own_shares(known: pd.DataFrame, group: Numbers, agents: Numbers) -> npt.NDArray[np.float64]:
    """Return for each decision the mean fraction of its agent in its group; if it has none, that of the group, or 0."""
    agent_means = known["own"].groupby([group, agents[: len(known)]]).transform("mean")
    everyone = known["own"].groupby(group).transform("mean")
    return agent_means.fillna(everyone).fillna(0.0).to_numpy(float)


def _decided(encounters: pd.DataFrame) -> pd.DataFrame:
    """Add whether each decision is lost (`is_lost`), and the fraction that the donor decided (`own`), as floats."""
    if "is_lost" in encounters:  # already computed, for more encounters than these
        return encounters
    floats = {
        name: encounters[name].astype("Float64").to_numpy(float, na_value=np.nan)
        for name in FLOATS
        if name in encounters
    }
    fractions = own_fraction(encounters).astype("Float64").to_numpy(float, na_value=np.nan)
    return encounters.assign(is_lost=lost(encounters), own=fractions, **floats)


def _own_means(known: pd.DataFrame) -> tuple[dict[Any, float], float]:
    """Return the mean fraction of each agent that decided, and of all decisions (NaN without any)."""
    return known.groupby("donor")["own"].mean().dropna().to_dict(), float(known["own"].mean())


def _played_again(encounters: pd.DataFrame, *, game: Mapping[str, Any], n_agents: int) -> Band:
    """Return the mean final resources if each lost decision moves nothing, and if it is its agent's mean fraction."""
    means, everyone = _own_means(encounters)
    removes = game["punishment"]["effect"] / game["punishment"]["cost"]
    endowment = float(game["endowment"])
    held: list[dict[tuple[int, str], float]] = [{}, {}]
    ordered = encounters.sort_values(["game", "round"])
    columns = ["game", "donor", "recipient", "act", "fraction", "is_lost"]
    for number, donor, recipient, act, fraction, is_lost in ordered[columns].itertuples(index=False, name=None):
        mean = means.get(donor, everyone)
        for units, share in zip(held, (0.0, 0.0 if isnan(mean) else mean), strict=True):
            before, others = units.get((number, donor), endowment), units.get((number, recipient), endowment)
            amount = before * (share if is_lost else 0.0 if isnan(fraction) else fraction)
            is_punished = act == "punish" and not is_lost
            moved = -min(amount * removes, others) if is_punished else game["multiplier"] * amount
            units[number, donor], units[number, recipient] = before - amount, others + moved
    n_holders = encounters["game"].nunique() * n_agents
    observed, own_mean = ((sum(units.values()) + endowment * (n_holders - len(units))) / n_holders for units in held)
    return Band(observed, None, None, own_mean)


def score_sensitivity(study: Study, bands: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return each condition's score under several treatments of lost decisions, over its complete runs.

    `bands` is the result of `sensitivity` for this study, if already known.

    The score is the geometric mean over runs of the last generation's mean final resources (units). Columns: study,
    condition; `n_runs`; `as_zero`, the score as logged: a lost decision moved nothing; `as_own_mean`, the score if each
    of the last generation's lost decisions had been its agent's mean; `low` and `high`, its exact bounds; `n_whole`,
    runs that lost no decision in any generation, and `whole_only`, the score of these alone. Missing if a number is not
    defined (such as the bounds under punishment) or a score is 0.
    """
    bands = sensitivity(study) if bands is None else bands
    lost_in_all = bands.groupby(KEY, sort=False)["n_lost"].sum()
    last = bands.sort_values("generation", kind="stable").groupby(KEY, sort=False).last()
    runs = study.runs[study.runs["status"] == "complete"].set_index(KEY)[["condition"]].join(last)
    rows = []
    for (name, condition), condition_runs in runs.groupby(["study", "condition"], sort=True):
        whole = condition_runs[lost_in_all.reindex(condition_runs.index) == 0]
        rows.append(
            {
                "study": name,
                "condition": condition,
                "n_runs": len(condition_runs),
                "as_zero": _geometric(condition_runs["resources"]),
                "as_own_mean": _geometric(condition_runs["resources_own_mean"]),
                "low": _geometric(condition_runs["resources_low"]),
                "high": _geometric(condition_runs["resources_high"]),
                "n_whole": len(whole),
                "whole_only": _geometric(whole["resources"]),
            }
        )
    kinds = dict.fromkeys(SCORES, "Float64") | dict.fromkeys(("study", "condition"), "string")
    return pd.DataFrame(rows, columns=SCORES).astype(kinds | dict.fromkeys(("n_runs", "n_whole"), "Int64"))


SCORES: Final = ["study", "condition", "n_runs", "as_zero", "as_own_mean", "low", "high", "n_whole", "whole_only"]


def _geometric(values: pd.Series) -> float | None:
    known = values.dropna().astype(float)
    if known.empty or len(known) < len(values) or (known <= 0).any():
        return None
    return float(np.exp(np.log(known).mean()))


def sensitivity(study: Study) -> pd.DataFrame:
    """Return the bounds of each generation that has ended.

    Columns: study, run, generation; `n_lost` and `n_encounters`; `fraction`, `fraction_low`, `fraction_high`;
    `resources`, `resources_low`, `resources_high` (units), and `resources_own_mean`, if each lost decision had been its
    agent's mean in that generation (or all agents' mean if it has none). Missing if a number is not defined.
    """
    ended: dict[Any, Any] = study.generations.set_index(GENERATION)["mean_final_resources"].to_dict()
    agents = study.agents.groupby(GENERATION)["agent"].nunique().to_dict()
    known = _decided(study.encounters)[NEEDED]
    known = known[pd.MultiIndex.from_frame(known[GENERATION]).isin(list(ended))]
    group, index = pd.factorize(pd.MultiIndex.from_frame(known[GENERATION]))
    keys = [cast(tuple[str, str, int], key) for key in index]
    n_encounters = np.bincount(group, minlength=len(keys)).tolist()
    n_lost = np.bincount(group[known["is_lost"].to_numpy(dtype=bool)], minlength=len(keys)).tolist()
    given = _fraction_bands(known, group, n_groups=len(keys))
    ends = _ends(study, known, group, keys=keys, n_agents=[int(agents[key]) for key in keys])
    rows = [
        {
            "study": key[0],
            "run": key[1],
            "generation": key[2],
            "n_lost": n_lost[place],
            "n_encounters": n_encounters[place],
            "fraction": given[place].observed,
            "fraction_low": given[place].low,
            "fraction_high": given[place].high,
            "resources": float(ended[key]),
            "resources_low": ends[place].low,
            "resources_high": ends[place].high,
            "resources_own_mean": ends[place].own_mean,
        }
        for place, key in enumerate(keys)
    ]
    text, count, number = "string", "Int64", "Float64"
    dtypes = {
        **dict.fromkeys(("study", "run"), text),
        **dict.fromkeys(("generation", "n_lost", "n_encounters"), count),
        **dict.fromkeys(("fraction", "fraction_low", "fraction_high"), number),
        **dict.fromkeys(("resources", "resources_low", "resources_high", "resources_own_mean"), number),
    }
    return pd.DataFrame(rows, columns=list(dtypes)).astype(dtypes)


def _ends(
    study: Study, known: pd.DataFrame, group: Numbers, *, keys: Sequence[tuple[str, str, int]], n_agents: Sequence[int]
) -> list[Band]:
    """Return `final_resources_band` of each generation; an empty band if donors may not give any share."""
    games = [study.started[name, run].condition["game"] for name, run, _ in keys]
    bands = [Band(None, None, None)] * len(keys)
    is_linear = np.array([gives_shares(game) and game.get("punishment") is None for game in games], dtype=bool)
    places: list[int] = np.flatnonzero(is_linear).tolist()
    if places:
        is_of_linear = is_linear[group]
        linear_bands = _worth_bands(
            known[is_of_linear],
            np.searchsorted(places, group[is_of_linear]),
            games=[games[place] for place in places],
            n_agents=[n_agents[place] for place in places],
        )
        for place, band in zip(places, linear_bands, strict=True):
            bands[place] = band
    for place in np.flatnonzero(~is_linear).tolist():
        if gives_shares(games[place]):
            bands[place] = _played_again(known[group == place], game=games[place], n_agents=n_agents[place])
    return bands
