"""`progress` says of each run what `load` says, whether it counts a log's lines, reads it, or has kept its numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import agentsim
from agentsim.analysis.frames import cache
from agentsim.analysis.frames import progress as module
from agentsim.analysis.frames.progress import progress
from agentsim.providers.base import Prompt
from tests.analysis.frames.test_cache import aged
from tests.log.sealing import sealed
from tests.orchestrator.test_study import Fake, answer, play


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers are kept whatever a study's size."""
    monkeypatch.setattr(cache, "MIN_BYTES", 0)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """By run, whether its lines were counted instead of read."""
    found: dict[str, bool] = {}
    count = module._counted

    def noted(folder: Path, run: str) -> object:
        known = count(folder, run)
        found[run] = known is not None
        return known

    monkeypatch.setattr(module, "_counted", noted)
    return found


def second_time(prompt: Prompt) -> str:
    """A model that can always be read, some questions only when they are asked again."""
    said = answer(prompt)
    return said if "say" not in said or len(prompt.messages) < 3 else "My strategy will be to give.\nAnswer: 20%"


def assert_as_loaded(folder: Path) -> None:
    told, loaded = progress(folder), agentsim.load(folder, cache=False, allow_mixed=True)
    pd.testing.assert_frame_equal(told.runs, loaded.runs[list(told.runs.columns)], check_exact=False, rtol=1e-12)
    assert told.notes == loaded.notes and dict(told.folders) == dict(loaded.folders) and told.name == loaded.name


def test_runs_of_all_kinds_are_told_as_loaded(tmp_path: Path, kept: None, counted: dict[str, bool]) -> None:
    folder = play(tmp_path, Fake(text=second_time), seeds=[0, 1, 2, 3, 4]).folder
    logs = [folder / f"model--seed-{seed}" / "log.jsonl" for seed in range(5)]
    lines = logs[1].read_bytes().splitlines(keepends=True)
    logs[1].write_bytes(b"".join(lines[:-1]))
    logs[2].write_bytes(logs[2].read_bytes().replace(b"to give", b"to keep", 1))
    logs[3].write_bytes(lines[0])
    study = json.loads((folder / "study.json").read_text())
    study["runs"]["model--seed-9"] = study["runs"]["model--seed-0"]
    (folder / "study.json").write_text(json.dumps(study))
    assert_as_loaded(folder)
    assert [run for run, is_counted in counted.items() if is_counted] == ["model--seed-0", "model--seed-4"]
    runs = progress(folder).runs
    assert runs["n_asked_again"].iloc[0] > 0
    assert list(runs["status"]) == ["complete", "unfinished", "unreadable", "not begun", "complete", "not begun"]


@pytest.mark.parametrize("then", ["pass", "zero"])
@pytest.mark.parametrize("n_read", [0, 40])
def test_answers_that_cannot_be_read_are_counted_as_loaded(tmp_path: Path, kept: None, then: str, n_read: int) -> None:
    asked: list[Prompt] = []

    def text(prompt: Prompt) -> str:
        is_read = "My strategy will be" in prompt.messages[-1].content or len(asked) < n_read
        asked.append(prompt)
        return answer(prompt) if is_read else "I will not say."

    on_invalid = {"attempts": 2, "then": then, "stop_after": None}
    assert_as_loaded(play(tmp_path, Fake(text=text), on_invalid=on_invalid).folder)


def test_numbers_are_kept_only_for_the_log_they_were_read_from(
    tmp_path: Path, kept: None, counted: dict[str, bool]
) -> None:
    folder = play(tmp_path, Fake(), seeds=[0, 1]).folder
    for log in folder.glob("*/log.jsonl"):
        aged(log)
    first = progress(folder)
    assert len(counted) == 2
    counted.clear()
    pd.testing.assert_frame_equal(progress(folder).runs, first.runs)
    assert not counted
    log = folder / "model--seed-1" / "log.jsonl"
    sealed(log, log.read_text().replace("to give", "to keep", 1))
    aged(log, by_s=30)
    assert_as_loaded(folder)
    assert list(counted) == ["model--seed-1"]
    kept_file = folder / ".cache" / module.KEPT
    kept_file.write_bytes(kept_file.read_bytes().replace(b'"generations":3', b'"generations":2'))
    assert_as_loaded(folder)


def test_scripted_players_and_other_games_are_told_as_loaded(tmp_path: Path, kept: None) -> None:
    folder = play(tmp_path / "donor", Fake(), players={"model": "scripted/random"}, seeds=[0, 1]).folder
    assert_as_loaded(folder)
    scenario = agentsim.load_scenario(
        Path(__file__).parents[3] / "scenarios" / "games" / "public-goods-with-punishment.yaml",
        sets=["players={model: scripted/random}", "generations=2", "seeds=0-1"],
    )
    assert_as_loaded(agentsim.run(scenario, results=tmp_path / "games").folder)
