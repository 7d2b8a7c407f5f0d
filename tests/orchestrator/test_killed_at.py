"""SIGKILL at every named point of a run: nothing stored is lost, no more is asked again than was under way."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

import pytest

from agentsim.core.society import Society
from agentsim.log.reading import read_log
from agentsim.log.records import Record
from agentsim.log.writing import RunLog
from agentsim.orchestrator.asking import Asking
from agentsim.orchestrator.study import StudyResult
from agentsim.play.course import Course
from agentsim.providers.base import Completion, Prompt
from tests.orchestrator.test_study import Fake, facts, log_of, play, said
from tests.processes import FORKS

KILLS = 20
"""At each point, at as many different passes of it."""


class Billed(Fake):
    """Notes every call in a file before it is answered, which no kill can undo."""

    def __init__(self, bill: Path) -> None:
        super().__init__()
        self._bill = os.open(bill, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def answered(self, prompt: Prompt) -> Completion:
        os.write(self._bill, b".")
        return await super().answered(prompt)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def patched(owner: Any, name: str, at: int, *, before: Callable[..., None] | None = None) -> Iterator[None]:
    """Let the process die at the `at`-th pass of a function: after it, or where `before` does so first."""
    n_passes = 0
    original = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal n_passes
        n_passes += 1
        if n_passes == at and before is not None:
            before(*args, **kwargs)
        found = original(*args, **kwargs)
        if n_passes == at:
            die()
        return found

    with mock.patch.object(owner, name, wrapped):
        yield


def half_a_line(file: int, data: bytes) -> None:
    os.pwrite(file, data[: len(data) // 2], os.fstat(file).st_size)
    die()


POINTS: dict[str, Callable[[int], Any]] = {
    "before a call is sent": lambda at: patched(Billed, "complete", at, before=lambda *_: die()),
    "after an answer": lambda at: patched(Asking, "_store", at, before=lambda *_: die()),
    "before the write": lambda at: patched(RunLog, "append", at, before=lambda *_, **__: die()),
    "inside of the write": lambda at: patched(os, "write", 3 * at, before=half_a_line),
    "before the sync": lambda at: patched(os, "fdatasync", at, before=lambda *_: die()),
    "after the write": lambda at: patched(RunLog, "append", at),
    "before the facts are written": lambda at: patched(Course, "receive", at),
    "in the middle of a selection": lambda at: patched(Society, "_end_generation", 1 + at % 2),
    "while a log is opened": lambda at: patched(Course, "receive", at),
}


def donors(results: Path, bill: Path) -> StudyResult:
    return play(results, Billed(bill))


def child(
    work: Callable[[Path, Path], StudyResult], results: Path, bill: Path, *, point: str | None = None, at: int = 1
) -> bool:
    """Play a study in a process of its own; return whether it was completed, and not killed."""
    process = FORKS.Process(target=_played, args=(work, results, bill, point, at))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode == 0


def _played(
    work: Callable[[Path, Path], StudyResult], results: Path, bill: Path, point: str | None, at: int
) -> NoReturn:
    with nullcontext() if point is None else POINTS[point](at):
        sys.exit(0 if work(results, bill).is_complete else 1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """What is in the log of a run that nobody killed."""
    return log_of(play(tmp_path_factory.mktemp("whole"), Fake()))


@pytest.mark.parametrize("point", POINTS)
def test_whatever_point_a_run_is_killed_at_it_goes_on_to_the_same_facts(
    tmp_path: Path, whole: list[Record], point: str
) -> None:
    bill, log = tmp_path / "bill", tmp_path / "killed" / "small" / "model--seed-0"
    stored: dict[tuple[str, int], str] = {}
    n_kills = 0
    for number in range(KILLS):
        # A little further each time; what is stored is passed again on opening.
        at = 1 + (len(stored) // 2 if "opened" in point else 0) + number % 7
        n_kills += not child(donors, tmp_path / "killed", bill, point=point, at=at)
        now = said(read_log(log).records)
        assert stored.items() <= now.items()
        stored = now
    assert n_kills >= KILLS // 2
    assert child(donors, tmp_path / "killed", bill)
    records = read_log(log).records
    assert facts(records) == facts(whole) and said(records) == said(whole)
    assert len(bill.read_bytes()) <= len(said(whole)) + 4 * n_kills  # four questions, at most, are open at a time
