"""Brings a society to where its log ends, and says where the two disagree. Asks no model.

The log's replies are read again in their order, and the facts that follow are compared with the logged ones. Runs that
go on, complete runs and `replay` all use this.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from agentsim.core.facts import Event, Problem
from agentsim.core.probe_design import Design
from agentsim.core.requests import Request
from agentsim.errors import AgentsimError, LogError, ReplayMismatch, ScenarioError
from agentsim.log.experiment import Difference, difference, first_difference, price_difference
from agentsim.log.reading import read_log
from agentsim.log.records import Record, Reply, RunFinished, RunStarted
from agentsim.play.course import Course, Questioning
from agentsim.play.probe import ProbeCourse
from agentsim.play.rehearsal import prompt_set
from agentsim.prompts.sets import READERS, PromptSet, kept_prompt_set
from agentsim.prompts.words import FILE, Words, default_words
from agentsim.providers.base import Message
from agentsim.scenario.conditions import Condition, digest
from agentsim.scenario.plugins import UsedPlugin, what_has_changed, what_is_missing

__all__ = ["ReplayState", "catch_up", "code_digest", "compare_start", "deciding", "replay"]

ONLY_READING = frozenset(["analysis", "cli", "report", "testing", "view"])
"""The rooms whose code makes no facts. All other code counts as deciding, so that none is forgotten."""


@dataclass(frozen=True)
class ReplayState:
    """What came of computing one run again from its replies."""

    run: str
    is_exact: bool
    is_complete: bool
    difference: str | None
    """The first difference, in one sentence."""
    n_replies: int
    n_events: int
    note: str | None = None
    """What was not compared, and why, in one sentence."""


def replay(folder: Path | str) -> list[ReplayState]:
    """Compute every run of a study again from its logged replies, without asking a model.

    Raises:
        LogError: the folder holds no study.
    """
    folders = sorted(path.parent for path in Path(folder).glob("*/log.jsonl"))
    if not folders:
        raise LogError(f"{folder}: holds no runs; name the folder of a study, such as results/quickstart")
    return [_replay_run(path) for path in folders]


@cache
def code_digest(plugins: tuple[UsedPlugin, ...] = (), *, package: Path = Path(__file__).parents[1]) -> str:
    """Return the SHA-256 of the code that turns replies into facts, with that of the plug-ins that a run uses."""
    hasher = hashlib.sha256("".join(f"{plugin.name} {plugin.digest}\n" for plugin in plugins).encode())
    for path in deciding(package):
        hasher.update(f"{path.relative_to(package)}\n".encode() + path.read_bytes() + b"\n")
    return hasher.hexdigest()


def deciding(package: Path) -> list[Path]:
    """Return the source files on which facts depend, besides the replies, the scenario and the templates."""
    files = (*package.rglob("*.py"), *package.rglob(FILE))
    return sorted(path for path in files if path.relative_to(package).parts[0] not in ONLY_READING)


def catch_up(
    records: list[Record],
    course: Questioning,
    started: RunStarted,
    *,
    observe: Callable[[Reply | Event], None],
    fault: str | None,
    compares_prompts: bool = True,
) -> tuple[int, list[RunStarted | Event], bool]:
    """Bring `course` to where the log ends, and compare each record with what follows from the replies.

    Args:
        records: what the log holds.
        course: a society or a probe that has not begun.
        started: the first record as it would be written now.
        observe: is told every reply and fact in the log.
        fault: what shows that the log was edited, in one sentence; it is raised if nothing more specific is found.
        compares_prompts: whether each logged prompt must be the one that would be sent now.

    Returns:
        The number of replies; the records that follow from the log but are not in it yet; and whether the log says that
        the run is finished.

    Raises:
        ReplayMismatch: naming the first difference.
    """
    if not records:
        return 0, [started, *course.start().events], False
    first = records[0]
    if not isinstance(first, RunStarted):
        raise ReplayMismatch(f"line 1 is a {first.type!r} record, not 'run_started'; the log has been edited")
    compare_start(first, started)
    if first.reader not in READERS:
        raise ReplayMismatch(
            f"its replies were read by version {first.reader} of the reader, which this agentsim does not have;"
            " use the agentsim that began it, or a newer one"
        )
    course.reader = first.reader
    expected: deque[Event] = deque(course.start().events)
    n_replies = 0
    for number, record in enumerate(records[1:], start=2):
        if isinstance(record, Reply):
            question = course.open.get(record.key)
            if question is None or question.attempt != record.attempt:
                raise ReplayMismatch(
                    f"line {number}: nobody asked {record.key!r} (attempt {record.attempt}) at this point;"
                    " the rules' code or the log has changed"
                )
            if compares_prompts and question.prompt != record.prompt:
                raise ReplayMismatch(
                    f"line {number}: the prompt of {record.key!r} is not the one this agentsim would send"
                    f" ({_first_difference(record.prompt.model_dump(), question.prompt.model_dump())})"
                )
            n_replies += 1
            observe(record)
            expected.extend(course.receive(record.key, record.completion).events)
        elif isinstance(record, RunFinished):
            if expected or not course.is_finished:
                raise ReplayMismatch(f"line {number}: the log ends here, but its replies do not complete the run")
            if fault is not None:
                raise ReplayMismatch(fault)
            return n_replies, [], True
        elif isinstance(record, RunStarted):
            raise ReplayMismatch(f"line {number}: a second 'run_started'; two logs have been joined")
        else:
            fact = expected.popleft() if expected else None
            if fact != record:
                raise ReplayMismatch(f"line {number}: {_disagreement(record, fact)}")
            observe(record)
    if fault is not None:
        raise ReplayMismatch(fault)
    return n_replies, list(expected), False


def compare_start(logged: RunStarted, now: RunStarted) -> None:
    """Check that a log was begun under today's scenario, prompts and accounts.

    Raises:
        ReplayMismatch: naming what differs.
    """
    if logged.digest != now.digest:
        unlike = first_difference({"seed": logged.seed, **logged.condition}, {"seed": now.seed, **now.condition})
        unlike = unlike or first_difference({"probe": logged.probe}, {"probe": now.probe})
        unlike = unlike or Difference("digest", logged.digest, now.digest)
        raise ReplayMismatch(unlike.was_and_is)
    if unlike := difference(logged, now) or price_difference(logged, now):
        raise ReplayMismatch(unlike.was_and_is)


def _disagreement(logged: Event, computed: Event | None) -> str:
    if computed is None:
        return f"the log holds a {logged.type!r} that does not follow from its replies"
    return (
        f"the log's {logged.type!r} is not what follows from its replies"
        f" ({_first_difference(logged.model_dump(), computed.model_dump())}); the rules' code or the log has changed"
    )


def _first_difference(logged: Any, now: Any) -> str:
    """Name the first place in which two plain values differ."""
    change = first_difference(logged, now)
    return "in nothing" if change is None else f"{change.path} was {change.first!r} and is {change.second!r}"


def _replay_run(folder: Path) -> ReplayState:
    n_events = 0

    def count(record: Reply | Event) -> None:
        nonlocal n_events
        n_events += not isinstance(record, Reply)

    try:
        content = read_log(folder, is_judged=False)
        records = content.records
        if not records or not isinstance(records[0], RunStarted):
            raise ReplayMismatch("the log does not begin with 'run_started'")
        started = records[0]
        if lacking := what_is_missing(started.plugins):
            raise ReplayMismatch(lacking)
        condition = Condition.model_validate(started.condition)
        prompts, note = _prompts_of(started, condition, study=folder.parent)
        now = started.model_copy(update={"digest": digest(condition, seed=started.seed, probe=started.probe)})
        course: Questioning
        if started.probe is None:
            course = Course(condition, seed=started.seed, prompts=prompts)
        else:
            design = Design.model_validate(started.probe)
            course = ProbeCourse(design, condition, seed=started.seed, prompts=prompts)
        n_replies, missing, is_complete = catch_up(
            records, course, now, observe=count, fault=content.fault, compares_prompts=note is None
        )
    except (AgentsimError, ValueError) as error:
        return ReplayState(folder.name, False, False, str(error), 0, n_events)
    further = f"{len(missing)} facts follow that the log does not hold yet" if missing and not is_complete else None
    notes = [said for said in (note if n_replies else None, what_has_changed(started.plugins)) if said]
    return ReplayState(folder.name, True, is_complete, further, n_replies, n_events, "; ".join(notes) or None)


class _Unspoken(PromptSet):
    """A prompt set without templates, for logs whose prompts cannot be made again; facts follow from the replies."""

    def __init__(self, words: Words) -> None:
        super().__init__(Path(), {FILE: words.source})

    def messages(self, request: Request) -> tuple[Message, ...]:
        return Message(role="system", content=""), Message(role="user", content="")

    def ask_again(self, request: Request, problem: Problem) -> Message:
        return Message(role="user", content="")


def _prompts_of(started: RunStarted, condition: Condition, *, study: Path) -> tuple[PromptSet, str | None]:
    """Return a logged run's prompt set, if it is kept or unchanged; else one without templates, and the reason."""
    if kept := kept_prompt_set(study, started.prompts_digest, name=Path(condition.prompts).name):
        return kept, None
    what = "facts were computed from the logged replies, and prompts were not compared"
    try:
        prompts = prompt_set(condition)
    except ScenarioError as error:
        return _Unspoken(default_words()), f"{what}, as its prompt set cannot be read today: {error}"
    if prompts.digest != started.prompts_digest:
        return _Unspoken(prompts.words), f"{what}, as its prompt set is not the one of today"
    return prompts, None
