"""How near studies are to the least possible time: `python benchmarks/schedule.py`. In virtual time: exact, repeatable.

Five seeds of three models on one account, ten generations, answers in 1.5 s (median), for every setting of the
limits; and what outages, refusals and calls that hang cost. The provider is simulated, all else is the real
thing: societies, logs, limits, retries. No absolute time is measured here, so the ratios do not depend on the machine.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Console
from rich.table import Table

import agentsim
from agentsim.errors import RateLimited, Unavailable
from agentsim.providers.account import Account
from agentsim.providers.base import PLAIN, Call, Completion, Prompt, Usage
from agentsim.providers.settings import ProviderSettings
from agentsim.testing.virtual import virtually
from agentsim.testing.weather import lognormal, plausible

MEDIAN_S = 1.5
NO_LIMIT = 10_000
REFUSAL_S = 0.1


class Simulated:
    """Answers after a seeded while; refuses, is down or hangs as told."""

    def __init__(
        self, *, refused: float = 0.0, hung: float = 0.0, down: tuple[float, float] = (0, 0), a_minute: int = 10**9
    ) -> None:
        self.refused, self.hung, self.down, self.a_minute = refused, hung, down, a_minute
        self.latency = lognormal(MEDIAN_S, seed=1)
        self.draw = Random(2)
        self.n_requests = self.n_refused = self.n_answered = self.n_while_down = 0
        self.first_after_s: float | None = None
        self.answered_s = 0.0
        self.begun: deque[float] = deque()

    async def complete(self, prompt: Prompt, call: Call = PLAIN) -> Completion:
        now = asyncio.get_running_loop().time()
        self.n_requests += 1
        while self.begun and self.begun[0] <= now - 60:
            self.begun.popleft()
        self.begun.append(now)
        if self.down[0] <= now < self.down[1]:
            self.n_while_down += 1
            await asyncio.sleep(REFUSAL_S)
            raise Unavailable("503: down", may_be_billed=False)
        if now >= self.down[1] > 0 and self.first_after_s is None:
            self.first_after_s = now - self.down[1]
        if len(self.begun) > self.a_minute or self.draw.random() < self.refused:
            self.n_refused += 1
            await asyncio.sleep(REFUSAL_S)
            wait_s = 1.0 if len(self.begun) <= self.a_minute else self.begun[-1 - self.a_minute] + 60 - now
            raise RateLimited("429: slow down", retry_after_s=wait_s)
        if self.draw.random() < self.hung:
            await asyncio.sleep(120)  # the deadline of the whole call
            raise Unavailable("no answer in 120 s", is_late=True)
        latency = self.latency()
        await asyncio.sleep(latency)
        self.n_answered += 1
        self.answered_s += latency
        text = plausible(prompt.messages[-1].content)
        usage = Usage(input_tokens=600, output_tokens=40)
        return Completion(text=text, model=prompt.model, finish_reason="stop", usage=usage, latency_s=latency)

    async def aclose(self) -> None: ...


def play(
    server: Simulated, *, models: int = 1, seeds: int = 1, generations: int = 10, **limits: Any
) -> agentsim.StudyResult:
    """Play a study in virtual time."""
    settings = ProviderSettings(base_url="http://127.0.0.1:9/v1", api_key_env=None, **limits)
    scenario = agentsim.scenario_from(
        {
            "name": "bench",
            "generations": generations,
            "players": {"model": "openai/m0"},
            "vary": {"players.model": [f"openai/m{number}" for number in range(models)]},
            "seeds": list(range(seeds)),
        }
    )

    async def main(folder: str) -> agentsim.StudyResult:
        account = Account("openai", settings, server)
        return await agentsim.run_async(scenario, results=folder, provider=account)

    with tempfile.TemporaryDirectory() as folder:
        result = virtually(main(folder))
    assert result.is_complete, result
    assert Path(result.folder).name == "bench"
    return result


def least_s(server: Simulated, result: agentsim.StudyResult, *, concurrency: int, per_minute: int | None) -> float:
    """Return the least seconds for these very answers under these limits."""
    chain = max(run.critical_path_s for run in result.runs)
    minutes = 0.0 if per_minute is None else (server.n_answered - 1) / per_minute
    return float(max(chain, server.answered_s / concurrency, 60 * minutes))


def grid(concurrencies: Iterable[int], per_minutes: Iterable[int | None]) -> Table:
    """Return the table of all settings of the limits."""
    table = Table(title="15 runs side by side: wall ÷ the least possible (goal 1.05), and against one call at a time")
    for name in ("in flight", "requests a minute", "wall, min", "least, min", "ratio", "× as fast"):
        table.add_column(name, justify="right")
    for concurrency, per_minute in itertools.product(concurrencies, per_minutes):
        server = Simulated(a_minute=per_minute or 10**9)
        generations = 1 if per_minute == 60 else 10  # the throttle polls, even in virtual time
        result = play(
            server,
            models=3,
            seeds=5,
            generations=generations,
            concurrency=concurrency,
            requests_per_minute=per_minute,
        )
        least = least_s(server, result, concurrency=concurrency, per_minute=per_minute)
        table.add_row(
            "no limit" if concurrency == NO_LIMIT else str(concurrency),
            "no limit" if per_minute is None else f"{per_minute:,}",
            f"{result.wall_s / 60:.1f}",
            f"{least / 60:.1f}",
            f"{result.wall_s / least:.3f}",
            f"{server.answered_s / result.wall_s:.1f}",
        )
        assert server.n_refused == 0, server.n_refused
    return table


def troubles() -> Table:
    """Return the table of what faults cost eight runs side by side."""
    table = Table(title="8 runs, 12,048 questions, 32 in flight: what faults cost")
    for name in ("fault", "requests an answer", "wall, min", "× as without", "goal", "besides"):
        table.add_column(name)
    calm = play(Simulated(), seeds=8).wall_s
    table.add_row("none", "1.000", f"{calm / 60:.1f}", "1.00", "", "")
    for name, goal, server, limits in (
        ("10 % refused at random", "1.15; 1.1 ×", Simulated(refused=0.1), {}),
        ("50 % refused at random", "2.1; 2.5 ×", Simulated(refused=0.5), {}),
        ("down for 30 s", "", Simulated(down=(60, 90)), {}),
        ("down for 10 min", "1 probe in 5 s, back in 10 s", Simulated(down=(60, 660)), {}),
        ("1 % hang for ever", "1.35 ×", Simulated(hung=0.01), {}),
        ("20 % hang for ever", "5.5 ×", Simulated(hung=0.2), {}),
        ("1 % hang for ever, waited for", "", Simulated(hung=0.01), {"gives_up_early": False}),
        ("1 % hang for ever, hedged at p95", "1.1 ×", Simulated(hung=0.01), {"hedge": {"after": "p95"}}),
        ("500 a minute, not stated", "1.05", Simulated(a_minute=500), {}),
    ):
        wall_s = play(server, seeds=8, **limits).wall_s
        besides = ""
        if server.down[1]:
            back = "" if server.first_after_s is None else f", back after {server.first_after_s:.1f} s"
            besides = f"{server.n_while_down} requests while down{back}"
        if server.a_minute < 10**9:
            besides = f"{wall_s / (server.n_answered / server.a_minute * 60):.2f} × the least under it"
        table.add_row(
            name,
            f"{server.n_requests / server.n_answered:.3f}",
            f"{wall_s / 60:.1f}",
            f"{wall_s / calm:.2f}",
            goal,
            besides,
        )
    return table


def main() -> None:
    """Print the tables."""
    console = Console(width=140)
    console.print(troubles())
    console.print(grid((8, 32, 128, NO_LIMIT), (60, 500, 4000, None)))


if __name__ == "__main__":
    main()
