"""One society's network: who is next to whom, and how much each agent gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Unpack

import numpy as np
import numpy.typing as npt
import pandas as pd

from agentsim.analysis.cooperation import cooperation_in
from agentsim.analysis.figures.declared import OfRun
from agentsim.analysis.figures.look import Look, Options
from agentsim.analysis.figures.slots import living
from agentsim.analysis.figures.style import FRACTIONS, blank, colour_scale, placed, shown, title_room, titled
from agentsim.analysis.frames.study import Study
from agentsim.errors import LogError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DRAWN", "network", "network_of"]

N_STEPS = 300
"""Steps in which places are moved, each time less far."""


def network(
    study: Study, run: str, *, generation: int | None = None, name: str | None = None, **options: Unpack[Options]
) -> Figure:
    """Draw the agents of a generation, by default the last, at places in their network, coloured by what they gave.

    White: no decision of the agent could be read. In other games than the donor game the colour is the mean level.
    `options`: size and title, and the agents' names if these shall stand beside them, as `look.Options` has them.

    Raises:
        LogError: there is no such run or generation, or its agents have no places in a network.
        AgentsimError: an option cannot be met.
    """
    return network_of(study, living(study, run, name=name), run, generation=generation, **options)


def network_of(
    study: Study, agents: pd.DataFrame, run: str, *, generation: int | None = None, **options: Unpack[Options]
) -> Figure:
    """Draw `network` of the agents that `living` returns."""
    look = Look.of(**options)
    look.refuse_order("agents stand where their network has them")
    number = int(agents["generation"].max()) if generation is None else generation
    agents = agents[agents["generation"] == number]
    edges = study.neighbours[study.neighbours["run"] == run]
    edges = edges[(edges["study"] == agents["study"].min()) & (edges["generation"] == number)]
    if edges["game"].notna().any():  # rewired between games: as it was in the last one
        edges = edges[edges["game"] == edges["game"].max()]
    if edges.empty:
        raise LogError(f"{study.name}: in generation {number} of run {run!r} no agents have places in a network")
    names = sorted({str(one) for one in edges["agent"]})
    called = look.names(names)
    index = {agent: place for place, agent in enumerate(names)}
    pairs = np.array([(index[a], index[b]) for a, b in zip(edges["agent"], edges["neighbour"], strict=True)])
    places = _apart(len(names), pairs)
    words = cooperation_in(agents["game"].dropna())
    levels = agents.set_index("agent")[words.column].reindex(names).to_numpy(dtype=float, na_value=np.nan)

    width, height = look.size(6.2, 5.2)
    figure = blank(width, height, is_placed=True)
    title = look.title(f"{shown(run.replace('--', ', '))}, generation {number}", width=width)
    above = title_room(title) + 0.05
    axes = placed(figure, left=0.2, right=1.1, bottom=0.2, top=above)
    axes.plot(*places[pairs].transpose(2, 1, 0), color="0.75", linewidth=0.8, zorder=1)
    size = min(160.0, 6000 / len(names))
    axes.scatter(places[:, 0], places[:, 1], s=size, c="white", edgecolors="0.4", linewidths=0.6, zorder=2)
    known = ~np.isnan(levels)
    axes.scatter(
        places[known, 0],
        places[known, 1],
        s=size,
        c=levels[known],
        edgecolors="0.4",
        linewidths=0.6,
        zorder=3,
        **FRACTIONS,
    )
    axes.set_axis_off()
    axes.set_aspect("equal", adjustable="datalim")
    for place, agent in zip(places, names, strict=True) if look.labels else ():
        axes.annotate(called[agent], place, xytext=(5, 4), textcoords="offset points", fontsize=7)
    titled(axes, title)
    colour_scale(placed(figure, left=width - 0.8, right=0.55, bottom=0.2, top=above), title=words.name)
    return figure


def _apart(n: int, pairs: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return places, (n, 2): neighbours attract and all others repel each other. (Fruchterman & Reingold 1991)"""
    beside = np.zeros((n, n))
    beside[pairs[:, 0], pairs[:, 1]] = 1
    # Nothing is drawn at random: the places begin on a circle, in the order of the graph's slowest waves.
    _, waves = np.linalg.eigh(np.diag(beside.sum(axis=1)) - beside)
    order = np.arctan2(waves[:, min(2, n - 1)], waves[:, 1]).argsort(kind="stable").argsort(kind="stable")
    angles = 2 * np.pi * order / n
    places = np.column_stack([np.cos(angles), np.sin(angles)])
    ideal = 1 / np.sqrt(n)
    for step in range(N_STEPS):
        away = places[:, None] - places[None]
        distance = np.maximum(np.linalg.norm(away, axis=2), 0.01)
        force = ideal**2 / distance**2 - beside * distance / ideal
        moved = (away * force[..., None]).sum(axis=1)
        length = np.maximum(np.linalg.norm(moved, axis=1), 1e-9)
        places += moved / length[:, None] * np.minimum(length, 0.1 * (1 - step / N_STEPS))[:, None]
    return places


DRAWN: Final = (OfRun("network", network_of, needs="neighbours"),)
