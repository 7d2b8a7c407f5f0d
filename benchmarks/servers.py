"""Four servers of different speed behind one account, against one pool's ideal. Run: python benchmarks/servers.py

The ideal is one queue for all places of all servers: whenever a place is free, the call with the longest chain behind
it takes it, the fastest place first. That takes knowledge of places and speeds, which an account does not have. In
virtual time the same study is played by both. Over sockets, the time for as many calls as fill the servers is compared
with the time in which the servers could process them.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack

from figures import figure
from orchestrator import server
from rich.console import Console
from rich.table import Table

import agentsim
from agentsim.providers.account import Account, open_account
from agentsim.providers.base import PLAIN, Call, Completion, Message, Prompt, Provider, Usage
from agentsim.providers.settings import ProviderSettings
from agentsim.testing.virtual import virtually
from agentsim.testing.weather import InTurn, lognormal, plausible

SPEEDS = ((4, 1.0), (4, 2.0), (4, 4.0), (4, 8.0))
"""Of each server: how many calls it processes at a time, and in how many seconds each, at the median."""
USAGE = Usage(input_tokens=600, output_tokens=40)


def _completion(prompt: Prompt, seconds: float) -> Completion:
    text = plausible(prompt.messages[-1].content)
    return Completion(text=text, model=prompt.model, finish_reason="stop", usage=USAGE, latency_s=seconds)


class Turns:
    """A server that processes a few calls at a time, in order of arrival."""

    def __init__(self, at_a_time: int, work_s: Callable[[], float]) -> None:
        self._turns: InTurn | None = None
        self._at_a_time, self._work_s = at_a_time, work_s
        self.n_answered = 0

    async def complete(self, prompt: Prompt, call: Call = PLAIN) -> Completion:
        clock = asyncio.get_running_loop().time
        self._turns = self._turns or InTurn(self._work_s, at_a_time=self._at_a_time, clock=clock)
        seconds = self._turns()
        await asyncio.sleep(seconds)
        self.n_answered += 1
        return _completion(prompt, seconds)

    async def aclose(self) -> None: ...


class Ideal:
    """One queue for all places, which knows how fast each is."""

    def __init__(self, works: list[tuple[int, float, Callable[[], float]]]) -> None:
        self._free = [(median_s, n) for n, (at_a_time, median_s, _) in enumerate(works) for _ in range(at_a_time)]
        heapq.heapify(self._free)
        self._works = [work for *_, work in works]
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    async def complete(self, prompt: Prompt, call: Call = PLAIN) -> Completion:
        while not self._free:
            turn = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (-call.n_after, next(self._numbers), turn))
            await turn
        place = heapq.heappop(self._free)
        seconds = self._works[place[1]]()
        await asyncio.sleep(seconds)
        heapq.heappush(self._free, place)
        if self._waiting:
            heapq.heappop(self._waiting)[2].set_result(None)
        return _completion(prompt, seconds)

    async def aclose(self) -> None: ...


def play(provider: Callable[[], Provider], *, seeds: int, generations: int) -> float:
    """Return the seconds that a study takes, in virtual time."""
    scenario = agentsim.scenario_from(
        {
            "name": "bench",
            "generations": generations,
            "players": {"model": "mine/m"},
            "seeds": list(range(seeds)),
            "providers": {"mine": {"base_url": "http://127.0.0.1:9/v1"}},
        }
    )

    async def main(folder: str) -> agentsim.StudyResult:
        return await agentsim.run_async(scenario, results=folder, provider=provider())

    with tempfile.TemporaryDirectory() as folder:
        result = virtually(main(folder))
    assert result.is_complete, result
    return result.wall_s


def works(tail: float) -> list[tuple[int, float, Callable[[], float]]]:
    """Return the servers' places, medians and times for one call."""
    return [(n, median_s, lognormal(median_s, seed=seed, tail=tail)) for seed, (n, median_s) in enumerate(SPEEDS)]


def pooled(tail: float, concurrency: int) -> Account:
    """Return an account with the servers behind it."""
    urls = [f"http://127.0.0.1:{port}/v1" for port in range(1, 1 + len(SPEEDS))]
    settings = ProviderSettings.model_validate({"base_url": urls, "concurrency": concurrency})
    turns = [Turns(at_a_time, work) for at_a_time, _, work in works(tail)]
    return Account("mine", settings, dict(zip(urls, turns, strict=True)))


def studies() -> Table:
    """Return the table of studies in virtual time."""
    table = Table(title=f"Studies on servers with (places, s a call) of {SPEEDS}: wall ÷ one pool's ideal")
    for name in ("runs", "in flight", "slowest 1 %", "wall, min", "ideal, min", "ratio (goal 1.1)"):
        table.add_column(name, justify="right")
    for seeds, concurrency, tail in ((8, 64, 8.0), (8, 32, 8.0), (8, 64, 1.0), (2, 64, 8.0), (1, 64, 8.0)):
        wall = play(lambda: pooled(tail, concurrency), seeds=seeds, generations=3)  # noqa: B023
        ideal = play(lambda: Ideal(works(tail)), seeds=seeds, generations=3)  # noqa: B023
        ratio = f"{wall / ideal:.3f}"
        table.add_row(str(seeds), str(concurrency), f"× {tail:g}", f"{wall / 60:.1f}", f"{ideal / 60:.1f}", ratio)
    return table


async def _ask(urls: list[str], n: int, concurrency: int) -> tuple[float, list[int]]:
    settings = ProviderSettings.model_validate({"base_url": urls, "concurrency": concurrency})
    account = open_account("mine", settings, environ={})
    prompt = Prompt(model="any", messages=(Message(role="user", content="How much? " * 150),))
    began = time.perf_counter()
    answers = await asyncio.gather(*(account.complete(prompt) for _ in range(n)))
    seconds = time.perf_counter() - began
    await account.aclose()
    return seconds, [sum(answer.server == url for answer in answers) for url in urls]


def sockets(scale: float = 0.1, n: int = 1500, concurrency: int = 64) -> Table:
    """Return the table of calls over sockets, to four fake servers in processes of their own."""
    with ExitStack() as stack:
        urls = [
            stack.enter_context(server("--latency", str(median_s * scale), "--tail", "1", "--in-turn", str(places)))[0]
            for places, median_s in SPEEDS
        ]
        wall, counts = asyncio.run(_ask(urls, n, concurrency))
    ideal = n / sum(places / (median_s * scale) for places, median_s in SPEEDS)
    figure("four unequal servers: wall ÷ one pool's ideal", wall / ideal, 1.1)
    table = Table(title=f"{n:,} calls over sockets, {concurrency} in flight: wall ÷ one pool's ideal (goal 1.1)")
    for name in ("wall", "ideal", "ratio", "answered by each"):
        table.add_column(name, justify="right")
    table.add_row(f"{wall:.1f} s", f"{ideal:.1f} s", f"{wall / ideal:.3f}", ", ".join(map(str, counts)))
    return table


def main() -> None:
    """Print the tables."""
    console = Console(width=140)
    console.print(sockets())
    console.print(studies())


if __name__ == "__main__":
    main()
