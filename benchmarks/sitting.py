"""All benchmarks in one sitting: `python benchmarks/sitting.py [name ...]`. Figures and goals are printed at the end.

Some of them play for many minutes: all take an estimated two hours on two cores that have nothing else to do, which is
what most figures need. The time that it took and the load of the machine are printed with them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from figures import FILE, collected
from rich.console import Console
from rich.table import Table

NAMES: Final = (
    "inference", "schedule", "orchestrator", "servers", "in_flight", "two_processes", "processes", "slow_disk",
    "resume", "soak", "load", "thousand_runs", "invade_workers", "scripted", "report", "commands", "view", "vectorised",
    "players", "norms",
)  # fmt: skip
"""In this order."""


def main(names: Sequence[str]) -> int:
    """Run these benchmarks one after the other; return whether one of them broke off."""
    console = Console(width=140)
    table = Table("figure", "value", "goal", "reached", "benchmark, minutes, load", title="Figures and goals")
    broken: list[str] = []
    n_reached = n_all = 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        for name in names:
            console.rule(name)
            path, start = Path(place) / name, time.monotonic()
            path.touch()
            command = [sys.executable, str(Path(__file__).with_name(f"{name}.py"))]
            done = subprocess.run(command, env={**os.environ, FILE: str(path)}, check=False)
            where = f"{name}, {(time.monotonic() - start) / 60:.1f}, {os.getloadavg()[1]:.1f}"
            if done.returncode:
                broken.append(name)
                table.add_row("", "broke off", "", "no", where)
            for one in collected(path):
                n_all, n_reached = n_all + 1, n_reached + one.is_reached
                sign = "≥" if one.is_least else "≤"
                reached = "yes" if one.is_reached else "no"
                table.add_row(one.what, f"{one.value:,.3g}{one.unit}", f"{sign} {one.goal:g}{one.unit}", reached, where)
    console.print(table)
    minutes = (time.monotonic() - began) / 60
    console.print(f"{n_reached} of {n_all} goals reached, {minutes:.0f} minutes in all, {os.cpu_count()} cores")
    if broken:
        console.print(f"broke off: {', '.join(broken)}")
    return 1 if broken else 0


if __name__ == "__main__":
    asked = sys.argv[1:] or NAMES
    if unknown := [name for name in asked if name not in NAMES]:
        raise SystemExit(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    raise SystemExit(main(asked))
