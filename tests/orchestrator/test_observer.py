"""Observers are told of a study, and cannot harm it."""

from __future__ import annotations

import logging
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import agentsim
from tests.orchestrator.test_study import Fake, scenario

ROOT = Path(agentsim.__file__).parent.parent
TOLD = [name for name in vars(agentsim.Observer) if not name.startswith("_")]


class Noting(agentsim.Observer):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.states: dict[str, str] = {}

    def reply(self, run: str, reply: Any, *, cost_usd: float | None, is_replayed: bool) -> None:
        self.told.append(reply.key)

    def run_closed(self, run: str, state: Any) -> None:
        self.states[run] = state.status


def play(results: Path, fake: Fake, observer: agentsim.Observer | None = None) -> agentsim.StudyResult:
    return agentsim.run(scenario(), results=results, provider=fake, observer=observer)


def failing() -> agentsim.Observer:
    """Return an observer that fails whatever it is told."""

    def fail(self: object, *args: object, **kwargs: object) -> None:
        raise RuntimeError("nobody is listening")

    made: agentsim.Observer = type("Failing", (agentsim.Observer,), dict.fromkeys(TOLD, fail))()
    return made


def test_an_observer_is_told_of_each_reply_and_of_each_end(tmp_path: Path) -> None:
    noting, fake = Noting(), Fake()
    result = play(tmp_path, fake, noting)
    assert len(noting.told) == fake.n_calls == len(agentsim.load(result.folder).replies)
    assert noting.states == {state.run: "complete" for state in result.runs}


def test_an_observer_that_fails_changes_nothing_and_is_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "agentsim"):
        watched = play(tmp_path / "watched", Fake(), failing())
    alone = play(tmp_path / "alone", Fake())
    assert watched.is_complete
    [said] = caplog.messages
    assert "Failing failed in" in said and "nobody is listening" in said and "the study goes on" in said
    first, second = (agentsim.load(result.folder).encounters.sort_values(["run", "key"]) for result in (watched, alone))
    assert first.reset_index(drop=True).equals(second.reset_index(drop=True))


def test_no_call_of_an_observer_goes_past_the_guard() -> None:
    from agentsim.orchestrator.observer import guarded

    guard = guarded(failing())
    assert all(name in vars(type(guard)) for name in TOLD)


@pytest.mark.skipif(find_spec("mlflow") is None, reason="mlflow is not installed: pip install mlflow-skinny")
def test_the_example_writes_each_run_to_mlflow(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(
        "name: small\nplayers: {model: scripted/constant-share}\nagents: 4\ngenerations: 2\n"
        "game: {kind: donor, rounds: 4}\nseeds: 0-1\n"
    )
    example = [sys.executable, str(ROOT / "examples" / "mlflow_observer.py"), str(path), str(tmp_path / "results")]
    for _ in range(2):  # the second time nothing is left to play, and nothing is written twice
        done = subprocess.run(example, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "the observer" not in done.stderr
    metrics = list((tmp_path / "results" / "mlruns").glob("*/*/metrics/mean_final_resources"))
    assert len(metrics) == 2
    for path in metrics:
        assert len(path.read_text().splitlines()) == 2
        assert (path.parents[1] / "tags" / "status").read_text() == "complete"
