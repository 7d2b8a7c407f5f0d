"""A study is stopped the same way by Ctrl-C, a notebook's stop button, a hang-up or a cancelled task."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import start_new_async_kernel

import agentsim
from agentsim.errors import AgentsimError
from agentsim.experiments.contestants import contestants
from agentsim.experiments.invade import invasion, play_logged
from agentsim.experiments.probe import probe
from agentsim.experiments.probe_options import Options, designed
from agentsim.log.reading import read_log
from agentsim.log.records import Reply
from agentsim.orchestrator.observer import Observer
from agentsim.orchestrator.stop import Stop, to_its_end, unless_cancelled
from agentsim.providers.base import Completion, Prompt
from agentsim.testing.faultserver import Answer, FaultServer, Hang, Status
from tests.cli.test_cli import words
from tests.orchestrator.test_study import SMALL, Fake, scenario


class Interrupting(Fake, Observer):
    """Interrupts the study at its eighth call, and answers that and later ones once the study knows."""

    def __init__(self, interrupt: Callable[[], object]) -> None:
        super().__init__()
        self.interrupt = interrupt
        self.told = asyncio.Event()

    async def answered(self, prompt: Prompt) -> Completion:
        number = self.n_calls = self.n_calls + 1
        if number == 8:
            self.interrupt()
        if number >= 8:
            await self.told.wait()
        return Completion(text=self.text(prompt), model="fake-1", finish_reason="stop", latency_s=1.0)

    def interrupted(self, *, is_at_once: bool) -> None:
        assert not is_at_once
        self.told.set()


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def n_stored(folder: Path) -> int:
    return sum(
        isinstance(record, Reply) for path in folder.rglob("log.jsonl") for record in read_log(path.parent).records
    )


def played(tmp_path: Path, provider: Interrupting) -> object:
    return agentsim.run(scenario(), results=tmp_path, provider=provider, observer=provider)


def probed(tmp_path: Path, provider: Interrupting) -> object:
    path = tmp_path / "rules.yaml"
    path.write_text("name: asked\nplayers: {model: fake/model}\nproviders: {fake: {base_url: 'http://127.0.0.1:9'}}\n")
    asked, design = designed(path, Options(strategies=("to give half",)))
    return probe(asked, design, results=tmp_path, provider=provider, observer=provider)


def invaded(tmp_path: Path, provider: Interrupting) -> object:
    asked = invasion(
        contestants(["scripted/all-keep", "fake/model"]),
        agents=4,
        generations=3,
        seeds="0",
        name="invaded",
        sets=["providers.fake.base_url=http://127.0.0.1:9"],
    )
    return play_logged(asked, results=tmp_path, provider=provider, observer=provider)


@pytest.mark.parametrize("play", [played, probed, invaded])
async def test_a_notebooks_stop_button_lets_answers_on_their_way_come_in_and_ends_the_cell(
    tmp_path: Path, play: Callable[[Path, Interrupting], object]
) -> None:
    provider = Interrupting(press)
    with pytest.raises(KeyboardInterrupt, match="run it again to continue"):
        play(tmp_path, provider)
    assert n_stored(tmp_path) == provider.n_calls >= 8
    again = Interrupting(lambda: None)
    again.told.set()
    play(tmp_path, again)  # goes on, and ends
    assert n_stored(tmp_path) == provider.n_calls + again.n_calls


async def test_an_exception_that_a_users_own_handler_raises_stops_the_study_too(tmp_path: Path) -> None:
    class Alarm(Exception): ...

    def ring(*_: object) -> None:
        raise Alarm

    earlier = signal.signal(signal.SIGALRM, ring)
    try:
        provider = Interrupting(lambda: os.kill(os.getpid(), signal.SIGALRM))
        with pytest.raises(Alarm):
            played(tmp_path, provider)
    finally:
        signal.signal(signal.SIGALRM, earlier)
    assert n_stored(tmp_path) == provider.n_calls < 40


async def test_a_cancelled_study_lets_answers_on_their_way_come_in_first(tmp_path: Path) -> None:
    provider = Interrupting(lambda: task.cancel())  # noqa: PLW0108 - it does not exist yet
    task = asyncio.create_task(agentsim.run_async(scenario(), results=tmp_path, provider=provider, observer=provider))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert n_stored(tmp_path) == provider.n_calls < 40


@pytest.mark.parametrize("again", [lambda task: task.cancel(), lambda task: press()], ids=["cancelled", "Ctrl-C"])
async def test_a_study_that_is_cancelled_twice_drops_what_is_on_its_way(
    tmp_path: Path, again: Callable[[asyncio.Task[Any]], object]
) -> None:
    async with FaultServer([Answer(words)] * 5 + [Hang()]) as server:
        providers = {"fake": {"base_url": server.openai_url, "api_key_env": None}}
        task = asyncio.create_task(agentsim.run_async(scenario(providers=providers), results=tmp_path))
        await server.received(8)
        task.cancel()
        await asyncio.sleep(0)
        again(task)
        with pytest.raises(asyncio.CancelledError):
            await task
    assert n_stored(tmp_path) == 5


async def test_a_study_that_waits_to_ask_again_ends_at_once(tmp_path: Path) -> None:
    async with FaultServer([Answer(words)] * 5 + [Status(429, headers={"retry-after": "59"})]) as server:
        providers = {"fake": {"base_url": server.openai_url, "api_key_env": None}}
        task = asyncio.create_task(agentsim.run_async(scenario(providers=providers), results=tmp_path))
        await server.received(8)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(server.requests) < 12


@pytest.fixture
def handlers() -> Iterator[None]:
    """Let a test change what signals do."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    earlier = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in earlier.items():
        signal.signal(number, handler)


async def raising(stop: Stop, *numbers: int) -> tuple[bool, bool]:
    for number in numbers:
        os.kill(os.getpid(), number)
        # A thread that is not the main one has to wait until that has handled it.
        if signal.getsignal(number) is not signal.SIG_IGN:
            await stop.event.wait()
        await asyncio.sleep(0)
    return stop.event.is_set(), stop.now.is_set()


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(
    ("numbers", "is_stopped", "is_at_once"),
    [
        ([signal.SIGINT], True, False),
        ([signal.SIGINT, signal.SIGTERM], True, True),
        ([signal.SIGHUP, signal.SIGHUP], True, False),
        ([signal.SIGHUP, signal.SIGINT], True, True),
    ],
)
def test_what_signals_do(numbers: list[int], is_stopped: bool, is_at_once: bool) -> None:
    assert to_its_end(lambda stop: raising(stop, *numbers)) == (is_stopped, is_at_once)


@pytest.mark.usefixtures("handlers")
def test_a_hang_up_that_nohup_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert to_its_end(lambda stop: raising(stop, signal.SIGHUP)) == (False, False)


@pytest.mark.usefixtures("handlers")
async def test_a_notebook_that_is_told_to_end_ends_after_its_study() -> None:
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    with pytest.raises(KeyboardInterrupt):
        to_its_end(lambda stop: raising(stop, signal.SIGTERM))
    assert told == [signal.SIGTERM]


async def test_an_error_of_a_study_is_raised_as_it_is_in_a_notebook_and_a_task() -> None:
    async def fail(stop: Stop) -> None:
        raise AgentsimError("the reason")

    with pytest.raises(AgentsimError, match="the reason"):
        to_its_end(fail)
    with pytest.raises(AgentsimError, match="the reason"):
        await unless_cancelled(fail)


async def test_a_real_kernels_interrupt_stops_the_study_that_its_cell_runs(tmp_path: Path) -> None:
    async with FaultServer([Answer(words)] * 5 + [Status(429, headers={"retry-after": "59"})]) as server:
        providers = {"fake": {"base_url": server.openai_url, "api_key_env": None}}
        data = {**SMALL, "providers": providers}
        kernel, client = await start_new_async_kernel()
        try:
            code = f"import agentsim\nagentsim.run(agentsim.scenario_from({data!r}), results={str(tmp_path)!r})"
            cell = asyncio.create_task(client.execute_interactive(code, output_hook=lambda _: None))
            await server.received(8)
            await kernel.interrupt_kernel()
            reply = await cell
        finally:
            client.stop_channels()
            await kernel.shutdown_kernel(now=True)
        assert reply["content"]["ename"] == "KeyboardInterrupt"
        assert n_stored(tmp_path) == 5


def test_who_registers_late_is_told_at_once_what_has_happened() -> None:
    stop, told = Stop(), list[str]()

    def interrupted(*, is_at_once: bool) -> None:
        told.append(f"interrupted {is_at_once}")

    stop.register(on_stop=lambda: told.append("stop"), on_interrupt=interrupted)
    assert told == []
    stop.interrupt()
    assert told == ["stop", "interrupted False"]
    stop.register(on_stop=lambda: told.append("late stop"), on_interrupt=interrupted)
    assert told[2:] == ["late stop", "interrupted False"]
    stop.interrupt()
    assert told[4:] == ["stop", "late stop", "interrupted True", "interrupted True"]
