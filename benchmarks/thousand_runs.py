"""Is a study of 1,000 paper-size runs usable? Run: python benchmarks/thousand_runs.py [runs] [folder]

Plays 8 scripted conditions of the published size (12 agents, 10 generations), then reads them with every command, each
in a process of its own: wall time, CPU time and peak memory. A folder that is named is kept, and played on the next
time; each command then begins without what earlier ones have kept in `.cache`, unless its row says otherwise.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from figures import figure
from rich.console import Console

SCENARIO = """
name: thousand
seeds: 0-{last}
vary:
  players:
    - {{model: scripted/all-give}}
    - {{model: scripted/all-keep}}
    - {{model: scripted/constant-share, share: 0.3}}
    - {{model: scripted/constant-share, share: 0.5}}
    - {{model: scripted/random}}
    - {{model: scripted/discriminator, share: 0.5, threshold: 0.25}}
    - {{model: scripted/leading-eight, share: 0.5, rule: 6}}
    - {{model: scripted/raise-the-stakes, share: 0.1, step: 0.1}}
"""
N_CONDITIONS = 8
AGENTSIM = ("-m", "agentsim")
STUDY = "results/thousand"
RUN = (*AGENTSIM, "run", "study.yaml", "--quiet")
LOAD = ("-c", f"import agentsim; agentsim.load('{STUDY}')")
OPEN = f"{STUDY}/random--seed-0/log.jsonl"
GOALS = {"load, first": 10, "load, again": 2, "status, first": 2, "status, again": 2, "report, frames kept": 30}
"""Seconds that these commands may take with a thousand runs."""
N_LINES = 300
"""So many lines of its log a run keeps that is then continued."""


class Taken(NamedTuple):
    """What a process took."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def taken(*arguments: str, cwd: Path) -> Taken:
    """Run Python with these arguments to its end."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], cwd=cwd, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with exit code {process.returncode}")
    return Taken(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000)


def first_line(cwd: Path) -> Taken:
    """Cut one run's log, continue the study, and return what it took until that log grew; then end it."""
    log = cwd / OPEN
    whole = log.read_bytes()
    log.write_bytes(b"".join(whole.splitlines(keepends=True)[:N_LINES]))
    n_bytes = log.stat().st_size
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *RUN], cwd=cwd, stdout=subprocess.DEVNULL)
    while log.stat().st_size <= n_bytes and process.poll() is None:
        time.sleep(0.005)
    wall_s = time.perf_counter() - began
    process.terminate()
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    log.write_bytes(whole)
    return Taken(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000)


def main(n_runs: int, cwd: Path) -> None:
    """Print a row a command."""
    console = Console(width=140)
    (cwd / "study.yaml").write_text(SCENARIO.format(last=n_runs // N_CONDITIONS - 1))
    cache = cwd / STUDY / ".cache"
    rows = [("plan", (*AGENTSIM, "plan", "study.yaml"), True), ("run", RUN, True)]
    rows += [(f"{name}, {when}", arguments, is_new) for name, arguments in (
        ("load", LOAD), ("status", (*AGENTSIM, "status", STUDY)),
    ) for when, is_new in (("first", True), ("again", False))]  # fmt: skip
    commands = {"compare": ("--by", "condition"), "show": (), "figures": (), "report": ()}
    rows += [("load, to keep its frames", LOAD, True)]
    rows += [(f"{name}, frames kept", (*AGENTSIM, name, STUDY, *more), False) for name, more in commands.items()]
    console.print("| command | wall | CPU | peak memory |\n|---|---:|---:|---:|")
    for name, arguments, is_new in rows:
        if is_new:
            shutil.rmtree(cache, ignore_errors=True)
        result = taken(*arguments, cwd=cwd)
        told(console, name, result)
        if name in GOALS:
            figure(f"{n_runs:,} scripted runs: {name}", result.wall_s, GOALS[name], " s")
            figure("the same: CPU", result.cpu_s, GOALS[name], " s")
        if name == "run":
            time.sleep(2.1)  # a log that was changed just now is not kept
    result = first_line(cwd)
    told(console, "resume, to the first new line", result)
    figure(f"{n_runs:,} scripted runs: resume, to the first new line", result.wall_s, 2, " s")
    figure("the same: CPU", result.cpu_s, 2, " s")
    size = (cwd / STUDY / "report.html").stat().st_size / 1e6
    figure(f"{n_runs:,} scripted runs: size of the report", size, 15, " MB")
    n_bytes = sum(log.stat().st_size for log in (cwd / STUDY).glob("*/log.jsonl"))
    console.print(f"{n_bytes / 1e6:,.0f} MB of logs; the report has {size:.1f} MB", highlight=False)


def told(console: Console, name: str, result: Taken) -> None:
    """Print one row."""
    what = f"| {name} | {result.wall_s:.1f} s | {result.cpu_s:.1f} s | {result.peak_mb:,.0f} MB |"
    console.print(what, highlight=False)


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    if len(sys.argv) > 2:
        main(number, Path(sys.argv[2]).resolve())
    else:
        with tempfile.TemporaryDirectory() as place:
            main(number, Path(place))
