"""Published runs, beside the study's own."""

from __future__ import annotations

from rich.table import Table

from agentsim.analysis.frames.study import Study
from agentsim.analysis.measures.outcomes import efficiency
from agentsim.analysis.published import SOURCE, published_like, published_summary, published_unlike
from agentsim.cli.tables.cells import MAX_TEXT, plain, short, span, titled

__all__ = ["published_table", "published_unlike_table"]


def published_table(study: Study) -> Table | None:
    """Return the published runs of the study's schedule and rules, first and last generation; `None` without any."""
    theirs = published_summary(published_like(study))
    if theirs.empty:
        return None
    table = titled(
        "Published runs of the same rules",
        caption="mean: over runs (units), with its standard error; geometric: the geometric mean, with one standard"
        f" error of the logarithm. {SOURCE}",
    )
    for name in ("runs of", "runs", "gen", "mean", "s.e.", "geometric", "from - to"):
        table.add_column(name, justify="left" if name == "runs of" else "right", overflow="fold")
    for label, own in theirs.groupby("label", sort=True):
        for row in (own.iloc[0], own.iloc[-1]):
            table.add_row(
                plain(str(label).removeprefix("published: ")),
                str(row["n"]),
                str(row["generation"]),
                short(row["mean"]),
                short(row["standard_error"]),
                short(row["geometric_mean"]),
                span(row["low"], row["high"]),
            )
    return table


def published_unlike_table(study: Study) -> Table | None:
    """Return published runs as efficiency, first and last generation, beside models that played under other rules."""
    theirs, differences = published_unlike(study)
    if theirs.empty:
        return None
    own = efficiency(study.generations, study.runs).dropna(subset=["efficiency"])
    own = own.assign(label=study.conditions(own))
    table = titled(
        "Efficiency, beside published runs of other rules",
        caption="0: as if nobody gave, 1: the most that the schedule allows; mean over runs. Units do not compare, as"
        f" here: {plain('; '.join(differences), max_chars=MAX_TEXT * 2).plain}. {SOURCE}",
    )
    for name in ("runs of", "runs", "gen", "mean", "from - to"):
        table.add_column(name, justify="left" if name == "runs of" else "right", overflow="fold")
    for frame in (own, theirs.assign(study="published")):
        for label, each in frame.groupby("label", sort=True):
            for generation in (each["generation"].min(), each["generation"].max()):
                values = each[each["generation"] == generation]["efficiency"].astype(float)
                table.add_row(
                    plain(str(label)),
                    str(len(values)),
                    str(generation),
                    f"{values.mean():.2f}",
                    f"{values.min():.2f} to {values.max():.2f}",
                )
    return table
