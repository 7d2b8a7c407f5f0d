"""The journal of granted leases: what a new broker needs to know of the last minute, beside the ledger.

One JSON array a line: `["g", lease, account, seconds, tokens]` granted, `["c", lease, tokens]` corrected,
`["r", lease]` given back. Nothing is synced: a kill loses no line that was written. After a failure of the machine, or
on another machine, the boot id is another one, and a full minute is waited for.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agentsim.disk.durable import open_plainly
from agentsim.errors import NotWritten

__all__ = ["KEPT_S", "Journal", "Past", "boot_id"]

KEPT_S: Final = 61.0
"""For how many seconds a grant matters."""
FORGOTTEN_S: Final = 120.0
"""A journal of another boot or machine matters no more once its file has not changed for so long by the wall clock."""
MOST_BYTES: Final = 4_000_000
"""A longer journal is written anew, with what still matters."""
BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Return what tells this machine, since it was started, from others: seconds of one boot can be compared."""
    return BOOT.read_text(encoding="ascii").strip()


@dataclass
class Past:
    """One lease of the last minute, or one that is still out."""

    lease: str
    account: str
    at: float
    """When it was granted, as `time.monotonic` counts."""
    tokens: float
    is_out: bool = True


class Journal:
    """The journal, open for writing."""

    def __init__(self, path: Path) -> None:
        """Read what earlier brokers wrote, and go on writing.

        Raises:
            OSError: it cannot be read or written.
        """
        self._path = path
        self.past: dict[str, Past] = {}
        """What matters of it, by lease."""
        self.closed_until = 0.0
        """Until when nothing may be granted, because what was granted in the last minute is not known."""
        self._read()
        self._file = -1
        self._n_bytes = 0
        self._write_anew()

    def granted(self, lease: str, account: str, tokens: float) -> Past:
        """Note a lease that is granted now.

        Raises:
            NotWritten: the disk is full or failing.
        """
        past = self.past[lease] = Past(lease, account, time.monotonic(), tokens)
        self._note(["g", lease, account, past.at, tokens])
        return past

    def corrected(self, past: Past, tokens: float) -> None:
        """Replace a lease's tokens by what was really spent."""
        past.tokens = tokens
        self._note(["c", past.lease, tokens])

    def returned(self, past: Past) -> None:
        """Note that a lease is given back."""
        past.is_out = False
        self._note(["r", past.lease])

    def close(self) -> None:
        """Close the file; what it says stays."""
        os.close(self._file)

    def _note(self, record: list[Any]) -> None:
        line = json.dumps(record).encode() + b"\n"
        try:
            if os.write(self._file, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._n_bytes += len(line)
            if self._n_bytes > MOST_BYTES:
                self._write_anew()
        except OSError as error:
            raise NotWritten(
                f"{self._path}: cannot be written ({error.strerror}); nothing more is sent: mend that and run again"
            ) from error

    def _write_anew(self) -> None:
        now = time.monotonic()
        self.past = {past.lease: past for past in self.past.values() if past.is_out or past.at > now - KEPT_S}
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        temporary.unlink(missing_ok=True)
        file = open_plainly(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND)
        records: list[list[Any]] = [["boot", boot_id(), self.closed_until]]
        for past in self.past.values():
            records.append(["g", past.lease, past.account, past.at, past.tokens])
            if not past.is_out:
                records.append(["r", past.lease])
        data = b"".join(json.dumps(record).encode() + b"\n" for record in records)
        os.write(file, data)
        temporary.replace(self._path)
        if self._file >= 0:
            os.close(self._file)
        self._file, self._n_bytes = file, len(data)

    def _read(self) -> None:
        try:
            with self._path.open("rb") as file:
                age_s = time.time() - os.fstat(file.fileno()).st_mtime
                records = list(_records(file.read()))
        except FileNotFoundError:
            return
        if not records or records[0][:2] != ["boot", boot_id()]:
            if age_s < FORGOTTEN_S:
                self.closed_until = time.monotonic() + KEPT_S
            return
        self.closed_until = float(records[0][2])
        for kind, lease, *rest in records[1:]:
            if kind == "g":
                self.past[lease] = Past(lease, *rest)
            elif lease in self.past and kind == "c":
                self.past[lease].tokens = rest[0]
            elif lease in self.past:
                self.past[lease].is_out = False


def _records(data: bytes) -> Iterator[list[Any]]:
    """Return the records; a torn last line is left out."""
    for line in data.split(b"\n")[:-1]:
        with suppress(ValueError):
            yield json.loads(line)
