"""Models whose answers cannot be read: no success, not paid for to the end; and runs whose turn never came."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import agentsim
from agentsim.analysis.compare import compare
from agentsim.cli.tables.status import status_table
from agentsim.cli.tables.study import study_tables
from agentsim.errors import BadRequest, LogError
from agentsim.log.stopped import stop_reasons
from agentsim.orchestrator.readability import patience
from agentsim.providers.base import Prompt
from agentsim.report.content import missing
from tests.orchestrator.test_faults import mute
from tests.orchestrator.test_study import Fake, play

MUTE = {"model": "fake/model"}
READABLE = {"model": "scripted/all-give"}


def test_a_model_that_is_never_readable_is_no_success(tmp_path: Path) -> None:
    on_invalid = {"attempts": 1, "stop_after": None}
    changes: dict[str, Any] = {"generations": 1, "on_invalid": on_invalid, "vary": {"players": [MUTE, READABLE]}}
    states = {}
    for _ in range(2):  # the second time from the end of the log alone
        result = play(tmp_path, Fake(text=mute), **changes)
        states = {state.run: state for state in result.runs}
        assert result.is_unread and not result.is_complete
        assert states["all-give--seed-0"].status == "complete" and states["model--seed-0"].status == "unread"
        why = "not one of 16 decisions of 'fake/model' could be read: the results say nothing about the model"
        assert states["model--seed-0"].reason == why
    study = agentsim.load(result.folder)
    assert dict(zip(study.runs["run"], study.runs["status"], strict=True)) == {
        "all-give--seed-0": "complete",
        "model--seed-0": "unread",
    }
    assert study.runs["problem"].tolist()[1] == "not one of 16 decisions of 'fake/model' could be read"
    assert len(study.generations) == 2 and list(study.scored["run"]) == ["all-give--seed-0"]
    with pytest.raises(LogError, match="only 'all-give' has complete runs"):
        compare(study, by="condition")
    shown = Console(width=200, record=True, file=StringIO())
    for table in study_tables(study):
        shown.print(table)
    lines = [line.split() for line in shown.export_text().splitlines()]
    assert ["model--seed-0", "1", "-", "-", "16", "0"] in lines  # no mean and no bar
    sentences = " ".join(one.sentence for one in missing(study))
    assert "Run model--seed-0 was played to its end, but says nothing about its model" in sentences


@pytest.mark.parametrize(("n_questions", "stop_after", "n"), [(20, 60, 5), (8, 60, 4), (1506, 60, 60), (20, 3, 3)])
def test_a_small_run_stops_sooner_than_a_large_one(n_questions: int, stop_after: int, n: int) -> None:
    assert patience(stop_after, n_questions=n_questions) == n
    assert patience(None, n_questions=n_questions) is None


def test_a_mute_model_of_a_small_run_is_not_paid_for_to_the_end(tmp_path: Path) -> None:
    [state] = play(tmp_path, fake := Fake(text=mute), generations=1, on_invalid={"attempts": 1}).runs
    assert state.status == "stopped" and state.is_unread and "to 5 questions in a row" in str(state.reason)
    assert fake.n_calls < 20 and agentsim.load(tmp_path / "small").runs["status"].tolist() == ["unfinished"]


def test_one_mute_model_among_others_is_named(tmp_path: Path) -> None:
    def one_is_mute(prompt: Prompt) -> str:
        return mute(prompt) if prompt.model == "quiet" else "My strategy will be to give. Answer: 1"

    players = [{"model": "fake/loud"}, {"model": "fake/quiet"}]
    on_invalid = {"attempts": 1, "stop_after": None}
    result = play(tmp_path, Fake(text=one_is_mute), players=players, generations=1, on_invalid=on_invalid, agents=4)
    [state] = result.runs
    assert state.status == "unread" and str(state.reason).startswith("not one of 8 decisions of 'fake/quiet'")
    assert agentsim.load(result.folder).runs["status"].tolist() == ["unread"]


def test_a_run_whose_turn_never_came_has_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentsim.orchestrator.study.MAX_OPEN_RUNS", 1)
    fake = Fake(fail_at=9)
    fake.error = BadRequest("no such model")
    result = play(tmp_path, fake, seeds=[0, 1, 2])
    assert [state.status for state in result.runs] == ["stopped", "not begun", "not begun"]
    study = agentsim.load(result.folder)
    assert study.runs["status"].tolist() == ["unfinished", "not begun", "not begun"]
    assert sorted(stop_reasons(result.folder)) == ["model--seed-0"]
    text = Console(width=200, record=True, file=StringIO())
    text.print(status_table(study))
    told = [line.split()[:3] for line in text.export_text().splitlines() if "model--seed" in line]
    assert told == [["model--seed-0", "stopped:", "no"], *[[f"model--seed-{n}", "not", "begun"] for n in (1, 2)]]
    assert "2 of 3 runs have not begun: seeds 1 to 2." in [one.sentence for one in missing(study)]
    assert play(tmp_path, Fake(), seeds=[0, 1, 2]).is_complete
