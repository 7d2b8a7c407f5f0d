"""Exporting a study for other programs: its frames as Parquet with dtypes, or as CSV that is safe in spreadsheets; its
replies as logs of Inspect; or all of it as a deposit."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, get_args

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from agentsim.analysis.deposit import DESCRIPTIONS, Deposit, copy, files_of, write_descriptions
from agentsim.analysis.foreign import cell_text
from agentsim.analysis.frames.columns import TABLES
from agentsim.analysis.frames.declared import Column, Table
from agentsim.analysis.frames.study import Study
from agentsim.analysis.inspect_logs import file_of, runs_with_replies, write_run
from agentsim.disk.whole_files import replace_whole
from agentsim.errors import AgentsimError
from agentsim.log.version import VERSION

__all__ = ["Format", "export", "write_csv"]

Format = Literal["parquet", "csv", "inspect", "deposit"]
DESCRIPTION: Final = "columns.json"
LISTED: Final = "exported.json"
"""What lists the files of an export that `columns.json` does not describe."""

CSV_NOTE: Final = (
    "UTF-8, comma, RFC 4180 quotes. A missing value is an empty cell without quotes, an empty text one with quotes."
    " Text cells that begin with = + - @ (also full-width), a tab, a line break or ' have a ' put before them, so that"
    " no spreadsheet runs a model's words as a formula: remove one leading ' to get the text."
    " Control and direction characters other than tab and line breaks are written as U+FFFD. Times are UTC."
)
PARQUET_NOTE: Final = "pandas.read_parquet gives the same dtypes; texts are as they were logged, nothing is escaped."


def export(
    study: Study, folder: str | Path, *, format: Format, licence: str = "", creators: Sequence[str] = ()
) -> list[Path]:
    """Write a study for other programs. Files of an earlier export in the folder are replaced; others are left alone.

    Args:
        study: what `load` returned.
        folder: where to write.
        format: `parquet` or `csv`: a file for each frame and `columns.json`, which describes each column. `inspect`: a
            log for each run that `inspect view` opens (needs inspect-ai). `deposit`: the logs and the frames with a
            `datapackage.json` and Croissant metadata.
        licence: of a deposit, the SPDX identifier of its licence, such as CC-BY-4.0.
        creators: of a deposit, the names of its authors.

    Returns:
        The files written.

    Raises:
        AgentsimError: the format is unknown, the folder cannot be written, a file that is no export is in the way, a
            deposit has no licence, or no run of the study asked a model anything that `inspect` could show.
    """
    if format not in get_args(Format):
        raise AgentsimError(f"--format {format}: unknown format; use {' or '.join(get_args(Format))}")
    if format != "deposit" and (licence or creators):
        raise AgentsimError("a licence and creators belong to a deposit; add --format deposit, or leave them out")
    folder = Path(folder)
    try:
        if format == "inspect":
            return _inspect(study, folder)
        if format == "deposit":
            return _deposit(study, folder, Deposit(licence, tuple(creators)))
    except OSError as error:
        raise _unwritable(folder, error) from error
    frames: dict[str, pd.DataFrame] = {name: study.frame(name) for name in TABLES}
    files = {name: f"{name}.{format}" for name in frames}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        exported = _own_files(folder, DESCRIPTION)
        _check_free(folder, (*files.values(), DESCRIPTION), exported)
        description = _description(study, frames, files=files, format=format, exported=exported)
        # Written before the frames, so that after a crash their files are known to be an export.
        replace_whole(folder / DESCRIPTION, lambda path: path.write_text(description, encoding="utf-8"))
        write = write_csv if format == "csv" else _write_parquet
        for name, frame in frames.items():
            replace_whole(folder / files[name], lambda path, frame=frame: write(frame, path))  # type: ignore[misc]
    except OSError as error:
        raise _unwritable(folder, error) from error
    return [folder / file for file in (*files.values(), DESCRIPTION)]


def _inspect(study: Study, folder: Path) -> list[Path]:
    rows = runs_with_replies(study)
    if not rows:
        raise AgentsimError(
            f"{study.name}: no model was asked anything, so there is no log for Inspect; use --format csv or parquet"
        )
    files = {file_of(row["study"], row["run"]): row for row in rows}
    _claim(folder, files)
    for file, row in files.items():
        write_run(study, row, folder / file)
    return [folder / file for file in files]


def _deposit(study: Study, folder: Path, of: Deposit) -> list[Path]:
    of.check()
    tables = {name: f"tables/{name}.csv" for name in TABLES if len(study.frame(name))}
    sources = files_of(study)
    files = (*tables.values(), *sources, *DESCRIPTIONS)
    _claim(folder, files)
    (folder / "tables").mkdir(exist_ok=True)
    for name, file in tables.items():
        replace_whole(folder / file, lambda path, name=name: _write_plain_csv(study.frame(name), path))  # type: ignore[misc]
    for file, source in sources.items():
        copy(source, folder / file)
    write_descriptions(study, folder, tables=tables, logs=tuple(sources), of=of)
    return [folder / file for file in files]


def _claim(folder: Path, files: Iterable[str]) -> None:
    """List the files before they are written, so that after a crash they are known to be an export."""
    folder.mkdir(parents=True, exist_ok=True)
    exported = _own_files(folder, LISTED)
    _check_free(folder, (*files, LISTED), exported)
    listed = {"written_by": f"agentsim {VERSION}", "files": sorted({*files, *(exported - {LISTED})})}
    text = json.dumps(listed, indent=2, ensure_ascii=False) + "\n"
    replace_whole(folder / LISTED, lambda path: path.write_text(text, encoding="utf-8"))


def _check_free(folder: Path, files: Iterable[str], exported: set[str]) -> None:
    for file in files:
        if os.path.lexists(folder / file) and file not in exported:
            raise AgentsimError(
                f"{folder / file}: exists and was not exported by agentsim; move it, or name another folder with -o"
            )


def _unwritable(folder: Path, error: OSError) -> AgentsimError:
    return AgentsimError(f"{folder}: cannot be written ({error.strerror or error}); name another folder with -o")


def _cells(texts: pd.Series[str]) -> pa.Array:
    """Apply `cell_text` once to each different text."""
    coded = pc.dictionary_encode(pa.array(texts, from_pandas=True))
    array = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    words = pa.array([cell_text(text) for text in array.dictionary.to_pylist()], type=pa.large_string())
    return pc.take(words, array.indices)


def _write_parquet(frame: pd.DataFrame, path: Path) -> None:
    frame.to_parquet(path, engine="pyarrow", index=False)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame as CSV that a spreadsheet opens safely; missing values are empty cells without quotes."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    for index, column in enumerate(frame.columns):
        if str(frame[column].dtype) == "string":
            table = table.set_column(index, str(column), _cells(frame[column]))
    # Not pandas, whose CSV does not distinguish a missing value from an empty text.
    csv.write_csv(table.rename_columns([cell_text(name) for name in table.column_names]), path)


def _write_plain_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame as CSV with its texts as they were logged: for programs, which run no formulas."""
    csv.write_csv(pa.Table.from_pandas(frame, preserve_index=False), path)


def _own_files(folder: Path, name: str) -> set[str]:
    """Return the files of an earlier export in the folder, as its file `name` lists them."""
    try:
        description = json.loads((folder / name).read_text(encoding="utf-8"))
        if description["written_by"].startswith("agentsim "):
            return {name, *(str(file) for file in description["files"])}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return set()


def _description(
    study: Study, frames: Mapping[str, pd.DataFrame], *, files: Mapping[str, str], format: Format, exported: set[str]
) -> str:
    description = {
        "written_by": f"agentsim {VERSION}",
        "studies": list(study.folders),
        "notes": [PARQUET_NOTE if format == "parquet" else CSV_NOTE, *study.notes],
        "files": sorted({*files.values(), *(exported - {DESCRIPTION})}),
        "rows": {name: len(frame) for name, frame in frames.items()},
        "tables": {name: {"row": TABLES[name].row, "records": TABLES[name].record_types} for name in frames},
        "columns": {name: _columns(TABLES[name], frame) for name, frame in frames.items()},
    }
    return json.dumps(description, indent=2, ensure_ascii=False) + "\n"


def _columns(table: Table, frame: pd.DataFrame) -> dict[str, Any]:
    """Describe each column; one that is not declared is named after a setting."""
    described = {}
    for name in map(str, frame.columns):
        column = table.column(name)
        said = {"meaning": table.others} if column is None else _said(column)
        described[name] = {"dtype": str(frame[name].dtype), **said}
    return described


def _said(column: Column) -> dict[str, str]:
    """Return a column's declaration without its dtype; what does not apply is left out."""
    said = {"unit": column.unit, "meaning": column.meaning, "path": column.path, "derived": column.derived}
    return {key: text for key, text in said.items() if text}
