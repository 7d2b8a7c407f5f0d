"""The transmission kernel: which levels newborns have, by the level of the parents that they were shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from agentsim.analysis.probe_rows import mean_row
from agentsim.errors import LogError

__all__ = ["Kernel", "Kernels", "families", "kernel_of", "levels_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

NODES: Final = 10
"""Families are taken together whose parents' mean levels are in the same one of so many equal parts of [0, 1]."""
STEPS: Final = 200
"""Quantiles that a distribution of newborns' levels is kept as."""
FAMILIES: Final = {
    "family": "Int64",
    "parents": "string",
    "n_parents": "Int64",
    "parent_level": "Float64",
    "n_children": "Int64",
    "n_without": "Int64",
    "mean": "Float64",
    "low": "Float64",
    "high": "Float64",
    "sd": "Float64",
}


@dataclass(frozen=True, slots=True)
class Kernel:
    """Measured levels, family by family."""

    parents: Floats
    """(families,): mean level of each family's parents, in rising order."""
    children: tuple[Floats, ...]
    """The levels of each family's newborns, in the same order."""
    founders: Floats
    """The levels of agents that had no parents."""

    @property
    def nodes(self) -> list[list[int]]:
        """The places of the families of each part of the levels that has any."""
        parts = np.minimum((self.parents * NODES).astype(int), NODES - 1)
        return [np.flatnonzero(parts == part).tolist() for part in np.unique(parts)]

    def resampled(self, n: int, rng: np.random.Generator) -> Kernels:
        """Return `n` bootstrap replicates: families within each part of the levels, then newborns within families.

        Where a part has one family, that family is taken each time, so differences between parents of one level are not
        in the band. (Davison & Hinkley 1997, "Bootstrap Methods and their Application", section 3.8)
        """
        nodes = self.nodes
        levels, quantiles = np.empty((n, len(nodes))), np.empty((n, len(nodes), STEPS))
        for replicate in range(n):
            for place, node in enumerate(nodes):
                drawn = rng.choice(node, size=len(node))
                born = [rng.choice(self.children[family], size=len(self.children[family])) for family in drawn]
                levels[replicate, place] = self.parents[drawn].mean()
                quantiles[replicate, place] = _steps(np.concatenate(born))
        founders = self.founders
        return Kernels(
            levels, quantiles, rng.choice(founders, size=(n, len(founders))) if len(founders) else np.empty((n, 0))
        )

    def measured(self) -> Kernels:
        """Return the kernel as it was measured, as one replicate."""
        levels = [self.parents[node].mean() for node in self.nodes]
        quantiles = [_steps(np.concatenate([self.children[family] for family in node])) for node in self.nodes]
        return Kernels(np.array([levels]), np.array([quantiles]), self.founders[None])


@dataclass(frozen=True, slots=True)
class Kernels:
    """Replicates of a kernel, from which newborns are drawn."""

    levels: Floats
    """(replicates, nodes): parents' levels."""
    quantiles: Floats
    """(replicates, nodes, steps): of the levels of their newborns."""
    founders: Floats
    """(replicates, founders)"""

    def draw(self, parents: Floats, replicate: Ints, rng: np.random.Generator) -> Floats:
        """Return newborns' levels at their parents' mean levels; all are (newborns,).

        Between two measured levels each quantile lies on the straight line between theirs (McCann 1997, Adv. Math.
        128), so that means are interpolated and spreads not inflated; beyond the outermost the kernel is theirs.
        """
        known, n_nodes = self.levels[replicate], self.levels.shape[1]
        above = np.clip((known < parents[:, None]).sum(axis=1), 0, n_nodes - 1)
        below = np.maximum(above - 1, 0)
        rows = np.arange(len(parents))
        low, high = known[rows, below], known[rows, above]
        width = high - low
        weight = np.where(width > 0, np.clip((parents - low) / np.where(width > 0, width, 1), 0, 1), 0.0)
        step = (rng.random(len(parents)) * STEPS).astype(np.intp)
        first, second = (self.quantiles[replicate, node, step] for node in (below, above))
        return np.asarray((1 - weight) * first + weight * second)


def kernel_of(name: str, subjects: pd.DataFrame, levels: pd.Series) -> Kernel:
    """Return the kernel that the probe of that name measured, from its strategies and their levels.

    Raises:
        LogError: the probe has no family whose parents and newborns have levels.
    """
    known = subjects.assign(level=levels.reindex(subjects["subject"]).to_numpy(dtype=float))
    known = known[known["level"].notna()]
    of_families = {
        family: (
            float(rows.loc[rows["role"] == "parent", "level"].mean()),
            rows.loc[rows["role"] == "child", "level"].to_numpy(dtype=float),
        )
        for family, rows in known.dropna(subset=["family"]).groupby("family")
    }
    usable = sorted(
        (pair for pair in of_families.values() if np.isfinite(pair[0]) and len(pair[1])), key=lambda pair: pair[0]
    )
    if not usable:
        raise LogError(
            f"{name}: no newborn and its parents have a level; ask for children of parents over the range of"
            " levels, as agentsim probe SCENARIO --levels 0,25,50,75,100 --children 12"
        )
    founders = known.loc[known["role"] == "founder", "level"].to_numpy(dtype=float)
    return Kernel(np.array([pair[0] for pair in usable]), tuple(pair[1] for pair in usable), founders)


def levels_of(answers: pd.DataFrame, scores: pd.DataFrame) -> pd.Series:
    """Return each strategy's level: what it gave in the situations that were asked, else in the scoring societies."""
    if answers.empty:
        return scores.groupby("subject")["mean_fraction"].mean()
    shown = answers["level"].notna() if answers["level"].notna().any() else answers["resources"].notna()
    means = answers[shown].dropna(subset=["given"]).groupby(["subject", "situation"])["given"].mean()
    return means.groupby("subject").mean()


def families(subjects: pd.DataFrame, levels: pd.Series) -> pd.DataFrame:
    """Return one row for each family: its parents, their mean level, and the levels of its newborns.

    `mean` of the newborns with its 95 % interval (Student's t, within [0, 1]), `sd` over newborns; `n_without`,
    newborns without a readable strategy or decision. The last row, without a family, is that of founders.
    """
    rows = []
    subjects = subjects.assign(level=levels.reindex(subjects["subject"]).to_numpy())
    born = subjects[subjects["role"].isin(["child", "founder"])]
    for family, of_family in born.groupby("family", dropna=False):
        parents = subjects[(subjects["role"] == "parent") & (subjects["family"] == family).fillna(value=False)]
        estimate = mean_row(of_family.rename(columns={"level": "given"}))
        known = of_family["level"].dropna().to_numpy(dtype=float)
        rows.append(
            {
                "family": family,
                "parents": ", ".join(parents["subject"]),
                "n_parents": len(parents),
                "parent_level": parents["level"].mean(),
                "n_children": estimate["n"],
                "n_without": estimate["n_missing"],
                **{name: estimate[name] for name in ("mean", "low", "high")},
                "sd": known.std(ddof=1) if len(known) > 1 else None,
            }
        )
    return pd.DataFrame(rows, columns=list(FAMILIES)).astype(FAMILIES)


def _steps(levels: Floats) -> Floats:
    """Return the quantiles of a sample at the middles of equal steps."""
    places = (np.arange(STEPS) + 0.5) / STEPS
    return np.asarray(np.sort(levels)[(places * len(levels)).astype(int)])
