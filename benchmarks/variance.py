"""Are the shares of a split of variance right, do the intervals cover? `python benchmarks/variance.py [--sets 100]`.

Designs of prompts, models and seeds with known shares, normal values, and 999 draws an interval instead of 9,999.
Everything is seeded; some minutes on one core.
"""

from __future__ import annotations

import argparse
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.console import Console
from rich.table import Table

from agentsim.analysis.measures import variance

Floats = npt.NDArray[np.float64]

SIZES: Final = ((6, 2, 3), (3, 2, 5), (6, 3, 5), (6, 3, 10))
"""Prompt sets, models, seeds."""
N_DRAWS: Final = 999
SHARES: Final = (
    (0.0, 0.0, 0.0, 0.0, 1.0),
    (0.0, 0.3, 0.0, 0.2, 0.5),
    (0.2, 0.3, 0.1, 0.1, 0.3),
    (0.5, 0.2, 0.1, 0.0, 0.2),
    (0.05, 0.6, 0.05, 0.05, 0.25),
)
"""Of prompts, models, their interaction, seeds and the rest."""


def values(rng: np.random.Generator, size: tuple[int, int, int], shares: tuple[float, ...]) -> Floats:
    """Return outcomes whose factors explain exactly these shares; seeds and the rest do so on average."""
    prompts, models, both = rng.normal(size=size[0]), rng.normal(size=size[1]), rng.normal(size=size[:2])
    both = both - both.mean(axis=0) - both.mean(axis=1, keepdims=True) + both.mean()
    effects = [
        own * np.sqrt(share / (own**2).mean())
        for own, share in zip((prompts - prompts.mean(), models - models.mean(), both), shares, strict=False)
    ]
    seeds = rng.normal(0, np.sqrt(shares[3]), size[2])
    rest = rng.normal(0, np.sqrt(shares[4]), size)
    return np.asarray(effects[0][:, None, None] + effects[1][:, None] + effects[2][:, :, None] + seeds + rest)


def row(size: tuple[int, int, int], shares: tuple[float, ...], n_sets: int, seed: int) -> tuple[str, ...]:
    rng, truth = np.random.default_rng(seed), np.array(shares)
    runs = pd.DataFrame(list(product(*(range(n) for n in size))), columns=["prompts", "model", "seed"])
    found, covered = np.zeros(len(shares)), np.zeros(len(shares))
    for _ in range(n_sets):
        runs["y"] = values(rng, size, shares).ravel()
        split = variance.variance_split(runs, ["prompts", "model"], outcome="y", is_log=False)
        share, low, high = (split[column].to_numpy(dtype=float) for column in ("share", "low", "high"))
        found += share / n_sets
        covered += ((low <= truth + 1e-12) & (truth <= high + 1e-12)) / n_sets
    told = [
        ", ".join(f"{number:.{digits}f}" for number in own) for own, digits in ((truth, 2), (found, 2), (covered, 2))
    ]
    return (" × ".join(str(n) for n in size), *told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=100)
    n_sets = parser.parse_args().sets
    variance.N_RESAMPLES = N_DRAWS  # type: ignore[misc]
    table = Table("prompts × models × seeds", "true shares", "mean estimates", "intervals cover")
    for place, (size, shares) in enumerate(product(SIZES, SHARES)):
        table.add_row(*row(size, shares, n_sets, place))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
