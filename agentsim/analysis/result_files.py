"""Writing the results of a comparison, an invasion study or a probe as CSV, notes and figures."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from agentsim.analysis.compare import Comparison
from agentsim.analysis.export import write_csv
from agentsim.analysis.figures import forest, invasion_matrix, prediction, save
from agentsim.analysis.forecast import Threshold
from agentsim.analysis.invasions import Courses, Invasions, matrix_rows
from agentsim.analysis.methods import Methods
from agentsim.analysis.probes import Probe
from agentsim.disk.whole_files import make_folder, replace_whole
from agentsim.errors import AgentsimError

__all__ = ["write_comparison", "write_invasions", "write_methods", "write_prediction", "write_probe"]


def write_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Write groups.csv, pairs.csv, take-off.csv, notes.txt and, if a pair has a ratio, forest.svg and .png.

    Also variance.csv, if the comparison splits the variance, lines.csv, if it has lines, and bayes.csv, if it has
    Bayesian estimates. Returns the paths.

    Raises:
        AgentsimError: the folder cannot be written to.
    """
    frames = {"groups": comparison.groups, "pairs": comparison.table, "take-off": comparison.sensitivity}
    frames |= {} if comparison.variance.empty else {"variance": comparison.variance}
    frames |= {} if comparison.lines.empty else {"lines": comparison.lines}
    frames |= {} if comparison.bayes.empty else {"bayes": comparison.bayes}
    paths = [*(folder / f"{name}.csv" for name in frames), folder / "notes.txt"]
    make_folder(folder)
    try:
        for frame, path in zip(frames.values(), paths, strict=False):
            replace_whole(path, lambda temporary, frame=frame: write_csv(frame, temporary))  # type: ignore[misc]
        notes = "".join(f"{note}\n" for note in comparison.notes)
        replace_whole(paths[-1], lambda temporary: temporary.write_text(notes, encoding="utf-8"))
    except OSError as error:
        raise AgentsimError(f"{folder}: cannot be written to ({error.strerror}); name another with -o") from error
    if comparison.table["ratio"].notna().any():
        paths += save(forest(comparison), folder / "forest")
    return paths


def write_methods(told: Methods, folder: Path) -> list[Path]:
    """Write methods.txt, methods.csv, served.csv if models answered, and tests.csv if groups were compared.

    Returns the paths.

    Raises:
        AgentsimError: the folder cannot be written to.
    """
    frames = {"methods": told.table} | {
        name: frame for name, frame in (("served", told.served), ("tests", told.tests)) if not frame.empty
    }
    paths = [folder / "methods.txt", *(folder / f"{name}.csv" for name in frames)]
    make_folder(folder)
    try:
        text = "".join(f"{sentence}\n" for sentence in told.sentences)
        replace_whole(paths[0], lambda temporary: temporary.write_text(text, encoding="utf-8"))
        for frame, path in zip(frames.values(), paths[1:], strict=True):
            replace_whole(path, lambda temporary, frame=frame: write_csv(frame, temporary))  # type: ignore[misc]
    except OSError as error:
        raise AgentsimError(f"{folder}: cannot be written to ({error.strerror}); name another with -o") from error
    return paths


def write_invasions(results: Invasions, courses: Courses, folder: Path) -> list[Path]:
    """Write invasions.csv, pairs.csv, runs.csv, courses.csv, notes.txt and, with selection, the matrix as SVG and PNG.

    Returns:
        The files written.

    Raises:
        AgentsimError: the folder cannot be written to.
    """
    frames = {"invasions": results.conditions, "pairs": results.pairs, "runs": results.runs, "courses": courses.courses}
    make_folder(folder)
    notes = "".join(f"{note}\n" for note in results.notes)
    try:
        for name, frame in frames.items():
            replace_whole(folder / f"{name}.csv", lambda path, frame=frame: write_csv(frame, path))  # type: ignore[misc]
        replace_whole(folder / "notes.txt", lambda path: path.write_text(notes, encoding="utf-8"))
    except OSError as error:
        raise AgentsimError(f"{folder}: cannot be written to ({error.strerror}); name another place") from error
    paths = [*(folder / f"{name}.csv" for name in frames), folder / "notes.txt"]
    _, cells = matrix_rows(results)
    return [*paths, *(save(invasion_matrix(results), folder / "matrix") if cells else [])]


def write_prediction(
    families: pd.DataFrame,
    course: pd.DataFrame,
    *,
    crossing: Threshold | None,
    scores: pd.DataFrame,
    logged: pd.DataFrame,
    folder: Path,
) -> list[Path]:
    """Write families.csv, course.csv, threshold.csv, scores.csv and logged.csv, where there are any, and the figure.

    Returns:
        The files written.

    Raises:
        AgentsimError: the folder cannot be written to.
    """
    frames = {"families": families, "course": course, "scores": scores, "logged": logged}
    frames |= {} if crossing is None else {"threshold": crossing.values}
    make_folder(folder)
    paths = []
    try:
        for name, frame in frames.items():
            if not frame.empty:
                paths.append(folder / f"{name}.csv")
                replace_whole(paths[-1], lambda path, frame=frame: write_csv(frame, path))  # type: ignore[misc]
    except OSError as error:
        raise AgentsimError(f"{folder}: cannot be written to ({error.strerror}); name another with -o") from error
    return [*paths, *save(prediction(families, course, logged, crossing), folder / "prediction")]


def write_probe(probe: Probe, folder: Path) -> list[Path]:
    """Write `answers`, `surface`, `summary`, `norms`, `subjects`, `scores`, `shift` and `families` as CSV.

    Returns the paths.

    Raises:
        AgentsimError: the folder cannot be written.
    """
    paths = []
    try:
        for name in ("answers", "surface", "summary", "norms", "subjects", "scores", "shift", "families"):
            frame = getattr(probe, name)
            if not frame.empty:
                path = folder / f"{name}.csv"
                replace_whole(path, lambda temporary, frame=frame: write_csv(frame, temporary))  # type: ignore[misc]
                paths.append(path)
    except OSError as error:
        raise AgentsimError(
            f"{folder}: cannot be written ({error.strerror or error}); make room, or name another"
        ) from (error)
    return paths
