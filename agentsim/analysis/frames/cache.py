"""Frames of large studies, kept beside their logs so that loading them again is quick.

A study's folder gets `.cache/` with one Parquet file a frame and a manifest. An entry counts only for a log of the same
size and time of change, under the same version of agentsim and of the columns; each file only with the digest the
manifest states. Anything else is as if there were no cache: it can be deleted at any time, and a folder that cannot be
written has none.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Collection, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd
from pydantic import BaseModel, ValidationError

from agentsim.analysis.frames.columns import TABLES
from agentsim.disk.whole_files import replace_whole
from agentsim.log.files import LOG_NAME
from agentsim.log.records import SCHEMA, RunStarted
from agentsim.log.version import VERSION as AGENTSIM

__all__ = ["FOLDER", "Cached", "fingerprints", "made_by", "make_place", "read", "write"]

VERSION: Final = 7
"""To be raised with every change of what the frames hold."""
FOLDER: Final = ".cache"
MANIFEST: Final = "frames.json"
MIN_BYTES: Final = 4_000_000
"""Studies with smaller logs are read faster than it matters."""
SETTLED_NS: Final = 2_000_000_000
"""A log changed within the last two seconds is not kept: it may change again without its time of change showing it."""


class Cached(NamedTuple):
    """What is known of some of a study's runs."""

    started: dict[str, RunStarted]
    """By run; these are the runs the frames hold."""
    frames: dict[str, pd.DataFrame]
    """By name; as declared in `TABLES`, without `study`."""


class _File(BaseModel):
    name: str
    digest: str


class _Manifest(BaseModel):
    made_by: str
    runs: dict[str, str]
    """The fingerprint of each run's log."""
    started: dict[str, RunStarted]
    files: dict[str, _File]


def fingerprints(folder: Path, runs: Collection[str]) -> dict[str, str]:
    """Return size and time of change of each run's log, for those that nobody is likely to be writing just now.

    Empty for studies so small that a cache would not pay.
    """
    prints: dict[str, str] = {}
    n_bytes, now = 0, time.time_ns()
    for run in runs:
        try:
            state = (folder / run / LOG_NAME).stat()
        except (OSError, ValueError):
            continue
        n_bytes += state.st_size
        if now - state.st_mtime_ns > SETTLED_NS:
            prints[run] = f"{state.st_size} bytes, {state.st_mtime_ns} ns"
    return prints if n_bytes >= MIN_BYTES else {}


def read(folder: Path, wanted: Mapping[str, str]) -> Cached | None:
    """Return what the study's cache holds of the runs with these fingerprints; `None` where that is nothing."""
    if not wanted:
        return None
    place = folder / FOLDER
    try:
        manifest = _Manifest.model_validate_json((place / MANIFEST).read_bytes())
        fresh = {run for run, fingerprint in wanted.items() if manifest.runs.get(run) == fingerprint}
        if manifest.made_by != made_by() or not fresh <= manifest.started.keys() or not fresh:
            return None
        frames = {name: _read_frame(place, name, manifest.files[name]) for name in TABLES}
    except (OSError, ValueError, KeyError, ValidationError):
        return None
    if fresh != manifest.runs.keys():
        frames = {name: frame[frame["run"].isin(fresh)].reset_index(drop=True) for name, frame in frames.items()}
    return Cached({run: manifest.started[run] for run in sorted(fresh)}, frames)


def write(folder: Path, held: Cached, known: Mapping[str, str]) -> None:
    """Keep the frames of a study; `known` holds the fingerprints taken before its logs were read."""
    kept = {run: known[run] for run in held.started if run in known}
    if not kept:
        return
    with contextlib.suppress(OSError):
        if (place := make_place(folder)) is None:
            return
        earlier = set(place.glob("*.parquet"))
        files = {}
        for name, frame in held.frames.items():
            of_kept = frame if len(kept) == len(held.started) else frame[frame["run"].isin(kept.keys())]
            files[name] = _write_frame(place, name, of_kept)
        started = {run: held.started[run] for run in kept}
        manifest = _Manifest(made_by=made_by(), runs=kept, started=started, files=files)
        text = manifest.model_dump_json()
        replace_whole(place / MANIFEST, lambda path: path.write_text(text, encoding="utf-8"))
        for path in earlier - {place / file.name for file in files.values()}:
            path.unlink(missing_ok=True)


def make_place(folder: Path) -> Path | None:
    """Make the folder of a study's cache, and return it; `None` if a link stands there.

    Raises:
        OSError: it cannot be made.
    """
    place = folder / FOLDER
    if place.is_symlink():  # a study may come from somebody else: nothing is written through its links
        return None
    place.mkdir(exist_ok=True)
    replace_whole(place / ".gitignore", lambda path: path.write_text("*\n", encoding="utf-8"))
    return place


def made_by() -> str:
    """Return the digest of all that decides what frames hold beside the logs: the versions and the columns."""
    columns = {
        name: {key: (column.dtype, column.path) for key, column in table.columns.items()}
        for name, table in TABLES.items()
    }
    parts: list[Any] = [VERSION, SCHEMA, AGENTSIM, columns]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _write_frame(place: Path, name: str, frame: pd.DataFrame) -> _File:
    buffer = BytesIO()
    frame.to_parquet(buffer, engine="pyarrow", index=False)
    data = buffer.getbuffer()
    digest = hashlib.sha256(data).hexdigest()
    path = place / f"{name}-{digest[:16]}.parquet"
    replace_whole(path, lambda temporary: temporary.write_bytes(data))
    return _File(name=path.name, digest=digest)


def _read_frame(place: Path, name: str, file: _File) -> pd.DataFrame:
    if Path(file.name).name != file.name:
        raise ValueError("a cache names files of its own folder only")
    data = (place / file.name).read_bytes()
    if hashlib.sha256(data).hexdigest() != file.digest:
        raise ValueError("not the file that was written")
    frame = pd.read_parquet(BytesIO(data), engine="pyarrow")
    if {key: str(dtype) for key, dtype in frame.dtypes.items()} != TABLES[name].dtypes:
        raise ValueError("not the columns of this agentsim")
    return frame
