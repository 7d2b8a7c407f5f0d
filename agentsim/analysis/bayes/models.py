"""Two hierarchical models of log scores, as densities of what is sampled: one heap of runs in each group, and two.

Both state their priors in `PRIORS`; the code below is these sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["MODELS", "PRIORS", "Model", "OneHeap", "TwoHeaps"]

Floats = npt.NDArray[np.float64]

MEAN: Final = 4.0
MEAN_SPREAD: Final = 2.5
GROUPS_SPREAD: Final = 1.0
RUNS_SPREAD: Final = float(np.log(0.5))
RUNS_SPREAD_SPREAD: Final = 1.0
OWN_SPREAD: Final = 0.5
"""How much the logarithm of a group's own spread differs from that of all."""
APART: Final = float(np.log(2.0))
APART_SPREAD: Final = 0.5
PRIORS: Final = {
    "one heap": (
        "log scores of a group are normal around the group's mean with the group's spread; group means are normal"
        f" around m with the standard deviation t, m is normal({MEAN:g}, {MEAN_SPREAD:g}), t half-normal"
        f"({GROUPS_SPREAD:g}); spreads are s exp({OWN_SPREAD:g} w), w normal(0, 1), log s normal(log 0.5,"
        f" {RUNS_SPREAD_SPREAD:g})"
    ),
    "two heaps": (
        "a run is in the upper of two heaps with its group's probability, uniform(0, 1); log scores are normal around"
        " the heap's mean with one spread s for all; the lower heaps of groups are normal around m with the standard"
        f" deviation t, and the upper ones d above them; m, t and s as for one heap, log d normal(log 2,"
        f" {APART_SPREAD:g})"
    ),
}
"""What each model assumes, as a reader is told."""


class Model(Protocol):
    """The posterior of groups' mean log scores under one model."""

    n_dimensions: int

    def log_density(self, points: Floats) -> Floats:
        """Return the log posterior density, up to a constant, at points (n, n_dimensions)."""
        ...

    def start(self, n: int, rng: np.random.Generator) -> Floats:
        """Return points (n, n_dimensions) from the prior of what is sampled."""
        ...

    def means(self, points: Floats, rng: np.random.Generator) -> Floats:
        """Return the groups' mean log scores (n, n_groups) at points, drawn where they are not sampled."""
        ...


class OneHeap:
    """Normal log scores. Sampled are log t, log s and every w; m and the groups' means are integrated out."""

    def __init__(self, groups: Sequence[Floats]) -> None:
        self._n = np.array([len(group) for group in groups], dtype=float)
        self._mean = np.array([group.mean() for group in groups])
        self._squares = np.array([((group - group.mean()) ** 2).sum() for group in groups])
        self.n_dimensions = 2 + len(groups)

    def start(self, n: int, rng: np.random.Generator) -> Floats:
        return np.column_stack(
            [
                np.log(np.abs(rng.normal(0, GROUPS_SPREAD, n))),
                rng.normal(RUNS_SPREAD, RUNS_SPREAD_SPREAD, n),
                rng.normal(size=(n, self.n_dimensions - 2)),
            ]
        )

    def _parts(self, points: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """Return t² and spreads² as columns, and the weights, precision and mean of m given these."""
        between = np.exp(2 * points[:, :1])
        within = np.exp(2 * (points[:, 1:2] + OWN_SPREAD * points[:, 2:]))
        weights = 1 / (between + within / self._n)
        precision = weights.sum(axis=1) + 1 / MEAN_SPREAD**2
        mean = ((self._mean - MEAN) * weights).sum(axis=1) / precision
        return between, within, weights, precision, mean

    def log_density(self, points: Floats) -> Floats:
        with np.errstate(all="ignore"):
            _, within, weights, precision, mean = self._parts(points)
            likelihood = -0.5 * ((self._n - 1) * np.log(within) + self._squares / within).sum(axis=1)
            gaps = ((self._mean - MEAN) ** 2 * weights).sum(axis=1) - precision * mean**2
            likelihood += 0.5 * (np.log(weights).sum(axis=1) - np.log(precision) - gaps)
            return _finite(likelihood + _prior_of_spreads(points) - 0.5 * (points[:, 2:] ** 2).sum(axis=1))

    def means(self, points: Floats, rng: np.random.Generator) -> Floats:
        between, within, _, precision, mean = self._parts(points)
        centre = MEAN + mean + rng.normal(size=len(points)) / np.sqrt(precision)
        own = self._n / within + 1 / between
        at = (self._mean * self._n / within + centre[:, None] / between) / own
        return np.asarray(at + rng.normal(size=at.shape) / np.sqrt(own))


class TwoHeaps:
    """A mixture. Sampled are log t, log s, m, log d, and for each group its lower heap, (mean - m)/t, and logit."""

    def __init__(self, groups: Sequence[Floats]) -> None:
        self._groups = [np.asarray(group, dtype=float) for group in groups]
        self.n_dimensions = 4 + 2 * len(groups)

    def start(self, n: int, rng: np.random.Generator) -> Floats:
        shares = rng.uniform(size=(n, len(self._groups)))
        return np.column_stack(
            [
                np.log(np.abs(rng.normal(0, GROUPS_SPREAD, n))),
                rng.normal(RUNS_SPREAD, RUNS_SPREAD_SPREAD, n),
                rng.normal(MEAN, MEAN_SPREAD, n),
                rng.normal(APART, APART_SPREAD, n),
                rng.normal(size=(n, len(self._groups))),
                np.log(shares / (1 - shares)),
            ]
        )

    def _heaps(self, points: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the groups' lower means (n, n_groups), how far the upper ones are above (n, 1), and the logits."""
        k = len(self._groups)
        low = points[:, 2:3] + np.exp(points[:, :1]) * points[:, 4 : 4 + k]
        return low, np.exp(points[:, 3:4]), points[:, 4 + k :]

    def log_density(self, points: Floats) -> Floats:
        with np.errstate(all="ignore"):
            low, apart, logits = self._heaps(points)
            scale = np.exp(points[:, 1:2])
            total = _prior_of_spreads(points)
            total = total - 0.5 * ((points[:, 2] - MEAN) / MEAN_SPREAD) ** 2
            total -= 0.5 * ((points[:, 3] - APART) / APART_SPREAD) ** 2
            k = len(self._groups)
            total -= 0.5 * (points[:, 4 : 4 + k] ** 2).sum(axis=1)
            up, down = -np.logaddexp(0, -logits), -np.logaddexp(0, logits)
            total += (up + down).sum(axis=1)  # the density of the logit of a uniform share
            for place, group in enumerate(self._groups):
                from_low = (group[None, :] - low[:, place : place + 1]) / scale
                from_high = from_low - apart / scale
                lower = down[:, place : place + 1] - 0.5 * from_low**2
                upper = up[:, place : place + 1] - 0.5 * from_high**2
                total += np.logaddexp(lower, upper).sum(axis=1) - len(group) * points[:, 1]
            return _finite(total)

    def means(self, points: Floats, rng: np.random.Generator) -> Floats:
        low, apart, logits = self._heaps(points)
        return np.asarray(low + apart * np.exp(-np.logaddexp(0, -logits)))


def _prior_of_spreads(points: Floats) -> Floats:
    """Return the log density of log t (t half-normal) and log s (normal), the first two of what is sampled."""
    log_t, log_s = points[:, 0], points[:, 1]
    of_t = log_t - 0.5 * (np.exp(log_t) / GROUPS_SPREAD) ** 2
    return np.asarray(of_t - 0.5 * ((log_s - RUNS_SPREAD) / RUNS_SPREAD_SPREAD) ** 2)


def _finite(densities: Floats) -> Floats:
    return np.where(np.isfinite(densities), densities, -np.inf)


MODELS: Final[Mapping[str, Callable[[Sequence[Floats]], Model]]] = {"one heap": OneHeap, "two heaps": TwoHeaps}
