"""One scripted run of paper size with its log, in the ordinary path: `python benchmarks/scripted.py [times]`. CPU."""

from __future__ import annotations

import sys
import tempfile
import time
from statistics import median

from figures import figure
from rich.console import Console

import agentsim

POLICY = "scripted/constant-share"


def played_s(seed: int, folder: str, **settings: object) -> float:
    """Play a run and return its CPU."""
    scenario = {"name": f"scripted-{seed}", "players": {"model": POLICY}, "seeds": [seed], **settings}
    began = time.process_time()
    assert agentsim.run(agentsim.scenario_from(scenario), results=folder).is_complete
    return time.process_time() - began


def main(times: int) -> None:
    """Print the median, the least and the most."""
    with tempfile.TemporaryDirectory() as folder:
        played_s(0, folder, generations=1)  # once unmeasured: imports, and templates that are compiled
        taken = [played_s(seed, folder) for seed in range(1, times + 1)]
    figure("one scripted run of paper size: CPU", median(taken), 0.104, " s")
    told = f"one scripted run of paper size with its log, {times} times: CPU {median(taken):.3f} s"
    Console().print(f"{told} ({min(taken):.3f} to {max(taken):.3f})", highlight=False)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
