"""Tables of the page: text and numbers formatted for people. A missing value is a dash, never 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from agentsim.analysis.foreign import one_line
from agentsim.analysis.frames.columns import COLUMNS

__all__ = ["Table", "from_frame", "meaning", "number"]

MISSING = "–"


class Table(NamedTuple):
    """A table ready to be drawn: all cells are text, which the templates escape."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    is_number: tuple[bool, ...]
    """Whether each column holds numbers, which are right-aligned."""
    note: str = ""
    meanings: tuple[str, ...] = ()
    """What each column says, where its head does not say it all: empty, or one for each column, perhaps empty."""


def meaning(table: str, column: str) -> str:
    """Return what a column of a dataframe holds, with its unit, as the documentation of the dataframes has it."""
    known = COLUMNS.get(table, {}).get(column)
    if known is None:
        return ""
    return known.meaning + (f" ({known.unit})" if known.unit and known.unit not in known.meaning else "")


def from_frame(
    frame: pd.DataFrame,
    *,
    titles: Mapping[str, str] | None = None,
    note: str = "",
    meanings: Mapping[str, str] | None = None,
) -> Table:
    """Return a dataframe's rows; `titles` replaces names of columns, and `meanings` says what these hold."""
    titles, meanings = titles or {}, meanings or {}
    columns = list(frame.columns)
    rows = tuple(tuple(number(value) for value in row) for row in frame.itertuples(index=False, name=None))
    kinds = tuple(
        pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype) for dtype in frame.dtypes
    )
    return Table(
        tuple(titles.get(name, str(name).replace("_", " ")) for name in columns),
        rows,
        kinds,
        note,
        tuple(meanings.get(str(name), "") for name in columns) if meanings else (),
    )


def number(value: Any, *, digits: int = 4) -> str:
    """Return a value as text: numbers to `digits` significant digits with thousands separators, text in one line."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(number(item, digits=digits) for item in value)
    if value is None or pd.isna(value):
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return _float(value, digits)
    return one_line(value)


def _float(value: float, digits: int) -> str:
    if value == float("inf") or value == float("-inf"):
        return "infinite"
    rounded = float(f"{value:.{digits}g}")
    if rounded != 0 and not 1e-4 <= abs(rounded) < 1e12:
        return f"{rounded:.{digits - 1}e}"
    n_whole = len(f"{abs(rounded):.0f}")
    text = f"{rounded:,.{max(0, digits - n_whole)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
