"""Opens studies: what can be wrong before the first call is checked; then the folder is chosen and written."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from agentsim.log.study_folder import choose, keep_prompts, sources, write_study
from agentsim.log.version import VERSION
from agentsim.log.writing import RunLog
from agentsim.orchestrator.observer import Observer
from agentsim.orchestrator.runs import run_started, society_run
from agentsim.orchestrator.sitting import Sitting
from agentsim.orchestrator.stop import Stop
from agentsim.play.course import Course
from agentsim.play.fork import take_over
from agentsim.play.rehearsal import rehearsed
from agentsim.prompts.sets import PromptSet
from agentsim.providers.accounts import Accounts
from agentsim.providers.base import Provider
from agentsim.providers.catalogue import Catalogue
from agentsim.scenario.conditions import Condition, Scenario, digest
from agentsim.scenario.runs import RunSpec, runs
from agentsim.scenario.user_settings import with_own

__all__ = ["Opened", "accounts_of", "check_accounts", "open_study", "providers_of", "versions_now"]


@dataclass(frozen=True)
class Opened:
    """A study that is ready to be played."""

    folder: Path
    specs: list[RunSpec]
    prompts: Mapping[str, PromptSet]
    """The prompt set of each condition, by the condition's digest for seed 0."""
    catalogue: Catalogue
    provider: Provider | None
    """Who answers instead of the accounts."""
    n_taken_over: int = 0
    """The number of replies taken from the study that this one forks."""

    @cached_property
    def models(self) -> frozenset[str]:
        """The full names of all language models whose accounts are asked; none if a `provider` answers."""
        if self.provider is not None:
            return frozenset()
        return frozenset(player.model for spec in self.specs for player in spec.condition.model_players.values())

    @property
    def is_paid(self) -> bool:
        """Whether calls may be billed."""
        return any(self.catalogue.is_paid(model) for model in self.models)

    @property
    def is_paced(self) -> bool:
        """Whether an account has a stated limit a minute, which processes that do not share it would break."""
        paid = [self.catalogue.settings(model) for model in self.models if self.catalogue.is_paid(model)]
        return any(one.requests_per_minute is not None or one.tokens_per_minute is not None for one in paid)

    @cached_property
    def _versions(self) -> dict[str, str]:
        return versions_now()

    def sitting(self, spec: RunSpec, *, accounts: Accounts, observer: Observer, stop: Stop) -> Sitting:
        """Return a sitting that plays one of the runs."""
        run = society_run(
            spec,
            self.folder.name,
            prompts=self.prompts[digest(spec.condition, seed=0)],
            accounts={} if self.provider else accounts_of(spec.condition, self.catalogue),
            versions=self._versions,
        )
        providers = providers_of(spec.condition, accounts, self.provider)
        return Sitting(run, self.folder, providers=providers, observer=observer, stop=stop)


def open_study(
    scenario: Scenario, *, results: Path, new: bool, fork: Path | str | None, provider: Provider | None
) -> Opened:
    """Check all runs of a scenario, choose or make the study's folder, and write what the study consists of.

    Raises:
        AuthError, ModelFileError, ScenarioError, ReplayMismatch, LogError: as `run_async`.
    """
    specs = runs(scenario)
    prompts = rehearsed(spec.condition for spec in specs)
    catalogue = Catalogue(with_own(scenario.providers), environ=os.environ)
    if provider is None:
        for spec in specs:
            check_accounts(spec.condition, catalogue, budget=scenario.budget)
    starts = [
        run_started(
            spec,
            scenario.name,
            prompts=prompts[digest(spec.condition, seed=0)],
            accounts={} if provider else accounts_of(spec.condition, catalogue),
            versions={},
        )
        for spec in specs
    ]
    origins = {} if fork is None else sources(Path(fork), starts)
    folder = choose(results, scenario.name, starts, new=new or fork is not None)
    write_study(folder, scenario, specs, versions=versions_now())
    keep_prompts(folder, [prompts[digest(spec.condition, seed=0)] for spec in specs if spec.condition.model_players])
    n_taken_over = 0
    for spec in specs:
        if spec.name in origins:
            known = {} if provider else accounts_of(spec.condition, catalogue)
            n_taken_over += _fork(spec, folder, origins[spec.name], prompts=prompts, accounts=known)
    return Opened(folder, specs, prompts, catalogue, provider, n_taken_over)


def check_accounts(condition: Condition, catalogue: Catalogue, *, budget: float | None) -> None:
    """Check, without asking, that all models of a condition can be asked and that their cost can be limited.

    Raises:
        AuthError, ModelFileError, ScenarioError: as `Catalogue.check` and `Catalogue.check_price`.
    """
    for player in condition.model_players.values():
        catalogue.check(player.model)
        if budget is not None:
            catalogue.check_price(player.model, sampling=player.sampling(derived=0))


def accounts_of(condition: Condition, catalogue: Catalogue) -> dict[str, dict[str, Any]]:
    """Return a description of each language model's account, by the player's label."""
    return {label: catalogue.describe(player.model) for label, player in condition.model_players.items()}


def providers_of(condition: Condition, accounts: Accounts, provider: Provider | None) -> dict[str, Provider]:
    """Return who answers for each language model, by the player's label: `provider` for all if it is given."""
    players = condition.model_players.items()
    return {label: provider or accounts.open(player.model) for label, player in players}


def _fork(
    spec: RunSpec,
    folder: Path,
    source: Path,
    *,
    prompts: dict[str, PromptSet],
    accounts: Mapping[str, dict[str, Any]],
) -> int:
    """Begin a run's log with the replies of another that are still valid; return how many there are."""
    prompt_set = prompts[digest(spec.condition, seed=0)]
    started = run_started(spec, folder.name, prompts=prompt_set, accounts=accounts, versions=versions_now())
    course = Course(spec.condition, seed=spec.seed, prompts=prompt_set)
    with RunLog(folder / spec.name) as log:
        return take_over(source, log, started=started, course=course)


@cache
def _installed(package: str) -> str | None:
    """Return the version of a package; cached, because its whole description is read for it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def versions_now() -> dict[str, str]:
    """Return the versions of what a result may depend on."""
    versions = {"python": platform.python_version(), "platform": platform.platform(), "agentsim": VERSION}
    for package in ("openai", "anthropic", "xllamacpp", "pydantic", "jinja2"):
        if (version := _installed(package)) is not None:
            versions[package] = version
    return versions
