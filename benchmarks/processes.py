"""Several processes on one study: `python benchmarks/processes.py [--kills N]`. The server's own log is the judge.

Limits and budgets must hold over all processes together, also while workers and the broker are killed. Rates are ratios
to the stated limit, money is compared with what the server billed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from agentsim.log.reading import read_log
from agentsim.log.records import Reply
from agentsim.providers.ledger import read_ledger
from agentsim.testing.faultserver import Answer, Behaviour, FaultServer, Request

N_IN, N_OUT = 7, 3
"""Tokens of each answer, as the server bills them."""
USD = (N_IN * 1.0 + N_OUT * 1.0) / 1e6
"""What one answer costs at a dollar a million tokens."""


class Billing:
    """What the server saw: when each request came, and how many were under way."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.most_in_flight = 0

    def __call__(self, request: Request) -> Behaviour:
        self.times.append(time.monotonic())
        self.most_in_flight = max(self.most_in_flight, request.n_in_flight)
        if "strategy will be" in request.prompt.rsplit("\n", 1)[-1].lower():
            return Answer("My strategy will be to give half.")
        return Answer("Answer: 4")

    def most_in(self, seconds: float) -> int:
        """Return the most requests that came within so many seconds."""
        first, most = 0, 0
        for last, at in enumerate(self.times):
            while self.times[first] <= at - seconds:
                first += 1
            most = max(most, last - first + 1)
        return most

    def used(self, per_minute: int, *, until: float) -> float:
        """Return the share of the limit that was used from the first request until a time."""
        n = sum(at <= until for at in self.times)
        return 60 * (n - 1) / (until - self.times[0]) / per_minute


def scenario(folder: Path, url: str, *, n_runs: int, **account: Any) -> Path:
    """Write a scenario for the fake server; its answers cost a dollar a million tokens."""
    path = folder / "scenario.yaml"
    content = {
        "name": "shared",
        "agents": 6,
        "generations": 2,
        "game": {"kind": "donor", "rounds": 6},
        "players": {"model": "mine/any", "temperature": 0.8, "max_tokens": 300},
        "seeds": f"0-{n_runs - 1}",
        "providers": {
            "mine": {"base_url": url, "api_key_env": None, "prices": {"any": {"input": 1, "output": 1}}, **account}
        },
    }
    path.write_text(json.dumps(content))
    return path


async def worker(path: Path, results: Path, *options: str) -> asyncio.subprocess.Process:
    """Start one worker."""
    command = (sys.executable, "-m", "agentsim", "run", str(path), "--claim", "--quiet", "--results", str(results))
    with (results.parent / "workers.txt").open("ab") as said:
        return await asyncio.create_subprocess_exec(*command, *options, stdout=said, stderr=said)


async def until_all_end(
    start: Any, processes: list[asyncio.subprocess.Process], *, n_kills: int, seed: int, folder: Path
) -> int:
    """Wait for all workers; meanwhile kill some, every second time the one that hosts the broker, and start others."""
    draw, n_killed = random.Random(seed), 0
    while any(process.returncode is None for process in processes):
        await asyncio.sleep(draw.uniform(0.1, 1.2))
        alive = [process for process in processes if process.returncode is None]
        if n_killed >= n_kills or not alive:
            continue
        victim = draw.choice(alive)
        if n_killed % 2:
            host = broker(folder)
            victim = next((process for process in alive if process.pid == host), victim)
        victim.send_signal(signal.SIGKILL)
        await victim.wait()
        n_killed += 1
        processes.append(await start())
    assert processes[-1].returncode == 0, processes[-1].returncode
    return n_killed


def broker(folder: Path) -> int | None:
    """Return the process that hosts the broker."""
    try:
        pid: int = json.loads((folder / ".workers" / "broker.json").read_text())["pid"]
    except (OSError, ValueError, KeyError):
        return None
    return pid


async def play(
    *,
    n_workers: int,
    n_runs: int,
    latency_s: float,
    budget: float | None = None,
    n_kills: int = 0,
    seed: int = 0,
    **account: Any,
) -> dict[str, Any]:
    """Play a study by several workers and return what the server and the files say about it."""
    billing = Billing()
    with tempfile.TemporaryDirectory() as place:
        home, results = Path(place), Path(place) / "results"
        results.mkdir()
        async with FaultServer(billing, latency=lambda: latency_s, keeps_requests=False) as server:
            path = scenario(home, server.openai_url, n_runs=n_runs, **account)
            options = [] if budget is None else ["--max-cost", str(budget)]
            folder = results / "shared"

            async def start() -> asyncio.subprocess.Process:
                return await worker(path, results, *options)

            began, cpu = time.monotonic(), os.times()
            processes = [await start() for _ in range(n_workers)]
            n_killed = await until_all_end(start, processes, n_kills=n_kills, seed=seed, folder=folder)
            wall_s, after = time.monotonic() - began, os.times()
        said = (home / "workers.txt").read_text()
        replies = [
            [record for record in read_log(log.parent).records if isinstance(record, Reply)]
            for log in sorted(folder.glob("*/log.jsonl"))
        ]
        ledger = read_ledger(folder)
        assert ledger is not None
        n_replies = sum(map(len, replies))
        assert all(len({(reply.key, reply.attempt) for reply in run}) == len(run) for run in replies), "twice"
        return {
            "billing": billing,
            "n_requests": len(billing.times),
            "n_replies": n_replies,
            "n_killed": n_killed,
            "n_folders": len(list(results.glob("shared*"))),
            "spent_usd": ledger.spent_usd,
            "n_answered": ledger.n_answered,
            "n_open": len(ledger.open),
            "open_usd": ledger.open_usd,
            "wall_s": wall_s,
            "cpu_s": after.children_user + after.children_system - cpu.children_user - cpu.children_system,
            "said": said,
        }


def told(found: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in found.items() if name not in ("billing", "said"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    options = parser.parse_args(arguments)
    console, table = Console(), Table("case", "most in 60 s ÷ limit", "used", "calls", "billed", "kills", "said")
    console.print(told(asyncio.run(play(n_workers=4, n_runs=16, latency_s=0.1, n_kills=options.kills))))
    console.print(table)


if __name__ == "__main__":
    main()
