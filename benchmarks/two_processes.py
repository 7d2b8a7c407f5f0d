"""Fifteen runs on one core and on two: `python benchmarks/two_processes.py [--runs 15] [--in-flight 64]`.

Answers come after exactly 200 ms, so that as many calls as may be under way need a time that is known: the bound. One
process must do all of its work in that time; with `--claim`, two share it. The wall time counts where nothing else is
at work; beside other work the CPU of the busier process says what would be left of it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import yaml
from figures import figure
from orchestrator import server
from rich.console import Console
from rich.table import Table

from agentsim.log.reading import closed_log

ANSWER_S = 0.2
CHAIN = 130
"""Questions of a run that wait for each other: of few runs they are the bound."""


class Taken(NamedTuple):
    """What a study took."""

    wall_s: float
    bound_s: float
    cpu_s: list[float]
    """Of each process, with its imports."""


def play(*, n_processes: int, n_runs: int, in_flight: int) -> Taken:
    """Play a study of paper-size runs by so many processes."""
    with tempfile.TemporaryDirectory() as name, server("--latency", str(ANSWER_S), "--tail", "1") as (url, _):
        scenario = {
            "name": "fifteen",
            "players": {"model": "fake/any"},
            "providers": {"fake": {"base_url": url, "api_key_env": None, "concurrency": in_flight}},
            "seeds": list(range(n_runs)),
        }
        path = Path(name, "study.yaml")
        path.write_text(yaml.safe_dump(scenario))
        claim = ["--claim"] if n_processes > 1 else []
        command = [sys.executable, "-m", "agentsim", "run", str(path), "--quiet", "--results", name, *claim]
        began = time.perf_counter()
        processes = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(n_processes)]
        cpu_s = []
        for process in processes:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            assert process.returncode == 0, process.returncode
            cpu_s.append(usage.ru_utime + usage.ru_stime)
        wall_s = time.perf_counter() - began
        closed = [closed_log(log.parent) for log in Path(name, "fifteen").glob("*/log.jsonl")]
    n_replies = sum(one.finished.n_replies for one in closed if one is not None)
    assert len(closed) == n_runs and all(closed)
    return Taken(wall_s, max(n_replies / in_flight, CHAIN) * ANSWER_S, cpu_s)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--in-flight", type=int, default=64)
    options = parser.parse_args(arguments)
    title = f"{options.runs} runs of paper size, {options.in_flight} in flight, answers after {ANSWER_S * 1000:.0f} ms"
    table = Table("processes", "wall", "bound", "ratio", "CPU of each", "CPU of the busier ÷ bound", title=title)
    for n_processes in (1, 2):
        taken = play(n_processes=n_processes, n_runs=options.runs, in_flight=options.in_flight)
        ratio, busy = taken.wall_s / taken.bound_s, max(taken.cpu_s) / taken.bound_s
        cpu = ", ".join(f"{one:.1f} s" for one in taken.cpu_s)
        row = (f"{taken.wall_s:.1f} s", f"{taken.bound_s:.1f} s", f"{ratio:.3f}", cpu, f"{busy:.2f}")
        table.add_row(str(n_processes), *row)
        if n_processes == 2:
            figure("15 runs, 64 in flight, two processes: wall ÷ bound", ratio, 1.1)
            figure("the same: CPU of the busier process ÷ bound", busy, 1.0)
    Console(width=140).print(table, f"load of the machine: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
