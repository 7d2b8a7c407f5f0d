"""What many calls at once cost: `python benchmarks/in_flight.py`. A fake server runs in a process of its own.

As many calls as may be under way, three times over, through an account with its limits and retries, and through the
bare SDK; each in a process of its own, so that memory is comparable. Answers come after 1.5 s.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from statistics import median

from figures import figure
from orchestrator import server
from rich.console import Console
from rich.table import Table

from agentsim.providers.account import open_account
from agentsim.providers.base import Message, Prompt, Sampling
from agentsim.providers.settings import ProviderSettings

ANSWER_S = 1.5
TIMES = 3
TEXT = "How much? " * 150


async def _account(url: str, n: int) -> list[float]:
    settings = ProviderSettings(base_url=url, api_key_env=None, concurrency=n)
    account = open_account("fake", settings, environ={})
    prompt = Prompt(model="any", messages=(Message(role="user", content=TEXT),), sampling=Sampling(max_tokens=64))
    latencies = [each.latency_s for each in await asyncio.gather(*(account.complete(prompt) for _ in range(TIMES * n)))]
    await account.aclose()
    return latencies


async def _bare(url: str, n: int) -> list[float]:
    from openai import AsyncOpenAI

    gate = asyncio.Semaphore(n)
    async with AsyncOpenAI(api_key="x", base_url=url, max_retries=0, timeout=120) as client:

        async def call() -> float:
            async with gate:
                began = time.perf_counter()
                await client.chat.completions.create(model="any", messages=[{"role": "user", "content": TEXT}])
                return time.perf_counter() - began

        return await asyncio.gather(*(call() for _ in range(TIMES * n)))


def measure(what: str, url: str, n: int) -> None:
    """Print what one process needs for it, as JSON."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, wall = time.process_time(), time.perf_counter()
    latencies = asyncio.run((_account if what == "account" else _bare)(url, n))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {
        "wall": wall,
        "cpu": cpu,
        "added": median(latencies) - ANSWER_S,
        "peak": peak / 1024,
        "before": before / 1024,
    }
    sys.stdout.write(json.dumps(found))


def main() -> None:
    """Print the table."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    table = Table(title=f"Calls at once, answers after {ANSWER_S} s, {os.cpu_count()} cores shared with the server")
    for name in (
        "in flight",
        "through",
        "calls a second",
        "of the most possible",
        "added at the median",
        "CPU a call",
        "memory",
    ):
        table.add_column(name, justify="right")
    for n in (500, 1000, 5000):
        for what in ("account", "bare SDK"):
            with server("--latency", str(ANSWER_S), "--tail", "1") as (url, _):
                command = [sys.executable, __file__, what.split()[0], url, str(n)]
                found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            rate = TIMES * n / found["wall"]
            if n == 500 and what == "account":
                figure("500 in flight: added at the median", found["added"], 0.5, " s")
            table.add_row(
                f"{n:,}",
                what,
                f"{rate:,.0f}",
                f"{rate * ANSWER_S / n:.0%}",
                f"{found['added']:+.2f} s",
                f"{found['cpu'] / TIMES / n * 1000:.2f} ms",
                f"{found['peak']:.0f} MB (+{found['peak'] - found['before']:.0f})",
            )
    Console(width=140).print(table)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    else:
        main()
