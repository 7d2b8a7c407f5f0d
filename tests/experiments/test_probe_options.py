"""What a user asks for becomes a probe of a run's strategies, or is refused before anyone is asked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import agentsim
from agentsim.analysis.probes import load_probe
from agentsim.errors import AgentsimError, LogError, ScenarioError
from agentsim.experiments.probe import plan, probe
from agentsim.experiments.probe_options import Options, designed
from tests.experiments.test_probe import asked, scenario
from tests.orchestrator.test_study import SMALL, Fake


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    small = agentsim.scenario_from({**SMALL, "seeds": [0, 1]})
    result = agentsim.run(small, results=tmp_path_factory.mktemp("finished"), provider=Fake())
    assert result.is_complete
    return result.folder


def test_a_generation_of_a_run_is_asked_under_its_own_rules(finished: Path, tmp_path: Path) -> None:
    rules, design = designed(finished, Options(run="model--seed-1", generation=2))
    study = agentsim.load(finished)
    own = study.agents[(study.agents["run"] == "model--seed-1") & (study.agents["generation"] == 2)]
    assert {subject.name for subject in design.subjects} == set(own["agent"])
    known = own.set_index("agent")["strategy"].dropna().to_dict()
    assert {s.name: s.strategy for s in design.subjects if s.strategy is not None} == known
    assert rules.game.rounds == 4 and rules.seeds == (1,) and "fake" in rules.providers
    assert rules.name == "probe-small-model--seed-1-g2"
    result = probe(rules, design, results=tmp_path, provider=Fake())
    assert result.is_complete and len(load_probe(result.folder).answers) == 4 * 31 * 5


def test_parents_are_the_survivors_also_after_the_last_generation(finished: Path) -> None:
    study = agentsim.load(finished)
    for generation in (2, 3):
        _, design = designed(finished, Options(run="model--seed-0", generation=generation, children=2))
        own = study.agents[(study.agents["run"] == "model--seed-0") & (study.agents["generation"] == generation)]
        best = own.nlargest(2, "score")
        assert sorted(parent.score for parent in design.subjects if parent.score) == sorted(best["score"])
        assert {parent.role for parent in design.subjects} == {"parent"} and design.n == 0 and design.background


def test_a_player_with_a_name_of_its_own_is_asked_as_any_other(tmp_path: Path) -> None:
    rules = scenario(players={"model": "fake/model", "name": "keen"})
    assert asked(tmp_path, Fake(text=lambda prompt: "Answer: 30%"), rules, n=1).is_complete


def test_another_model_may_be_asked_a_runs_strategies(finished: Path) -> None:
    rules, _ = designed(finished, Options(run="model--seed-0", model="openai/gpt-4o-2024-08-06", max_cost=2.5))
    assert rules.joint_label == "openai/gpt-4o-2024-08-06" and rules.budget == 2.5


FILE = "name: f\nplayers: {model: openai/gpt-4o-2024-08-06}\nseeds: [0]\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "holds 2 runs; choose one with --run"),
        ({"run": "nope"}, "has no run 'nope'; it has model--seed-0"),
        ({"run": "model--seed-0", "generation": 4}, "has no generation 4; it has 1 to 3"),
        ({"run": "model--seed-0", "agents": ("9_9",)}, "no agent '9_9' lived in generation 3"),
        ({"run": "model--seed-0", "strategies": ("x",)}, "is a study, whose agents have strategies"),
        ({"run": "model--seed-0", "sets": ("agents=6",)}, "is a study, whose rules are those of its log"),
        ({"run": "model--seed-0", "name": "../x"}, "cannot name a folder"),
        ({"run": "model--seed-0", "max_cost": -1.0}, "above 0"),
        ({"run": "model--seed-0", "records": "0,101"}, "between 0 and 100"),
        ({"run": "model--seed-0", "partners": "a"}, "cannot be read"),
        ({"run": "model--seed-0", "resources": "0"}, "cannot give"),
        ({"run": "model--seed-0", "n": 10**6}, "--n"),
        ({"run": "model--seed-0", "model": "nobody/x"}, "no provider is called 'nobody'"),
    ],
)
def test_what_does_not_fit_a_study_is_said(finished: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(AgentsimError, match=re.escape(message)):
        designed(finished, Options(**options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "state one with --strategy"),
        ({"strategies": (" ",)}, "--strategy: is empty"),
        ({"strategies": ("x",), "model": "scripted/all-give"}, "reads no --strategy"),
        ({"run": "a"}, "--run: "),
        ({"agents": ("1_1",)}, "is not a study's folder"),
        ({"strategies": ("x",), "sets": ("observation.kind=foo",)}, "observation"),
    ],
)
def test_what_does_not_fit_a_scenario_is_said(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(FILE)
    with pytest.raises(AgentsimError, match=re.escape(message)):
        designed(path, Options(**options))
    with pytest.raises(ScenarioError, match="does not exist"):
        designed(tmp_path / "nowhere.yaml", Options())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "scripted/all-give", "children": 2}, "has no children"),
        ({"strategies": ("x",), "n": 0}, "nothing is asked"),
        ({"strategies": ("x",), "background": "nice"}, "no policy is called 'nice'"),
        (
            {"strategies": ("x",), "children": 1, "sets": ("transmission.kind=copy",)},
            "newborns are not asked for a strategy",
        ),
        ({"strategies": ("x",), "sets": ("vary.agents=[4, 6]",)}, "has 2 conditions"),
    ],
)
def test_what_cannot_be_asked_is_said_before_anyone_is(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(FILE)
    rules, design = designed(path, Options(**options))
    with pytest.raises(ScenarioError, match=message):
        plan(rules, design)


def test_an_unfinished_run_is_refused_unless_an_ended_generation_is_named(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "small" / "model--seed-0"
    folder.mkdir(parents=True)
    (folder.parent / "study.json").write_text((finished / "study.json").read_text())
    lines = (finished / "model--seed-0" / "log.jsonl").read_text().splitlines(keepends=True)
    ends = [number for number, line in enumerate(lines) if '"generation_ended"' in line]
    (folder / "log.jsonl").write_text("".join(lines[: ends[1] + 3]))
    for generation in (None, 3):
        with pytest.raises(LogError, match=r"is not finished.*--generation 1 to 2"):
            designed(tmp_path / "small", Options(generation=generation))
    assert designed(tmp_path / "small", Options(generation=2))[1].subjects


def test_long_names_are_cut_and_stay_apart(finished: Path) -> None:
    names = {designed(finished, Options(run="model--seed-0", model=f"openai/{'m' * 60}-{end}"))[0].name for end in "ab"}
    assert len(names) == 2 and all(len(name) <= 64 for name in names)


# --- what is written -----------------------------------------------------------------------------------------------
