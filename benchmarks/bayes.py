"""Is the Bayesian estimate what it says? `python benchmarks/bayes.py [--sets 300] [--seed 0] [--model 'one heap']`.

Simulation-based calibration (Talts et al. 2018): parameters from the prior, data from them, and the rank of the truth
among draws of the posterior, which is uniform if and only if prior, likelihood and sampler agree. Then, of groups with
the same mean, how often the 95 % interval excludes 1. Everything is seeded; about two CPU seconds for each data set.
"""

from __future__ import annotations

import argparse
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import chisquare

from agentsim.analysis.bayes.generated import generated
from agentsim.analysis.bayes.models import MODELS
from agentsim.analysis.bayes.sampling import sample

RUNS: Final = (5, 8, 12)
"""Runs of each group: unequal, as they are in practice."""
N_RANKED: Final = 99
N_BINS: Final = 10


def calibration(name: str, n_sets: int, seed: int) -> list[list[str]]:
    """Return a row for each of the ratios and means: the share of ranks in the tails, coverage, and p of uniformity."""
    rng = np.random.default_rng(seed)
    ranks, covered, n_refused = [], [], 0
    for _ in range(n_sets):
        truth, runs = generated(name, RUNS, rng)
        draws = sample(MODELS[name](runs))
        n_refused += draws.problem is not None
        true, drawn = (np.column_stack([v, v[:, :1] - v[:, 1:]]) for v in (truth[None, :], draws.means))
        thinned = drawn[rng.permutation(len(drawn))[:N_RANKED]]
        ranks.append((thinned < true).sum(axis=0))
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
        covered.append((low <= true[0]) & (true[0] <= high))
    every = np.array(ranks)
    rows = []
    for place, what in enumerate(("mean of 5", "mean of 8", "mean of 12", "ratio of 5 to 8", "ratio of 5 to 12")):
        counts = np.bincount(every[:, place] * N_BINS // (N_RANKED + 1), minlength=N_BINS)
        share = np.array(covered)[:, place].mean()
        p = chisquare(counts).pvalue
        rows.append([name, what, " ".join(map(str, counts)), f"{p:.2f}", f"{share:.3f}", f"{n_refused} of {n_sets}"])
    return rows


def equal(name: str, n_sets: int) -> list[str]:
    """Return how often the interval of two groups of one mean, log-normal or bimodal, excludes 1."""
    row = [name]
    for is_bimodal in (False, True):
        rng = np.random.default_rng(1)
        n_false = 0
        for _ in range(n_sets):
            heaps = (rng.random((2, 10)) < 0.5) * 2.0 * is_bimodal
            draws = sample(MODELS[name](list(4 + heaps + rng.normal(0, 0.5, (2, 10)))))
            low, high = np.quantile(draws.means[:, 0] - draws.means[:, 1], [0.025, 0.975])
            n_false += not low <= 0 <= high
        row.append(f"{n_false / n_sets:.3f}")
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--sets", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", choices=list(MODELS), action="append")
    given = parser.parse_args()
    ranks = Table(title=f"Simulation-based calibration: {given.sets} data sets each of {RUNS} runs, seed {given.seed}")
    for column in ("model", "of", "ranks in ten bins", "p of uniform ranks", "95 % interval covers", "refused"):
        ranks.add_column(column)
    false = Table(title=f"Two equal groups of 10 runs: the 95 % interval excludes 1; {given.sets // 2} sets, seed 1")
    for column in ("model", "log-normal", "bimodal"):
        false.add_column(column)
    for name in given.model or MODELS:
        for row in calibration(name, given.sets, given.seed):
            ranks.add_row(*row)
        Console(width=140).print(ranks)
        false.add_row(*equal(name, given.sets // 2))
    Console(width=140).print(false)


if __name__ == "__main__":
    main()
