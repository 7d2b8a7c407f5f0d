"""How a table of a study is declared: what a row is, and each column's place in the log, dtype, unit and meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from pydantic import BaseModel

__all__ = ["OF_FOLDERS", "Column", "Dtype", "Table", "Unit"]

Dtype = Literal["string", "Int64", "Float64", "boolean", "datetime64[us, UTC]"]
"""pandas dtypes; capital letters, `boolean` and `string` are dtypes that know missing values."""
Unit = Literal["", "units", "fraction", "tokens", "US dollars", "seconds", "bytes"]
"""`units` of resources; a `fraction` is a share in [0, 1]; empty for names, texts, flags, and numbers of things."""


class Column(NamedTuple):
    """One column of a dataframe. It stands in a record, at `path`, or is `derived`."""

    dtype: Dtype
    meaning: str
    """What it holds."""
    unit: Unit = ""
    path: str = ""
    """Where its value stands in a record of the table, as `completion.usage.input_tokens`.

    A path that ends in `.*` is each entry of a mapping, with a row for each, and one in `.*~` that entry's name."""
    derived: str = ""
    """What it follows from, where it does not stand in a record."""
    of: Callable[[Any, Any], Any] | None = None
    """What derives it from a record and the run's first record; `None` where it follows from more than these."""


OF_FOLDERS: Final[Mapping[str, Column]] = {
    "study": Column("string", "name of the study, and of its folder", derived="the folder"),
    "run": Column(
        "string",
        "name of the run, and of its folder in the study's; with study the key of a run",
        derived="the folder",
    ),
}
"""The columns that name a run. Every table begins with them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """One dataframe of a study.

    Where each column has a path or an `of`, nothing else needs to be written to have the table loaded, kept, exported
    and documented. What follows from several records is computed in `summaries`.
    """

    row: str
    """What a row is."""
    records: tuple[type[BaseModel], ...]
    """The records that its rows are read from."""
    of_records: Mapping[str, Column]
    """Its columns but those of `OF_FOLDERS`, in their order."""
    sometimes: Mapping[str, Column] = field(default_factory=dict)
    """Columns that it has only where the rules of a run need them; the last ones."""
    others: str = ""
    """What further columns hold that are named after settings; empty if there are none."""

    @property
    def columns(self) -> dict[str, Column]:
        """The columns that it always has."""
        return {**OF_FOLDERS, **self.of_records}

    @property
    def dtypes(self) -> dict[str, str]:
        """The dtype of each column that one study's frame has before it is put under its study's name."""
        return {name: column.dtype for name, column in self.columns.items() if name != "study"}

    @property
    def record_types(self) -> tuple[str, ...]:
        """What `type` says in the records that its rows are read from."""
        return tuple(str(record.model_fields["type"].default) for record in self.records)

    def column(self, name: str) -> Column | None:
        """Return the declaration of a column that the frame has; `None` where it is one of the others."""
        return self.columns.get(name) or self.sometimes.get(name)
