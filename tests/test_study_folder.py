"""Which study a command goes on with, what a refused one leaves alone, and studies begun as forks of others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import agentsim
from agentsim.errors import LogError
from agentsim.providers.base import Prompt
from agentsim.runlog import RunStarted
from agentsim.runner import StudyResult
from agentsim.scenario import Scenario
from tests.test_runner import Fake, answer, facts, log_of, play, said, scenario

LONGER = {"generations": 4}


def forked(tmp_path: Path, fake: Fake, **changes: object) -> StudyResult:
    return agentsim.run(scenario(**changes), results=tmp_path, provider=fake, fork=tmp_path / "small")


def written(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*.json*") if path.name != "stopped.json"}


def test_a_refused_command_changes_nothing_and_says_all_that_can_be_done(tmp_path: Path) -> None:
    play(tmp_path, Fake(fail_at=30))
    before = written(tmp_path / "small")
    [state] = play(tmp_path, fake := Fake(), **LONGER).runs
    assert written(tmp_path / "small") == before and fake.n_calls == 0
    assert state.is_refused and str(state.reason) == (
        "model--seed-0: its log was begun under another scenario: generations was '3' and is '4'; set that back; or run"
        f" with --new to begin a new study, or with --fork {tmp_path / 'small'} to begin one with the replies that"
        " still hold"
    )


def test_an_edited_log_is_refused_with_its_run_and_what_can_be_done(tmp_path: Path) -> None:
    result = play(tmp_path, Fake())
    path = result.folder / "model--seed-0" / "log.jsonl"
    path.write_text(path.read_text().replace('"amount":', '"amount":1', 1))
    [state] = play(tmp_path, Fake()).runs
    assert str(state.reason).startswith("model--seed-0: line ") and "--new" in str(state.reason)
    assert state.is_refused and "--fork" in str(state.reason)


def test_a_stop_that_is_no_refusal_goes_on_with_the_same_command(tmp_path: Path) -> None:
    assert not play(tmp_path, Fake(fail_at=30)).runs[0].is_refused


def test_a_new_study_that_was_stopped_goes_on_and_the_older_one_too(tmp_path: Path) -> None:
    older = play(tmp_path, Fake(fail_at=20))
    newer = agentsim.run(scenario(**LONGER), results=tmp_path, provider=Fake(fail_at=40), new=True)
    assert (older.folder.name, newer.folder.name) == ("small", "small-2")
    n_stored = newer.runs[0].n_replies
    gone_on = play(tmp_path, fake := Fake(), **LONGER)
    assert gone_on.folder == newer.folder and gone_on.is_complete
    assert fake.n_calls == gone_on.runs[0].n_replies - n_stored
    assert play(tmp_path, Fake()).folder == older.folder


def test_of_two_studies_under_one_scenario_the_newer_goes_on(tmp_path: Path) -> None:
    play(tmp_path, Fake())
    agentsim.run(scenario(), results=tmp_path, provider=Fake(fail_at=9), new=True)
    assert play(tmp_path, Fake()).folder.name == "small-2"
    assert agentsim.run(scenario(), results=tmp_path, provider=Fake(), new=True).folder.name == "small-3"


def test_a_scenario_that_is_itself_called_so_is_another_study(tmp_path: Path) -> None:
    play(tmp_path, Fake())
    play(tmp_path, Fake(fail_at=9), name="small-2")
    assert play(tmp_path, Fake()).folder.name == "small"


@pytest.mark.parametrize("fail_at", [None, 30])
def test_a_fork_asks_only_what_the_other_study_was_not_asked(tmp_path: Path, fail_at: int | None) -> None:
    play(tmp_path, Fake(fail_at=fail_at))
    before = written(tmp_path / "small")
    result = forked(tmp_path, fake := Fake(), **LONGER)
    whole = log_of(play(tmp_path / "whole", Fake(), **LONGER))
    assert written(tmp_path / "small") == before
    assert result.folder.name == "small-2" and result.is_complete
    assert facts(log_of(result)) == facts(whole) and said(log_of(result)) == said(whole)
    assert result.n_taken_over > 25 and fake.n_calls == len(said(whole)) - result.n_taken_over
    first = log_of(result)[0]
    assert isinstance(first, RunStarted) and first.forked_from == str(tmp_path / "small" / "model--seed-0")
    assert agentsim.replay(result.folder)[0].is_exact
    assert play(tmp_path, Fake(), **LONGER).folder == result.folder


def test_a_fork_keeps_nothing_that_was_asked_with_other_words(tmp_path: Path) -> None:
    play(tmp_path, Fake())
    players = {"model": "fake/model", "seed": "derived", "temperature": 0.1}
    result = forked(tmp_path, Fake(), players=players)
    assert result.is_complete and result.n_taken_over == 0


def test_a_fork_goes_on_where_the_scenario_stopped_at_unreadable_replies(tmp_path: Path) -> None:
    def mute(prompt: Prompt) -> str:
        return "no" if "Answer:" in prompt.messages[-1].content else answer(prompt)

    [state] = play(tmp_path, Fake(text=mute), on_invalid={"then": "stop"}).runs
    assert "set on_invalid.then to pass or zero and run with --fork" in str(state.reason)
    result = forked(tmp_path, Fake(text=mute), on_invalid={"then": "pass"})
    assert result.is_complete and result.n_taken_over == state.n_replies


def test_a_fork_of_what_is_not_there_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    play(tmp_path, Fake())
    other: Scenario = scenario(players={"model": "fake/other"})
    with pytest.raises(
        LogError, match="none of this scenario's runs can be forked from it: its runs are model--seed-0"
    ):
        agentsim.run(other, results=tmp_path, provider=Fake(), fork=tmp_path / "small")
    with pytest.raises(LogError, match="it holds no runs"):
        agentsim.run(other, results=tmp_path, provider=Fake(), fork=tmp_path / "nowhere")
    assert [path.name for path in tmp_path.iterdir()] == ["small"]
    assert list(json.loads((tmp_path / "small" / "study.json").read_text())["runs"]) == ["model--seed-0"]
