"""A disk that fails at any write: nothing more is asked, what was answered stays, and the same command goes on."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.test_runner import Fake, facts, log_of, play


class FailingDisk:
    """Writes until the n-th call of one function; that one and all later ones fail."""

    def __init__(self, n: int, code: int) -> None:
        self.n, self.code, self.n_calls = n, code, 0
        self.write = os.write

    def __call__(self, file: int, data: bytes) -> int:
        self.n_calls += 1
        if self.n_calls >= self.n:
            raise OSError(self.code, os.strerror(self.code))
        return self.write(file, data)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_whichever_write_fails_nothing_is_lost_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    whole = play(tmp_path / "whole", Fake())
    assert whole.is_complete
    for n in range(1, 60, 2):
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
