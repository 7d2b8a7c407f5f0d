"""Whether a log is what its run wrote: the links of its replies, and the digests in its last line."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from agentsim.log.records import LINK, Record, RunFinished, identity_of

__all__ = ["RESTORE", "fault_of", "lines_of", "link_of", "linked"]

_LINKED: Final = re.compile(rb',"%s":"([0-9a-f]{16})"\}\n' % LINK.encode())
"""How a reply's line ends: with the digest of all lines before it, and of the line itself without this field."""

RESTORE = "restore the file, or take the run's folder out of the study"
"""What to do about a log that is not what its run wrote."""


def fault_of(path: Path, data: bytes, records: Sequence[Record], *, n_others: int = 0) -> str | None:
    """Return in one sentence what shows that a log is not what its run wrote; `None` if nothing does.

    Args:
        path: the log, for the sentence.
        data: its bytes, without an unfinished last line.
        records: its records.
        n_others: the number of records left out of `records`, known to be distinct and not to end a run.
    """
    met: set[tuple[object, ...]] = set()
    for record in records:
        identity = identity_of(record)
        if identity in met:
            name = " ".join(str(part) for part in identity)
            return f"{path}: holds {name!r} twice, so lines of it were repeated; {RESTORE}"
        met.add(identity)
    end = next((record for record in records if isinstance(record, RunFinished)), None)
    if end is None:
        number = _broken_link(data)
        what = f"{path}:{number}: this line, or one before it, is not what its run wrote, so it was edited; {RESTORE}"
        return None if number is None else what
    start = data.rfind(b'{"type":"run_finished"')
    n_after = len(data) - (data.find(b"\n", start) + 1)
    if n_after or data.count(b"\n", 0, start) != len(records) + n_others - 1:
        return f"{path}: continues after the end of its run, so lines were added to it or moved; {RESTORE}"
    if end.log_digest is not None and hashlib.sha256(memoryview(data)[:start]).hexdigest() != end.log_digest:
        what = "is not what its run wrote (the digest in its last line is that of other lines)"
        return f"{path}: {what}, so it was edited; {RESTORE}"
    if not end.is_unedited:
        return f"{path}: its last line is not what its run wrote, so it was edited; {RESTORE}"
    return None


def _broken_link(data: bytes) -> int | None:
    """Return the number of the first reply's line whose link does not match the lines before it; `None` if all match.

    Older logs have no links. Once a log has one, every later reply must have one.
    """
    before = hashlib.sha256()
    is_linked = False
    for number, line in enumerate(lines_of(data), start=1):
        if line.startswith(b'{"type":"reply"'):
            link = _LINKED.search(line, max(len(line) - 40, 0))
            if link is not None and link[1].decode() != link_of(before, line[: link.start()] + b"}\n"):
                return number
            if link is None and is_linked:
                return number
            is_linked = link is not None
        before.update(line)
    return None


def link_of(before: Any, line: bytes) -> str:
    """Return the link of a reply's line, given the hash of all before it."""
    digest = before.copy()
    digest.update(line)
    return str(digest.hexdigest()[:16])


def linked(before: Any, line: bytes) -> bytes:
    """Return a reply's line with its link as the last field, given the hash of all lines before it."""
    return line[:-2] + f',"{LINK}":"{link_of(before, line)}"}}\n'.encode()


def lines_of(data: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        end = data.find(b"\n", start) + 1 or len(data)
        yield data[start:end]
        start = end
