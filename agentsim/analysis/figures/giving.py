"""Giving by the recipient's record: is cooperation conditional?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from agentsim.analysis.cooperation import games_of
from agentsim.analysis.figures.declared import OfStudy
from agentsim.analysis.figures.style import COLOURS, MARKERS, blank, label, placed, shown, thin_lines
from agentsim.analysis.frames.columns import KEY
from agentsim.analysis.frames.study import Study
from agentsim.analysis.measures import giving_by_record
from agentsim.errors import LogError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DRAWN", "giving"]


def giving(study: Study) -> Figure:
    """Draw the mean fraction given by what the recipient gave last, in five bins.

    Thin lines are single runs; a thick line is the mean of a condition's runs, its bars one standard error over runs
    (for at least 2 runs). Dotted: giving as the recipient gave.

    Raises:
        LogError: it is another game, or nobody has met a recipient with a record yet.
    """
    if "donor" not in games_of(study):
        raise LogError(f"{study.name}: what recipients gave before is known in the donor game alone")
    by_record = giving_by_record(study.encounters)
    if by_record.empty:
        raise LogError(f"{study.name}: nobody has given to a recipient with a record yet; there is nothing to draw")
    by_record["condition"] = study.conditions(by_record)
    by_record["middle"] = (by_record["record_low"] + by_record["record_high"]) / 2
    figure = blank(5.6, 4.8, is_placed=True)
    axes = placed(figure, left=0.65, right=0.2, bottom=0.55, top=0.35)
    axes.plot([0, 1], [0, 1], color="0.6", linestyle=":", linewidth=1)
    for index, (condition, of_condition) in enumerate(by_record.groupby("condition", sort=True)):
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        thin_lines(axes, of_condition, x="middle", y="mean_fraction", color=colour, alpha=0.3, linewidth=0.8)
        n = len(of_condition[KEY].drop_duplicates())
        bins = of_condition.groupby("middle")["mean_fraction"].agg(["mean", "std", "count"]).astype(float)
        error = bins["std"] / np.sqrt(bins["count"])
        name = shown(str(condition).replace("--", ", ")) + (f" ({n} runs)" if n > 1 else "")
        axes.errorbar(
            bins.index, bins["mean"], yerr=error, color=colour, marker=marker, markersize=5, linewidth=1.8, label=name
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.03, 1.03)
    label(axes, x="fraction that the recipient gave last (bins of 0.2)", y="mean fraction given to it")
    axes.set_title(f"{shown(study.name)}: giving by the recipient's record", fontsize=11, y=1)
    axes.grid(visible=True, alpha=0.25)
    axes.legend(fontsize=8, frameon=False)
    return figure


DRAWN: Final = (OfStudy("giving", "Giving against the recipient's record", giving),)
