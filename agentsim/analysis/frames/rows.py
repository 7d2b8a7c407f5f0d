"""From records to rows: the value of each column that has a path, or that follows from one record."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, Final

from pydantic import BaseModel

from agentsim.analysis.frames.declared import Table
from agentsim.log.records import RunStarted

__all__ = ["Row", "columns_of", "given", "row_of", "value_at"]

Row = dict[str, Any]
Taker = tuple[str, Callable[..., Any]]
ENTRY: Final = ".*"
ENTRY_NAME: Final = ".*~"


def given(table: Table) -> list[str]:
    """Return the columns that single records of the table give."""
    return [name for name, column in table.of_records.items() if column.path or column.of]


def row_of(table: Table, record: BaseModel, started: RunStarted) -> Row:
    """Return the columns that one record gives; those of each entry of a mapping are left out."""
    standing, derived = _takers(table, type(record))
    row = {name: take(record) for name, take in standing}
    for name, of in derived:
        row[name] = of(record, started)
    return row


def columns_of(table: Table, runs: Mapping[str, tuple[Iterable[BaseModel], RunStarted]]) -> dict[str, list[Any]]:
    """Return the columns that the records of runs give, in the logs' order: a row a record, or an entry of its mapping.

    Not rows: there is one for each agent and game, and mappings for them took most of the time.
    """
    mapping, entry_names, entry_values = _entries(table)
    columns: dict[str, list[Any]] = {name: [] for name in ("run", *given(table))}
    for run, (records, started) in runs.items():
        for record in records:
            if not isinstance(record, table.records):
                continue
            row = row_of(table, record, started)
            entries: Mapping[str, Any] = {} if mapping is None else value_at(type(record), mapping)(record)
            n = 1 if mapping is None else len(entries)
            columns["run"] += [run] * n
            for name, value in row.items():
                columns[name] += [value] * n
            for name in entry_names:
                columns[name] += entries
            for name in entry_values:
                columns[name] += entries.values()
    return columns


@functools.cache
def _takers(table: Table, kind: type[BaseModel]) -> tuple[list[Taker], list[Taker]]:
    """Return what takes each column from a record: by its path, and by its `of`."""
    columns = table.of_records.items()
    return (
        [
            (name, value_at(kind, column.path))
            for name, column in columns
            if column.path and not column.path.endswith((ENTRY, ENTRY_NAME))
        ],
        [(name, column.of) for name, column in columns if column.of is not None],
    )


def _entries(table: Table) -> tuple[str | None, list[str], list[str]]:
    """Return the path of the mapping that gives a row for each entry, and the columns of its names and values."""
    paths = {name: column.path for name, column in table.of_records.items()}
    names = [name for name, path in paths.items() if path.endswith(ENTRY_NAME)]
    values = [name for name, path in paths.items() if path.endswith(ENTRY)]
    mappings = {paths[name].removesuffix("~").removesuffix(ENTRY) for name in (*names, *values)}
    if len(mappings) > 1:
        raise TypeError(f"a row can be an entry of one mapping, not of {' and '.join(sorted(mappings))}")
    return next(iter(mappings), None), names, values


@functools.cache
def value_at(kind: type[BaseModel], path: str) -> Callable[[Any], Any]:
    """Return what takes the value at a path of the log from records of this kind.

    Raises:
        TypeError: such records have no such field.
    """
    names, keys = [], path.split(".")
    within: Any = kind
    while keys and isinstance(within, type) and issubclass(within, BaseModel):
        part = keys.pop(0)
        matching = [name for name, field in within.model_fields.items() if part in (field.alias, name)]
        if not matching:
            raise TypeError(f"{kind.__name__} has nothing at {path!r}: {within.__name__} has no field {part!r}")
        names.append(matching[0])
        within = within.model_fields[matching[0]].annotation
    attribute = attrgetter(".".join(names))
    return functools.partial(_inside, attribute, keys) if keys else attribute


def _inside(attribute: Callable[[Any], Any], keys: list[str], record: Any) -> Any:
    value: Mapping[str, Any] = attribute(record)
    for key in keys:
        value = value[key]
    return value
