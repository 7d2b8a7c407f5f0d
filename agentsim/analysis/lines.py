"""Every tested line of a comparison: final resources, on request the whole course, and equivalence within a margin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from agentsim.analysis.equivalence import equivalence, least_equivalence_p
from agentsim.analysis.families import Look
from agentsim.analysis.frames.columns import KEY
from agentsim.analysis.measures.course import logrank_scores
from agentsim.analysis.statistics import ALPHA, RANDOM_SEED, Floats, holm, least_p, permutation_test, shift_interval

__all__ = ["COURSE", "LINES", "add_equivalence", "course_lines", "lines_frame"]

COURSE: Final = ("area", "slope", "time")
"""The outcomes of a run's whole course."""
LINES: Final = {
    "first": "string",
    "second": "string",
    "outcome": "string",
    "n_first": "Int64",
    "n_second": "Int64",
    "effect": "Float64",
    "low": "Float64",
    "high": "Float64",
    "unit": "string",
    "test": "string",
    "p": "Float64",
    "p_looked": "Float64",
    "p_holm": "Float64",
    "verdict": "string",
    "p_equivalent": "Float64",
    "equivalent_low": "Float64",
    "equivalent_high": "Float64",
    "equivalence": "string",
    "planned": "string",
    "problem": "string",
}


def course_lines(
    pairs: Sequence[tuple[str, str]],
    groups: Mapping[str, pd.DataFrame],
    courses: pd.DataFrame,
    *,
    is_paired: bool,
    alpha: float = ALPHA,
) -> list[dict[str, Any]]:
    """Return a line for each pair of groups and each outcome of the course, one number for each run."""
    known = {name: runs[[*KEY, "seed"]].merge(courses, on=KEY) for name, runs in groups.items()}
    lines = []
    for a, b in pairs:
        for outcome in COURSE:
            first, second = (known[name].dropna(subset=[outcome]) for name in (a, b))
            if is_paired:
                both = first.merge(second, on="seed", suffixes=("", "_second"))
                second = both[[column for column in both if str(column).endswith("_second")]]
                second = second.rename(columns=lambda column: str(column).removesuffix("_second"))
                first = both
            line: dict[str, Any] = {"first": a, "second": b, "outcome": outcome}
            line |= {"design": "paired" if is_paired else "unpaired", "n_first": len(first), "n_second": len(second)}
            if first.empty or second.empty:
                line |= {"p": 1.0, "least_p": 1.0, "problem": f"{outcome} is not known for any run of a group"}
                lines.append(line)
                continue
            lines.append(line | _tested(outcome, first, second, is_paired=is_paired, alpha=alpha))
    return lines


def _tested(
    outcome: str, first: pd.DataFrame, second: pd.DataFrame, *, is_paired: bool, alpha: float
) -> dict[str, Any]:
    x, y = (side[outcome].to_numpy(dtype=float) for side in (first, second))
    least = least_p(len(x), None if is_paired else len(y))
    if outcome == "time" and not is_paired:
        reached = np.concatenate([side["reached"].to_numpy(dtype=bool) for side in (first, second)])
        scores = logrank_scores(np.concatenate([x, y]), reached)
        test, kind = permutation_test(scores[: len(x)], scores[len(x) :]), "permutation, log-rank"
    else:
        test = permutation_test(x - y) if is_paired else permutation_test(x, y)
        kind = "sign-flip" if is_paired else "permutation"
    exact = "exact" if test.is_exact else f"{test.n_arrangements:,} random arrangements of seed {RANDOM_SEED}"
    line: dict[str, Any] = {"test": f"{kind}, {exact}", "p": test.p, "least_p": least}
    gap = float(x.mean() - y.mean())
    if outcome == "time":
        censored = sum(int((~side["reached"].astype(bool)).sum()) for side in (first, second))
        why = f"no interval: {censored} of {len(x) + len(y)} times are censored" if censored else "no interval of times"
        return line | {"effect": gap, "unit": "generations", "problem": why}
    interval = shift_interval(x - y, alpha=alpha) if is_paired else shift_interval(x, y, alpha=alpha)
    ends = {
        name: None if end is None else float(np.exp(end))
        for name, end in (("low", interval.low), ("high", interval.high))
    }
    problem = f"no interval: {interval.problem}" if interval.problem else None
    return line | {"effect": float(np.exp(gap)), **ends, "unit": "ratio", "problem": problem}


def add_equivalence(
    lines: Sequence[dict[str, Any]],
    logs: Mapping[tuple[str, str], tuple[Floats, Floats] | None],
    *,
    ratio: float,
    look: Look | None,
) -> None:
    """Add to lines of final resources whether their groups are equivalent within a ratio, after Holm over all pairs.

    `logs`: the log scores of each pair's groups, in the same order if paired; None if a score has none.
    """
    tested, margin = [], float(np.log(ratio))
    for line in lines:
        groups = logs[line["first"], line["second"]]
        if groups is None:
            line["equivalence"] = "cannot say: a score of 0 has no logarithm"
            continue
        x, y = groups
        is_paired = line["design"] == "paired"
        p, low, high = equivalence(x - y, margin=margin) if is_paired else equivalence(x, y, margin=margin)
        least = least_equivalence_p(len(x), None if is_paired else len(y))
        if np.isfinite(low):
            line |= {"equivalent_low": float(np.exp(low)), "equivalent_high": float(np.exp(high))}
        tested.append((line, p, least))
    every = [p for _, p, _ in tested]
    for place, ((line, p, least), adjusted) in enumerate(zip(tested, holm(every), strict=True)):
        line["p_equivalent"] = adjusted
        clearest = holm([*every[:place], min(least, p), *every[place + 1 :]])[place]
        if look is not None and not look.is_last:
            line["equivalence"] = "only tested at the last look"
            line["p_equivalent"] = None
        elif adjusted < ALPHA:
            line["equivalence"] = f"equivalent within {ratio:g}"
        else:
            line["equivalence"] = "cannot say: too few runs" if clearest >= ALPHA else "not shown"


def lines_frame(lines: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the lines as a frame with the columns of `LINES`."""
    return pd.DataFrame(list(lines), columns=list(LINES)).astype(LINES)
