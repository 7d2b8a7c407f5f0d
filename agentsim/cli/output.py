"""Standard output and standard error that never end a command: a full disk, a closed pipe, an odd encoding.

A study that is being paid for must not break off because nobody reads what it prints. What cannot be encoded is
replaced; the first failure to write is kept, said once at the end, and makes the exit code 1.
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
    """The process's two output streams, guarded from `guard()` on."""

    def __init__(self) -> None:
        self._files: dict[str, _Guarded] = {}

    def guard(self) -> None:
        """Replace `sys.stdout` and `sys.stderr`; a stream that is closed or no file stays as it is."""
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
        """Write what is buffered; return in one sentence why standard output is not whole, or `None`."""
        for name in self._files:
            getattr(sys, name).flush()
        stdout = self._files.get("stdout")
        if stdout is None or stdout.error is None:
            return None
        if stdout.error.errno == errno.EPIPE:
            return "nobody reads the output any more, so its rest was dropped; what was stored is on the disk"
        return f"the output could not be written ({stdout.error.strerror}); what was stored is on the disk"


class _Guarded(io.RawIOBase):
    """A file descriptor to which writing never fails: after the first failure, writes go nowhere."""

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
