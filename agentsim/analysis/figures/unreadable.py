"""Decisions that could not be read at once, by model and generation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from agentsim.analysis.figures.declared import OfStudy
from agentsim.analysis.figures.style import COLOURS, blank, shown
from agentsim.analysis.frames.study import Study
from agentsim.analysis.measures import answers
from agentsim.errors import LogError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DRAWN", "unreadable"]

HATCHES: Final = ("", "///", "...", "\\\\\\", "xxx", "++", "oo", "**", "--")


def unreadable(study: Study) -> Figure:
    """Draw for each model the share of decisions by generation that were not readable at once, and what became of them.

    Raises:
        LogError: there is no encounter yet.
    """
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    outcomes_of_all = answers(study.encounters, study.agents, study.runs, study.moves)
    if outcomes_of_all.empty:
        raise LogError(f"{study.name}: there is no encounter yet; there is nothing to draw")
    models = sorted(outcomes_of_all["model"].unique())
    odd = outcomes_of_all[outcomes_of_all["outcome"] != "read at once"]
    order = {"asked again": 0, "clamped": 1, "replaced": 2}
    outcomes = sorted(odd["outcome"].unique(), key=lambda outcome: (order.get(outcome, 3), outcome))
    title = f"{shown(study.name)}: answers not readable at once"
    n_decisions = outcomes_of_all.groupby("model")["n"].sum()
    if odd.empty:
        return _nothing(title, [f"{shown(model)} ({int(n_decisions[model]):,} decisions)" for model in models])
    figure = blank(7.2, 1.4 + 1.7 * len(models))
    panels = figure.subplots(len(models), 1, sharex=True, squeeze=False)[:, 0]
    for axes, model in zip(panels, models, strict=True):
        of_model = outcomes_of_all[outcomes_of_all["model"] == model]
        counts = of_model.pivot_table(index="generation", columns="outcome", values="n", aggfunc="sum", fill_value=0)
        totals = counts.sum(axis=1).to_numpy(dtype=float)
        numbers, floor = counts.index.astype(int).to_numpy(), np.zeros(len(counts))
        for index, outcome in enumerate(outcomes):
            share = counts[outcome].to_numpy(dtype=float) / totals if outcome in counts else np.zeros(len(counts))
            colour, hatch = COLOURS[index % len(COLOURS)], HATCHES[index % len(HATCHES)]
            axes.bar(
                numbers,
                share,
                bottom=floor,
                width=0.7,
                color=colour,
                hatch=hatch,
                edgecolor="white",
                linewidth=0.4,
                label=outcome.replace("_", " "),
            )
            floor = floor + share
        axes.set_title(f"{shown(model)} ({int(n_decisions[model]):,} decisions)", fontsize=9, loc="left")
        if not floor.any():
            axes.annotate(
                "every answer was readable at once", (0.5, 0.5), xycoords="axes fraction", ha="center", fontsize=9
            )
        axes.set_ylim(0, min(1.0, max(0.05, float(floor.max()) * 1.15)))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(visible=True, axis="y", alpha=0.25)
    panels[-1].set_xlabel("generation")
    figure.supylabel("share of decisions", fontsize=10)
    figure.suptitle(title, fontsize=11)
    panels[0].legend(fontsize=8, frameon=False, ncols=3)
    return figure


def _nothing(title: str, models: list[str]) -> Figure:
    """Say that every answer of these models was readable at once: panels without a bar would say no more."""
    height = 1.0 + 0.2 * len(models)
    figure = blank(7.2, height, is_placed=True)
    figure.text(0.5, 1 - 0.25 / height, title, fontsize=11, ha="center", va="center")
    words = "\n".join(["every answer was readable at once", "", *models])
    figure.text(0.5, (height - 0.45) / 2 / height, words, fontsize=9, ha="center", va="center", linespacing=1.4)
    return figure


DRAWN: Final = (OfStudy("unreadable", "Decisions that were not readable at once", unreadable),)
