"""Tokens a minute, in virtual time, against a server that counts."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from agentsim.errors import RateLimited
from agentsim.providers.base import Completion, Message, Prompt, Sampling, Usage
from agentsim.providers.limits.limited import Limited
from agentsim.testing import FunctionProvider
from agentsim.testing.virtual import virtually


class Counter(FunctionProvider):
    """Answers with random lengths and keeps the tokens of every call with their time."""

    def __init__(self, *, fail: bool = False) -> None:
        super().__init__(self.answered)
        self.draw = Random(2)
        self.seen: list[tuple[float, int]] = []
        self.fail = fail

    async def answered(self, prompt: Prompt) -> Completion:
        begun = asyncio.get_running_loop().time()
        await asyncio.sleep(1.5)
        if self.fail:
            raise RateLimited("429")
        usage = Usage(input_tokens=len(prompt.messages[0].content) // 4, output_tokens=self.draw.randrange(20, 60))
        self.seen.append((begun, (usage.input_tokens or 0) + (usage.output_tokens or 0)))
        return Completion(text="x", model="m", finish_reason="stop", usage=usage, latency_s=1.5)


def prompt(n: int) -> Prompt:
    return Prompt(model="m", messages=(Message(role="user", content="x" * n),), sampling=Sampling(max_tokens=512))


def test_a_minute_holds_no_more_tokens_than_it_may_and_nearly_as_many() -> None:
    counter, limit = Counter(), 20_000

    async def main() -> float:
        limited = Limited(counter, concurrency=64, requests_per_minute=None, tokens_per_minute=limit)
        draw = Random(3)
        await asyncio.gather(*(limited.complete(prompt(draw.randrange(800, 2400))) for _ in range(400)))
        return asyncio.get_running_loop().time()

    ended = virtually(main())
    for begun, _ in counter.seen:
        assert sum(tokens for at, tokens in counter.seen if begun <= at < begun + 60) <= 1.03 * limit
    total = sum(tokens for _, tokens in counter.seen)
    assert ended >= (total / limit - 1) * 60
    assert ended <= 1.1 * 60 * total / limit + 10


def test_a_refused_call_gives_its_tokens_back() -> None:
    counter = Counter(fail=True)

    async def main() -> float:
        limited = Limited(counter, concurrency=1, requests_per_minute=None, tokens_per_minute=1_000)
        for _ in range(20):
            with pytest.raises(RateLimited):
                await limited.complete(prompt(1200))
        return asyncio.get_running_loop().time()

    assert virtually(main()) < 40


def test_a_call_larger_than_the_limit_is_sent_alone_and_a_limit_of_0_refused() -> None:
    async def main() -> None:
        limited = Limited(Counter(), concurrency=1, requests_per_minute=None, tokens_per_minute=10)
        await limited.complete(prompt(1200))

    virtually(main())
    with pytest.raises(ValueError, match="at least 1"):
        Limited(Counter(), concurrency=1, requests_per_minute=None, tokens_per_minute=0)
