"""The studies of a folder, and in which state each is, from the ends of its logs alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from agentsim.analysis.foreign import one_line
from agentsim.errors import LogError
from agentsim.log.files import LOCK_NAME, LOG_NAME, PROBE_NAME, STUDY_NAME
from agentsim.log.reading import seems_closed
from agentsim.log.study_file import StudyFile, read_study_file
from agentsim.scenario.names import natural

__all__ = ["Listing", "held_files", "is_held", "studies_in", "study_file"]

RECENT_S: Final = 60.0
"""A log that changed within so many seconds, on whatever machine, is being written."""
LOCKS: Final = Path("/proc/locks")


def studies_in(place: Path) -> dict[str, Path]:
    """Return the folders of studies and probes in a folder, or the folder itself if it is one, by name."""
    if _is_study(place):
        return {place.resolve().name: place}
    try:
        return {path.name: path for path in sorted(place.iterdir()) if _is_study(path)}
    except OSError:
        return {}


def _is_study(folder: Path) -> bool:
    try:
        return folder.is_dir() and (
            (folder / STUDY_NAME).is_file() or (folder / PROBE_NAME).is_file() or any(folder.glob(f"*/{LOG_NAME}"))
        )
    except OSError:
        return False


def study_file(folder: Path) -> StudyFile:
    """Return what a folder's `study.json` says; nothing if there is none, or it cannot be read."""
    try:
        return read_study_file(folder) or StudyFile({}, {})
    except LogError:
        return StudyFile({}, {})


def held_files() -> frozenset[int]:
    """Return the numbers of the files on which processes of this machine hold locks; no lock is taken to know it."""
    try:
        lines = LOCKS.read_text(encoding="ascii").splitlines()
        return frozenset(int(line.split()[5].rpartition(":")[2]) for line in lines if " FLOCK " in line)
    except (OSError, ValueError, IndexError):
        return frozenset()


def is_held(run: Path, held: frozenset[int]) -> bool:
    """Return whether a process of this machine is writing a run."""
    try:
        return bool(held) and (run / LOCK_NAME).stat().st_ino in held
    except OSError:
        return False


class Listing:
    """All studies of a folder."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._closed: dict[Path, tuple[int, int]] = {}
        """Size and time of change of logs that are known to have ended."""

    def folder(self, name: str) -> Path | None:
        """Return the folder of a study."""
        return studies_in(self.place).get(name)

    def rows(self, now: float) -> list[dict[str, Any]]:
        """Return what the page shows of each study; the one that changed last comes first."""
        held = held_files()
        rows = [self._row(name, folder, held, now) for name, folder in studies_in(self.place).items()]
        return sorted(rows, key=lambda row: (not row["playing"], -row["changed"], natural(row["id"])))

    def _row(self, name: str, folder: Path, held: frozenset[int], now: float) -> dict[str, Any]:
        logs: dict[str, os.stat_result] = {}
        try:
            for path in folder.glob(f"*/{LOG_NAME}"):
                logs[path.parent.name] = path.stat()
        except OSError:
            pass
        n_done = sum(self._has_ended(folder / run, state) for run, state in logs.items())
        changed = max((state.st_mtime for state in logs.values()), default=0.0)
        is_playing = n_done < len(logs) and (
            now - changed < RECENT_S or any(is_held(folder / run, held) for run in logs)
        )
        file = study_file(folder)
        return {
            "id": name,
            "title": one_line(name),
            "about": one_line(file.scenario.get("description") or "", max_chars=160),
            "kind": "probe" if (folder / PROBE_NAME).is_file() else "study",
            "done": n_done,
            "begun": len(logs),
            "all": len(logs.keys() | file.runs.keys()),
            "playing": is_playing,
            "changed": changed,
            "mb": round(sum(state.st_size for state in logs.values()) / 1e6, 1),
        }

    def _has_ended(self, run: Path, state: os.stat_result) -> bool:
        mark = state.st_size, state.st_mtime_ns
        if self._closed.get(run) == mark:
            return True
        if not seems_closed(run):
            return False
        self._closed[run] = mark
        return True
