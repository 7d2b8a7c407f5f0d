"""Finds the folders of studies, and the runs they hold or should hold."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from agentsim.errors import LogError
from agentsim.log.files import LOG_NAME, PROBE_NAME, STUDY_NAME
from agentsim.log.study_file import read_study_file

__all__ = ["StudyFolder", "find_studies"]


class StudyFolder(NamedTuple):
    """One study on the disk."""

    name: str
    folder: Path
    runs: tuple[str, ...]
    """Every run that has a log, or that study.json lists; sorted."""
    notes: tuple[str, ...]
    """What is amiss, in sentences."""


def find_studies(paths: Sequence[str | Path]) -> list[StudyFolder]:
    """Return the studies that the paths and patterns name, each once, in their order.

    Raises:
        LogError: a path is no study, a pattern finds none, or two different folders have the same name.
    """
    if not paths:
        raise LogError("no study is named; name the folder of one, such as results/quickstart")
    by_name: dict[str, StudyFolder] = {}
    for folder in (folder for path in paths for folder in _folders(path)):
        name = folder.resolve().name
        if name not in by_name:
            by_name[name] = _study(name, folder)
        elif by_name[name].folder.resolve() != folder.resolve():
            raise LogError(
                f"{by_name[name].folder} and {folder}: two studies of the same name cannot be told apart;"
                " rename one of the folders"
            )
    return list(by_name.values())


def _folders(path: str | Path) -> Iterator[Path]:
    """Yield the folders of studies that a path or a pattern names."""
    text = str(path)
    if not text:
        raise LogError("a study's folder is named by an empty text; name one such as results/quickstart")
    folder = Path(text)
    if not glob.has_magic(text) or folder.is_dir():
        if not _is_study(folder):
            raise LogError(_complaint(folder))
        yield folder
        return
    matches = [Path(match) for match in sorted(glob.glob(text))]
    studies = [match for match in matches if _is_study(match)]
    if not studies:
        what = "none of what it matches is a study" if matches else "it matches nothing"
        raise LogError(f"{text}: holds no runs, {what}; name folders of studies, such as 'results/*'")
    yield from studies


def _is_study(folder: Path) -> bool:
    if (folder / PROBE_NAME).is_file():
        return False
    return folder.is_dir() and ((folder / STUDY_NAME).is_file() or any(folder.glob(f"*/{LOG_NAME}")))


def _complaint(folder: Path) -> str:
    if not folder.exists():
        return f"{folder}: holds no runs, it does not exist; name the folder of a study, such as results/quickstart"
    if (folder / PROBE_NAME).is_file():
        return f"{folder}: holds no runs, it is a probe; read it with agentsim.load_probe"
    if folder.name == LOG_NAME or (folder / LOG_NAME).exists():
        study = (folder if folder.is_dir() else folder.parent).absolute().parent
        return f"{folder}: holds no runs, it is one; name the folder of its study, {study}"
    if not folder.is_dir():
        return f"{folder}: holds no runs, it is a file; name the folder of a study, such as results/quickstart"
    try:
        inner = sorted(child for child in folder.iterdir() if _is_study(child))
    except OSError as error:
        return f"{folder}: holds no runs that can be seen ({error.strerror})"
    if inner:
        return f"{folder}: holds no runs but studies; name one, such as {inner[0]}, or all of them, as '{folder}/*'"
    return f"{folder}: holds no runs; name the folder of a study, such as results/quickstart"


def _study(name: str, folder: Path) -> StudyFolder:
    runs = {log.parent.name for log in folder.glob(f"*/{LOG_NAME}")}
    notes: list[str] = []
    try:
        file = read_study_file(folder)
    except LogError as error:
        notes.append(f"{error}; runs that never began are not known")
    else:
        if file is None:
            notes.append(f"{folder / STUDY_NAME}: is missing; runs that never began are not known")
        else:
            runs |= {run for run in file.runs if _is_name(run)}
    if not runs:
        raise LogError(f"{folder}: holds no runs yet; play its scenario with agentsim run")
    return StudyFolder(name, folder, tuple(sorted(runs)), tuple(notes))


def _is_name(run: str) -> bool:
    return Path(run).name == run and run != ".."
