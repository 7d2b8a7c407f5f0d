"""Who invades whom, as a matrix: how often invaders fixed, compared with chance."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from textwrap import fill
from typing import TYPE_CHECKING, Any, Final, Unpack

import pandas as pd

from agentsim.analysis.figures.look import Look, Options
from agentsim.analysis.figures.style import COLOURS, blank, shown
from agentsim.errors import LogError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from agentsim.analysis.invasions import Invasions

__all__ = ["invasion_matrix"]

MAX_NAME: Final = 28


def invasion_matrix(found: Invasions, **options: Unpack[Options]) -> Figure:
    """Draw the rate of fixation under selection of each contestant (columns) among residents (rows).

    Blue is more often than chance, orange less often, white chance itself; the colour is that of the bound nearer to
    chance, so what is not decided is white. A cell says the rate, its exact 95 % interval and the rate as a multiple of
    chance; the mark is the verdict. `options`: size, title, names and their order, as `look.Options` has them.

    Raises:
        LogError: no invasion was played under selection, or one under several rules.
        AgentsimError: an option cannot be met.
    """
    from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm
    from matplotlib.patches import Rectangle

    from agentsim.analysis.invasions import matrix_rows

    look = Look.of(**options)
    found_names, cells = matrix_rows(found)
    if not cells:
        raise LogError("no invasion was played under selection; there is no matrix to draw")
    called = look.names(found_names)
    names, n = [*called], len(called)
    figure = blank(*look.size(max(5.0, 2.4 + 1.15 * n), max(3.6, 1.9 + 0.78 * n)))
    axes = figure.add_subplot()
    colours = LinearSegmentedColormap.from_list("chance", [COLOURS[1], "#ffffff", COLOURS[0]])
    for (resident, invader), row in cells.items():
        x, y = names.index(invader), names.index(resident)
        norm = TwoSlopeNorm(vmin=0, vcenter=row["neutral"], vmax=1)
        strength = float(norm(_nearest(row)))
        colour = colours(0.5 + 0.75 * (strength - 0.5))  # so light that black words stand out on it
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colour, edgecolor="white"))
        axes.text(x, y, _words(row), ha="center", va="center", fontsize=7.5, linespacing=1.35)
    for y, resident in enumerate(names):
        for x, invader in enumerate(names):
            if (resident, invader) not in cells:
                axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor="0.93", edgecolor="white"))
    axes.set_xlim(-0.5, n - 0.5)
    axes.set_ylim(n - 0.5, -0.5)
    labels = [fill(label, MAX_NAME) for label in called.values()]
    turned = max(map(len, labels)) > 12
    axes.set_xticks(range(n), labels, rotation=30 if turned else 0, ha="right" if turned else "center", fontsize=8)
    axes.set_yticks(range(n), labels, fontsize=8)
    axes.tick_params(length=0)
    axes.set_xlabel("invader")
    axes.set_ylabel("resident")
    usual = _title(list(cells.values()))
    axes.set_title(usual if look.own_title is None else look.title("", width=figure.get_figwidth()), fontsize=10)
    for side in axes.spines.values():
        side.set_visible(False)
    return figure


def _nearest(row: Mapping[Hashable, Any]) -> float:
    """Return the rate nearest to chance among those that undecided runs leave possible."""
    return float(min(max(row["neutral"], row["rate_low"]), row["rate_high"]))


def _words(row: Mapping[Hashable, Any]) -> str:
    from agentsim.analysis.invasions import MARKS

    low, high, neutral = row["rate_low"], row["rate_high"], row["neutral"]
    rate = f"{low:.0%}" if row["n_censored"] == 0 else f"{low:.0%} – {high:.0%}"
    times = f"×{low / neutral:.2g}" if row["n_censored"] == 0 else f"×{low / neutral:.2g} – {high / neutral:.2g}"
    return f"{rate} {MARKS[row['verdict']]}\n[{100 * row['low']:.0f}, {100 * row['high']:.0f}]\n{times}"


def _title(rows: list[Mapping[Hashable, Any]]) -> str:
    first = pd.DataFrame(rows)
    runs = sorted(set(first["n_runs"]))
    n_runs = f"{runs[0]:,}" if len(runs) == 1 else f"{runs[0]:,} to {runs[-1]:,}"
    one = rows[0]
    return (
        f"How often {one['n_invaders']} invader{'s' if one['n_invaders'] > 1 else ''} among {one['n_agents']} agents"
        f" fixed (selection: {shown(one['selection'])})\n"
        f"rate, exact 95 % interval, multiple of chance ({one['neutral']:.1%}); {n_runs} runs each\n"
        "▲ more often than chance   ▼ less often   · cannot say"
    )
