"""Tables that fit a terminal: no name or number in them is cut or broken, however narrow it is.

A table is drawn with room around its columns, or without, or with names that have lost their common beginning, which
the caption states. If not even that fits, each row becomes a short paragraph.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from rich.cells import cell_len, chop_cells
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

__all__ = ["FittingTable", "Name", "common_beginning"]

PIECE: Final = re.compile(r"[^\s/_,:=-]*(?:[/_,:=-]+\s*|\s+)?")
"""A part of a name that is never broken: it ends where a hyphen, a slash or the like does."""
SHORTEST_BEGINNING: Final = 4
"""A shorter common beginning is not worth a word about it."""
SHORT_NAME: Final = 12
"""A name up to this width is never broken."""
MAX_WORD: Final = 22
"""Longer words of a text may be broken; those of names and numbers may not."""
MAX_TEXT: Final = 24
"""The width that a column of text has if there is room; more only if nothing else needs it."""
MAX_PAIR: Final = 36
"""The longest value of a paragraph that stays on one line with its heading."""


@dataclass(frozen=True)
class Name:
    """A name, or several that belong together, such as both sides of a comparison."""

    parts: tuple[str, ...]
    joint: str = " / "
    more: str = ""
    """What follows, and is no part of the name."""

    def __rich__(self) -> _Wrapped:
        return _Wrapped(self.text())

    def text(self, beginning: str = "") -> str:
        """Return the name, without the beginning that all names of a table have in common."""
        return (
            self.joint.join(f"…{part.removeprefix(beginning)}" if beginning else part for part in self.parts)
            + self.more
        )


class _Wrapped:
    """A name that breaks between its parts alone."""

    def __init__(self, text: str) -> None:
        self.pieces = [piece for piece in PIECE.findall(text) if piece]

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        widths = [cell_len(piece.rstrip()) for piece in self.pieces]
        whole = cell_len("".join(self.pieces))
        return Measurement(max(*widths, min(whole, SHORT_NAME), 0), whole)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text("\n".join(self.lines(options.max_width)), no_wrap=True)

    def lines(self, width: int) -> Iterator[str]:
        """Yield the lines of the name; a part is broken only if it is wider than a line."""
        line = ""
        for piece in self.pieces:
            if cell_len(f"{line}{piece}".rstrip()) <= width:
                line += piece
                continue
            if line:
                yield line.rstrip()
            *full, line = chop_cells(piece, width) or [""]
            yield from full
        if line:
            yield line.rstrip()


def common_beginning(names: Iterable[str]) -> str:
    """Return what all names begin with, up to a double hyphen, or else a hyphen or the like; empty if nothing is left.

    What is left of x--seed-2 and x--seed-10 is seed-2 and seed-10, and of gpt-4o and gpt-4o-mini 4o and 4o-mini.
    """
    distinct = sorted(set(names))
    if len(distinct) < 2:
        return ""
    first, last = distinct[0], distinct[-1]
    n_shared = next((n for n, both in enumerate(zip(first, last, strict=False)) if both[0] != both[1]), len(first))
    shared = first[:n_shared]
    ends = [m.end() for m in re.finditer(r"--|[/:]+\s*", shared)] or [
        m.end() for m in re.finditer(r"[-_=]+|\s+", shared)
    ]
    beginning = shared[: ends[-1]] if ends else ""
    is_worth_it = len(beginning) >= SHORTEST_BEGINNING and all(len(name) > len(beginning) for name in distinct)
    return beginning if is_worth_it else ""


class _Layout(NamedTuple):
    is_tight: bool
    beginning: str


class FittingTable(Table):
    """A table that chooses its form by the width there is. Cells with names are `Name`s."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the table, or a paragraph for each row."""
        beginning = common_beginning(part for name in self._names() for part in name.parts)
        full = [_Layout(False, ""), _Layout(True, "")]
        layouts = [*full, _Layout(False, beginning), _Layout(True, beginning)] if beginning else full
        for whole in ("all", "names", "words"):
            for layout in reversed(layouts) if whole == "words" else layouts:
                if whole != "all" and not layout.is_tight:
                    continue  # where lines break, room is worth more in the columns than around them
                if (widths := self._widths(console, options, layout, whole=whole)) is not None:
                    yield self._drawn(layout, widths)
                    return
        yield from self._paragraphs(options)

    def _names(self) -> Iterator[Name]:
        for column in self.columns:
            yield from (cell for cell in column.cells if isinstance(cell, Name))

    def _widths(self, console: Console, options: ConsoleOptions, layout: _Layout, *, whole: str) -> list[int] | None:
        """Return the columns' widths, or `None` if they do not fit with all cells, names or words on one line."""
        n = len(self.columns)
        room = options.max_width - (2 * (n - 1) if layout.is_tight else 3 * n + 1)
        wide = options.update(max_width=10_000)
        least, best = [], []
        for column in self.columns:
            low, high = _measured(column, console, wide, layout.beginning)
            if whole == "all" or (whole == "names" and _is_of_names(column)):
                is_text = column.justify == "left" and not _is_of_names(column)
                low = max(low, min(high, MAX_TEXT)) if is_text else high
            least.append(low)
            best.append(high)
        if sum(least) > room:
            return None
        return _shared_out(least, best, room)

    def _drawn(self, layout: _Layout, widths: Sequence[int]) -> Table:
        notes = [str(self.caption)] if self.caption else []
        if layout.beginning:
            notes.append(f"…: {layout.beginning}")
        table = Table(
            title=self.title,
            title_justify="left",
            title_style=self.title_style,
            caption=Text("; ".join(notes)) if notes else None,
            caption_justify="left",
            box=self.box,
            padding=(0, 1, 0, 0) if layout.is_tight else self.padding,
            pad_edge=not layout.is_tight,
            show_edge=not layout.is_tight,
        )
        for column, width in zip(self.columns, widths, strict=True):
            head = _shown(column.header, layout.beginning)
            table.add_column(head, justify=column.justify, overflow="fold", width=width)
        for row, cells in zip(self.rows, zip(*(column.cells for column in self.columns), strict=True), strict=True):
            table.add_row(*(_shown(cell, layout.beginning) for cell in cells), end_section=row.end_section)
        return table

    def _paragraphs(self, options: ConsoleOptions) -> RenderResult:
        """Yield a heading and what it is about for each row."""
        if self.title:
            yield Text(str(self.title), style="bold")
        heads = [_plain(column.header) for column in self.columns]
        for cells in zip(*(column.cells for column in self.columns), strict=True):
            head, *rest = [(name, cell) for name, cell in zip(heads, cells, strict=True) if _plain(cell)] or [("", "")]
            yield _Wrapped(_plain(head[1]))
            pairs = (f"{name} {_plain(cell)}" for name, cell in rest if name)
            said = "; ".join(pair.replace(" ", "\u00a0") if len(pair) <= MAX_PAIR else pair for pair in pairs)
            if said:
                yield Padding(Text(said), (0, 0, 0, 2))
        if self.caption:
            yield Text(str(self.caption), style="dim italic")


def _measured(column: Column, console: Console, options: ConsoleOptions, beginning: str) -> tuple[int, int]:
    """Return the least width at which no name and no number of a column breaks, and the best."""
    low, high = 0, 0
    for cell in (column.header, *column.cells):
        found = Measurement.get(console, options, _shown(cell, beginning))
        is_text = column.justify == "left" and not isinstance(cell, Name)
        low = max(low, min(found.minimum, MAX_WORD) if is_text else found.minimum)
        high = max(high, found.maximum)
    return low, high


def _is_of_names(column: Column) -> bool:
    return any(isinstance(cell, Name) for cell in column.cells)


def _shared_out(least: Sequence[int], best: Sequence[int], room: int) -> list[int]:
    """Return widths between the least and the best; what is left goes to the columns that need least more."""
    widths, left = list(least), room - sum(least)
    waiting = sorted(range(len(widths)), key=lambda index: best[index] - least[index])
    for n_before, index in enumerate(waiting):
        more = min(best[index] - least[index], left // (len(waiting) - n_before))
        widths[index] += more
        left -= more
    return widths


def _shown(cell: RenderableType, beginning: str) -> RenderableType:
    return _Wrapped(cell.text(beginning)) if isinstance(cell, Name) else cell


def _plain(cell: RenderableType | Name) -> str:
    text = cell.text() if isinstance(cell, Name) else cell.plain if isinstance(cell, Text) else str(cell)
    return " ".join(text.split())
