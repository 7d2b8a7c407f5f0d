"""Second copies of slow calls, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from agentsim.errors import BadRequest, ProviderError, Unavailable
from agentsim.providers.account import Account
from agentsim.providers.base import Completion, Prompt
from agentsim.providers.limits.hedged import percentile_of
from agentsim.providers.settings import HedgeSettings, ProviderSettings
from agentsim.testing import FunctionProvider
from agentsim.testing.virtual import virtually
from agentsim.testing.weather import lognormal
from tests.providers.limits.scripted import PROMPT


class Slow(FunctionProvider):
    """Answers after as many seconds as it is told, or raises."""

    def __init__(self, outcome: Callable[[int], float | ProviderError]) -> None:
        super().__init__(self.answered)
        self.outcome = outcome
        self.n_calls = self.n_cancelled = self.n_in_flight = self.most = 0

    async def answered(self, prompt: Prompt) -> Completion:
        self.n_calls += 1
        outcome = self.outcome(self.n_calls)
        self.n_in_flight += 1
        self.most = max(self.most, self.n_in_flight)
        try:
            if isinstance(outcome, ProviderError):
                raise outcome
            await asyncio.sleep(outcome)
        except asyncio.CancelledError:
            self.n_cancelled += 1
            raise
        finally:
            self.n_in_flight -= 1
        return Completion(text=f"{self.n_calls}", model="m", finish_reason="stop", latency_s=outcome)


def account(
    server: Slow, *, hedge: str | None = "p95", concurrency: int = 8, attempts: int = 1, gives_up_early: bool = True
) -> Account:
    settings = ProviderSettings(
        base_url="http://127.0.0.1:9",
        concurrency=concurrency,
        attempts=attempts,
        gives_up_early=gives_up_early,
        hedge=None if hedge is None else HedgeSettings(after=hedge),
    )
    return Account("server", settings, server)


def asked(server: Slow, n: int, **settings: object) -> tuple[list[Completion], float]:
    async def main() -> tuple[list[Completion], float]:
        asking = account(server, **settings)  # type: ignore[arg-type]
        answers = [await asking.complete(PROMPT) for _ in range(n)]
        return answers, asyncio.get_running_loop().time()

    return virtually(main())


def test_a_call_slower_than_the_percentile_is_asked_twice_and_the_first_answer_wins() -> None:
    server = Slow(lambda n: 100.0 if n == 31 else 1.0)
    answers, seconds = asked(server, 40)
    assert server.n_calls == 41 and server.n_cancelled == 1
    assert seconds == pytest.approx(39 + 2)  # the slow one: a second until its copy is sent, one for the copy
    [hedged] = [answer.hedge for answer in answers if answer.hedge]
    assert hedged.winner == "second" and hedged.after_s == 1.0


def test_of_all_calls_no_more_than_the_stated_share_is_asked_twice_however_long_it_goes_on() -> None:
    latency = lognormal(1.5, seed=3)
    server = Slow(lambda n: latency())
    asked(server, 5000)
    assert 1.04 <= server.n_calls / 5000 <= 1.06


def test_off_unless_asked_for_and_silent_until_a_models_latencies_are_known() -> None:
    slow = Slow(lambda n: 100.0 if n == 31 else 1.0)
    answers, seconds = asked(slow, 40, hedge=None, gives_up_early=False)
    assert slow.n_calls == 40 and seconds == 139 and not any(answer.hedge for answer in answers)
    early = Slow(lambda n: 100.0 if n == 5 else 1.0)
    assert asked(early, 10)[1] == 109


def test_the_first_copy_may_still_win() -> None:
    server = Slow(lambda n: {31: 1.5, 32: 50.0}.get(n, 1.0))
    answers, seconds = asked(server, 31)
    assert answers[-1].hedge is not None and answers[-1].hedge.winner == "first"
    assert seconds == pytest.approx(31.5) and server.n_cancelled == 1


def test_copies_keep_to_the_limit_of_calls_in_flight() -> None:
    server = Slow(lambda n: 100.0 if n > 25 else 1.0)

    async def main() -> None:
        asking = account(server, concurrency=3)
        for _ in range(25):
            await asking.complete(PROMPT)
        await asyncio.gather(*(asking.complete(PROMPT) for _ in range(9)))

    virtually(main())
    assert server.most == 3


@pytest.mark.parametrize("failing", [31, 32])
def test_one_copys_failure_leaves_the_answer_of_the_other(failing: int) -> None:
    def outcome(n: int) -> float | ProviderError:
        if n == failing == 32:
            return Unavailable("lost")
        return 3.0 if n == 31 else 1.0

    answers, _ = asked(Slow(outcome), 31)
    assert len(answers) == 31


def test_a_call_that_fails_at_once_is_not_copied() -> None:
    server = Slow(lambda n: BadRequest("no") if n == 31 else 1.0)
    with pytest.raises(BadRequest):
        asked(server, 31)
    assert server.n_calls == 31


@pytest.mark.parametrize("text", ["p100", "p4", "95", "p0.5", ""])
def test_what_is_no_percentile_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write one of p50 to p99"):
        percentile_of(text)
