"""A probe's response surfaces: what each strategy would give, by the recipient's record and its partner's."""

from __future__ import annotations

from math import ceil
from textwrap import fill
from typing import TYPE_CHECKING, Any, Final, Unpack

import pandas as pd

from agentsim.analysis.figures.look import Look, Options
from agentsim.analysis.figures.style import COLOURS, MARKERS, blank, shown
from agentsim.errors import LogError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from agentsim.analysis.probes import Probe

__all__ = ["response"]

MAX_PANELS: Final = 12
"""The most strategies drawn; the dataframes have the rest."""
LINES: Final = ("-", "--", ":", "-.")
UNKNOWN: Final = -0.12
"""Where a recipient with no known record is drawn."""


def response(probe: Probe, **options: Unpack[Options]) -> Figure:
    """Draw one panel for each strategy: the mean fraction given by the recipient's record, a line for each partner's.

    Bars are 95 % intervals over repetitions (Student's t). Line styles are amounts of resources. Dotted, grey: giving
    as the recipient gave. A line has a gap where no decision could be read; the panel counts unreadable answers.
    `options`: size, title, the subjects' names and their order, as `look.Options` has them.

    Raises:
        LogError: no decision could be read yet.
        AgentsimError: an option cannot be met.
    """
    from agentsim.analysis.probes import ALL

    surface = probe.surface  # includes situations without a readable answer, where a line has a gap
    if surface["mean"].isna().all():
        raise LogError(f"{probe.name}: no decision of a situation has been read yet; there is nothing to draw")
    look = Look.of(**options)
    called = look.names(surface["subject"])
    subjects: list[Any] = list(called)[:MAX_PANELS]
    columns = min(len(subjects), 4)
    rows = ceil(len(subjects) / columns)
    figure = blank(*look.size(max(6.4, 3.0 * columns), max(4.6, 2.6 * rows + 1.2)))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    summary = probe.summary[probe.summary["subject"] != ALL].set_index("subject")
    handles: dict[str, Any] = {}
    for index, axes in enumerate(grid.flat):
        if index >= len(subjects):
            axes.set_visible(False)
            continue
        subject = subjects[index]
        _panel(axes, surface[surface["subject"] == subject], handles)
        norm = summary.loc[subject, "norm"]
        nearest = "" if pd.isna(norm) else f"\n{norm} ({summary.loc[subject, 'distance']:.2f})"
        n_missing, n_read = int(summary.loc[subject, "n_missing"]), int(summary.loc[subject, "n"])
        unread = f"\n{n_missing} of {n_missing + n_read} answers unread" if n_missing else ""
        axes.set_title(f"{fill(called[subject], 26)}{nearest}{unread}", fontsize=9)
    has_record = bool(surface["level"].notna().any())
    for axes in grid[-1]:
        axes.set_xlabel(
            _axis(surface, is_of_gifts=probe.is_of_donor_game) if has_record else "resources (units)", fontsize=8
        )
    figure.supylabel(f"mean {'fraction given' if probe.is_of_donor_game else 'level'} (95 %)", fontsize=9)
    title = look.title(f"{shown(probe.name)}: response; nearest rule (distance)", width=figure.get_figwidth())
    figure.suptitle(title, fontsize=10)
    if len(handles) > 1:
        figure.legend(
            handles.values(),
            handles.keys(),
            loc="outside lower center",
            ncols=min(4, columns + 1),
            fontsize=8,
            frameon=False,
        )
    return figure


def _panel(axes: Axes, surface: pd.DataFrame, handles: dict[str, Any]) -> None:
    known = surface[surface["level"].notna()]
    if known.empty:
        _draw(axes, surface, surface["resources"], colour=COLOURS[0], marker="o", line="-")
        axes.set_xscale("log")
        axes.set_ylim(-0.03, 1.03)
        return
    axes.plot([0, 1], [0, 1], color="0.6", linestyle=":", linewidth=1)
    partners = sorted(known["partner"].dropna().unique()) or [None]
    amounts = sorted(known["resources"].unique())
    for at, amount in enumerate(amounts):
        for number, partner in enumerate(partners):
            of_line = known[(known["resources"] == amount)]
            of_line = of_line if partner is None else of_line[of_line["partner"] == partner]
            # Lines of one amount stand side by side, so that their bars do not hide each other.
            beside = (number - (len(partners) - 1) / 2) * 0.012
            drawn = _draw(
                axes,
                of_line,
                of_line["level"] + beside,
                colour=COLOURS[number % len(COLOURS)],
                marker=MARKERS[number % len(MARKERS)],
                line=LINES[at % len(LINES)],
                is_filled=at == 0,
            )
            label = f"{amount:g} units" if partner is None else f"partner gave {partner:.0%}, {amount:g} units"
            handles.setdefault(label, drawn)
    unknown = surface[surface["level"].isna()]
    if not unknown.empty:
        drawn = _draw(axes, unknown, pd.Series(UNKNOWN, unknown.index), colour="0.3", marker="D", line="")
        handles.setdefault("nothing known", drawn)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"])
    axes.grid(visible=True, alpha=0.25)


def _draw(
    axes: Axes, points: pd.DataFrame, x: pd.Series, *, colour: str, marker: str, line: str, is_filled: bool = True
) -> Any:
    mean = points["mean"].astype(float)
    below, above = mean - points["low"].astype(float).fillna(mean), points["high"].astype(float).fillna(mean) - mean
    return axes.errorbar(
        x.astype(float),
        mean,
        yerr=[below, above],
        color=colour,
        marker=marker,
        markersize=4,
        markerfacecolor=colour if is_filled else "white",
        linestyle=line,
        linewidth=1.2,
        elinewidth=0.8,
    )


def _axis(surface: pd.DataFrame, *, is_of_gifts: bool) -> str:
    """Return what the recipient's record means here."""
    reputations = surface["reputation"].dropna()
    if reputations.empty:
        return "fraction that the recipient gave last" if is_of_gifts else "level of what the other did last"
    if reputations.isin(["good", "bad"]).all():
        return "recipient's standing (0 bad, 1 good)"
    return "recipient's score (0: -5, 1: 5)"
