"""The interactive charts, as Vega-Lite specifications; the page's script gives them their data by name.

Vega draws them as SVG from a script that is inlined once. It compiles expressions with its interpreter (`ast`), so
that the page's policy need not allow `eval`. Colours of axes and text come from the style sheet, light or dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final

from agentsim.analysis.cooperation import GIVING, Cooperation

__all__ = ["COLOURS", "bundle", "specifications"]

COLOURS: Final = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c"]
"""Okabe & Ito's palette for colour-blind readers, with grey instead of black for dark pages."""
SHAPES: Final = ["circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "triangle-right"]
"""Colour and shape together repeat after 49 conditions."""
DASHES: Final = [[6, 3], [2, 2], [8, 3, 2, 3], [10, 3, 2, 3, 2, 3]]
HEIGHT: Final = 300

Spec = dict[str, Any]

CONFIG: Final[Spec] = {
    "autosize": {"type": "fit-x", "contains": "padding"},
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "axis": {"titlePadding": 10, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"},
    "legend": {
        "orient": "top",
        "labelFontSize": 12,
        "title": None,
        "labelLimit": 280,
        "columns": 3,
        "symbolOpacity": 1,
    },
    "view": {"stroke": None},
}
WHOLE: Final[Spec] = {"format": "d", "labelExpr": "datum.value % 1 === 0 ? datum.label : ''", "grid": False}
"""An axis of whole numbers, without labels in between."""
FROM_0_TO_1: Final[Spec] = {"scale": {"domain": [0, 1]}}


def bundle() -> str:
    """Return Vega, Vega-Lite and vega-embed as one script that sets `window.vegaEmbed`.

    The script is stored because making it with `vl_convert.javascript_bundle(None)` takes longer than a whole report.
    """
    return (files("agentsim.report") / "vega.js").read_text(encoding="utf-8")


def specifications(
    *, has_zero: bool, has_published: bool, words: Cooperation = GIVING, conditions: Sequence[str] = ()
) -> dict[str, Spec]:
    """Return the specifications by name.

    `has_zero`: a score is 0 and needs an axis that is linear near 0; `has_published`: published runs are drawn too;
    `words`: what says how cooperative agents were; `conditions`: their names, each of which gets a colour and a shape,
    which together repeat after 49.
    """
    strokes = _strokes(conditions)
    log: Spec = {"type": "symlog", "constant": 1} if has_zero else {"type": "log", "nice": False, "padding": 8}
    return {
        "resources_log": _resources(log, words, strokes, has_published=has_published),
        "resources_linear": _resources({"type": "linear"}, words, strokes, has_published=has_published),
        "fractions": _fractions(words, strokes),
        "society": _society(words),
        "life": _life(),
        "moves": _moves(),
    }


# --- parts ---------------------------------------------------------------------------------------------------------


def _number(field: str, title: str | None = None, **more: Any) -> Spec:
    return {"field": field, "type": "quantitative"} | ({} if title is None else {"title": title}) | more


def _name(field: str, **more: Any) -> Spec:
    return {"field": field, "type": "nominal", **more}


def _layer(data: str, mark: str, style: Spec, **encoding: Any) -> Spec:
    return {"data": {"name": data}, "mark": {"type": mark, **style}, "encoding": encoding}


def _chart(*layers: Spec, height: Any = HEIGHT, **more: Any) -> Spec:
    return {"config": CONFIG, "width": "container", "height": height, "layer": list(layers), **more}


def _strokes(conditions: Sequence[str]) -> Spec:
    """Return the colour and the shape of each condition."""
    turns = [place // len(COLOURS) for place in range(len(conditions))]
    colours = [COLOURS[place % len(COLOURS)] for place in range(len(conditions))]
    shapes = [SHAPES[(place + turn) % len(SHAPES)] for place, turn in enumerate(turns)]
    domain = {"domain": list(conditions)} if conditions else {}
    return {
        "color": _name("condition", scale={**domain, "range": colours or COLOURS}),
        "shape": _name("condition", scale={**domain, "range": shapes or SHAPES}),
    }


GENERATION: Final = _number("generation", "generation", axis=WHOLE, scale={"nice": False, "zero": False})
POINTS: Final = "points"
NEAR: Final[Spec] = {
    "name": "near",
    "select": {"type": "point", "fields": ["run"], "on": "pointerover", "nearest": True},
    "views": [POINTS],
}
"""The run nearest to the pointer."""


def _if_near(value: float, otherwise: float) -> Spec:
    return {"condition": {"param": "near", "empty": False, "value": value}, "value": otherwise}


# --- charts --------------------------------------------------------------------------------------------------------


def _runs(y: Spec, words: Cooperation, strokes: Spec) -> list[Spec]:
    """One thin line with points for each run; the run nearest to the pointer is highlighted."""
    common = {"x": GENERATION, "y": y, "color": strokes["color"], "detail": _name("run")}
    tooltip = [
        _name("run"),
        _number("generation"),
        _number("mean_final_resources", "mean final resources (units)", format=",.4~g"),
        _number(words.column, words.name, format=".3f"),
        _number("n_lost", "decisions lost"),
        _number("n_encounters", "encounters"),
    ]
    lines = _layer("generations", "line", {}, **common, opacity=_if_near(1, 0.4), strokeWidth=_if_near(3, 1.4))
    style = {"size": 40, "opacity": 0.75, "filled": True}
    points = _layer("generations", "point", style, **common, shape=strokes["shape"], tooltip=tooltip)
    return [lines, {**points, "name": POINTS}]


def _resources(scale: Spec, words: Cooperation, strokes: Spec, *, has_published: bool) -> Spec:
    """Mean final resources by generation: runs, the mean of each condition, and what scripted societies reach."""
    level = _number("value", "", scale=scale)
    means = {"x": GENERATION, "color": strokes["color"]}
    beside = {"align": "left", "baseline": "bottom", "dx": 2, "dy": -2, "fontSize": 11}
    return _chart(
        _layer("references", "rule", {"strokeDash": [2, 4], "color": "#8c8c8c"}, y=level),
        _layer("references", "text", beside, x={"value": 0}, y=level, text=_name("name")),
        *(_published(scale) if has_published else ()),
        _layer(
            "conditions", "area", {"opacity": 0.16}, **means, y=_number("low", "", scale=scale), y2={"field": "high"}
        ),
        _layer("conditions", "line", {"strokeWidth": 3}, **means, y=_number("mean", "", scale=scale)),
        _layer(
            "conditions",
            "point",
            {"size": 90, "filled": True, "opacity": 1},
            **means,
            y=_number("mean", "", scale=scale),
            shape=strokes["shape"],
        ),
        *_runs(_number("mean_final_resources", "mean final resources (units)", scale=scale), words, strokes),
        params=[NEAR],
    )


def _published(scale: Spec) -> list[Spec]:
    """Published runs under the same rules and their means: dashed and grey, with one dash pattern for each model."""
    theirs = {
        "x": GENERATION,
        "y": _number("mean_final_resources", "", scale=scale),
        "detail": _name("line"),
        "strokeDash": _name("label", scale={"range": DASHES}),
    }
    single = _layer("published", "line", {"strokeWidth": 0.8, "opacity": 0.45, "color": "#8c8c8c"}, **theirs)
    central = _layer("published", "line", {"strokeWidth": 2, "opacity": 0.9, "color": "#8c8c8c"}, **theirs)
    return [
        {**single, "transform": [{"filter": "!datum.is_mean"}]},
        {**central, "transform": [{"filter": "datum.is_mean"}]},
    ]


def _fractions(words: Cooperation, strokes: Spec) -> Spec:
    """Mean fraction given, or mean level, by generation; a point's bar is its sensitivity band for lost decisions."""
    low = _number("fraction_low", "", **FROM_0_TO_1)
    bar = {"x": GENERATION, "y": low, "y2": {"field": "fraction_high"}, "color": strokes["color"]}
    return _chart(
        _layer("generations", "rule", {"strokeWidth": 5, "opacity": 0.25}, **bar),
        *_runs(_number(words.column, words.title, **FROM_0_TO_1), words, strokes),
        params=[NEAR],
    )


def _society(words: Cooperation) -> Spec:
    """Agents by generations of one run: how cooperative each was; a ring marks the generation of its birth."""
    generation: Spec = {"field": "generation", "type": "ordinal"}
    common = {
        "x": {**generation, "title": "generation", "axis": {"labelAngle": 0}},
        "y": _name("agent", title="agent", sort=None),
        "tooltip": [
            _name("agent"),
            generation,
            _number(words.column, words.name, format=".3f"),
            _number("score", "score (units)", format=",.4~g"),
            _number("n_missed", "missing decisions"),
            _name("fate"),
        ],
    }
    legend = {"orient": "top", "title": f"{words.name} (grey: no decision could be read)", "titleLimit": 400}
    scale = {"scheme": "viridis", "domain": [0, 1]}
    colour = _number(words.column, words.name, scale=scale, legend=legend)
    ring = {"size": 40, "color": "white", "filled": False, "strokeWidth": 1.5, "cursor": "pointer"}
    born = _layer("society", "point", ring, **common)
    return _chart(
        _layer(
            "society", "rect", {"stroke": "#8c8c8c", "strokeWidth": 0.5, "cursor": "pointer"}, **common, color=colour
        ),
        {**born, "transform": [{"filter": "datum.generation === datum.born"}]},
        height={"step": 17},
    )


def _life() -> Spec:
    """One agent's turns as donor, in order: the fraction given or spent, and its resources before."""
    turn = "its turns as donor, in order"
    acts = ["give", "punish", "lost"]
    tooltip = [
        _name("where", title="turn"),
        _name("recipient"),
        _name("act"),
        _number("fraction", format=".3f"),
        _number("amount", "amount (units)", format=",.4~g"),
        _number("donor_before", "held before (units)", format=",.4~g"),
    ]
    return _chart(
        _layer("borders", "rule", {"strokeDash": [2, 4], "color": "#8c8c8c"}, x=_number("turn", turn)),
        _layer(
            "life",
            "point",
            {"size": 55, "filled": True, "opacity": 0.9},
            x=_number("turn", turn, axis=WHOLE, scale={"nice": False}),
            y=_number("shown", "fraction given or spent", **FROM_0_TO_1),
            color=_name("kind", scale={"domain": acts, "range": [COLOURS[0], COLOURS[1], COLOURS[6]]}),
            shape=_name("kind", scale={"domain": acts, "range": ["circle", "square", "cross"]}),
            tooltip=tooltip,
        ),
        height=170,
    )


def _moves() -> Spec:
    """One agent's moves in order, in games other than the donor game: the level of each that has one."""
    turn = "its moves, in order"
    tooltip = [
        _name("where", title="move"),
        _name("stage"),
        _name("role"),
        _name("kind", title="option"),
        _number("amount", "amount (units)", format=",.4~g"),
        _number("level", format=".3f"),
    ]
    return _chart(
        _layer("borders", "rule", {"strokeDash": [2, 4], "color": "#8c8c8c"}, x=_number("turn", turn)),
        _layer(
            "life",
            "point",
            {"size": 55, "filled": True, "opacity": 0.9},
            x=_number("turn", turn, axis=WHOLE, scale={"nice": False}),
            y=_number("shown", "level", **FROM_0_TO_1),
            color=_name("kind", scale={"range": COLOURS}),
            shape=_name("kind"),
            tooltip=tooltip,
        ),
        height=170,
    )
