"""Limits and retries, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import asyncio_throttle.throttler
import pytest
import stamina
from hypothesis import given
from hypothesis import strategies as st

from agentsim.errors import BadRequest, NotSent, ProviderError, RateLimited, Unavailable
from agentsim.providers.accounts import Account, ProviderSettings
from agentsim.providers.base import Completion, Message, Prompt
from agentsim.providers.limits.wrappers import Limited, Retried
from agentsim.testing.virtual import virtually

PROMPT = Prompt(model="m", messages=(Message(role="user", content="How much?"),))
COMPLETION = Completion(text="4", model="m", finish_reason="stop", latency_s=0.1)


class Scripted:
    """Raises the errors given, one a call, then answers."""

    def __init__(self, *errors: Exception, during: Callable[[], object] = lambda: None) -> None:
        self.errors = list(errors)
        self.n_calls = 0
        self.is_closed = False
        self.during = during

    async def complete(self, prompt: Prompt) -> Completion:
        self.n_calls += 1
        self.during()
        if self.errors:
            raise self.errors.pop(0)
        return COMPLETION

    async def aclose(self) -> None:
        self.is_closed = True


class Gated:
    """Counts the calls in flight and holds them until the gate opens."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.n_in_flight = self.most_in_flight = 0

    async def complete(self, prompt: Prompt) -> Completion:
        self.n_in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.n_in_flight)
        try:
            await self.gate.wait()
        finally:
            self.n_in_flight -= 1
        return COMPLETION

    async def aclose(self) -> None: ...


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


@pytest.fixture
def no_waiting() -> Iterator[None]:
    """Keep every decision about retries, but wait for none."""
    with stamina.set_testing(True, attempts=1000, cap=True):
        yield


# --- Limited ---


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
        async def complete(self, prompt: Prompt) -> Completion:
            self.errors = [] if error is None else [error]
            return await super().complete(prompt)

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


# --- Retried ---


async def test_transient_errors_are_asked_again(no_waiting: None) -> None:
    told: list[tuple[str, float]] = []
    provider = Scripted(Unavailable("lost"), RateLimited("slow down", retry_after_s=2.0))
    retried = Retried(provider, attempts=5, max_wait_s=60, on_retry=lambda *args: told.append(args), draw=lambda: 0.5)
    assert await retried.complete(PROMPT) == COMPLETION
    assert provider.n_calls == 3
    assert told == [("lost", 0.375), ("slow down", 2.375)]


@pytest.mark.parametrize("error", [BadRequest("no such model"), KeyError("a bug")])
async def test_other_errors_are_raised_at_once(error: Exception) -> None:
    provider = Scripted(error)
    with pytest.raises(type(error)) as caught:
        await Retried(provider, attempts=5, max_wait_s=60).complete(PROMPT)
    assert caught.value is error
    assert provider.n_calls == 1


async def test_the_last_attempts_error_says_that_it_was_the_last(no_waiting: None) -> None:
    provider = Scripted(*[RateLimited("slow down", retry_after_s=1.0) for _ in range(9)])
    with pytest.raises(RateLimited, match=r"slow down \(given up after 4 attempts") as caught:
        await Retried(provider, attempts=4, max_wait_s=60).complete(PROMPT)
    assert provider.n_calls == 4
    assert caught.value.retry_after_s == 1.0


async def test_too_long_a_wait_is_not_waited_for() -> None:
    provider = Scripted(RateLimited("slow down", retry_after_s=3600.0))
    with pytest.raises(RateLimited, match="asks to wait 3600 s, longer than max_wait_s = 60"):
        await Retried(provider, attempts=5, max_wait_s=60).complete(PROMPT)
    assert provider.n_calls == 1


@given(
    n_failed=st.integers(1, 2000),
    asked_s=st.none() | st.floats(0, 60),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_waits_are_bounded_and_never_shorter_than_asked_for(n_failed: int, asked_s: float | None, draw: float) -> None:
    wait_s = Retried(Scripted(), attempts=9, max_wait_s=60, draw=lambda: draw)._wait_s(n_failed, asked_s=asked_s)
    assert (asked_s or 0) <= wait_s <= 60 * 1.25 + 0.25


async def test_a_call_that_waits_to_be_repeated_holds_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    limited = Limited(Scripted(Unavailable("lost")), concurrency=1, requests_per_minute=None)
    other: list[Completion] = []

    async def meanwhile(seconds: float) -> None:
        other.append(await limited.complete(PROMPT))

    monkeypatch.setattr("stamina._core._smart_sleep", meanwhile)
    assert await Retried(limited, attempts=2, max_wait_s=60).complete(PROMPT) == COMPLETION
    assert other == [COMPLETION]


async def test_retries_write_nothing_by_themselves(no_waiting: None, caplog: pytest.LogCaptureFixture) -> None:
    await Retried(Scripted(Unavailable("lost")), attempts=2, max_wait_s=60).complete(PROMPT)
    assert not caplog.records


async def test_layers_close_what_they_wrap() -> None:
    provider = Scripted()
    await Retried(Limited(provider, concurrency=1, requests_per_minute=60), attempts=1, max_wait_s=1).aclose()
    assert provider.is_closed


async def test_the_type_of_the_error_is_kept(no_waiting: None) -> None:
    with pytest.raises(ProviderError) as caught:
        await Retried(Scripted(Unavailable("lost")), attempts=1, max_wait_s=1).complete(PROMPT)
    assert type(caught.value) is Unavailable
