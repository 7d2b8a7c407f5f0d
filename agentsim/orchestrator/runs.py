"""A run before it is played: the first record of its log, its course, and its number of questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from agentsim.log.records import RunStarted
from agentsim.play.course import Course, Questioning
from agentsim.prompts.sets import READER, PromptSet
from agentsim.scenario.conditions import Condition, digest, identity, named_in
from agentsim.scenario.plugins import used
from agentsim.scenario.runs import RunSpec

__all__ = ["Run", "now", "run_started", "society_run"]


@dataclass(frozen=True)
class Run:
    """What a sitting plays: a society's history, or a probe."""

    started: RunStarted
    """The first record of its log."""
    condition: Condition
    course: Questioning
    """What is asked, and what follows from the answers; not begun yet."""
    n_questions: int
    """How many questions it asks if every first answer is readable."""
    n_generations: int

    @property
    def name(self) -> str:
        """The run's name, which is that of its folder."""
        return self.started.run


def society_run(
    spec: RunSpec,
    study: str,
    *,
    prompts: PromptSet,
    accounts: Mapping[str, dict[str, Any]],
    versions: dict[str, str],
) -> Run:
    """Return the run of a society in a study; `accounts` as for `run_started`."""
    return Run(
        started=run_started(spec, study, prompts=prompts, accounts=accounts, versions=versions),
        condition=spec.condition,
        course=Course(spec.condition, seed=spec.seed, prompts=prompts),
        n_questions=spec.condition.n_requests(spec.seed),
        n_generations=spec.condition.generations,
    )


def run_started(
    spec: RunSpec,
    study: str,
    *,
    prompts: PromptSet,
    accounts: Mapping[str, dict[str, Any]],
    versions: dict[str, str],
    probe: dict[str, Any] | None = None,
) -> RunStarted:
    """Return the first record of a run's log.

    Args:
        spec: the run.
        study: the name of the study's folder.
        prompts: the prompt set.
        accounts: those of its language models, by the player's label, without their keys.
        versions: versions of the packages that play it.
        probe: the design, if the run is a probe's.
    """
    return RunStarted(
        study=study,
        run=spec.name,
        seed=spec.seed,
        condition=identity(spec.condition),
        digest=digest(spec.condition, seed=spec.seed, probe=probe),
        probe=probe,
        settings=spec.settings,
        prompts_digest=prompts.digest,
        reader=READER,
        accounts=dict(accounts),
        versions=versions,
        plugins=used([*named_in(spec.condition), *(("provider", one.get("dialect", "")) for one in accounts.values())]),
        time=now(),
    )


def now() -> str:
    """Return the time that a record is stamped with: UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
