"""Giving by the recipient's record: is cooperation conditional?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Unpack

import numpy as np

from agentsim.analysis.cooperation import games_of
from agentsim.analysis.figures.declared import OfStudy
from agentsim.analysis.figures.final_resources import counted
from agentsim.analysis.figures.look import Look, Options
from agentsim.analysis.figures.style import (
    above_legend,
    blank,
    label,
    legend_below,
    shown,
    stroke,
    thin_lines,
    titled,
)
from agentsim.analysis.frames.study import Study
from agentsim.analysis.measures import giving_by_record
from agentsim.errors import LogError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DRAWN", "giving"]


def giving(study: Study, **options: Unpack[Options]) -> Figure:
    """Draw the mean fraction given by what the recipient gave last, in five bins.

    Thin lines are single runs; a thick line is the mean of a condition's runs, its bars one standard error over runs
    (for at least 2 runs). Dotted: giving as the recipient gave. `options`: size, title, names and their order, as
    `look.Options` has them.

    Raises:
        LogError: it is another game, or nobody has met a recipient with a record yet.
        AgentsimError: an option cannot be met.
    """
    look = Look.of(**options)
    if "donor" not in games_of(study):
        raise LogError(f"{study.name}: what recipients gave before is known in the donor game alone")
    by_record = giving_by_record(study.encounters)
    if by_record.empty:
        raise LogError(f"{study.name}: nobody has given to a recipient with a record yet; there is nothing to draw")
    by_record["condition"] = study.conditions(by_record)
    by_record["middle"] = (by_record["record_low"] + by_record["record_high"]) / 2
    by_condition = dict(list(by_record.groupby("condition", sort=True)))
    words = {name: called + counted(by_condition[name]) for name, called in look.names(by_condition).items()}
    figure = blank(*look.size(5.6, 4.8), is_placed=True)
    title = look.title(f"{shown(study.name)}: giving by the recipient's record", width=figure.get_figwidth())
    axes = above_legend(figure, left=0.65, labels=[*words.values()], title=title, is_fixed=look.height is not None)
    axes.plot([0, 1], [0, 1], color="0.6", linestyle=":", linewidth=1)
    for index, (condition, text) in enumerate(words.items()):
        of_condition, (colour, marker, line) = by_condition[condition], stroke(index)
        thin_lines(axes, of_condition, x="middle", y="mean_fraction", color=colour, alpha=0.3, linewidth=0.8)
        bins = of_condition.groupby("middle")["mean_fraction"].agg(["mean", "std", "count"]).astype(float)
        error = bins["std"] / np.sqrt(bins["count"])
        axes.plot(
            bins.index,
            bins["mean"],
            color=colour,
            marker=marker,
            markersize=5,
            linewidth=1.8,
            linestyle=line,
            label=text,
        )
        axes.vlines(bins.index, bins["mean"] - error, bins["mean"] + error, color=colour, linewidth=1.8)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.03, 1.03)
    label(axes, x="fraction that the recipient gave last (bins of 0.2)", y="mean fraction given to it")
    titled(axes, title)
    axes.grid(visible=True, alpha=0.25)
    legend_below(figure)
    return figure


DRAWN: Final = (OfStudy("giving", "Giving against the recipient's record", giving),)
