"""The whole course of a run as numbers: area, slope, and time to the take-off threshold."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from agentsim.analysis.frames.columns import KEY
from agentsim.analysis.measures.outcomes import ROUNDING, TAKE_OFF, efficiency, take_off

__all__ = ["courses"]

Floats = npt.NDArray[np.float64]


def courses(generations: pd.DataFrame, runs: pd.DataFrame, *, threshold: float = TAKE_OFF) -> pd.DataFrame:
    """Return for each run what its whole course was, one number for each question.

    Columns: study, run; `area`, the mean over generations of the natural logarithm of mean final resources (its
    exponential is the geometric mean over generations, units); `slope`, the least-squares growth of that logarithm per
    generation (its exponential is the growth factor), missing for a single generation; both missing if a generation
    ended at 0 units; `time`, the first generation with an efficiency of at least `threshold`, or if there is none the
    last generation; `reached`, whether there is one (otherwise `time` is censored); `followed`, the number of
    generations. One number for each run needs no model of how its generations depend on each other.
    """
    every = generations.merge(runs[KEY], on=KEY)
    known = take_off(every, runs, threshold=threshold)[[*KEY, "took_off"]]  # missing if nothing can be gained
    heights = efficiency(every, runs)
    above = heights[(heights["efficiency"] >= threshold - ROUNDING).fillna(False)].groupby(KEY)["generation"].min()
    rows = []
    for key, of_run in every.sort_values("generation").groupby(KEY, sort=True):
        scores = of_run["mean_final_resources"].to_numpy(dtype=float)
        numbers = of_run["generation"].to_numpy(dtype=float)
        logs = np.log(scores) if (scores > 0).all() else None
        centred = numbers - numbers.mean()
        row = dict(zip(KEY, key, strict=True)) | {"followed": len(scores)}
        row["area"] = None if logs is None else float(logs.mean())
        row["slope"] = None if logs is None or len(logs) < 2 else float(centred @ logs / (centred @ centred))
        rows.append(row)
    columns = {"study": "string", "run": "string", "area": "Float64", "slope": "Float64", "followed": "Int64"}
    frame = pd.DataFrame(rows, columns=list(columns)).astype(columns)
    frame = frame.merge(known, on=KEY, how="left").join(above.rename("time"), on=KEY)
    is_known = frame["took_off"].notna()
    frame["reached"] = frame["time"].notna().astype("boolean").where(is_known)
    frame["time"] = frame["time"].astype("Int64").fillna(frame["followed"]).where(is_known)
    return frame[[*KEY, "area", "slope", "time", "reached", "followed"]]


def logrank_scores(times: npt.ArrayLike, reached: npt.ArrayLike) -> Floats:
    """Return for each of all runs 1 - H if it reached the threshold, and -H if it is censored, H at its time.

    H is the cumulative hazard of all runs together (Nelson-Aalen). A group's sum is observed minus expected of the
    log-rank test (Mantel 1966), so the permutation test of these scores is the exact log-rank test.
    """
    at, is_event = np.asarray(times, dtype=float), np.asarray(reached, dtype=bool)
    steps = np.unique(at[is_event])
    hazard = np.array([(is_event & (at == step)).sum() / (at >= step).sum() for step in steps])
    total = np.array([hazard[steps <= one].sum() for one in at])
    return np.asarray(is_event - total, dtype=float)
