"""Decisions that could not be read at once, by model and generation."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Final, Unpack

import numpy as np

from agentsim.analysis.figures.declared import OfStudy
from agentsim.analysis.figures.look import Look, Options
from agentsim.analysis.figures.style import COLOURS, blank, shown, title_room
from agentsim.analysis.frames.study import Study
from agentsim.analysis.measures import answers
from agentsim.errors import LogError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DRAWN", "unreadable"]

HATCHES: Final = ("", "///", "...", "\\\\\\", "xxx", "++", "oo", "**", "--")


def unreadable(study: Study, **options: Unpack[Options]) -> Figure:
    """Draw for each model the share of decisions by generation that were not readable at once, and what became of them.

    `options`: size, title, the models' names and their order, as `look.Options` has them.

    Raises:
        LogError: there is no encounter yet.
        AgentsimError: an option cannot be met.
    """
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    outcomes_of_all = answers(study.encounters, study.agents, study.runs, study.moves)
    if outcomes_of_all.empty:
        raise LogError(f"{study.name}: there is no encounter yet; there is nothing to draw")
    look = Look.of(**options)
    called = look.names(sorted(outcomes_of_all["model"].unique()))
    models = list(called)
    odd = outcomes_of_all[outcomes_of_all["outcome"] != "read at once"]
    order = {"asked again": 0, "clamped": 1, "replaced": 2}
    outcomes = sorted(odd["outcome"].unique(), key=lambda outcome: (order.get(outcome, 3), outcome))
    width, height = look.size(7.2, 1.4 + 1.7 * len(models), scales=False)
    title = look.title(f"{shown(study.name)}: answers not readable at once", width=width)
    n_decisions = outcomes_of_all.groupby("model")["n"].sum()
    if odd.empty:
        sentences = [f"{called[model]} ({int(n_decisions[model]):,} decisions)" for model in models]
        return _nothing(title, sentences, width=width, own_height=look.height)
    figure = blank(width, height)
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
        axes.set_title(f"{called[model]} ({int(n_decisions[model]):,} decisions)", fontsize=9, loc="left")
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
    handles, words = panels[0].get_legend_handles_labels()
    figure.legend(handles, words, loc="outside lower center", fontsize=8, frameon=False, ncols=3)
    return figure


def _nothing(title: str, models: list[str], *, width: float, own_height: float | None) -> Figure:
    """Say that every answer of these models was readable at once: panels without a bar would say no more."""
    fits = int(width * 14)
    words = "\n".join(["every answer was readable at once", "", *(fill(model, fits) for model in models)])
    above = title_room(title)
    height = own_height or 0.5 + above + 0.2 * (words.count("\n") + 1)
    figure = blank(width, height, is_placed=True)
    figure.text(0.5, 1 - 0.12 / height, title, fontsize=11, ha="center", va="top")
    figure.text(0.5, (height - above) / 2 / height, words, fontsize=9, ha="center", va="center", linespacing=1.4)
    return figure


DRAWN: Final = (OfStudy("unreadable", "Decisions that were not readable at once", unreadable, are_conditions=False),)
