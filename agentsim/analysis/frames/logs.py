"""One run's log as columns: encounters without a Python object each, everything else as records.

Encounters are the bulk of a log. Arrow reads them straight into columns and is strict about types; whatever else could
be wrong with a line is looked for in the columns. A log in which anything at all is unusual is read again by
`log.reading.read_log`, line by line: it alone decides what is an error, and its sentences are the ones people see.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple, get_args, get_origin

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json
from pydantic import TypeAdapter, ValidationError

from agentsim.analysis.frames.columns import ACTS, TABLES
from agentsim.core.facts import Encounter, StrategyFormed
from agentsim.errors import LogError
from agentsim.log.files import LOG_NAME
from agentsim.log.integrity import RESTORE, fault_of
from agentsim.log.reading import read_log
from agentsim.log.records import SCHEMA, Record, RunStarted
from agentsim.scenario.digests import content_digest

__all__ = ["ARROW", "RunColumns", "read_run"]

ARROW: Final = {"string": pa.string(), "Int64": pa.int64(), "Float64": pa.float64()}
"""By the dtype that a column of encounters is declared with."""
ENCOUNTERS: Final = TABLES["encounters"]
ROW: Final = pa.schema(
    [("type", pa.string())]
    + [(column.path, ARROW[column.dtype]) for column in ENCOUNTERS.of_records.values() if column.path]
)
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


def read_run(folder: Path) -> RunColumns:
    """Read a run's log.

    Raises:
        LogError: there is no log, it is empty, does not begin with run_started, or a line cannot be read.
        SchemaError: it was written in another version of the format.
    """
    content = _quickly(folder / LOG_NAME) or _strictly(folder)
    first = content.records[0] if content.records else None
    if not isinstance(first, RunStarted):
        raise LogError(f"{folder}: the log is empty or does not begin with run_started")
    if first.digest != content_digest(first.condition, seed=first.seed, probe=first.probe):
        raise LogError(
            f"{folder / LOG_NAME}: its first line is not what its run wrote (the digest in it is that of other rules),"
            f" so it was edited; {RESTORE}"
        )
    table = content.encounters
    columns = {name: table[column.path] for name, column in ENCOUNTERS.of_records.items() if column.path}
    columns["act"] = pc.take(pa.array(ACTS.values()), pc.index_in(table["type"], value_set=pa.array(ACTS.keys())))
    for role in ("donor", "recipient"):
        columns[f"{role}_model"] = _models(first, content.records, table[role])
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
    return _Content(records, table, content.n_torn_bytes)


def _quickly(path: Path) -> _Content | None:
    """Read encounters as columns; `None` where anything is unusual."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise LogError(f"{path.parent}: has no log; the run has not begun, or its log was deleted") from error
    except (OSError, ValueError) as error:
        raise LogError(f"{path}: cannot be read ({error})") from error
    *lines, torn = data.split(b"\n")
    if not lines or not lines[0].startswith(b'{"type":"run_started","schema_version":%d,' % SCHEMA):
        return None
    met: list[bytes] = []
    others: list[bytes] = []
    for line in lines:
        # A guess; the columns' `type` says in the end whether it was right.
        (met if line.startswith(b'{"key":') and b',"donor_before":' in line else others).append(line)
    try:
        records = [_RECORD.validate_json(line) for line in others]
        encounters = _encounters(met)
    except (ValidationError, pa.ArrowInvalid):
        return None
    if not _is_usual(encounters, n_rows=len(met)) or any(isinstance(record, Encounter) for record in records):
        return None
    fault = fault_of(path, data[: len(data) - len(torn)], records, n_others=len(met))
    if fault is not None:
        raise LogError(fault)
    return _Content(records, encounters, len(torn))


def _encounters(lines: Sequence[bytes]) -> pa.Table:
    if not lines:
        return ROW.empty_table()
    data = b"\n".join(lines)
    return arrow_json.read_json(
        pa.BufferReader(data),
        read_options=arrow_json.ReadOptions(use_threads=False, block_size=max(len(data) + 1, 1 << 16)),
        parse_options=arrow_json.ParseOptions(explicit_schema=ROW, unexpected_field_behavior="error"),
    ).select(ROW.names)


def _is_usual(table: pa.Table, *, n_rows: int) -> bool:
    """Whether every row is what `log.writing` writes, once; the types of the columns are known to be right."""
    if table.num_rows != n_rows or table["type"].null_count:
        return False
    if pc.count_distinct(table["key"]).as_py() != n_rows:
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
