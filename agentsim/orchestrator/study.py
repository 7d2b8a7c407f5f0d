"""Plays studies: all runs of a scenario concurrently, each from where its log ends. A new run has an empty log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from agentsim.errors import LogLocked
from agentsim.log.crew import alone, check_no_crew
from agentsim.log.files import LOG_NAME
from agentsim.log.reading import read_log, seems_closed
from agentsim.log.records import Reply, RunStarted
from agentsim.log.stopped import note_sitting
from agentsim.log.writing import locked_by
from agentsim.orchestrator.observer import Observer, guarded
from agentsim.orchestrator.opening import Opened, open_study
from agentsim.orchestrator.run_state import RunState
from agentsim.orchestrator.stop import DRAINED, Stop, to_its_end, unless_cancelled
from agentsim.play.replay import ReplayState, replay
from agentsim.providers.accounts import Accounts
from agentsim.providers.base import Provider
from agentsim.providers.dialects.registry import serves_here
from agentsim.providers.ledger import Ledger
from agentsim.scenario.conditions import Scenario
from agentsim.scenario.loading import load_scenario
from agentsim.scenario.runs import RunSpec

__all__ = [
    "Observer",
    "ReplayState",
    "RunState",
    "StudyResult",
    "open_ledger",
    "reasons",
    "replay",
    "run",
    "run_async",
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
    is_last: bool = True
    """Whether no other process plays the study any more."""

    @property
    def is_complete(self) -> bool:
        """Whether every run is complete."""
        return all(state.status == "complete" for state in self.runs)

    @property
    def is_interrupted(self) -> bool:
        """Whether the user stopped it."""
        return any("interrupted" in (state.status, state.reason) for state in self.runs)

    @property
    def is_drained(self) -> bool:
        """Whether this process had to end and left runs to others."""
        return any(state.reason == DRAINED for state in self.runs)

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
        observer: is told what happens; if it fails, the study goes on.
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
    watch = guarded(observer)
    opened = open_study(scenario, results=Path(results), new=new, fork=fork, provider=provider)
    budget, note = scenario.budget, watch.note
    with ExitStack() as stack:
        if opened.is_paced:
            stack.enter_context(alone(opened.folder))
        else:
            check_no_crew(opened.folder)
        ledger = None
        if opened.is_paid:
            ledger = stack.enter_context(open_ledger(opened.folder, limit_usd=budget, on_note=note))
        accounts = Accounts(
            opened.catalogue, ledger=ledger, on_retry=watch.retry, on_width=watch.width, on_note=watch.note
        )
        result = await _play_runs(opened, accounts=accounts, watch=watch, stop=stop)
        return replace(result, n_taken_over=opened.n_taken_over)


async def _play_runs(opened: Opened, *, accounts: Accounts, watch: Observer, stop: Stop) -> StudyResult:
    specs, folder = opened.specs, opened.folder
    stop.register(on_stop=accounts.drain, on_interrupt=watch.interrupted)
    clock = asyncio.get_running_loop().time
    began = clock()
    note_sitting(folder, {spec.name: None for spec in specs})  # so that no old reason is left if this process is killed
    gate = asyncio.Semaphore(MAX_OPEN_RUNS)

    async def play(spec: RunSpec) -> RunState:
        async with gate:
            if stop.event.is_set() and not (folder / spec.name / LOG_NAME).exists():
                return RunState(spec.name, "not begun", stop.reason)
            state = await opened.sitting(spec, accounts=accounts, observer=watch, stop=stop).play()
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
