"""One run's log: append-only JSON lines of replies, which cost money, and of the facts that follow from them.

A reply is on the disk (`fdatasync`) before anything is done with it. Facts need no sync: they are computed again from
the replies whenever the log is opened. A line that a crash left unfinished is cut off on opening, and said.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from agentsim.core.facts import Encounter, Event, GameEnded, GenerationEnded, Value
from agentsim.disk.durable import Lines, open_plainly, replace, sync_folder
from agentsim.errors import LogError, LogLocked, NotWritten, SchemaError
from agentsim.providers.base import Completion, Prompt
from agentsim.providers.prices import Price, cost_usd
from agentsim.scenario.old_conditions import up_to_date
from agentsim.scenario.players import labels_in

__all__ = [
    "LOG_NAME",
    "PROBE_NAME",
    "RESTORE",
    "SCHEMA",
    "ClosedLog",
    "LogContent",
    "Record",
    "Reply",
    "RunFinished",
    "RunLog",
    "RunStarted",
    "closed_log",
    "fault_of",
    "is_locked",
    "locked_by",
    "note_sitting",
    "open_log",
    "read_log",
    "read_start",
    "seems_closed",
    "stop_reasons",
]

LINK = "chain"
"""What ends a reply's line: the digest of all that stands before it, and of the line itself without this."""
_LINKED = re.compile(rb',"chain":"([0-9a-f]{16})"\}\n')

SCHEMA = 1
"""The version of the log format this code writes and reads."""

LOG_NAME = "log.jsonl"
LOCK_NAME = "lock"
STOPPED_NAME = "stopped.json"
PROBE_NAME = "probe.json"
"""The design of a probe, in its folder, which is thereby none of a study."""


class RunStarted(Value):
    """The first record: what is run, and by what."""

    type: Literal["run_started"] = "run_started"
    schema_version: int = SCHEMA
    study: str
    run: str
    seed: int
    condition: dict[str, Any]
    """The whole condition (rules, players, prompts), as resolved from the scenario."""
    digest: str
    """SHA-256 of condition and seed; a log is only ever continued under the same one."""
    settings: dict[str, Any]
    """What tells this run's condition from the study's others: path -> value."""
    probe: dict[str, Any] | None = Field(default=None, exclude_if=lambda probe: probe is None)
    """The design, where strategies are asked in stated situations and no society is played (`probing.design`)."""
    prompts_digest: str
    """SHA-256 of the prompt set's files."""
    reader: int = Field(default=1, exclude_if=lambda reader: reader == 1)
    """The version of the reader of replies (`prompts.READERS`); 1 is that of logs that name none."""
    account: dict[str, Any]
    """The provider account as used (address, dialect, limits), without its key; empty for scripted players, and where
    several models play."""
    accounts: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Where several models play, the account of each, by the player's label."""
    versions: dict[str, str]
    forked_from: str | None = None
    """The folder of the run whose replies this one began with, where it is a fork."""
    time: str
    """UTC, ISO 8601."""

    @model_validator(mode="before")
    @classmethod
    def _is_up_to_date(cls, record: Any) -> Any:
        return up_to_date(record)

    @property
    def players(self) -> list[str]:
        """The labels of those who play: one, or those of a mixed society."""
        return labels_in(self.condition)

    @property
    def templates_read(self) -> str | None:
        """`prompts_digest`, where any player reads prompts; `None` where scripted policies alone play."""
        players = self.condition.get("players")
        listed = players if isinstance(players, list) else [players]
        models = [str(player.get("model")) for player in listed if isinstance(player, dict)]
        is_read = not models or any(not model.startswith("scripted/") for model in models)
        return self.prompts_digest if is_read else None

    def account_of(self, player: str | None) -> dict[str, Any]:
        """Return the account of the player that gave a reply; empty where nothing is known of it."""
        return self.account if player is None else self.accounts.get(player, {})

    @property
    def is_paid(self) -> bool:
        """Whether any of its replies may be billed: those of all models but the ones on this machine."""
        accounts = [self.account, *self.accounts.values()]
        return any(account.get("dialect", "local") != "local" for account in accounts)

    def cost_usd(self, reply: Reply) -> float | None:
        """Return what a reply cost in US dollars; `None` where no price was logged, or the server named no tokens."""
        price = self.account_of(reply.player).get("price")
        return None if price is None else cost_usd(Price.model_validate(price), reply.completion.usage)


class Reply(Value):
    """One question asked of a model, and what came back, whole."""

    type: Literal["reply"] = "reply"
    key: str
    """The request's key."""
    attempt: int
    """1 for the first asking; higher where an unreadable answer was asked again."""
    player: str | None = None
    """The label of the player that was asked; `None` where one plays all agents."""
    prompt: Prompt
    completion: Completion
    time: str
    """When the answer had come; UTC, ISO 8601."""

    @model_validator(mode="before")
    @classmethod
    def _without_its_link(cls, record: Any) -> Any:
        if isinstance(record, dict) and LINK in record:
            return {key: value for key, value in record.items() if key != LINK}
        return record


class RunFinished(Value):
    """The last record: the society's history is complete."""

    type: Literal["run_finished"] = "run_finished"
    n_replies: int
    wall_s: float
    """Seconds this process worked on the run (less than the whole where the run was resumed)."""
    critical_path_s: float
    """Longest chain of calls that had to wait for each other, of this process's calls."""
    tokens: int | None = None
    """Of all prompts and answers, as far as the servers said."""
    cost_usd: float | None = None
    """Of all replies; `None` where a price or a number of tokens is not known."""
    code_digest: str | None = None
    """SHA-256 of the code that computed the facts (`play.replay.code_digest`)."""
    unread: tuple[str, ...] = Field(default=(), exclude_if=lambda unread: not unread)
    """Sentences, one a player none of whose decisions could be read (`readability`)."""
    log_digest: str | None = None
    """SHA-256 of the log up to this record: while it is right, the log has not been edited."""
    time: str
    own_digest: str | None = Field(default=None, exclude_if=lambda digest: digest is None)
    """SHA-256 of this record without this field (version 0.1 wrote none)."""

    def sealed(self) -> Self:
        """Return the record with its own digest."""
        text = self.model_dump_json(exclude={"own_digest"})
        return self.model_copy(update={"own_digest": hashlib.sha256(text.encode()).hexdigest()})

    @property
    def is_unedited(self) -> bool:
        """Whether the record is as it was sealed, or was never sealed."""
        return self.own_digest is None or self.own_digest == self.sealed().own_digest


Record = Annotated[RunStarted | Reply | RunFinished | Event, Field(discriminator="type")]
_RECORD: TypeAdapter[Record] = TypeAdapter(Record)


class LogContent(NamedTuple):
    """What a log holds."""

    records: list[Record]
    n_bytes: int
    """Length of the sound part of the file."""
    n_torn_bytes: int
    """Bytes of an unfinished last line, left by a crash."""
    fault: str | None
    """What shows that the log is not what its run wrote, in one sentence; `None` where nothing does."""


def read_log(folder: Path, *, is_judged: bool = True) -> LogContent:
    """Read a run's log without touching it; a missing file reads as empty.

    Not `is_judged`: a log that was edited is returned, with its `fault`, as the caller has something better to say.

    Raises:
        LogError: a line that is not the last cannot be read, or the log is not what its run wrote.
        SchemaError: the log was written in another version of the format.
    """
    path = folder / LOG_NAME
    content = _content(path, _bytes_of(path))
    if is_judged and content.fault is not None:
        raise LogError(content.fault)
    return content


def read_start(folder: Path) -> RunStarted | None:
    """Return the first record of a run's log; `None` where there is none, or none that can be read."""
    try:
        with (folder / LOG_NAME).open("rb") as file:
            line = file.readline()
        record = _record(json.loads(line), where=str(folder)) if line.endswith(b"\n") else None
    except (OSError, ValueError, LogError):
        return None
    return record if isinstance(record, RunStarted) else None


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise LogError(f"{path}: cannot be read ({error.strerror})") from error


def _content(path: Path, data: bytes) -> LogContent:
    records: list[Record] = []
    sound = 0
    for number, line in enumerate(_lines(data), start=1):
        try:
            raw = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            raw = None
        if raw is None:
            if sound + len(line) < len(data):
                raise LogError(f"{path}:{number}: not a log record: {line[:80]!r}; restore the file or run with --new")
            break
        records.append(_record(raw, where=f"{path}:{number}"))
        sound += len(line)
    return LogContent(records, sound, len(data) - sound, fault_of(path, data[:sound], records))


def fault_of(path: Path, data: bytes, records: Sequence[Record], *, n_others: int = 0) -> str | None:
    """Return in one sentence what shows that a log is not what its run wrote; `None` where nothing does.

    `data` is the log without an unfinished last line, which a crash may leave.
    `records` may leave out `n_others` records that are known to be no ends of runs and to be there once.
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
        return f"{path}: goes on after the end of its run, so lines were added to it or moved; {RESTORE}"
    if end.log_digest is not None and hashlib.sha256(memoryview(data)[:start]).hexdigest() != end.log_digest:
        what = "is not what its run wrote (the digest in its last line is that of other lines)"
        return f"{path}: {what}, so it was edited; {RESTORE}"
    if not end.is_unedited:
        return f"{path}: its last line is not what its run wrote, so it was edited; {RESTORE}"
    return None


def _broken_link(data: bytes) -> int | None:
    """Return the number of the first reply's line whose link is not that of all before it; `None` if there is none.

    Logs of version 0.1 have no links; once a log has one, each further reply has to have one.
    """
    before = hashlib.sha256()
    is_linked = False
    for number, line in enumerate(_lines(data), start=1):
        if line.startswith(b'{"type":"reply"'):
            link = _LINKED.search(line, max(len(line) - 40, 0))
            if link is not None and link[1].decode() != _link(before, line[: link.start()] + b"}\n"):
                return number
            if link is None and is_linked:
                return number
            is_linked = link is not None
        before.update(line)
    return None


def _link(before: Any, line: bytes) -> str:
    """Return the link of a reply's line, given the hash of all before it."""
    own = before.copy()
    own.update(line)
    return str(own.hexdigest()[:16])


def identity_of(record: Record) -> tuple[object, ...]:
    """Return what no two records of a log have in common: the kind, and what it is about."""
    match record:
        case Reply():
            return "reply", record.key, record.attempt
        case RunStarted() | RunFinished():
            return (record.type,)
        case Encounter():
            return "encounter", record.key
        case GameEnded():
            return record.type, record.generation, record.game
        case GenerationEnded():
            return record.type, record.generation
        case _:
            return record.type, record.key


RESTORE = "restore the file, or take the run's folder out of the study"
"""What to do about a log that is not what its run wrote."""


class ClosedLog(NamedTuple):
    """The first and the last record of a log that is as it was when its run was finished."""

    started: RunStarted
    finished: RunFinished


def seems_closed(folder: Path) -> bool:
    """Return whether a run's log ends as that of a finished run, from a look at its end."""
    try:
        with (folder / LOG_NAME).open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 2000))
            return file.read().rpartition(b"\n{")[2].startswith(b'"type":"run_finished"')
    except OSError:
        return False


def closed_log(folder: Path) -> ClosedLog | None:
    """Return the ends of a finished run's log whose digest says that it is whole and unedited, without reading it all.

    `None` where the run is not finished, or its log has to be looked at line by line.
    """
    try:
        data = (folder / LOG_NAME).read_bytes()
        start = data.rfind(b"\n", 0, -1) + 1
        raw = json.loads(data[start:]) if data.endswith(b"\n") else {}
        if raw.get("type") != "run_finished" or raw.get("log_digest") is None:
            return None
        if raw["log_digest"] != hashlib.sha256(memoryview(data)[:start]).hexdigest():
            return None
        first = data[: data.find(b"\n")]
        started, finished = (_record(record, where=str(folder)) for record in (json.loads(first), raw))
    except (OSError, ValueError, AttributeError, LogError):
        return None
    if not isinstance(started, RunStarted) or not isinstance(finished, RunFinished) or not finished.is_unedited:
        return None
    return ClosedLog(started, finished)


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
                raise LogError(f"{folder}: is a symbolic link, through which no log is written; put the folder there")
            is_new = not folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
            if is_new:
                sync_folder(folder.parent)
            self._lock = _lock(folder / LOCK_NAME)
        except OSError as error:
            raise self._not_opened(error) from error
        try:
            data = _bytes_of(self.path)
            content = _content(self.path, data)
            self._digest = hashlib.sha256(memoryview(data)[: content.n_bytes])
            self.records = content.records
            """What the log held when it was opened."""
            self.n_torn_bytes = content.n_torn_bytes
            """Bytes of an unfinished last line that were cut off."""
            self.fault = content.fault
            """What shows that the log was edited, in one sentence."""
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
        """Write the records, one line each; with `sync` they are on the disk when this returns, which holds the caller.

        Raises:
            NotWritten: the disk is full or failing. What was written before stays; the run can be resumed.
        """
        lines = []
        for record in records:
            line = _line(record)
            if isinstance(record, Reply):
                line = line[:-2] + f',"{LINK}":"{_link(self._digest, line)}"}}\n'.encode()
            self._digest.update(line)
            lines.append(line)
        self._lines.append(b"".join(lines))
        if sync:
            self._lines.sync()

    async def synced(self) -> None:
        """Wait until all that was appended so far is on the disk; replies are told in the order of their lines.

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
        """SHA-256 of all that is in the log."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Sync, close and unlock.

        Raises:
            NotWritten: the disk is failing; it is closed and unlocked all the same.
        """
        try:
            self._lines.close()
        finally:
            os.close(self._lock)

    def _not_opened(self, error: OSError) -> NotWritten:
        return NotWritten(f"{self.path}: cannot be opened ({error.strerror}); mend that and run again")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@asynccontextmanager
async def open_log(folder: Path) -> AsyncIterator[RunLog]:
    """Open a run's log and close it in the end, both on a thread: large logs and slow disks do not hold the event loop.

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


def _lines(data: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        end = data.find(b"\n", start) + 1 or len(data)
        yield data[start:end]
        start = end


def _line(record: Record) -> bytes:
    text = json.dumps(record.model_dump(mode="json"), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Line separators that JSON leaves alone but many readers split at.
    for character in ("\x85", "\u2028", "\u2029"):
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode() + b"\n"


def _record(raw: object, *, where: str) -> Record:
    if isinstance(raw, dict) and raw.get("type") == "run_started" and raw.get("schema_version") != SCHEMA:
        raise SchemaError(
            f"{where}: written in log format {raw.get('schema_version')!r}, this agentsim reads {SCHEMA};"
            " read it with the version that wrote it, or run with --new"
        )
    try:
        return _RECORD.validate_python(raw)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "union_tag_invalid":
            raise LogError(
                f"{where}: {str(first['ctx']['tag'])[:60]!r} is no kind of record that this agentsim knows; read it"
                " with the version or the rules that wrote it, or restore the file"
            ) from error
        place = ".".join(str(part) for part in first["loc"])
        raise LogError(f"{where}: not a log record of this agentsim: {place}: {first['msg']}") from error


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
    """Return the process that is writing this run, as "process 123 on name"; `None` if none is."""
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


def note_sitting(study: Path, reasons: Mapping[str, str | None]) -> None:
    """Leave word in a study's folder of why runs stopped; a help for people, on which no result depends.

    `reasons` has the runs of this sitting, `None` for a complete one. Words of other sittings about other runs stay,
    and a run that another process is playing now is left to that process.
    """
    own = {run: reason for run, reason in reasons.items() if not is_locked(study / run)}
    known = {**stop_reasons(study), **own}
    text = json.dumps({run: reason for run, reason in known.items() if reason}, indent=2, ensure_ascii=False)
    with suppress(OSError):
        replace(study / STOPPED_NAME, text + "\n")


def stop_reasons(study: Path) -> dict[str, str]:
    """Return why runs stopped when they were last played, as far as anyone left word."""
    try:
        found = json.loads((study / STOPPED_NAME).read_text(encoding="utf-8"))
        return {str(run): str(reason) for run, reason in found.items()}
    except (OSError, ValueError, AttributeError):
        return {}
