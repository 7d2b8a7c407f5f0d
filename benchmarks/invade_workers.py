"""Invasions on two workers against one: `python benchmarks/invade_workers.py [--policies 12] [--seeds 1000]`.

The wall time counts where nothing else is at work. Beside other work the CPU tells what two free cores would give: all
of one worker, over what this process and the busier of two workers need.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from figures import figure
from rich.console import Console
from rich.table import Table

from agentsim.experiments import invade
from agentsim.experiments.contestants import contestants

POLICIES = [
    *("all-keep", "all-give", "constant-share", "discriminator", "generous-discriminator", "constant-share:share=0.1"),
    *("constant-share:share=0.3", "constant-share:share=0.7", "constant-share:share=0.9", "discriminator:share=0.3"),
    *("discriminator:share=0.7", "generous-discriminator:share=0.3"),
]
CPU = "AGENTSIM_BENCHMARK_CPU"
played = invade._played


def timed(task: Any) -> Any:
    """Play a task, and note what CPU its process has needed so far."""
    result = played(task)
    place = os.environ[CPU]
    Path(place, str(os.getpid())).write_text(str(time.process_time()))
    return result


def measure(asked: invade.Invasion, *, workers: int) -> tuple[float, float, list[float], pd.DataFrame]:
    """Return the wall time, the CPU of this process and of its workers, and what came out."""
    with tempfile.TemporaryDirectory() as place:
        os.environ[CPU] = place
        began, cpu = time.perf_counter(), time.process_time()
        courses = invade.play_unlogged(asked, workers=workers).courses
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
        others = [path for path in Path(place).iterdir() if path.name != str(os.getpid())]
        return wall, cpu, [float(path.read_text()) for path in others], courses


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", type=int, default=len(POLICIES))
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--generations", type=int, default=None)
    options = parser.parse_args(arguments)
    names = [f"scripted/{name}" for name in POLICIES[: options.policies]]
    asked = invade.invasion(contestants(names), seeds=f"0-{options.seeds - 1}", generations=options.generations)
    invade._played = timed  # type: ignore[assignment]
    alone_s, alone_cpu, _, alone = measure(asked, workers=1)
    two_s, parent_cpu, workers_cpu, two = measure(asked, workers=2)
    pd.testing.assert_frame_equal(alone, two, check_exact=True)
    table = Table("workers", "wall", "CPU of this process", "CPU of workers", "speed-up: wall", "speed-up: CPU")
    table.add_row("1", f"{alone_s:.1f} s", f"{alone_cpu:.1f} s", "-", "1", "1")
    told = ", ".join(f"{cpu:.1f} s" for cpu in workers_cpu)
    bound = alone_cpu / (parent_cpu + max(workers_cpu))
    figure(
        f"invade, {options.policies} policies × {options.seeds:,} seeds, two workers: speed-up by CPU",
        bound,
        1.8,
        is_least=True,
    )
    table.add_row("2", f"{two_s:.1f} s", f"{parent_cpu:.1f} s", told, f"{alone_s / two_s:.2f} ×", f"{bound:.2f} ×")
    Console(width=120).print(table, f"load of the machine: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
