"""Several processes on one study: `python benchmarks/processes.py [--kills N]`. The server's own log is the judge.

Limits and budgets must hold over all processes together, also while workers and the broker are killed. Rates are ratios
to the stated limit, money is compared with what the server billed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from figures import figure
from rich.console import Console
from rich.table import Table

import agentsim.cli
from agentsim.log.reading import read_log
from agentsim.log.records import Reply
from agentsim.log.writing import locked_by
from agentsim.providers.base import Message, Prompt, Sampling
from agentsim.providers.bounds import bound_of
from agentsim.providers.ledger import read_ledger
from agentsim.testing.faultserver import Answer, Behaviour, FaultServer, Request

N_IN, N_OUT = 7, 3
"""Tokens of each answer, as the server bills them."""
USD = (N_IN * 1.0 + N_OUT * 1.0) / 1e6
"""What one answer costs at a dollar a million tokens."""


TAIL_S = 10.0
"""At a study's end few calls are left, and these wait for each other."""


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


FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["agentsim.cli", "agentsim.orchestrator.engines.worker", "openai", "openai.types"])


def worker(path: Path, results: Path, options: Sequence[str]) -> BaseProcess:
    """Start one worker: the command itself, but forked from a process that has loaded what it needs."""
    process = FORKS.Process(target=_command, args=(path, results, tuple(options)))
    process.start()
    return process


def _command(path: Path, results: Path, options: Sequence[str]) -> None:
    said = os.open(results.parent / "workers.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(said, number)
    sys.argv = ["agentsim", "run", str(path), "--claim", "--quiet", "--results", str(results), *options]
    agentsim.cli.main()


async def until_all_end(
    start: Callable[[], BaseProcess],
    processes: list[BaseProcess],
    *,
    n_kills: int,
    seed: int,
    folder: Path,
    at_most_s: float = 2.0,
) -> int:
    """Wait for all workers; meanwhile kill some, every second time the one that hosts the broker, and start others."""
    draw, n_killed = random.Random(seed), 0
    while any(process.is_alive() for process in processes):
        await asyncio.sleep(draw.uniform(0.2, at_most_s))
        busy = playing(folder)
        alive = [process for process in processes if process.is_alive() and process.pid in busy]
        if n_killed >= n_kills or not alive:
            continue
        host = broker(folder) if n_killed % 2 else None
        victim = next((process for process in alive if process.pid == host), draw.choice(alive))
        victim.kill()
        await asyncio.to_thread(victim.join)
        n_killed += 1
        processes.append(start())
    return n_killed


def playing(folder: Path) -> set[int]:
    """Return the processes that are writing a run."""
    owners = [locked_by(path.parent) for path in folder.glob("*/log.jsonl")]
    return {int(owner.split()[1]) for owner in owners if owner and owner.startswith("process ")}


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

            def start() -> BaseProcess:
                return worker(path, results, options)

            began, cpu = time.monotonic(), os.times()
            processes = [start() for _ in range(n_workers)]
            try:
                n_killed = await until_all_end(start, processes, n_kills=n_kills, seed=seed, folder=folder)
                assert processes[-1].exitcode == 0, processes[-1].exitcode
            finally:
                for process in processes:
                    process.kill()
                    process.join()
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


ROOM = 60
"""So many calls the cap is raised by when it is reached."""
KILLS_A_CAP = 5


class FullBilling(Billing):
    """A server that bills each answer with the most that it can cost, so that a cap is really used up."""

    def __init__(self) -> None:
        super().__init__()
        self.usd = self.most_usd = 0.0

    def __call__(self, request: Request) -> Behaviour:
        answer = super().__call__(request)
        assert isinstance(answer, Answer)
        messages = tuple(Message(**message) for message in request.body["messages"])
        n_out = request.body["max_tokens"]
        n_in, _ = bound_of(Prompt(model="any", messages=messages, sampling=Sampling(max_tokens=n_out)))
        usd = (n_in + n_out) / 1e6
        self.usd, self.most_usd = self.usd + usd, max(self.most_usd, usd)
        return replace(answer, usage={"prompt_tokens": n_in, "completion_tokens": n_out})


async def capped(*, n_kills: int, seed: int, n_workers: int = 4) -> dict[str, Any]:
    """Play a study under a cap that binds again and again while workers and brokers are killed, and is then raised."""
    billing = FullBilling()
    n_caps = -(-n_kills // KILLS_A_CAP)
    beyond_usd, n_killed = -math.inf, 0
    with tempfile.TemporaryDirectory() as place:
        home, results = Path(place), Path(place) / "results"
        results.mkdir()
        async with FaultServer(billing, latency=lambda: 1.0, keeps_requests=False) as server:
            n_runs = 4 + n_caps * ROOM // 81
            path = scenario(home, server.openai_url, n_runs=n_runs, requests_per_minute=1200, concurrency=16)
            folder, cap = results / "shared", 0.0
            for number in range(n_caps + 1):
                is_last = number == n_caps  # no cap any more, and no kills
                cap = 1e6 if is_last else cap + ROOM * (billing.most_usd or 0.004)

                def start(cap: float = cap) -> BaseProcess:
                    return worker(path, results, ["--max-cost", f"{cap:.6f}"])

                processes = [start() for _ in range(n_workers)]
                try:
                    most = 0 if is_last else min(KILLS_A_CAP, n_kills - n_killed)
                    n_killed += await until_all_end(
                        start, processes, n_kills=most, seed=seed + number, folder=folder, at_most_s=1.0
                    )
                finally:
                    for process in processes:
                        process.kill()
                        process.join()
                if not is_last:
                    assert any(process.exitcode not in (0, -9) for process in processes), "the cap was not reached"
                    beyond_usd = max(beyond_usd, billing.usd - round(cap, 6))
        replies = [
            [record for record in read_log(log.parent).records if isinstance(record, Reply)]
            for log in sorted(folder.glob("*/log.jsonl"))
        ]
        ledger = read_ledger(folder)
    assert ledger is not None and len(replies) == n_runs
    assert all(len({(reply.key, reply.attempt) for reply in run}) == len(run) for run in replies), "twice"
    assert ledger.n_answered <= len(billing.times) <= ledger.n_answered + len(ledger.open)
    return {
        "n_caps": n_caps,
        "n_killed": n_killed,
        "beyond_usd": beyond_usd,
        "n_requests": len(billing.times),
        "n_replies": sum(map(len, replies)),
        "most_usd": billing.most_usd,
    }


CASES: dict[str, dict[str, Any]] = {
    "2 processes, 2 runs, 120 a minute": {"n_workers": 2, "n_runs": 2, "latency_s": 0.2, "requests_per_minute": 120},
    "4 processes, 32 runs, 900 a minute": {"n_workers": 4, "n_runs": 32, "latency_s": 0.2, "requests_per_minute": 900},
    "4 processes, budget, kills": {
        "n_workers": 4,
        "n_runs": 12,
        "latency_s": 0.3,
        "requests_per_minute": 1200,
        "concurrency": 16,
        "budget": 2.0,
    },
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="How many workers and brokers are killed.")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    table = Table(
        "case", "most in 60 s ÷ limit", "limit used", "requests", "stored", "paid, not stored", "US$ counted ÷ billed"
    )
    table.add_column("kills")
    for name, case in CASES.items():
        n_kills = options.kills if case.get("budget") else 0
        n_runs = max(case["n_runs"], 6 * n_kills // 10)  # work enough to be killed at
        found = asyncio.run(play(**{**case, "n_runs": n_runs}, n_kills=n_kills, seed=options.seed))
        billing, limit = found["billing"], case["requests_per_minute"]
        n_requests, n_answered = len(billing.times), found["n_answered"]
        assert n_answered <= n_requests <= n_answered + found["n_open"], "the ledger is not the server's bill"
        figure(f"{name}: most in any 60 s ÷ limit", billing.most_in(60) / limit, 1.02)
        if not n_kills:
            used = billing.used(limit, until=billing.times[-1] - TAIL_S)
            figure(f"{name}: limit used", used, 0.9, is_least=True)
        table.add_row(
            name,
            f"{billing.most_in(60) / limit:.3f}",
            f"{billing.used(limit, until=billing.times[-1] - TAIL_S):.3f}",
            f"{n_requests:,}",
            f"{found['n_replies']:,}",
            f"{n_requests - found['n_replies']:,}",
            f"{found['spent_usd'] / (n_requests * USD):.3f}",
            str(found["n_killed"]),
        )
    console = Console(width=140)
    console.print(table)
    found = asyncio.run(capped(n_kills=options.kills, seed=options.seed))
    figure(f"{found['n_killed']} kills while a cap binds: US$ beyond it", found["beyond_usd"], 0)
    console.print(
        f"a cap that was reached and raised {found['n_caps']} times: {found['n_killed']} kills,"
        f" {found['n_requests']:,} requests billed in full, {found['n_replies']:,} stored; at the least"
        f" US$ {-found['beyond_usd']:.4f} below the cap (one call: {found['most_usd']:.4f}; goal: never beyond)"
    )


if __name__ == "__main__":
    main()
