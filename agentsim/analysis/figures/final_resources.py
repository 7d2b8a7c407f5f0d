"""Mean final resources by generation: what the experiment is about, in one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from agentsim.analysis.figures.style import COLOURS, MARKERS, blank, shown
from agentsim.analysis.frames import Study
from agentsim.errors import LogError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["final_resources"]


def final_resources(study: Study) -> Figure:
    """Draw mean final resources by generation, on a logarithmic axis.

    Thin lines are single runs; a thick line is the geometric mean of a condition's runs, its band one standard error of
    the logarithm (from 2 runs on). Dotted lines: the endowment, and what the schedule allows if everyone gives all.

    Raises:
        LogError: no generation has ended yet.
    """
    from matplotlib.ticker import MaxNLocator

    if study.generations.empty:
        raise LogError(f"{study.name}: no generation has ended yet; there is nothing to draw")
    conditions = study.runs.set_index(["study", "run"])["condition"]
    data = study.generations.join(conditions, on=["study", "run"])
    if len(study.folders) > 1:
        data["condition"] = data["study"] + ": " + data["condition"]
    figure = blank()
    axes = figure.add_subplot()
    for index, (name, runs) in enumerate(data.groupby("condition", sort=True)):
        _draw_condition(axes, str(name), runs, index=index)
    _draw_references(axes, study)
    axes.set_yscale("symlog", linthresh=1) if (data["mean_final_resources"] <= 0).any() else axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("generation")
    axes.set_ylabel("mean final resources (units)")
    axes.set_title(f"{shown(study.name)}: mean final resources by generation", fontsize=11)
    axes.grid(visible=True, which="major", alpha=0.25)
    axes.legend(fontsize=8, frameon=False)
    return figure


def _draw_condition(axes: Axes, name: str, runs: pd.DataFrame, *, index: int) -> None:
    colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
    table = runs.pivot(index="generation", columns="run", values="mean_final_resources").astype(float)
    for run in table.columns:
        axes.plot(table.index.astype(int), table[run], color=colour, alpha=0.35, linewidth=0.8)
    positive = table.where(table > 0)
    logs = np.log(positive.to_numpy())
    n_runs = (~np.isnan(logs)).sum(axis=1)
    has_any = n_runs > 0
    generations, logs, n_runs = table.index.astype(int).to_numpy()[has_any], logs[has_any], n_runs[has_any]
    mean = np.nanmean(logs, axis=1)
    label = shown(name.replace("--", ", ")) + (f" ({table.shape[1]} runs)" if table.shape[1] > 1 else "")
    axes.plot(generations, np.exp(mean), color=colour, marker=marker, markersize=4, linewidth=1.8, label=label)
    is_repeated = n_runs > 1
    if is_repeated.any():
        error = np.nanstd(logs[is_repeated], axis=1, ddof=1) / np.sqrt(n_runs[is_repeated])
        low, high = np.exp(mean[is_repeated] - error), np.exp(mean[is_repeated] + error)
        axes.fill_between(generations[is_repeated], low, high, color=colour, alpha=0.15, linewidth=0)


def _draw_references(axes: Axes, study: Study) -> None:
    for endowment in sorted(study.runs["endowment"].dropna().unique()):
        axes.axhline(endowment, color="0.4", linestyle=":", linewidth=1, label=f"endowment ({endowment:g})")
    for mean in sorted(study.runs["maximum"].dropna().round(2).unique())[:3]:
        axes.axhline(mean, color="0.4", linestyle=(0, (1, 3)), linewidth=1, label=f"all give all ({mean:,.0f})")
