"""What a methods section is told, from logs alone."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import agentsim
from agentsim.analysis.methods import methods
from agentsim.errors import LogError
from tests.commands import run_command
from tests.orchestrator.test_study import Fake

RULES = {"name": "small", "agents": 4, "generations": 1, "game": {"kind": "donor", "rounds": 2}, "seeds": [0, 3]}


def test_what_answered_is_told_by_group(tmp_path: Path) -> None:
    scenario = agentsim.scenario_from({**RULES, "players": {"model": "openai/gpt-4o"}})
    study = agentsim.load(agentsim.run(scenario, results=tmp_path, provider=Fake()).folder)
    told = methods(study)
    [row] = told.table.to_dict("records")
    start = next(iter(study.started.values()))
    assert row["seeds"] == "0, 3" and row["n_runs"] == 2 and row["n_replies"] == len(study.replies)
    assert row["prompts"] == f"default {start.prompts_digest}"
    text = " ".join(told.sentences)
    assert "openai/gpt-4o was asked" in text and start.prompts_digest in text and "Holm" in text
    assert f"of {len(study.replies)} replies" in text and "fingerprints are not recorded" in text


def test_scripted_players_are_said_to_be_scripted(tmp_path: Path) -> None:
    scenario = agentsim.scenario_from({**RULES, "players": {"model": "scripted/all-keep"}})
    folder = agentsim.run(scenario, results=tmp_path).folder
    done = run_command("methods", folder, cwd=tmp_path)
    assert done.returncode == 0 and "a scripted policy (scripted/all-keep) under seeds 0, 3" in done.stdout
    assert pd.read_csv(folder / "methods" / "methods.csv")["n_runs"].tolist() == [2]
    assert "Holm" in (folder / "methods" / "methods.txt").read_text()


def test_without_a_complete_run_there_is_nothing_to_report(tmp_path: Path) -> None:
    scenario = agentsim.scenario_from({**RULES, "players": {"model": "scripted/all-keep"}})
    study = agentsim.load(agentsim.run(scenario, results=tmp_path).folder)
    study.runs["status"] = "interrupted"
    with pytest.raises(LogError, match="no run is complete"):
        methods(study)
