"""Whose advice went to whom: the descent of strategies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from agentsim.analysis.figures.slots import living
from agentsim.analysis.figures.style import blank, shown
from agentsim.analysis.frames import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["lineage"]

MAX_DRAWN: Final = 2000
"""Lines of advice drawn as such; more (of hundreds of agents) become a picture, as the file would be many MB."""


def lineage(study: Study, run: str, *, name: str | None = None) -> Figure:
    """Draw lives as lines from birth to last generation, and advice as thin lines from survivors to newborns.

    Dots are coloured by the mean fraction given in that generation, grey where no decision could be read; a strategy's
    dot is larger the more newborns saw it. Rows are places: newborns take those of the culled.

    Raises:
        LogError: there is no such run, or none of its generations has begun.
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import LineCollection
    from matplotlib.ticker import MaxNLocator

    agents = living(study, run, name=name)
    slots = {(str(row["agent"]), int(row["generation"])): int(row["slot"]) for row in agents.to_dict("records")}
    n_slots, n_generations = int(agents["slot"].max()) + 1, int(agents["generation"].nunique())
    height = 0.32 if n_slots <= 60 else max(0.12, 19.2 / n_slots)  # names still fit
    figure = blank(2.4 + 0.8 * max(n_generations, 6), 1.8 + height * n_slots)
    axes = figure.add_subplot()
    colours = colormaps["viridis"]
    n_shown: dict[tuple[str, int], int] = {}
    advice = []
    for row in agents[agents["born"] == agents["generation"]].to_dict("records"):
        number, slot = int(row["generation"]), int(row["slot"])
        for parent in [] if pd.isna(row["parents"]) else str(row["parents"]).split():
            if (parent, number - 1) in slots:
                n_shown[parent, number - 1] = n_shown.get((parent, number - 1), 0) + 1
                advice.append([(number - 1, slots[parent, number - 1]), (number, slot)])
    is_picture = len(advice) > MAX_DRAWN
    axes.add_collection(LineCollection(advice, colors="0.75", linewidths=0.5, zorder=1, rasterized=is_picture))
    for agent, life in agents.groupby("agent", sort=True):
        numbers = life["generation"].astype(int)
        axes.plot([numbers.min(), numbers.max()], [life["slot"].iloc[0]] * 2, color="0.35", linewidth=1.6, zorder=2)
        axes.annotate(
            shown(agent), (numbers.min(), life["slot"].iloc[0]), (2, 5), textcoords="offset points", fontsize=6
        )
    dots = agents.to_dict("records")
    axes.scatter(
        [int(row["generation"]) for row in dots],
        [int(row["slot"]) for row in dots],
        s=[22 + 8 * n_shown.get((str(row["agent"]), int(row["generation"])), 0) for row in dots],
        color=[_colour(row, colours) for row in dots],
        edgecolor="0.2",
        linewidth=0.5,
        zorder=3,
    )
    figure.colorbar(ScalarMappable(cmap=colours), ax=axes, label="mean fraction given")
    axes.set_yticks([])
    axes.set_ylim(n_slots - 0.4, -0.8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("generation (thin lines: advice of survivors to newborns)")
    axes.set_title(f"{shown(run.replace('--', ', '))}: descent of strategies", fontsize=11)
    return figure


def _colour(row: Any, colours: Any) -> Any:
    return "0.6" if pd.isna(row["mean_fraction"]) else colours(float(row["mean_fraction"]))
