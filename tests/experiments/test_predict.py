"""From a probe's newborns to a forecast: what is asked, resumed, drawn and scored, with a planted kernel."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

import agentsim
from agentsim.analysis.kernel import kernel_of
from agentsim.analysis.probes import load_probe
from agentsim.cli.tables.predict import threshold_sentence
from agentsim.cli.tables.probe import probe_tables
from agentsim.errors import LogError, ScenarioError
from agentsim.experiments.predict import predict
from agentsim.log.reading import read_log
from agentsim.log.records import Reply
from agentsim.providers.base import Prompt
from tests.commands import run_command
from tests.orchestrator.test_study import SMALL, Fake, facts

LEVEL = re.compile(r"give (\d+(?:\.\d+)?)% of my units")
SCENARIO: dict[str, Any] = {
    "name": "planted",
    "agents": 8,
    "generations": 3,
    "game": {"kind": "donor", "rounds": 4, "games": 1},
    "observation": {"kind": "none"},
    "transmission": {"kind": "one_parent"},
    "players": {"model": "fake/model"},
    "providers": SMALL["providers"],
}


def planted(mean: Callable[[float], float], *, sd: float = 5.0) -> Fake:
    """A model whose newborns' levels lie around `mean`, in percent, and whose agents give what they said."""

    def text(prompt: Prompt) -> str:
        said = "\n".join(message.content for message in prompt.messages)
        levels = [float(found) for found in LEVEL.findall(said)]
        if "My strategy will be" not in said:
            return f"Answer: {levels[-1]}%"
        rng = Random(said)
        level = rng.gauss(mean(sum(levels) / len(levels)), sd) if levels else rng.uniform(40, 90)
        return f"My strategy will be to give {min(100, max(0, level)):.2f}% of my units"

    return Fake(text=text)


def asked(tmp_path: Path, fake: Fake | None = None, **options: Any) -> Path:
    options = {"levels": (0, 0.5, 1), "children": 5, "founders": 4, "background": ("constant-share",), **options}
    fake = planted(lambda x: 0.8 * x) if fake is None else fake
    return agentsim.probe(agentsim.scenario_from(SCENARIO), results=tmp_path, provider=fake, **options).folder


def test_each_family_has_children_of_its_own_parents_and_founders_have_none(tmp_path: Path) -> None:
    fake = planted(lambda x: 0.8 * x)
    found = load_probe(asked(tmp_path, fake))
    subjects = found.subjects
    assert list(subjects["role"]) == ["parent"] * 3 + ["child"] * 15 + ["founder"] * 4
    children = subjects[subjects["role"] == "child"]
    assert [set(rows["parents"]) for _, rows in children.groupby("family")] == [{"text-1"}, {"text-2"}, {"text-3"}]
    assert subjects.loc[subjects["role"] == "founder", ["family", "parents"]].replace("", None).isna().all(axis=None)
    births = [prompt for prompt in fake.prompts if "My strategy will be" in prompt.messages[1].content]
    shown = [LEVEL.findall(prompt.messages[1].content) for prompt in births]
    assert sorted(map(tuple, shown)) == [()] * 4 + [("0",)] * 5 + [("100",)] * 5 + [("50",)] * 5
    assert all(
        "generation 1" in prompt.messages[1].content for prompt, levels in zip(births, shown, strict=True) if not levels
    )
    families = found.families
    assert families["parent_level"].dropna().tolist() == pytest.approx([0, 0.5, 1])
    assert families["mean"].tolist()[:3] == pytest.approx([0.02, 0.4, 0.8], abs=0.06)
    assert families["n_children"].tolist() == [5, 5, 5, 4]
    assert {table.title for table in probe_tables(found)} >= {"Newborns by their parents' level"}
    kernel = kernel_of(found.name, found.subjects, found.levels)
    assert [len(levels) for levels in kernel.children] == [5, 5, 5] and len(kernel.founders) == 4


def test_families_of_several_parents_are_shown_all_of_them(tmp_path: Path) -> None:
    folder = asked(
        tmp_path, levels=None, strategies=tuple(f"to give {x}% of my units" for x in (0, 20, 80, 100)), family=2
    )
    subjects = load_probe(folder).subjects
    assert sorted(set(subjects["parents"].dropna()) - {""}) == [
        "text-1",
        "text-2",
        "text-3",
        "text-4",
    ]  # one_parent: of the two
    of_first = subjects[(subjects["role"] == "child") & (subjects["family"] == 1)]
    assert set(of_first["parents"]) <= {"text-1", "text-2"}
    with pytest.raises(ScenarioError, match="--family 3: 4 parents cannot be divided"):
        asked(tmp_path, levels=None, strategies=("a", "b", "c", "d"), family=3, name="other")


def test_a_probe_of_families_that_is_broken_off_asks_nothing_twice(tmp_path: Path) -> None:
    whole = read_log(asked(tmp_path / "whole") / "probe").records
    fake = planted(lambda x: 0.8 * x)
    fake.fail_at = 40
    folder = asked(tmp_path / "broken", fake)
    n_stored = sum(isinstance(record, Reply) for record in read_log(folder / "probe").records)
    again = planted(lambda x: 0.8 * x)
    assert asked(tmp_path / "broken", again) == folder
    records = read_log(folder / "probe").records
    assert 0 < n_stored < again.n_calls + n_stored == sum(isinstance(record, Reply) for record in records)
    assert facts(records) == facts(whole)


def test_parents_of_a_run_are_spread_over_its_levels(tmp_path: Path) -> None:
    run = agentsim.run(
        agentsim.scenario_from({**SCENARIO, "seeds": [0]}), results=tmp_path, provider=planted(lambda x: 0.9 * x)
    )
    probe = agentsim.probe(
        run.folder, results=tmp_path, provider=planted(lambda x: x), children=2, families=4, background=("all-give",)
    )
    found = load_probe(probe.folder)
    levels = found.families["parent_level"].astype(float).tolist()
    agents = agentsim.load(run.folder).agents["mean_fraction"]
    assert levels == sorted(levels) and len(levels) == 4
    assert [levels[0], levels[-1]] == pytest.approx([agents.min(), agents.max()], abs=0.01)
    with pytest.raises(ScenarioError, match="too few for 20 families"):
        agentsim.probe(run.folder, results=tmp_path, children=2, families=20)


def test_a_forecast_is_set_beside_runs_that_it_did_not_see_and_scored(tmp_path: Path) -> None:
    folder = asked(tmp_path, children=8)
    groups = {"number": 2, "learn": "one_group"}
    study = agentsim.run(
        agentsim.scenario_from(
            {**SCENARIO, "name": "seen", "groups": groups, "vary": {"groups.weight": [0, 1]}, "seeds": [0, 1]}
        ),
        results=tmp_path,
        provider=planted(lambda x: 0.8 * x),
    )
    result = predict(
        folder,
        studies=[study.folder],
        sets=["groups={number: 2, learn: one_group}"],
        over="groups.weight",
        values=(0, 1),
        at=0.9,
    )
    rules = list(dict.fromkeys(result.found.course["rule"]))
    assert rules == ["individual", "group", "none", "model--weight-0", "model--weight-1"]
    logged = agentsim.load(study.folder).generations
    assert sorted(result.logged["level"]) == sorted(logged["mean_fraction"])
    assert result.scores["n_runs"].tolist() == [2, 2] and (result.scores["crps"] < 0.2).all()
    assert result.threshold is not None and result.threshold.critical is None
    assert threshold_sentence(result.threshold).startswith("No threshold: over these values of groups.weight")
    same = predict(folder, studies=[study.folder], sets=["groups={number: 2, learn: one_group}"])
    assert same.found.course.equals(result.found.course)

    ended = run_command("predict", folder, "--study", study.folder, "--set", "agents=4", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    for words in (
        "Predicted mean level",
        "individual",
        "The forecast against runs that it did not see",
        "one family was asked",
    ):
        assert words in ended.stdout
    files = {path.name for path in (folder / "prediction").iterdir()}
    assert files == {"families.csv", "course.csv", "scores.csv", "logged.csv", "prediction.svg", "prediction.png"}


def test_what_cannot_be_predicted_is_said(tmp_path: Path) -> None:
    folder = asked(tmp_path, founders=0, name="no-founders")
    with pytest.raises(ScenarioError, match="ask the probe for --founders"):
        predict(folder)
    course = predict(folder, start=0.3).found.course
    assert course.loc[course["generation"] == 1, "mean"].tolist() == pytest.approx([0.3, 0.3])
    with pytest.raises(ScenarioError, match=r"--start 2: is a level"):
        predict(folder, start=2)
    with pytest.raises(ScenarioError, match=r"--values: selection\.fraction needs 2 to 50"):
        predict(folder, start=0.3, over="selection.fraction", values=(0.5,))
    plain = agentsim.probe(
        agentsim.scenario_from({**SCENARIO, "name": "plain"}),
        strategies=("to give 5% of my units",),
        results=tmp_path,
        n=1,
        provider=planted(lambda x: x),
    )
    with pytest.raises(LogError, match="no newborn and its parents have a level"):
        predict(plain.folder)
    with pytest.raises(ScenarioError, match="--levels: is about the parents of newborns"):
        asked(tmp_path, children=0, founders=0, name="childless")
