"""A worker: one of any number of processes, on any number of machines, that play one study together.

Workers may be started, killed and started again at any time. Each claims open runs until none is left; what a worker
leaves, others take over.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from agentsim.log.crew import LOCK, WORKERS, Crew, one_at_a_time
from agentsim.orchestrator.engines.broker import try_lock
from agentsim.orchestrator.engines.claims import Claims
from agentsim.orchestrator.engines.client import Client
from agentsim.orchestrator.engines.terms import gate_of, terms_of
from agentsim.orchestrator.engines.wire import Address
from agentsim.orchestrator.observer import Observer, guarded
from agentsim.orchestrator.opening import Opened, open_study
from agentsim.orchestrator.run_state import RunState
from agentsim.orchestrator.stop import Stop, to_its_end, unless_cancelled
from agentsim.orchestrator.study import MAX_OPEN_RUNS, StudyResult, open_ledger
from agentsim.providers.accounts import Accounts
from agentsim.providers.base import Provider
from agentsim.providers.limits.gate import no_gate
from agentsim.scenario.conditions import Scenario
from agentsim.scenario.loading import load_scenario
from agentsim.scenario.runs import RunSpec

__all__ = ["work", "work_async"]

MARGIN_S: Final = 60.0
"""How many seconds before it has to end a worker begins to drain."""
LEAST_S: Final = 5.0
"""How many seconds before that it waits for no answer any more."""


def work(
    scenario: Scenario | Path | str,
    *,
    results: Path | str = Path("results"),
    new: bool = False,
    fork: Path | str | None = None,
    observer: Observer | None = None,
    provider: Provider | None = None,
    most_runs: int = MAX_OPEN_RUNS,
    ends_in_s: float | None = None,
    margin_s: float = MARGIN_S,
    broker: Address | None = None,
    host: str | None = None,
) -> StudyResult:
    """Play a study's open runs together with any number of other workers; see `work_async`.

    On the main thread, Ctrl-C, SIGTERM and SIGHUP stop this worker as they stop `run`, and SIGUSR1 drains it.
    """
    return to_its_end(
        lambda stop: _work(
            scenario,
            results=Path(results),
            new=new,
            fork=fork,
            watch=guarded(observer),
            provider=provider,
            most_runs=most_runs,
            ends_in_s=ends_in_s,
            margin_s=margin_s,
            broker=broker,
            host=host,
            stop=stop,
        )
    )


async def work_async(
    scenario: Scenario | Path | str,
    *,
    results: Path | str = Path("results"),
    new: bool = False,
    fork: Path | str | None = None,
    observer: Observer | None = None,
    provider: Provider | None = None,
    most_runs: int = MAX_OPEN_RUNS,
    ends_in_s: float | None = None,
    margin_s: float = MARGIN_S,
    broker: Address | None = None,
    host: str | None = None,
) -> StudyResult:
    """Play a study's open runs together with any number of other workers, until no run is open.

    The first worker opens the study, later ones join it. A run that another worker plays is waited for, and taken over
    if that worker ends or dies.

    Args:
        scenario: what to play, the same for all workers: a scenario, or the path of its file.
        results: the folder that holds, or will hold, the study's folder; the same for all workers.
        new: begin a new study beside an older one; for one worker only, others join it without.
        fork: as for `run`; for one worker only.
        observer: is told what happens to the runs that this worker plays.
        provider: answers instead of the scenario's accounts.
        most_runs: how many runs this worker plays at the same time, at most.
        ends_in_s: in how many seconds this worker has to have ended, such as the rest of a job's walltime. `margin_s`
            seconds before, it drains: it asks nothing more, stores the answers of what is under way, leaves its runs
            to others, and returns.
        margin_s: how long draining may take.
        broker: where the broker is, if something other than a worker hosts it (`Broker`).
        host: the address of this machine at which a broker that this worker hosts can be reached; by default this
            machine alone can reach it, or on a file system of several machines all of them, by the machine's name.

    Raises:
        LogLocked: a process that does not claim plays the study.
        ScenarioError: the workers that play it now have other limits or another budget; or as `run_async`.
        AuthError, ModelFileError, ReplayMismatch, LogError: as `run_async`.
    """
    return await unless_cancelled(
        lambda stop: _work(
            scenario,
            results=Path(results),
            new=new,
            fork=fork,
            watch=guarded(observer),
            provider=provider,
            most_runs=most_runs,
            ends_in_s=ends_in_s,
            margin_s=margin_s,
            broker=broker,
            host=host,
            stop=stop,
        )
    )


async def _work(
    scenario: Scenario | Path | str,
    *,
    results: Path,
    new: bool,
    fork: Path | str | None,
    watch: Observer,
    provider: Provider | None,
    most_runs: int,
    ends_in_s: float | None,
    margin_s: float,
    broker: Address | None,
    host: str | None,
    stop: Stop,
) -> StudyResult:
    if not isinstance(scenario, Scenario):
        scenario = load_scenario(scenario)
    with _draining(stop, ends_in_s=ends_in_s, margin_s=margin_s):
        async with AsyncExitStack() as stack:
            async with one_at_a_time(results / f".{scenario.name}.lock"):
                opened = open_study(scenario, results=results, new=new, fork=fork, provider=provider)
                terms = terms_of(opened, budget=scenario.budget)
                crew = await stack.enter_async_context(Crew(opened.folder, terms))
                is_first = crew.is_first and broker is None and bool(terms["providers"])
                first_lock = try_lock(opened.folder) if is_first else None
            client = None
            if terms["providers"]:
                client = Client(
                    opened.folder, terms, on_note=watch.note, first_lock=first_lock, address=broker, host=host
                )
                await stack.enter_async_context(client)
            result = await _play(
                opened, client=client, budget=scenario.budget, most_runs=most_runs, watch=watch, stop=stop
            )
            is_last = await crew.leave()
        return replace(result, n_taken_over=opened.n_taken_over, is_last=is_last)


async def _play(
    opened: Opened, *, client: Client | None, budget: float | None, most_runs: int, watch: Observer, stop: Stop
) -> StudyResult:
    clock = asyncio.get_running_loop().time
    began = clock()
    async with AsyncExitStack() as stack:
        ledger = None
        if opened.is_paid and budget is None:
            async with one_at_a_time(
                opened.folder / WORKERS / LOCK
            ):  # two that open it at once would refuse each other
                ledger = stack.enter_context(open_ledger(opened.folder, limit_usd=None, on_note=watch.note))
        accounts = Accounts(
            opened.catalogue,
            ledger=ledger,
            on_retry=watch.retry,
            on_width=watch.width,
            on_note=watch.note,
            gates=no_gate if client is None else partial(gate_of, opened, client=client, budget=budget),
        )
        stack.push_async_callback(accounts.aclose)
        stop.register(on_stop=accounts.drain, on_interrupt=watch.interrupted)

        async def play(spec: RunSpec) -> RunState:
            state = await opened.sitting(spec, accounts=accounts, observer=watch, stop=stop).play()
            if not state.is_held:
                watch.run_closed(spec.name, state)
            return state

        states = await Claims(
            opened.folder, opened.specs, play=play, note=watch.note, stop=stop, most=most_runs
        ).play_all()
    if client is not None:
        await _unless_at_once(client.settled(), stop)
    return StudyResult(opened.folder, states, wall_s=clock() - began)


async def _unless_at_once(waiting: Coroutine[Any, Any, None], stop: Stop) -> None:
    """Wait for something, but no longer than the user or the walltime allows."""
    tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(waiting), asyncio.ensure_future(stop.now.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


@contextmanager
def _draining(stop: Stop, *, ends_in_s: float | None, margin_s: float) -> Iterator[None]:
    """Drain a worker in time before it has to end, and on SIGUSR1."""
    loop = asyncio.get_running_loop()
    timers = []
    if ends_in_s is not None:
        timers = [
            loop.call_later(ends_in_s - margin_s, stop.drain),
            loop.call_later(ends_in_s - LEAST_S, stop.now.set),
        ]
    has_signal = False
    with suppress(ValueError, RuntimeError):  # signals reach the main thread only
        loop.add_signal_handler(signal.SIGUSR1, stop.drain)
        has_signal = True
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()
        if has_signal:
            loop.remove_signal_handler(signal.SIGUSR1)
