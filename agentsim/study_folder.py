"""Where a study lies: which folder a scenario is played in, what stands in its study.json, and studies begun as forks.

A second study of one name lies beside the first: results/x, results/x-2, ... Whoever runs the scenario again goes on
with the newest of them that was begun under it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from agentsim.errors import AnswerError, LogError
from agentsim.old_logs import up_to_date
from agentsim.players import Course
from agentsim.runlog import LOG_NAME, Record, Reply, RunLog, RunStarted, read_log
from agentsim.scenario import RunSpec, Scenario, digest

__all__ = ["PromptsOf", "choose", "make_folder", "new_folder", "sources", "take_over", "write_study"]

STUDY_NAME: Final = "study.json"
PromptsOf = Mapping[str, str]
"""The digest of each run's prompt set, by the run's name."""


def choose(results: Path, scenario: Scenario, specs: Sequence[RunSpec], prompts: PromptsOf, *, new: bool) -> Path:
    """Return the folder to play in, which is there then.

    Raises:
        LogError: it cannot be made.
    """
    folders = _beside(results, scenario.name)
    folder = results / scenario.name
    if new:
        return new_folder(results, scenario.name)
    for path in folders:
        begun = [_is_of(path, spec, prompts) for spec in specs]
        if True in begun and False not in begun and _scenario_name(path) in (None, scenario.name):
            folder = path
    return make_folder(folder)


def new_folder(results: Path, name: str) -> Path:
    """Return a folder that was not there before, beside those of earlier studies of the name.

    Raises:
        LogError: it cannot be made.
    """
    numbers = [_number(path, name) for path in _beside(results, name)]
    is_free = not (results / name).exists()
    return make_folder(results / name if is_free else results / f"{name}-{max(numbers) + 1}")


def make_folder(folder: Path) -> Path:
    """Return the folder, which is there then.

    Raises:
        LogError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LogError(f"{folder}: cannot be made ({error.strerror}); name another place with --results") from error
    return folder


def _beside(results: Path, name: str) -> list[Path]:
    """Return all studies of a name, the oldest first."""
    found = [path for path in results.glob("*") if _number(path, name)]
    return sorted(found, key=lambda path: _number(path, name))


def _scenario_name(folder: Path) -> str | None:
    """Return the name of the scenario that a study is of, which may be `x-2` itself; `None` where nobody knows."""
    try:
        return str(json.loads((folder / STUDY_NAME).read_text(encoding="utf-8"))["scenario"]["name"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _number(path: Path, name: str) -> int:
    """Return 1 for the first study of the name, 2 for the second, ...; 0 for one of another name."""
    rest = path.name.removeprefix(name)
    found = re.fullmatch(r"-([1-9][0-9]{0,8})", rest)
    return 1 if not rest else int(found[1]) if found and int(found[1]) > 1 else 0


def _is_of(folder: Path, spec: RunSpec, prompts: PromptsOf) -> bool | None:
    """Whether a run's log was begun under this condition and these templates; `None` where it has not begun."""
    try:
        with (folder / spec.name / LOG_NAME).open("rb") as file:
            line = file.readline()
    except OSError:
        return None
    if not line.endswith(b"\n"):
        return None
    try:
        first = up_to_date(json.loads(line))
        return bool(
            first["digest"] == digest(spec.condition, seed=spec.seed) and first["prompts_digest"] == prompts[spec.name]
        )
    except (ValueError, LookupError, TypeError):
        return False


def write_study(
    folder: Path, scenario: Scenario, specs: Sequence[RunSpec], prompts: PromptsOf, *, versions: Mapping[str, str]
) -> None:
    """Write what the study is; runs of an earlier sitting (other seeds, another model) stay listed.

    Where a log was begun under another scenario, what the file says of it is left as it is: that run will be refused.

    Raises:
        LogError: the file cannot be read or written.
    """
    path = folder / STUDY_NAME
    try:
        earlier: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise LogError(f"{path}: cannot be read ({error}); delete it, it is written anew") from error
    others = {spec.name for spec in specs if _is_of(folder, spec, prompts) is False}
    listed = {
        spec.name: {"seed": spec.seed, "settings": spec.settings, "digest": digest(spec.condition, seed=spec.seed)}
        for spec in specs
        if spec.name not in others
    }
    study = {
        "study": folder.name,
        "scenario": scenario.model_dump(mode="json"),
        "runs": {**earlier.get("runs", {}), **listed},
        "versions": dict(versions),
    }
    if others:
        study |= {key: earlier[key] for key in ("scenario", "versions") if key in earlier}
    temporary = path.with_suffix(".tmp")
    try:
        temporary.write_text(json.dumps(study, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise LogError(f"{path}: cannot be written ({error.strerror})") from error


def take_over(source: Path, log: RunLog, *, started: RunStarted, course: Course) -> int:
    """Begin a log with those replies of another run's log that still hold; return how many these are.

    A reply holds where `course`, a society that has not begun, asks the same question with the same prompt, model and
    sampling. What the source says of facts is passed over: they are computed anew.

    Raises:
        LogError, SchemaError: the source cannot be read.
    """
    records: list[Record] = [started.model_copy(update={"forked_from": str(source)}), *course.start().events]
    replies = [record for record in read_log(source).records if isinstance(record, Reply)]
    n_taken = 0
    for reply in replies:
        question = course.open.get(reply.key)
        if question is None or (question.attempt, question.prompt) != (reply.attempt, reply.prompt):
            continue
        try:
            events = course.receive(reply.key, reply.completion).events
        except AnswerError:  # the scenario says to stop at such replies: it is asked again
            break
        records += [reply, *events]
        n_taken += 1
    log.append(*records, sync=True)
    return n_taken


def sources(study: Path, specs: Iterable[RunSpec]) -> dict[str, Path]:
    """Return the folders of a study's runs that have the names of these runs.

    Raises:
        LogError: there is none.
    """
    found = {spec.name: study / spec.name for spec in specs if (study / spec.name / LOG_NAME).is_file()}
    if not found:
        names = ", ".join(sorted(path.parent.name for path in study.glob(f"*/{LOG_NAME}"))[:5])
        what = f"its runs are {names}" if names else "it holds no runs"
        raise LogError(f"{study}: none of this scenario's runs can be forked from it: {what}")
    return found
