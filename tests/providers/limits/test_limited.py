"""An account's limits, in virtual time."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import asyncio_throttle.throttler
import pytest

from agentsim.errors import NotSent, RateLimited, Unavailable
from agentsim.providers.account import Account
from agentsim.providers.base import Completion, Prompt
from agentsim.providers.limits.limited import Limited
from agentsim.providers.limits.retried import Retried
from agentsim.providers.settings import ProviderSettings
from agentsim.testing.virtual import virtually
from tests.providers.limits.scripted import COMPLETION, PROMPT, Gated, Scripted


class Clock:
    """Time that passes only where someone sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(asyncio_throttle.throttler, "time", SimpleNamespace(monotonic=clock.monotonic))
    monkeypatch.setattr(asyncio_throttle.throttler, "asyncio", SimpleNamespace(sleep=clock.sleep))
    return clock


async def test_no_more_calls_than_the_concurrency_are_in_flight() -> None:
    gated = Gated()
    limited = Limited(gated, concurrency=3, requests_per_minute=None)
    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(limited.complete(PROMPT))
        while gated.n_in_flight < 3:  # noqa: ASYNC110  # one turn of the loop, not a wait
            await asyncio.sleep(0)
        gated.gate.set()
    assert gated.most_in_flight == 3


async def test_a_draining_account_sends_nothing_more_and_lets_what_is_sent_come_in() -> None:
    gated = Gated()
    limited = Limited(gated, concurrency=2, requests_per_minute=None)
    retried = Retried(limited, attempts=3, max_wait_s=1)
    calls = [asyncio.create_task(retried.complete(PROMPT)) for _ in range(5)]
    while gated.n_in_flight < 2:  # noqa: ASYNC110  # one turn of the loop, not a wait
        await asyncio.sleep(0)
    limited.drain()
    gated.gate.set()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert outcomes[:2] == [COMPLETION] * 2 and [type(outcome) for outcome in outcomes[2:]] == [NotSent] * 3


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"requests_per_minute": 1}, None),
        ({"tokens_per_minute": 1}, None),
        ({"concurrency": 1}, RateLimited("slow down", retry_after_s=50.0)),
        ({}, RateLimited("slow down", retry_after_s=50.0)),
        ({}, Unavailable("the server is down", may_be_billed=False)),
    ],
    ids=["requests a minute", "tokens a minute", "a resting place", "a back-off", "an outage"],
)
def test_a_study_that_stops_cuts_every_wait_at_once(settings: dict[str, int], error: Exception | None) -> None:
    class Failing(Scripted):
        async def answered(self, prompt: Prompt) -> Completion:
            self.errors = [] if error is None else [error]
            return await super().answered(prompt)

    async def main() -> tuple[list[Completion | BaseException], float, bool]:
        checked = ProviderSettings.model_validate({"base_url": "http://127.0.0.1:9", "attempts": 1000, **settings})
        provider = Failing()
        account = Account("fake", checked, provider)
        calls = [asyncio.create_task(account.complete(PROMPT)) for _ in range(40)]
        await asyncio.sleep(99)  # between two moments at which calls are made again
        n_calls = provider.n_calls
        account.drain()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        return outcomes, asyncio.get_running_loop().time(), provider.n_calls == n_calls

    outcomes, ended, is_all = virtually(main())
    assert {type(outcome) for outcome in outcomes} <= {NotSent, Completion} and NotSent in map(type, outcomes)
    assert ended == pytest.approx(99) and is_all


async def test_cancelled_calls_give_their_places_back() -> None:
    gated = Gated()
    limited = Limited(gated, concurrency=2, requests_per_minute=None)
    calls = [asyncio.create_task(limited.complete(PROMPT)) for _ in range(6)]
    await asyncio.sleep(0)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    gated.gate.set()
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(limited.complete(PROMPT))


@pytest.mark.parametrize("per_minute", [1, 7, 60, 100, 500])
async def test_requests_are_paced_and_never_too_many_in_a_minute(per_minute: int, clock: Clock) -> None:
    begun: list[float] = []
    provider = Scripted(during=lambda: begun.append(clock.now))
    limited = Limited(provider, concurrency=10_000, requests_per_minute=per_minute)
    n_calls = 2 * per_minute + 1
    await asyncio.gather(*(limited.complete(PROMPT) for _ in range(n_calls)))
    assert all(late - early > 60 for early, late in zip(begun, begun[per_minute:], strict=False))
    assert max(sum(t <= begun_at < t + 1 for begun_at in begun) for t in begun) <= 2 * -(-per_minute // 60)
    assert begun[-1] - begun[0] <= 1.1 * 60 * (n_calls - 1) / per_minute


async def test_who_came_first_goes_first(clock: Clock) -> None:
    order: list[str] = []
    provider = Scripted()
    limited = Limited(provider, concurrency=100, requests_per_minute=60)

    async def call(name: str) -> None:
        await limited.complete(PROMPT)
        order.append(name)

    names = [f"{i}" for i in range(20)]
    await asyncio.gather(*(call(name) for name in names))
    assert order == names


async def test_a_call_cancelled_before_its_turn_spends_none_of_the_minute(clock: Clock) -> None:
    limited = Limited(Scripted(), concurrency=100, requests_per_minute=60)
    calls = [asyncio.create_task(limited.complete(PROMPT)) for _ in range(40)]
    await asyncio.sleep(0)
    for call in calls[1:]:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    started = clock.now
    await asyncio.gather(*(limited.complete(PROMPT) for _ in range(10)))
    assert clock.now - started < 15


@pytest.mark.parametrize(("concurrency", "per_minute"), [(0, None), (1, 0)])
def test_limits_that_let_nothing_through_are_refused(concurrency: int, per_minute: int | None) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Limited(Scripted(), concurrency=concurrency, requests_per_minute=per_minute)
