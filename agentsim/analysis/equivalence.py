"""Whether two groups are as good as equal: two one-sided tests, and the 90 % interval that they correspond to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from agentsim.analysis.statistics import ALPHA, RANDOM_SEED, ROUNDING, Floats, arrangements, chunks

__all__ = ["Equivalence", "equivalence", "equivalences", "least_equivalence_p", "welch_equivalences"]


class Equivalence(NamedTuple):
    """Two one-sided tests of one pair of groups."""

    p: float
    """The larger of the p of both tests: below 0.05 if the 90 % interval lies within the margins."""
    low: float
    """The ends of the 90 % interval of the difference; infinite if so few values exclude nothing."""
    high: float


def equivalence(first: Floats, second: Floats | None = None, *, margin: float, seed: int = RANDOM_SEED) -> Equivalence:
    """Test whether mean(first) - mean(second), or the mean of differences, lies within ± `margin` (above 0).

    Two one-sided tests (Schuirmann 1987) with the arrangements of `permutation_test`: the difference is shifted to each
    margin, and p is the share of arrangements whose statistic is at least as far inside. If the two distributions
    differ only by a shift (differences of pairs: if they are symmetric), the error is at most 5 % for any sizes.
    """
    values = np.asarray(first, dtype=float)[None, :]
    others = None if second is None else np.asarray(second, dtype=float)[None, :]
    p, low, high = equivalences(values, others, margin=margin, seed=seed)
    return Equivalence(float(p[0]), float(low[0]), float(high[0]))


def equivalences(
    first: Floats, second: Floats | None = None, *, margin: float, seed: int = RANDOM_SEED
) -> tuple[Floats, Floats, Floats]:
    """Do `equivalence` on many data sets of one size: return p, and the ends of the 90 % interval, (n_sets,) each.

    Shifting the first group by d turns the statistic T of an arrangement into T - c d, where c is the weight that it
    gives to the first group; the observed one, T0, has c = 1. T - c d >= T0 - d if and only if d >= (T0 - T)/(1 - c).
    So the p of "at most d" is the share of arrangements with this ratio at or below d, and that of "at least d" the
    share with it at or above d.
    """
    data, arranged = arrangements(first, second, seed=seed)
    weights = arranged.weights
    if second is None and arranged.is_exact:  # of two mirror images only one is there
        weights = np.vstack([weights, -weights])
    gap = 1 - weights[:, : first.shape[1]].sum(axis=1)
    is_observed = gap <= ROUNDING
    n_least = int(np.floor(ALPHA * len(weights))) + 1
    p, low, high = (np.empty(len(data)) for _ in range(3))
    for part in chunks(len(data), len(weights)):
        statistics = weights @ data[part].T
        ratios = (statistics[0] - statistics) / np.where(is_observed, 1, gap)[:, None]
        slack = ROUNDING * (np.abs(weights[0]) @ np.abs(data[part].T) + margin)
        below = np.where(is_observed[:, None], -np.inf, ratios)
        above = np.where(is_observed[:, None], np.inf, ratios)
        p_low = (below <= -margin + slack).mean(axis=0)
        p_high = (above >= margin - slack).mean(axis=0)
        p[part] = np.maximum(p_low, p_high)
        # The k-th smallest of n ratios is the least difference at which k/n, at least 5 %, are not below it.
        low[part] = np.partition(below, n_least - 1, axis=0)[n_least - 1]
        high[part] = np.partition(above, len(weights) - n_least, axis=0)[len(weights) - n_least]
    return p, low, high


def welch_equivalences(first: Floats, second: Floats, *, margin: float) -> Floats:
    """Return the p of two one-sided Welch tests for many data sets: only to be compared with `equivalences`."""
    from scipy.special import stdtr

    n, k = first.shape[1], second.shape[1]
    u, v = first.var(axis=1, ddof=1) / n, second.var(axis=1, ddof=1) / k
    gap = first.mean(axis=1) - second.mean(axis=1)
    freedom = (u + v) ** 2 / (u**2 / (n - 1) + v**2 / (k - 1))
    return np.asarray(stdtr(freedom, (np.abs(gap) - margin) / np.sqrt(u + v)))


def least_equivalence_p(n: int, n_second: int | None = None) -> float:
    """Return the least p that `equivalence` can give, whatever the values: one of all arrangements."""
    zeros, others = np.zeros((1, n)), None if n_second is None else np.zeros((1, n_second))
    return float(equivalences(zeros, others, margin=1.0)[0][0])
