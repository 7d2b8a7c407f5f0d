"""What came out: resources, how near they are to what the schedule allows, rise and collapse, inequality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from agentsim.runlog import RunStarted

__all__ = [
    "TAKE_OFF",
    "collapse",
    "constant_share_means",
    "efficiency",
    "geometric_means",
    "gini",
    "implied_share",
    "mean_final_resources",
    "take_off",
]

TAKE_OFF: Final = 4.0
"""A run took off once a generation's mean final resources are at least this many times its first's."""
COLLAPSE: Final = 0.1
"""A run has collapsed from the generation on after which no mean fraction given is above this."""
KEY: Final = ["study", "run"]
GENERATION: Final = [*KEY, "generation"]


def mean_final_resources(generations: pd.DataFrame) -> pd.DataFrame:
    """Return by run and generation mean final resources (units), and their natural logarithm.

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
    with a score above 0; `mean`; `low` and `high`, one standard error of the logarithm around it. These are missing for
    a single run, and the mean where all scores are 0.
    """
    logs = _log(scores["mean_final_resources"].where(scores["mean_final_resources"] > 0))
    groups = scores.assign(log=logs).groupby(["condition", "generation"], sort=True)["log"]
    frame = groups.agg(n="count", centre="mean", spread="std").reset_index()
    error: pd.Series[Any] = frame["spread"] / np.sqrt(frame["n"].where(frame["n"] > 1).astype("Float64"))
    return frame[["condition", "generation", "n"]].assign(
        mean=np.exp(frame["centre"]), low=np.exp(frame["centre"] - error), high=np.exp(frame["centre"] + error)
    )


def efficiency(generations: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return by run and generation log(score/endowment) / log(maximum/endowment).

    The maximum is that of the schedule really played (`generations.maximum`). 0: as if nobody gave; 1: as if all gave
    all; below 0 where punishment destroyed more than giving made. Missing at a score of 0 and where nothing can be
    gained. Columns: study, run, generation, efficiency. Resources multiply, so a constant share is nearly a constant
    efficiency; on a linear scale all but the best societies would be near 0.
    """
    frame = generations.merge(runs[[*KEY, "endowment"]], on=KEY)
    score = frame["mean_final_resources"] / frame["endowment"]
    top = frame["maximum"] / frame["endowment"]
    frame["efficiency"] = _log(score.where(score > 0)) / _log(top.where(top > 1))
    return frame[[*GENERATION, "efficiency"]]


def implied_share(
    generations: pd.DataFrame, encounters: pd.DataFrame, started: Mapping[tuple[str, str], RunStarted]
) -> pd.DataFrame:
    """Return by run and generation the share s for which this schedule gives this score if all always gave s.

    The schedule is that of the encounters in the log, played again with constant shares; s is found by bisection to
    1e-6. Columns: study, run, generation, implied_share (0 to 1). Missing where no s in that range gives the score (as
    after punishment), or where the game's rules are not in the log. Unlike the mean fraction it weighs gifts by what
    they came to. Source: the closed forms of the alternating schedule, for any schedule.
    """
    rows = []
    scores = generations.set_index(GENERATION)["mean_final_resources"].to_dict()
    for key, own in encounters.groupby(GENERATION, sort=True):
        study, run, generation = str(key[0]), str(key[1]), key[2]
        game = started[study, run].condition.get("game", {}) if (study, run) in started else {}
        score = scores.get(key, pd.NA)
        share = pd.NA
        if isinstance(game.get("multiplier"), int | float) and not pd.isna(score):
            share = _share_of(own, float(score), float(game["endowment"]), float(game["multiplier"]))
        rows.append((study, run, generation, share))
    frame = pd.DataFrame(rows, columns=[*GENERATION, "implied_share"])
    return frame.astype({"generation": "Int64", "implied_share": "Float64"})


def constant_share_means(
    encounters: pd.DataFrame, shares: npt.ArrayLike, *, endowment: float, multiplier: float
) -> npt.NDArray[np.float64]:
    """Return the mean final resources (units), (n,), of a generation's schedule if all always gave each of `shares`."""
    return _means(_schedule(encounters), shares, endowment=endowment, multiplier=multiplier)


class _Schedule(NamedTuple):
    """Who gives to whom, round by round: the holders of each game have numbers of their own."""

    rounds: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]
    """Donors and recipients."""
    n_holders: int


def _schedule(encounters: pd.DataFrame) -> _Schedule:
    games = encounters["game"].astype(str) + "/"
    holders, names = pd.factorize(pd.concat([games + encounters["donor"], games + encounters["recipient"]]))
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


def _share_of(encounters: pd.DataFrame, score: float, endowment: float, multiplier: float) -> Any:
    schedule = _schedule(encounters)
    low, high = 0.0, 1.0

    def means(shares: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return _means(schedule, shares, endowment=endowment, multiplier=multiplier)

    least, most = means([low, high]).tolist()
    if not least * (1 - 1e-9) <= score <= most * (1 + 1e-9) or multiplier <= 1:
        return pd.NA
    # Twelve steps at once: a grid of 65 shares narrows the bracket 64-fold.
    while high - low > 1e-6:
        grid = np.linspace(low, high, 65)
        place = int(np.clip(np.searchsorted(means(grid), score), 1, 64))
        low, high = float(grid[place - 1]), float(grid[place])
    return (low + high) / 2


def gini(resources: pd.DataFrame) -> pd.DataFrame:
    """Return by run and generation the Gini coefficient of final resources, averaged over games.

    G = Σᵢ (2i - n - 1) xᵢ / (n Σ x), x in ascending order: 0 if all hold the same, (n - 1)/n if one holds all. Missing
    where nobody holds anything. Columns: study, run, generation, gini. Source: Gini 1912.
    """

    def of_game(values: pd.Series[Any]) -> float:
        x = np.sort(values.to_numpy(dtype=float))
        total, n = x.sum(), len(x)
        return float((2 * np.arange(1, n + 1) - n - 1) @ x / (n * total)) if total > 0 else float("nan")

    games = resources.groupby([*GENERATION, "game"], sort=True)["resources"].agg(of_game).astype("Float64")
    return games.groupby(GENERATION, sort=True).mean().rename("gini").reset_index()


def take_off(generations: pd.DataFrame, *, factor: float = TAKE_OFF) -> pd.DataFrame:
    """Return for each run whether it took off, when, and from which beginning.

    Columns: study, run; `first` and `last`, mean final resources (units) of its first and last generation here;
    `first_fraction`, the mean fraction given in the first; `took_off`, whether last ≥ factor x first; `generation`, the
    first at that height or above, missing if it did not take off; `followed`, generations seen. Missing for one
    generation only, or where the first is 0. The default counts three of the five published runs of Claude 3.5 Sonnet
    (4.6, 9.6 and 18 times; the others 2.5 and 3.1), four of the five with punishment, and none of the other models' (at
    most 2.3; Vallinder & Hughes 2024).
    """
    rows = []
    for key, own in generations.sort_values("generation").groupby(KEY, sort=True):
        scores, numbers = own["mean_final_resources"].to_numpy(dtype=float), own["generation"].to_numpy(dtype=int)
        row: dict[str, Any] = dict(zip(KEY, key, strict=True))
        row |= {"first": scores[0], "last": scores[-1], "first_fraction": own["mean_fraction"].iloc[0]}
        row |= {"took_off": pd.NA, "generation": pd.NA, "followed": len(own)}
        if len(own) > 1 and scores[0] > 0:
            row["took_off"] = bool(scores[-1] >= factor * scores[0])
            if row["took_off"]:
                row["generation"] = int(numbers[scores >= factor * scores[0]][0])
        rows.append(row)
    columns = {"study": "string", "run": "string", "first": "Float64", "last": "Float64", "first_fraction": "Float64"}
    columns |= {"took_off": "boolean", "generation": "Int64", "followed": "Int64"}
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)


def collapse(generations: pd.DataFrame, *, share: float = COLLAPSE) -> pd.DataFrame:
    """Return for each run whether giving collapsed, and when: from which generation on it stays at or below `share`.

    Columns: study, run; `collapsed`; `generation`, missing (censored) if it did not collapse by its last; `followed`,
    generations seen. Missing where no decision of the last generation could be read.
    """
    rows = []
    for key, own in generations.sort_values("generation").groupby(KEY, sort=True):
        fractions = own["mean_fraction"].to_numpy(dtype=float, na_value=np.nan)
        above = np.flatnonzero(~(fractions <= share))
        begin = int(above[-1]) + 1 if len(above) else 0
        is_known = not np.isnan(fractions[-1])
        did = begin < len(fractions)
        number = int(own["generation"].iloc[begin]) if did else pd.NA
        rows.append((*key, did if is_known else pd.NA, number if is_known else pd.NA, len(own)))
    columns = {"study": "string", "run": "string", "collapsed": "boolean", "generation": "Int64", "followed": "Int64"}
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)


def _log(values: pd.Series[Any]) -> pd.Series[Any]:
    logs = np.log(values.to_numpy(dtype=float, na_value=np.nan))
    return pd.Series(pd.array(logs, dtype="Float64"), index=values.index)
