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

__all__ = [
    "BAR",
    "MAX_LISTED",
    "MAX_RUNS",
    "MAX_TEXT",
    "WIDTHS",
    "add_column",
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
WIDTHS: Final = {
    "gen": 3,
    "mean": 8,
    "bar": BAR,
    "given": 5,
    "level": 5,
    "punished": 8,
    "missing": 7,
    "again": 5,
    "replies": 7,
    "tokens in": 9,
    "out": 7,
}
"""Minimum width of each column; long text (names, strategies) wraps instead."""


def plain(text: str, *, max_chars: int = MAX_TEXT) -> Text:
    """Return untrusted text as one line without control or direction characters, truncated at `max_chars`."""
    return Text(one_line(text, max_chars=max_chars))


def short(value: Any) -> str:
    """Return a number with three digits; a mean of a few runs is no more precise."""
    if is_missing(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def span(low: Any, high: Any) -> str:
    """Return both ends of an interval, or - if one is missing."""
    return "-" if is_missing(low) or is_missing(high) else f"{short(low)} to {short(high)}"


def named(frame: pd.DataFrame, study: Study | Progress, *, column: str = "run") -> pd.DataFrame:
    """Prefix each run, or condition, with its study's name if there are several studies."""
    return frame if len(study.folders) == 1 else frame.assign(**{column: frame["study"] + "/" + frame[column]})


def titled(title: str, *, caption: str | None) -> Table:
    """Return an empty table in the style of all terminal tables."""
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left", box=SIMPLE_HEAD)
    table.title_style = "bold"
    return table


def add_column(table: Table, name: str, *, title: str | None = None) -> None:
    is_text = name in ("run", "condition", "status", "bar", "agent", "strategy", "model")
    table.add_column(
        name if title is None else title,
        justify="left" if is_text else "right",
        no_wrap=name in WIDTHS,
        min_width={"status": 10, "run": 16, "condition": 16}.get(name, WIDTHS.get(name)),
        overflow="fold",
    )


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
