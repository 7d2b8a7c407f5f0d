"""How much could the decisions that nobody read have changed? Exact bounds, whatever they would have been.

A decision is *lost* where no valid answer came: the encounter is missing, or the scenario's fallback counted it as a
gift of 0. The bounds hold everything else as it happened: who met whom, and the fraction of each decision that was
read. They are not a confidence interval and know nothing of how agents would have reacted to another past.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan
from typing import Any, Final, NamedTuple, cast

import numpy as np
import pandas as pd

from agentsim.analysis.frames.columns import GENERATION, KEY
from agentsim.analysis.frames.decisions import lost, own_fraction
from agentsim.analysis.frames.maximum import gives_shares
from agentsim.analysis.frames.study import Study
from agentsim.log.records import RunStarted

__all__ = ["Band", "final_resources_band", "fraction_band", "score_sensitivity", "sensitivity"]

FLOATS: Final = ("fraction", "donor_before")
NEEDED: Final = [*GENERATION, "game", "round", "donor", "recipient", "act", "is_lost", "own", *FLOATS]


class Band(NamedTuple):
    """A number, and the least and the most it could have been; None where it is not defined."""

    observed: float | None
    low: float | None
    """None, as `high`, where no bound is known."""
    high: float | None
    own_mean: float | None = None
    """The number if each lost decision had been its agent's own mean of that generation."""


def fraction_band(encounters: pd.DataFrame) -> Band:
    """Return the mean fraction given, and its exact bounds over everything the lost decisions could have been.

    With S the sum of the n fractions that donors gave by decisions of their own, and k lost decisions of donors that
    had something to give: observed S/n, low S/(n + k) (each gives nothing), high (S + k)/(n + k) (each gives all).
    Had some of them punished instead, they would count in no mean, and the result would lie between the same bounds.
    """
    known = _decided(encounters)
    own = known["own"].dropna()
    total, n = float(own.sum()), len(own)
    k = int((known["is_lost"] & (known["donor_before"] > 0)).sum())
    if n + k == 0:
        return Band(None, None, None)
    return Band(total / n if n else None, total / (n + k), (total + k) / (n + k))


def final_resources_band(encounters: pd.DataFrame, *, started: RunStarted, n_agents: int) -> Band:
    """Return the mean final resources (units) of one generation, and exact bounds given all fractions that were read.

    What a unit is worth at the end is computed backwards through each game: a donor that gave the fraction f keeps
    (1 - f) of a unit's worth and passes on f × multiplier of the recipient's. Where the decision is lost, f is chosen,
    between 0 and 1, to be worst or best; worths are >= 0, so choosing so at each step is worst or best of all. A donor
    that had nothing to give is free as well: it might have had something after another past.

    The game must let donors give any share (`gives_shares`).

    Where punishment is allowed there are no bounds, as what it removes is not proportional to what agents hold: the
    encounters are played again in their order.
    """
    game, known = started.condition["game"], _decided(encounters)
    if game.get("punishment") is not None:
        return _played_again(known, game=game, n_agents=n_agents)
    is_certain = not known["is_lost"].any() and bool((known["donor_before"] > 0).all())
    worth: dict[str, dict[tuple[int, str], float]] = {"observed": {}}
    if not is_certain:
        worth |= {"low": {}, "high": {}, "own mean": {}}
    means, everyone = ({}, np.nan) if is_certain else _own_means(known)
    choose = {"low": min, "high": max}
    ordered = known.sort_values(["game", "round"], ascending=False)
    columns = ["game", "donor", "recipient", "fraction", "is_lost", "donor_before"]
    for number, donor, recipient, fraction, is_lost, before in ordered[columns].itertuples(index=False, name=None):
        given = 0.0 if is_lost or isnan(fraction) else fraction
        for name, values in worth.items():
            kept = values.get((number, donor), 1.0)
            passed = game["multiplier"] * values.get((number, recipient), 1.0)
            if name in choose and (is_lost or before == 0):
                values[number, donor] = choose[name](kept, passed)
            else:
                of_its_own = name == "own mean" and is_lost and not isnan(everyone)
                share = means.get(donor, everyone) if of_its_own else given
                values[number, donor] = (1 - share) * kept + share * passed
    n_holders = encounters["game"].nunique() * n_agents
    mean = {
        name: game["endowment"] * (sum(values.values()) + n_holders - len(values)) / n_holders
        for name, values in worth.items()
    }
    observed = mean["observed"]
    return Band(observed, mean.get("low", observed), mean.get("high", observed), mean.get("own mean", observed))


def _decided(encounters: pd.DataFrame) -> pd.DataFrame:
    """Add whether each decision is lost (`is_lost`), and the fraction of the donor's own (`own`); numbers as floats."""
    if "is_lost" in encounters:  # they are known already, of more encounters than these
        return encounters
    floats = {
        name: encounters[name].astype("Float64").to_numpy(float, na_value=np.nan)
        for name in FLOATS
        if name in encounters
    }
    own = own_fraction(encounters).astype("Float64").to_numpy(float, na_value=np.nan)
    return encounters.assign(is_lost=lost(encounters), own=own, **floats)


def _own_means(known: pd.DataFrame) -> tuple[dict[Any, float], float]:
    """Return the mean fraction of each agent that decided, and that of all decisions (NaN without any)."""
    return known.groupby("donor")["own"].mean().dropna().to_dict(), float(known["own"].mean())


def _played_again(encounters: pd.DataFrame, *, game: Mapping[str, Any], n_agents: int) -> Band:
    """Return the mean final resources with each lost decision moving nothing, and as a gift of its agent's own mean."""
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
    """Return how each condition's score depends on what is made of lost decisions, over its complete runs.

    `bands`: what `sensitivity` returns of this study, where that is known already.

    The score is the geometric mean over runs of the last generation's mean final resources (units). Columns: study,
    condition; `n_runs`; `as_zero`, the score as it is logged, nothing having moved where a decision was lost;
    `as_own_mean`, if each of the last generation's lost decisions had been its agent's own mean; `low` and `high`, its
    exact bounds; `n_whole`, runs that lost no decision in any generation, and `whole_only`, the score of these alone.
    Missing where a number is not defined (as the bounds under punishment) or a score is 0.
    """
    bands = sensitivity(study) if bands is None else bands
    lost_in_all = bands.groupby(KEY, sort=False)["n_lost"].sum()
    last = bands.sort_values("generation", kind="stable").groupby(KEY, sort=False).last()
    runs = study.runs[study.runs["status"] == "complete"].set_index(KEY)[["condition"]].join(last)
    rows = []
    for (name, condition), own in runs.groupby(["study", "condition"], sort=True):
        whole = own[lost_in_all.reindex(own.index) == 0]
        rows.append(
            {
                "study": name,
                "condition": condition,
                "n_runs": len(own),
                "as_zero": _geometric(own["resources"]),
                "as_own_mean": _geometric(own["resources_own_mean"]),
                "low": _geometric(own["resources_low"]),
                "high": _geometric(own["resources_high"]),
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
    agent's own mean of that generation (all agents' where it has none). Missing where a number is not defined.
    """
    ended = study.generations.set_index(GENERATION)["mean_final_resources"].to_dict()
    agents = study.agents.groupby(GENERATION)["agent"].nunique().to_dict()
    rows = []
    for key, own in _decided(study.encounters)[NEEDED].groupby(GENERATION, sort=False):
        name, run, generation = cast(tuple[str, str, int], key)
        if key not in ended:
            continue
        given = fraction_band(own)
        started = study.started[name, run]
        if gives_shares(started.condition["game"]):
            ends = final_resources_band(own, started=started, n_agents=int(agents[key]))
        else:  # what could have been given depends on what is held: there are no bounds
            ends = Band(float(ended[key]), None, None)
        rows.append(
            {
                "study": name,
                "run": run,
                "generation": generation,
                "n_lost": int(own["is_lost"].sum()),
                "n_encounters": len(own),
                "fraction": given.observed,
                "fraction_low": given.low,
                "fraction_high": given.high,
                "resources": float(ended[key]),
                "resources_low": ends.low,
                "resources_high": ends.high,
                "resources_own_mean": ends.own_mean,
            }
        )
    text, count, number = "string", "Int64", "Float64"
    dtypes = {
        **dict.fromkeys(("study", "run"), text),
        **dict.fromkeys(("generation", "n_lost", "n_encounters"), count),
        **dict.fromkeys(("fraction", "fraction_low", "fraction_high"), number),
        **dict.fromkeys(("resources", "resources_low", "resources_high", "resources_own_mean"), number),
    }
    return pd.DataFrame(rows, columns=list(dtypes)).astype(dtypes)
