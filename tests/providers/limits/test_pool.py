"""Several servers behind one account, in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

import pytest

from agentsim.errors import AccountDown, AuthError, NotSent, RateLimited, Unavailable
from agentsim.providers.account import Account
from agentsim.providers.base import PLAIN, Call, Completion, Prompt
from agentsim.providers.limits.halt import Halt
from agentsim.providers.limits.server import Speed
from agentsim.providers.settings import ProviderSettings
from agentsim.testing.virtual import virtually
from agentsim.testing.weather import InTurn
from tests.providers.limits.scripted import COMPLETION, PROMPT

A, B, C, D = (f"http://10.0.0.{n}/v1" for n in range(1, 5))


class Desk:
    """Processes a few calls at a time, in order of arrival; fails while it is told to."""

    def __init__(self, work_s: float = 1.0, *, at_a_time: int = 10**6) -> None:
        self.work_s, self.at_a_time = work_s, at_a_time
        self.failure: Exception | None = None
        self.hangs = False
        self.sent: list[float] = []
        self.askers: list[str | None] = []
        self.n_in_flight = self.most_in_flight = 0
        self._turns: InTurn | None = None

    async def complete(self, prompt: Prompt, call: Call = PLAIN) -> Completion:
        clock = asyncio.get_running_loop().time
        self.sent.append(clock())
        self.askers.append(call.asker)
        self._turns = self._turns or InTurn(lambda: self.work_s, at_a_time=self.at_a_time, clock=clock)
        self.n_in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.n_in_flight)
        try:
            if self.failure is not None:
                await asyncio.sleep(0.01)
                raise self.failure
            began = clock()
            seconds = self.work_s if self.at_a_time >= 10**6 else self._turns()
            await asyncio.sleep(1e9 if self.hangs else seconds)
            return COMPLETION.model_copy(update={"latency_s": clock() - began})
        finally:
            self.n_in_flight -= 1

    async def aclose(self) -> None: ...


def account(
    desks: Mapping[str, Desk], *, notes: list[str] | None = None, halt: Halt | None = None, **settings: object
) -> Account:
    checked = ProviderSettings.model_validate({"base_url": list(desks), **settings})
    return Account("mine", checked, desks, halt=halt, on_note=None if notes is None else notes.append)


async def asked(account: Account, n: int) -> tuple[float, Counter[str | None]]:
    """Ask so many questions at once; return the seconds, and how many answers came from each server."""
    clock = asyncio.get_running_loop().time
    began = clock()
    answers = await asyncio.gather(*(account.complete(PROMPT) for _ in range(n)))
    return clock() - began, Counter(answer.server for answer in answers)


def test_four_unequal_servers_take_little_longer_than_one_pool_of_their_places() -> None:
    desks = {url: Desk(work_s, at_a_time=4) for url, work_s in ((A, 1), (B, 2), (C, 4), (D, 8))}
    seconds, counts = virtually(asked(account(desks, concurrency=64), 1500))
    ideal_s = 1500 / sum(4 / desk.work_s for desk in desks.values())
    assert sum(counts.values()) == 1500
    assert seconds <= 1.1 * ideal_s


def test_with_few_calls_a_slow_server_is_tried_and_then_left_to_rest() -> None:
    async def main() -> None:
        desks = {A: Desk(1), B: Desk(20)}
        pool = account(desks)
        for _ in range(200):
            await pool.complete(PROMPT)
        assert len(desks[A].sent) >= 198

    virtually(main())


def test_a_server_that_was_slow_once_is_tried_again() -> None:
    async def main() -> None:
        desks = {A: Desk(1), B: Desk(20)}
        pool = account(desks)
        for _ in range(3):
            await pool.complete(PROMPT)
        desks[B].work_s = 0.1
        n_before = len(desks[B].sent)
        for _ in range(800):
            await pool.complete(PROMPT)
        assert len(desks[B].sent) > n_before + 100

    virtually(main())


def test_an_askers_calls_go_to_one_server_if_that_costs_nothing() -> None:
    async def main() -> None:
        desks = {A: Desk(1, at_a_time=8), B: Desk(1, at_a_time=8), C: Desk(1, at_a_time=8)}
        pool = account(desks)

        async def ask_all(asker: str) -> None:
            for _ in range(40):
                await pool.complete(PROMPT, Call(asker=asker))

        async with asyncio.TaskGroup() as group:
            for number in range(12):
                group.create_task(ask_all(f"run/1_{number}"))
        n_elsewhere = 0
        for number in range(12):
            counts = sorted(desk.askers.count(f"run/1_{number}") for desk in desks.values())
            n_elsewhere += sum(counts[:-1])
        assert n_elsewhere <= 0.1 * 12 * 40
        assert min(len(desk.sent) for desk in desks.values()) >= 100

    virtually(main())


def test_an_asker_does_not_wait_for_its_server() -> None:
    async def main() -> None:
        desks = {A: Desk(1, at_a_time=1), B: Desk(1, at_a_time=1)}
        pool = account(desks)
        for _ in range(3):
            await pool.complete(PROMPT, Call(asker="x"))
        seconds = [asyncio.create_task(pool.complete(PROMPT, Call(asker="x"))) for _ in range(2)]
        answers = await asyncio.gather(*seconds)
        assert {answer.server for answer in answers} == {A, B}

    virtually(main())


def test_a_dead_server_is_left_out_and_taken_back_and_no_call_fails() -> None:
    async def main() -> None:
        notes: list[str] = []
        desks = {A: Desk(), B: Desk()}
        pool = account(desks, notes=notes, concurrency=8, attempts=1)
        await asked(pool, 40)
        desks[A].failure = Unavailable("connection refused", may_be_billed=False)
        n_before = len(desks[A].sent)
        _, counts = await asked(pool, 200)
        assert counts == {B: 200}
        assert len(desks[A].sent) - n_before <= 16  # those under way, and a test now and then
        assert len(notes) == 1 and A in notes[0] and "connection refused" in notes[0]
        desks[A].failure = None
        _, counts = await asked(pool, 400)
        assert counts[A] > 100
        assert len(notes) == 2 and f"{A} answers again" in notes[1]

    virtually(main())


def test_a_server_that_hangs_is_left_out() -> None:
    async def main() -> None:
        desks = {A: Desk(), B: Desk()}
        pool = account(desks, concurrency=8)
        await asked(pool, 40)
        desks[A].hangs = True
        n_before = len(desks[A].sent)
        _, counts = await asked(pool, 400)
        assert counts == {B: 400}
        assert len(desks[A].sent) - n_before <= 30

    virtually(main())


def test_a_server_that_only_refuses_costs_the_others_nothing() -> None:
    async def main() -> None:
        desks = {A: Desk(at_a_time=4), B: Desk(at_a_time=4)}
        desks[A].failure = RateLimited("429: slow down")
        seconds, counts = await asked(account(desks, concurrency=32), 400)
        assert counts == {B: 400}
        assert seconds <= 1.05 * 400 / 4
        assert len(desks[A].sent) <= 40

    virtually(main())


def test_a_server_that_asks_for_a_long_wait_is_asked_after_it_and_the_others_meanwhile() -> None:
    async def main() -> None:
        desks = {A: Desk(), B: Desk()}
        desks[A].failure = RateLimited("429: slow down", retry_after_s=3600.0)
        pool = account(desks, concurrency=4, max_wait_s=60)
        _, counts = await asked(pool, 400)  # 100 s
        assert counts == {B: 400}
        assert len(desks[A].sent) <= 10

    virtually(main())


def test_a_call_that_every_server_refuses_is_asked_again_later() -> None:
    async def main() -> None:
        desks = {A: Desk(), B: Desk()}
        for desk in desks.values():
            desk.failure = Unavailable("HTTP 503", may_be_billed=False)
        pool = account(desks)
        call = asyncio.create_task(pool.complete(PROMPT))
        await asyncio.sleep(20)
        assert not call.done() and desks[A].sent and desks[B].sent
        desks[B].failure = None
        assert (await call).server == B

    virtually(main())


def test_an_account_whose_servers_are_all_dead_is_given_up() -> None:
    async def main() -> None:
        desks = {A: Desk(), B: Desk()}
        for desk in desks.values():
            desk.failure = Unavailable("connection refused", may_be_billed=False)
        pool = account(desks, max_outage_s=120, attempts=1000, concurrency=4)
        with pytest.raises(AccountDown, match="answered nothing for 2 min"):
            await asyncio.gather(*(pool.complete(PROMPT) for _ in range(20)))
        assert all(len(desk.sent) < 200 for desk in desks.values())

    virtually(main())


def test_after_an_outage_of_all_servers_each_of_them_is_taken_back_soon() -> None:
    async def main() -> None:
        clock = asyncio.get_running_loop().time
        desks = {A: Desk(), B: Desk(), C: Desk()}
        for desk in desks.values():
            desk.failure = Unavailable("connection refused", may_be_billed=False)
        pool = account(desks, concurrency=12)
        call = asyncio.create_task(asked(pool, 24))
        await asyncio.sleep(300)
        desks[C].failure = None
        began = clock()
        await call
        assert clock() - began <= 15

    virtually(main())


def test_a_refused_key_is_no_reason_to_ask_another_server() -> None:
    async def main() -> None:
        desks = {A: Desk(), B: Desk()}
        for desk in desks.values():
            desk.failure = AuthError("HTTP 401")
        with pytest.raises(AuthError):
            await account(desks).complete(PROMPT)
        assert len(desks[A].sent) + len(desks[B].sent) == 1

    virtually(main())


@pytest.mark.parametrize(("per", "most"), [("account", 6), ("server", 18)])
def test_a_limit_is_of_all_servers_or_of_each(per: str, most: int) -> None:
    async def main() -> None:
        desks = {A: Desk(), B: Desk(), C: Desk()}
        pool = account(desks, concurrency=6, limits_per=per)
        calls = [asyncio.create_task(pool.complete(PROMPT)) for _ in range(400)]
        most_at_once = 0
        while not all(call.done() for call in calls):
            most_at_once = max(most_at_once, sum(desk.n_in_flight for desk in desks.values()))
            await asyncio.sleep(0.25)
        assert most_at_once == most
        assert all(desk.most_in_flight <= 6 for desk in desks.values())

    virtually(main())


@pytest.mark.parametrize("per", ["account", "server"])
def test_a_limit_a_minute_is_of_all_servers_or_of_each(per: str) -> None:
    async def main() -> None:
        desks = {A: Desk(0.1), B: Desk(0.1)}
        pool = account(desks, requests_per_minute=60, limits_per=per)
        seconds, _ = await asked(pool, 240)
        lists = [desk.sent for desk in desks.values()]
        for sent in lists if per == "server" else [sorted(lists[0] + lists[1])]:
            assert all(sum(begun <= at < begun + 60 for at in sent) <= 60 for begun in sent)
        assert seconds <= 1.1 * 240 / (120 if per == "server" else 60) * 60

    virtually(main())


def test_calls_that_wait_for_a_dead_servers_turn_go_elsewhere() -> None:
    async def main() -> None:
        desks = {A: Desk(0.1), B: Desk(0.1)}
        desks[A].failure = Unavailable("connection refused", may_be_billed=False)
        pool = account(desks, requests_per_minute=60, limits_per="server", concurrency=20)
        seconds, counts = await asked(pool, 60)
        assert counts == {B: 60}
        assert len(desks[A].sent) <= 10 and seconds <= 80

    virtually(main())


def test_a_stop_ends_the_wait_for_a_server() -> None:
    async def main() -> None:
        halt = Halt()
        desks = {A: Desk(), B: Desk()}
        pool = account(desks, halt=halt, concurrency=100)
        calls = [asyncio.create_task(pool.complete(PROMPT)) for _ in range(20)]
        await asyncio.sleep(0.5)
        halt.begin()
        done = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(outcome) for outcome in done} == {Completion, NotSent}
        assert sum(isinstance(outcome, Completion) for outcome in done) == 8  # few are sent to a server at first

    virtually(main())


def test_a_cancelled_call_gives_its_place_back() -> None:
    async def main() -> None:
        desks = {A: Desk(), B: Desk()}
        pool = account(desks, concurrency=100)
        calls = [asyncio.create_task(pool.complete(PROMPT)) for _ in range(20)]
        await asyncio.sleep(0.5)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        seconds, counts = await asked(pool, 8)
        assert seconds == pytest.approx(1) and counts == {A: 4, B: 4}

    virtually(main())


def test_speed_is_known_by_the_number_of_calls() -> None:
    speed = Speed()
    assert speed.expected_s(1) is None
    speed.learn(4, 2.0)
    assert speed.expected_s(4) == 2.0 and speed.expected_s(8) == 4.0 and speed.expected_s(1) == 0.5
    speed.learn(8, 2.0)
    speed.learn(1, 2.0)
    assert [speed.expected_s(n) for n in (1, 4, 8)] == [2.0, 2.0, 2.0]


def test_what_is_asked_elsewhere_keeps_to_the_limit_a_minute() -> None:
    async def main() -> None:
        desks = {A: Desk(0.1), B: Desk(0.1)}
        desks[A].failure = RateLimited("429: slow down")
        await asked(account(desks, requests_per_minute=30), 60)
        sent = sorted(desks[A].sent + desks[B].sent)
        assert len(sent) > 60
        assert all(sum(begun <= at < begun + 60 for at in sent) <= 30 for begun in sent)

    virtually(main())
