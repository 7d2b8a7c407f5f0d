"""Writes a run's log: append-only JSON lines, by one process at a time.

A reply is on the disk (`fdatasync`) before it is used. Facts need no sync: they are computed again from the replies
whenever the log is opened. A line that a crash left unfinished is cut off on opening, and the user is told.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from agentsim.disk.durable import Lines, open_plainly, sync_folder
from agentsim.errors import LogError, LogLocked, NotWritten
from agentsim.log.files import LOCK_NAME, LOG_NAME
from agentsim.log.integrity import linked
from agentsim.log.reading import bytes_of, content_of
from agentsim.log.records import Record, Reply, line_of

__all__ = ["RunLog", "is_locked", "locked_by", "open_log"]


class RunLog:
    """A run's log, open for appending and locked against other processes.

    Raises:
        LogLocked: another process has it open.
        NotWritten: it cannot be opened for writing.
        LogError, SchemaError: as `read_log`.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOG_NAME
        try:
            if folder.is_symlink():
                raise LogError(f"{folder}: is a symbolic link, and no log is written through one; use a real folder")
            is_new = not folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
            if is_new:
                sync_folder(folder.parent)
            self._lock = _lock(folder / LOCK_NAME)
        except OSError as error:
            raise self._not_opened(error) from error
        try:
            data = bytes_of(self.path)
            content = content_of(self.path, data)
            self._digest = hashlib.sha256(memoryview(data)[: content.n_bytes])
            self.records = content.records
            """The records in the log when it was opened."""
            self.n_torn_bytes = content.n_torn_bytes
            """Bytes of an unfinished last line that were cut off on opening."""
            self.fault = content.fault
            """What shows, in one sentence, that the log was edited; `None` if nothing does."""
            file = open_plainly(self.path, os.O_WRONLY | os.O_CREAT)
            try:
                os.ftruncate(file, content.n_bytes)
                os.lseek(file, 0, os.SEEK_END)
                if not data:
                    sync_folder(folder)
            except OSError:
                os.close(file)
                raise
            self._lines = Lines(file, self.path)
        except OSError as error:
            os.close(self._lock)
            raise self._not_opened(error) from error
        except BaseException:
            os.close(self._lock)
            raise

    def append(self, *records: Record, sync: bool) -> None:
        """Write the records, one line each; with `sync`, block until they are on the disk.

        Raises:
            NotWritten: the disk is full or failing. Earlier records stay, and the run can be resumed.
        """
        lines = []
        for record in records:
            line = line_of(record)
            if isinstance(record, Reply):
                line = linked(self._digest, line)
            self._digest.update(line)
            lines.append(line)
        self._lines.append(b"".join(lines))
        if sync:
            self._lines.sync()

    async def synced(self) -> None:
        """Wait until everything appended so far is on the disk; waiting tasks are woken in the order of their lines.

        Raises:
            NotWritten: the disk is failing.
        """
        await self._lines.synced()

    @property
    def is_broken(self) -> bool:
        """Whether a write or a sync has failed, so that nothing more is written."""
        return self._lines.is_broken

    @property
    def digest(self) -> str:
        """SHA-256 of the whole log."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Sync, close and unlock.

        Raises:
            NotWritten: the disk is failing; the log is closed and unlocked anyway.
        """
        try:
            self._lines.close()
        finally:
            os.close(self._lock)

    def _not_opened(self, error: OSError) -> NotWritten:
        return NotWritten(f"{self.path}: cannot be opened ({error.strerror}); correct that and run again")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@asynccontextmanager
async def open_log(folder: Path) -> AsyncIterator[RunLog]:
    """Open a run's log and close it at the end, both on a thread, so that large logs and slow disks block no loop.

    Raises:
        LogError: as `RunLog`.
    """
    opening = asyncio.ensure_future(asyncio.to_thread(RunLog, folder))
    try:
        log = await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_unused)
        raise
    try:
        yield log
    finally:
        await asyncio.shield(asyncio.to_thread(log.close))


def _close_unused(opening: asyncio.Future[RunLog]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _lock(path: Path) -> int:
    file = open_plainly(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = _owner(file)
        os.close(file)
        raise LogLocked(f"{path.parent}: is being written by {owner}; wait for it or stop it") from error
    try:
        os.ftruncate(file, 0)
        os.write(file, f"process {os.getpid()} on {os.uname().nodename}\n".encode())
    except OSError:
        os.close(file)
        raise
    return file


def _owner(file: int) -> str:
    return os.read(file, 200).decode(errors="replace").strip() or "another process"


def is_locked(folder: Path) -> bool:
    """Return whether a process is writing this run."""
    return locked_by(folder) is not None


def locked_by(folder: Path) -> str | None:
    """Return the process that is writing this run, such as "process 123 on name"; `None` if none is."""
    try:
        file = open_plainly(folder / LOCK_NAME, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return _owner(file)
    else:
        return None
    finally:
        os.close(file)
