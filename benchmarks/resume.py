"""What kills cost, and how soon a resumed study goes on: `python benchmarks/resume.py [--runs 664]`.

A study on the fake server is killed with SIGKILL at random moments and run again until it is complete: how long that
takes against the uninterrupted study, what was asked twice, and whether the facts are the same. Then the time from
starting a resume to its first new call: of one run of the paper's size, and of many of which all but one are complete.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import yaml
from rich.console import Console
from rich.table import Table

import agentsim
from agentsim.core.facts import Encounter
from agentsim.log.reading import read_log
from agentsim.providers.base import PLAIN, Call, Completion, Prompt, Usage
from agentsim.providers.ledger import read_ledger
from agentsim.testing.faultserver import Answer, FaultServer
from agentsim.testing.weather import lognormal, plausible

KILLS = 20
LATENCY_S = 0.05


def study_file(folder: Path, server: FaultServer, *, generations: int, seeds: int) -> Path:
    """Write a scenario of the paper's size but for its generations."""
    path = folder / "killed.yaml"
    scenario = {
        "name": "killed",
        "generations": generations,
        "players": {"model": "fake/model"},
        "providers": {"fake": {"base_url": server.openai_url}},
        "seeds": list(range(seeds)),
    }
    path.write_text(yaml.safe_dump(scenario))
    return path


async def run(path: Path, results: Path, *, kill_after_s: float | None = None) -> bool:
    """Run the command; return whether it came to its end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agentsim", "run", str(path), "--quiet", "--results", str(results)),
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(kill_after_s):
            return await process.wait() == 0
    except TimeoutError:
        process.send_signal(signal.SIGKILL)
        await process.wait()
        return False


def encounters(folder: Path) -> list[str]:
    """Return the facts of all encounters of a study."""
    records = [record for log in folder.glob("*/log.jsonl") for record in read_log(log.parent).records]
    return sorted(record.model_dump_json() for record in records if isinstance(record, Encounter))


async def killed() -> Table:
    """Return the table of a study that is killed again and again."""
    table = Table(
        title=f"Three generations of three runs, answers in {LATENCY_S * 1000:.0f} ms, SIGKILL at random moments"
    )
    for name in ("kills", "wall, s", "÷ uninterrupted", "requests", "asked again", "the ledger says", "same facts"):
        table.add_column(name, justify="right")
    draw = Random(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with FaultServer([Answer(plausible)], latency=lognormal(LATENCY_S)) as server:
            path = study_file(folder, server, generations=3, seeds=3)
            began = time.perf_counter()
            assert await run(path, folder / "whole")
            whole_s = time.perf_counter() - began
            n_whole, whole = len(server.requests), encounters(folder / "whole" / "killed")
            for n_kills in (0, KILLS):
                results, before, n_done = folder / f"after-{n_kills}", len(server.requests), 0
                began = time.perf_counter()
                while n_done < n_kills and not await run(path, results, kill_after_s=draw.uniform(1.0, 3.0)):
                    n_done += 1
                assert await run(path, results)
                seconds, n_requests = time.perf_counter() - began, len(server.requests) - before
                ledger = read_ledger(results / "killed")
                assert ledger is not None
                lost = ledger.n_answered + len(ledger.open) - n_whole
                is_same = encounters(results / "killed") == whole
                table.add_row(
                    str(n_done),
                    f"{seconds:.1f}",
                    f"{seconds / whole_s:.2f}",
                    f"{n_requests:,}",
                    f"{n_requests - n_whole:,}",
                    f"{lost:,} may be lost",
                    "yes" if is_same else "NO",
                )
    return table


class Instant:
    """Answers at once, and notes when it was first asked."""

    def __init__(self) -> None:
        self.first: float | None = None

    async def complete(self, prompt: Prompt, call: Call = PLAIN) -> Completion:
        self.first = self.first or time.perf_counter()
        usage = Usage(input_tokens=600, output_tokens=40)
        text = plausible(prompt.messages[-1].content)
        return Completion(text=text, model="m", finish_reason="stop", usage=usage, latency_s=0.0)

    async def aclose(self) -> None: ...


def first_call_s(n_runs: int) -> tuple[float, int]:
    """Return the seconds until a study with one open run goes on, and how many replies its logs hold."""
    scenario = agentsim.scenario_from(
        {"name": "resumed", "players": {"model": "openai/m"}, "seeds": list(range(n_runs))}
    )
    with tempfile.TemporaryDirectory() as folder:
        result = agentsim.run(scenario, results=folder, provider=Instant())
        n_replies = sum(run.n_replies for run in result.runs)
        log = result.folder / result.runs[-1].run / "log.jsonl"
        log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-100]))
        server = Instant()
        began = time.perf_counter()
        result = agentsim.run(scenario, results=folder, provider=server)
        assert result.is_complete and server.first is not None
        return server.first - began, n_replies


def resumed(n_runs: int) -> Table:
    """Return the table of how soon a resume makes its first call."""
    table = Table(title="From starting a resume to its first new call, in one process (goals 0.5 s and 5 s)")
    for name in ("runs", "replies logged", "seconds"):
        table.add_column(name, justify="right")
    for number in (1, n_runs):
        seconds, n_replies = first_call_s(number)
        table.add_row(f"{number:,}", f"{n_replies:,}", f"{seconds:.2f}")
    return table


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=60, help="runs of the larger study (664: a million replies)")
    arguments = parser.parse_args()
    console = Console(width=140)
    console.print(asyncio.run(killed()))
    console.print(resumed(arguments.runs))


if __name__ == "__main__":
    main()
