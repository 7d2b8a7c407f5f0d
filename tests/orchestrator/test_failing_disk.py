"""A disk that fails at any write: nothing more is asked, what was answered stays, and the same command goes on."""

from __future__ import annotations

import errno
import os
import re
import threading
from pathlib import Path

import pytest

import agentsim
from agentsim.errors import LogError
from agentsim.log.reading import read_log
from agentsim.providers.base import Completion, Prompt
from agentsim.providers.ledger import read_ledger
from agentsim.testing.faultserver import Answer, FaultServer
from agentsim.testing.weather import plausible
from tests.orchestrator.test_study import Fake, facts, log_of, play, scenario


class FailingDisk:
    """Writes until the n-th call of one function; that one and all later ones fail."""

    def __init__(self, n: int, code: int) -> None:
        self.n, self.code, self.n_calls = n, code, 0
        self.write = os.write
        self.has_failed = False
        """Whether the event loop knows; of a failure on a thread it is told a moment later."""

    def __call__(self, file: int, data: bytes) -> int:
        self.n_calls += 1
        if self.n_calls >= self.n:
            self.has_failed |= threading.current_thread() is threading.main_thread()
            raise OSError(self.code, os.strerror(self.code))
        return self.write(file, data)


@pytest.mark.parametrize(("first", "code"), [(0, errno.ENOSPC), (1, errno.EIO), (2, errno.EROFS)])
def test_whichever_write_fails_nothing_is_lost_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int, code: int
) -> None:
    whole = play(tmp_path / "whole", Fake())
    assert whole.is_complete
    for n in range(1 + 2 * first, 60, 6):  # every second write, by turns for each reason
        folder = tmp_path / str(n)
        fake, disk = Fake(), FailingDisk(n, code)
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", disk)
            result = play(folder, fake)
        assert not result.is_complete
        (state,) = result.runs
        assert state.status == "stopped"
        assert os.strerror(code) in (state.reason or "")
        assert "a bug" not in (state.reason or "")
        n_in_flight = 4  # strategies of four agents, at most two encounters of two games
        assert fake.n_calls <= state.n_replies + 2 * n_in_flight
        again = Fake()
        result = play(folder, again)
        assert result.is_complete
        assert facts(log_of(result)) == facts(log_of(whole))
        assert again.n_calls + state.n_replies == whole.runs[0].n_replies


def test_a_failing_sync_at_the_end_is_said_and_unlocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(file: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", fail)
        result = play(tmp_path, Fake())
    assert result.runs[0].status == "stopped"
    assert "cannot be written (Input/output error)" in (result.runs[0].reason or "")
    assert play(tmp_path, Fake()).is_complete


class ShortDisk(FailingDisk):
    """Takes a part of the n-th write; that is all there is room for."""

    def __call__(self, file: int, data: bytes) -> int:
        if self.n_calls + 1 == self.n:
            self.n_calls += 1
            return self.write(file, bytes(data)[: len(data) // 2])
        return super().__call__(file, data)


class Asked(Fake):
    """Counts the calls that are made once the disk has failed."""

    def __init__(self, disk: FailingDisk) -> None:
        super().__init__()
        self.disk = disk
        self.n_too_late = 0

    async def answered(self, prompt: Prompt) -> Completion:
        self.n_too_late += self.disk.has_failed
        return await super().answered(prompt)


@pytest.mark.parametrize("kind", [FailingDisk, ShortDisk])
def test_the_first_write_that_fails_stops_all_runs_and_nothing_is_asked_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[FailingDisk]
) -> None:
    seeds = [0, 1, 2]
    whole = play(tmp_path / "whole", Fake(), seeds=seeds)
    for n in range(1, 80, 13):
        disk = kind(n, errno.ENOSPC)
        fake = Asked(disk)
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", disk)
            try:
                result = play(tmp_path / str(n), fake, seeds=seeds)
            except LogError as error:  # before the first run
                assert os.strerror(errno.ENOSPC) in str(error) and not fake.n_calls
            else:
                assert {state.status for state in result.runs} <= {"stopped", "not begun"}
                stopped = [str(state.reason) for state in result.runs if state.status == "stopped"]
                assert stopped and all(os.strerror(errno.ENOSPC) in reason for reason in stopped)
        assert fake.n_too_late == 0
        for log in tmp_path.glob(f"{n}/small/*/log.jsonl"):
            assert log.read_bytes().count(b'{"type"') == log.read_bytes().count(b'\n{"type"') + bool(log.read_bytes())
        again = play(tmp_path / str(n), Fake(), seeds=seeds)
        assert again.is_complete
        for run, state in zip(whole.runs, again.runs, strict=True):
            one, other = (read_log(study.folder / run.run).records for study in (whole, again))
            assert run.run == state.run and facts(one) == facts(other)


@pytest.mark.parametrize("budget", [None, 5.0])
async def test_a_ledger_that_cannot_be_written_stops_the_study_and_equals_the_bill_once_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: float | None
) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 40, "total_tokens": 140}
    price = {"input": 1.0, "output": 10.0}
    async with FaultServer([Answer(plausible, usage=usage)]) as server:
        settings = {"base_url": server.openai_url, "concurrency": 4, "prices": {"model": price}}
        study = scenario(providers={"fake": settings}, budget=budget, generations=2)
        for n in (*range(2, 40, 5), None):
            disk = FailingDisk(n or 10**9, errno.ENOSPC)
            with monkeypatch.context() as patched:
                patched.setattr(os, "write", disk)
                try:
                    result = await agentsim.run_async(study, results=tmp_path)
                except LogError as error:
                    assert os.strerror(errno.ENOSPC) in str(error)
                    continue
            assert result.is_complete is (n is None), (n, result)
        billed = len(server.requests)
        state = read_ledger(tmp_path / "small")
        # Calls that were written down when the disk failed, and broken off before they reached the server, count as
        # calls that may be billed.
        assert state is not None and billed <= state.n_answered + len(state.open) <= billed + 8 * 4
        assert state.spent_usd - state.open_usd == pytest.approx(state.n_answered * 500e-6)
        loaded = agentsim.load(tmp_path / "small")
        n_stored = int(loaded.runs["n_replies"].sum())
        assert n_stored <= state.n_answered + len(state.open) <= n_stored + 8 * 4  # what was in flight at each failure
        lost_usd = state.open_usd + (state.n_answered - n_stored) * 500e-6
        told = re.search(r"\(US\$ ([0-9.]+) at most\)", " ".join(loaded.notes))
        assert lost_usd > 0 and told and float(told[1]) == pytest.approx(lost_usd, abs=51e-6)  # told to four decimals
