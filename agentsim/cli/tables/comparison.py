"""Tables of a comparison: groups, pairs, and sensitivity to the take-off threshold and to lost decisions."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from agentsim.analysis.frames.decisions import lost
from agentsim.analysis.frames.study import Study
from agentsim.analysis.measures import score_sensitivity

if TYPE_CHECKING:
    from agentsim.analysis.compare import Comparison

from agentsim.cli.tables.cells import called, is_missing, plain, short, span, titled

__all__ = ["comparison_tables", "sensitivity_table"]


def comparison_tables(comparison: Comparison) -> Iterator[Table]:
    """Yield the groups of a comparison, and its pairs with effect, interval and test."""
    groups = titled(
        plain(f"Final resources by {comparison.by}").plain,
        caption="; ".join(
            [
                "mean: geometric mean over runs of the last generation's mean final resources (units), with Student's"
                f" 95 % interval on logs; took off: ended at an efficiency of {comparison.take_off:.3g} or more, with"
                " the exact 95 % interval",
                *_problems(comparison.groups, ["group"]),
            ]
        ),
    )
    for name in ("group", "runs", "mean", "95 %", "took off", "rate, 95 %"):
        groups.add_column(name, justify="left" if name == "group" else "right", overflow="fold", no_wrap=name == "mean")
    for row in comparison.groups.to_dict("records"):
        rate = "-" if is_missing(row["take_off_rate"]) else span(row["take_off_low"], row["take_off_high"])
        groups.add_row(
            called(row["group"]),
            str(row["n_runs"]),
            short(row["geometric_mean"]),
            span(row["low"], row["high"]),
            f"{row['n_took_off']} of {row['n_followed']}",
            rate,
        )
    yield groups
    table = comparison.table
    tests = "; ".join(sorted({str(test) for test in table["test"]}))
    pairs = titled(
        "Pairs",
        caption="; ".join(
            [
                "ratio of geometric means, with the 95 % interval that belongs to the uncorrected test; p uncorrected,"
                " and after Holm over all pairs; take-off: p of the rates, after Holm, never below that of final"
                f" resources; test: {tests}",
                *_problems(table, ["first", "second"]),
            ]
        ),
    )
    for name in ("pair", "runs", "ratio", "95 %", "p", "Holm", "take-off", "verdict"):
        is_text = name in ("pair", "verdict")
        pairs.add_column(name, justify="left" if is_text else "right", overflow="fold", no_wrap=name in ("ratio", "p"))
    for row in table.to_dict("records"):
        pairs.add_row(
            called(row["first"], row["second"]),
            {"paired": f"{row['n_first']} pairs", "within": f"{row['n_first']} shared"}.get(
                row["design"], f"{row['n_first']} + {row['n_second']}"
            ),
            short(row["ratio"]),
            span(row["low"], row["high"]),
            short(row["p"]),
            short(row["p_holm"]),
            short(row["p_take_off"]),
            plain(row["verdict"]),
        )
    yield pairs
    if not comparison.lines.empty:
        yield _lines_table(comparison.lines)
    if not comparison.bayes.empty:
        yield _bayes_table(comparison.bayes)
    if not comparison.sensitivity.empty:
        yield _take_off_table(comparison)
    if not comparison.variance.empty:
        yield _variance_table(comparison.variance)


def _lines_table(lines: pd.DataFrame) -> Table:
    """Return every tested line, with what only some comparisons have: looks, equivalence, a plan."""
    told = {
        "equivalence": ("equivalence", "equivalence: two one-sided tests, after Holm, and their 90 % interval"),
        "planned": ("planned", "planned: whether the line keeps to the plan"),
    }
    shown = {name: column for name, (column, _) in told.items() if lines[column].notna().any()}
    table = titled(
        "Every line",
        caption="; ".join(
            [
                "effect: final and area as ratios of geometric means, slope as a ratio of growth factors, time as a"
                " difference of generations",
                *(told[name][1] for name in shown),
                *_problems(lines, ["first", "second"]),
            ]
        ),
    )
    for name in ("pair", "outcome", "effect", "p", "Holm", "verdict", *shown):
        table.add_column(name, justify="right" if name in ("p", "Holm") else "left", overflow="fold")
    for row in lines.to_dict("records"):
        ends = "" if is_missing(row["low"]) else f" ({span(row['low'], row['high'])})"
        table.add_row(
            called(row["first"], row["second"]),
            row["outcome"],
            f"{short(row['effect'])}{ends}",
            short(row["p"]),
            short(row["p_holm"]),
            plain(row["verdict"]),
            *(_said(row, column) for column in shown.values()),
        )
    return table


def _said(row: Mapping[Hashable, Any], column: str) -> Text:
    if is_missing(row[column]):
        return Text("-")
    ends = ""
    if column == "equivalence" and not is_missing(row["p_equivalent"]):
        ends = f" (p {short(row['p_equivalent'])}, {span(row['equivalent_low'], row['equivalent_high'])})"
    return plain(f"{row[column]}{ends}", max_chars=600)


def _bayes_table(estimates: pd.DataFrame) -> Table:
    has_margin = bool(estimates["p_within"].notna().any())
    table = titled(
        "Bayesian estimates of the ratios",
        caption="; ".join(
            [
                "posterior median of the ratio of geometric means, with its central 95 % interval, and the probability"
                f" that it is above 1{' or within the margin' if has_margin else ''}; priors in the notes",
                *_problems(estimates, ["first", "second", "model"]),
            ]
        ),
    )
    for name in ("pair", "model", "ratio", "95 %", "above 1", *(["within"] if has_margin else []), "R-hat", "draws"):
        table.add_column(name, justify="left" if name in ("pair", "model") else "right", overflow="fold")
    for row in estimates.to_dict("records"):
        table.add_row(
            plain(f"{row['first']} / {row['second']}"),
            row["model"],
            short(row["ratio"]),
            span(row["low"], row["high"]),
            *(
                "-" if is_missing(row[name]) else f"{row[name]:.3f}"
                for name in ("p_above", "p_within")[: 1 + has_margin]
            ),
            f"{row['r_hat']:.3f}",
            f"{row['n_effective']:,.0f}",
        )
    return table


def _take_off_table(comparison: Comparison) -> Table:
    """Return how many runs of each group took off at each threshold, so that the choice of one can be judged."""
    sensitivity = comparison.sensitivity
    thresholds = sorted(set(sensitivity["threshold"].astype(float)))
    table = titled(
        "Took off, by threshold",
        caption=f"runs that ended at this efficiency or more; the comparison's threshold is {comparison.take_off:.3g}",
    )
    for name in ("group", *(f"{threshold:.3g}" for threshold in thresholds)):
        table.add_column(name, justify="left" if name == "group" else "right", overflow="fold")
    for group, group_rows in sensitivity.groupby("group", sort=True):
        counts = group_rows.sort_values("threshold")[["n_took_off", "n_followed"]].itertuples(index=False, name=None)
        table.add_row(called(str(group)), *(f"{n} of {n_all}" for n, n_all in counts))
    return table


def _variance_table(split: pd.DataFrame) -> Table:
    table = titled(
        "What the final resources depend on",
        caption="; ".join(
            [
                "shares of the variance of log final resources of single runs, with generalised 95 % intervals, over"
                " these levels alone; seed: what runs of one seed have in common; rest: what is each run's own",
                *sorted(set(split["problem"].dropna())),
            ]
        ),
    )
    for name in ("source", "levels", "df", "mean square", "share", "95 %"):
        table.add_column(name, justify="left" if name == "source" else "right", overflow="fold")
    for row in split.to_dict("records"):
        table.add_row(
            plain(row["source"]),
            "" if is_missing(row["n_levels"]) else str(row["n_levels"]),
            str(row["df"]),
            short(row["mean_square"]),
            f"{row['share']:.0%}",
            "-" if is_missing(row["low"]) else f"{row['low']:.0%} to {row['high']:.0%}",
        )
    return table


def sensitivity_table(study: Study) -> Table | None:
    """Return each condition's score under every way to treat lost decisions; `None` if none was lost."""
    if not lost(study.encounters).any():
        return None
    scores = score_sensitivity(study)
    if (scores["n_whole"] == scores["n_runs"]).all():
        return None
    table = titled(
        "Final resources under other values of the lost decisions",
        caption="geometric means over complete runs (units); nothing: lost decisions moved nothing (as logged); own"
        " mean: they gave the agent's mean fraction; bounds: the lowest and highest score possible; whole: only runs"
        " that lost none. -: not defined (under punishment no bound is known)",
    )
    for name in ("condition", "runs", "nothing", "own mean", "bounds", "whole"):
        table.add_column(name, justify="left" if name == "condition" else "right", overflow="fold")
    for row in scores.to_dict("records"):
        table.add_row(
            called(row["condition"] if len(study.folders) == 1 else f"{row['study']}: {row['condition']}"),
            str(row["n_runs"]),
            short(row["as_zero"]),
            short(row["as_own_mean"]),
            span(row["low"], row["high"]),
            f"{short(row['whole_only'])} ({row['n_whole']})",
        )
    return table


def _problems(frame: pd.DataFrame, names: list[str]) -> Iterator[str]:
    """Yield each reason for missing values once, with the groups or pairs it concerns."""
    for problem, problem_rows in frame.dropna(subset=["problem"]).groupby("problem", sort=True):
        who = [plain(" / ".join(row)).plain for row in problem_rows[names].itertuples(index=False, name=None)]
        more = f" and {len(who) - 4} more" if len(who) > 4 else ""
        yield f"{', '.join(who[:4])}{more}: {problem}"
