"""Terminal tables of a prediction."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from rich.table import Table

from agentsim.analysis.forecast import Threshold
from agentsim.cli.tables.cells import plain, short, span, titled
from agentsim.cli.tables.probe import families_table
from agentsim.experiments.predict import Prediction

__all__ = ["predict_tables", "threshold_sentence"]


def predict_tables(result: Prediction) -> Iterator[Table]:
    """Yield the kernel, the courses, the threshold, and how the forecast did."""
    yield families_table(result.probe)
    yield _courses(result)
    if result.threshold is not None:
        yield _values(result.threshold)
    if not result.scores.empty:
        yield _scores(result.scores)


def threshold_sentence(found: Threshold) -> str:
    """Say at which value the level crosses, or that it does not."""
    mean = found.values["mean"]
    if found.critical is None:
        return (
            f"No threshold: over these values of {found.setting} the level of the last generation stays between"
            f" {short(mean.min())} and {short(mean.max())}, on one side of {found.at:g}."
        )
    sure = "" if found.share >= 0.95 else "; too few for a threshold to be sure"
    return (
        f"Threshold: the level of the last generation crosses {found.at:g} at {found.setting} {short(found.critical)}"
        f" (95 %: {span(found.low, found.high)}; {found.share:.0%} of the kernel's replicates cross{sure})."
    )


def _courses(result: Prediction) -> Table:
    course = result.found.course
    table = titled(
        "Predicted mean level",
        caption="mean: over societies, with the 95 % band that the kernel's sampling leaves; societies: where 95 % of"
        " single societies should be; logged: mean of the runs of that condition",
    )
    for name in ("rule", "generation", "mean", "95 %", "societies", "logged"):
        table.add_column(name, justify="left" if name == "rule" else "right", overflow="fold")
    logged = result.logged.groupby(["rule", "generation"])["level"].mean()
    for rule, rows in course.groupby("rule", sort=False):
        last = int(rows["generation"].max())
        for row in rows[rows["generation"].isin([1, (1 + last) // 2, last])].to_dict("records"):
            key = (rule, row["generation"])
            table.add_row(
                plain(str(rule), max_chars=40),
                str(row["generation"]),
                short(row["mean"]),
                span(row["mean_low"], row["mean_high"]),
                span(row["low"], row["high"]),
                short(logged[key]) if key in logged.index else "-",
            )
    return table


def _values(found: Threshold) -> Table:
    table = titled(f"Level of the last generation by {plain(found.setting).plain}", caption=threshold_sentence(found))
    for name in ("value", "mean", "95 %"):
        table.add_column(name, justify="right")
    for row in found.values.to_dict("records"):
        table.add_row(f"{row['value']:g}", short(row["mean"]), span(row["low"], row["high"]))
    return table


def _scores(scores: pd.DataFrame) -> Table:
    table = titled(
        "The forecast against runs that it did not see",
        caption="CRPS: in levels, 0 is perfect; skill: 1 minus its ratio to that of runs that stay as they began;"
        " in 95 %, in 50 %: share of generations within that interval of single societies; last: of last generations,"
        " with the exact 95 % interval",
    )
    for name in ("condition", "runs", "CRPS", "skill", "RMSE", "in 95 %", "in 50 %", "last"):
        table.add_column(name, justify="left" if name == "condition" else "right", overflow="fold")
    for row in scores.to_dict("records"):
        table.add_row(
            plain(row["rule"], max_chars=40),
            str(row["n_runs"]),
            short(row["crps"]),
            short(row["skill"]),
            short(row["rmse"]),
            short(row["covered"]),
            short(row["half_covered"]),
            f"{short(row['covered_last'])} ({span(row['covered_last_low'], row['covered_last_high'])})",
        )
    return table
