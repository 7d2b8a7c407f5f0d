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
from typing import Any, NamedTuple

from figures import figure
from rich.console import Console
from rich.table import Table

import agentsim
from agentsim.log.reading import read_log
from agentsim.log.records import Reply, RunFinished
from agentsim.providers.base import Prompt

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


class Played(NamedTuple):
    """What one run took."""

    wall_s: float
    cpu_s: float
    chain_s: float
    """The longest chain of its calls."""
    replies: list[Reply]


def play(url: str, *, generations: int = 10, **limits: Any) -> Played:
    """Play one run."""
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
    return Played(wall, cpu, chain, [record for record in records if isinstance(record, Reply)])


def bare_sdk(url: str, played: Played) -> float:
    """Return the CPU seconds of the SDK alone for the same calls: same prompts, same transport, about the same rate.

    A process that is idle between calls needs more CPU for each, so that the rate matters.
    """
    from openai import AsyncOpenAI, DefaultAioHttpClient

    async def main() -> None:
        async with AsyncOpenAI(api_key="x", base_url=url, http_client=DefaultAioHttpClient(), max_retries=0) as client:
            busy_s = sum(reply.completion.latency_s for reply in played.replies)
            gate = asyncio.Semaphore(round(busy_s / played.wall_s))

            async def call(prompt: Prompt) -> None:
                async with gate:
                    await client.chat.completions.create(
                        model=prompt.model,
                        messages=[message.model_dump() for message in prompt.messages],  # type: ignore[misc]
                        temperature=prompt.sampling.temperature,
                        max_tokens=prompt.sampling.max_tokens,
                    )

            await asyncio.gather(*(call(reply.prompt) for reply in played.replies))

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
        run = play(url)
        what = f"longest chain of its calls {run.chain_s:.1f} s"
        table.add_row("wall", f"{run.wall_s:.1f}", what, f"{run.wall_s / run.chain_s:.3f}", "1.03")
        figure("one run, answers in 50 ms: wall ÷ longest chain of its calls", run.wall_s / run.chain_s, 1.03)
        bare = bare_sdk(url, run)
        figure("the same: CPU ÷ the bare client's", run.cpu_s / bare, 1.08)
        extra = (run.cpu_s - bare) / len(run.replies) * 1000
        table.add_row("CPU", f"{run.cpu_s:.2f}", f"bare SDK {bare:.2f} s", f"{extra:+.2f} ms a call", "0.5 ms")
    per_minute = 3000
    with server(*latency, "--requests-per-minute", str(per_minute)) as (url, counts):
        run = play(url, requests_per_minute=per_minute)
    paced, n = run.wall_s, len(run.replies)
    bound = (n - 1) * 60 / per_minute
    what = f"{per_minute:,} requests a minute {bound:.1f} s"
    refused = counts.get("over the limit", 0) / n
    figure("one run under 3,000 requests a minute: wall ÷ bound", paced / bound, 1.05)
    table.add_row("wall, paced", f"{paced:.1f}", what, f"{paced / bound:.3f}; {refused:.1%} refused", "1.05; 1 %")
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
