"""The cap holds: over calls side by side, over failures, over kills."""

from __future__ import annotations

import asyncio
import errno
import functools
import json
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agentsim.errors import (
    BadRequest,
    BudgetReached,
    LogError,
    LogLocked,
    NotSent,
    NotWritten,
    ProviderError,
    RateLimited,
    ScenarioError,
    Unavailable,
)
from agentsim.providers.base import Completion, Message, Prompt, Sampling, Usage
from agentsim.providers.bounds import output_bound
from agentsim.providers.ledger import LEDGER, Booked, Ledger, most_usd, read_ledger
from agentsim.providers.prices import MILLION, Price, cost_usd
from agentsim.testing import FunctionProvider
from agentsim.testing.virtual import virtually

PRICE = Price(input=2.0, output=10.0, source="test")
PROMPT = Prompt(
    model="m", messages=(Message(role="user", content="How much?" * 20),), sampling=Sampling(max_tokens=500)
)
MOST = most_usd(PRICE, PROMPT) or 0.0


class Biller(FunctionProvider):
    """Answers after a while with as many tokens as it likes, and keeps the bill."""

    def __init__(
        self, tokens: Callable[[], int], *errors: ProviderError, latency: Callable[[], float] = lambda: 0.0
    ) -> None:
        super().__init__(self.answered)
        self.tokens = tokens
        self.errors = list(errors)
        self.latency = latency
        self.bill = 0.0
        self.n_calls = 0

    async def answered(self, prompt: Prompt) -> Completion:
        self.n_calls += 1
        await asyncio.sleep(self.latency())
        if self.errors:
            raise self.errors.pop(0)
        usage = Usage(input_tokens=45, output_tokens=self.tokens())
        cost = cost_usd(PRICE, usage)
        assert cost is not None
        self.bill += cost
        return Completion(text="x", model="m", finish_reason="stop", usage=usage, latency_s=0)


SYNC_S = 0.01


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(**arguments: Any) -> None:
        virtually(test(**arguments), thread_s=SYNC_S)

    return run


def budgeted(provider: FunctionProvider, budget: Ledger) -> Booked:
    return Booked(provider, budget, price=lambda model: PRICE)


def test_the_most_a_call_can_cost_is_more_than_any_tokens_of_its_text() -> None:
    n_bytes = len(PROMPT.messages[0].content.encode())
    assert (2.0 * n_bytes + 10.0 * 500) / MILLION <= MOST
    assert most_usd(PRICE, PROMPT.model_copy(update={"sampling": Sampling()})) is None
    assert most_usd(None, PROMPT) is None


@pytest.mark.parametrize("seed", range(5))
async def test_the_cap_is_never_passed_with_128_calls_side_by_side(tmp_path: Path, seed: int) -> None:
    draw = Random(seed)
    biller = Biller(lambda: draw.randrange(1, 501))
    with Ledger(tmp_path, limit_usd=0.2) as budget:
        layer = budgeted(biller, budget)
        outcomes = await asyncio.gather(*(layer.complete(PROMPT) for _ in range(128)), return_exceptions=True)
    assert any(isinstance(outcome, BudgetReached) for outcome in outcomes)
    assert all(isinstance(outcome, Completion | BudgetReached) for outcome in outcomes)
    assert biller.bill <= 0.2
    assert budget.spent_usd == pytest.approx(biller.bill)
    assert biller.bill > 0.2 - MOST  # it is used up, too
    assert biller.n_calls == sum(isinstance(outcome, Completion) for outcome in outcomes)


async def killed(biller: Biller, folder: Path, *, limit_usd: float, n_calls: int, after_s: float) -> None:
    """Ask side by side; after a while, as at a kill, what is on its way is never heard of again."""
    with Ledger(folder, limit_usd=limit_usd) as ledger:
        calls = [asyncio.create_task(budgeted(biller, ledger).complete(PROMPT)) for _ in range(n_calls)]
        await asyncio.sleep(after_s)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


def test_killed_anywhere_the_cap_still_holds(tmp_path: Path) -> None:
    draw, bill = Random(1), 0.0
    for _ in range(100):
        biller = Biller(lambda: draw.randrange(1, 501), latency=draw.random)
        virtually(killed(biller, tmp_path, limit_usd=0.5, n_calls=8, after_s=3 * draw.random()), thread_s=SYNC_S)
        bill += biller.bill
        assert bill <= 0.5
        with (tmp_path / LEDGER).open("r+b") as file:  # and the last line may be torn
            size = os.fstat(file.fileno()).st_size
            file.truncate(max(0, size - draw.randrange(8)))
    assert bill > 0


async def test_a_call_that_may_be_billed_counts_whole_and_a_refused_one_nothing(tmp_path: Path) -> None:
    refused = RateLimited("slow down")
    failed = Unavailable("500", may_be_billed=False)
    lost = Unavailable("no whole answer")
    with Ledger(tmp_path, limit_usd=1) as budget:
        layer = budgeted(Biller(lambda: 1, refused, failed, BadRequest("no"), lost), budget)
        for error in (RateLimited, Unavailable, BadRequest):
            with pytest.raises(error):
                await layer.complete(PROMPT)
        assert budget.spent_usd == 0
        with pytest.raises(Unavailable):
            await layer.complete(PROMPT)
        assert budget.spent_usd == pytest.approx(MOST)
    with Ledger(tmp_path, limit_usd=1) as again:
        assert again.spent_usd == pytest.approx(MOST)


async def test_an_answer_without_a_count_of_tokens_counts_whole(tmp_path: Path) -> None:
    with Ledger(tmp_path, limit_usd=1) as budget:
        await budgeted(FunctionProvider(lambda prompt: "x"), budget).complete(PROMPT)
        assert budget.spent_usd == pytest.approx(MOST)


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    with (
        Ledger(tmp_path, limit_usd=1),
        pytest.raises(LogLocked, match="another process makes paid calls"),
        Ledger(tmp_path, limit_usd=1),
    ):
        pass


@pytest.mark.parametrize("line", ["nonsense", '{"id": 1, "cost": 1}', '{"id": 1, "at_most": -1}', '{"carried": NaN}'])
def test_a_ledger_that_was_edited_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / LEDGER).write_text(json.dumps({"carried": 0.5, "n_calls": 3}) + "\n" + line + "\n")
    with pytest.raises(LogError, match=r"ledger\.jsonl:2: is not a line of a ledger"), Ledger(tmp_path, limit_usd=1):
        pass


async def test_where_nothing_can_be_written_nothing_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    biller = Biller(lambda: 1)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with Ledger(tmp_path, limit_usd=1) as budget:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(LogError, match="nothing more is sent"):
            await budgeted(biller, budget).complete(PROMPT)
    assert biller.n_calls == 0


async def test_without_a_limit_every_call_is_written_down_whatever_its_price(tmp_path: Path) -> None:
    errors = [RateLimited("slow down"), Unavailable("no whole answer")]
    with Ledger(tmp_path) as ledger:
        layer = Booked(Biller(lambda: 1, *errors), ledger, price=lambda model: None)
        for _ in range(5):
            await asyncio.gather(layer.complete(PROMPT), return_exceptions=True)
    state = read_ledger(tmp_path)
    assert state is not None
    assert (state.n_answered, len(state.open), state.n_unknown) == (3, 1, 4)  # one refused: not billed
    with pytest.raises(ScenarioError, match="the cost of its calls is not known"), Ledger(tmp_path, limit_usd=1):
        pass


async def test_processes_without_a_limit_share_a_ledger_and_one_with_a_limit_does_not(tmp_path: Path) -> None:
    with Ledger(tmp_path) as one, Ledger(tmp_path) as other:
        for ledger in (one, other):
            await budgeted(Biller(lambda: 10), ledger).complete(PROMPT)
        with pytest.raises(LogLocked, match="has a budget"), Ledger(tmp_path, limit_usd=1):
            pass
    state = read_ledger(tmp_path)
    assert state is not None and state.n_answered == 2
    with Ledger(tmp_path, limit_usd=1) as capped:
        assert capped.spent_usd == pytest.approx(state.spent_usd)


async def test_a_limit_is_refused_where_the_study_began_with_calls_of_unknown_cost(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.carry(None, n_calls=7)
    with pytest.raises(ScenarioError, match="not known"), Ledger(tmp_path, limit_usd=1):
        pass
    state = read_ledger(tmp_path)
    assert state is not None and state.n_answered == 7


class Overbiller(Biller):
    """Bills a number of output tokens for each answer, whatever was allowed; answers when told, side by side."""

    def __init__(self, tokens: Callable[[], int], *, latency: Callable[[], float] = lambda: 1.0) -> None:
        super().__init__(tokens, latency=latency)
        self.n_in_flight = self.most_in_flight = 0
        self.in_flight_at_first: int | None = None
        self.dearest = 0.0

    async def answered(self, prompt: Prompt) -> Completion:
        self.n_in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.n_in_flight)
        before = self.bill
        try:
            completion = await super().answered(prompt)
        finally:
            self.n_in_flight -= 1
        self.dearest = max(self.dearest, self.bill - before)
        if (completion.usage.output_tokens or 0) > 500 and self.in_flight_at_first is None:
            self.in_flight_at_first = self.n_in_flight + 1
        return completion


@pytest.mark.parametrize("factor", [2, 18, 100])
@pytest.mark.parametrize("cap", [0.1, 20.0])
@pytest.mark.parametrize("n_calls", [32, 128])
@in_virtual_time
async def test_a_server_that_bills_more_than_max_tokens_overspends_by_one_call_at_most(
    tmp_path: Path, factor: int, cap: float, n_calls: int
) -> None:
    biller, said = Overbiller(lambda: 500 * factor), list[str]()
    with Ledger(tmp_path, limit_usd=cap, on_beyond=said.append) as ledger:
        layer = budgeted(biller, ledger)
        outcomes = await asyncio.gather(*(layer.complete(PROMPT) for _ in range(n_calls)), return_exceptions=True)
        assert ledger.spent_usd == pytest.approx(biller.bill)
    assert all(isinstance(outcome, Completion | BudgetReached) for outcome in outcomes)
    assert biller.in_flight_at_first == 1 and len(said) == 1 and "500" in said[0]
    assert biller.bill <= max(cap, biller.dearest)
    assert biller.n_calls == n_calls or biller.bill + 1.2 * biller.dearest > cap  # and the cap is used up
    state = read_ledger(tmp_path)
    assert state is not None and state.spent_usd == pytest.approx(biller.bill)


@in_virtual_time
async def test_where_a_server_begins_to_bill_more_later_no_more_is_overspent_than_was_in_flight(tmp_path: Path) -> None:
    draw = Random(3)
    biller = Overbiller(lambda: draw.randrange(1, 500) if biller.n_calls < 200 else 50_000)
    with Ledger(tmp_path, limit_usd=5.0) as ledger:
        layer = budgeted(biller, ledger)
        outcomes = await asyncio.gather(*(layer.complete(PROMPT) for _ in range(500)), return_exceptions=True)
    assert any(isinstance(outcome, BudgetReached) for outcome in outcomes)
    assert biller.in_flight_at_first is not None and biller.in_flight_at_first > 64
    assert biller.bill <= 5.0 + biller.in_flight_at_first * biller.dearest
    n_after = biller.n_calls - 200 - biller.in_flight_at_first
    assert n_after < biller.in_flight_at_first  # those that were in flight had used the budget up


@in_virtual_time
async def test_calls_under_a_limit_begin_one_at_a_time_and_are_soon_as_many_as_wanted(tmp_path: Path) -> None:
    widths: list[int] = []

    class Counting(Overbiller):
        async def answered(self, prompt: Prompt) -> Completion:
            widths.append(self.n_in_flight + 1)
            return await super().answered(prompt)

    with Ledger(tmp_path, limit_usd=100) as ledger:
        layer = budgeted(Counting(lambda: 400), ledger)
        await asyncio.gather(*(layer.complete(PROMPT) for _ in range(128)))
    assert widths[0] == 1 and max(widths) == 64
    assert all(width <= number + 1 for number, width in enumerate(widths))  # no more than answers vouch for
    widths.clear()
    with Ledger(tmp_path, limit_usd=100) as ledger:  # which remembers the answers
        layer = budgeted(Counting(lambda: 400), ledger)
        await asyncio.gather(*(layer.complete(PROMPT) for _ in range(100)))
    assert max(widths) == 100


@in_virtual_time
async def test_without_a_limit_all_calls_begin_at_once(tmp_path: Path) -> None:
    biller = Overbiller(lambda: 9_000)
    with Ledger(tmp_path) as ledger:
        await asyncio.gather(*(budgeted(biller, ledger).complete(PROMPT) for _ in range(64)))
    assert biller.most_in_flight == 64


def test_killed_near_the_cap_a_resume_knows_what_calls_really_cost(tmp_path: Path) -> None:
    draw, bill, dearest = Random(2), 0.0, 0.0
    for _ in range(40):
        biller = Overbiller(lambda: 50_000, latency=draw.random)
        virtually(killed(biller, tmp_path, limit_usd=5.0, n_calls=32, after_s=1 + 2 * draw.random()), thread_s=SYNC_S)
        bill, dearest = bill + biller.bill, max(dearest, biller.dearest)
        assert bill <= 5.0
    state = read_ledger(tmp_path)
    assert state is not None and bill <= state.spent_usd <= 5.0 and bill > 2 * dearest


@in_virtual_time
async def test_what_was_under_way_at_a_surprise_is_reckoned_with_what_it_will_cost(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:  # no limit: ten at once
        biller = Overbiller(lambda: 9_000)
        layer = budgeted(biller, ledger)
        calls = [asyncio.create_task(layer.complete(PROMPT)) for _ in range(10)]
        await asyncio.sleep(0.5)
        answered = budgeted(Biller(lambda: 9_000), ledger)
        await answered.complete(PROMPT)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    state = read_ledger(tmp_path)
    assert state is not None and len(state.open) == 10
    assert state.open_usd == pytest.approx(10 * (MOST + 10.0 * 8_500 / MILLION))


async def test_more_input_than_a_prompt_can_have_is_noticed_too(tmp_path: Path) -> None:
    class Padded(Biller):
        async def answered(self, prompt: Prompt) -> Completion:
            self.n_calls += 1
            usage = Usage(input_tokens=100_000, output_tokens=10)
            self.bill += cost_usd(PRICE, usage) or 0.0
            return Completion(text="x", model="m", finish_reason="stop", usage=usage, latency_s=0)

    biller = Padded(lambda: 1)
    with Ledger(tmp_path, limit_usd=1.0) as ledger:
        layer = budgeted(biller, ledger)
        await asyncio.gather(*(layer.complete(PROMPT) for _ in range(64)), return_exceptions=True)
    assert 0.7 < biller.bill <= 1.0


@pytest.mark.parametrize(
    ("max_tokens", "extra", "bound"),
    [
        (500, {}, 500),
        (500, {"max_tokens": 5_000}, 5_000),
        (500, {"max_completion_tokens": 8_000}, 8_000),
        (5_000, {"max_completion_tokens": 8}, 5_000),
        (None, {"max_completion_tokens": 8_000}, 8_000),
        (None, {"max_output_tokens": 700, "best_of": 3}, 2_100),
        (500, {"n": 2}, 1_000),
        (500, {"n": 2, "best_of": 5}, 2_500),
        (500, {"options": {"num_predict": 9_000}}, 9_000),
        (500, {"a": [{"generationConfig": {"maxOutputTokens": 600, "candidateCount": 2}}]}, 1_200),
        (None, {"options": {"num_predict": 9_000}}, None),  # who knows who reads that
        (500, {"thinking_budget": 8_000}, 8_500),
        (500, {"google": {"thinking_config": {"thinking_budget": -1}}, "n": 2}, 1_000),
        (500, {"max_tokens": None}, None),
        (500, {"num_predict": -1}, None),
        (500, {"max_tokens": "5000"}, None),
        (500, {"max_tokens": True}, None),
        (500, {"n": 0}, None),
        (None, {"top_k": 5}, None),
    ],
)
def test_lengths_and_numbers_of_answers_in_extra_count_as_what_they_are(
    max_tokens: int | None, extra: dict[str, object], bound: int | None
) -> None:
    assert output_bound(Sampling(max_tokens=max_tokens, extra=extra)) == bound


@pytest.mark.parametrize("count", [10**19, 10**400, -1])
async def test_a_count_that_can_be_none_counts_whole_and_overflows_nothing(tmp_path: Path, count: int) -> None:
    for usage in (Usage(input_tokens=count, output_tokens=1), Usage(input_tokens=1, output_tokens=count)):

        def answered(prompt: Prompt, usage: Usage = usage) -> Completion:
            return Completion(text="x", model="m", finish_reason="stop", usage=usage, latency_s=0)

        folder = tmp_path / str(usage.input_tokens)
        folder.mkdir()
        with Ledger(folder, limit_usd=1) as ledger:
            await budgeted(FunctionProvider(answered), ledger).complete(PROMPT)
            assert ledger.spent_usd == pytest.approx(MOST)


@in_virtual_time
async def test_what_waits_for_money_when_the_study_stops_is_not_sent(tmp_path: Path) -> None:
    biller = Overbiller(lambda: 400)
    with Ledger(tmp_path, limit_usd=100) as ledger:
        layer = budgeted(biller, ledger)
        calls = [asyncio.create_task(layer.complete(PROMPT)) for _ in range(32)]
        await asyncio.sleep(0.5)
        ledger.drain()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert biller.n_calls == 1 and isinstance(outcomes[0], Completion)
    assert all(isinstance(outcome, NotSent) for outcome in outcomes[1:])


class ShortDisk:
    """Takes part of the n-th line and no more; from then on it is full."""

    def __init__(self, n: int, n_bytes: int) -> None:
        self.n, self.n_bytes, self.n_calls, self.write = n, n_bytes, 0, os.write

    def __call__(self, file: int, data: bytes) -> int:
        self.n_calls += 1
        if self.n_calls < self.n:
            return self.write(file, data)
        if self.n_calls == self.n:
            return self.write(file, bytes(data)[: self.n_bytes])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("limit_usd", [None, 1.0])
@pytest.mark.parametrize("n", range(1, 8))
async def test_a_short_write_glues_nothing_and_locks_nobody_out(
    tmp_path: Path, n: int, limit_usd: float | None
) -> None:
    biller = Biller(lambda: 100)
    with pytest.MonkeyPatch.context() as patched, suppress(NotWritten), Ledger(tmp_path, limit_usd=limit_usd) as ledger:
        patched.setattr(os, "write", ShortDisk(n, 7))
        layer = budgeted(biller, ledger)
        for _ in range(5):
            await asyncio.gather(layer.complete(PROMPT), return_exceptions=True)
    assert biller.n_calls <= n // 2
    assert (tmp_path / LEDGER).read_bytes().endswith(b"\n") or n == 1
    with Ledger(tmp_path, limit_usd=limit_usd) as ledger:
        assert ledger.spent_usd >= biller.bill - 1e-12
        await budgeted(biller, ledger).complete(PROMPT)
    state = read_ledger(tmp_path)
    assert state is not None and state.n_answered + len(state.open) == biller.n_calls


async def test_an_answer_whose_line_cannot_be_written_is_handed_on_and_the_end_says_so(tmp_path: Path) -> None:
    with (
        pytest.MonkeyPatch.context() as patched,
        pytest.raises(NotWritten, match="No space left"),
        Ledger(tmp_path, limit_usd=1) as ledger,
    ):
        patched.setattr(os, "write", ShortDisk(3, 5))  # whose calls these are, that one is sent, that it was answered
        assert (await budgeted(Biller(lambda: 1), ledger).complete(PROMPT)).text == "x"


@pytest.mark.parametrize(
    "torn", [b'{"id": "ab', b'{"id": "abcdef-7", "at_mo', b'{"sitting": "a', b'{"id": "x", "cost": 1']
)
async def test_a_line_glued_to_a_torn_one_by_an_older_version_is_read(tmp_path: Path, torn: bytes) -> None:
    with Ledger(tmp_path) as ledger:
        await budgeted(Biller(lambda: 10), ledger).complete(PROMPT)
    path = tmp_path / LEDGER
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join((*lines[:-1], torn, lines[-1])))
    with Ledger(tmp_path, limit_usd=1) as ledger:
        assert ledger.spent_usd == pytest.approx((2.0 * 45 + 10.0 * 10) / MILLION)
    path.write_bytes(b'{"carried": 0.5, "n_ca' + path.read_bytes())  # of that, money was forgotten
    with pytest.raises(LogError, match=r"ledger\.jsonl:1: .* --new"), Ledger(tmp_path, limit_usd=1):
        pass


async def test_a_process_that_joins_heals_the_line_that_a_killed_one_left(tmp_path: Path) -> None:
    with Ledger(tmp_path) as one:
        await budgeted(Biller(lambda: 10), one).complete(PROMPT)
        with (tmp_path / LEDGER).open("ab") as file:
            file.write(b'{"id": "gone-1", "at_')
        with Ledger(tmp_path) as other:
            for ledger in (other, one):
                await budgeted(Biller(lambda: 10), ledger).complete(PROMPT)
    state = read_ledger(tmp_path)
    assert state is not None and (state.n_answered, state.open) == (3, {})


def test_a_ledger_that_is_a_link_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / LEDGER).symlink_to(victim)
    with pytest.raises(LogError, match="symbolic link"), Ledger(tmp_path, limit_usd=1):
        pass
    assert victim.read_text() == "precious"
