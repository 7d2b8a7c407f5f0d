"""Reads a run's log without touching it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import NamedTuple

from agentsim.errors import LogError
from agentsim.log.files import LOG_NAME
from agentsim.log.integrity import fault_of, lines_of
from agentsim.log.records import Record, RunFinished, RunStarted, record_of

__all__ = [
    "ClosedLog",
    "LogContent",
    "bytes_of",
    "closed_in",
    "closed_log",
    "content_of",
    "read_log",
    "read_start",
    "seems_closed",
]


class LogContent(NamedTuple):
    """What a log holds."""

    records: list[Record]
    n_bytes: int
    """Length of the sound part of the file."""
    n_torn_bytes: int
    """Bytes of an unfinished last line, left by a crash."""
    fault: str | None
    """What shows, in one sentence, that the log is not what its run wrote; `None` if nothing does."""


def read_log(folder: Path, *, is_judged: bool = True) -> LogContent:
    """Read a run's log; a missing file reads as empty.

    If not `is_judged`, an edited log is returned with its `fault` instead of raised, for callers with a better message.

    Raises:
        LogError: a line other than the last cannot be read, or the log is not what its run wrote.
        SchemaError: the log is in another version of the format.
    """
    path = folder / LOG_NAME
    content = content_of(path, bytes_of(path))
    if is_judged and content.fault is not None:
        raise LogError(content.fault)
    return content


def read_start(folder: Path) -> RunStarted | None:
    """Return the first record of a run's log; `None` if there is none that can be read."""
    try:
        with (folder / LOG_NAME).open("rb") as file:
            line = file.readline()
        record = record_of(json.loads(line), where=str(folder)) if line.endswith(b"\n") else None
    except (OSError, ValueError, LogError):
        return None
    return record if isinstance(record, RunStarted) else None


def bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise LogError(f"{path}: cannot be read ({error.strerror})") from error


def content_of(path: Path, data: bytes) -> LogContent:
    records: list[Record] = []
    sound = 0
    for number, line in enumerate(lines_of(data), start=1):
        try:
            raw = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            raw = None
        if raw is None:
            if sound + len(line) < len(data):
                raise LogError(f"{path}:{number}: not a log record: {line[:80]!r}; restore the file or run with --new")
            break
        records.append(record_of(raw, where=f"{path}:{number}"))
        sound += len(line)
    return LogContent(records, sound, len(data) - sound, fault_of(path, data[:sound], records))


class ClosedLog(NamedTuple):
    """The first and the last record of a log that is unchanged since its run was finished."""

    started: RunStarted
    finished: RunFinished


def seems_closed(folder: Path) -> bool:
    """Return whether a run's log ends like that of a finished run; only its end is read."""
    try:
        with (folder / LOG_NAME).open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 2000))
            return file.read().rpartition(b"\n{")[2].startswith(b'"type":"run_finished"')
    except OSError:
        return False


def closed_log(folder: Path) -> ClosedLog | None:
    """Return the first and last record of a finished run's log, if its digest shows that it is whole and unedited.

    `None` if the run is not finished, or its log must be checked line by line.
    """
    try:
        return closed_in((folder / LOG_NAME).read_bytes(), where=str(folder))
    except OSError:
        return None


def closed_in(data: bytes, *, where: str) -> ClosedLog | None:
    """Return what `closed_log` does of a log with these bytes; `where` it is, for errors."""
    try:
        start = data.rfind(b"\n", 0, -1) + 1
        raw = json.loads(data[start:]) if data.endswith(b"\n") else {}
        if raw.get("type") != "run_finished" or raw.get("log_digest") is None:
            return None
        if raw["log_digest"] != hashlib.sha256(memoryview(data)[:start]).hexdigest():
            return None
        first = data[: data.find(b"\n")]
        started, finished = (record_of(record, where=where) for record in (json.loads(first), raw))
    except (ValueError, AttributeError, LogError):
        return None
    if not isinstance(started, RunStarted) or not isinstance(finished, RunFinished) or not finished.is_unedited:
        return None
    return ClosedLog(started, finished)
