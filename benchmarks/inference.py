"""Do the intervals cover, and does the test hold its size? `python benchmarks/inference.py [--sets 4000]`.

Intervals and tests of two groups and of one, over many simulated data sets of known truth: log-normal scores (one
standard deviation of 1 on logs), and bimodal scores like those of the published runs of Claude 3.5 Sonnet. Then the
null hypothesis through `agentsim.compare` itself: the same scripted policy under two names, in societies that the
vectorised engine plays. Everything is seeded; a few minutes on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.console import Console
from rich.table import Table

from agentsim.analysis.compare import compare
from agentsim.analysis.frames.columns import COLUMNS
from agentsim.analysis.frames.study import Study
from agentsim.analysis.frames.summaries import shaped
from agentsim.analysis.statistics import ALPHA, bca_interval, permutation_tests, shift_intervals, t_interval
from agentsim.analysis.theory import baselines
from agentsim.core.policies import RandomShare
from agentsim.scenario.loading import scenario_from

Floats = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, int], Floats]

MAXIMUM: Final = 480.0
"""The highest mean final resources (units) of the null hypothesis' societies: 6 rounds of 6 agents, alternating."""
SIZES: Final = ((3, 3), (3, 5), (5, 5), (5, 10), (8, 8), (15, 15), (20, 20))
N_BOOTSTRAPS: Final = 400
"""Data sets of a BCa bootstrap, which is slow."""
SHARE_HIGH, HIGH, LOW = 0.6, (np.log(4110), 0.64), (np.log(701), 0.1)
"""Claude's five runs: three take off, at a geometric mean of 4,110 units, and two end near 700."""


def lognormal(rng: np.random.Generator, n_sets: int, n: int) -> Floats:
    return rng.normal(0, 1, (n_sets, n))


def bimodal(rng: np.random.Generator, n_sets: int, n: int) -> Floats:
    is_high = rng.random((n_sets, n)) < SHARE_HIGH
    return np.where(is_high, rng.normal(*HIGH, (n_sets, n)), rng.normal(*LOW, (n_sets, n)))


def narrow(rng: np.random.Generator, n_sets: int, n: int) -> Floats:
    return rng.normal(0, 0.3, (n_sets, n))


TRUTH: Final[dict[Draw, float]] = {
    lognormal: 0.0,
    bimodal: SHARE_HIGH * HIGH[0] + (1 - SHARE_HIGH) * LOW[0],
    narrow: 0.0,
}


def pairs_of_groups(n_sets: int) -> Table:
    """Two groups: how often the test rejects a true null, the interval covers, and both contradict each other."""
    table = Table(title=f"Two groups, {n_sets:,} data sets each, seed 0")
    columns = ("scores", "runs", "false 'differ'", "covers", "contradict", "power at 1.5 sd", "no interval")
    for name in columns:
        table.add_column(name, justify="left" if name == "scores" else "right")
    kinds: tuple[tuple[str, Draw, Draw], ...] = (
        ("log-normal", lognormal, lognormal),
        ("bimodal", bimodal, bimodal),
        ("spread 1 against 0.3", lognormal, narrow),
    )
    for title, draw, other in kinds:
        spread = float(draw(np.random.default_rng(1), 200_000, 1).std())
        for n, k in SIZES:
            rng = np.random.default_rng(0)
            first, second = draw(rng, n_sets, n), other(rng, n_sets, k)
            p, (low, high) = permutation_tests(first, second).p, shift_intervals(first, second)
            gap = TRUTH[draw] - TRUTH[other]
            covers = ((low <= gap) & (high >= gap)).mean()
            contradict = ((p < ALPHA) != ((low > 0) | (high < 0))).mean()
            power = (permutation_tests(first + 1.5 * spread, second).p < ALPHA).mean()
            none = "always" if np.isinf(low).all() else "-"
            table.add_row(
                title,
                f"{n} + {k}",
                f"{(p < ALPHA).mean():.3f}",
                f"{covers:.3f}",
                f"{contradict:.3f}",
                f"{power:.2f}",
                none,
            )
    return table


def single_groups(n_sets: int) -> Table:
    """One group: how often intervals of the mean logarithm hold the true one."""
    table = Table(title=f"One group: coverage of 95 % intervals of the mean logarithm, {n_sets:,} data sets, seed 0")
    for name in ("scores", "runs", "Student's t on logs", f"BCa ({N_BOOTSTRAPS} data sets)"):
        table.add_column(name, justify="left" if name == "scores" else "right")
    for title, draw in (("log-normal", lognormal), ("bimodal", bimodal)):
        for n in (3, 5, 8, 15, 20):
            values = draw(np.random.default_rng(0), n_sets, n)
            found = [
                np.mean([_holds(interval(own), TRUTH[draw]) for own in sets])
                for interval, sets in ((t_interval, values), (bca_interval, values[:N_BOOTSTRAPS]))
            ]
            table.add_row(title, str(n), *(f"{share:.3f}" for share in found))
    return table


def _holds(interval: object, truth: float) -> bool:
    low, high = interval.low, interval.high  # type: ignore[attr-defined]
    return low is not None and bool(low <= truth <= high)


def null_studies(n_studies: int) -> Table:
    """The same policy under two names, compared by `agentsim.compare`: how often it says that they differ."""
    table = Table(title=f"The same policy twice through agentsim.compare, {n_studies:,} studies each")
    for name in ("runs", "false 'differ'", "false take-off 'differ'", "interval excludes 1 at p >= 0.05"):
        table.add_column(name, justify="right")
    game = {"kind": "donor", "rounds": 6}
    rules = scenario_from(
        {"name": "null", "agents": 6, "generations": 3, "game": game, "players": {"model": "scripted/random"}}
    )
    for n, k in ((5, 5), (8, 8), (15, 15), (10, 5)):
        played = baselines(rules, {"own": RandomShare()}, seeds=range(n_studies * (n + k)))
        last = played[played["generation"] == 3]["mean_final_resources"].to_numpy(dtype=float)
        n_false = n_rates = n_contradict = 0
        middle = float(np.log(np.median(last) / 10) / np.log(MAXIMUM / 10))  # half of the runs take off
        for scores in last.reshape(n_studies, n + k):
            row = compare(study_of(scores[:n], scores[n:]), take_off_at=middle).table.iloc[0]
            n_false += row["verdict"] == "differ"
            n_rates += bool(row["p_take_off"] < ALPHA)
            n_contradict += bool(row["p"] >= ALPHA and not row["low"] <= 1 <= row["high"])
        table.add_row(f"{n} + {k}", *(f"{count / n_studies:.3f}" for count in (n_false, n_rates, n_contradict)))
    return table


def study_of(first: Floats, second: Floats) -> Study:
    """Return a study of two models whose runs ended with these scores, as `load` makes it."""
    rows = [
        {"run": f"{model}--seed-{seed}", "condition": model, "model": model, "seed": seed, "status": "complete"}
        | {"rules_digest": "r", "mean_final_resources": score, "endowment": 10, "n_encounters": 1, "n_missed": 0}
        | {"n_replaced": 0, "generation": 1, "maximum": MAXIMUM}
        for model, scores in (("a", first), ("b", second))
        for seed, score in enumerate(scores)
    ]
    frames = {name: shaped(name, rows if name in ("runs", "generations") else []) for name in COLUMNS}
    for frame in frames.values():
        frame.insert(0, "study", pd.Series(["s"] * len(frame), dtype="string"))
    return Study(folders={"s": Path("s")}, started={}, notes=(), **frames)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=4_000, help="Data sets of each row.")
    parser.add_argument("--studies", type=int, default=1_000, help="Studies of each row of the null hypothesis.")
    arguments = parser.parse_args()
    console = Console(width=120)
    for table in (pairs_of_groups(arguments.sets), single_groups(arguments.sets), null_studies(arguments.studies)):
        console.print(table)


if __name__ == "__main__":
    main()
