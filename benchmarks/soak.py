"""Every fault at once, for long, with kills: `python benchmarks/soak.py [--runs 66]` (66 runs: 100,000 questions).

A study runs against the fake server with 1 % of every fault, is killed with SIGKILL every minute and run again until it
is complete. Memory and open files of its process are sampled: on their slope depends a study of a million calls.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from orchestrator import server
from rich.console import Console
from rich.table import Table

import agentsim
from agentsim.providers.ledger import read_ledger

FAULTS = ("refused", "failed", "reset", "malformed", "endless", "empty", "odd", "hung")
SAMPLE_S = 2.0
WARM_UP_S = 15.0
"""Of a process, before its memory is looked at: it imports, and catches up with the logs."""


def sampled(process: subprocess.Popen[bytes], ledger: Path, *, until: float) -> list[tuple[float, float, int]]:
    """Return calls, memory in MB and open files, sampled until the process ends or is killed at `until`."""
    samples: list[tuple[float, float, int]] = []
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


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=66)
    parser.add_argument("--kill-every", type=float, default=60.0, help="seconds")
    arguments = parser.parse_args()
    options = [part for fault in FAULTS for part in (f"--{fault}", "0.01")]
    sittings: list[list[tuple[float, float, int]]] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name, server(*options, "--latency", "0.05") as (url, counts):
        folder = Path(name)
        scenario = {
            "name": "soak",
            "players": {"model": "fake/model"},
            "providers": {"fake": {"base_url": url, "api_key_env": None, "concurrency": 64, "timeout_s": 2}},
            "seeds": list(range(arguments.runs)),
        }
        (folder / "soak.yaml").write_text(yaml.safe_dump(scenario))
        command = [sys.executable, "-c", PLAY, str(folder / "soak.yaml"), name]
        while True:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            until = time.monotonic() + arguments.kill_every
            sittings.append(sampled(process, folder / "soak" / "ledger.jsonl", until=until))
            if process.returncode == 0:
                break
            assert process.returncode == -9, process.returncode
        runs = agentsim.load(folder / "soak").runs
        ledger = read_ledger(folder / "soak")
    assert ledger is not None and (runs["status"] == "complete").all()
    slopes = []
    for samples in sittings:
        if len(samples) > 10:
            n_calls, memory, _ = zip(*samples, strict=True)
            slopes.append(1e5 * statistics.linear_regression(n_calls, memory).slope)
    table = Table(title="A study under 1 % of every fault, killed again and again")
    for column in ("what", "figure"):
        table.add_column(column)
    for what, figure in (
        ("runs, all complete", f"{len(runs)}"),
        ("kills", f"{len(sittings) - 1}"),
        ("minutes", f"{(time.monotonic() - began) / 60:.1f}"),
        ("requests", f"{sum(counts.values()):,}: " + ", ".join(f"{n:,} {met}" for met, n in counts.items())),
        ("replies in the logs", f"{int(runs['n_replies'].sum()):,}"),
        ("decisions missing", f"{int(runs['n_missed'].sum())}"),
        (
            "calls that may have been billed in vain",
            f"{ledger.n_answered + len(ledger.open) - runs['n_replies'].sum():,}",
        ),
        ("memory, MB", f"{max(sample[1] for samples in sittings for sample in samples):.0f} at most"),
        ("its slope, MB in 100,000 calls", f"{statistics.median(slopes):+.1f} (median of {len(slopes)} sittings)"),
        ("open files", f"{max(sample[2] for samples in sittings for sample in samples)} at most"),
    ):
        table.add_row(what, figure)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
