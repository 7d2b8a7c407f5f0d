"""How many calls are under way adapts to what a server refuses, in virtual time."""

from __future__ import annotations

import asyncio
from collections import deque
from random import Random

import pytest

from agentsim.errors import NotSent, RateLimited
from agentsim.providers.account import Account
from agentsim.providers.base import Completion, Prompt
from agentsim.providers.limits.halt import Halt
from agentsim.providers.limits.places import Places, Width
from agentsim.providers.settings import ProviderSettings
from agentsim.testing import FunctionProvider
from agentsim.testing.virtual import virtually
from tests.providers.limits.scripted import COMPLETION, PROMPT

CALL_S = 2.0
REFUSAL_S = 0.05


class Strict(FunctionProvider):
    """Refuses calls beyond so many at a time, or in any minute, or at random; refused ones count in the minute."""

    def __init__(
        self, *, at_a_time: int = 10**9, a_minute: int = 10**9, at_random: float = 0.0, rest_s: float = 1.0
    ) -> None:
        super().__init__(self.answered)
        self.at_a_time, self.a_minute, self.at_random, self.rest_s = at_a_time, a_minute, at_random, rest_s
        self.draw = Random(1)
        self.n_in_flight = self.n_answered = self.n_calls = 0
        self.begun: deque[float] = deque()

    async def answered(self, prompt: Prompt) -> Completion:
        now = asyncio.get_running_loop().time()
        self.n_calls += 1
        while self.begun and self.begun[0] <= now - 60:
            self.begun.popleft()
        wait_s = self.rest_s if len(self.begun) < self.a_minute else self.begun[-self.a_minute] + 60 - now
        is_refused = (
            len(self.begun) >= self.a_minute
            or self.n_in_flight >= self.at_a_time
            or self.draw.random() < self.at_random
        )
        self.begun.append(now)
        if is_refused:
            await asyncio.sleep(REFUSAL_S)
            raise RateLimited("slow down", retry_after_s=wait_s)
        self.n_in_flight += 1
        await asyncio.sleep(CALL_S)
        self.n_in_flight -= 1
        self.n_answered += 1
        return COMPLETION


def asked(server: Strict, n: int, *, concurrency: int = 32) -> tuple[float, list[int]]:
    """Ask so many questions; return the seconds and the numbers of places there were."""
    widths: list[int] = []

    async def main() -> float:
        settings = ProviderSettings(base_url="http://127.0.0.1:9", concurrency=concurrency, attempts=1000)
        account = Account("server", settings, server, on_width=widths.append)
        outcomes = await asyncio.gather(*(account.complete(PROMPT) for _ in range(n)))
        assert outcomes == [COMPLETION] * n
        return asyncio.get_running_loop().time()

    return virtually(main()), widths


def test_an_unknown_limit_of_calls_at_a_time_is_found_at_little_cost() -> None:
    server = Strict(at_a_time=8)
    seconds, widths = asked(server, 4000)
    assert server.n_calls / server.n_answered <= 1.05
    assert seconds <= 1.15 * 4000 * CALL_S / 8
    assert set(widths[-3:]) <= {8, 9}


def test_an_unknown_limit_of_requests_a_minute_is_found_at_little_cost() -> None:
    server = Strict(a_minute=500)
    seconds, _ = asked(server, 3000)
    assert server.n_calls / server.n_answered <= 1.05
    assert seconds <= 1.1 * 3000 / 500 * 60


@pytest.mark.parametrize(("share", "slower"), [(0.1, 1.25), (0.5, 2.5)])
def test_refusals_at_random_do_not_make_it_slow(share: float, slower: float) -> None:
    n = 4000
    server = Strict(at_random=share)
    seconds, widths = asked(server, n)
    assert seconds <= slower * n * CALL_S / 32
    assert server.n_calls <= n * (1.15 if share < 0.2 else 2.1)
    assert widths[-1] == 32 or max(widths[-4:]) == 32


def test_refusals_at_random_that_ask_for_a_long_rest_are_no_limit_of_the_minute() -> None:
    server = Strict(at_random=0.1, rest_s=10.0)
    seconds, _ = asked(server, 2000)
    rests = 1 + 0.1 * 10.0 / CALL_S  # a place that was refused rests
    assert seconds <= 2.0 * rests * 2000 * CALL_S / 32  # once it is tried, in vain, whether fewer places help


def test_the_pace_is_forgotten_when_the_limit_of_the_minute_is_lifted() -> None:
    server = Strict(a_minute=200)

    async def main() -> float:
        settings = ProviderSettings(base_url="http://127.0.0.1:9", concurrency=32, attempts=1000)
        account = Account("server", settings, server)
        clock = asyncio.get_running_loop().time
        await asyncio.gather(*(account.complete(PROMPT) for _ in range(800)))
        server.a_minute = 10**9
        await asyncio.gather(*(account.complete(PROMPT) for _ in range(4000)))
        began = clock()
        await asyncio.gather(*(account.complete(PROMPT) for _ in range(1600)))
        return clock() - began

    assert virtually(main()) <= 1.05 * 1600 * CALL_S / 32


def test_places_come_back_when_the_limit_is_lifted() -> None:
    server = Strict(at_a_time=4)

    async def main() -> list[int]:
        widths: list[int] = []
        settings = ProviderSettings(base_url="http://127.0.0.1:9", concurrency=32, attempts=1000)
        account = Account("server", settings, server, on_width=widths.append)
        await asyncio.gather(*(account.complete(PROMPT) for _ in range(400)))
        assert widths[-1] <= 5
        server.at_a_time = 1000
        await asyncio.gather(*(account.complete(PROMPT) for _ in range(3000)))
        return widths

    assert virtually(main())[-1] == 32


def test_there_are_never_more_places_than_stated_and_never_none() -> None:
    for seed in range(50):
        draw = Random(seed)
        width = Width(draw.choice([1, 2, 5, 32]))
        most = width.limit
        for _ in range(3000):
            is_refused = draw.random() < draw.choice([0, 0.1, 0.9])
            width.count(width.window, in_use=draw.randrange(1, most + 1), seconds=1.0, is_refused=is_refused)
            assert 1 <= width.limit <= most


def test_where_nobody_is_refused_nobody_is_told_of_a_change() -> None:
    told: list[int] = []
    width = Width(3, on_change=told.append)
    for _ in range(500):
        width.count(width.window, in_use=3, seconds=1.0, is_refused=False)
    assert told == [] and width.limit == 3


def test_a_place_that_was_refused_rests() -> None:
    async def main() -> float:
        places = Places(1)
        await places.take()
        places.leave(rest_s=7.0)
        await places.take()
        return asyncio.get_running_loop().time()

    assert virtually(main()) == 7.0


def test_the_longest_chain_of_calls_goes_first_then_who_came_first() -> None:
    served: list[str] = []

    async def call(places: Places, name: str, n_after: int) -> None:
        await places.take(n_after)
        served.append(name)
        places.leave()

    async def main() -> None:
        places = Places(1)
        await places.take()
        calls = [
            asyncio.create_task(call(places, name, n_after))
            for name, n_after in (("a", 1), ("b", 7), ("c", 1), ("d", 7))
        ]
        await asyncio.sleep(0)
        places.leave()
        await asyncio.gather(*calls)

    virtually(main())
    assert served == ["b", "d", "a", "c"]


def test_a_halt_sends_away_who_waits_even_for_a_resting_place() -> None:
    async def main() -> float:
        places, halt = Places(1), Halt()

        async def take() -> None:
            async with halt.cuts():
                await places.take()

        await places.take()
        places.leave(rest_s=60.0)
        waiting = asyncio.create_task(take())
        await asyncio.sleep(1)
        halt.begin()
        with pytest.raises(NotSent):
            await waiting
        with pytest.raises(NotSent):
            await take()
        return asyncio.get_running_loop().time()

    assert virtually(main()) == 1.0


def test_a_place_given_to_a_call_that_is_cancelled_in_that_moment_is_not_lost() -> None:
    async def main() -> None:
        places = Places(1)
        await places.take()
        waiting = asyncio.create_task(places.take())
        await asyncio.sleep(0)
        places.leave()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        async with asyncio.timeout(1):
            await places.take()

    virtually(main())
