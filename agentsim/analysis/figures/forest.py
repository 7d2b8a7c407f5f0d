"""The comparison as a forest plot: each pair's ratio with its interval."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from agentsim.analysis.figures.style import COLOURS, blank, shown
from agentsim.errors import LogError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from agentsim.analysis.compare import Comparison

__all__ = ["forest"]


def forest(comparison: Comparison) -> Figure:
    """Draw the ratio of geometric means of every pair with its 95 % interval, and the test's result beside it.

    The interval is not corrected for the number of pairs. A filled mark is a pair that differs after Holm; an open mark
    is one that does not, or for which that cannot be said.

    Raises:
        LogError: no pair has a ratio, since every one has a score of 0.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    table = comparison.table
    if table["ratio"].isna().all():
        raise LogError("no pair of groups has a ratio to draw: scores of 0 have no logarithm")
    figure = blank(9.0, 1.7 + 0.5 * len(table))
    axes = figure.add_subplot()
    for place, row in enumerate(table.to_dict("records")):
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
    rows = table.to_dict("records")
    axes.set_yticks(range(len(rows)), [_pair(row) for row in rows])
    axes.set_ylim(len(table) - 0.4, -0.6)
    for place, row in enumerate(rows):  # as text: an axis of its own takes as long to draw as the rest
        axes.text(1.01, place, _beside(row), transform=axes.get_yaxis_transform(), fontsize=8, va="center")
    axes.tick_params(axis="y", length=0, labelsize=9)
    axes.set_xlabel("ratio of geometric means of final resources, with the 95 % interval of each pair alone (no unit)")
    axes.set_title(f"Comparison by {shown(comparison.by)}", fontsize=11)
    axes.grid(visible=True, axis="x", which="major", alpha=0.25)
    return figure


def _pair(row: Mapping[Hashable, Any]) -> str:
    first, second = shown(row["first"], max_chars=32), shown(row["second"], max_chars=32)
    return f"{first} / {second}" if len(first) + len(second) <= 32 else f"{first} /\n{second}"


def _widen(axes: Axes) -> None:
    """Show at least the range from half to double: a narrow axis makes every difference look large."""
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.5), max(high, 2))


def _beside(row: Mapping[Hashable, Any]) -> str:
    p, n_first, n_second = row["p_holm"], row["n_first"], row["n_second"]
    kinds = {"paired": f"{n_first} pairs", "within": f"{n_first} shared runs"}
    n = kinds.get(row["design"], f"{n_first} + {n_second} runs")
    return f"{n}, p = {row['p']:.3g}, Holm {p:.3g}:\n{row['verdict']}"
