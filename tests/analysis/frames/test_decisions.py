"""Acts that fail, lengths that are drawn, and societies of odd numbers, in the frames and measures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import agentsim
from agentsim.analysis import measures
from agentsim.analysis.frames.decisions import failed, own_fraction
from agentsim.analysis.frames.study import Study
from agentsim.analysis.published import published_like
from agentsim.cli.tables.study import study_tables
from agentsim.providers.base import Prompt
from agentsim.report.content import missing
from agentsim.testing import FunctionProvider


def studied(tmp_path: Path, **changes: Any) -> Study:
    data = {
        "name": "small",
        "agents": 6,
        "generations": 3,
        "players": {"model": "scripted/constant-share", "share": 0.5},
        "seeds": [0, 1],
        **changes,
    }
    return agentsim.load(agentsim.run(agentsim.scenario_from(data), results=tmp_path).folder)


def test_acts_that_failed_are_counted_and_count_in_no_mean_of_giving(tmp_path: Path) -> None:
    study = studied(tmp_path, game={"kind": "donor", "error": 0.3})
    has_failed = failed(study.encounters)
    assert 0 < has_failed.mean() < 0.5
    assert (study.encounters["amount"][has_failed] == 0).all() and (study.encounters["intended"][has_failed] > 0).all()
    assert own_fraction(study.encounters)[has_failed].isna().all()
    assert (study.generations["mean_fraction"] == 0.5).all() and (study.agents["mean_fraction"].dropna() == 0.5).all()
    assert study.runs["n_failed"].sum() == study.generations["n_failed"].sum() == has_failed.sum()
    assert (study.runs["n_missed"] == 0).all() and (
        measures.mean_fraction(study.encounters)["mean_fraction"] == 0.5
    ).all()
    records = measures.with_records(study.encounters)["recipient_record"].dropna()
    assert set(records) == {0.0, 0.5}
    assert any("act failed" in one.sentence for one in missing(study))


def test_where_acts_cannot_fail_nothing_is_said_of_it(tmp_path: Path) -> None:
    study = studied(tmp_path)
    assert study.encounters["intended"].isna().all() and (study.runs["n_failed"] == 0).all()
    assert not any("failed" in sentence for sentence in missing(study))


def test_a_failed_punishment_is_no_punishment(tmp_path: Path) -> None:
    study = studied(tmp_path)
    frame = study.encounters.assign(act="punish", removed=0.0)
    frame["intended"] = frame["amount"].where(frame["round"] % 2 == 0)
    whole = measures.punishment(frame)
    assert (whole["n_decided"] * 2 == whole["n_encounters"]).all() and (whole["rate"] == 1).all()


def test_a_length_that_is_drawn_is_missing_of_the_run_and_stands_with_each_generation(tmp_path: Path) -> None:
    study = studied(tmp_path, game={"kind": "donor", "rounds": 4, "continuation": 0.7})
    assert study.runs["n_rounds"].isna().all() and (study.runs["status"] == "complete").all()
    longest = study.encounters.groupby(["run", "generation"])["round"].max()
    assert (study.generations.set_index(["run", "generation"])["n_rounds"] == longest).all() and longest.nunique() > 1
    grown = study.generations["maximum"] / study.generations["maximum"].min()
    assert grown.corr(study.generations["n_rounds"]) > 0.5
    fixed = studied(tmp_path / "fixed")
    assert (fixed.runs["n_rounds"] == 12).all() and (fixed.generations["n_rounds"] == 12).all()


@pytest.mark.parametrize("agents", [3, 7, 200])
def test_every_table_and_measure_works_for_other_numbers_of_agents(tmp_path: Path, agents: int) -> None:
    changes = {
        "agents": agents,
        "pairing": {"kind": "random"},
        "generations": 2,
        "game": {"kind": "donor", "rounds": 2},
    }
    study = studied(tmp_path, **changes)
    assert study.agents.groupby(["run", "generation"]).size().eq(agents).all()
    means = study.agents.groupby(["run", "generation"])["score"].mean()
    assert means.to_numpy() == pytest.approx(study.generations["mean_final_resources"].to_numpy(dtype=float))
    # Those who sat out both rounds keep their 10 units; with everyone giving all, no society can do better than this.
    assert (study.generations["maximum"] >= study.generations["mean_final_resources"]).all()
    assert (study.generations["maximum"] >= 10).all()
    assert len(list(study_tables(study))) > 0 and len(agentsim.summary(study)) == 2


def test_the_published_curves_lie_under_the_published_rules_alone(tmp_path: Path) -> None:
    paper = Path(agentsim.__file__).parent.parent / "scenarios/vallinder-hughes-2024/as-released.yaml"
    for sets, is_like in (([], True), (["game.error=0.1"], False), (["observation.noise=0.1"], False)):
        scenario = agentsim.load_scenario(paper, sets=[*sets, "generations=1"], seeds="0")
        result = agentsim.run(
            scenario, results=tmp_path / str(len(sets)) / "".join(sets), provider=FunctionProvider(nobody)
        )
        assert bool(len(published_like(agentsim.load(result.folder)))) == is_like


def nobody(prompt: Prompt) -> str:
    raise agentsim.errors.Unavailable("nobody is here")
