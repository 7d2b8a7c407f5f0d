"""How fast scripted societies are played many at once: `python benchmarks/vectorised.py`.

10,000 societies of the paper's size, 14.4 million decisions: all seeds different, the same seeds once more under
another condition, and 100 conditions that share 100 seeds. Beside it, in the same run, what plain NumPy needs for
nothing but the same number of gifts, with who meets whom known beforehand, and the ordinary path, one society after the
other. Every measurement is a process of its own; rates are of its CPU time, as it works on one core and others may be
at work beside it.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table

from agentsim.core.policies import AllKeep, ConstantShare, Discriminator, ScriptedPlayer
from agentsim.core.rules import SocietyRules
from agentsim.core.vectorised import play_many
from agentsim.play.course import Course
from agentsim.play.rehearsal import prompt_set
from agentsim.scenario.conditions import Condition

RULES = SocietyRules()
N = 10_000
DECISIONS = RULES.n_encounters(0)
"""Of one society."""
TIMES = 3


def gifts(layout: str) -> int:
    """Let everyone give half, round by round, with pairs drawn beforehand; layouts differ in how pairs are looked up.

    `societies first`: as one would write it; `agents first`: flat, so that lookups are short; `one pattern`: all
    societies meet alike, and nothing is looked up.
    """
    rng = np.random.default_rng(0)
    n, half, rounds = RULES.agents, RULES.agents // 2, RULES.game.rounds
    orders = rng.permuted(np.tile(np.arange(n), (N, 1)), axis=1)
    if layout == "societies first":
        rows = np.arange(N)[:, None]
        found = [
            ((rows, orders[:, :half]), (rows, np.roll(orders[:, half:], -shift, axis=1))) for shift in range(rounds)
        ]
    elif layout == "agents first":
        flat = orders.T * N + np.arange(N)
        found = [(flat[:half], np.roll(flat[half:], -shift, axis=0)) for shift in range(rounds)]
    else:
        found = [(np.arange(half), np.roll(np.arange(half, n), -shift)) for shift in range(rounds)]
    pairs = [each[:: 1 if shift % 2 else -1] for shift, each in enumerate(found)]
    shape = {"societies first": (N, n), "agents first": (n * N,), "one pattern": (n, N)}[layout]
    for _ in range(RULES.generations * RULES.game.games):
        resources = np.full(shape, float(RULES.game.endowment))
        for donors, recipients in pairs:
            held = resources[donors]
            amount = 0.5 * held
            resources[donors] = held - amount
            resources[recipients] += amount * RULES.game.multiplier
    return N * DECISIONS


def distinct(player: ScriptedPlayer) -> int:
    """Play 10,000 seeds of one condition."""
    play_many(RULES, player, seeds=range(N))
    return N * DECISIONS


def shared(kind: Callable[..., ScriptedPlayer]) -> int:
    """Play 100 conditions at the same 100 seeds."""
    for share in np.linspace(0.01, 1, 100):
        play_many(RULES, kind(share=float(share)), seeds=range(100))
    return N * DECISIONS


def one_by_one(player: ScriptedPlayer) -> int:
    """Play 20 seeds the ordinary way."""
    condition = Condition(players=player)
    prompts = prompt_set(condition)
    for seed in range(20):
        Course(condition, seed=seed, prompts=prompts).start()
    return 20 * DECISIONS


MEASURED: dict[str, Callable[[], int]] = {
    "plain NumPy, societies first": lambda: gifts("societies first"),
    "plain NumPy, agents first": lambda: gifts("agents first"),
    "plain NumPy, one pattern": lambda: gifts("one pattern"),
    "constant share, 10,000 seeds": lambda: distinct(ConstantShare()),
    "constant share, 100 x 100": lambda: shared(ConstantShare),
    "discriminator, 10,000 seeds": lambda: distinct(Discriminator()),
    "discriminator, the same seeds once more": lambda: distinct(Discriminator()),
    "discriminator, 100 x 100": lambda: shared(Discriminator),
    "constant share, one by one": lambda: one_by_one(ConstantShare()),
    "discriminator, one by one": lambda: one_by_one(Discriminator()),
}


def measure(what: str) -> None:
    """Print what one process needs for it, as JSON."""
    if what.endswith("once more"):
        distinct(AllKeep())
    began = time.process_time()
    n = MEASURED[what]()
    cpu = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps({"rate": n / cpu, "cpu": cpu, "peak": peak}))


def main() -> None:
    """Print the table."""
    found: dict[str, list[dict[str, float]]] = {what: [] for what in MEASURED}
    for _ in range(TIMES):
        for what, results in found.items():
            done = subprocess.run([sys.executable, __file__, what], check=True, capture_output=True, text=True)
            results.append(json.loads(done.stdout))
    rate = {what: median(result["rate"] for result in results) for what, results in found.items()}
    table = Table(title=f"{N:,} societies of the paper's size, median of {TIMES}")
    bounds = [what for what in MEASURED if what.startswith("plain")]
    for name in ("what", "decisions a second", "CPU", *(f"of {bound[13:]}" for bound in bounds), "memory at most"):
        table.add_column(name, justify="left" if name == "what" else "right")
    for what, results in found.items():
        table.add_row(
            what,
            f"{rate[what] / 1e6:,.2f} M",
            f"{median(result['cpu'] for result in results):.2f} s",
            *(f"{rate[what] / rate[bound]:.3f}" for bound in bounds),
            f"{max(result['peak'] for result in results):,.0f} MB",
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        measure(sys.argv[1])
    else:
        main()
