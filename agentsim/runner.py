"""Plays studies: every run of a scenario side by side, each from where its log ends. A fresh run is an empty log."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TypeVar

from agentsim.errors import LogError
from agentsim.history import ReplayState, replay
from agentsim.players import rehearsed
from agentsim.prompts import PromptSet
from agentsim.providers.accounts import Accounts
from agentsim.providers.base import Provider
from agentsim.providers.ledger import Ledger
from agentsim.providers.prices import Price, cost_usd
from agentsim.runlog import LOG_NAME, Reply, RunStarted, note_sitting, read_log, seems_closed
from agentsim.scenario import ModelPlayer, RunSpec, Scenario, digest, runs
from agentsim.sitting import Observer, RunState, Silent, Sitting, Stop
from agentsim.user_settings import with_own

__all__ = [
    "Observer",
    "ReplayState",
    "RunState",
    "StudyResult",
    "open_ledger",
    "replay",
    "run",
    "run_async",
    "study_folder",
    "to_its_end",
    "versions_now",
]

Played = TypeVar("Played")

MAX_OPEN_RUNS = 64
"""Societies driven side by side; each holds one open file."""


@dataclass(frozen=True)
class StudyResult:
    """What `run` leaves: a folder, and how each run ended."""

    folder: Path
    runs: tuple[RunState, ...]
    wall_s: float = 0.0
    """Seconds this sitting took."""
    least_s: float = 0.0
    """The least it could have taken with these answers under these limits."""
    bound_by: str = ""
    """What that least is due to: the longest chain of calls, or a limit of an account."""

    @property
    def is_complete(self) -> bool:
        """Whether every run is complete."""
        return all(state.status == "complete" for state in self.runs)

    @property
    def is_interrupted(self) -> bool:
        """Whether the user stopped it."""
        return any(state.status == "interrupted" for state in self.runs)


def run(
    scenario: Scenario,
    *,
    results: Path | str = Path("results"),
    new: bool = False,
    observer: Observer | None = None,
    provider: Provider | None = None,
) -> StudyResult:
    """Play every run of the scenario, or go on with those that are not complete; see `run_async`.

    Works in a script, and in a notebook whose event loop is running (then on a thread of its own). In a main thread,
    the first Ctrl-C lets the calls in flight come in and be stored, the second drops them.
    """

    return to_its_end(
        lambda stop: _play_study(scenario, results=results, new=new, observer=observer, provider=provider, stop=stop)
    )


def to_its_end(play: Callable[[Stop], Awaitable[Played]]) -> Played:
    """Run what plays, in a script or beside a notebook's event loop, and let Ctrl-C stop it in an orderly way."""

    async def playing() -> Played:
        stop = Stop()
        with _signals(stop):
            return await play(stop)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(playing())
    with ThreadPoolExecutor(1, thread_name_prefix="agentsim-run") as thread:
        return thread.submit(asyncio.run, playing()).result()


async def run_async(
    scenario: Scenario,
    *,
    results: Path | str = Path("results"),
    new: bool = False,
    observer: Observer | None = None,
    provider: Provider | None = None,
) -> StudyResult:
    """Play every run of the scenario side by side, or go on with those that are not complete.

    Args:
        scenario: what to play.
        results: the folder that holds, or will hold, the study's folder.
        new: start a new study beside an older one of the same name, instead of going on with it.
        observer: watches.
        provider: answers in place of the scenario's own accounts, for tests and for models agentsim does not know.

    Raises:
        AuthError, ModelFileError: a key or the weights of a model are missing; nothing has been asked.
        ScenarioError: the prompt set is wrong.
        LogError: the study's folder cannot be written.
    """
    return await _play_study(scenario, results=results, new=new, observer=observer, provider=provider, stop=Stop())


async def _play_study(
    scenario: Scenario,
    *,
    results: Path | str,
    new: bool,
    observer: Observer | None,
    provider: Provider | None,
    stop: Stop,
) -> StudyResult:
    specs = runs(scenario)
    watch = observer or Silent()
    prompts = rehearsed(spec.condition for spec in specs)
    accounts = Accounts(with_own(scenario.providers), environ=os.environ, on_retry=watch.retry, on_width=watch.width)
    if provider is None:
        for spec in specs:
            if isinstance(spec.condition.players, ModelPlayer):
                players = spec.condition.players
                accounts.check(players.model)
                if scenario.budget is not None:
                    accounts.check_price(players.model, max_tokens=players.max_tokens)
    folder = study_folder(Path(results), scenario.name, new=new)
    _write_study(folder, scenario, specs)
    models = {spec.condition.players.model for spec in specs if isinstance(spec.condition.players, ModelPlayer)}
    is_paid = provider is None and any(accounts.is_paid(model) for model in models)
    with open_ledger(folder, limit_usd=scenario.budget) if is_paid else nullcontext() as ledger:
        if ledger is not None:
            accounts.book_in(ledger)
        return await _play_runs(
            specs, folder, prompts=prompts, accounts=accounts, provider=provider, watch=watch, stop=stop
        )


async def _play_runs(
    specs: list[RunSpec],
    folder: Path,
    *,
    prompts: dict[str, PromptSet],
    accounts: Accounts,
    provider: Provider | None,
    watch: Observer,
    stop: Stop,
) -> StudyResult:
    stop.on_stop = accounts.drain
    clock = asyncio.get_running_loop().time
    began = clock()
    versions = versions_now()
    gate = asyncio.Semaphore(MAX_OPEN_RUNS)

    async def play(spec: RunSpec) -> RunState:
        async with gate:
            voice = None
            if isinstance(spec.condition.players, ModelPlayer):
                voice = provider or accounts.open(spec.condition.players.model)
            sitting = Sitting(
                spec,
                folder,
                prompts=prompts[digest(spec.condition, seed=0)],
                account=accounts.describe(spec.condition.players.model) if provider is None and voice else {},
                versions=versions,
                provider=voice,
                observer=watch,
                stop=stop,
            )
            state = await sitting.play()
            watch.run_closed(spec.name, state)
            return state

    # What is not complete comes first: a first call does not wait until all that is complete has been looked at.
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
    note_sitting(folder, {state.run: state.reason for state in states if state.status != "complete"})
    return StudyResult(folder, states, wall_s=wall_s, least_s=bounds[bound_by], bound_by=bound_by)


@contextmanager
def open_ledger(folder: Path, *, limit_usd: float | None) -> Iterator[Ledger]:
    """Open the study's ledger; it begins with the calls of which the logs know."""
    with Ledger(folder, limit_usd=limit_usd) as ledger:
        if ledger.is_new:
            n_calls, usd = _calls_before(folder)
            if n_calls:
                ledger.carry(usd, n_calls=n_calls)
        yield ledger


def _calls_before(folder: Path) -> tuple[int, float | None]:
    """Return how many replies a study's logs hold, but of models on this machine, and what they have cost (US dollars).

    The cost is `None` where that of any of them is not known.
    """
    costs: list[float | None] = []
    for path in sorted(folder.glob(f"*/{LOG_NAME}")):
        records = read_log(path.parent).records
        started = next((record for record in records if isinstance(record, RunStarted)), None)
        if started is None or started.account.get("dialect") == "local":
            continue
        known = started.account.get("price")
        price = None if known is None else Price.model_validate(known)
        usages = [record.completion.usage for record in records if isinstance(record, Reply)]
        costs += [None if price is None else cost_usd(price, usage) for usage in usages]
    return len(costs), None if None in costs else sum(filter(None, costs))


def versions_now() -> dict[str, str]:
    """Return the versions that a result may hang on."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in ("agentsim", "openai", "anthropic", "xllamacpp", "pydantic", "jinja2"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def study_folder(results: Path, name: str, *, new: bool) -> Path:
    """Return the folder of a study, made where it is not there yet; `new`: one beside those of earlier studies.

    Raises:
        LogError: it cannot be made.
    """
    folder = results / name
    number = 2
    while new and folder.exists():
        folder = results / f"{name}-{number}"
        number += 1
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LogError(f"{folder}: cannot be made ({error.strerror}); name another place with --results") from error
    return folder


def _write_study(folder: Path, scenario: Scenario, specs: list[RunSpec]) -> None:
    """Write what the study is; runs of an earlier sitting (other seeds, another model) stay listed."""
    path = folder / "study.json"
    try:
        earlier = json.loads(path.read_text()) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise LogError(f"{path}: cannot be read ({error}); delete it, it is written anew") from error
    listed = {
        spec.name: {"seed": spec.seed, "settings": spec.settings, "digest": digest(spec.condition, seed=spec.seed)}
        for spec in specs
    }
    study = {
        "study": folder.name,
        "scenario": scenario.model_dump(mode="json"),
        "runs": {**earlier.get("runs", {}), **listed},
        "versions": versions_now(),
    }
    temporary = path.with_suffix(".tmp")
    try:
        temporary.write_text(json.dumps(study, indent=2, ensure_ascii=False) + "\n")
        temporary.replace(path)
    except OSError as error:
        raise LogError(f"{path}: cannot be written ({error.strerror})") from error


@contextmanager
def _signals(stop: Stop) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM stop the study in an orderly way; only a main thread may ask for that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    earlier = [signal.getsignal(number) for number in numbers]
    for number in numbers:
        loop.add_signal_handler(number, stop.interrupt)
    try:
        yield
    finally:
        for number, handler in zip(numbers, earlier, strict=True):
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
