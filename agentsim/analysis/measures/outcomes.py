"""Outcomes of runs: resources, efficiency, take-off and collapse, inequality."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from agentsim.analysis.cooperation import is_linear
from agentsim.analysis.frames.columns import GENERATION, KEY
from agentsim.analysis.frames.maximum import gives_shares
from agentsim.analysis.frames.study import Study
from agentsim.log.records import RunStarted

__all__ = [
    "TAKE_OFF",
    "TAKE_OFFS",
    "arithmetic_means",
    "central_means",
    "collapse",
    "constant_share_means",
    "efficiency",
    "geometric_means",
    "gini",
    "implied_share",
    "mean_final_resources",
    "take_off",
    "take_off_sensitivity",
]

TAKE_OFF: Final = 0.7
"""A run took off if it ends at this efficiency or above: seven tenths of the way, on a log scale, from nobody giving to
the most that the schedule allows. Always giving 0.7 reaches 0.695 under the released schedule."""
TAKE_OFFS: Final = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Thresholds that show how much the number of runs that took off depends on the choice of threshold."""
N_SHARES: Final = 513
"""Shares at which a schedule is played to find the one that gives a score."""
COLLAPSE: Final = 0.1
"""A run has collapsed if the mean fraction given stays at or below this to the end."""
ROUNDING: Final = 1e-9
"""An efficiency below a threshold by no more than this counts as reaching it."""


def mean_final_resources(generations: pd.DataFrame) -> pd.DataFrame:
    """Return by run and generation the mean final resources (units) and their natural logarithm.

    Columns: study, run, generation, mean_final_resources; `log_mean_final_resources`, missing at 0. The mean is over
    agents, averaged over the generation's games (Vallinder & Hughes 2024).
    """
    frame = generations[[*GENERATION, "mean_final_resources"]].copy()
    score = frame["mean_final_resources"]
    frame["log_mean_final_resources"] = _log(score.where(score > 0))
    return frame


def geometric_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Return, by condition and generation, the geometric mean of the runs' mean final resources (units).

    `scores` has the columns condition, generation and mean_final_resources. Columns: condition, generation; `n`, runs
    with a score above 0; `mean`; `low` and `high`, one standard error of the logarithm around it, missing for a single
    run. The mean is missing if all scores are 0.
    """
    logs = _log(scores["mean_final_resources"].where(scores["mean_final_resources"] > 0))
    groups = scores.assign(log=logs).groupby(["condition", "generation"], sort=True)["log"]
    frame = groups.agg(n="count", centre="mean", spread="std").reset_index()
    error: pd.Series[Any] = frame["spread"] / np.sqrt(frame["n"].where(frame["n"] > 1).astype("Float64"))
    return frame[["condition", "generation", "n"]].assign(
        mean=np.exp(frame["centre"]), low=np.exp(frame["centre"] - error), high=np.exp(frame["centre"] + error)
    )


def arithmetic_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Return what `geometric_means` does, as arithmetic means with one standard error: for scores that add up.

    `n` counts all runs, as a score of 0 or below has a mean too.
    """
    known = scores.assign(score=scores["mean_final_resources"].astype("Float64"))
    groups = known.groupby(["condition", "generation"], sort=True)["score"]
    frame = groups.agg(n="count", mean="mean", spread="std").reset_index()
    error: pd.Series[Any] = frame["spread"] / np.sqrt(frame["n"].where(frame["n"] > 1).astype("Float64"))
    return frame[["condition", "generation", "n", "mean"]].assign(low=frame["mean"] - error, high=frame["mean"] + error)


def central_means(study: Study, scores: pd.DataFrame) -> pd.DataFrame:
    """Return the means of the conditions of a study: geometric, or arithmetic where scores add up."""
    return arithmetic_means(scores) if is_linear(study) else geometric_means(scores)


def efficiency(generations: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return by run and generation log(score/endowment) / log(maximum/endowment), or where gains add up a linear share.

    The maximum is that of the schedule really played (`generations.maximum`). 0: as if nobody gave; 1: as if everyone
    gave everything; below 0 if punishment destroyed more than giving created. Missing at a score of 0, if nothing
    can be gained, and where the maximum is not known. Columns: study, run, generation, efficiency. Resources multiply,
    so a constant share gives a nearly constant efficiency; on a linear scale all but the best societies would be near
    0. Fixed gifts, and in other games than the donor game all that encounters bring, add up, and the efficiency is
    (score - minimum) / (maximum - minimum): 0 if all moves are as little cooperative as possible, 1 if all are as
    cooperative as possible. Under fixed gifts that nobody punishes it is the share of encounters with a gift.
    """
    frame = _with_heights(generations, runs)
    frame["efficiency"] = frame["height"].where(frame["height"] > -np.inf)
    return frame[[*GENERATION, "efficiency"]]


def _with_heights(generations: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the generations with their `height`: the efficiency, or minus infinity at a score of 0 if gifts multiply.

    Missing if nothing can be gained, and where the maximum is not known. Runs that do not say their game are of the
    donor game, as published ones.
    """
    settings = [name for name in ("endowment", "game", "gift") if name in runs]
    frame = generations.merge(runs[[*KEY, *settings]], on=KEY)
    unsaid = [name for name in ("game", "gift", "minimum") if name not in frame]
    frame = frame.reindex(columns=[*frame.columns, *unsaid])
    score = frame["mean_final_resources"] / frame["endowment"]
    top = frame["maximum"] / frame["endowment"]
    with np.errstate(divide="ignore"):  # the logarithm of a score of 0 is minus infinity
        grown = _log(score.where(score >= 0)) / _log(top.where(top > 1))
    span = frame["maximum"] - frame["minimum"]
    added = (frame["mean_final_resources"] - frame["minimum"]) / span.where(span > 0)
    multiplies = (frame["game"].fillna("donor") == "donor") & (frame["gift"] != "fixed").fillna(True)
    frame["height"] = grown.where(multiplies.astype(bool), added).astype("Float64")
    return frame


def implied_share(
    generations: pd.DataFrame, encounters: pd.DataFrame, started: Mapping[tuple[str, str], RunStarted]
) -> pd.DataFrame:
    """Return by run and generation the share s that gives this score if all agents always give s in this schedule.

    The schedule is that of the encounters in the log, played again with constant shares (`constant_share_means`); if
    the score lies between those of two neighbouring shares of 0, 1/512, ..., 1, s is found there by bisection to 1e-6.
    Columns: study, run, generation, `implied_share` (0 to 1), `problem`. Missing, with the reason, if no s gives the
    score (as after punishment), if every s does, if several do, or if the game's rules are not in the log. Several can
    give it if roles do not alternate: then giving more need not earn more, because a donor may do better to keep its
    units for a recipient who will pass them on. Unlike the mean fraction it weights gifts by their effect on the score.
    """
    rows = []
    scores = generations.set_index(GENERATION)["mean_final_resources"].to_dict()
    for key, schedule in encounters.groupby(GENERATION, sort=True):
        study, run, generation = str(key[0]), str(key[1]), key[2]
        game = started[study, run].condition.get("game", {}) if (study, run) in started else {}
        score = scores.get(key, pd.NA)
        share: float | None = None
        problem: str | None = "the generation has not ended"
        if not gives_shares(game):
            problem = "donors may not give any share, or not all start with the same"
        elif not isinstance(game.get("multiplier"), int | float):
            problem = "the game's rules are not in the log"
        elif not pd.isna(score):
            share, problem = _share_of(schedule, float(score), float(game["endowment"]), float(game["multiplier"]))
        rows.append((study, run, generation, share, problem))
    frame = pd.DataFrame(rows, columns=[*GENERATION, "implied_share", "problem"])
    return frame.astype({"generation": "Int64", "implied_share": "Float64", "problem": "string"})


def constant_share_means(
    encounters: pd.DataFrame, shares: npt.ArrayLike, *, endowment: float, multiplier: float
) -> npt.NDArray[np.float64]:
    """Return the mean final resources (units), (n,), of a generation's schedule for each of `shares`, always given."""
    return _means(_schedule(encounters), shares, endowment=endowment, multiplier=multiplier)


class _Schedule(NamedTuple):
    """Who gives to whom, round by round; an agent has another number in each game."""

    rounds: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]
    """Donors and recipients."""
    n_holders: int


def _schedule(encounters: pd.DataFrame) -> _Schedule:
    agents, _ = pd.factorize(pd.concat([encounters["donor"], encounters["recipient"]]))
    games = np.tile(encounters["game"].to_numpy(dtype=np.int64), 2)
    names, holders = np.unique(games * (agents.max(initial=0) + 1) + agents, return_inverse=True)
    donors, recipients = holders[: len(encounters)], holders[len(encounters) :]
    rounds = encounters["round"].to_numpy(dtype=np.int64)
    in_order = [rounds == number for number in np.unique(rounds)]
    return _Schedule([(donors[now], recipients[now]) for now in in_order], len(names))


def _means(
    schedule: _Schedule, shares: npt.ArrayLike, *, endowment: float, multiplier: float
) -> npt.NDArray[np.float64]:
    s = np.atleast_1d(np.asarray(shares, dtype=float))
    held = np.full((schedule.n_holders, len(s)), float(endowment))
    for donors, recipients in schedule.rounds:
        given = held[donors] * s
        held[donors] -= given
        held[recipients] += multiplier * given
    return np.asarray(held.mean(axis=0))


def _share_of(
    encounters: pd.DataFrame, score: float, endowment: float, multiplier: float
) -> tuple[float | None, str | None]:
    """Return the share that gives the score, or why there is none."""
    schedule = _schedule(encounters)

    def means(shares: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return _means(schedule, shares, endowment=endowment, multiplier=multiplier)

    grid = np.linspace(0, 1, N_SHARES)
    above = means(grid) - score
    above[np.abs(above) <= ROUNDING * score] = 0
    if (above == 0).all():
        return None, "every share gives this score"
    touched = np.flatnonzero(above == 0)
    crossed = np.flatnonzero(above[:-1] * above[1:] < 0)
    if len(touched) + len(crossed) > 1:
        shares = ", ".join(f"{share:.2g}" for share in sorted([*grid[touched], *grid[crossed]]))
        return None, f"several shares give this score: {shares}"
    if len(touched):
        return float(grid[touched[0]]), None
    if not len(crossed):
        return None, "no share gives this score"
    low, high = float(grid[crossed[0]]), float(grid[crossed[0] + 1])
    sign = np.sign(above[crossed[0] + 1])
    while high - low > 1e-6:  # six bisections at once: a grid of 65 shares narrows the bracket 64-fold
        inner = np.linspace(low, high, 65)
        place = int(np.clip(np.searchsorted(sign * (means(inner) - score), 0), 1, 64))
        low, high = float(inner[place - 1]), float(inner[place])
    return (low + high) / 2, None


def gini(resources: pd.DataFrame) -> pd.DataFrame:
    """Return by run and generation the Gini coefficient of final resources, averaged over games.

    G = Σᵢ (2i - n - 1) xᵢ / (n Σ x), x in ascending order: 0 if all hold the same, (n - 1)/n if one holds everything.
    Missing if nobody holds anything. Columns: study, run, generation, gini. Source: Gini 1912.
    """

    def of_game(values: pd.Series[Any]) -> float:
        x = np.sort(values.to_numpy(dtype=float))
        total, n = x.sum(), len(x)
        return float((2 * np.arange(1, n + 1) - n - 1) @ x / (n * total)) if total > 0 else float("nan")

    games = resources.groupby([*GENERATION, "game"], sort=True)["resources"].agg(of_game).astype("Float64")
    return games.groupby(GENERATION, sort=True).mean().rename("gini").reset_index()


def take_off(generations: pd.DataFrame, runs: pd.DataFrame, *, threshold: float = TAKE_OFF) -> pd.DataFrame:
    """Return for each run whether it took off: whether the efficiency of its last generation is at least `threshold`.

    Efficiency = log(score/endowment) / log(maximum/endowment), for the schedule really played; where gains add up, it
    is linear (see `efficiency`). So a run that is near the maximum from its first generation has taken off, and one
    that multiplies a low score but stays low has not. A score of 0 is below every threshold.

    Columns: study, run; `first` and `last`, mean final resources (units) of its first and last generation here;
    `first_fraction`, the mean fraction given in the first; `efficiency` of the last, missing at a score of 0;
    `took_off`; `generation`, the first at the threshold or above, missing if it did not take off; `followed`, the
    number of generations. Missing if nothing can be gained, for example if gifts are not multiplied.

    The default counts three of the five published runs of Claude 3.5 Sonnet (efficiencies .89, .84, .73; the others
    .58), four of the five with punishment (.85 to .90; the other .56), and none of the other models' (at most .52;
    Vallinder & Hughes 2024, under the released schedule). A criterion of growth over the first generation would depend
    on the factor: of Claude's five runs, a factor of two counts five, four counts three, and five counts two.

    Raises:
        ValueError: the threshold is not above 0 and at most 1.
    """
    if not 0 < threshold <= 1:
        raise ValueError(
            f"take-off at an efficiency of {threshold:g}: state one above 0 and at most 1, as {TAKE_OFF:g}"
        )
    rows = []
    every = _with_heights(generations, runs).sort_values([*KEY, "generation"], ignore_index=True)
    all_scores = every["mean_final_resources"].to_numpy(dtype=float)
    all_numbers, fractions = every["generation"].to_numpy(dtype=int), every["mean_fraction"]
    all_heights = every["height"].to_numpy(dtype=float, na_value=np.nan)
    for key, of_run in _by_run(every):
        scores, numbers, heights = all_scores[of_run], all_numbers[of_run], all_heights[of_run]
        row: dict[str, Any] = dict(zip(KEY, key, strict=True))
        row |= {"first": scores[0], "last": scores[-1], "first_fraction": fractions[of_run.start]}
        row |= {"efficiency": heights[-1] if np.isfinite(heights[-1]) else pd.NA, "followed": len(scores)}
        row |= {"took_off": pd.NA, "generation": pd.NA}
        if not np.isnan(heights[-1]):
            row["took_off"] = bool(heights[-1] >= threshold - ROUNDING)
            if row["took_off"]:
                row["generation"] = int(numbers[heights >= threshold - ROUNDING][0])
        rows.append(row)
    columns = {"study": "string", "run": "string", "first": "Float64", "last": "Float64", "first_fraction": "Float64"}
    columns |= {"efficiency": "Float64", "took_off": "boolean", "generation": "Int64", "followed": "Int64"}
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)


def take_off_sensitivity(
    risen: pd.DataFrame, groups: pd.Series[Any], *, thresholds: Sequence[float] = TAKE_OFFS
) -> pd.DataFrame:
    """Return by group and threshold how many runs would have taken off.

    `risen` is what `take_off` returns, `groups` the name of each row's group. Columns: group; threshold (an
    efficiency); `n_took_off` of `n_followed` runs.
    """
    known = risen["took_off"].notna()
    heights = risen["efficiency"].astype("Float64").fillna(-np.inf)[known]
    frames = [
        pd.DataFrame({"group": groups[known], "threshold": threshold, "is_above": heights >= threshold - ROUNDING})
        for threshold in sorted(thresholds)
    ]
    counts = (
        pd.concat(frames).groupby(["group", "threshold"], sort=True)["is_above"].agg(["sum", "count"]).reset_index()
    )
    return counts.set_axis(["group", "threshold", "n_took_off", "n_followed"], axis=1).astype(
        {"group": "string", "threshold": "Float64", "n_took_off": "Int64", "n_followed": "Int64"}
    )


def collapse(generations: pd.DataFrame, *, share: float = COLLAPSE, trait: str = "mean_fraction") -> pd.DataFrame:
    """Return for each run whether giving collapsed, and the generation after which it stays at or below `share`.

    In other games than the donor game the trait is `mean_level`.

    Columns: study, run; `collapsed`; `generation`, the first of those that stay at or below `share`, missing (censored)
    if there is none; `followed`, the number of generations. Missing if no decision of the last generation could be
    read.
    """
    rows = []
    every = generations.sort_values([*KEY, "generation"], ignore_index=True)
    traits, numbers = every[trait].to_numpy(dtype=float, na_value=np.nan), every["generation"].to_numpy(dtype=int)
    for key, of_run in _by_run(every):
        fractions = traits[of_run]
        above = np.flatnonzero(~(fractions <= share))
        begin = int(above[-1]) + 1 if len(above) else 0
        is_known = not np.isnan(fractions[-1])
        did = begin < len(fractions)
        number = int(numbers[of_run][begin]) if did else pd.NA
        rows.append((*key, did if is_known else pd.NA, number if is_known else pd.NA, len(fractions)))
    columns = {"study": "string", "run": "string", "collapsed": "boolean", "generation": "Int64", "followed": "Int64"}
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)


def _by_run(ordered: pd.DataFrame) -> Iterator[tuple[tuple[str, str], slice]]:
    """Yield each run's key and rows; the frame is in the order of runs. Groups of pandas take twenty times as long."""
    names = [ordered[name].to_numpy(dtype=object) for name in KEY]
    is_new = np.any([values[1:] != values[:-1] for values in names], axis=0)
    begins = [0, *(np.flatnonzero(is_new) + 1).tolist()] if len(ordered) else []
    for begin, end in zip(begins, [*begins[1:], len(ordered)], strict=False):
        yield (str(names[0][begin]), str(names[1][begin])), slice(begin, end)


def _log(values: pd.Series[Any]) -> pd.Series[Any]:
    logs = np.log(values.to_numpy(dtype=float, na_value=np.nan))
    return pd.Series(pd.array(logs, dtype="Float64"), index=values.index)
