"""Calls that are made again, without waiting for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsim.errors import BadRequest, ProviderError, RateLimited, Unavailable
from agentsim.providers.base import Completion
from agentsim.providers.limits.limited import Limited
from agentsim.providers.limits.retried import Retried
from tests.providers.limits.scripted import COMPLETION, PROMPT, Scripted


async def at_once(seconds: float) -> None:
    """Wait for nothing."""


async def test_transient_errors_are_asked_again() -> None:
    told: list[tuple[str, float]] = []
    provider = Scripted(Unavailable("lost"), RateLimited("slow down", retry_after_s=2.0))
    retried = Retried(
        provider, attempts=5, max_wait_s=60, on_retry=lambda *args: told.append(args), draw=lambda: 0.5, sleep=at_once
    )
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


async def test_the_last_attempts_error_says_that_it_was_the_last() -> None:
    provider = Scripted(*[RateLimited("slow down", retry_after_s=1.0) for _ in range(9)])
    with pytest.raises(RateLimited, match=r"slow down \(given up after 4 attempts") as caught:
        await Retried(provider, attempts=4, max_wait_s=60, sleep=at_once).complete(PROMPT)
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


async def test_a_call_that_waits_to_be_repeated_holds_no_place() -> None:
    limited = Limited(Scripted(Unavailable("lost")), concurrency=1, requests_per_minute=None)
    other: list[Completion] = []

    async def meanwhile(seconds: float) -> None:
        other.append(await limited.complete(PROMPT))

    retried = Retried(limited, attempts=2, max_wait_s=60, sleep=meanwhile)
    assert await retried.complete(PROMPT) == COMPLETION
    assert other == [COMPLETION]


async def test_retries_write_nothing_by_themselves(caplog: pytest.LogCaptureFixture) -> None:
    await Retried(Scripted(Unavailable("lost")), attempts=2, max_wait_s=60, sleep=at_once).complete(PROMPT)
    assert not caplog.records


async def test_layers_close_what_they_wrap() -> None:
    provider = Scripted()
    await Retried(Limited(provider, concurrency=1, requests_per_minute=60), attempts=1, max_wait_s=1).aclose()
    assert provider.is_closed


async def test_the_type_of_the_error_is_kept() -> None:
    with pytest.raises(ProviderError) as caught:
        await Retried(Scripted(Unavailable("lost")), attempts=1, max_wait_s=1, sleep=at_once).complete(PROMPT)
    assert type(caught.value) is Unavailable
