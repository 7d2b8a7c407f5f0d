"""How near a study is to its bounds: `python benchmarks/orchestrator.py`. A fake server runs in a process of its own.

One paper-size run (1,506 questions, 130 of them in a chain) against: the longest chain of its own calls; the CPU that
the bare SDK needs for the same calls; the throughput of a limit that the server enforces.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import agentsim
from agentsim.runlog import RunFinished, read_log

MEDIAN_S = 0.05


@contextmanager
def server(*options: str) -> Iterator[tuple[str, dict[str, int]]]:
    """Serve until the context ends; then the counts of what requests met are there."""
    counts: dict[str, int] = {}
    command = [sys.executable, "-m", "agentsim.testing", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split("base_url: ")[1].split("}")[0]
        yield url, counts
        process.send_signal(2)
        for line in process.stdout.read().splitlines():
            if ": " in line and not line.lstrip().startswith("players"):
                name, n = line.rsplit(": ", 1)
                counts[name] = int(n.replace(",", ""))


def play(url: str, *, generations: int = 10, **limits: Any) -> tuple[float, float, float, int]:
    """Play one run; return wall and CPU seconds, the longest chain of its calls, and the number of replies."""
    scenario = agentsim.scenario_from(
        {
            "name": "bench",
            "generations": generations,
            "players": {"model": "fake/any"},
            "providers": {"fake": {"base_url": url, "api_key_env": None, "concurrency": 128, **limits}},
            "seeds": [0],
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        cpu, wall = time.process_time(), time.perf_counter()
        result = agentsim.run(scenario, results=folder)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        assert result.is_complete, result
        records = read_log(Path(result.folder) / result.runs[0].run).records
        chain = next(record.critical_path_s for record in records if isinstance(record, RunFinished))
    return wall, cpu, chain, result.runs[0].n_replies


def bare_sdk(url: str, n_calls: int) -> float:
    """Return the CPU seconds of the SDK alone for as many calls, on the same transport."""
    from openai import AsyncOpenAI, DefaultAioHttpClient

    async def main() -> None:
        async with AsyncOpenAI(api_key="x", base_url=url, http_client=DefaultAioHttpClient(), max_retries=0) as client:
            gate = asyncio.Semaphore(12)

            async def call() -> None:
                async with gate:
                    await client.chat.completions.create(
                        model="any", messages=[{"role": "user", "content": "How much? " * 150}]
                    )

            await asyncio.gather(*(call() for _ in range(n_calls)))

    cpu = time.process_time()
    asyncio.run(main())
    return time.process_time() - cpu


def main() -> None:
    """Print the table."""
    table = Table(title=f"One paper-size run, answers in {MEDIAN_S * 1000:.0f} ms (median), {os.cpu_count()} cores")
    for name in ("what", "seconds", "against", "ratio", "goal"):
        table.add_column(name)
    latency = ("--latency", str(MEDIAN_S))
    with server() as (url, _):  # once unmeasured: loading the SDK is no part of a call
        play(url, generations=1)
    with server(*latency) as (url, _):
        wall, cpu, chain, n = play(url)
        table.add_row("wall", f"{wall:.1f}", f"longest chain of its calls {chain:.1f} s", f"{wall / chain:.3f}", "1.03")
        bare = bare_sdk(url, n)
        extra = (cpu - bare) / n * 1000
        table.add_row("CPU", f"{cpu:.2f}", f"bare SDK {bare:.2f} s", f"{extra:+.2f} ms a call", "0.5 ms")
    per_minute = 3000
    with server(*latency, "--requests-per-minute", str(per_minute)) as (url, counts):
        paced, _, _, n = play(url, requests_per_minute=per_minute)
    bound = (n - 1) * 60 / per_minute
    what = f"{per_minute:,} requests a minute {bound:.1f} s"
    refused = counts.get("over the limit", 0) / n
    table.add_row("wall, paced", f"{paced:.1f}", what, f"{paced / bound:.3f}; {refused:.1%} refused", "1.05; 1 %")
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
