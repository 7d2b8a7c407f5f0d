"""The broker keeps limits and a budget over all workers, and is replaced without losing or doubling anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agentsim.errors import BudgetReached, LogError
from agentsim.log.crew import WORKERS, take
from agentsim.orchestrator.engines.broker import Broker, try_lock
from agentsim.orchestrator.engines.client import AccountGate, Client
from agentsim.orchestrator.engines.journal import Journal
from agentsim.orchestrator.engines.shared_limits import SharedLimits
from agentsim.orchestrator.engines.wire import Line, Message, read_address
from agentsim.providers.base import PLAIN, Completion, Prompt, Sampling, Usage
from agentsim.providers.base import Message as Words
from agentsim.providers.ledger import read_ledger
from agentsim.providers.limits.gate import Lease
from agentsim.providers.prices import Price

PRICE = Price(input=0, output=1, source="test")
PROMPT = Prompt(model="any", messages=(Words(role="user", content="?"),), sampling=Sampling(max_tokens=1_000_000))
"""Costs a dollar at most."""
HALF = Completion(
    text="x", model="any", finish_reason="stop", latency_s=1, usage=Usage(input_tokens=1, output_tokens=500_000)
)
"""Cost half a dollar."""


def terms(*, budget: float | None = None, **limits: Any) -> dict[str, Any]:
    account = {"concurrency": 32, "requests_per_minute": None, "tokens_per_minute": None, "prices": {}, **limits}
    return {"budget": budget, "providers": {"mine": account}}


@asynccontextmanager
async def brokered(folder: Path, **changed: Any) -> AsyncIterator[Broker]:
    """A broker that no worker hosts."""
    (folder / WORKERS).mkdir(exist_ok=True)
    lock = try_lock(folder)
    assert lock is not None
    broker = Broker(folder, terms(**changed), lock=lock, is_first=True)
    await broker.open()
    try:
        yield broker
    finally:
        await broker.aclose()


def client(folder: Path, **changed: Any) -> Client:
    return Client(folder, terms(**changed), on_note=lambda note: None)


def gate(client: Client, *, budget: float | None = None, tokens_per_minute: int | None = None) -> AccountGate:
    price: Callable[[str], Price] | None = None if budget is None else lambda model: PRICE
    return AccountGate(client, "mine", account="mine", tokens_per_minute=tokens_per_minute, price=price)


def asking(gate: AccountGate, n: int) -> list[asyncio.Task[Lease]]:
    return [asyncio.create_task(gate.acquire(PROMPT, PLAIN)) for _ in range(n)]


async def settles(condition: Callable[[], bool]) -> None:
    """Wait until something is so; the test's own time limit is what fails otherwise."""
    while not condition():  # noqa: ASYNC110 - sockets and threads are between
        await asyncio.sleep(0.01)


def n_done(tasks: list[asyncio.Task[Lease]]) -> int:
    return sum(task.done() for task in tasks)


async def test_places_are_those_of_all_workers_and_end_with_them(tmp_path: Path) -> None:
    async with brokered(tmp_path, concurrency=3), client(tmp_path, concurrency=3) as one:
        async with client(tmp_path, concurrency=3) as other:
            ours, theirs = asking(gate(one), 2), asking(gate(other), 4)
            await settles(lambda: n_done(ours + theirs) == 3)
            await asyncio.sleep(0.1)
            assert n_done(ours + theirs) == 3
            next(task for task in ours + theirs if task.done()).result().release()
            await settles(lambda: n_done(ours + theirs) == 4)
        more = asking(gate(one), 3 - n_done(ours))
        await settles(lambda: n_done(ours + more) == 3)  # the other's places are free
        for task in theirs:
            task.cancel()


async def test_the_call_that_most_calls_must_follow_goes_first_whoever_asks_it(tmp_path: Path) -> None:
    async with (
        brokered(tmp_path, concurrency=1) as broker,
        client(tmp_path, concurrency=1) as one,
        client(tmp_path, concurrency=1) as other,
    ):
        [first] = asking(gate(one), 1)
        lease, order = await first, list[int]()

        async def ask(whom: Client, n_after: int) -> None:
            await whom.acquire("mine", n_after=n_after, tokens=0, money=None)
            order.append(n_after)

        waiting = [asyncio.create_task(ask(*wish)) for wish in ((one, 1), (other, 7), (one, 3))]
        await settles(lambda: len(broker._wishes) == 3)
        lease.release()
        await settles(lambda: bool(order))
        assert order == [7]
        for task in waiting:
            task.cancel()


async def test_a_budget_is_passed_by_nobody_however_many_workers_spend(tmp_path: Path) -> None:
    refused = list[BudgetReached]()

    async def spend(gate: AccountGate) -> None:
        try:
            while True:
                lease = await gate.acquire(PROMPT, PLAIN)
                await lease.answered(HALF)
                lease.release()
        except BudgetReached as error:
            refused.append(error)

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(brokered(tmp_path, budget=7.25))
        clients = [await stack.enter_async_context(client(tmp_path, budget=7.25)) for _ in range(3)]
        await asyncio.gather(*(spend(gate(one, budget=7.25)) for one in clients for _ in range(4)))
    assert len(refused) == 12 and "the budget of $7.25 is reached: $6.5" in str(refused[-1])
    ledger = read_ledger(tmp_path)
    assert ledger is not None and ledger.spent_usd == 6.5 and ledger.n_answered == 13 and not ledger.open


async def test_a_broker_that_is_lost_is_replaced_by_a_worker_and_no_dollar_is_lost_or_doubled(tmp_path: Path) -> None:
    limits: dict[str, Any] = {"budget": 9.0, "concurrency": 5}
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(AsyncExitStack())
        await broker.enter_async_context(brokered(tmp_path, **limits))
        one, other = [await stack.enter_async_context(client(tmp_path, **limits)) for _ in range(2)]
        ours, theirs = gate(one, budget=9.0), gate(other, budget=9.0)
        for who in (ours, theirs, ours):  # calls under a budget begin one at a time
            lease = await who.acquire(PROMPT, PLAIN)
            await lease.answered(HALF)
            lease.release()
        held = [await who.acquire(PROMPT, PLAIN) for who in (ours, theirs, theirs)]
        before = read_address(tmp_path / WORKERS)
        await broker.aclose()
        reports = [asyncio.create_task(lease.answered(HALF)) for lease in held[:2]]  # to whoever comes next
        await asyncio.gather(*reports)
        after = read_address(tmp_path / WORKERS)
        assert after is not None and after != before and after.worker in (one.name, other.name)
        held[2].lost()
        more = asking(ours, 3)
        await settles(lambda: n_done(more) == 2)
        await asyncio.sleep(0.1)
        assert n_done(more) == 2  # three places are still taken by calls of the old broker's time
        held[0].release()
        await settles(lambda: n_done(more) == 3)
        for task in more:
            task.result().unbilled()
        await one.settled()
        await other.settled()
    ledger = read_ledger(tmp_path)
    assert ledger is not None and ledger.n_answered == 5
    assert ledger.spent_usd == 2.5 + 1.0 and len(ledger.open) == 1  # what may be billed counts whole


async def test_a_grant_that_never_reached_its_worker_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(AsyncExitStack())
        await broker.enter_async_context(brokered(tmp_path, budget=9.0))
        one = await stack.enter_async_context(client(tmp_path, budget=9.0))
        granted, send = asyncio.Event(), Line.send

        def swallow(line: Line, message: Message) -> None:
            if message.get("op") == "granted" and not granted.is_set():
                granted.set()
            else:
                send(line, message)

        monkeypatch.setattr(Line, "send", swallow)
        [asked] = asking(gate(one, budget=9.0), 1)
        await granted.wait()
        await broker.aclose()
        lease = await asked
        await lease.answered(HALF)
    ledger = read_ledger(tmp_path)
    assert ledger is not None and not ledger.open and ledger.spent_usd == 0.5


async def test_a_stranger_gets_nothing(tmp_path: Path) -> None:
    async with brokered(tmp_path):
        address = read_address(tmp_path / WORKERS)
        assert address is not None and (tmp_path / WORKERS / "broker.json").stat().st_mode & 0o077 == 0
        guessed = Client(tmp_path, terms(), on_note=lambda note: None, address=address._replace(token="guessed"))
        entering = asyncio.create_task(guessed.__aenter__())
        await asyncio.sleep(0.2)
        assert not entering.done()
        entering.cancel()
        await guessed.aclose()


def new_lock(folder: Path) -> int | None:
    """As on a file system that forgets: whoever asks gets it."""
    return take(folder / WORKERS / "another.lock")


async def test_where_a_lock_of_another_machine_does_not_hold_no_worker_joins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with brokered(tmp_path):
        monkeypatch.setattr("agentsim.orchestrator.engines.client.boot_id", lambda: "another machine")
        async with client(tmp_path):
            pass  # its lock is seen from there
        monkeypatch.setattr("agentsim.orchestrator.engines.client.try_lock", new_lock)
        with pytest.raises(LogError, match=r"locks that the machine 127\.0\.0\.1 holds do not hold on this one"):
            async with client(tmp_path):
                pass


class Clock:
    """A clock that is moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def most_in_60_s(times: list[float]) -> int:
    return max(sum(at - 60 < other <= at for other in times) for at in times)


@pytest.mark.parametrize("per_minute", [7, 120, 600])
def test_no_minute_has_too_many_requests_though_brokers_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, per_minute: int
) -> None:
    clock, times = Clock(monkeypatch), list[float]()
    account = terms(requests_per_minute=per_minute, concurrency=10_000)["providers"]["mine"]
    for sitting in range(5):
        journal = Journal(tmp_path / "leases.jsonl")
        limits = SharedLimits(account)
        for past in journal.past.values():
            limits.restore(past)
        until = clock.now + 37
        while clock.now < until:
            wait_s = limits.wait_s(0)
            if wait_s > 0:
                clock.now += wait_s + 0.001 * (len(times) % 3)  # loops wake a little late
                continue
            past = journal.granted(f"x-{sitting}-{len(times)}", "mine", 0)
            limits.take(past)
            times.append(clock.now)
        journal.close()
    assert most_in_60_s(times) <= per_minute
    assert 60 * (len(times) - 1) / (times[-1] - times[0]) > 0.97 * per_minute


def test_tokens_of_a_minute_are_those_of_all_and_become_what_was_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    journal, limits = (
        Journal(tmp_path / "leases.jsonl"),
        SharedLimits(terms(tokens_per_minute=100)["providers"]["mine"]),
    )
    first = journal.granted("x-1", "mine", 80)
    limits.take(first)
    assert limits.wait_s(30) == pytest.approx(60.5)
    journal.corrected(first, 10)
    assert limits.wait_s(30) == 0
    limits.take(journal.granted("x-2", "mine", 90))
    assert limits.wait_s(500) == pytest.approx(60.5)  # beyond the limit: alone
    clock.now += 61
    assert limits.wait_s(500) == 0


def test_on_another_machine_a_minute_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    Journal(tmp_path / "leases.jsonl").close()
    monkeypatch.setattr("agentsim.orchestrator.engines.journal.boot_id", lambda: "another")
    assert Journal(tmp_path / "leases.jsonl").closed_until == clock.now + 61
    assert Journal(tmp_path / "leases.jsonl").closed_until == clock.now + 61  # also for the next one there
