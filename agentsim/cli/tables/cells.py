"""Cells, columns and captions that all terminal tables share.

Model text is untrusted: it is shown without control characters and markup, and truncated.
"""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from agentsim.analysis.foreign import one_line
from agentsim.analysis.frames.progress import Progress
from agentsim.analysis.frames.study import Study
from agentsim.cli.tables.fitting import FittingTable, Name
from agentsim.scenario.names import natural

__all__ = [
    "BAR",
    "MAX_LISTED",
    "MAX_RUNS",
    "MAX_TEXT",
    "add_column",
    "called",
    "is_missing",
    "missing",
    "named",
    "number",
    "plain",
    "short",
    "span",
    "titled",
]

BAR: Final = 12
MAX_TEXT: Final = 300
MAX_RUNS: Final = 12
"""The most runs whose strategies are shown; the dataframes have the rest."""
MAX_LISTED: Final = 60
"""The most runs that have a row of their own; more of them are put together by condition."""


def plain(text: str, *, max_chars: int = MAX_TEXT) -> Text:
    """Return untrusted text as one line without control or direction characters, truncated at `max_chars`."""
    return Text(one_line(text, max_chars=max_chars))


def called(*parts: str, joint: str = " / ", more: str = "", max_chars: int = MAX_TEXT) -> Name:
    """Return a cell with a name, or with several that belong together; no name is cut in a table."""
    return Name(tuple(one_line(part, max_chars=max_chars) for part in parts), joint, more)


def short(value: Any) -> str:
    """Return a number with three digits; a mean of a few runs is no more precise."""
    if is_missing(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def span(low: Any, high: Any) -> str:
    """Return both ends of an interval, or - if one is missing."""
    return "-" if is_missing(low) or is_missing(high) else f"{short(low)} to {short(high)}"


def named(frame: pd.DataFrame, study: Study | Progress, *, column: str = "run") -> pd.DataFrame:
    """Return a frame as people sort its runs, or conditions: each after its study's name if there are several."""
    if len(study.folders) > 1:
        frame = frame.assign(**{column: frame["study"] + "/" + frame[column]})
    rank = {name: n for n, name in enumerate(sorted(frame[column].unique(), key=natural))}
    return frame.sort_values(column, key=lambda names: names.map(rank), kind="stable")


def titled(title: str, *, caption: str | None) -> Table:
    """Return an empty table in the style of all terminal tables."""
    table = FittingTable(title=title, title_justify="left", caption=caption, caption_justify="left", box=SIMPLE_HEAD)
    table.title_style = "bold"
    return table


def add_column(table: Table, name: str, *, title: str | None = None) -> None:
    """Add a column, with its text to the left and its numbers to the right."""
    is_text = name in ("run", "condition", "status", "bar", "agent", "strategy", "model")
    table.add_column(name if title is None else title, justify="left" if is_text else "right", overflow="fold")


def is_missing(value: Any) -> bool:
    return bool(pd.isna(value))


def number(value: Any) -> str:
    if is_missing(value):
        return "-"
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def missing(n_missed: Any, n_replaced: Any) -> str:
    """Return the number of encounters without a readable decision, and how many of them were set to 0."""
    if is_missing(n_missed):
        return "-"
    return f"{n_missed}" if not n_replaced else f"{n_missed} + {n_replaced} as 0"
