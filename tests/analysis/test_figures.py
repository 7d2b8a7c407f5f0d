"""Figures: every one is drawn, in the same bytes each time, and foreign text in them is text."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from typer.testing import CliRunner

import agentsim
from agentsim.analysis import figures, measures
from agentsim.analysis.figures import style
from agentsim.analysis.figures.drawn import declared
from agentsim.analysis.figures.style import above_legend, blank, legend_below, settle
from agentsim.analysis.frames.study import Study
from agentsim.analysis.labels import labels_of
from agentsim.analysis.pairs import turned
from agentsim.cli import app
from agentsim.errors import AgentsimError, LogError

SCENARIOS = Path(__file__).parent.parent.parent / "scenarios"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    sets = ["generations=3", "vary.players=[{model: scripted/random}, {model: scripted/discriminator}]"]
    scenario = agentsim.load_scenario(SCENARIOS / "scripted-baselines.yaml", sets=sets, seeds="0-1")
    return agentsim.load(agentsim.run(scenario, results=tmp_path_factory.mktemp("results")).folder)


def test_all_figures_are_drawn_the_same_twice(study: Study, tmp_path: Path) -> None:
    first, undrawn = figures.write_figures(study, tmp_path / "one", n_societies=None)
    second, _ = figures.write_figures(study, tmp_path / "two", n_societies=1)
    assert undrawn == []
    names, again = ({path.name for path in written} for written in (first, second))
    assert {
        "final-resources.svg",
        "final-resources-linear.png",
        "efficiency.svg",
        "giving.svg",
        "unreadable.svg",
    } < names
    assert len([name for name in names if name.startswith("society-")]) == 8  # 4 runs, SVG and PNG
    assert {name for name in names if not name.startswith(("society-", "lineage-"))} < again < names
    assert {path.name: path.read_bytes() for path in first if path.name in again} == {
        path.name: path.read_bytes() for path in second
    }


def test_of_many_runs_as_many_are_drawn_as_asked_for_and_the_rest_is_said(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for write in ("write_svg", "_write_png"):  # which files there are is asked, not what is in them
        monkeypatch.setattr(style, write, lambda figure, file, dpi=0: None)
    [own] = study.folders.values()
    for asked, n, said in (
        ((), 3, "1 of 4 runs"),
        (("--societies", "0"), 0, "4 of 4 runs"),
        (("--societies", "9"), 4, ""),
    ):
        place = tmp_path / str(n)
        result = CliRunner().invoke(app, ["figures", str(own), "--output", str(place), *asked])
        assert result.exit_code == 0, result.output
        for kind in ("society", "lineage"):
            assert len(list(place.glob(f"{kind}-*.svg"))) == len(list(place.glob(f"{kind}-*.png"))) == n
        assert (said in result.output and "--societies all" in result.output) if said else "drawn" not in result.output
    conditions = {path.stem.rsplit("--", 1)[0] for path in (tmp_path / "3").glob("society-*.svg")}
    assert len(conditions) == 2  # each condition's first run comes first


def test_colour_marker_and_line_together_repeat_late() -> None:
    strokes = [style.stroke(place) for place in range(196)]
    assert len({str(one) for one in strokes}) == 196
    assert len({one.line for one in strokes[:7]}) == 1 and len({one.marker for one in strokes[:7]}) == 7


OF_CONDITIONS = (figures.final_resources, figures.efficiency, figures.giving)


@pytest.mark.parametrize("draw", OF_CONDITIONS)
def test_size_title_names_and_order_are_as_asked(study: Study, draw: Callable[..., Figure]) -> None:
    names = ["scripted-random", *sorted({str(one) for one in study.conditions(study.runs)})]
    first, second = names[-1], names[1]
    figure = draw(study, width="single-column", title="of $mine", order=[first], labels={second: "the other"})
    assert figure.get_figwidth() == 3.5 and figure.axes[0].get_title() == r"of \$mine"
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert [text.removesuffix(" (2 runs)") for text in texts] == [labels_of([first, second])[first], "the other"]
    assert [line.get_color() for line in figure.axes[0].lines if line.get_label() in texts] == list(style.COLOURS[:2])
    assert draw(study, width=4, height=5.5, title="").get_size_inches().tolist() == [4, 5.5]
    for option in (
        {"width": "wide"},
        {"height": 0},
        {"order": ["nobody"]},
        {"labels": {"nobody": "x"}},
        {"colour": "red"},
    ):
        with pytest.raises(AgentsimError, match=next(iter(option))):
            draw(study, **option)
    with pytest.raises(AgentsimError, match="no room above the legend"):
        draw(study, height=1)


def test_every_public_figure_takes_the_same_options() -> None:
    drawn = [getattr(figures, name) for name in figures.__all__]
    of_data = [one for one in drawn if inspect.isfunction(one) and inspect.signature(one).return_annotation == "Figure"]
    assert len(of_data) == 11
    for one in of_data:
        assert inspect.signature(one).parameters["options"].annotation == "Unpack[Options]", one.__name__


def test_a_society_has_its_own_order(study: Study) -> None:
    run = str(study.runs["run"].iloc[0])
    figure = figures.society(study, run, width="single-column", title="One")
    assert figure.get_figwidth() == 3.5 and figure.axes[0].get_title() == "One"
    with pytest.raises(AgentsimError, match="order"):
        figures.lineage(study, run, order=["1_1"])


def test_what_is_asked_for_is_drawn_in_the_formats_asked_for(study: Study, tmp_path: Path) -> None:
    [own] = study.folders.values()
    asked = ["--only", "giving", "--only", "society", "--societies", "1", "--format", "pdf", "--width", "single-column"]
    result = CliRunner().invoke(app, ["figures", str(own), "-o", str(tmp_path), *asked])
    assert result.exit_code == 0, result.output
    written = sorted(tmp_path.iterdir())
    assert [path.name.split("-")[0].removesuffix(".pdf") for path in written] == ["giving", "society"]
    assert all(path.read_bytes().startswith(b"%PDF") for path in written)
    for odd in (["--only", "nothing"], ["--format", "gif"], ["--label", "x"], ["--order", "nobody"], ["--dpi", "1"]):
        result = CliRunner().invoke(app, ["figures", str(own), "-o", str(tmp_path), *odd])
        assert isinstance(result.exception, AgentsimError), odd


def test_pairs_are_turned_to_ratios_above_1_and_sorted(study: Study) -> None:
    found = agentsim.compare(study, by="condition")
    names = list(found.groups["group"])
    rows = [
        {"first": a, "second": b, "ratio": ratio, "low": low, "high": high, "n_first": 1, "n_second": 2}
        for a, b, ratio, low, high in (
            ("a", "b", 0.5, 0.25, 0.8),
            ("a", "c", None, None, None),
            ("b", "c", 4.0, None, None),
            ("c", "d", 1.25, 0.9, 2.0),
        )
    ]
    kinds = {"ratio": "Float64", "low": "Float64", "high": "Float64"}
    table: pd.DataFrame = turned(pd.DataFrame(rows).astype(kinds))
    assert [*zip(table["first"], table["second"], strict=True)] == [("b", "c"), ("b", "a"), ("c", "d"), ("a", "c")]
    assert [table[name][1] for name in ("ratio", "low", "high", "n_first", "n_second")] == [2.0, 1.25, 4.0, 2, 1]
    table = turned(pd.DataFrame(rows).astype(kinds), order=["c", "b", "a", "d"])
    assert [*zip(table["first"], table["second"], strict=True)] == [("c", "b"), ("c", "a"), ("c", "d"), ("b", "a")]
    figure = figures.forest(found, labels={names[0]: "the one"}, order=names[::-1], width="double-column")
    [pair] = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert pair == f"{labels_of(names)[names[1]]} / the one"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["openai/gpt-4o--t-0", "openai/gpt-4o--t-1"], ["t-0", "t-1"]),
        (["all-give", "all-keep"], ["all-give", "all-keep"]),
        (["a/b", "a/b--c"], ["a/b", "a/b, c"]),
        (["one--two"], ["one, two"]),
        (["one: a--b", "one: a, b"], ["a--b", "a, b"]),
        ([f"{'long ' * 20}1{' long' * 20}", f"{'long ' * 20}2{' long' * 20}"], None),
    ],
)
def test_names_lose_what_is_common_and_stay_apart(names: list[str], expected: list[str] | None) -> None:
    labels = list(labels_of(names).values())
    assert len(set(labels)) == len(names)
    assert labels == expected if expected else all(len(label) <= 60 for label in labels)


@pytest.mark.parametrize("asked", ["-1", "some", "1.5", ""])
def test_a_number_of_societies_that_is_none_is_a_sentence(study: Study, asked: str) -> None:
    [own] = study.folders.values()
    result = CliRunner().invoke(app, ["figures", str(own), f"--societies={asked}"])
    assert isinstance(result.exception, AgentsimError) and repr(asked) in str(result.exception)


def test_reference_lines_are_scripted_societies_of_this_schedule(study: Study) -> None:
    [axes] = figures.final_resources(study).axes
    labels = [text.get_text() for text in axes.texts]
    assert labels == ["all give all (30,720)", "all give half (394)", "all give nothing (10)"]


def test_a_society_keeps_survivors_in_their_places(study: Study) -> None:
    run = study.runs["run"].iloc[0]
    from agentsim.analysis.figures.slots import living

    agents = living(study, run)
    assert (agents.groupby("agent")["slot"].nunique() == 1).all()
    assert (agents.groupby("generation")["slot"].nunique() == 12).all() and agents["slot"].max() == 11
    heat = figures.society(study, run).axes[0]
    newborns = int(((agents["born"] == agents["generation"]) & (agents["generation"] > 1)).sum())
    assert len(heat.lines) == newborns == 12


def test_foreign_names_are_text_in_figures(study: Study, tmp_path: Path) -> None:
    name = r"$\frac{evil}$ <script>\x1b[2J"
    renamed = {
        frame: getattr(study, frame).assign(study=name)
        for frame in ("runs", "agents", "generations", "encounters", "resources", "replies")
    }
    hostile = replace(
        study, folders={name: Path("s")}, started={(name, k[1]): v for k, v in study.started.items()}, **renamed
    )
    figure = figures.final_resources(hostile)
    [svg, _] = figures.save(figure, tmp_path / "figure")
    assert not re.search("<script", svg.read_text())
    assert r"\$\frac{evil}\$" in figure.axes[0].get_title()


def test_a_run_that_is_not_there(study: Study) -> None:
    with pytest.raises(LogError, match="'nobody' has no agents"):
        figures.society(study, "nobody")


def test_nothing_to_draw_is_a_sentence(study: Study, tmp_path: Path) -> None:
    nothing = replace(
        study, generations=study.generations.head(0), encounters=study.encounters.head(0), agents=study.agents.head(0)
    )
    with pytest.raises(AgentsimError, match="there is nothing to draw yet"):
        figures.write_figures(nothing, tmp_path)


def test_the_ledger_counts_what_became_of_every_decision(study: Study) -> None:
    encounters = study.encounters.copy()
    for row, column, value in (
        (0, "act", "missing"), (0, "problem", "refused"), (0, "attempts", 3),
        (1, "attempts", 2),
        (2, "replaced_by", "zero"), (2, "problem", "unreadable"),
        (3, "reading", "clamped"),
    ):  # fmt: skip
        encounters.loc[row, column] = value
    found = measures.answers(encounters, study.agents, study.runs)
    assert found["n"].sum() == len(encounters)
    odd = found[found["outcome"] != "read at once"]
    assert odd.groupby("outcome")["n"].sum().to_dict() == {"asked again": 1, "clamped": 1, "refused": 1, "replaced": 1}
    assert set(found["prompts"].str.split().str[0]) == {"default"}
    [legend] = figures.unreadable(replace(study, encounters=encounters)).legends
    assert [text.get_text() for text in legend.get_texts()] == ["asked again", "clamped", "replaced", "refused"]


def test_where_every_answer_was_readable_a_sentence_says_so_of_each_model(study: Study) -> None:
    figure = figures.unreadable(study)
    [words] = [text.get_text() for text in figure.texts if "at once\n" in text.get_text()]
    decisions = study.encounters.groupby("donor_model").size()
    assert figure.axes == [] and words.splitlines()[0] == "every answer was readable at once"
    assert words.splitlines()[2:] == [
        f"{str(model).removeprefix('scripted/')} ({n:,} decisions)" for model, n in decisions.items()
    ]


@pytest.mark.parametrize(
    "more", ["", " of a study whose conditions all have names of more than one line, settings and all"]
)
@pytest.mark.parametrize("width", [3.5, 7.2])
@pytest.mark.parametrize("n_labels", [1, 4, 60])
def test_a_legend_never_takes_the_room_of_the_axes(n_labels: int, width: float, more: str) -> None:
    figure = blank(width, is_placed=True)
    names = [f"condition {number}{more}" for number in range(n_labels)]
    axes = above_legend(figure, left=0.75, labels=names, note="in\nlines")
    for name in names:
        axes.plot([1, 2], [1, 2], label=name)
    legend_below(figure)
    axes.set_xlabel("generation")
    settle(figure)
    around = axes.get_tightbbox()
    [note] = [text for text in figure.texts if text.get_text()]
    assert axes.get_window_extent().height / figure.dpi >= 1.99
    assert around is not None and around.y0 >= note.get_window_extent().y1
    legend = figure.legends[0].get_window_extent()
    assert note.get_window_extent().y0 >= legend.y1 and legend.y0 >= 0
    assert legend.x0 >= 0 and legend.x1 <= width * figure.dpi
    assert [" ".join(text.get_text().split()) for text in figure.legends[0].get_texts()] == names


def test_where_roles_do_not_alternate_the_highest_line_is_not_called_all_give_all(tmp_path: Path) -> None:
    scenario = agentsim.load_scenario(
        SCENARIOS / "donor-game.yaml", sets=["generations=1", "pairing.kind=random"], model="scripted/random", seeds="0"
    )
    played = agentsim.load(agentsim.run(scenario, results=tmp_path).folder)
    [axes] = figures.final_resources(played).axes
    assert axes.texts[0].get_text() == f"the most possible ({played.runs['maximum'].iloc[0]:,.0f})"


def test_every_figure_that_a_file_declares_is_drawn_and_public(study: Study) -> None:
    of_studies, of_runs = declared()
    drawn = list(figures.drawings(study, n_societies=1))
    assert [one.name for one in drawn if one.kind == "study"] == [one.name for one in of_studies]
    assert {one.kind for one in drawn} == {"study", *(one.name for one in of_runs if not one.needs)}
    assert of_studies[0].name == "final-resources"  # it says the most
    for name in [*(one.name for one in of_studies), *(one.name for one in of_runs)]:
        function = name.removesuffix("-linear").replace("-", "_")
        assert function in figures.__all__ and inspect.getdoc(getattr(figures, function))


def test_a_network_is_drawn_with_what_its_agents_gave(study: Study, tmp_path: Path) -> None:
    sets = ["generations=2", "pairing={kind: network, graph: lattice}"]
    scenario = agentsim.load_scenario(SCENARIOS / "donor-game.yaml", sets=sets, model="scripted/random", seeds="0")
    played = agentsim.load(agentsim.run(scenario, results=tmp_path).folder)
    [run] = played.runs["run"]
    [axes, _] = figures.network(played, run, generation=1).axes
    assert len(axes.lines) == 2 * 24 and "generation 1" in axes.get_title()  # each edge of 3 by 4 places from both ends
    drawn = axes.collections[-1].get_array()
    given = played.agents[played.agents["generation"] == 1].sort_values("agent")["mean_fraction"]
    assert drawn is not None and drawn.tolist() == given.dropna().tolist()
    with pytest.raises(LogError, match="no agents have places in a network"):
        figures.network(study, study.runs["run"].iloc[0])


def test_a_png_holds_the_pixels_that_matplotlib_draws(tmp_path: Path) -> None:
    figure = blank(is_placed=True)
    figure.text(0.5, 0.5, "words", color="#d55e00")
    [_, png] = figures.save(figure, tmp_path / "words")
    figure.savefig(tmp_path / "theirs.png", dpi=300)
    ours, theirs = imread(png), imread(tmp_path / "theirs.png")
    assert ours.shape == (1320, 2160, 3) and (ours == theirs[:, :, :3]).all() and (theirs[:, :, 3] == 1).all()
