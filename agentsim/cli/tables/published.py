"""Tables of published runs, for comparison with the study's."""

from __future__ import annotations

from rich.table import Table

from agentsim.analysis.frames.study import Study
from agentsim.analysis.measures.outcomes import efficiency
from agentsim.analysis.published import SOURCE, published_like, published_summary, published_unlike
from agentsim.cli.tables.cells import MAX_TEXT, called, plain, short, span, titled

__all__ = ["published_table", "published_unlike_table"]


def published_table(study: Study) -> Table | None:
    """Return published runs under the study's schedule and rules, first and last generation; `None` without any."""
    theirs = published_summary(published_like(study))
    if theirs.empty:
        return None
    table = titled(
        "Published runs under the same rules",
        caption="mean: over runs (units), with its standard error; geometric: the geometric mean, with one standard"
        f" error of the logarithm. {SOURCE}",
    )
    for name in ("runs of", "runs", "gen", "mean", "s.e.", "geometric", "from - to"):
        table.add_column(name, justify="left" if name == "runs of" else "right", overflow="fold")
    for label, label_rows in theirs.groupby("label", sort=True):
        for row in (label_rows.iloc[0], label_rows.iloc[-1]):
            table.add_row(
                called(str(label).removeprefix("published: ")),
                str(row["n"]),
                str(row["generation"]),
                short(row["mean"]),
                short(row["standard_error"]),
                short(row["geometric_mean"]),
                span(row["low"], row["high"]),
            )
    return table


def published_unlike_table(study: Study) -> Table | None:
    """Return the efficiency of the study and of published runs under other rules, first and last generation."""
    theirs, differences = published_unlike(study)
    if theirs.empty:
        return None
    measured = efficiency(study.generations, study.runs).dropna(subset=["efficiency"])
    measured = measured.assign(label=study.conditions(measured))
    table = titled(
        "Efficiency, beside published runs under other rules",
        caption="0: as if nobody gave, 1: the most that the schedule allows; mean over runs. Units cannot be compared,"
        f" because the rules differ: {plain('; '.join(differences), max_chars=MAX_TEXT * 2).plain}. {SOURCE}",
    )
    for name in ("runs of", "runs", "gen", "mean", "from - to"):
        table.add_column(name, justify="left" if name == "runs of" else "right", overflow="fold")
    for frame in (measured, theirs.assign(study="published")):
        for label, label_rows in frame.groupby("label", sort=True):
            for generation in (label_rows["generation"].min(), label_rows["generation"].max()):
                values = label_rows[label_rows["generation"] == generation]["efficiency"].astype(float)
                table.add_row(
                    called(str(label)),
                    str(len(values)),
                    str(generation),
                    f"{values.mean():.2f}",
                    f"{values.min():.2f} to {values.max():.2f}",
                )
    return table
