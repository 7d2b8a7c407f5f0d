"""What a kernel predicts: the kernel itself, courses beside logged societies, and a threshold."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, Final, Unpack

import numpy as np
import pandas as pd

from agentsim.analysis.figures.look import Look, Options
from agentsim.analysis.figures.style import COLOURS, blank, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from agentsim.analysis.forecast import Threshold

__all__ = ["prediction"]

COLUMNS: Final = 3
KERNEL, LOGGED = COLOURS[0], COLOURS[1]


def prediction(
    families: pd.DataFrame,
    course: pd.DataFrame,
    logged: pd.DataFrame,
    crossing: Threshold | None,
    **options: Unpack[Options],
) -> Figure:
    """Draw newborns' levels by their parents', and the course under each rule.

    Dark: the mean level and its 95 % band, which the kernel's sampling leaves; light: where 95 % of single societies
    should be. Thin orange lines are logged societies. `options`: size, title, the rules' names and their order, as
    `look.Options` has them.

    Raises:
        AgentsimError: an option cannot be met.
    """
    look = Look.of(**options)
    called = look.names(course["rule"])
    rules: list[Any] = list(called)
    n = 1 + len(rules) + (crossing is not None)
    columns = min(COLUMNS, n)
    rows = ceil(n / columns)
    figure = blank(*look.size(3.2 * columns, 2.9 * rows))
    panels = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    _kernel(panels[0], families)
    for axes, rule in zip(panels[1:], rules, strict=False):
        _course(axes, course[course["rule"] == rule], logged[logged["rule"] == rule])
        axes.set_title(called[rule], fontsize=9)
    if crossing is not None:
        _threshold(panels[1 + len(rules)], crossing)
    for axes in panels[n:]:
        axes.set_visible(False)
    if title := look.title("", width=figure.get_figwidth()):
        figure.suptitle(title, fontsize=10)
    return figure


def _kernel(axes: Axes, families: pd.DataFrame) -> None:
    known = families.dropna(subset=["parent_level", "mean"])
    x, mean, sd = (known[name].to_numpy(dtype=float, na_value=np.nan) for name in ("parent_level", "mean", "sd"))
    low, high = (known[name].to_numpy(dtype=float, na_value=np.nan) for name in ("low", "high"))
    axes.plot([0, 1], [0, 1], color="0.6", linestyle=":", linewidth=1)
    axes.errorbar(x, mean, yerr=np.nan_to_num(sd), fmt="none", ecolor=KERNEL, alpha=0.3, linewidth=5)
    axes.errorbar(x, mean, yerr=np.nan_to_num([mean - low, high - mean]), fmt="o", color=KERNEL, markersize=4)
    _framed(axes, x="parents' mean level", y="newborns' level")
    axes.set_xlim(-0.03, 1.03)
    axes.set_title("kernel: mean, 95 %, ± sd", fontsize=9)


def _course(axes: Axes, course: pd.DataFrame, logged: pd.DataFrame) -> None:
    generation = course["generation"].to_numpy(dtype=float)
    values = {name: course[name].to_numpy(dtype=float) for name in course.columns if name not in ("rule", "generation")}
    axes.fill_between(generation, values["low"], values["high"], color=KERNEL, alpha=0.15, linewidth=0)
    axes.fill_between(generation, values["mean_low"], values["mean_high"], color=KERNEL, alpha=0.4, linewidth=0)
    axes.plot(generation, values["mean"], color=KERNEL, linewidth=1.6)
    for _, run in logged.groupby("run"):
        axes.plot(run["generation"], run["level"].to_numpy(dtype=float, na_value=np.nan), color=LOGGED, linewidth=0.8)
    _framed(axes, x="generation", y="mean level")
    axes.set_xlim(generation[0] - 0.2, generation[-1] + 0.2)


def _threshold(axes: Axes, crossing: Threshold) -> None:
    value, mean, low, high = (crossing.values[name].to_numpy(dtype=float) for name in ("value", "mean", "low", "high"))
    axes.fill_between(value, low, high, color=KERNEL, alpha=0.4, linewidth=0)
    axes.plot(value, mean, color=KERNEL, marker="o", markersize=3, linewidth=1.6)
    axes.axhline(crossing.at, color="0.6", linestyle=":", linewidth=1)
    if crossing.critical is not None:
        axes.axvline(crossing.critical, color="0.3", linewidth=1)
        if crossing.low is not None and crossing.high is not None:
            axes.axvspan(crossing.low, crossing.high, color="0.3", alpha=0.12, linewidth=0)
    _framed(axes, x=shown(crossing.setting), y="level of the last generation")
    axes.set_title("threshold", fontsize=9)


def _framed(axes: Axes, *, x: str, y: str) -> None:
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel(x, fontsize=8)
    axes.set_ylabel(y, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(visible=True, alpha=0.25)
