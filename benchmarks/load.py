"""How fast logs become dataframes: `python benchmarks/load.py [encounters]` (a million if not said).

Plays scripted societies of the published size into a temporary folder, then loads them twice. The yardstick is the time
that Python's `json` needs for merely parsing every line of the same logs.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from figures import figure
from rich.console import Console
from rich.table import Table

import agentsim
from agentsim.analysis.frames import cache

T = TypeVar("T")
N_OF_A_RUN = 10 * 2 * 12 * 6
"""Encounters of a run: generations, games, rounds, pairs."""


def main(n_encounters: int) -> None:
    """Print the table."""
    console = Console()
    n_runs = max(1, round(n_encounters / N_OF_A_RUN))
    scenario = agentsim.scenario_from(
        {"name": "load", "players": {"model": "scripted/random"}, "seeds": f"0-{n_runs - 1}"}
    )
    with tempfile.TemporaryDirectory() as folder:
        played, result = timed(lambda: agentsim.run(scenario, results=folder))
        logs = sorted(result.folder.glob("*/log.jsonl"))
        n_bytes = sum(log.stat().st_size for log in logs)
        time.sleep(cache.SETTLED_NS / 1e9)  # a log that was changed just now is not kept
        parsing, n_records = timed(lambda: sum(parsed(log) for log in logs))
        cold, study = timed(lambda: agentsim.load(result.folder))
        warm, again = timed(lambda: agentsim.load(result.folder))
        kept = sum(path.stat().st_size for path in (result.folder / cache.FOLDER).glob("*"))
        if not again.encounters.equals(study.encounters):
            raise SystemExit("the frames of the second load are not those of the first")
    title = f"{len(study.encounters):,} encounters of {n_runs} runs, {n_bytes / 1e6:,.0f} MB of logs"
    table = Table("", "seconds", "records/s", "× json", title=title)
    rows = (
        ("played and written", played),
        ("json.loads of every line", parsing),
        ("first load", cold),
        ("second load", warm),
    )
    for name, seconds in rows:
        table.add_row(name, f"{seconds:.2f}", f"{n_records / seconds:,.0f}", f"{seconds / parsing:.2f}")
    figure(f"load of {len(study.encounters):,} encounters, first", cold, 20, " s")
    figure("the same, again", warm, 2, " s")
    console.print(table)
    console.print(f"the cache takes {kept / 1e6:,.0f} MB")


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Return how many seconds the work took, and what it gave."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def parsed(log: Path) -> int:
    """Parse every line; return how many there are."""
    with log.open("rb") as lines:
        return sum(1 for line in lines if json.loads(line))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
