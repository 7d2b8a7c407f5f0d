"""How a report opens: one sentence of what came out, and one sorted chart of the groups with their intervals.

The sentence never says more than the comparison does: what the comparison cannot say, it cannot say either.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import isfinite, log10
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from agentsim.analysis.compare import Comparison
from agentsim.analysis.foreign import one_line
from agentsim.analysis.frames.study import Study
from agentsim.analysis.labels import beginning, labels_of
from agentsim.analysis.pairs import turned
from agentsim.analysis.statistics import t_interval
from agentsim.report.tables import number

__all__ = ["Chart", "Row", "chart", "sentence"]

MAX_DOTS: Final = 60
"""The most single runs of a group that are drawn."""
WIDEST: Final = 30.0
"""An interval that reaches further beyond the runs than this many times ends in an arrow."""
WORDS: Final = {"condition": "conditions", "model": "models", "study": "studies", "player": "players"}


class Row(NamedTuple):
    """One group: places are parts of the chart's width, in percent."""

    name: str
    mean: float | None
    low: float | None
    high: float | None
    is_cut_low: bool
    is_cut_high: bool
    dots: tuple[float, ...]
    words: str


class Chart(NamedTuple):
    """Groups, sorted from the highest."""

    rows: tuple[Row, ...]
    ticks: tuple[tuple[float, str], ...]
    is_log: bool
    by: str
    beginning: str
    """What all names begin with, which is left out; empty for nothing."""


# --- the sentence --------------------------------------------------------------------------------------------------


def sentence(study: Study, comparison: Comparison | None, problem: str) -> str:
    """Return what came out, in one sentence."""
    runs = study.runs
    complete = runs[runs["status"] == "complete"]
    if complete.empty:
        return f"How these societies end cannot be said: none of {_runs(len(runs))} is complete."
    among = (
        "" if len(complete) == len(runs) else f" (from the {len(complete):,} of {_runs(len(runs))} that are complete)"
    )
    if comparison is not None:
        return one_line(_compared(comparison) + among + ".", max_chars=900)
    if problem:
        return one_line(f"What came out cannot be compared: {problem.rstrip('.')}{among}.", max_chars=900)
    return one_line(_alone(complete) + among + ".", max_chars=900)


def _alone(complete: pd.DataFrame) -> str:
    """Say what one group of runs came to."""
    names = sorted({str(name) for name in complete["condition"]})
    scores = complete["mean_final_resources"].dropna().to_numpy(dtype=float)
    of = f" of {names[0].replace('--', ', ')}" if len(names) == 1 else ""
    if not len(scores):
        return f"What the runs{of} ended with cannot be said: they have no score"
    if len(scores) == 1:
        return (
            f"The one complete run{of} ended with {number(float(scores[0]))} units for each agent on average; how such"
            " societies usually end cannot be said from a single run"
        )
    mean, low, high = _mean(scores)
    if mean is None:
        middle = f"a mean of {number(float(scores.mean()))} units"
    elif low is None or high is None:
        middle = f"a geometric mean of {number(mean)} units"
    else:
        middle = f"a geometric mean of {number(mean)} units (95 % interval {number(low)} to {number(high)})"
    return f"{len(scores):,} runs{of} ended with {middle}; there is nothing here to compare them with"


def _compared(comparison: Comparison) -> str:
    """Say which groups differ and by how much, or that this cannot be said."""
    called = labels_of(comparison.groups["group"])
    rows = turned(comparison.table).to_dict("records")
    what = WORDS.get(comparison.by, f"groups by {comparison.by}")
    found = [row for row in rows if row["verdict"] == "differ"]
    if len(rows) == 1:
        return _pair(rows[0], called)
    if found:
        first = f"All {len(rows)}" if len(found) == len(rows) else f"{len(found)} of {len(rows)}"
        rest = "" if len(found) == len(rows) else "; whether the others do cannot be said"
        clearest = next((row for row in found if not pd.isna(row["ratio"])), None)
        most = "" if clearest is None else f", by most {_ratio(clearest, called)}"
        return f"{first} pairs of {what} differ in final resources after correction{most}{rest}"
    if any(str(row["verdict"]).startswith("differ") for row in rows):
        n = sum(str(row["verdict"]).startswith("differ") for row in rows)
        return f"{n} of {len(rows)} pairs of {what} differ in survival, and none is shown to differ in final resources"
    if any(str(row["verdict"]).startswith("not yet") for row in rows):
        return f"Which {what} differ cannot be said yet: there are more looks to come"
    if all(str(row["verdict"]).startswith("cannot say") for row in rows):
        return (
            f"Which {what} differ in final resources cannot be said: there are too few runs for {len(rows)} comparisons"
        )
    return (
        f"Which {what} differ in final resources cannot be said: no difference is shown in any of {len(rows)} pairs,"
        " and neither is that they are alike"
    )


def _pair(row: Mapping[Hashable, Any], called: Mapping[str, str]) -> str:
    first, second, verdict = called[row["first"]], called[row["second"]], str(row["verdict"])
    if verdict == "differ":
        p = f"p = {row['p_holm']:.3g}"
        if pd.isna(row["ratio"]):
            return f"{first} and {second} differ in final resources ({p}, by ranks: scores of 0 have no ratio)"
        return f"{_ratio(row, called, more=f'; {p}')}"
    if verdict.startswith("differ"):
        return f"{first} and {second} differ in survival; that they do in final resources is not shown"
    open_question = f"Whether {first} and {second} differ in final resources cannot be said"
    if verdict.startswith("not yet"):
        return f"{open_question} yet: there are more looks to come"
    if verdict.startswith("cannot say"):
        return f"{open_question}: {row['n_first']} and {row['n_second']} runs are too few, whatever they bring"
    if pd.isna(row["ratio"]) or pd.isna(row["low"]):
        return f"{open_question}: p is {row['p_holm']:.3g}"
    return (
        f"{open_question}: the ratio is {number(float(row['ratio']))}, and its 95 % interval holds 1"
        f" ({number(float(row['low']))} to {number(float(row['high']))})"
    )


def _ratio(row: Mapping[Hashable, Any], called: Mapping[str, str], *, more: str = "") -> str:
    interval = (
        "no interval"
        if pd.isna(row["low"]) or pd.isna(row["high"])
        else f"95 % interval {number(float(row['low']))} to {number(float(row['high']))}"
    )
    return (
        f"{called[row['first']]} ended with {number(float(row['ratio']))} times the final resources of"
        f" {called[row['second']]} ({interval}{more})"
    )


def _runs(n: int) -> str:
    return "1 run" if n == 1 else f"{n:,} runs"


# --- the chart -----------------------------------------------------------------------------------------------------


def chart(study: Study, comparison: Comparison | None) -> Chart | None:
    """Return the groups of the comparison, or the conditions where there is none; None if no run is complete."""
    complete = study.runs[study.runs["status"] == "complete"].dropna(subset=["mean_final_resources"])
    if complete.empty:
        return None
    if comparison is not None and comparison.by != "player":
        by = comparison.by
        groups = _of_comparison(comparison, complete)
    else:
        by = "condition"
        names = study.conditions(complete).astype(str)
        groups = {}
        for name, runs in complete.groupby(names.to_numpy(), sort=True):
            scores = runs["mean_final_resources"].to_numpy(dtype=float)
            groups[str(name)] = (*_mean(scores), scores)
    return _drawn(groups, by)


Group = tuple[float | None, float | None, float | None, np.ndarray[Any, np.dtype[np.float64]]]


def _of_comparison(comparison: Comparison, complete: pd.DataFrame) -> dict[str, Group]:
    """Return mean, interval and scores of each group; the scores only where a group's name is one value of a column."""
    groups: dict[str, Group] = {}
    by = complete[comparison.by].astype(str) if comparison.by in complete else pd.Series("", complete.index)
    for row in comparison.groups.to_dict("records"):
        mean, low, high = (
            None if pd.isna(row[name]) else float(row[name]) for name in ("geometric_mean", "low", "high")
        )
        scores = complete.loc[(by == row["group"]).to_numpy(dtype=bool), "mean_final_resources"].to_numpy(dtype=float)
        groups[str(row["group"])] = (mean, low, high, scores if len(scores) == row["n_runs"] else np.array([]))
    return groups


def _mean(scores: np.ndarray[Any, Any]) -> tuple[float | None, float | None, float | None]:
    """Return the geometric mean and Student's 95 % interval of logarithms; None where there is none."""
    if not len(scores) or (scores <= 0).any():
        return None, None, None
    logs = np.log(scores)
    interval = t_interval(logs)
    low, high = (None if end is None else float(np.exp(end)) for end in (interval.low, interval.high))
    return float(np.exp(logs.mean())), low, high


def _drawn(groups: Mapping[str, Group], by: str) -> Chart | None:
    seen = [value for mean, _, _, scores in groups.values() for value in (mean, *scores) if value is not None]
    if not seen:
        return None
    is_log = min(seen) > 0
    ends = [end for _, low, high, _ in groups.values() for end in (low, high) if end is not None and isfinite(end)]
    low, high = min(seen), max(seen)
    if is_log:
        low, high = max(min([low, *ends]), low / WIDEST), min(max([high, *ends]), high * WIDEST)
        low, high = min(low / 1.15, high / 2), max(high * 1.15, low * 2)
    else:
        low, high = min(0.0, low), max([high * 1.05, *(end for end in ends if end <= high * 2), 1.0])
    called = labels_of(groups)
    if not is_log:  # then means are arithmetic, and intervals of logarithms do not belong to them
        groups = {
            name: (float(scores.mean()) if len(scores) else mean, None, None, scores)
            for name, (mean, _, _, scores) in groups.items()
        }

    def place(value: float) -> float:
        part = (log10(value) - log10(low)) / (log10(high) - log10(low)) if is_log else (value - low) / (high - low)
        return round(2 + 96 * min(1.0, max(0.0, part)), 2)

    def row(name: str) -> Row:
        mean, lower, upper, scores = groups[name]
        middle = float(scores.mean()) if mean is None and len(scores) else mean
        interval = "" if lower is None or upper is None else f" ({number(lower)} to {number(upper)})"
        return Row(
            name=one_line(called[name]),
            mean=None if middle is None else place(middle),
            low=None if lower is None else place(lower),
            high=None if upper is None else place(upper),
            is_cut_low=lower is not None and lower < low,
            is_cut_high=upper is not None and upper > high,
            dots=tuple(sorted({place(float(score)) for score in scores[:MAX_DOTS]})),
            words=f"{number(middle)}{interval}",
        )

    def height(name: str) -> float:
        mean, _, _, scores = groups[name]
        return mean if mean is not None else float(scores.mean()) if len(scores) else float("-inf")

    names = sorted(groups, key=lambda name: (-height(name), name))
    return Chart(
        tuple(row(name) for name in names),
        tuple((place(value), number(value)) for value in _ticks(low, high, is_log=is_log)),
        is_log,
        one_line(by),
        one_line(beginning([*groups])),
    )


def _ticks(low: float, high: float, *, is_log: bool) -> Sequence[float]:
    """Return three to seven round numbers."""
    if not is_log:
        step = 10 ** int(np.floor(log10((high - low) / 2)))
        step = next(step * factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= 6)
        return [float(step * n) for n in range(int(np.ceil(low / step)), int(high / step) + 1)]
    powers = range(int(np.floor(log10(low))), int(np.ceil(log10(high))) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        ticks = [float(f"{factor * 10.0**power:.6g}") for power in powers for factor in factors]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 3:
            break
    every = int(np.ceil(len(ticks) / 7))
    return ticks[::every]
