"""The cap holds: over calls side by side, over failures, over kills."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from agentsim.errors import (
    BadRequest,
    BudgetReached,
    LogError,
    LogLocked,
    ProviderError,
    RateLimited,
    ScenarioError,
    Unavailable,
)
from agentsim.providers.base import Completion, Message, Prompt, Sampling, Usage
from agentsim.providers.ledger import LEDGER, Booked, Ledger, most_usd, read_ledger
from agentsim.providers.prices import MILLION, Price, cost_usd

PRICE = Price(input=2.0, output=10.0, source="test")
PROMPT = Prompt(
    model="m", messages=(Message(role="user", content="How much?" * 20),), sampling=Sampling(max_tokens=500)
)
MOST = most_usd(PRICE, PROMPT) or 0.0


class Biller:
    """Answers after a while with as many tokens as it likes, and keeps the bill."""

    def __init__(self, tokens: Callable[[], int], *errors: ProviderError) -> None:
        self.tokens = tokens
        self.errors = list(errors)
        self.bill = 0.0
        self.n_calls = 0

    async def complete(self, prompt: Prompt) -> Completion:
        self.n_calls += 1
        await asyncio.sleep(0)
        if self.errors:
            raise self.errors.pop(0)
        usage = Usage(input_tokens=45, output_tokens=self.tokens())
        cost = cost_usd(PRICE, usage)
        assert cost is not None
        self.bill += cost
        return Completion(text="x", model="m", finish_reason="stop", usage=usage, latency_s=0)

    async def aclose(self) -> None: ...


def budgeted(provider: Biller, budget: Ledger) -> Booked:
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


async def test_killed_anywhere_the_cap_still_holds(tmp_path: Path) -> None:
    draw, bill = Random(1), 0.0
    for _ in range(100):
        biller = Biller(lambda: draw.randrange(1, 501))
        with Ledger(tmp_path, limit_usd=0.5) as budget:
            layer = budgeted(biller, budget)
            calls = [asyncio.create_task(layer.complete(PROMPT)) for _ in range(8)]
            for _ in range(draw.randrange(12)):
                await asyncio.sleep(0)
            for call in calls:  # as a kill: what is on its way is never heard of again
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
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
    class Silent(Biller):
        async def complete(self, prompt: Prompt) -> Completion:
            return Completion(text="x", model="m", finish_reason="stop", latency_s=0)

    with Ledger(tmp_path, limit_usd=1) as budget:
        await budgeted(Silent(lambda: 1), budget).complete(PROMPT)
        assert budget.spent_usd == pytest.approx(MOST)


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    with (
        Ledger(tmp_path, limit_usd=1),
        pytest.raises(LogLocked, match="another process spends"),
        Ledger(tmp_path, limit_usd=1),
    ):
        pass


@pytest.mark.parametrize("line", ["nonsense", '{"id": 1, "cost": 1}', '{"id": 1, "at_most": -1}', '{"carried": NaN}'])
def test_a_ledger_that_was_edited_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / LEDGER).write_text(json.dumps({"carried": 0.5, "n_calls": 3}) + "\n" + line + "\n")
    with pytest.raises(LogError, match=r"ledger\.jsonl:2: is no line of a ledger"), Ledger(tmp_path, limit_usd=1):
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
    with pytest.raises(ScenarioError, match="what its calls have cost is not known"), Ledger(tmp_path, limit_usd=1):
        pass


async def test_processes_without_a_limit_share_a_ledger_and_one_with_a_limit_does_not(tmp_path: Path) -> None:
    with Ledger(tmp_path) as one, Ledger(tmp_path) as other:
        for ledger in (one, other):
            await budgeted(Biller(lambda: 10), ledger).complete(PROMPT)
        with pytest.raises(LogLocked, match="under a budget"), Ledger(tmp_path, limit_usd=1):
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
