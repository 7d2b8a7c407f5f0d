"""Mean final resources by generation: the experiment's main result in one figure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal, Unpack

import pandas as pd

from agentsim.analysis.cooperation import LEVEL, cooperation, games_of, is_linear
from agentsim.analysis.figures.declared import OfStudy
from agentsim.analysis.figures.look import Look, Options
from agentsim.analysis.figures.style import (
    DASHES,
    above_legend,
    blank,
    label,
    legend_below,
    shown,
    stroke,
    thin_lines,
    titled,
)
from agentsim.analysis.frames.columns import KEY
from agentsim.analysis.frames.maximum import gives_shares
from agentsim.analysis.frames.study import Study
from agentsim.analysis.measures.outcomes import central_means, constant_share_means
from agentsim.analysis.published import published_like, published_summary
from agentsim.errors import LogError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["DRAWN", "final_resources", "references"]

MAX_RULES: Final = 3
"""The most sets of rules whose reference lines are drawn."""
LINE_GAP: Final = 0.04
"""If reference lines are nearer to each other than this part of the axis, the lower one's name is left out."""


def final_resources(study: Study, *, scale: Literal["log", "linear"] = "log", **options: Unpack[Options]) -> Figure:
    """Draw mean final resources by generation, on a logarithmic or a linear axis.

    Thin lines are single runs; a thick line is the geometric mean of a condition's runs, its band one standard error of
    the logarithm (for at least 2 runs). Dotted lines are scripted societies in the schedule really played: all give
    nothing (the endowment), all give half, and all give everything or the most that the schedule allows. Published runs
    are dashed and grey if models played under their schedule and rules (`published_like`); otherwise the figure
    `efficiency` shows them.

    In games other than the donor game resources add up instead of multiplying, and all may begin with nothing: then the
    axis is linear, means are arithmetic, and the lines are moves as little and as cooperative as possible.

    `options`: size, title, names and their order, as `look.Options` has them.

    Raises:
        LogError: no generation has ended yet.
        AgentsimError: an option cannot be met.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    look = Look.of(**options)
    if study.generations.empty:
        raise LogError(f"{study.name}: no generation has ended yet; there is nothing to draw")
    scored = study.scored
    if scored.empty:
        raise LogError(f"{study.name}: no decision could be read; there is nothing to draw")
    data = scored.assign(condition=study.conditions(scored))
    lines, theirs = references(study), published_like(study)
    by_condition = dict(list(data.groupby("condition", sort=True)))
    names, summaries = look.names(by_condition), published_summary(theirs)
    words = {name: label + counted(by_condition[name]) for name, label in names.items()}
    their_words = {
        str(name): shown(f"{name} ({int(rows['n'].iloc[0])} runs)") for name, rows in summaries.groupby("label")
    }
    figure = blank(*look.size(7.2, 4.4), is_placed=True)
    title = look.title(f"{shown(study.name)}: mean final resources by generation", width=figure.get_figwidth())
    every = [*words.values(), *their_words.values()]
    axes = above_legend(figure, left=0.95, labels=every, title=title, is_fixed=look.height is not None)
    means = central_means(study, data).dropna(subset=["mean"])
    means = means.astype({"generation": int, "mean": float, "low": float, "high": float})
    for index, (name, text) in enumerate(words.items()):
        _draw_condition(axes, text, by_condition[name], means[means["condition"] == name], index=index)
    _draw_published(axes, theirs, summaries, their_words)
    scores = pd.concat([data["mean_final_resources"], theirs["mean_final_resources"]])
    _fit(axes, [float(score) for score in scores] + list(lines), "linear" if is_linear(study) else scale)
    _draw_references(axes, lines)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    low, high = axes.get_ylim()
    numbers = [f"{value:,g}" for value in axes.yaxis.get_majorticklocs() if low <= value <= high]
    label(
        axes, x="generation", y="mean final resources (units)", y_beside=0.16 + 0.08 * max(map(len, numbers), default=1)
    )
    titled(axes, title)
    axes.grid(visible=True, which="major", alpha=0.25)
    legend_below(figure)
    return figure


def counted(runs: pd.DataFrame) -> str:
    """Return how many runs there are, as it stands behind a label; empty for one."""
    n = len(runs[KEY].drop_duplicates())
    return f" ({n} runs)" if n > 1 else ""


def _draw_condition(axes: Axes, words: str, runs: pd.DataFrame, means: pd.DataFrame, *, index: int) -> None:
    colour, marker, line = stroke(index)
    thin_lines(axes, runs, x="generation", y="mean_final_resources", color=colour, alpha=0.35, linewidth=0.8)
    axes.plot(
        means["generation"],
        means["mean"],
        color=colour,
        marker=marker,
        markersize=4,
        linewidth=1.8,
        linestyle=line,
        label=words,
    )
    band = means.dropna(subset=["low"])
    if not band.empty:
        axes.fill_between(band["generation"], band["low"], band["high"], color=colour, alpha=0.15, linewidth=0)


def _draw_published(axes: Axes, runs: pd.DataFrame, summaries: pd.DataFrame, words: Mapping[str, str]) -> None:
    """Draw published runs under the same rules, dashed and grey, with one dash pattern for each model."""
    for index, (name, of_label) in enumerate(summaries.groupby("label", sort=True)):
        dash = (0, DASHES[index % len(DASHES)])
        for _, run in runs[runs["label"] == name].groupby("run"):
            axes.plot(
                run["generation"].astype(int),
                run["mean_final_resources"].astype(float),
                color="0.45",
                alpha=0.35,
                linewidth=0.6,
                linestyle=dash,
                zorder=1,
            )
        x, low, high = of_label["generation"].astype(int), of_label["low"].astype(float), of_label["high"].astype(float)
        axes.fill_between(x, low, high, color="0.45", alpha=0.1, linewidth=0, zorder=1)
        text = words[str(name)]
        axes.plot(x, of_label["geometric_mean"].astype(float), color="0.35", linestyle=dash, label=text, zorder=1)


def _fit(axes: Axes, values: list[float], scale: Literal["log", "linear"]) -> None:
    """Set scale and limits; near a score of 0, which has no logarithm, the axis is linear."""
    low, high = min(values), max(values)
    if scale == "linear":
        axes.set_ylim(min(0.0, low), max(high, 1) * 1.06)
    elif low > 0:
        axes.set_ylim(low / 1.25, high * 1.25)
        axes.set_yscale("log")
    else:
        axes.set_ylim(low - 0.3, max(high, 1) * 1.4)
        axes.set_yscale("symlog", linthresh=1)


def references(study: Study) -> dict[float, str]:
    """Return the levels (units) of scripted societies in the schedules really played, and their names.

    If roles do not alternate, giving everything does not earn the most: then the line is the most possible. In games
    other than the donor game they are the least and the most cooperative moves; there are none for several games.
    """
    if cooperation(study) is LEVEL:
        return _bounds(study) if len(games_of(study)) == 1 else {}
    runs = study.runs.dropna(subset=["endowment", "maximum"])
    lines = {float(endowment): f"all give nothing ({endowment:g})" for endowment in sorted(runs["endowment"].unique())}
    one_each = runs.sort_values("maximum").drop_duplicates("rules_digest").head(MAX_RULES)
    for row in one_each.to_dict("records"):
        half, every = _half_and_all(study, str(row["study"]), str(row["run"])) or (None, None)
        most = float(row["maximum"])
        is_all = every is not None and math.isclose(every, most, rel_tol=1e-9)
        lines |= {} if half is None else {half: f"all give half ({half:,.0f})"}
        lines[most] = f"{'all give all' if is_all else 'the most possible'} ({most:,.0f})"
    return lines


def _bounds(study: Study) -> dict[float, str]:
    """Return what all moves as little and as cooperative as possible bring in the last finished generations."""
    last = study.generations.sort_values("generation").drop_duplicates(KEY, keep="last").dropna(subset=["minimum"])
    one_each = last.merge(study.runs[[*KEY, "rules_digest"]], on=KEY).drop_duplicates("rules_digest").head(MAX_RULES)
    lines: dict[float, str] = {}
    for name, words in (
        ("minimum", "all as little cooperative as possible"),
        ("maximum", "all as cooperative as possible"),
    ):
        lines |= {float(value): f"{words} ({value:,.4g})" for value in sorted(one_each[name].dropna().unique())}
    return lines


def _draw_references(axes: Axes, lines: Mapping[float, str]) -> None:
    for value in lines:
        axes.axhline(value, color="0.4", linestyle=(0, (1, 3)), linewidth=1)
    highest = None  # on a linear axis the lower lines lie on each other: only what can be read is named
    for value in sorted(lines, reverse=True):
        place = float(axes.transAxes.inverted().transform(axes.transData.transform((0, value)))[1])
        if highest is None or highest - place > LINE_GAP:
            axes.annotate(
                lines[value], (0.01, value), xycoords=("axes fraction", "data"), fontsize=7, color="0.35", va="bottom"
            )
            highest = place


def _half_and_all(study: Study, name: str, run: str) -> tuple[float, float] | None:
    """Return what always giving half, and everything, earns in the schedule of the run's last finished generation."""
    encounters = study.encounters[(study.encounters["study"] == name) & (study.encounters["run"] == run)]
    ended = study.generations[(study.generations["study"] == name) & (study.generations["run"] == run)]
    game = study.started[name, run].condition.get("game", {}) if (name, run) in study.started else {}
    if ended.empty or "multiplier" not in game or not gives_shares(game):
        return None
    last = encounters[encounters["generation"] == ended["generation"].max()]
    half, every = constant_share_means(
        last, [0.5, 1.0], endowment=game["endowment"], multiplier=game["multiplier"]
    ).tolist()
    return half, every


def _on_a_second_axis(study: Study, **options: Unpack[Options]) -> Figure:
    """Draw the same on a linear axis, where the first figure's is not linear anyway."""
    if is_linear(study):
        raise LogError(f"{study.name}: resources add up here, so final-resources has a linear axis already")
    return final_resources(study, scale="linear", **options)


DRAWN: Final = (
    OfStudy("final-resources", "Mean final resources by generation", final_resources, place=0),
    OfStudy(
        "final-resources-linear",
        "Mean final resources by generation, linear axis",
        _on_a_second_axis,
        place=0,
    ),
)
