"""Terminal tables of a probe. Model text is untrusted: it is shown without control characters and truncated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pandas as pd
from rich.table import Table

from agentsim.analysis.norms import CANNOT_SAY, NO_RULE
from agentsim.analysis.probes import ALL, Probe
from agentsim.cli.tables.cells import called, plain, titled

__all__ = ["families_table", "probe_tables"]

MAX_ROWS: Final = 24
"""The most strategies shown; the dataframes have the rest."""


def probe_tables(probe: Probe) -> Iterator[Table]:
    """Yield a probe's results: the surface of a single strategy, the summary, scores, children against parents."""
    if not probe.answers.empty:
        summary = probe.summary
        surfaces = summary[summary["subject"] != ALL]["subject"].tolist()
        if len(surfaces) == 1 and probe.answers["level"].notna().any():
            yield _surface(probe, str(surfaces[0]))
        yield _summary(probe)
    if not probe.scores.empty:
        yield _scores(probe)
    if not probe.shift.empty:
        yield _shift(probe)
    if probe.design.family is not None or probe.design.founders:
        yield families_table(probe)
    if probe.subjects["strategy"].notna().any():
        yield _strategies(probe)


OF_GIFTS: Final = (
    "given: mean fraction over situations; slope: d fraction / d recipient's record; kept, gave: d fraction / d"
    " partner's record, if the recipient kept everything from that partner, or gave it everything"
)
OF_LEVELS: Final = (
    "level: mean over situations; slope: d level / d level of what the other did last; at 0, at 1: d level / d level of"
    " the act before that, if the other's act was at that level"
)


def _summary(probe: Probe) -> Table:
    n_missing = int(probe.summary[probe.summary["subject"] != ALL]["n_missing"].sum())
    is_of_gifts = probe.is_of_donor_game
    table = titled(
        "What they would give" if is_of_gifts else "What they would do",
        caption=f"{OF_GIFTS if is_of_gifts else OF_LEVELS} (95 % over repetitions); rule: the best fit, its distance"
        f" (in {'fractions' if is_of_gifts else 'levels'}), and rules that fit as well or"
        " cannot be told apart here; cannot say: other rules fit as well, or resamples disagree; missing:"
        f" {n_missing} answers without a readable decision, which no number here counts",
    )
    mean, kept, gave = ("given", "kept", "gave") if is_of_gifts else ("level", "at 0", "at 1")
    for name in ("strategy", mean, "slope", kept, gave, "rule", "missing"):
        is_text = name in ("strategy", "rule")
        table.add_column(
            name, justify="left" if is_text else "right", overflow="fold", min_width=8 if is_text else len(name)
        )
    for row in probe.summary.head(MAX_ROWS).to_dict("records"):
        name = row["subject"] if row["subject"] != ALL else f"all ({row['role']})"
        table.add_row(
            called(name),
            _number(row["mean_fraction"]),
            *(_interval(row, measure) for measure in ("slope", "partner_if_kept", "partner_if_gave")),
            _rule(row),
            f"{row['n_missing']}/{row['n'] + row['n_missing']}",
        )
    return table


def _surface(probe: Probe, subject: str) -> Table:
    """One row for each record of the recipient, one column for each partner's record and amount of resources."""
    surface = probe.surface[probe.surface["subject"] == subject]
    unknown = surface[surface["level"].isna()]
    known = surface[surface["level"].notna()]
    is_of_gifts = probe.is_of_donor_game
    before = "what the recipient's partner had given before" if is_of_gifts else "the level of the act before that"
    to_unknown = f"; to a recipient with no known record: {_number(unknown['mean'].iloc[0])}" if len(unknown) else ""
    table = titled(
        plain(f"Mean {'fraction given by' if is_of_gifts else 'level of'} {subject}").plain,
        caption=f"columns: {before}, and units held{to_unknown}",
    )
    columns = known[["partner", "resources"]].drop_duplicates().sort_values(["resources", "partner"])
    table.add_column("recipient", no_wrap=True)
    heads = list(columns.itertuples(index=False, name=None))
    for partner, amount in heads:
        table.add_column(f"{amount:g} u" if pd.isna(partner) else f"{partner:.0%}\n{amount:g} u", justify="right")
    for level, rows in known.groupby("level", sort=True):
        reputation = rows["reputation"].iloc[0]
        by_head = {
            (None if pd.isna(row["partner"]) else row["partner"], row["resources"]): row["mean"]
            for row in rows.to_dict("records")
        }
        table.add_row(
            f"{'gave' if is_of_gifts else 'level'} {level:.0%}" if pd.isna(reputation) else str(reputation),
            *(_number(by_head.get((None if pd.isna(partner) else partner, amount))) for partner, amount in heads),
        )
    return table


def _scores(probe: Probe) -> Table:
    table = titled(
        "Scores among policies",
        caption=f"{probe.design.societies} societies for each strategy; the other agents play"
        f" {', '.join(probe.design.background)}; score: units, mean over societies; missing: decisions that could not"
        " be read",
    )
    for name in ("strategy", "role", "score", "given", "missing"):
        table.add_column(name, justify="left" if name in ("strategy", "role") else "right")
    for subject, subject_scores in list(probe.scores.groupby("subject", sort=False))[:MAX_ROWS]:
        table.add_row(
            called(str(subject)),
            str(subject_scores["role"].iloc[0]),
            f"{subject_scores['score'].mean():,.1f}",
            _number(subject_scores["mean_fraction"].mean()),
            f"{subject_scores['n_missed'].sum()} of {subject_scores['n_decisions'].sum()}",
        )
    return table


def _shift(probe: Probe) -> Table:
    without = int(probe.subjects[probe.subjects["role"] == "child"]["strategy"].isna().sum())
    problems = sorted(set(probe.shift["problem"].dropna()))
    table = titled(
        "Children against their parents",
        caption="; ".join(
            [
                "shift: children's mean minus parents', with its 95 % interval over children",
                f"{without} children stated no readable strategy and count in no mean",
                *(f"no interval: {problem}" for problem in problems),
            ]
        ),
    )
    for name in ("measure", "parents", "children", "shift", "95 %"):
        table.add_column(name, justify="left" if name == "measure" else "right")
    for row in probe.shift.to_dict("records"):
        table.add_row(
            row["measure"],
            f"{_number(row['parents'])} ({row['n_parents']})",
            f"{_number(row['children'])} ({row['n_children']})",
            _number(row["shift"]),
            "-" if pd.isna(row["low"]) else f"{_number(row['low'])} to {_number(row['high'])}",
        )
    return table


def families_table(probe: Probe) -> Table:
    """Return newborns by the level of the parents that they were shown."""
    table = titled(
        "Newborns by their parents' level",
        caption="level: mean fraction given; newborns: their mean level with its 95 % interval (Student's t), and its"
        " standard deviation over newborns; without: newborns without a readable strategy or decision",
    )
    for name in ("family", "parents", "level", "newborns", "95 %", "sd", "n", "without"):
        table.add_column(name, justify="left" if name == "parents" else "right", overflow="fold")
    for row in probe.families.head(MAX_ROWS).to_dict("records"):
        is_founders = pd.isna(row["family"])
        table.add_row(
            "-" if is_founders else str(row["family"]),
            "founders" if is_founders else plain(row["parents"], max_chars=40),
            _number(row["parent_level"]),
            _number(row["mean"]),
            "-" if pd.isna(row["low"]) else f"{_number(row['low'])} to {_number(row['high'])}",
            _number(row["sd"]),
            str(row["n_children"]),
            str(row["n_without"]),
        )
    return table


def _strategies(probe: Probe) -> Table:
    table = titled("Strategies", caption=None)
    for name in ("name", "role", "score", "strategy"):
        table.add_column(name, justify="right" if name == "score" else "left", overflow="fold")
    for row in probe.subjects.head(MAX_ROWS).to_dict("records"):
        table.add_row(
            called(row["subject"]),
            row["role"],
            "-" if pd.isna(row["score"]) else f"{row['score']:,.1f}",
            plain("(none could be read)" if pd.isna(row["strategy"]) else row["strategy"]),
        )
    return table


def _rule(row: Any) -> str:
    if pd.isna(row["norm"]):
        return "-"
    ties = "" if pd.isna(row["ties"]) else f"; or {row['ties']}"
    if row["norm"] == CANNOT_SAY:
        return f"{CANNOT_SAY}: {row['nearest']}, {row['distance']:.2f}{ties}"
    level = f" at {row['high_level']:.2f}" if row["norm"] == "unconditional" else ""
    no_norm = "" if row["is_norm"] or row["norm"] == NO_RULE.name else " (no norm)"
    return f"{row['norm']}{level}{no_norm}, {row['distance']:.2f}{ties}"


def _interval(row: Any, name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if pd.isna(low) or high - low < 0.005:
        return _number(row[name])
    return f"{_number(row[name])}\n{_number(low)} to {_number(high)}"


def _number(value: Any) -> str:
    if value is None or pd.isna(value):
        return "-"
    text = f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text
