"""`study.json`: a study's scenario and the runs that it shall have. Only this module reads and writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentsim.disk.durable import replace
from agentsim.errors import LogError
from agentsim.log.files import STUDY_NAME

__all__ = ["StudyFile", "read_study_file", "write_study_file"]


@dataclass(frozen=True)
class StudyFile:
    """What a `study.json` says."""

    runs: Mapping[str, Mapping[str, Any]]
    """Each run by its name, with its `seed`, `settings` and `digest`."""
    scenario: Mapping[str, Any]
    """The resolved scenario; empty if the file does not hold it."""

    @property
    def digests(self) -> frozenset[str]:
        """The digests of the runs."""
        return frozenset(str(run["digest"]) for run in self.runs.values() if "digest" in run)


def read_study_file(folder: Path) -> StudyFile | None:
    """Return the content of a folder's `study.json`; `None` if there is none.

    Raises:
        LogError: the file cannot be read, or has another shape.
    """
    path = folder / STUDY_NAME
    try:
        content = json.loads(path.read_bytes())
        runs, scenario = content["runs"], content.get("scenario", {})
        if not all(isinstance(part, dict) for part in (runs, scenario, *runs.values())):
            raise TypeError("its runs or its scenario are not mappings")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise LogError(
            f"{path}: cannot be read as a study ({error!r}); restore the file, or delete it and run the scenario"
            " again, which writes a new one"
        ) from error
    return StudyFile(runs, scenario)


def write_study_file(folder: Path, study: StudyFile, *, versions: Mapping[str, str]) -> None:
    """Write a study's `study.json`; `versions` are those of the packages that play it now.

    Raises:
        LogError: the file cannot be written.
    """
    path = folder / STUDY_NAME
    content = {"study": folder.name, "scenario": study.scenario, "runs": study.runs, "versions": dict(versions)}
    try:
        replace(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise LogError(f"{path}: cannot be written ({error.strerror})") from error
