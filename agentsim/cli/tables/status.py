"""The table of a study's progress."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final

import pandas as pd
from rich.table import Table

from agentsim.analysis.frames.progress import Progress
from agentsim.analysis.frames.study import Study
from agentsim.cli.tables.cells import (
    MAX_LISTED,
    MAX_TEXT,
    add_column,
    called,
    is_missing,
    missing,
    named,
    number,
    plain,
    titled,
)
from agentsim.log.stopped import stop_reasons
from agentsim.log.writing import is_locked

__all__ = ["status_table", "with_words"]

SUMMED: Final = [
    "generations", "n_generations", "n_replies", "n_asked_again", "n_missed", "n_replaced", "cost_usd",
]  # fmt: skip


def status_table(study: Study | Progress) -> Table:
    """One row for each run: whether it is being played, its progress, calls and cost, and why it stopped.

    Of many runs, those in the same state are one row for each condition.
    """
    spent = study.runs["cost_usd"].dropna().sum()
    unpriced = int((study.runs["cost_usd"].isna() & study.runs["n_replies"].notna()).sum())
    notes = [f"US$ {spent:,.2f} for the replies in the logs"] if spent or not unpriced else []
    notes += [f"the cost of {unpriced} runs is not known"] if unpriced else []
    notes += ["invalid: decisions that could not be read", *study.notes]
    told = with_words(study)
    is_many = len(told) > MAX_LISTED
    rows = _together(told) if is_many else told.to_dict("records")
    notes += [f"{len(told):,} runs: those of one condition in the same state are one row"] if is_many else []
    table = titled(
        plain(f"Status of {study.name}").plain,
        caption=plain("; ".join(notes), max_chars=MAX_TEXT * 4).plain,
    )
    for name in ("run", "status", "gen", "calls", "again", "invalid", "US$"):
        add_column(table, name)
    for row in rows:
        table.add_row(
            called(row["run"]),
            plain(row["told"]),
            "-" if is_missing(row["generations"]) else f"{number(row['generations'])}/{number(row['n_generations'])}",
            number(row["n_replies"]),
            number(row["n_asked_again"]),
            missing(row["n_missed"], row["n_replaced"]),
            "-" if is_missing(row["cost_usd"]) else f"{row['cost_usd']:,.2f}",
        )
    return table


def with_words(study: Study | Progress) -> pd.DataFrame:
    """Return the runs with `told`, the state of each in words."""
    stopped = {name: stop_reasons(folder) for name, folder in study.folders.items()}
    words = [
        _told(row, reason=stopped[row["study"]].get(row["run"]), folder=study.folders[row["study"]] / row["run"])
        for row in study.runs.to_dict("records")
    ]
    return named(named(study.runs.assign(told=words), study), study, column="condition")


def _together(told: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """Return one row for the runs of each condition that are in the same state, with their sums."""
    groups = told.groupby(["condition", "told"], sort=False)
    sums = groups[SUMMED].sum(min_count=1)
    is_known = groups["cost_usd"].count() == groups.size()
    sums = sums.assign(cost_usd=sums["cost_usd"].where(is_known), n=groups.size()).reset_index()
    return sums.assign(run=sums["condition"] + " (" + sums["n"].astype("string") + ")").to_dict("records")


def _told(row: Any, *, reason: str | None, folder: Path) -> str:
    """Return a run's state in words."""
    if row["status"] == "complete":
        return "complete"
    if row["status"] in ("unreadable", "unread"):
        return f"{row['status']}: {row['problem']}"
    if is_locked(folder):
        return "being played now"
    if reason is not None:
        return "interrupted by the user" if reason == "interrupted" else f"stopped: {reason}"
    return "not begun" if row["status"] == "not begun" else "broken off: its process ended without stating a reason"
