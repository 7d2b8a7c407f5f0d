"""Plays studies: all runs of a scenario concurrently, each from where its log ends. A new run has an empty log."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from agentsim.errors import LogLocked
from agentsim.log.files import LOG_NAME
from agentsim.log.reading import read_log, seems_closed
from agentsim.log.records import Reply, RunStarted
from agentsim.log.stopped import note_sitting
from agentsim.log.study_folder import choose, keep_prompts, sources, write_study
from agentsim.log.writing import RunLog, locked_by
from agentsim.orchestrator.observer import Observer
from agentsim.orchestrator.run_state import RunState
from agentsim.orchestrator.runs import run_started, society_run
from agentsim.orchestrator.sitting import Sitting
from agentsim.orchestrator.stop import Stop, to_its_end, unless_cancelled
from agentsim.play.course import Course
from agentsim.play.fork import take_over
from agentsim.play.rehearsal import rehearsed
from agentsim.play.replay import ReplayState, replay
from agentsim.prompts.sets import PromptSet
from agentsim.providers.accounts import Accounts
from agentsim.providers.base import Provider
from agentsim.providers.catalogue import Catalogue
from agentsim.providers.dialects.registry import serves_here
from agentsim.providers.ledger import Ledger
from agentsim.scenario.conditions import Condition, Scenario, digest
from agentsim.scenario.loading import load_scenario
from agentsim.scenario.runs import RunSpec, runs
from agentsim.scenario.user_settings import with_own

__all__ = [
    "Observer",
    "ReplayState",
    "RunState",
    "StudyResult",
    "accounts_of",
    "check_accounts",
    "open_ledger",
    "providers_of",
    "reasons",
    "replay",
    "run",
    "run_async",
    "versions_now",
]

MAX_OPEN_RUNS = 64
"""The most runs that are played at the same time; each keeps one file open."""


@dataclass(frozen=True)
class StudyResult:
    """What `run` returns: the study's folder, and how each run ended."""

    folder: Path
    runs: tuple[RunState, ...]
    wall_s: float = 0.0
    """Seconds that this sitting took."""
    least_s: float = 0.0
    """The least seconds that it could have taken with these answers under these limits."""
    bound_by: str = ""
    """What determines `least_s`: the longest chain of calls, or a limit of an account."""
    n_taken_over: int = 0
    """The number of replies taken from the study that this one forks."""

    @property
    def is_complete(self) -> bool:
        """Whether every run is complete."""
        return all(state.status == "complete" for state in self.runs)

    @property
    def is_interrupted(self) -> bool:
        """Whether the user stopped it."""
        return any("interrupted" in (state.status, state.reason) for state in self.runs)

    @property
    def is_unread(self) -> bool:
        """Whether a model gave no readable answer at all in one of the runs."""
        return any(state.is_unread for state in self.runs)


def run(
    scenario: Scenario | Path | str,
    *,
    results: Path | str = Path("results"),
    new: bool = False,
    fork: Path | str | None = None,
    observer: Observer | None = None,
    provider: Provider | None = None,
) -> StudyResult:
    """Play every run of the scenario, or continue those that are not complete; see `run_async`.

    Works in a script, and in a notebook, whose event loop is running (then on a thread of its own). On the main thread,
    the first Ctrl-C, SIGTERM or SIGHUP lets the calls in flight come in and be stored; the second drops them.

    Raises:
        KeyboardInterrupt: it was stopped in a notebook. In a script, the result says so instead.
    """
    return to_its_end(
        lambda stop: _play_study(
            _loaded(scenario), results=results, new=new, fork=fork, observer=observer, provider=provider, stop=stop
        )
    )


async def run_async(
    scenario: Scenario | Path | str,
    *,
    results: Path | str = Path("results"),
    new: bool = False,
    fork: Path | str | None = None,
    observer: Observer | None = None,
    provider: Provider | None = None,
) -> StudyResult:
    """Play all runs of the scenario concurrently, or continue those that are not complete.

    If the task is cancelled, the calls in flight come in and are stored before it ends; if it is cancelled twice, they
    are dropped.

    Args:
        scenario: what to play: a scenario, or the path of its file.
        results: the folder that holds, or will hold, the study's folder.
        new: begin a new study beside an older one of the same name, instead of continuing it.
        fork: the folder of an older study; begin a new one with those of its replies that answer what is asked now.
        observer: is told what happens.
        provider: answers instead of the scenario's accounts; for tests and for models that agentsim does not know.

    Raises:
        AuthError, ModelFileError: a key or a model's weights are missing; nothing has been asked.
        ScenarioError: the prompt set is wrong.
        ReplayMismatch: the study's folder holds another experiment; nothing has been asked or written.
        LogError: the study's folder cannot be written.
    """
    return await unless_cancelled(
        lambda stop: _play_study(
            _loaded(scenario), results=results, new=new, fork=fork, observer=observer, provider=provider, stop=stop
        )
    )


def _loaded(scenario: Scenario | Path | str) -> Scenario:
    return scenario if isinstance(scenario, Scenario) else load_scenario(scenario)


async def _play_study(
    scenario: Scenario,
    *,
    results: Path | str,
    new: bool,
    fork: Path | str | None,
    observer: Observer | None,
    provider: Provider | None,
    stop: Stop,
) -> StudyResult:
    specs = runs(scenario)
    watch = observer or Observer()
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
    folder = choose(Path(results), scenario.name, starts, new=new or fork is not None)
    write_study(folder, scenario, specs, versions=versions_now())
    keep_prompts(folder, [prompts[digest(spec.condition, seed=0)] for spec in specs if spec.condition.model_players])
    n_taken_over = 0
    for spec in specs:
        if spec.name in origins:
            known = {} if provider else accounts_of(spec.condition, catalogue)
            n_taken_over += _fork(spec, folder, origins[spec.name], prompts=prompts, accounts=known)
    models = {player.model for spec in specs for player in spec.condition.model_players.values()}
    is_paid = provider is None and any(catalogue.is_paid(model) for model in models)
    limit_usd = scenario.budget
    with open_ledger(folder, limit_usd=limit_usd, on_note=watch.note) if is_paid else nullcontext() as ledger:
        accounts = Accounts(catalogue, ledger=ledger, on_retry=watch.retry, on_width=watch.width, on_note=watch.note)
        result = await _play_runs(
            specs,
            folder,
            prompts=prompts,
            catalogue=catalogue,
            accounts=accounts,
            provider=provider,
            watch=watch,
            stop=stop,
        )
        return replace(result, n_taken_over=n_taken_over)


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


async def _play_runs(
    specs: list[RunSpec],
    folder: Path,
    *,
    prompts: dict[str, PromptSet],
    catalogue: Catalogue,
    accounts: Accounts,
    provider: Provider | None,
    watch: Observer,
    stop: Stop,
) -> StudyResult:
    stop.register(on_stop=accounts.drain, on_interrupt=watch.interrupted)
    clock = asyncio.get_running_loop().time
    began = clock()
    note_sitting(folder, {spec.name: None for spec in specs})  # so that no old reason is left if this process is killed
    versions = versions_now()
    gate = asyncio.Semaphore(MAX_OPEN_RUNS)

    async def play(spec: RunSpec) -> RunState:
        async with gate:
            if stop.event.is_set() and not (folder / spec.name / LOG_NAME).exists():
                return RunState(spec.name, "not begun", stop.reason)
            known = {} if provider else accounts_of(spec.condition, catalogue)
            run = society_run(
                spec, folder.name, prompts=prompts[digest(spec.condition, seed=0)], accounts=known, versions=versions
            )
            providers = providers_of(spec.condition, accounts, provider)
            sitting = Sitting(run, folder, providers=providers, observer=watch, stop=stop)
            state = await sitting.play()
            watch.run_closed(spec.name, state)
            return state

    # Open runs come first, so that the first call need not wait until all complete runs have been checked.
    order = sorted(specs, key=lambda spec: seems_closed(folder / spec.name))
    try:
        async with asyncio.TaskGroup() as group:
            tasks = {spec.name: group.create_task(play(spec)) for spec in order}
    finally:
        bounds = accounts.least_s()
        await accounts.aclose()
    wall_s = clock() - began
    states = tuple(tasks[spec.name].result() for spec in specs)
    bounds["the longest chain of calls"] = max((state.critical_path_s for state in states), default=0.0)
    bound_by = max(bounds, key=bounds.__getitem__)
    note_sitting(folder, reasons(states))
    return StudyResult(folder, states, wall_s=wall_s, least_s=bounds[bound_by], bound_by=bound_by)


def reasons(states: Iterable[RunState]) -> dict[str, str | None]:
    """Return why runs stopped, `None` for the others; a run that has not begun was not stopped."""
    stopped = ("stopped", "interrupted")
    return {state.run: state.reason if state.status in stopped else None for state in states}


@contextmanager
def open_ledger(folder: Path, *, limit_usd: float | None, on_note: Callable[[str], None]) -> Iterator[Ledger]:
    """Open the study's ledger; a new one begins with the calls in the logs.

    `on_note` is told, once for each model, that it bills more than the bounds of its calls.
    """
    with ExitStack() as stack:
        try:
            ledger = stack.enter_context(Ledger(folder, limit_usd=limit_usd, on_beyond=on_note))
        except LogLocked as error:
            owners = sorted(set(filter(None, (locked_by(path.parent) for path in folder.glob(f"*/{LOG_NAME}")))))
            raise LogLocked(f"{error} ({', '.join(owners)})" if owners else str(error)) from error
        if ledger.is_new:
            n_calls, usd = _calls_before(folder)
            if n_calls:
                ledger.carry(usd, n_calls=n_calls)
        yield ledger


def _calls_before(folder: Path) -> tuple[int, float | None]:
    """Return the number of replies in a study's logs, without models on this machine, and their cost in US dollars.

    The cost is `None` if that of any reply is not known.
    """
    costs: list[float | None] = []
    for path in sorted(folder.glob(f"*/{LOG_NAME}")):
        records = read_log(path.parent).records
        started = next((record for record in records if isinstance(record, RunStarted)), None)
        if started is None:
            continue
        replies = [record for record in records if isinstance(record, Reply)]
        costs += [
            started.cost_usd(reply)
            for reply in replies
            if not serves_here(started.account_of(reply.player).get("dialect"))
        ]
    return len(costs), None if None in costs else sum(filter(None, costs))


def versions_now() -> dict[str, str]:
    """Return the versions of what a result may depend on."""
    versions = {"python": platform.python_version(), "platform": platform.platform()}
    for package in ("agentsim", "openai", "anthropic", "xllamacpp", "pydantic", "jinja2"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
