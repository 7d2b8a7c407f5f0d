"""Games other than the donor game in figures, measures and comparisons: their level counts, and none is mixed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import agentsim
from agentsim.analysis import figures, measures
from agentsim.analysis.compare import compare
from agentsim.analysis.cooperation import GIVING, LEVEL, cooperation, games_of, is_linear
from agentsim.analysis.figures.final_resources import references
from agentsim.analysis.frames.study import Study
from agentsim.errors import LogError
from tests.games import GAMES, play

SCENARIOS = Path(__file__).parent.parent.parent / "scenarios"


@pytest.fixture(scope="module")
def hunt(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return play("stag-hunt", tmp_path_factory.mktemp("results"), seeds="0-1", sets=["generations=2"])


@pytest.fixture(scope="module")
def donors(tmp_path_factory: pytest.TempPathFactory) -> Study:
    scenario = agentsim.load_scenario(SCENARIOS / "scripted-baselines.yaml", sets=["generations=2"], seeds="0")
    return agentsim.load(agentsim.run(scenario, results=tmp_path_factory.mktemp("donors")).folder)


def test_the_donor_game_is_told_by_what_is_given_and_others_by_their_level(hunt: Study, donors: Study) -> None:
    both = agentsim.load(*hunt.folders.values(), *donors.folders.values())
    assert (cooperation(donors), is_linear(donors)) == (GIVING, False)
    assert (cooperation(hunt), is_linear(hunt)) == (LEVEL, True)
    assert (cooperation(both), games_of(both)) == (LEVEL, ("donor", "matrix"))
    assert references(both) == {}  # units of one game are none of another


@pytest.mark.parametrize("name", GAMES)
def test_every_game_has_its_figures(name: str, tmp_path: Path) -> None:
    study = play(name, tmp_path, sets=["generations=2"] if name != "commons" else [])
    drawn, undrawn = {}, []
    for drawing in figures.drawings(study, n_societies=1):
        try:
            drawn[drawing.name.split("-")[0]] = drawing.draw()
        except LogError as error:
            undrawn.append(str(error))
    has_bounds = name not in ("commons", "coordination", "dictator")  # cooperation brings no more, or nobody knows what
    expected = {"final", "unreadable", "society", "lineage"} | ({"efficiency"} if has_bounds else set())
    assert set(drawn) == expected, undrawn
    assert drawn["final"].axes[0].get_yscale() == "linear"
    assert not [text for text in drawn["final"].axes[0].texts if "give" in text.get_text()]
    assert any("linear axis already" in sentence for sentence in undrawn)
    colours = np.ma.masked_invalid(drawn["society"].axes[0].images[0].get_array())  # type: ignore[arg-type] # is one
    levels = study.agents[study.agents["run"] == study.runs["run"].iloc[0]]["mean_level"]
    assert colours.count() == levels.notna().sum() > 0
    assert "mean level" in [axes.get_ylabel() for axes in drawn["lineage"].axes]
    texts = " ".join(text.get_text() for text in drawn["unreadable"].texts)
    assert (
        f"({len(study.moves[study.moves['actor_model'] == study.moves['actor_model'].iloc[0]]):,} decisions)" in texts
    )


def test_lines_are_the_least_and_the_most_cooperative_moves(hunt: Study) -> None:
    assert references(hunt) == {
        24: "all as little cooperative as possible (24)",
        48: "all as cooperative as possible (48)",
    }


def test_one_generation_is_one_tick(tmp_path: Path) -> None:
    [axes] = figures.final_resources(play("commons", tmp_path)).axes
    low, high = axes.get_xlim()
    assert [tick for tick in axes.xaxis.get_majorticklocs() if low <= tick <= high] == [1]


def test_measures_of_a_game_are_of_its_level(hunt: Study) -> None:
    found = agentsim.summary(hunt).set_index("condition")
    many, few = (found.filter(like=f"stag-{n}-", axis=0).iloc[0] for n in (11, 4))
    assert many["mean_level"] == 1 and few["mean_level"] == 0
    assert many["differential"] > 0 > few["differential"]  # hunters of stag survive where there are many
    assert many["took_off_at"] == 1 and few["collapsed_at"] == 2
    mixed = measures.by_model(hunt.agents, hunt.encounters, hunt.moves)
    first = mixed[(mixed["generation"] == 1) & (mixed["run"] == "all-give-stag-4-all-keep-hare-8--seed-0")]
    assert first[["mean_level", "n_decisions"]].values.tolist() == [[1, 48], [0, 96]]


def test_means_of_what_adds_up_are_arithmetic(hunt: Study) -> None:
    scored = hunt.scored.assign(condition="all")
    means = measures.central_means(hunt, scored)
    assert means["mean"].tolist() == pytest.approx(scored.groupby("generation")["mean_final_resources"].mean().tolist())
    assert (means["n"] == 4).all() and (means["low"] < means["mean"]).all()


def test_runs_of_a_game_are_compared_and_those_of_two_games_are_not(hunt: Study, donors: Study) -> None:
    comparison = compare(hunt, by="condition")
    assert comparison.table["ratio"].tolist() == pytest.approx([2])
    assert comparison.groups["n_took_off"].tolist() == [2, 0] and (comparison.groups["share_lost"] == 0).all()
    both = agentsim.load(*hunt.folders.values(), *donors.folders.values())
    for by in ("study", "condition", "game", "model"):
        with pytest.raises(LogError, match="donor, matrix are different games"):
            compare(both, by=by)


def test_scores_below_zero_have_no_ratio_and_that_is_said(tmp_path: Path) -> None:
    table = "{options: [quiet, talk], payoffs: [[-1, -3], [0, -2]]}"
    sets = [f"game={{kind: matrix, table: {table}, rounds: 4}}", "generations=1"]
    study = play("stag-hunt", tmp_path, seeds="0-1", sets=sets)
    comparison = compare(study, by="condition")
    assert comparison.groups["problem"].str.contains("ended at 0 units or less").all()
    assert comparison.table["problem"].str.contains("a score below 0 has no logarithm").all()
