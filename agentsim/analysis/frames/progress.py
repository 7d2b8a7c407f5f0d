"""How far the runs of studies are, without their encounters: what `agentsim status` prints, in a second or two.

The log of a finished run is not read line by line: its digest shows that it is what its run wrote, and its lines are
counted. Whatever is unusual is read as `study.load` reads it, and the numbers are the same. What is known of logs that
nobody is writing is kept in `.cache`, under the same conditions as frames are (see `cache`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pandas as pd
from pydantic import BaseModel, ValidationError

from agentsim.analysis.frames.cache import FOLDER, fingerprints, made_by, make_place
from agentsim.analysis.frames.columns import TABLES
from agentsim.analysis.frames.logs import RunColumns, read_runs
from agentsim.analysis.frames.studies import StudyFolder, find_studies
from agentsim.analysis.frames.study import (
    logged_costs,
    not_begun,
    refuse_missing_plugins,
    tabulated,
    unreadable,
    unstored,
)
from agentsim.disk.whole_files import replace_whole
from agentsim.errors import AgentsimError
from agentsim.log.experiment import mixed
from agentsim.log.files import LOG_NAME
from agentsim.log.reading import bytes_of, closed_in
from agentsim.log.records import RunStarted
from agentsim.scenario.digests import content_digest
from agentsim.scenario.names import condition_of
from agentsim.scenario.plugins import load_installed

__all__ = ["Progress", "progress"]

KEPT: Final = "progress.json"
ROW: Final = (
    "condition", "status", "problem", "generations", "n_generations", "n_replies", "n_asked_again", "n_missed",
    "n_replaced", "cost_usd",
)  # fmt: skip
"""The columns of `runs` that are known, beside `study` and `run`."""
UNREAD: Final = (b'"type":"missed"', b'"option":null', b'"replaced_by":"', b'"message":null')
"""What the lines of a run hold only if some of its decisions could not be read, outside of texts."""
ATTEMPT: Final = re.compile(rb'\n\{"type":"reply","key":"[^"\\]*","attempt":([0-9]+),')

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Progress:
    """How far the runs of one study or several are."""

    folders: Mapping[str, Path]
    """The folder of each study, by the study's name."""
    runs: pd.DataFrame
    """One row a run: the columns of `Study.runs` that `ROW` names."""
    notes: tuple[str, ...]
    """What is amiss with the folders, in sentences for a person."""

    @property
    def name(self) -> str:
        """The names of the studies, comma-separated."""
        return ", ".join(self.folders)


class _Known(BaseModel):
    """What is known of one run."""

    log: str
    """The fingerprint of its log."""
    started: RunStarted
    row: dict[str, str | int | float | None]


class _Kept(BaseModel):
    made_by: str
    runs: dict[str, _Known]


def progress(*paths: str | Path) -> Progress:
    """Return how far the runs of one study or several are; `paths` and what is refused are as for `load`.

    A study that holds runs of two experiments is not refused; a note says so.
    """
    load_installed()
    studies = find_studies(paths)
    notes: list[str] = []
    rows: list[Row] = []
    for study in studies:
        known = _known(study)
        started = {run: first for run, (first, _) in known.items() if first is not None}
        refuse_missing_plugins({(study.name, run): first for run, first in started.items()})
        of_study = {run: row for run, (_, row) in known.items()}
        table = _frame([{"run": run, **row} for run, row in of_study.items()])
        notes += [*study.notes, *unstored(study, table, started, partial(logged_costs, study))]
        notes += filter(None, [mixed(study.folder, started)])
        rows += ({"study": study.name, "run": run, **of_study[run]} for run in study.runs)
    return Progress({study.name: study.folder for study in studies}, _frame(rows), tuple(notes))


def _frame(rows: Sequence[Row]) -> pd.DataFrame:
    columns = {name: column.dtype for name, column in TABLES["runs"].columns.items() if name in ("study", "run", *ROW)}
    return pd.DataFrame(rows).reindex(columns=list(columns)).astype(columns)


def _known(study: StudyFolder) -> dict[str, tuple[RunStarted | None, Row]]:
    """Return the first record, if it could be read, and the row of each run."""
    prints = fingerprints(study.folder, study.runs)
    kept = _read(study.folder) if prints else {}
    fresh = {run: kept[run] for run in prints if run in kept and kept[run].log == prints[run]}
    known: dict[str, tuple[RunStarted | None, Row]] = {run: (one.started, dict(one.row)) for run, one in fresh.items()}
    others = []
    for run in study.runs:
        if run in known:
            continue
        if run not in prints and not (study.folder / run).exists():
            known[run] = (None, not_begun(run))
        elif (counted := _counted(study.folder, run)) is not None:
            known[run] = counted
        else:
            others.append(run)
    known |= _read_whole(study.folder, others)
    new = {
        run: _Known(log=prints[run], started=first, row={name: row[name] for name in ROW})
        for run, (first, row) in known.items()
        if run in prints and run not in fresh and first is not None
    }
    if new:
        _write(study.folder, {**fresh, **new})
    return known


def _counted(folder: Path, run: str) -> tuple[RunStarted, Row] | None:
    """Return a finished run's first record and row, from its ends and from what its lines begin with.

    `None` if it must be read line by line.
    """
    place = folder / run
    try:
        data = bytes_of(place / LOG_NAME)
    except AgentsimError:
        return None
    closed = closed_in(data, where=str(place))
    if closed is None or closed.finished.own_digest is None or closed.finished.unread:
        return None
    first = closed.started
    if first.digest != content_digest(first.condition, seed=first.seed, probe=first.probe):
        return None
    attempts: list[int] = []
    if closed.finished.n_replies:  # without replies nothing was left unread
        if any(mark in data for mark in UNREAD):
            return None
        attempts = [int(attempt) for attempt in ATTEMPT.findall(data)]
        if len(attempts) != closed.finished.n_replies:
            return None
    n_generations = first.condition["generations"]
    n_ended = n_generations if first.probe is None else data.count(b'\n{"type":"generation_ended",')
    return first, {
        "condition": condition_of(run),
        "status": "complete",
        "problem": None,
        "generations": n_ended,
        "n_generations": n_generations,
        "n_replies": len(attempts),
        "n_asked_again": sum(attempt > 1 for attempt in attempts),
        "n_missed": 0,
        "n_replaced": 0,
        "cost_usd": closed.finished.cost_usd if attempts else 0.0,
    }


def _read_whole(folder: Path, runs: Sequence[str]) -> Iterator[tuple[str, tuple[RunStarted | None, Row]]]:
    """Yield the same of runs whose logs are read line by line."""
    read: dict[str, RunColumns] = {}
    for run, columns in zip(runs, read_runs(folder / run for run in runs), strict=True):
        if isinstance(columns, RunColumns):
            read[run] = columns
        else:
            yield run, (None, unreadable(run, str(columns)))
    if not read:
        return
    frames, failed = tabulated(folder, read)
    yield from ((str(row["run"]), (None, row)) for row in failed)
    table = frames["runs"][["run", *ROW]].astype(object)
    for row in table.where(table.notna(), None).to_dict("records"):
        run = str(row.pop("run"))
        yield run, (read[run].started, {str(name): value for name, value in row.items()})


def _read(folder: Path) -> dict[str, _Known]:
    try:
        digest, _, text = (folder / FOLDER / KEPT).read_bytes().partition(b"\n")
        if hashlib.sha256(text).hexdigest().encode() != digest:
            return {}
        kept = _Kept.model_validate_json(text)
    except (OSError, ValueError, ValidationError):
        return {}
    return kept.runs if kept.made_by == _made_by() else {}


def _write(folder: Path, runs: dict[str, _Known]) -> None:
    with contextlib.suppress(OSError):
        if (place := make_place(folder)) is None:
            return
        text = _Kept(made_by=_made_by(), runs=runs).model_dump_json().encode()
        data = hashlib.sha256(text).hexdigest().encode() + b"\n" + text
        replace_whole(place / KEPT, lambda path: path.write_bytes(data))


def _made_by() -> str:
    return json.dumps([made_by(), ROW])
