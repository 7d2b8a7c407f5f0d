"""Every fault at once, for long, with kills: `python benchmarks/soak.py [--runs 66]` (66 runs: 100,000 questions).

A million calls take hours: `--runs 664 --folder soak --minutes 60` plays for an hour, and the same command goes on.

A study runs against the fake server with 1 % of every fault, is killed with SIGKILL every minute and run again until it
is complete. Memory and open files of its process are sampled: on their slope depends a study of a million calls.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple, TypeAlias
from urllib.parse import urlsplit

import yaml
from figures import figure
from orchestrator import server
from rich.console import Console
from rich.table import Table

import agentsim
from agentsim.providers.ledger import read_ledger

FAULTS = ("refused", "failed", "reset", "malformed", "endless", "empty", "odd", "hung")
SAMPLE_S = 2.0
WARM_UP_S = 15.0
"""Of a process, before its memory is looked at: it imports, and catches up with the logs."""


Samples: TypeAlias = list[tuple[float, float, int]]
"""Calls, memory in MB and open files."""
SITTINGS = "sittings.jsonl"
LEAST_SAMPLES = 10
"""Fewer say nothing about a slope."""


def sampled(process: subprocess.Popen[bytes], ledger: Path, *, until: float) -> Samples:
    """Return calls, memory in MB and open files, sampled until the process ends or is killed at `until`."""
    samples: Samples = []
    began = time.monotonic()
    while process.poll() is None:
        if time.monotonic() > until:
            process.kill()
            process.wait()
            break
        time.sleep(SAMPLE_S)
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
            n_open = len(os.listdir(f"/proc/{process.pid}/fd"))
        except OSError:
            continue
        if time.monotonic() - began > WARM_UP_S and "VmRSS" in status:
            rss_mb = int(status.split("VmRSS:")[1].split()[0]) / 1024
            samples.append((ledger.stat().st_size / LINE_BYTES, rss_mb, n_open))
    return samples


PLAY = """
import sys, agentsim
sys.exit(not agentsim.run(agentsim.load_scenario(sys.argv[1]), results=sys.argv[2]).is_complete)
"""
LINE_BYTES = 81.0
"""Of a call in the ledger, about: two lines."""


class Sitting(NamedTuple):
    """What one sitting, from one kill to the next, looked like."""

    n_calls: float
    """By the size of the ledger at its end."""
    slope_mb: float | None
    """Megabytes in 100,000 calls; `None` where it was too short to say."""
    peak_mb: float
    n_open: int
    """The most open files."""


def looked_at(samples: Samples) -> Sitting | None:
    """Return what the samples of a process say; `None` if there are none."""
    if not samples:
        return None
    n_calls, memory, n_open = zip(*samples, strict=True)
    slope = 1e5 * statistics.linear_regression(n_calls, memory).slope if len(samples) > LEAST_SAMPLES else None
    return Sitting(n_calls[-1], slope, max(memory), max(n_open))


def main() -> None:
    """Play, for so many minutes or to the end, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=66)
    parser.add_argument("--kill-every", type=float, default=60.0, help="seconds")
    parser.add_argument("--minutes", type=float, default=None, help="end then; the next command goes on")
    parser.add_argument("--folder", type=Path, default=None, help="keep the study and what is known of it here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        is_done, counts, minutes = play(arguments, folder.resolve())
        told(folder, counts, is_done=is_done, minutes=minutes)


def play(arguments: argparse.Namespace, folder: Path) -> tuple[bool, dict[str, int], float]:
    """Play until the study is complete or the time is over; return whether it is complete, and what requests met."""
    options = [part for fault in FAULTS for part in (f"--{fault}", "0.01")]
    path, began = folder / "soak.yaml", time.monotonic()
    if path.exists():  # a study goes on with the same server only
        address = yaml.safe_load(path.read_text())["providers"]["fake"]["base_url"]
        options += ["--port", str(urlsplit(address).port)]
    with server(*options, "--latency", "0.05") as (url, counts):
        scenario = {
            "name": "soak",
            "players": {"model": "fake/model"},
            "providers": {"fake": {"base_url": url, "api_key_env": None, "concurrency": 64, "timeout_s": 2}},
            "seeds": list(range(arguments.runs)),
        }
        path.write_text(yaml.safe_dump(scenario))
        command = [sys.executable, "-c", PLAY, str(path), str(folder)]
        ends = math.inf if arguments.minutes is None else began + 60 * arguments.minutes
        is_done = False
        while not is_done and time.monotonic() < ends:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            until = min(time.monotonic() + arguments.kill_every, ends)
            found = looked_at(sampled(process, folder / "soak" / "ledger.jsonl", until=until))
            if found is not None:
                with (folder / SITTINGS).open("a") as file:
                    file.write(json.dumps(found) + "\n")
            is_done = process.returncode == 0
            assert is_done or process.returncode == -9, process.returncode
    return is_done, counts, (time.monotonic() - began) / 60


def told(folder: Path, counts: dict[str, int], *, is_done: bool, minutes: float) -> None:
    """Print what is known of all sittings in the folder."""
    lines = (folder / SITTINGS).read_text().splitlines() if (folder / SITTINGS).exists() else []
    sittings = [Sitting(*json.loads(line)) for line in lines]
    slopes = [sitting.slope_mb for sitting in sittings if sitting.slope_mb is not None]
    ledger = read_ledger(folder / "soak")
    assert ledger is not None
    n_calls = ledger.n_answered + len(ledger.open)
    table = Table(title="A study under 1 % of every fault, killed again and again")
    for column in ("what", "figure"):
        table.add_column(column)
    rows = [
        ("calls so far", f"{n_calls:,}" + ("" if is_done else ": not complete yet, run the command again")),
        ("processes, all but the last killed", f"{len(sittings)}"),
        ("minutes now", f"{minutes:.1f}"),
        ("requests now", f"{sum(counts.values()):,}: " + ", ".join(f"{n:,} {met}" for met, n in counts.items())),
    ]
    if is_done:
        runs = agentsim.load(folder / "soak").runs
        assert (runs["status"] == "complete").all()
        rows += [
            ("runs, all complete", f"{len(runs)}"),
            ("replies in the logs", f"{int(runs['n_replies'].sum()):,}"),
            ("decisions missing", f"{int(runs['n_missed'].sum())}"),
            ("calls that may have been billed in vain", f"{n_calls - runs['n_replies'].sum():,}"),
        ]
    if sittings:
        rows.append(("memory, MB", f"{max(sitting.peak_mb for sitting in sittings):.0f} at most"))
        rows.append(("open files", f"{max(sitting.n_open for sitting in sittings)} at most"))
    if slopes:
        slope = statistics.median(slopes)
        rows.append(("slope of memory, MB in 100,000 calls", f"{slope:+.1f} (median of {len(slopes)} processes)"))
        figure(f"soak, {n_calls:,} calls: memory in 100,000 of them", slope, 1, " MB")
    for row in rows:
        table.add_row(*row)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
