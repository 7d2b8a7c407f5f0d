"""What a slow disk costs, and what a kill loses on one: `python benchmarks/slow_disk.py`.

Societies on one account, every sync made slower by a number of milliseconds. First in virtual time, where only waiting
takes time: stored replies a second against concurrency ÷ (latency + sync), and the most answers at any moment that had
come and were not stored, which is what a kill would lose. Then in real time, with real sockets and kills: paid answers
that no log holds, against calls in flight; and how late the event loop was served.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

import yaml
from figures import figure
from rich.console import Console
from rich.table import Table

import agentsim
from agentsim.log.reading import read_log
from agentsim.log.records import Reply
from agentsim.orchestrator.observer import Observer
from agentsim.providers.account import Account
from agentsim.providers.base import PLAIN, Call, Completion, Prompt, Usage
from agentsim.providers.settings import ProviderSettings
from agentsim.testing.faultserver import Answer, FaultServer
from agentsim.testing.virtual import virtually
from agentsim.testing.weather import plausible

SYNCS_MS = (0, 5, 10, 30)
KILLS = 10


class Watch(Observer):
    """Counts the replies that a decision may use: those that are stored."""

    def __init__(self) -> None:
        self.n_stored = 0

    def reply(self, run: str, reply: Reply, *, cost_usd: float | None, is_replayed: bool) -> None:
        self.n_stored += 1


class Simulated:
    """Answers after a while, and counts what it has answered and nobody has stored."""

    def __init__(self, latency_s: float, watch: Watch) -> None:
        self.latency_s, self.watch = latency_s, watch
        self.draw = Random(1)
        self.n_answered = self.most_unstored = 0
        self.full: list[float] = []
        """When calls came while places were full, on the loop's clock."""

    async def complete(self, prompt: Prompt, call: Call = PLAIN) -> Completion:
        latency_s = self.draw.uniform(0.5, 1.5) * self.latency_s
        await asyncio.sleep(latency_s)
        self.n_answered += 1
        self.full.append(asyncio.get_running_loop().time())
        self.most_unstored = max(self.most_unstored, self.n_answered - self.watch.n_stored)
        text = plausible(prompt.messages[-1].content)
        usage = Usage(input_tokens=600, output_tokens=40)
        return Completion(text=text, model="m", finish_reason="stop", usage=usage, latency_s=latency_s)

    async def aclose(self) -> None: ...


def scenario(*, seeds: int, base_url: str, concurrency: int) -> dict[str, Any]:
    """Return a scenario with many questions open at a time."""
    return {
        "name": "slow",
        "agents": 48,
        "generations": 1,
        "game": {"kind": "donor", "rounds": 6},
        "players": {"model": "fake/m"},
        "providers": {"fake": {"base_url": base_url, "api_key_env": None, "concurrency": concurrency}},
        "seeds": list(range(seeds)),
    }


def in_virtual_time(*, concurrency: int, latency_s: float, sync_s: float) -> tuple[float, int]:
    """Return stored replies a second while places are full, and the most answers that were not stored at a moment."""
    watch = Watch()
    server = Simulated(latency_s, watch)
    settings = ProviderSettings(base_url="http://127.0.0.1:9/v1", api_key_env=None, concurrency=concurrency)

    async def main(folder: str) -> None:
        account = Account("fake", settings, server)
        study = scenario(seeds=8, base_url="http://127.0.0.1:9/v1", concurrency=concurrency)
        result = await agentsim.run_async(
            agentsim.scenario_from(study), results=folder, provider=account, observer=watch
        )
        assert result.is_complete, result

    with tempfile.TemporaryDirectory() as folder:
        virtually(main(folder), thread_s=sync_s)
    middle = server.full[len(server.full) // 10 : -len(server.full) // 5]  # full places: not the beginning, not the end
    return (len(middle) - 1) / (middle[-1] - middle[0]), server.most_unstored


PLAY = """
import asyncio, os, sys, time
import agentsim
sync_s, real = float(sys.argv[3]), os.fdatasync
def slow(file):
    time.sleep(sync_s)
    real(file)
os.fdatasync = slow
late = []
async def watch():
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.005)
        late.append(time.perf_counter() - began - 0.005)
async def main():
    watching = asyncio.create_task(watch())
    result = await agentsim.run_async(agentsim.load_scenario(sys.argv[1]), results=sys.argv[2])
    watching.cancel()
    late.sort()
    print(late[int(0.99 * len(late))])
    assert result.is_complete, result
asyncio.run(main())
"""


async def in_real_time(*, concurrency: int, sync_s: float, kills: int) -> tuple[float, int, float]:
    """Return the mean and the most paid answers lost at a kill, and the 99th percentile of the loop's delay (s)."""
    draw, lost = Random(1), []
    answered = n_received = 0

    def answer(prompt: str) -> str:
        nonlocal answered, n_received
        answered, n_received = answered + 1, n_received + 1
        return plausible(prompt)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with FaultServer([Answer(answer)], latency=lambda: draw.uniform(0.02, 0.04)) as server:
            study = scenario(seeds=3, base_url=server.openai_url, concurrency=concurrency)
            (folder / "slow.yaml").write_text(yaml.safe_dump(study))
            for number in range(kills + 1):
                results, answered, n_before = folder / str(number), 0, n_received
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-c", PLAY, str(folder / "slow.yaml"), str(results), str(sync_s)),
                    stdout=asyncio.subprocess.PIPE,
                )
                if number == kills:
                    output, _ = await process.communicate()
                    return sum(lost) / max(1, len(lost)), max(lost, default=0), float(output)
                await server.received(n_before + draw.randrange(150, 400))
                await asyncio.sleep(draw.uniform(0, 0.05))
                process.send_signal(signal.SIGKILL)
                await process.wait()
                await asyncio.sleep(0.3)  # what was under way is answered, and billed, all the same
                logs = [read_log(path.parent).records for path in results.glob("slow/*/log.jsonl")]
                n_stored = sum(isinstance(record, Reply) for records in logs for record in records)
                lost.append(answered - n_stored)
    raise AssertionError("unreachable")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS, help="at each setting")
    arguments = parser.parse_args()
    console = Console(width=140)
    table = Table(
        title="Virtual time, 8 societies of 48: stored replies a second ÷ concurrency ÷ (latency + sync), goal 0.9"
    )
    for column in ("in flight", "latency, ms", "sync, ms", "stored a second", "bound", "ratio", "unstored at most"):
        table.add_column(column, justify="right")
    ratios = []
    for concurrency in (32, 64):
        for latency_ms in (20, 100):
            for sync_ms in SYNCS_MS:
                latency_s, sync_s = latency_ms / 1000, sync_ms / 1000
                rate, most = in_virtual_time(concurrency=concurrency, latency_s=latency_s, sync_s=sync_s)
                bound = concurrency / (latency_s + sync_s)
                ratios.append(rate / bound)
                row = (concurrency, latency_ms, sync_ms, f"{rate:,.0f}", f"{bound:,.0f}", f"{rate / bound:.2f}", most)
                table.add_row(*map(str, row))
    figure("stored replies a second on slow disks: least ÷ bound", min(ratios), 0.9, is_least=True)
    console.print(table)
    table = Table(
        title=f"Real time, {os.cpu_count()} cores, answers in 20 to 40 ms, {arguments.kills} kills at each setting"
    )
    for column in ("in flight", "sync, ms", "lost at a kill: mean", "most", "loop served late, p99, ms", "took, s"):
        table.add_column(column, justify="right")
    for sync_ms in SYNCS_MS:
        began = time.monotonic()
        mean, most, late_s = asyncio.run(in_real_time(concurrency=32, sync_s=sync_ms / 1000, kills=arguments.kills))
        row = (32, sync_ms, f"{mean:.1f}", most, f"{1000 * late_s:.1f}", f"{time.monotonic() - began:.0f}")
        table.add_row(*map(str, row))
    console.print(table)


if __name__ == "__main__":
    main()
