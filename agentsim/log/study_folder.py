"""A study's folder: in which folder a scenario is played, and from which studies it can be forked.

A study is one experiment: runs that cannot be part of it are refused here, before anything is asked or written. A
second study with the same name lies beside the first: results/x, results/x-2, ... Running the scenario again continues
the newest study that was begun under it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from agentsim.disk.durable import replace
from agentsim.errors import LogError, ReplayMismatch, ScenarioError
from agentsim.log.experiment import Clash, clash, mixed, renamed
from agentsim.log.files import LOG_NAME, PROBE_NAME, STUDY_NAME
from agentsim.log.reading import read_start
from agentsim.log.records import RunStarted
from agentsim.log.study_file import StudyFile, read_study_file, write_study_file
from agentsim.prompts.sets import PromptSet, kept_name
from agentsim.scenario.conditions import Scenario, digest
from agentsim.scenario.names import condition_of
from agentsim.scenario.runs import RunSpec

__all__ = ["choose", "keep_prompts", "make_folder", "new_folder", "sources", "write_study"]

Starts = Sequence[RunStarted]
"""The first records of all runs that are to be played, or of one probe."""


def choose(results: Path, name: str, starts: Starts, *, new: bool) -> Path:
    """Return the folder to play in, which need not exist yet.

    It is the newest folder that holds one of these runs; if none does, the newest that holds one of these conditions;
    if none does, the first folder, or else the newest, to which these runs may be added.

    Raises:
        ReplayMismatch: the study there is another experiment; the message names the first difference.
        ScenarioError: the folder holds a probe and these are runs of a study, or vice versa.
    """
    if new:
        return _new(results, name)
    default, is_probe = results / name, any(start.probe is not None for start in starts)
    _check_kind(default, is_probe=is_probe)
    others = [path for path in _beside(results, name) if path != default and _scenario_name(path) in (None, name)]
    begun = {path: _begun_in(path) for path in (default, *others) if path == default or _is_probe(path) == is_probe}
    named_starts = [(start.run, start) for start in starts]
    clashes = {path: clash([*there.items(), *named_starts]) or renamed(there, starts) for path, there in begun.items()}
    digests, conditions = {start.digest for start in starts}, {condition_of(start.run) for start in starts}

    def rank(path: Path) -> tuple[bool, bool, bool, int]:
        has_run = not digests.isdisjoint(_listed(path) | {start.digest for start in begun[path].values()})
        has_condition = not conditions.isdisjoint(condition_of(run) for run in begun[path])
        return has_run, has_condition, path == default and not has_condition, _number(path, name)

    fitting = [path for path in begun if clashes[path] is None and (path == default or begun[path] or rank(path)[0])]
    if fitting:
        return max(fitting, key=rank)
    path, clashing = [(path, clashing) for path, clashing in clashes.items() if clashing is not None][-1]
    raise ReplayMismatch(
        mixed(path, begun[path]) or _refusal(path, clashing, next_name=_new(results, name).name, is_probe=is_probe)
    )


def _refusal(path: Path, clashing: Clash, *, next_name: str, is_probe: bool) -> str:
    fork = "" if is_probe else f", or with --fork {path} to begin it with the replies that are still valid"
    what = f"{path / clashing.first}: {clashing.difference.was_and_is}"
    return f"{what}; undo that change; or run with --new to begin {next_name}{fork}"


def _check_kind(folder: Path, *, is_probe: bool) -> None:
    if is_probe and (folder / STUDY_NAME).exists():
        raise ScenarioError(f"{folder}: holds a study; give the probe another name, with --name")
    if not is_probe and _is_probe(folder):
        raise ScenarioError(f"{folder}: holds a probe; give the study another name, as with --set name=x")


def _is_probe(folder: Path) -> bool:
    return (folder / PROBE_NAME).is_file()


def _begun_in(folder: Path) -> dict[str, RunStarted]:
    """Return the first record of each run that has begun, by the run's name; unreadable logs are skipped."""
    paths = sorted(folder.glob(f"*/{LOG_NAME}"))
    starts = {path.parent.name: read_start(path.parent) for path in paths}
    return {run: start for run, start in starts.items() if start is not None}


def _study_file(folder: Path) -> StudyFile | None:
    """Return the content of a folder's `study.json`; `None` if there is none or it is unreadable."""
    try:
        return read_study_file(folder)
    except LogError:
        return None


def _listed(folder: Path) -> frozenset[str]:
    """Return the digests of the runs that the study lists."""
    study = _study_file(folder)
    return frozenset() if study is None else study.digests


def new_folder(results: Path, name: str) -> Path:
    """Make a new folder beside those of earlier studies of the same name, and return it.

    Raises:
        LogError: it cannot be made.
    """
    return make_folder(_new(results, name))


def _new(results: Path, name: str) -> Path:
    numbers = [_number(path, name) for path in _beside(results, name)]
    is_free = not (results / name).exists()
    return results / name if is_free else results / f"{name}-{max(numbers) + 1}"


def make_folder(folder: Path) -> Path:
    """Make the folder unless it exists, and return it.

    Raises:
        LogError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LogError(f"{folder}: cannot be made ({error.strerror}); name another place with --results") from error
    return folder


def _beside(results: Path, name: str) -> list[Path]:
    """Return all studies of a name, oldest first."""
    studies = [path for path in results.glob("*") if _number(path, name)]
    return sorted(studies, key=lambda path: _number(path, name))


def _scenario_name(folder: Path) -> str | None:
    """Return the name of a study's scenario, which may itself end in a number, such as `x-2`; `None` if unknown."""
    study = _study_file(folder)
    name = None if study is None else study.scenario.get("name")
    return None if name is None else str(name)


def _number(path: Path, name: str) -> int:
    """Return 1 for the first study of the name, 2 for the second, ...; 0 for a study of another name."""
    rest = path.name.removeprefix(name)
    suffix = re.fullmatch(r"-([1-9][0-9]{0,8})", rest)
    return 1 if not rest else int(suffix[1]) if suffix and int(suffix[1]) > 1 else 0


def write_study(folder: Path, scenario: Scenario, specs: Sequence[RunSpec], *, versions: Mapping[str, str]) -> None:
    """Write `study.json`. If any run has begun, runs of earlier sittings (other seeds or models) stay listed.

    Raises:
        LogError: the folder cannot be made, or its `study.json` cannot be read or written.
    """
    make_folder(folder)
    earlier = read_study_file(folder) if any(folder.glob(f"*/{LOG_NAME}")) else None
    runs = {
        spec.name: {"seed": spec.seed, "settings": spec.settings, "digest": digest(spec.condition, seed=spec.seed)}
        for spec in specs
    }
    study = StudyFile({**({} if earlier is None else earlier.runs), **runs}, scenario.model_dump(mode="json"))
    write_study_file(folder, study, versions=versions)


def keep_prompts(folder: Path, sets: Iterable[PromptSet]) -> None:
    """Write the texts of prompt sets into a study's folder, so that its runs can be replayed wherever it is copied to.

    Raises:
        LogError: a file cannot be written.
    """
    for prompts in {prompts.digest: prompts for prompts in sets}.values():
        path = folder / kept_name(prompts.digest)
        if path.exists():
            continue
        try:
            replace(path, json.dumps(prompts.sources, indent=2, ensure_ascii=False) + "\n")
        except OSError as error:
            raise LogError(f"{path}: cannot be written ({error.strerror})") from error


def sources(study: Path, starts: Iterable[RunStarted]) -> dict[str, Path]:
    """Return, for each of these runs, the folder in a study from which it can be forked, by the run's name.

    A run is forked from one of the same name, or else from one of the same condition and seed under another name.

    Raises:
        LogError: none of the runs can be forked from the study.
    """
    begun = _begun_in(study)
    by_digest = {start.digest: run for run, start in begun.items()}
    source_of = {start.run: start.run if start.run in begun else by_digest.get(start.digest) for start in starts}
    folders = {run: study / source for run, source in source_of.items() if source is not None}
    if not folders:
        names = ", ".join(sorted(begun)[:5])
        what = f"its runs are {names}" if names else "it holds no runs"
        raise LogError(f"{study}: none of this scenario's runs can be forked from it: {what}")
    return folders
