"""The comparison as a forest plot: each pair's ratio with its interval."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any, Final, Unpack

import pandas as pd

from agentsim.analysis.figures.look import Look, Options
from agentsim.analysis.figures.style import COLOURS, blank, placed, shown, title_room, titled
from agentsim.analysis.pairs import turned
from agentsim.errors import LogError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from agentsim.analysis.compare import Comparison

__all__ = ["forest"]

LINE: Final = 34
"""The most characters in a line of a pair's names; the rest wraps."""
CHAR, SMALL_CHAR = 0.071, 0.062
"""Width of a character of names and of what stands beside the marks, in inches."""
ROW_LINE: Final = 0.16
"""Height of a line of a row, in inches."""
LEAST_AXES: Final = 3.4
"""Width of the axes, in inches; half of it where a figure's width is stated."""
UNIT: Final = "ratio of geometric means of final resources, with the 95 % interval of each pair alone (no unit)"


def forest(comparison: Comparison, **options: Unpack[Options]) -> Figure:
    """Draw the ratio of geometric means of every pair with its 95 % interval, and the test's result beside it.

    Pairs are turned so that ratios are above 1, and sorted; with an `order` they stand in that instead. The interval is
    not corrected for the number of pairs. A filled mark is a pair that differs after Holm; an open mark is one that
    does not, or for which that cannot be said. `options`: size, title, the groups' names and their order, as
    `look.Options` has them.

    Raises:
        LogError: no pair has a ratio, since every one has a score of 0.
        AgentsimError: an option cannot be met.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if comparison.table["ratio"].isna().all():
        raise LogError("no pair of groups has a ratio to draw: scores of 0 have no logarithm")
    look = Look.of(**options)
    called = look.names(comparison.groups["group"])
    rows = turned(comparison.table, order=[*called] if look.order else ()).to_dict("records")
    names = [(called[row["first"]], called[row["second"]]) for row in rows]
    width, is_narrow, left, right, words, heights = _layout(rows, names, look)
    title = look.title(f"Comparison by {shown(comparison.by)}", width=width)
    what = fill(UNIT, int(width / 0.075))
    top, below = title_room(title), 0.4 + 0.15 * (what.count("\n") + 1)
    figure = blank(width, look.height or sum(heights) + top + below, is_placed=True)
    axes = placed(figure, left=left, right=right, bottom=below, top=top)
    ends = [sum(heights[: place + 1]) for place in range(len(heights))]
    # Where names stand above the marks, a mark stands low in its row.
    places = [end - 0.13 if is_narrow else end - height / 2 for end, height in zip(ends, heights, strict=True)]
    for place, row in zip(places, rows, strict=True):
        if pd.isna(row["ratio"]):
            axes.annotate(
                str(row["problem"]), (0.02, place), xycoords=("axes fraction", "data"), fontsize=8, va="center"
            )
            continue
        colour = COLOURS[0]
        if not pd.isna(row["low"]):
            axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=1.8)
        is_found = row["verdict"] == "differ"
        axes.plot(row["ratio"], place, "s", color=colour, markerfacecolor=colour if is_found else "white", markersize=7)
    axes.axvline(1, color="0.4", linestyle=":", linewidth=1)
    axes.set_xscale("log")
    _widen(axes)
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5) if high / low < 200 else (1,), numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(ends[-1], 0)
    if is_narrow:
        axes.set_yticks([])
        for end, height, text in zip(ends, heights, words, strict=True):
            at = end - height + 0.04
            axes.text(0.01, at, text, transform=axes.get_yaxis_transform(), fontsize=7.5, va="top", linespacing=1.1)
    else:
        axes.set_yticks(places, [_pair(*pair) for pair in names])
        for place, text in zip(places, words, strict=True):  # as text: an axis takes as long to draw as the rest
            axes.text(1.01, place, text, transform=axes.get_yaxis_transform(), fontsize=8, va="center")
    axes.tick_params(axis="y", length=0, labelsize=9)
    axes.tick_params(axis="x", labelsize=8)
    figure.text(0.5, 0.06 / figure.get_figheight(), what, fontsize=9, ha="center", va="bottom")
    titled(axes, title)
    axes.grid(visible=True, axis="x", which="major", alpha=0.25)
    return figure


def _layout(
    rows: Sequence[Mapping[Hashable, Any]], names: Sequence[tuple[str, str]], look: Look
) -> tuple[float, bool, float, float, list[str], list[float]]:
    """Return the figure's width, whether names stand above the marks because there is no room beside them, the margins
    left and right, what is said of each pair, and the height of each row; lengths are in inches."""
    beside = [_beside(row) for row in rows]
    pairs = [_pair(*pair) for pair in names]
    left = 0.2 + CHAR * max(len(line) for text in pairs for line in text.splitlines())
    right = 0.2 + SMALL_CHAR * max(len(line) for text in beside for line in text.splitlines())
    width, _ = look.size(max(7.2, left + right + LEAST_AXES), 1)
    if width < left + right + LEAST_AXES / 2:
        fits = int((width - 0.4) / SMALL_CHAR)
        above = [
            f"{fill(f'{first} / {second}', fits)}\n{fill(text.replace(chr(10), ' '), fits)}"
            for (first, second), text in zip(names, beside, strict=True)
        ]
        return width, True, 0.15, 0.15, above, [0.13 * (text.count("\n") + 1) + 0.3 for text in above]
    heights = [ROW_LINE * max(2, text.count("\n") + 1) + 0.08 for text in pairs]
    return width, False, left, right, beside, heights


def _pair(first: str, second: str) -> str:
    one = f"{first} / {second}"
    return one if len(one) <= LINE else f"{fill(f'{first} /', LINE)}\n{fill(second, LINE)}"


def _widen(axes: Axes) -> None:
    """Show at least the range from half to double: a narrow axis makes every difference look large."""
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.5), max(high, 2))


def _beside(row: Mapping[Hashable, Any]) -> str:
    p, n_first, n_second = row["p_holm"], row["n_first"], row["n_second"]
    kinds = {"paired": f"{n_first} pairs", "within": f"{n_first} shared runs"}
    n = kinds.get(row["design"], f"{n_first} + {n_second} runs")
    return f"{n}, p = {row['p']:.3g}, Holm {p:.3g}:\n{row['verdict']}"
