"""Studies written by version 0.1 stay readable: they load, show, replay, and report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import agentsim
from agentsim.cli import app

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


@pytest.mark.parametrize("name", PROBES)
def test_an_old_probe_loads_and_replays_exactly(name: str, tmp_path: Path) -> None:
    probe = Path(shutil.copytree(OLD / name, tmp_path / name))
    assert len(agentsim.load_probe(probe).answers) > 0
    assert all(state.is_exact for state in agentsim.replay(probe))
