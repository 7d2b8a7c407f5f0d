"""Reads what is new in a growing file: whole lines, each once."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["Line", "Tail"]

STEP_BYTES: Final = 1_000_000
"""So much is read at once, which keeps the event loop free for other things; a longer line is read whole."""


class Line(NamedTuple):
    """One whole line."""

    at: int
    """Where it begins in the file."""
    text: bytes
    """With its line break."""


class Tail:
    """The new whole lines of a file that others append to, or that does not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.at = 0
        """Up to here it has been read."""
        self.size = 0
        """How long it was when it was last looked at."""
        self.changed_at = 0.0
        """When it last changed, in seconds since the epoch; 0 before it exists."""
        self.file = 0
        """The number of the file on its file system; 0 before it exists."""
        self.n_begun = 0
        """How often it was read from its beginning: more than once if another file took its place."""
        self.is_behind = False
        """Whether there may be more to read, as far as known."""

    def look(self) -> None:
        """Look at the file without reading it."""
        try:
            state = self.path.stat()
        except (OSError, ValueError):
            return
        if not stat.S_ISREG(state.st_mode):  # a pipe would wait for ever
            return
        if state.st_ino != self.file or state.st_size < self.at:
            self.at, self.file, self.is_behind = 0, state.st_ino, True
            self.n_begun += 1
        self.is_behind |= state.st_size != self.size or state.st_mtime != self.changed_at
        self.size, self.changed_at = state.st_size, state.st_mtime

    def step(self) -> list[Line]:
        """Read the next whole lines, about a megabyte of them; an unfinished last line waits for its end."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.at)
                data = file.read(STEP_BYTES)
                end = data.rfind(b"\n") + 1
                while not end and len(data) >= STEP_BYTES and (more := file.read(STEP_BYTES)):
                    end = more.rfind(b"\n") + 1
                    end += len(data) if end else 0
                    data += more
                is_all = self.at + len(data) >= os.fstat(file.fileno()).st_size
        except OSError:
            self.is_behind = False
            return []
        lines, start = [], 0
        while start < end:
            after = data.index(b"\n", start) + 1
            lines.append(Line(self.at + start, data[start:after]))
            start = after
        self.at += end
        self.is_behind = not is_all  # an unfinished last line is read again when the file grows
        return lines

    def line_at(self, at: int) -> bytes:
        """Return the line that begins there; empty if it cannot be read."""
        try:
            with self.path.open("rb") as file:
                file.seek(at)
                return file.readline()
        except OSError:
            return b""
