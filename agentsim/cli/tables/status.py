"""The table of a study's progress."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from agentsim.analysis.frames.study import Study
from agentsim.cli.tables.cells import MAX_TEXT, add_column, is_missing, missing, named, number, plain, titled
from agentsim.log.stopped import stop_reasons
from agentsim.log.writing import is_locked

__all__ = ["status_table"]


def status_table(study: Study) -> Table:
    """One row for each run: whether it is being played, its progress, calls and cost, and why it stopped."""
    spent = study.runs["cost_usd"].dropna().sum()
    unpriced = int((study.runs["cost_usd"].isna() & study.runs["n_replies"].notna()).sum())
    notes = [f"US$ {spent:,.2f} for the replies in the logs"] if spent or not unpriced else []
    notes += [f"the cost of {unpriced} runs is not known"] if unpriced else []
    notes += ["invalid: decisions that could not be read", *study.notes]
    table = titled(
        plain(f"Status of {study.name}").plain,
        caption=plain("; ".join(notes), max_chars=MAX_TEXT * 4).plain,
    )
    for name in ("run", "status", "gen", "calls", "again", "invalid", "US$"):
        add_column(table, name)
    stopped = {name: stop_reasons(folder) for name, folder in study.folders.items()}
    for row, run in zip(study.runs.to_dict("records"), named(study.runs, study)["run"], strict=True):
        table.add_row(
            plain(run),
            plain(
                _told(
                    row,
                    reason=stopped[row["study"]].get(row["run"]),
                    is_running=is_locked(study.folders[row["study"]] / row["run"]),
                )
            ),
            "-" if is_missing(row["generations"]) else f"{row['generations']}/{number(row['n_generations'])}",
            number(row["n_replies"]),
            number(row["n_asked_again"]),
            missing(row["n_missed"], row["n_replaced"]),
            "-" if is_missing(row["cost_usd"]) else f"{row['cost_usd']:,.2f}",
        )
    return table


def _told(row: Any, *, reason: str | None, is_running: bool) -> str:
    """Return a run's state in words."""
    if row["status"] == "complete":
        return "complete"
    if row["status"] in ("unreadable", "unread"):
        return f"{row['status']}: {row['problem']}"
    if is_running:
        return "being played now"
    if reason is not None:
        return "interrupted by the user" if reason == "interrupted" else f"stopped: {reason}"
    return "not begun" if row["status"] == "not begun" else "broken off: its process ended without stating a reason"
