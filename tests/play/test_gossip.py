"""Runs in which agents write notes about each other: stored, resumed, replayed, read in frames."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest

import agentsim
from agentsim.core.facts import Encounter, NoteWritten
from agentsim.errors import ScenarioError
from agentsim.experiments.plan import plan
from agentsim.log.records import RunFinished
from agentsim.play.preview import shown
from agentsim.providers.base import Prompt
from agentsim.report.data import browser_data
from agentsim.scenario.runs import runs
from tests.orchestrator.test_study import Fake, answer, facts, log_of, play, said, scenario

GOSSIP = {"observation": {"kind": "gossip", "depth": 2}}


def gossips(prompt: Prompt) -> str:
    """The model of the runner's tests, which also writes notes; some cannot be read."""
    text = answer(prompt)
    return text.replace("Answer:", "My note: it gave") if "public note" in prompt.messages[1].content else text


def test_a_run_with_notes_is_complete_and_is_replayed(tmp_path: Path) -> None:
    result = play(tmp_path, fake := Fake(text=gossips), **GOSSIP)
    records = log_of(result)
    written = [record for record in records if isinstance(record, NoteWritten)]
    decided = [record for record in records if isinstance(record, Encounter) and record.type != "missed"]
    assert result.is_complete and len(written) == len(decided) > 20
    assert fake.n_calls == len(said(records))
    last = records[-1]
    assert isinstance(last, RunFinished)
    # In each generation a strategy, and in four rounds a decision and a note on it, of at least one second each.
    assert last.critical_path_s >= 3 * (1 + 4 * 2) - 4  # where no decision was read, nothing is written
    [state] = agentsim.replay(result.folder)
    assert state.is_exact and state.is_complete


def test_a_run_stopped_anywhere_goes_on_to_the_same_facts(tmp_path: Path) -> None:
    whole = play(tmp_path / "whole", Fake(text=gossips), **GOSSIP)
    draw, n_left = Random(0), len(said(log_of(whole)))
    for _ in range(40):
        result = play(tmp_path / "stopped", Fake(text=gossips, fail_at=draw.randrange(2, 14)), **GOSSIP)
        if result.is_complete:
            break
    assert result.is_complete and len(said(log_of(result))) == n_left
    assert facts(log_of(result)) == facts(log_of(whole)) and said(log_of(result)) == said(log_of(whole))


def test_a_log_cut_anywhere_goes_on_to_the_same_facts(tmp_path: Path) -> None:
    whole = play(tmp_path, Fake(text=gossips), **GOSSIP)
    path = whole.folder / whole.runs[0].run / "log.jsonl"
    before, lines = facts(log_of(whole)), path.read_bytes().splitlines(keepends=True)
    for n_lines in range(1, len(lines), 23):
        path.write_bytes(b"".join(lines[:n_lines]) + lines[n_lines][:7])
        again = play(tmp_path, Fake(text=gossips), **GOSSIP)
        assert again.is_complete and facts(log_of(again)) == before


def test_the_frames_hold_every_note_and_whose_could_not_be_read(tmp_path: Path) -> None:
    result = play(tmp_path, Fake(text=gossips), on_invalid={"attempts": 1}, **GOSSIP)
    study = agentsim.load(result.folder)
    written = {record.key: record for record in log_of(result) if isinstance(record, NoteWritten)}
    assert set(study.gossip["key"]) == set(written)
    unread = study.gossip[study.gossip["note"].isna()]
    assert 0 < len(unread) < len(study.gossip) and unread["problem"].notna().all()
    for row in study.gossip.dropna(subset=["note"]).to_dict("records"):
        assert (row["note"], row["about"]) == (written[row["key"]].text, written[row["key"]].about)
    page = browser_data(study)
    assert sum(place > 0 for place in page["encounters"]["note"]) == study.gossip["note"].notna().sum()


def test_scripted_players_note_what_happened(tmp_path: Path) -> None:
    result = play(tmp_path, Fake(), players={"model": "scripted/constant-share", "share": 0.25}, **GOSSIP)
    texts = {record.text for record in log_of(result) if isinstance(record, NoteWritten)}
    assert texts == {"gave 25% of its units"}


def test_the_plan_counts_notes_and_the_preview_shows_one(tmp_path: Path) -> None:
    study = scenario(**GOSSIP)
    [condition] = [spec.condition for spec in runs(study)]
    [one], [without] = plan(study), plan(scenario())
    assert one.n_questions - without.n_questions == condition.n_encounters(0) == 3 * 2 * 4 * 2
    assert one.calls.low == one.n_questions and one.wall_s.low > without.wall_s.low
    titles = [each.title for each in shown(condition, generation=2, round=3)]
    assert any(title.startswith("its recipient's note on it in generation 2, round 3") for title in titles)
    assert any(title.startswith("after a note that is") for title in titles)


def test_a_prompt_set_without_a_template_for_notes_serves_all_but_gossip(tmp_path: Path) -> None:
    default = Path(agentsim.__file__).parent / "prompts" / "default"
    own = Path(shutil.copytree(default, tmp_path / "prompts", ignore=shutil.ignore_patterns("note.md")))
    assert play(tmp_path, Fake(), prompts=str(own)).is_complete
    with pytest.raises(ScenarioError, match=r"prompts/note\.md: is missing; observation: \{kind: gossip\} needs it"):
        play(tmp_path, Fake(text=gossips), name="gossip", prompts=str(own), **GOSSIP)
