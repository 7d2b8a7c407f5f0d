"""Efficiency by generation: how near societies come to their schedule's maximum, with published runs for comparison."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any, Final, Unpack

import numpy as np
import pandas as pd

from agentsim.analysis.cooperation import LEVEL, cooperation
from agentsim.analysis.figures.declared import OfStudy
from agentsim.analysis.figures.final_resources import counted
from agentsim.analysis.figures.look import Look, Options
from agentsim.analysis.figures.style import (
    DASHES,
    above_legend,
    blank,
    label,
    legend_below,
    shown,
    stroke,
    titled,
)
from agentsim.analysis.frames.columns import KEY
from agentsim.analysis.frames.study import Study
from agentsim.analysis.measures.outcomes import efficiency as efficiencies
from agentsim.analysis.published import published_unlike
from agentsim.errors import LogError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["DRAWN", "efficiency"]

MAX_DIFFERENCES: int = 12
"""The most differences of rules that the figure names; it counts the rest."""


def efficiency(study: Study, **options: Unpack[Options]) -> Figure:
    """Draw efficiency by generation: 0 as if nobody gave, 1 the most that the schedule really played allows.

    Thin lines are single runs; a thick line is the mean of a condition's runs, its band one standard error (for at
    least 2 runs). In other games than the donor game 0 and 1 are moves as little and as cooperative as possible. If
    models played under other rules than the published runs, these are drawn too, dashed and grey, and the figure names
    the differences. `options`: size, title, names and their order, as `look.Options` has them.

    Raises:
        LogError: no generation has an efficiency yet.
        AgentsimError: an option cannot be met.
    """
    from matplotlib.ticker import MaxNLocator

    look = Look.of(**options)
    data = efficiencies(study.generations, study.runs).dropna(subset=["efficiency"])
    if data.empty and cooperation(study) is LEVEL and not study.generations.empty:
        raise LogError(f"{study.name}: whether all are cooperative or none changes nothing, or is not known")
    if data.empty:
        raise LogError(f"{study.name}: no generation has an efficiency yet; there is nothing to draw")
    data = data.assign(condition=study.conditions(data), efficiency=data["efficiency"].astype(float))
    theirs, differences = published_unlike(study)
    by_condition = dict(list(data.groupby("condition", sort=True)))
    theirs = theirs.assign(study="published")
    words = {name: called + counted(by_condition[name]) for name, called in look.names(by_condition).items()}
    published = {shown(name) + counted(runs): runs for name, runs in theirs.groupby("label", sort=True)}
    figure = blank(*look.size(7.2, 4.8), is_placed=True)
    width = figure.get_figwidth()
    note = fill(_differ(differences), int(width * 15)) if differences and not theirs.empty else ""
    title = look.title(f"{shown(study.name)}: how near to the most that is possible", width=width)
    axes = above_legend(
        figure,
        left=0.75,
        labels=[*published, *words.values()],
        note=note,
        title=title,
        is_fixed=look.height is not None,
    )
    for index, (text, of_label) in enumerate(published.items()):
        dash: Any = (0, DASHES[index % len(DASHES)])
        _draw(axes, text, of_label, color="0.4", linestyle=dash, zorder=1)
    for index, (name, text) in enumerate(words.items()):
        colour, marker, line = stroke(index)
        _draw(axes, text, by_condition[name], color=colour, marker=marker, markersize=4, linestyle=line)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    label(axes, x="generation", y="efficiency (no unit)", y_beside=0.52)
    titled(axes, title)
    axes.grid(visible=True, alpha=0.25)
    legend_below(figure)
    return figure


def _draw(axes: Axes, words: str, runs: pd.DataFrame, **line: Any) -> None:
    from matplotlib.collections import LineCollection

    table = runs.pivot_table(index="generation", columns=KEY, values="efficiency")
    x = table.index.astype(int)
    thin = {key: value for key, value in line.items() if not key.startswith("marker")}
    generations, values = x.to_numpy(dtype=float), table.to_numpy(dtype=float, na_value=np.nan)
    lines = [np.column_stack([generations, values_of_run]) for values_of_run in values.T]
    axes.add_collection(LineCollection(lines, alpha=0.35, linewidth=0.7, **thin))
    n = table.notna().sum(axis=1)
    mean, error = table.mean(axis=1), table.std(axis=1) / np.sqrt(n)
    axes.plot(x, mean, linewidth=1.8, label=words, **line)
    axes.fill_between(x, mean - error, mean + error, color=line["color"], alpha=0.12, linewidth=0)


def _differ(differences: tuple[str, ...]) -> str:
    more = len(differences) - MAX_DIFFERENCES
    named = ", ".join(shown(difference) for difference in differences[:MAX_DIFFERENCES])
    rest = f" and {more} more" if more > 0 else ""
    return (
        "The published runs were played under other rules, so only their efficiency is shown."
        f" Different here: {named}{rest}."
    )


DRAWN: Final = (OfStudy("efficiency", "Efficiency by generation", efficiency),)
