"""One run's log as columns: encounters without a Python object each, everything else as records.

Encounters are the bulk of a log. Arrow reads them straight into columns and is strict about types; whatever else could
be wrong with a line is looked for in the columns. A log in which anything at all is unusual is read again by
`log.reading.read_log`, line by line: it alone decides what is an error, and its sentences are the ones people see.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple, get_args, get_origin

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json
from pydantic import TypeAdapter, ValidationError

from agentsim.analysis.frames.columns import ACTS, TABLES
from agentsim.core.facts import Encounter, GenerationEnded, StrategyFormed
from agentsim.errors import AgentsimError, LogError
from agentsim.log.files import LOG_NAME
from agentsim.log.integrity import RESTORE, fault_of
from agentsim.log.reading import read_log
from agentsim.log.records import SCHEMA, Record, RunStarted
from agentsim.scenario.digests import content_digest

__all__ = ["ARROW", "RunColumns", "read_run", "read_runs"]

ARROW: Final = {"string": pa.string(), "Int64": pa.int64(), "Float64": pa.float64()}
"""By the dtype that a column of encounters is declared with."""
ENCOUNTERS: Final = TABLES["encounters"]
ROW: Final = pa.schema(
    [("type", pa.string())]
    + [(column.path, ARROW[column.dtype]) for column in ENCOUNTERS.of_records.values() if column.path]
)
GIVEN: Final = [name for name, column in ENCOUNTERS.of_records.items() if column.path or name == "act"]
"""The columns of encounters that their own records give."""
OTHER: Final = re.compile(rb'\n(?!\{"key":)')
"""What stands before a line that is no encounter's; encounters' lines begin with their key."""
MET: Final = b',"donor_before":'
"""What stands once in the line of each encounter, and in no other that begins with a key."""
BATCH_BYTES: Final = 32_000_000
"""So much of logs is read at once; with more of it the time stays the same, and the memory grows."""
BLOCK_BYTES: Final = 2_000_000
"""So much of them each of Arrow's threads reads at once."""
_RECORD: Final[TypeAdapter[Record]] = TypeAdapter(Record)


class _Field(NamedTuple):
    """What the records of encounters promise of one field."""

    name: str
    types: tuple[str, ...]
    """The types of the records that have it."""
    may_be_none: bool
    words: tuple[str, ...]
    """The only texts that it may hold; empty for any."""


def _field(name: str) -> _Field:
    annotations = {
        str(record.model_fields["type"].default): record.model_fields[name].annotation
        for record in ENCOUNTERS.records
        if name in record.model_fields
    }
    annotation = next(iter(annotations.values()))
    options = (annotation,) if get_origin(annotation) in (None, Literal) else get_args(annotation)
    words = tuple(word for option in options if get_origin(option) is Literal for word in get_args(option))
    return _Field(name, tuple(annotations), type(None) in options, words)


FIELDS: Final = [_field(name) for name in ROW.names if name != "type"]


class RunColumns(NamedTuple):
    """What the log of one run holds."""

    started: RunStarted
    records: list[Record]
    """Everything but the encounters, in the log's order."""
    encounters: pa.Table
    """One row an encounter, in the log's order; the columns of the frame but `study` and `run`."""
    n_torn_bytes: int
    """Bytes of an unfinished last line, left by a crash."""

    def ends(self) -> Iterator[GenerationEnded]:
        """Yield the generations that have ended."""
        return (record for record in self.records if isinstance(record, GenerationEnded))


def read_run(folder: Path) -> RunColumns:
    """Read a run's log.

    Raises:
        LogError: there is no log, it is empty, does not begin with run_started, or a line cannot be read.
        SchemaError: it was written in another version of the format.
    """
    apart = _taken_apart(folder / LOG_NAME)
    [quick] = [None] if apart is None else _quickly([apart])
    return _checked(folder, _strictly(folder) if quick is None else quick)


def read_runs(folders: Iterable[Path]) -> Iterator[RunColumns | AgentsimError]:
    """Yield what `read_run` returns, or the error that it raises, for each folder in turn.

    The encounters of many logs are read at once, which takes half of the time.
    """
    batch: list[tuple[Path, _Apart | AgentsimError | None]] = []
    n_bytes = 0
    for folder in folders:
        try:
            apart = _taken_apart(folder / LOG_NAME)
            n_bytes += 0 if apart is None else len(apart.data)
            batch.append((folder, apart))
        except AgentsimError as error:
            batch.append((folder, error))
        if n_bytes >= BATCH_BYTES:
            yield from _read_together(batch)
            batch, n_bytes = [], 0
    yield from _read_together(batch)


def _read_together(batch: Sequence[tuple[Path, _Apart | AgentsimError | None]]) -> Iterator[RunColumns | AgentsimError]:
    try:
        quick = iter(_quickly([apart for _, apart in batch if isinstance(apart, _Apart)]))
    except LogError:  # each by itself, to know whose error it is
        quick = None
    for folder, apart in batch:
        if isinstance(apart, AgentsimError):
            yield apart
            continue
        try:
            if quick is None:
                yield read_run(folder)
                continue
            content = None if apart is None else next(quick)
            yield _checked(folder, _strictly(folder) if content is None else content)
        except AgentsimError as error:
            yield error


def _checked(folder: Path, content: _Content) -> RunColumns:
    first = content.records[0] if content.records else None
    if not isinstance(first, RunStarted):
        raise LogError(f"{folder}: the log is empty or does not begin with run_started")
    if first.digest != content_digest(first.condition, seed=first.seed, probe=first.probe):
        raise LogError(
            f"{folder / LOG_NAME}: its first line is not what its run wrote (the digest in it is that of other rules),"
            f" so it was edited; {RESTORE}"
        )
    columns = {name: content.encounters[name] for name in GIVEN}
    for role in ("donor", "recipient"):
        columns[f"{role}_model"] = _models(first, content.records, columns[role])
    table = pa.table({name: columns[name] for name in ENCOUNTERS.of_records})
    return RunColumns(first, content.records, table, content.n_torn_bytes)


def _models(started: RunStarted, records: Sequence[Record], agents: pa.ChunkedArray) -> pa.Array:
    """Return the player behind each agent; missing where the log does not say."""
    players = started.players
    if len(players) == 1:
        return pa.repeat(players[0], len(agents))
    models = {record.agent.id: record.agent.label for record in records if isinstance(record, StrategyFormed)}
    places = pc.index_in(agents.combine_chunks(), value_set=pa.array(models.keys(), pa.string()))
    return pa.array(models.values(), pa.string()).take(places)


class _Content(NamedTuple):
    records: list[Record]
    encounters: pa.Table
    """The columns that `GIVEN` names."""
    n_torn_bytes: int


def _strictly(folder: Path) -> _Content:
    """Read line by line, every field checked."""
    try:
        content = read_log(folder)
    except RecursionError as error:
        raise LogError(
            f"{folder / LOG_NAME}: holds JSON nested too deep to be a log record; restore the file"
        ) from error
    rows = [record.model_dump() for record in content.records if isinstance(record, Encounter)]
    records: list[Record] = [record for record in content.records if not isinstance(record, Encounter)]
    try:
        table = pa.Table.from_pylist(rows, schema=ROW)
    except OverflowError as error:
        raise LogError(f"{folder / LOG_NAME}: holds a number beyond 64 bits; restore the file") from error
    return _Content(records, _as_given(table), content.n_torn_bytes)


def _as_given(table: pa.Table) -> pa.Table:
    """Return the columns that encounters' records give, under the names of the frame."""
    columns = {name: table[column.path] for name, column in ENCOUNTERS.of_records.items() if column.path}
    columns["act"] = pc.take(pa.array(ACTS.values()), pc.index_in(table["type"], value_set=pa.array(ACTS.keys())))
    return pa.table(columns)


class _Apart(NamedTuple):
    """A log whose lines are told apart, not read yet."""

    path: Path
    data: bytes
    """Without an unfinished last line."""
    others: list[bytes]
    """The lines of everything but encounters."""
    met: bytes
    """The lines of the encounters."""
    n_met: int
    n_torn_bytes: int


def _taken_apart(path: Path) -> _Apart | None:
    """Read a log and tell its lines apart, by a guess that the columns' `type` confirms in the end.

    `None` where it must be read line by line.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise LogError(f"{path.parent}: has no log; the run has not begun, or its log was deleted") from error
    except (OSError, ValueError) as error:
        raise LogError(f"{path}: cannot be read ({error})") from error
    if not data.startswith(b'{"type":"run_started","schema_version":%d,' % SCHEMA):
        return None
    end = data.rfind(b"\n") + 1
    torn = len(data) - end
    data = data[:end] if torn else data
    others: list[bytes] = []
    met: list[bytes] = []
    place = 0
    for begin in (0, *(found.end() for found in OTHER.finditer(data))):
        if begin > place:
            met.append(data[place:begin])
        place = data.find(b"\n", begin) + 1
        if place:
            others.append(data[begin : place - 1])
    lines = b"".join(met)
    n_met = lines.count(b"\n")
    if lines.count(MET) != n_met:  # something else begins like an encounter
        return None
    return _Apart(path, data, others, lines, n_met, torn)


def _quickly(logs: Sequence[_Apart]) -> list[_Content | None]:
    """Read the encounters of some logs as columns, all at once; `None` for a log in which anything is unusual.

    Raises:
        LogError: a log is not what its run wrote.
    """
    try:
        table = _encounters([log.met for log in logs])
        is_usual = _is_usual(table, [log.n_met for log in logs])
    except pa.ArrowInvalid:
        is_usual = False
    if not is_usual:
        return [None] if len(logs) == 1 else [content for log in logs for content in _quickly([log])]
    given, contents, place = _as_given(table), list[_Content | None](), 0
    for log in logs:
        contents.append(_with_records(log, given.slice(place, log.n_met)))
        place += log.n_met
    return contents


def _with_records(log: _Apart, encounters: pa.Table) -> _Content | None:
    try:
        records = [_RECORD.validate_json(line) for line in log.others]
    except ValidationError:
        return None
    if any(isinstance(record, Encounter) for record in records):
        return None
    fault = fault_of(log.path, log.data, records, n_others=log.n_met)
    if fault is not None:
        raise LogError(fault)
    return _Content(records, encounters, log.n_torn_bytes)


def _encounters(lines: Sequence[bytes]) -> pa.Table:
    data = b"".join(lines)
    if not data:
        return ROW.empty_table()
    return arrow_json.read_json(
        pa.BufferReader(data),
        read_options=arrow_json.ReadOptions(block_size=BLOCK_BYTES),
        parse_options=arrow_json.ParseOptions(explicit_schema=ROW, unexpected_field_behavior="error"),
    ).select(ROW.names)


def _is_usual(table: pa.Table, n_met: Sequence[int]) -> bool:
    """Whether every row is what `log.writing` writes, once in its log; the columns' types are known to be right.

    `n_met`: how many rows each log has, in turn.
    """
    n_rows = sum(n_met)
    if table.num_rows != n_rows or table["type"].null_count:
        return False
    keys = table["key"].combine_chunks()
    ends = itertools.accumulate(n_met)
    if any(pc.count_distinct(keys.slice(end - n, n)).as_py() != n for n, end in zip(n_met, ends, strict=True)):
        return False
    kinds = {kind: pc.equal(table["type"], kind) for kind in ACTS}
    if sum(pc.sum(is_kind).as_py() or 0 for is_kind in kinds.values()) != n_rows:
        return False
    if not all(_is_where_it_belongs(table[field.name], field, kinds) for field in FIELDS):
        return False
    # A fraction is missing where nothing could be given or no decision was read, and nowhere else.
    is_missing = pc.or_(kinds["missed"], pc.equal(table["donor_before"], 0.0))
    if not _all(pc.equal(table["fraction"].is_null(), is_missing)):
        return False
    numbers = [name for name in ROW.names if ROW.field(name).type == pa.float64()]
    return all(_all(pc.is_finite(table[name])) for name in numbers)


def _is_where_it_belongs(values: pa.ChunkedArray, field: _Field, kinds: Mapping[str, pa.ChunkedArray]) -> bool:
    """Whether the records that have the field hold one of its values, and no others hold any."""
    if field.words and not _all(pc.is_in(values, value_set=pa.array([*field.words, None]))):
        return False
    if len(field.types) == len(kinds):
        return field.may_be_none or not values.null_count
    belongs = functools.reduce(pc.or_, [kinds[kind] for kind in field.types])
    return _all(pc.or_(values.is_null(), belongs) if field.may_be_none else pc.equal(values.is_valid(), belongs))


def _all(values: pa.ChunkedArray) -> bool:
    return pc.all(values, skip_nulls=True).as_py() is not False
