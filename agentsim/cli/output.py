"""Standard output and standard error that never end a command, even on a full disk or a closed pipe.

A study that costs money must not stop because its output cannot be written. Characters that cannot be encoded are
replaced. The first failed write is remembered, reported once at the end, and makes the exit code 1.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["Output"]


class Output:
    """The process's two output streams; writing to them never fails after `guard()`."""

    def __init__(self) -> None:
        self._files: dict[str, _Guarded] = {}

    def guard(self) -> None:
        """Replace `sys.stdout` and `sys.stderr`, except a stream that is closed or is not a file."""
        for name in ("stdout", "stderr"):
            stream: TextIO | None = getattr(sys, name)
            try:
                file = _Guarded(stream.fileno()) if stream is not None else None
            except (OSError, ValueError):
                continue
            if stream is None or file is None:
                continue
            guarded = io.TextIOWrapper(
                io.BufferedWriter(file),
                encoding=stream.encoding,
                errors="replace",
                line_buffering=name == "stderr" or stream.isatty(),
            )
            self._files[name] = file
            setattr(sys, name, guarded)

    def failure(self) -> str | None:
        """Flush both streams; return why standard output is incomplete, in one sentence, or `None`."""
        for name in self._files:
            getattr(sys, name).flush()
        stdout = self._files.get("stdout")
        if stdout is None or stdout.error is None:
            return None
        if stdout.error.errno == errno.EPIPE:
            return "the reader of the output closed it, so the rest was dropped; stored results are not affected"
        return f"the output could not be written ({stdout.error.strerror}); stored results are not affected"


class _Guarded(io.RawIOBase):
    """A file descriptor to which writing never fails: after the first failure, writes are discarded."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.error: OSError | None = None
        """The first failure."""

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: ReadableBuffer, /) -> int:
        if self.error is None:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:
                raise  # the caller tries again
            except OSError as error:
                self.error = error
        return memoryview(data).nbytes
