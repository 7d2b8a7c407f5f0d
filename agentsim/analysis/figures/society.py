"""One society: how much each agent gave in each generation, and whom selection kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Unpack

import numpy as np
import pandas as pd

from agentsim.analysis.cooperation import cooperation_in
from agentsim.analysis.figures.declared import OfRun
from agentsim.analysis.figures.look import Look, Options
from agentsim.analysis.figures.slots import living
from agentsim.analysis.figures.style import (
    COLOURS,
    FRACTIONS,
    blank,
    colour_scale,
    label,
    placed,
    shown,
    title_room,
    titled,
)
from agentsim.analysis.frames.study import Study
from agentsim.analysis.measures import survival_differential

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DRAWN", "society", "society_of"]


def society(study: Study, run: str, *, name: str | None = None, **options: Unpack[Options]) -> Figure:
    """Draw agents by generations, coloured by the mean fraction given, with the selection differential below.

    A row is a place in the society: survivors keep theirs, newborns (white dot) take those of the culled. Hatched: no
    decision of the agent could be read. Below: survivors' mean minus that of the culled. In other games than the donor
    game both are the mean level. `options`: size and title, as `look.Options` has them.

    Raises:
        LogError: there is no such run, or none of its generations has begun.
        AgentsimError: an option cannot be met.
    """
    return society_of(study, living(study, run, name=name), run, **options)


def society_of(study: Study, agents: pd.DataFrame, run: str, **options: Unpack[Options]) -> Figure:
    """Draw `society` of the agents that `living` returns."""
    from matplotlib.ticker import MaxNLocator

    look = Look.of(**options)
    look.refuse_order("agents stand where they replaced each other")
    look.names(agents["agent"])
    n_slots, generations = (
        int(agents["slot"].max()) + 1,
        sorted(int(number) for number in agents["generation"].unique()),
    )
    grid = np.full((n_slots, len(generations)), np.nan)
    columns = {number: place for place, number in enumerate(generations)}
    width, height = look.size(1.8 + 0.62 * max(len(generations), 6), 2.6 + 0.22 * n_slots, scales=False)
    title = look.title(shown(run.replace("--", ", ")), width=width)
    above = title_room(title)
    strip = (height - 0.9 - above) / (1 + max(2, n_slots / 3))  # what is below takes, of what margins leave
    figure = blank(width, height, is_placed=True)
    top = placed(figure, left=0.75, right=1.0, bottom=0.75 + strip, top=above)
    below = placed(figure, left=0.75, right=1.0, bottom=0.6, top=height - 0.6 - strip)
    below.sharex(top)
    newborns, words = [], cooperation_in(agents["game"].dropna())
    for row in agents.to_dict("records"):
        place, slot = columns[int(row["generation"])], int(row["slot"])
        is_known = not pd.isna(row[words.column])
        grid[slot, place] = row[words.column] if is_known else np.nan
        if not is_known:
            middle = generations[place]
            ends = [middle - 0.5, middle + 0.5]
            top.fill_between(ends, slot - 0.5, slot + 0.5, hatch="////", facecolor="0.9", edgecolor="0.6", linewidth=0)
        if row["born"] == row["generation"] and int(row["generation"]) > generations[0]:
            newborns.append((generations[place], slot))
    if newborns:
        x, y = zip(*newborns, strict=True)
        top.plot([x], [y], "o", color="white", markeredgecolor="0.2", markersize=4)  # a line of one point each
    top.imshow(
        np.ma.masked_invalid(grid),
        aspect="auto",
        extent=(generations[0] - 0.5, generations[-1] + 0.5, n_slots - 0.5, -0.5),
        interpolation="nearest",
        **FRACTIONS,
    )
    colour_scale(
        placed(figure, left=figure.get_figwidth() - 0.9, right=0.75, bottom=0.75 + strip, top=above), title=words.name
    )
    top.set_yticks(range(n_slots), [str(slot + 1) for slot in range(n_slots)], fontsize=7)
    top.tick_params(axis="x", labelbottom=False)
    label(top, y="place in the society")
    titled(top, title)
    differentials = survival_differential(agents, trait=words.column).dropna(subset=["differential"])
    values = differentials["differential"].astype(float).to_numpy()
    below.bar(
        differentials["generation"].astype(int).to_numpy(),
        values,
        color=[COLOURS[2] if value >= 0 else COLOURS[1] for value in values],
        width=0.6,
    )
    below.axhline(0, color="0.3", linewidth=0.8)
    reach = max(0.1, float(np.abs(values).max(initial=0)) * 1.15)
    below.set_ylim(-reach, reach)
    below.tick_params(axis="y", labelsize=8)
    label(below, x=f"generation (white dot: newborn; bars: difference in {words.name})", y="survivors\nminus culled")
    below.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure


DRAWN: Final = (OfRun("society", society_of),)
