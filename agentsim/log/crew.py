"""The crew of a study: the processes that claim its runs. Under which terms they play is fixed while any of them lives.

Everything here is a file lock, which the kernel gives back when its process ends, however it ends. The files are in the
study's folder, in `.workers`; a study that is played by one process alone has none.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from agentsim.disk.durable import open_plainly
from agentsim.errors import LogError, LogLocked, ScenarioError
from agentsim.log.file_system import check_locks
from agentsim.log.files import LOG_NAME
from agentsim.log.writing import locked_by

__all__ = ["LOCK", "WORKERS", "Crew", "alone", "check_no_crew", "joint", "one_at_a_time", "take"]

WORKERS: Final = ".workers"
"""The folder, inside the study's, of what its workers share."""
TERMS: Final = "terms.json"
"""The terms; each member of the crew holds a shared lock on it."""
LOCK: Final = "lock"
"""Held for a moment by whoever reads or writes what all share."""
POLL_S: Final = 0.05
STILL_S: Final = 2.0
"""A run that is locked for this long is being played, not just looked at."""


def take(path: Path, kind: int = fcntl.LOCK_EX) -> int | None:
    """Open a file, made if need be, and lock it; return its descriptor, or `None` if another process holds it.

    Raises:
        OSError: it cannot be opened or locked.
    """
    file = open_plainly(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    except OSError:
        os.close(file)
        raise
    return file


@asynccontextmanager
async def one_at_a_time(path: Path) -> AsyncIterator[None]:
    """Hold a lock on a file while the body runs; wait for others without blocking the event loop.

    Raises:
        LogError: the file cannot be locked.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while (file := take(path)) is None:  # noqa: ASYNC110 - another process holds it
            await asyncio.sleep(POLL_S)
    except OSError as error:
        raise LogError(f"{path}: cannot be locked ({error.strerror})") from error
    try:
        yield
    finally:
        os.close(file)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep every other process from playing a study while the body runs, where a folder can be locked.

    Raises:
        LogLocked: another process plays it.
    """
    check_no_crew(folder)
    file = _folder_lock(folder, fcntl.LOCK_EX)
    if file is None:
        owners = sorted({owner for path in folder.glob(f"*/{LOG_NAME}") if (owner := locked_by(path.parent))})
        who = f"another process ({', '.join(owners)})" if owners else "another process"
        raise LogLocked(
            f"{folder}: is being played by {who}, and limits a minute would hold for each of the two alone; wait for"
            " it; or stop it, and start both with --claim"
        )
    try:
        yield
    finally:
        os.close(file)


def _folder_lock(folder: Path, kind: int) -> int | None:
    """Lock a folder itself; return a descriptor that holds the lock, or `None` if another process has it.

    Some network file systems know no such locks; there nothing is locked.
    """
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    except OSError:
        pass
    return file


class Crew:
    """One process's place in the crew of a study."""

    def __init__(self, folder: Path, terms: Mapping[str, Any]) -> None:
        """`terms` are mappings of JSON values, such as limits by account; all members must have the same.

        Terms of accounts that only some members use are known to all once one of these has joined.
        """
        self.folder = folder / WORKERS
        self._study = folder
        self._terms = terms
        self._file: int | None = None
        self._folder_lock: int | None = None
        self.is_first = False
        """Whether there was no other member when this one joined."""

    async def join(self) -> None:
        """Join the crew, or begin one.

        Raises:
            LogLocked: a process that does not claim plays runs of the study.
            ScenarioError: others of the crew play under other terms.
            LogError: locks do not hold in this folder, or it cannot be written.
        """
        async with one_at_a_time(self.folder / LOCK):
            check_locks(self.folder / LOCK)
            try:
                self._folder_lock = _folder_lock(self._study, fcntl.LOCK_SH)
                if self._folder_lock is None:
                    raise LogLocked(
                        f"{self._study}: is being played by a process that shares it with nobody: wait for it; or stop"
                        " it, and begin it again with --claim"
                    )
                first = take(self.folder / TERMS)
                if first is None:
                    self._file = open_plainly(self.folder / TERMS, os.O_RDWR)
                    fcntl.flock(self._file, fcntl.LOCK_SH)
                else:
                    self._file, self.is_first = first, True
                    await self._check_not_played()
                known = {} if first is not None else json.loads(os.pread(self._file, 1 << 24, 0))
                terms = joint(known, self._terms)
                text = json.dumps(terms).encode()
                os.pwrite(self._file, text, 0)  # whole, even if this process is killed now
                os.ftruncate(self._file, len(text))
                fcntl.flock(self._file, fcntl.LOCK_SH)
            except OSError as error:
                self._close()
                raise LogError(f"{self.folder / TERMS}: cannot be written ({error.strerror})") from error
            except BaseException:
                self._close()
                raise

    async def leave(self) -> bool:
        """Leave the crew; return whether this was its last member."""
        if self._file is None:
            return False
        with suppress(LogError):
            async with one_at_a_time(self.folder / LOCK):
                try:
                    fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    return False
                finally:
                    self._close()
                return True
        self._close()
        return False

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._folder_lock is not None:
            os.close(self._folder_lock)
            self._folder_lock = None

    async def __aenter__(self) -> Self:
        await self.join()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    async def _check_not_played(self) -> None:
        """Check that no process plays runs of the study without belonging to a crew.

        Raises:
            LogLocked: one does.
        """
        until = time.monotonic() + STILL_S  # others look at locks by taking them for a moment
        folders = [path.parent for path in self._study.glob(f"*/{LOG_NAME}")]
        while folders := [folder for folder in folders if locked_by(folder)]:
            if time.monotonic() > until:
                raise LogLocked(
                    f"{folders[0]}: is being written by {locked_by(folders[0])}, which shares the study with nobody:"
                    " wait for it; or stop it, and begin it again with --claim"
                )
            await asyncio.sleep(4 * POLL_S)


def check_no_crew(folder: Path) -> None:
    """Check that no crew plays a study.

    Raises:
        LogLocked: one does.
    """
    if not (folder / WORKERS / TERMS).exists():
        return
    try:
        file = take(folder / WORKERS / TERMS)
    except OSError:
        return  # what cannot be opened here is refused where it is written
    if file is None:
        raise LogLocked(f"{folder}: is being played by processes that claim its runs; add --claim to play with them")
    os.close(file)


def joint(known: Mapping[str, Any], mine: Mapping[str, Any], *, path: str = "") -> dict[str, Any]:
    """Return all terms, of the crew and of who joins it.

    Raises:
        ScenarioError: they contradict each other.
    """
    terms = dict(known)
    for key, value in mine.items():
        place = f"{path}{key}"
        if isinstance(value, Mapping):
            terms[key] = joint(known.get(key, {}), value, path=f"{place}.")
        elif known.get(key, value) != value:
            raise ScenarioError(
                f"{place} is {_told(value)} here and {_told(known[key])} for the processes that play this study now,"
                " and limits hold over all of them: start it with the same, or wait for them"
            )
        else:
            terms[key] = value
    return terms


def _told(value: object) -> str:
    return "not set" if value is None else repr(value)
