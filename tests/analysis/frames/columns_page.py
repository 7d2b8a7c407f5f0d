"""Writes `docs/columns.md` from the declared tables: `python -m tests.analysis.frames.columns_page`.

What stands above the mark is written by hand and stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import agentsim
from agentsim.analysis.frames.columns import TABLES
from agentsim.analysis.frames.declared import OF_FOLDERS, Column, Table

PAGE: Final = Path(agentsim.__file__).parent.parent / "docs" / "columns.md"
MARK: Final = "<!-- Written by python -m tests.analysis.frames.columns_page from here on. -->\n"


def page(written: str) -> str:
    """Return the page as it follows from the declaration, under the introduction that it has."""
    introduction, _, _ = written.partition(MARK)
    parts = [_rows("study and run, in every table", OF_FOLDERS)]
    parts += [line for name, table in TABLES.items() for line in _of(name, table)]
    return introduction + MARK + "".join(f"\n{part}" for part in parts)


def _of(name: str, table: Table) -> Iterator[str]:
    records = ", ".join(f"`{record}`" for record in table.record_types)
    yield f"## {name}\n\nA row is {table.row}. Paths are those of {records}.\n"
    yield _rows("column", table.of_records)
    if table.sometimes:
        yield _rows("only where it is needed", table.sometimes)
    if table.others:
        yield f"Further columns are named after settings, as `observation.depth`: {table.others}.\n"


def _rows(title: str, columns: Mapping[str, Column]) -> str:
    lines = [f"| {title} | dtype | unit | what it holds | path |", "|---|---|---|---|---|"]
    for name, column in columns.items():
        source = f"`{column.path}`" if column.path else f"derived: {column.derived}"
        lines.append(f"| `{name}` | {column.dtype} | {column.unit} | {_plain(column.meaning)} | {source} |")
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return text.replace("<", "\\<").replace("|", "\\|").replace("_", "\\_")


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
