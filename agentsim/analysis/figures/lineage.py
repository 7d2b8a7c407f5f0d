"""The descent of strategies: who received whose advice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Unpack

import pandas as pd

from agentsim.analysis.cooperation import cooperation_in
from agentsim.analysis.figures.declared import OfRun
from agentsim.analysis.figures.look import Look, Options
from agentsim.analysis.figures.slots import living
from agentsim.analysis.figures.style import FRACTIONS, blank, colour_scale, label, placed, shown, title_room, titled
from agentsim.analysis.frames.study import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DRAWN", "lineage", "lineage_of"]

MAX_DRAWN: Final = 2000
"""More lines of advice than this (as with hundreds of agents) become a bitmap, because the file would be many MB."""


def lineage(study: Study, run: str, *, name: str | None = None, **options: Unpack[Options]) -> Figure:
    """Draw lives as lines from birth to last generation, and advice as thin lines from survivors to newborns.

    Dots are coloured by the mean fraction given (in other games, the mean level) in that generation, grey where no
    decision could be read; a strategy's dot is larger the more newborns saw it. Rows are places: newborns take those of
    the culled. `options`: size, title and the agents' names, as `look.Options` has them.

    Raises:
        LogError: there is no such run, or none of its generations has begun.
        AgentsimError: an option cannot be met.
    """
    return lineage_of(study, living(study, run, name=name), run, **options)


def lineage_of(study: Study, agents: pd.DataFrame, run: str, **options: Unpack[Options]) -> Figure:
    """Draw `lineage` of the agents that `living` returns."""
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection
    from matplotlib.ticker import MaxNLocator
    from matplotlib.transforms import ScaledTranslation

    look = Look.of(**options)
    look.refuse_order("agents stand where they replaced each other")
    called = look.names(agents["agent"])
    n_slots, n_generations = int(agents["slot"].max()) + 1, int(agents["generation"].nunique())
    height = 0.32 if n_slots <= 60 else max(0.12, 19.2 / n_slots)  # names still fit
    size = look.size(2.4 + 0.8 * max(n_generations, 6), 1.8 + height * n_slots, scales=False)
    figure = blank(*size, is_placed=True)
    title = look.title(f"{shown(run.replace('--', ', '))}: descent of strategies", width=size[0])
    above = title_room(title)
    axes = placed(figure, left=0.3, right=1.0, bottom=0.6, top=above)
    words = cooperation_in(agents["game"].dropna())
    dots = agents.to_dict("records")
    slots = {(str(row["agent"]), int(row["generation"])): int(row["slot"]) for row in dots}
    n_shown: dict[tuple[str, int], int] = {}
    advice = []
    for row in dots:
        number, slot = int(row["generation"]), int(row["slot"])
        is_newborn = row["born"] == row["generation"]
        for parent in str(row["parents"]).split() if is_newborn and not pd.isna(row["parents"]) else []:
            if (parent, number - 1) in slots:
                n_shown[parent, number - 1] = n_shown.get((parent, number - 1), 0) + 1
                advice.append([(number - 1, slots[parent, number - 1]), (number, slot)])
    is_picture = len(advice) > MAX_DRAWN
    axes.add_collection(LineCollection(advice, colors="0.75", linewidths=0.5, zorder=1, rasterized=is_picture))
    lives: dict[str, list[int]] = {}
    for agent, number in slots:
        lives.setdefault(agent, []).append(number)
    ends = {agent: (min(numbers), max(numbers)) for agent, numbers in lives.items()}
    heights = [slots[agent, first] for agent, (first, _) in ends.items()]
    axes.hlines(heights, *zip(*ends.values(), strict=True), color="0.35", linewidth=1.6, zorder=2)
    beside = axes.transData + ScaledTranslation(2 / 72, 5 / 72, figure.dpi_scale_trans)
    for at, (agent, (first, _)) in zip(heights, ends.items(), strict=True):
        axes.text(first, at, called[agent], transform=beside, fontsize=6)
    axes.scatter(
        [int(row["generation"]) for row in dots],
        [int(row["slot"]) for row in dots],
        s=[22 + 8 * n_shown.get((str(row["agent"]), int(row["generation"])), 0) for row in dots],
        color=[_colour(row[words.column], colormaps[FRACTIONS["cmap"]]) for row in dots],
        edgecolor="0.2",
        linewidth=0.5,
        zorder=3,
    )
    colour_scale(placed(figure, left=figure.get_figwidth() - 0.9, right=0.75, bottom=0.6, top=above), title=words.name)
    axes.set_yticks([])
    axes.set_ylim(n_slots - 0.4, -0.8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    label(axes, x="generation (thin lines: advice of survivors to newborns)")
    titled(axes, title)
    return figure


def _colour(value: Any, colours: Any) -> Any:
    return "0.6" if pd.isna(value) else colours(float(value))


DRAWN: Final = (OfRun("lineage", lineage_of),)
