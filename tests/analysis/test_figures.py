"""Figures: every one is drawn, in the same bytes each time, and foreign text in them is text."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

import agentsim
from agentsim.analysis import figures, measures
from agentsim.analysis.figures import style
from agentsim.analysis.figures.drawn import declared
from agentsim.analysis.figures.style import above_legend, blank, legend_below, settle
from agentsim.analysis.frames.study import Study
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
        monkeypatch.setattr(style, write, lambda figure, file: None)
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
    legend = figures.unreadable(replace(study, encounters=encounters)).axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["asked again", "clamped", "replaced", "refused"]


def test_where_every_answer_was_readable_a_sentence_says_so_of_each_model(study: Study) -> None:
    figure = figures.unreadable(study)
    [words] = [text.get_text() for text in figure.texts if "at once\n" in text.get_text()]
    decisions = study.encounters.groupby("donor_model").size()
    assert figure.axes == [] and words.splitlines()[0] == "every answer was readable at once"
    assert words.splitlines()[2:] == [f"{model} ({n:,} decisions)" for model, n in decisions.items()]


@pytest.mark.parametrize("n_labels", [1, 4, 60])
def test_a_legend_never_takes_the_room_of_the_axes(n_labels: int) -> None:
    figure = blank(is_placed=True)
    axes = above_legend(figure, left=0.75, n_labels=n_labels, note="in\nlines")
    for number in range(n_labels):
        axes.plot([1, 2], [1, 2], label=f"condition {number}")
    legend_below(figure)
    axes.set_xlabel("generation")
    settle(figure)
    around = axes.get_tightbbox()
    [note] = [text for text in figure.texts if text.get_text()]
    assert axes.get_window_extent().height / figure.dpi >= 1.99
    assert around is not None and around.y0 >= note.get_window_extent().y1
    assert note.get_window_extent().y0 >= figure.legends[0].get_window_extent().y1


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
    assert {one.kind for one in drawn} == {"study", *(one.name for one in of_runs)}
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
    figure.savefig(tmp_path / "theirs.png")
    ours, theirs = imread(png), imread(tmp_path / "theirs.png")
    assert ours.shape == (660, 1080, 3) and (ours == theirs[:, :, :3]).all() and (theirs[:, :, 3] == 1).all()
