"""Studies written by version 0.1 stay readable: they load, show, replay, and report.

What is named or done otherwise now is read as it was played, under the names of today.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import agentsim
from agentsim.analysis.frames.study import load
from agentsim.cli import app
from agentsim.log.files import LOG_NAME
from agentsim.log.old_logs import start_up_to_date
from agentsim.log.reading import read_log
from agentsim.log.records import RunStarted
from agentsim.play.replay import replay
from agentsim.prompts.sets import READER
from agentsim.scenario.conditions import Condition, digest
from agentsim.scenario.digests import content_digest
from agentsim.scenario.loading import scenario_from
from tests.log.sealing import sealed
from tests.orchestrator.test_study import Fake, play

ROOT = Path(__file__).parent.parent.parent
OLD = Path(__file__).parent / "fixtures" / "version-0.1"
STUDIES = ["interrupted", "mixed", "models", "models-2", "odd", "rules"]
PROBES = sorted(path.name for path in OLD.glob("probe-*"))


@pytest.fixture(params=STUDIES)
def study(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a copy of a study, as its folder is locked and its caches are written when it is read."""
    return Path(shutil.copytree(OLD / request.param, tmp_path / request.param))


def test_an_old_study_loads_with_every_reply_and_encounter(study: Path) -> None:
    lines = [line for log in study.glob("*/log.jsonl") for line in log.read_text(encoding="utf-8").splitlines()]
    kinds = [json.loads(line)["type"] for line in lines]
    loaded = agentsim.load(study)
    assert len(loaded.replies) == kinds.count("reply")
    assert len(loaded.encounters) == sum(kind in ("donated", "punished", "missed") for kind in kinds)
    assert set(loaded.runs["status"]) == ({"unfinished"} if study.name == "interrupted" else {"complete"})


@pytest.mark.parametrize("command", ["show", "status"])
def test_an_old_study_is_shown(study: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    app([command, str(study)], standalone_mode=False)
    assert "seed-" in capsys.readouterr().out


def test_an_old_study_replays_exactly(study: Path) -> None:
    assert [state.difference for state in agentsim.replay(study)] == [None] * len(list(study.glob("*/log.jsonl")))


def test_a_log_is_replayed_with_the_reader_it_was_begun_with_and_no_other(tmp_path: Path) -> None:
    """The shipped study holds two replies that read otherwise today: prose with one number and no marker."""
    study = Path(shutil.copytree(ROOT / "results" / "example-model", tmp_path / "example-model"))
    assert [state.difference for state in agentsim.replay(study)] == [None, None]
    for reader, word in ((2, "does not follow from its replies"), (3, "version 3 of the reader")):
        for log in study.glob("*-seed-*/log.jsonl"):
            first, _, rest = log.read_text(encoding="utf-8").partition("\n")
            log.write_text(json.dumps(json.loads(first) | {"reader": reader}) + "\n" + rest, encoding="utf-8")
        differences = [state.difference for state in agentsim.replay(study)]
        assert any(word in str(difference) for difference in differences), differences


@pytest.mark.parametrize("name", PROBES)
def test_an_old_probe_loads_and_replays_exactly(name: str, tmp_path: Path) -> None:
    probe = Path(shutil.copytree(OLD / name, tmp_path / name))
    assert len(agentsim.load_probe(probe).answers) > 0
    assert all(state.is_exact for state in agentsim.replay(probe))


BARE = {"name": "x", "players": {"model": "scripted/random"}}
OLDER: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"selection": {"kind": "death_birth"}}, {"selection": {"kind": "moran"}}),
    (
        {"agents": 5, "pairing": {"kind": "random"}, "selection": {"kind": "top", "halves": "to_even"}},
        {"selection": {}},
    ),
    ({"agents": 6, "pairing": {"kind": "alternating", "in_both_roles": True}}, {"pairing": {}}),
]
"""What is played, and how an earlier log says it."""


@pytest.mark.parametrize(("rules", "older"), OLDER, ids=["moran", "halves", "alternating"])
def test_an_older_log_is_loaded_replayed_and_gone_on_with(
    tmp_path: Path, rules: dict[str, Any], older: dict[str, dict[str, Any]]
) -> None:
    played = {"agents": 4, "players": {"model": "scripted/random"}, "seeds": [0], **rules}
    folder = play(tmp_path, Fake(), **played).folder
    [log] = folder.glob(f"*/{LOG_NAME}")
    first, rest = log.read_text().split("\n", 1)
    started = json.loads(first)
    for part, settings in older.items():
        started["condition"][part] |= settings
        started["condition"][part].pop("in_both_roles", None)
        started["condition"][part].pop("halves", None)
    started["digest"] = content_digest(started["condition"], seed=0, probe=None)
    sealed(log, json.dumps(started, separators=(",", ":")) + "\n" + rest)
    read = read_log(log.parent).records[0]
    assert isinstance(read, RunStarted)
    condition = Condition.model_validate(read.condition)
    assert read.digest == digest(condition, seed=0) != started["digest"]
    [state] = replay(folder)
    assert state.is_exact and state.is_complete, state.difference
    assert set(load(folder).runs["status"]) == {"complete"}
    again = play(tmp_path, Fake(), **played)
    assert again.folder == folder and again.is_complete


def test_what_is_no_record_of_an_older_log_is_left_as_it_is() -> None:
    nothing: list[Any] = [{}, [], None, {"condition": {"selection": {"kind": ["moran"]}, "pairing": {}, "agents": 4}}]
    for record in nothing:
        now = start_up_to_date(record)
        assert now == (record if record is None or isinstance(record, list) else {"reader": 1, **record})


def test_a_digest_that_is_not_the_conditions_stays_wrong() -> None:
    condition = {"selection": {"kind": "moran"}, "pairing": {"kind": "random"}, "agents": 4, "prompts": "default"}
    read = start_up_to_date({"condition": condition, "digest": "edited", "seed": 0})
    assert read["condition"]["selection"]["kind"] == "death_birth" and read["digest"] == "edited"


@pytest.mark.parametrize(
    ("path", "value", "sizes"),
    [("pairing.in_both_roles", True, {6, 10}), ("selection.halves", "to_even", {5, 9})],
)
def test_what_was_done_before_is_another_experiment_where_it_makes_a_difference(
    path: str, value: object, sizes: set[int]
) -> None:
    for agents in (2, 4, 6, 8, 10, 12) if path.startswith("pairing") else (4, 5, 7, 8, 9, 11):
        pairing = "alternating" if path.startswith("pairing") else "random"
        sets = [f"agents={agents}", f"pairing={{kind: {pairing}}}"]
        now = scenario_from(BARE, sets=sets)
        before = scenario_from(BARE, sets=[*sets, f"{path}={json.dumps(value)}"])
        assert (digest(now, seed=0) != digest(before, seed=0)) == (agents in sizes), agents


@pytest.mark.parametrize("is_there", [True, False])
def test_a_run_under_other_prompts_is_replayed_from_its_replies(tmp_path: Path, is_there: bool) -> None:
    default = Path(agentsim.__file__).parent / "prompts" / "default"
    mine = Path(shutil.copytree(default, tmp_path / "mine"))
    folder = play(tmp_path, Fake(), agents=4, seeds=[0], prompts=str(mine)).folder
    [before] = replay(folder)
    assert before.is_exact and before.note is None
    if is_there:
        (mine / "decision.md").write_text("Decide otherwise, {{ name }}. {{ marker }}")
    else:
        shutil.rmtree(mine)
    [kept] = folder.glob("prompts-*.json")
    kept.unlink()  # version 0.1 kept none
    [state] = replay(folder)
    assert state.is_exact and state.is_complete and state.difference is None
    assert "prompts were not compared" in str(state.note)
    assert (state.n_replies, state.n_events) == (before.n_replies, before.n_events)
    [log] = folder.glob(f"*/{LOG_NAME}")
    log.write_text(log.read_text().replace('"multiplier":2.0', '"multiplier":3.0', 1))
    [edited] = replay(folder)
    assert not edited.is_exact


def test_the_account_of_an_old_logs_only_player_is_found_under_its_label() -> None:
    [log, *_] = sorted(OLD.glob(f"models/*/{LOG_NAME}"))
    raw = json.loads(log.read_text(encoding="utf-8").splitlines()[0])
    read = read_log(log.parent).records[0]
    assert isinstance(read, RunStarted)
    assert raw["account"]["base_url"] and read.accounts == {raw["condition"]["players"]["model"]: raw["account"]}
    assert read.account_of(None) == raw["account"] and read.reader == 1 and read.is_paid


def test_a_log_of_today_has_todays_form_alone(tmp_path: Path) -> None:
    [log] = play(tmp_path, Fake(), seeds=[0]).folder.glob(f"*/{LOG_NAME}")
    first, *_, last = (json.loads(line) for line in log.read_text(encoding="utf-8").splitlines())
    assert first["accounts"] == {} and "account" not in first and first["reader"] == READER
    assert {"log_digest", "own_digest", "code_digest"} <= last.keys()
