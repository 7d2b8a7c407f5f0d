"""Files that only grow, by whole lines, and files that are replaced whole. What was synced survives a power failure.

A line is in its file whole or not at all: what a failed write leaves of it is cut off, so no line is ever joined to a
torn one. After a failed write or sync nothing more is written. Lines that come together share a sync, which runs on a
thread and never blocks the event loop. No symbolic link is followed: a folder may come from somebody else.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from agentsim.errors import NotWritten

__all__ = ["Lines", "open_plainly", "replace", "sync_folder"]

MOST_SYNCS: Final = 16
"""The most syncs of one file that run at the same time.

A sync may miss a line that comes while it runs. If the next sync began only when that one ends, a line would wait for
half a sync on average before its own begins. File systems serve several syncs at once.
"""


def open_plainly(path: Path, flags: int, *, mode: int = 0o644) -> int:
    """Open a file that is not a symbolic link and return its descriptor; `flags` and `mode` are those of `os.open`.

    Raises:
        OSError: it cannot be opened; if it is a link, the message says so.
    """
    try:
        return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a symbolic link, through which nothing is written") from error
        raise


def replace(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a whole file; after a crash it holds either its old content or `text`. A link is replaced, not followed.

    `mode` says who may read it.

    Raises:
        OSError: it cannot be written; its old content is still there.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        with open(open_plainly(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=mode), "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: they survive a power failure.

    Raises:
        OSError: the disk is failing.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Lines:
    """A file open for appending whole lines. `synced` belongs to one event loop at a time."""

    def __init__(self, file: int, path: Path, *, is_shared: bool = False) -> None:
        """`file` is a descriptor at the end of its file; `close` closes it. `is_shared`: other processes append."""
        self._file = file
        self._path = path
        self._is_shared = is_shared
        self._end = os.fstat(file).st_size
        """Where the next line begins, unless other processes append too."""
        self._threads = ThreadPoolExecutor(MOST_SYNCS, thread_name_prefix="agentsim-sync")
        self._failure: str | None = None
        self._n_appended = self._n_begun = self._n_durable = 0
        """Calls of `append` so far; how many of these the latest sync covers; how many are known to be durable."""
        self._n_syncs = 0
        self._is_beginning = False
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        """Who waits, each until so many appends are durable; in the order of the lines."""

    @property
    def is_broken(self) -> bool:
        """Whether a write or a sync has failed, so that nothing more is written."""
        return self._failure is not None

    def append(self, data: bytes) -> None:
        """Write whole lines, not synced yet.

        Raises:
            NotWritten: the disk is full or failing, now or earlier. Only whole lines of these are in the file.
        """
        self.check()
        with self._alone():
            begin = os.fstat(self._file).st_size if self._is_shared else self._end
            try:
                _write_all(self._file, data)
            except OSError as error:
                with suppress(OSError):  # what cannot be cut off now is cut off when the file is opened again
                    n_written = max(0, os.fstat(self._file).st_size - begin)
                    os.ftruncate(self._file, begin + data.rfind(b"\n", 0, n_written) + 1)
                raise self._failed(error) from error
        self._end = begin + len(data)
        self._n_appended += 1

    def sync(self) -> None:
        """Bring all that was appended onto the disk, and block until it is there.

        Raises:
            NotWritten: the disk is failing.
        """
        self.check()
        n_appended = self._n_appended
        try:
            os.fdatasync(self._file)
        except OSError as error:
            raise self._failed(error) from error
        self._n_durable = max(self._n_durable, n_appended)

    async def synced(self) -> None:
        """Wait until all that was appended so far is on the disk; those who came first are told first.

        Raises:
            NotWritten: the disk is failing.
        """
        self.check()
        if self._n_durable >= self._n_appended:
            return
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiting.append((self._n_appended, waiter))
        if not self._is_beginning:  # a moment later, so that lines which come together share a sync
            self._is_beginning = True
            loop.call_soon(self._begin, loop)
        await waiter

    def close(self) -> None:
        """Sync and close.

        Raises:
            NotWritten: the disk is failing; the file is closed all the same.
        """
        self._threads.shutdown()
        try:
            if self._failure is None and self._n_durable < self._n_appended:
                self.sync()
        finally:
            os.close(self._file)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_beginning = False
        if self._n_begun >= self._n_appended or self._n_syncs >= MOST_SYNCS:
            return
        self._n_begun = self._n_appended
        self._n_syncs += 1
        syncing = loop.run_in_executor(self._threads, self._sync_on_a_thread)
        syncing.add_done_callback(partial(self._ended, loop, self._n_begun))

    def _sync_on_a_thread(self) -> None:
        os.fdatasync(self._file)

    def _ended(self, loop: asyncio.AbstractEventLoop, n_appended: int, syncing: asyncio.Future[None]) -> None:
        self._n_syncs -= 1
        error = syncing.exception()
        if error is None:
            self._n_durable = max(self._n_durable, n_appended)
        failure = None if error is None else self._failed(error)
        while self._waiting and (failure is not None or self._waiting[0][0] <= self._n_durable):
            _, waiter = self._waiting.popleft()
            if waiter.done():  # whoever waited was cancelled
                continue
            if failure is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(NotWritten(str(failure)))
        if self._waiting:
            self._begin(loop)

    def check(self) -> None:
        """Check that lines can still be written.

        Raises:
            NotWritten: a write or a sync has failed.
        """
        if self._failure is not None:
            raise NotWritten(self._failure)

    def _failed(self, error: BaseException) -> NotWritten:
        why = error.strerror if isinstance(error, OSError) else repr(error)
        self._failure = self._failure or (
            f"{self._path}: cannot be written ({why}); nothing more is sent: mend that and run again"
        )
        return NotWritten(self._failure)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from appending while this one does."""
        if not self._is_shared:
            yield
            return
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)


def _write_all(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        n_written = os.write(file, left)
        if not n_written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left = left[n_written:]
