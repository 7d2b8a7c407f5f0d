"""Outages in virtual time: an account that answers nobody is not hammered, and scattered failures pause nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest

from agentsim.errors import AccountDown, BadRequest, NotSent, RateLimited, TransientError, Unavailable
from agentsim.providers.account import Account
from agentsim.providers.base import Completion, Prompt
from agentsim.providers.limits.outage import PROBE_S, Outage
from agentsim.providers.settings import ProviderSettings
from agentsim.testing import FunctionProvider
from agentsim.testing.virtual import virtually
from tests.providers.limits.scripted import COMPLETION, PROMPT

CALL_S = 1.0


class Server(FunctionProvider):
    """Answers after a second, or fails as it is told to."""

    def __init__(self, failure: Callable[[float], TransientError | BadRequest | None]) -> None:
        super().__init__(self.answered)
        self.failure = failure
        self.begun: list[float] = []

    async def answered(self, prompt: Prompt) -> Completion:
        now = asyncio.get_running_loop().time()
        self.begun.append(now)
        error = self.failure(now)
        await asyncio.sleep(0.05 if error else CALL_S)
        if error:
            raise error
        return COMPLETION


def account(server: Server, *, concurrency: int = 32, max_s: float = 900, attempts: int = 10) -> Account:
    settings = ProviderSettings(
        base_url="http://127.0.0.1:9", concurrency=concurrency, max_outage_s=max_s, attempts=attempts
    )
    return Account("server", settings, server)


def down(begin: float, end: float) -> Callable[[float], TransientError | None]:
    return lambda now: Unavailable("503", may_be_billed=False) if begin <= now < end else None


async def ask(provider: Account, n: int) -> list[Completion | BaseException]:
    return await asyncio.gather(*(provider.complete(PROMPT) for _ in range(n)), return_exceptions=True)


def test_ten_minutes_down_are_survived_with_a_probe_in_five_seconds_and_a_quick_return() -> None:
    server = Server(down(2, 602))

    async def main() -> tuple[list[Completion | BaseException], float]:
        outcomes = await ask(account(server), 320)
        return outcomes, asyncio.get_running_loop().time()

    outcomes, ended = virtually(main())
    assert outcomes == [COMPLETION] * 320
    during = [begun for begun in server.begun if 10 <= begun < 602]
    assert len(during) <= (602 - 10) / PROBE_S + 1
    assert all(later - earlier >= PROBE_S - 1e-6 for earlier, later in pairwise(during))
    n_left = sum(begun >= 602 for begun in server.begun)
    assert ended <= 602 + 10 + n_left / 32 * CALL_S + CALL_S


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_scattered_refusals_pause_nobody(share: float) -> None:
    draw = Random(1)
    server = Server(lambda now: RateLimited("429", retry_after_s=1.0) if draw.random() < share else None)
    provider = account(server, attempts=50)

    async def main() -> list[Completion | BaseException]:
        return await ask(provider, 500)

    assert virtually(main()) == [COMPLETION] * 500
    assert len(server.begun) <= 500 * (1.15 if share == 0.1 else 2.2)


@pytest.mark.parametrize("concurrency", [1, 4, 32])
def test_refusals_at_random_are_never_a_reason_to_give_up(concurrency: int) -> None:
    draw = Random(3)
    server = Server(lambda now: RateLimited("429", retry_after_s=1.0) if draw.random() < 0.5 else None)
    provider = account(server, concurrency=concurrency, attempts=2)

    async def main() -> list[Completion | BaseException]:
        return await ask(provider, 400)

    assert virtually(main()) == [COMPLETION] * 400
    assert len(server.begun) <= 2.1 * 400 + concurrency


def test_a_question_that_is_always_refused_while_others_are_answered_is_given_up_after_a_stated_time() -> None:
    class Partial(Server):
        async def answered(self, prompt: Prompt) -> Completion:
            if prompt.model == "full":
                raise RateLimited("429: this model has no capacity", retry_after_s=1.0)
            return await super().answered(prompt)

    provider = account(Partial(lambda now: None), max_s=60, attempts=3)

    async def main() -> float:
        others = asyncio.create_task(ask(provider, 2000))
        with pytest.raises(RateLimited, match="refused for 1 min while others were answered; run again to continue"):
            await provider.complete(PROMPT.model_copy(update={"model": "full"}))
        ended = asyncio.get_running_loop().time()
        assert await others == [COMPLETION] * 2000
        return ended

    assert 60 < virtually(main()) < 70


@pytest.mark.parametrize("error", [RateLimited("429", retry_after_s=1.0), Unavailable("no answer", is_late=True)])
@pytest.mark.parametrize("concurrency", [1, 32])
def test_a_server_that_answers_nobody_stops_the_study_after_a_stated_time(
    concurrency: int, error: TransientError
) -> None:
    class Mute(Server):
        async def answered(self, prompt: Prompt) -> Completion:
            await asyncio.sleep(120 if isinstance(error, Unavailable) else 0.1)
            raise error

    provider = account(Mute(lambda now: None), concurrency=concurrency, max_s=900, attempts=1000)

    async def main() -> float:
        outcomes = await ask(provider, 40)
        assert all(isinstance(outcome, AccountDown) for outcome in outcomes)
        return asyncio.get_running_loop().time()

    # What is under way then is still waited for; with one call at a time, twelve time-outs take longer than 900 s.
    assert 900 < virtually(main()) < (2500 if isinstance(error, Unavailable) else 910)


def test_an_outage_without_end_stops_the_study_with_one_sentence() -> None:
    server = Server(down(0, 1e9))

    async def main() -> list[Completion | BaseException]:
        return await ask(account(server, max_s=60), 100)

    outcomes = virtually(main())
    assert all(isinstance(outcome, AccountDown) for outcome in outcomes)
    assert "server has answered nothing for 1 min; the last failure: 503" in str(outcomes[0])
    assert len(server.begun) <= 2 * 32 + 60 / PROBE_S + 1  # what was under way, then probes


def test_a_study_that_stops_is_not_held_up_by_an_outage() -> None:
    server = Server(down(0, 1e9))

    async def main() -> float:
        provider = account(server)
        calls = asyncio.create_task(ask(provider, 64))
        await asyncio.sleep(30)
        provider.drain()
        outcomes = await calls
        assert all(isinstance(outcome, NotSent | TransientError) for outcome in outcomes)
        return asyncio.get_running_loop().time()

    assert virtually(main()) < 31


def test_only_an_answer_to_a_call_that_was_sent_since_ends_a_row_of_failures() -> None:
    async def main() -> None:
        outage = Outage(name="server", threshold=2, max_s=1)
        await asyncio.sleep(10)
        assert not outage.failed(Unavailable("lost"))
        outage.answered(sent=11)
        assert not outage.failed(Unavailable("lost")) and not outage.is_on
        outage.answered(sent=9)
        assert outage.failed(Unavailable("lost")) and outage.is_on
        outage.answered(sent=9)
        assert outage.is_on
        outage.answered(sent=11)
        assert not outage.is_on

    virtually(main())


def test_answers_to_calls_sent_before_an_outage_do_not_hide_it() -> None:
    class Slow(Server):
        async def answered(self, prompt: Prompt) -> Completion:
            if asyncio.get_running_loop().time() < 10:
                self.begun.append(0)
                await asyncio.sleep(10 + 0.2 * len(self.begun))
                return COMPLETION
            return await super().answered(prompt)

    server = Slow(down(10, 610))

    async def main() -> None:
        provider = account(server, concurrency=64)
        early = asyncio.create_task(ask(provider, 60))
        await asyncio.sleep(10)
        assert await ask(provider, 20) == [COMPLETION] * 20
        await early

    virtually(main())
    # As many failures as make an outage, the twenty that may be on their way then, one in five seconds after that;
    # were it hidden by each early answer, there would be some 270.
    assert sum(10 <= begun < 610 for begun in server.begun) <= 64 + 20 + 600 / PROBE_S
