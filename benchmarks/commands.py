"""What do the commands cost, against importing pandas, scipy and matplotlib? Run: python benchmarks/commands.py

CPU time of whole processes, user and system, so that other work on the machine counts for little. The least of three,
each command in its turn: so a busy minute spoils none of them.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from figures import figure
from rich.console import Console

SCENARIO = """
name: commands
agents: 6
generations: 3
game: {kind: donor, rounds: 4, games: 1}
seeds: 0-5
vary:
  players:
    - {model: scripted/all-give}
    - {model: scripted/all-keep}
    - {model: scripted/constant-share, share: 0.3}
    - {model: scripted/constant-share, share: 0.5}
    - {model: scripted/random}
    - {model: scripted/discriminator, share: 0.5, threshold: 0.25}
    - {model: scripted/leading-eight, share: 0.5, rule: 6}
    - {model: scripted/raise-the-stakes, share: 0.1, step: 0.1}
"""
SMALL = """
name: small
agents: 4
generations: 2
game: {kind: donor, rounds: 3}
seeds: 0-1
players: {model: scripted/random}
"""
IMPORTS = ("-c", "import pandas, scipy, matplotlib")
AGENTSIM = ("-m", "agentsim")
STUDY = "results/commands"
N_TIMES = 3


def cpu_s(*arguments: str, cwd: Path) -> float:
    """Return the CPU time of a Python process, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], cwd=cwd, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print a row a command."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "study.yaml").write_text(SCENARIO)
        (folder / "small.yaml").write_text(SMALL)
        cpu_s(*AGENTSIM, "run", "small.yaml", "--quiet", cwd=folder)
        rows = [
            ("imports", IMPORTS),
            ("--help", (*AGENTSIM, "--help")),
            ("check", (*AGENTSIM, "check", "study.yaml")),
            ("run, 48 runs", (*AGENTSIM, "run", "study.yaml", "--new", "--quiet")),
            ("status", (*AGENTSIM, "status", STUDY)),
            ("show", (*AGENTSIM, "show", STUDY)),
            ("compare --by condition", (*AGENTSIM, "compare", STUDY, "--by", "condition")),
            ("figures", (*AGENTSIM, "figures", STUDY)),
            ("report", (*AGENTSIM, "report", STUDY)),
            ("replay", (*AGENTSIM, "replay", STUDY)),
            ("report of 2 small runs", (*AGENTSIM, "report", "results/small")),
        ]
        turns = [[cpu_s(*arguments, cwd=folder) for _, arguments in rows] for _ in range(N_TIMES)]
        least = {name: min(taken) for (name, _), *taken in zip(rows, *turns, strict=True)}
    for name in ("compare --by condition", "figures", "report"):
        figure(f"{name} of 48 scripted runs: CPU ÷ imports", least[name] / least["imports"], 4)
    for name in ("--help", "check"):
        figure(f"{name}: CPU", least[name], 0.5, " s")
    console = Console()
    console.print("| command | CPU | × the imports |\n|---|---:|---:|")
    for name, seconds in least.items():
        console.print(f"| {name} | {seconds:.2f} s | {seconds / least['imports']:.1f} |", highlight=False)


if __name__ == "__main__":
    main()
