"""Calls that hang are given up long after any answer would have come, and asked again with all the time there is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from agentsim.errors import Unavailable
from agentsim.providers.account import Account
from agentsim.providers.base import Completion, Prompt
from agentsim.providers.ledger import Booked, Ledger, read_ledger
from agentsim.providers.limits.early_timeout import Patient
from agentsim.providers.settings import ProviderSettings
from agentsim.testing import FunctionProvider
from agentsim.testing.virtual import virtually
from agentsim.testing.weather import lognormal
from tests.providers.limits.scripted import COMPLETION, PROMPT

HANG_S = 120.0


class Slow(FunctionProvider):
    """Answers after as many seconds as it is told; what takes longer than its deadline never comes."""

    def __init__(self, *latencies: float, then: Callable[[], float] = lambda: 1.0) -> None:
        super().__init__(self.answered)
        self.latencies, self.then = list(latencies), then
        self.n_calls = self.n_cut = 0

    async def answered(self, prompt: Prompt) -> Completion:
        self.n_calls += 1
        seconds = self.latencies.pop(0) if self.latencies else self.then()
        try:
            await asyncio.sleep(min(seconds, HANG_S))
        except asyncio.CancelledError:
            self.n_cut += 1
            raise
        if seconds >= HANG_S:
            raise Unavailable("no whole answer within 120 s", is_late=True)
        return COMPLETION.model_copy(update={"latency_s": seconds})


def account(server: Slow, **settings: object) -> tuple[Account, list[str]]:
    said: list[str] = []
    checked = ProviderSettings.model_validate({"base_url": "http://127.0.0.1:9", **settings})
    return Account("server", checked, server, on_retry=lambda message, wait_s: said.append(message)), said


def asked(server: Slow, n: int, **settings: object) -> tuple[float, list[str]]:
    """Ask so many questions one after the other; return the seconds and what was said of repeated calls."""
    opened, said = account(server, **settings)

    async def main() -> float:
        for _ in range(n):
            await opened.complete(PROMPT)
        return asyncio.get_running_loop().time()

    return virtually(main()), said


def test_a_call_that_hangs_is_given_up_soon_and_asked_again_at_once_and_said() -> None:
    seconds, said = asked(Slow(*[1.0] * 200, 1e9), 201)
    assert seconds == 200 + 5 + 1
    assert said == [
        "no answer of 'm' within 5 s, where the slowest of its last 200 took 1 s; it is asked again with 120 s"
    ]


def test_the_slowest_answer_says_how_long() -> None:
    seconds, _ = asked(Slow(50.0, *[1.0] * 199, 1e9), 201)
    assert seconds == 50 + 199 + 2 * 50 + 1


def test_the_fewer_answers_are_known_the_longer_is_waited() -> None:
    waits = [asked(Slow(*[4.0] * n, 1e9), n + 1)[0] - 4 * n - 1 for n in (5, 10, 20, 200)]
    assert waits == sorted(waits, reverse=True) and waits[0] == pytest.approx(4 * 60**0.4) and waits[-1] == 4 * 2


def test_the_first_answers_cut_short_the_wait_for_calls_that_were_sent_before_them() -> None:
    server = Slow(1e9, *[2.0] * 7)
    opened, _ = account(server)

    async def main() -> float:
        await asyncio.gather(*(opened.complete(PROMPT) for _ in range(7)))
        return asyncio.get_running_loop().time()

    assert virtually(main()) < 15


@pytest.mark.parametrize(
    ("n_known", "settings"),
    [(4, {}), (200, {"gives_up_early": False}), (200, {"dialect": "local", "base_url": None})],
)
def test_without_enough_answers_or_where_it_is_not_wanted_the_whole_deadline_is_kept(
    n_known: int, settings: dict[str, object]
) -> None:
    seconds, _ = asked(Slow(*[1.0] * n_known, 1e9), n_known + 1, **settings)
    assert seconds > n_known + HANG_S


def test_impatience_uses_up_no_attempts() -> None:
    seconds, said = asked(Slow(*[1.0] * 200, 1e9), 201, attempts=1)
    assert seconds == 200 + 5 + 1 and len(said) == 1


def test_who_was_given_up_has_the_whole_deadline_and_teaches_that_answers_became_slow() -> None:
    server = Slow(*[1.0] * 200, then=lambda: 60.0)
    seconds, said = asked(server, 300)
    # The first slow answer is cut once, comes in full on the second asking, and from then on none is cut.
    assert server.n_cut == len(said) == 1 and server.n_calls == 301
    assert seconds == 200 + 5 + 100 * 60


def test_the_whole_deadline_is_for_the_question_that_was_given_up_and_for_no_later_one() -> None:
    seconds, said = asked(Slow(*[1.0] * 200, 1e9, 1.0, 1e9), 202)
    assert len(said) == 2 and seconds == 201 + 1 + 2 * 5


@pytest.mark.parametrize("seed", range(5))
def test_fewer_than_one_honest_answer_in_a_thousand_is_given_up(seed: int) -> None:
    draw, heavy = Random(seed), lognormal(1.5, seed=seed)
    latencies: list[Callable[[], float]] = [heavy, lambda: 60.0 if draw.random() < 0.03 else heavy() / 2]
    for latency in latencies:
        server = Slow(then=lambda latency=latency: min(latency(), HANG_S - 1))  # type: ignore[misc]
        asked(server, 5000)
        assert server.n_cut <= 5


def test_one_call_in_a_hundred_that_hangs_costs_a_third_more_time_at_most() -> None:
    def wall_s(hung: float, **settings: object) -> float:
        """Return the seconds until all but the last 32 of 2,000 questions are answered."""
        draw, latency, times = Random(2), lognormal(1.5, seed=1), list[float]()
        server = Slow(then=lambda: 1e9 if draw.random() < hung else latency())
        opened, _ = account(server, concurrency=32, attempts=100, **settings)

        async def ask() -> None:
            await opened.complete(PROMPT)
            times.append(asyncio.get_running_loop().time())

        async def main() -> None:
            await asyncio.gather(*(ask() for _ in range(2000)))

        virtually(main())
        return times[-33]

    calm = wall_s(0.0)
    assert wall_s(0.01) <= 1.35 * calm < wall_s(0.01, gives_up_early=False)


@pytest.mark.parametrize("concurrency", [4, 32])
def test_one_call_in_five_that_hangs_is_asked_again_soon_and_few_answers_are_cut_off(concurrency: int) -> None:
    def chains(hung: float) -> tuple[float, Slow]:
        """Let each of as many as are under way ask 50 questions, one after the other; return the seconds."""
        draw, latency = Random(2), lognormal(1.5, seed=1)
        server = Slow(then=lambda: 1e9 if draw.random() < hung else latency())
        opened, _ = account(server, concurrency=concurrency)

        async def ask() -> None:
            for _ in range(50):
                await opened.complete(PROMPT)

        async def main() -> float:
            await asyncio.gather(*(ask() for _ in range(concurrency)))
            return asyncio.get_running_loop().time()

        return virtually(main()), server

    calm, (seconds, server) = chains(0.0)[0], chains(0.2)
    assert seconds <= 5.5 * calm
    assert server.n_calls <= 1.3 * 50 * concurrency


def test_slow_calls_of_their_own_kind_are_seen_by_a_call_left_under_way_that_keeps_its_place() -> None:
    server = Slow(*[1.0] * 100, *[60.0, 1.0] * 2, *[1.0] * 200, 60.0, 1.0)
    opened, said = account(server, concurrency=2)
    n_under_way: list[int] = []

    async def main() -> None:
        for _ in range(302):
            await opened.complete(PROMPT)
            n_under_way.append(opened._limited._places.n_in_use)

    virtually(main())
    # The first was dropped; the second was left under way, answered, and the third is not cut off any more.
    assert len(said) == 2 and server.n_cut == 1
    assert max(n_under_way) == 1 and n_under_way[-1] == 0


def test_what_is_left_under_way_is_dropped_when_the_account_is_closed() -> None:
    server = Slow(*[1.0] * 100, 1e9, 1.0, 1e9)

    async def main() -> float:
        opened, _ = account(server)
        for _ in range(102):
            await opened.complete(PROMPT)
        await opened.aclose()
        return asyncio.get_running_loop().time()

    assert virtually(main()) == 100 + 5 + 1 + 5 + 1 and server.n_cut == 2


def test_a_call_that_was_given_up_may_be_billed_and_the_ledger_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        with Ledger(tmp_path) as ledger:
            booked = Booked(Slow(*[1.0] * 200, 1e9), ledger, price=lambda model: None)
            opened = Account("server", ProviderSettings(base_url="http://127.0.0.1:9"), booked)
            for _ in range(201):
                await opened.complete(PROMPT)

    virtually(main())
    state = read_ledger(tmp_path)
    assert state is not None and (state.n_answered, len(state.open)) == (201, 1)


def test_a_failure_of_the_providers_own_is_passed_on_as_it_is() -> None:
    class Failing(Slow):
        async def answered(self, prompt: Prompt) -> Completion:
            completion = await super().answered(prompt)
            if self.n_calls > 200:
                raise TimeoutError("its own")
            return completion

    async def main() -> None:
        patient = Patient(Failing(), most_s=HANG_S)
        for _ in range(200):
            await patient.complete(PROMPT)
        with pytest.raises(TimeoutError, match="its own"):
            await patient.complete(PROMPT)

    virtually(main())
