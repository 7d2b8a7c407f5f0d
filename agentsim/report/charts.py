"""The charts one can point at, as Vega-Lite specifications; their data are given to them in the browser by name.

Vega draws them as SVG from a script that is inlined once. It compiles expressions with its interpreter (`ast`), so
that the page's policy need not allow `eval`. Colours of axes and text come from the style sheet, light or dark.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import altair as alt

__all__ = ["COLOURS", "bundle", "specifications"]

COLOURS: Final = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c"]
"""Okabe & Ito's palette, told apart with any colour vision; grey instead of black, for dark pages."""
DASHES: Final = [[6, 3], [2, 2], [8, 3, 2, 3], [10, 3, 2, 3, 2, 3]]
HEIGHT: Final = 300
WHOLE: Final[dict[str, Any]] = {"format": "d", "labelExpr": "datum.value % 1 === 0 ? datum.label : ''", "grid": False}
"""An axis of whole numbers: no label between them."""


@cache
def bundle() -> str:
    """Return Vega, Vega-Lite and vega-embed as one script that sets `window.vegaEmbed`."""
    import vl_convert

    script = str(vl_convert.javascript_bundle(None))  # type: ignore[arg-type] # None is its documented default
    if "</script" in script.lower() or "<!--" in script:
        raise ValueError("the script of Vega would end its own element; another version of vl-convert-python may not")
    return script


def specifications(*, has_zero: bool, has_published: bool) -> dict[str, Any]:
    """Return the specifications by name.

    `has_zero`: a score is 0 and needs an axis that is linear near 0; `has_published`: published runs are laid under.
    """
    log = alt.Scale(type="symlog", constant=1) if has_zero else alt.Scale(type="log", nice=False, padding=8)
    charts = {
        "resources_log": _resources(log, has_published=has_published),
        "resources_linear": _resources(alt.Scale(type="linear"), has_published=has_published),
        "fractions": _fractions(),
        "society": _society(),
        "life": _life(),
    }
    return {name: _specification(chart) for name, chart in charts.items()}


def _specification(chart: Any) -> dict[str, Any]:
    configured = chart.configure(
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        background="transparent",
        font="system-ui, sans-serif",
        axis=alt.AxisConfig(titlePadding=10, labelFontSize=12, titleFontSize=12, titleFontWeight="normal"),
        legend=alt.LegendConfig(orient="top", labelFontSize=12, title=None, labelLimit=280, columns=3, symbolOpacity=1),
        view=alt.ViewConfig(stroke=None),
    )
    specification: dict[str, Any] = configured.to_dict()
    del specification["$schema"]  # an address; nothing is fetched from it, and none need be in the file
    return specification


def _by_condition() -> Any:
    return alt.Color("condition:N").scale(range=COLOURS)


def _generation() -> Any:
    return alt.X("generation:Q", title="generation").axis(**WHOLE).scale(nice=False, zero=False)


def _hover() -> Any:
    return alt.selection_point(name="near", fields=["run"], on="pointerover", nearest=True, empty=False)


_TOOLTIP: Final = [
    alt.Tooltip("run:N"),
    alt.Tooltip("generation:Q"),
    alt.Tooltip("mean_final_resources:Q", title="mean final resources (units)", format=",.4~g"),
    alt.Tooltip("mean_fraction:Q", title="mean fraction given", format=".3f"),
    alt.Tooltip("n_lost:Q", title="decisions lost"),
    alt.Tooltip("n_encounters:Q", title="encounters"),
]


def _runs(y: Any) -> list[Any]:
    """One thin line and its points for each run; the one pointed at stands out."""
    hover = _hover()
    base = alt.Chart(alt.NamedData(name="generations")).encode(
        x=_generation(), y=y, color=_by_condition(), detail="run:N"
    )
    lines = base.mark_line(strokeWidth=1.4).encode(
        opacity=alt.when(hover).then(alt.value(1)).otherwise(alt.value(0.4)),
        strokeWidth=alt.when(hover).then(alt.value(3)).otherwise(alt.value(1.4)),
    )
    points = base.mark_circle(size=45, opacity=0.75).encode(tooltip=_TOOLTIP).add_params(hover)
    return [lines, points]


def _resources(scale: Any, *, has_published: bool) -> Any:
    """Mean final resources by generation: runs, the geometric mean of each condition, endowment and maximum."""
    y = alt.Y("mean_final_resources:Q", title="mean final resources (units)").scale(scale)
    means = alt.Chart(alt.NamedData(name="conditions")).encode(x=_generation(), color=_by_condition())
    band = means.mark_area(opacity=0.16).encode(y=alt.Y("low:Q", title="").scale(scale), y2="high:Q")
    thick = means.mark_line(strokeWidth=3).encode(y=alt.Y("mean:Q", title="").scale(scale))
    references = alt.Chart(alt.NamedData(name="references")).encode(y=alt.Y("value:Q", title="").scale(scale))
    rules = references.mark_rule(strokeDash=[2, 4], color="#8c8c8c")
    names = references.mark_text(align="left", baseline="bottom", dx=2, dy=-2, fontSize=11).encode(
        x=alt.value(0), text="name:N"
    )
    layers = [rules, names, *(_published(scale) if has_published else ()), band, thick, *_runs(y)]
    return alt.layer(*layers).properties(width="container", height=HEIGHT)


def _published(scale: Any) -> list[Any]:
    """Published runs of the same rules and their means: dashed and grey, each model with its own dash."""
    theirs = alt.Chart(alt.NamedData(name="published")).encode(
        x=_generation(),
        y=alt.Y("mean_final_resources:Q", title="").scale(scale),
        detail="line:N",
        strokeDash=alt.StrokeDash("label:N").scale(range=DASHES),
    )
    single = theirs.transform_filter("!datum.is_mean").mark_line(strokeWidth=0.8, opacity=0.45, color="#8c8c8c")
    central = theirs.transform_filter("datum.is_mean").mark_line(strokeWidth=2, opacity=0.9, color="#8c8c8c")
    return [single, central]


def _fractions() -> Any:
    """Mean fraction given by generation; the bar of a point is what lost decisions could have made of it."""
    y = alt.Y("mean_fraction:Q", title="mean fraction given").scale(domain=[0, 1])
    bars = (
        alt.Chart(alt.NamedData(name="generations"))
        .mark_rule(strokeWidth=5, opacity=0.25)
        .encode(x=_generation(), y=alt.Y("fraction_low:Q", title="").scale(domain=[0, 1]), y2="fraction_high:Q")
        .encode(color=_by_condition())
    )
    return alt.layer(bars, *_runs(y)).properties(width="container", height=HEIGHT)


def _society() -> Any:
    """Agents by generations of one run: mean fraction given; a ring marks the generation an agent was born in."""
    base = alt.Chart(alt.NamedData(name="society")).encode(
        x=alt.X("generation:O", title="generation").axis(labelAngle=0),
        y=alt.Y("agent:N", title="agent", sort=None),
        tooltip=[
            alt.Tooltip("agent:N"),
            alt.Tooltip("generation:O"),
            alt.Tooltip("mean_fraction:Q", title="mean fraction given", format=".3f"),
            alt.Tooltip("score:Q", title="score (units)", format=",.4~g"),
            alt.Tooltip("n_missed:Q", title="missing decisions"),
            alt.Tooltip("fate:N"),
        ],
    )
    scale = alt.Scale(scheme="viridis", domain=[0, 1])
    cells = base.mark_rect(stroke="#8c8c8c", strokeWidth=0.5, cursor="pointer").encode(
        color=alt.Color("mean_fraction:Q", scale=scale, title="mean fraction given").legend(
            orient="top", title="mean fraction given (grey: no decision could be read)", titleLimit=400
        )
    )
    born = base.transform_filter("datum.generation === datum.born").mark_point(
        size=40, color="white", filled=False, strokeWidth=1.5, cursor="pointer"
    )
    return alt.layer(cells, born).properties(width="container", height=alt.Step(17))


def _life() -> Any:
    """One agent's turns as donor, in order: the fraction given or spent, and what it held before."""
    x = alt.X("turn:Q", title="its turns as donor, in order").axis(**WHOLE).scale(nice=False)
    base = alt.Chart(alt.NamedData(name="life")).encode(
        x=x,
        tooltip=[
            alt.Tooltip("where:N", title="turn"),
            alt.Tooltip("recipient:N"),
            alt.Tooltip("act:N"),
            alt.Tooltip("fraction:Q", format=".3f"),
            alt.Tooltip("amount:Q", title="amount (units)", format=",.4~g"),
            alt.Tooltip("donor_before:Q", title="held before (units)", format=",.4~g"),
        ],
    )
    acts = alt.Scale(domain=["give", "punish", "lost"], range=[COLOURS[0], COLOURS[1], COLOURS[6]])
    y = alt.Y("shown:Q", title="fraction given or spent").scale(domain=[0, 1])
    dots = base.mark_point(size=55, filled=True, opacity=0.9).encode(
        y=y,
        color=alt.Color("kind:N", scale=acts),
        shape=alt.Shape("kind:N", scale=alt.Scale(domain=acts.domain, range=["circle", "square", "cross"])),
    )
    borders = (
        alt.Chart(alt.NamedData(name="borders"))
        .encode(x=alt.X("turn:Q", title="its turns as donor, in order"))
        .mark_rule(strokeDash=[2, 4], color="#8c8c8c")
    )
    return alt.layer(borders, dots).properties(width="container", height=170)
