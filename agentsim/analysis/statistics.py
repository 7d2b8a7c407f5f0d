"""Statistics of few runs: exact tests, intervals that agree with them, Holm's correction. Arrays in, values out.

One observation is one run (or one pair of runs with the same seed), never an agent: agents of a society are not
independent.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import ceil, comb
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "ALPHA",
    "MIN_INTERVAL_RUNS",
    "RANDOM_SEED",
    "Arrangements",
    "Interval",
    "PermutationTest",
    "PermutationTests",
    "arrangements",
    "bca_interval",
    "chunks",
    "clopper_pearson",
    "fisher",
    "holm",
    "least_p",
    "mcnemar",
    "mean_ranks",
    "permutation_test",
    "permutation_tests",
    "pooled_ranks",
    "shift_interval",
    "shift_intervals",
    "simulated_p",
    "t_interval",
]

Floats: TypeAlias = npt.NDArray[np.float64]

ALPHA: Final = 0.05
"""Two groups differ if p (after Holm, in a family) is below this."""
LEVEL: Final = 0.95
"""Confidence of every interval: 1 - ALPHA."""
RANDOM_SEED: Final = 0
"""Seed of the random arrangements of a test that is not exact."""
N_RESAMPLES: Final = 9_999
"""Bootstrap resamples, and random arrangements of a test that is not exact."""
MAX_EXACT: Final = 2**16
"""A test uses all arrangements if there are at most this many."""
MIN_INTERVAL_RUNS: Final = 3
"""Fewer values give no bootstrap interval: resamples of two values have only three means."""
ROUNDING: Final = 1e-9
"""Statistics of arrangements that differ by less than this part of the largest possible one count as equal."""
MAX_CELLS: Final = 1_000_000
"""The most statistics in memory at once (8 MB)."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval, or the reason why there is none."""

    low: float | None
    high: float | None
    problem: str | None = None
    """Why there is no interval; None if there is one."""


class PermutationTest(NamedTuple):
    """A two-sided permutation test."""

    p: float
    """Share of all arrangements whose statistic is at least as large; (b+1)/(m+1) over m random ones if not exact."""
    least_p: float
    """The least p that these values give under any arrangement; 1 if all values are equal."""
    is_exact: bool
    n_arrangements: int
    """Arrangements of signs or labels that were used."""


def permutation_test(
    first: Sequence[float] | Floats, second: Sequence[float] | Floats | None = None, *, seed: int = RANDOM_SEED
) -> PermutationTest:
    """Test whether two groups have the same distribution, or whether differences centre on 0 (`second` None).

    Unpaired: the permutation test of the difference of means; under the null hypothesis all C(n + k, n) assignments of
    values to groups are equally likely. Paired: the sign-flip test of the mean of `first`, the differences of n pairs;
    under the null hypothesis all 2^n signs are equally likely. Both are two-sided by |statistic|, exact up to 65,536
    arrangements, otherwise over 9,999 random ones, drawn from `seed`, and the observed one (Phipson & Smyth 2010). The
    order of the values within a group does not matter.

    Raises:
        ValueError: a group is empty, or a value is not finite.
    """
    values = np.asarray(first, dtype=float)[None, :]
    others = None if second is None else np.asarray(second, dtype=float)[None, :]
    p, least, is_exact, n_arrangements = permutation_tests(values, others, seed=seed)
    return PermutationTest(float(p[0]), float(least[0]), is_exact, n_arrangements)


class PermutationTests(NamedTuple):
    """The same test on many data sets."""

    p: Floats
    least_p: Floats
    is_exact: bool
    n_arrangements: int


def permutation_tests(first: Floats, second: Floats | None = None, *, seed: int = RANDOM_SEED) -> PermutationTests:
    """Do `permutation_test` on many data sets of one size: `first` (n_sets, n), `second` (n_sets, k) or None."""
    data, arranged = arrangements(first, second, seed=seed)
    weights = arranged.weights
    p, least = np.empty(len(data)), np.empty(len(data))
    for part in chunks(len(data), len(weights)):
        statistics = np.abs(weights @ data[part].T)
        slack = _slack(weights, data[part])
        p[part] = (statistics >= statistics[0] - slack).mean(axis=0)
        least[part] = (statistics >= statistics.max(axis=0) - slack).mean(axis=0)
    if not arranged.is_exact:
        least = np.where(least < 1, 1 / len(weights), 1.0)
    return PermutationTests(p, least, arranged.is_exact, arranged.n)


def simulated_p(first: Floats, second: Floats | None = None, *, n_arrangements: int, seed: int = RANDOM_SEED) -> Floats:
    """Return only the p of `permutation_tests`, over at most `n_arrangements`: for simulations of many studies."""
    data, arranged = arrangements(first, second, seed=seed, most=n_arrangements, n_random=n_arrangements)
    p = np.empty(len(data))
    for part in chunks(len(data), len(arranged.weights)):
        statistics = np.abs(arranged.weights @ data[part].T)
        p[part] = (statistics >= statistics[0] - _slack(arranged.weights, data[part])).mean(axis=0)
    return p


def shift_interval(
    first: Sequence[float] | Floats,
    second: Sequence[float] | Floats | None = None,
    *,
    alpha: float = ALPHA,
    seed: int = RANDOM_SEED,
) -> Interval:
    """Return the 95 % interval of mean(first) - mean(second), or of the mean of differences, by inverting the test.

    It holds every shift d at which `permutation_test` of first - d against second gives p >= `alpha`. So it excludes 0
    if and only if the test's p is below `alpha`, and is a 95 % interval by default. If the two distributions differ
    only by a shift, its coverage is at least 1 - `alpha` for any distribution and any sizes; differences of pairs must
    be symmetric around the shift (Lehmann 1963; Garthwaite 1996 for the random arrangements). There is no interval if
    so few values cannot give p < `alpha`, because then no shift is excluded, or if all values of each group are equal.
    """
    groups = [np.asarray(group, dtype=float) for group in (first, second) if group is not None]
    others = groups[1][None, :] if second is not None else None
    low, high = shift_intervals(groups[0][None, :], others, alpha=alpha, seed=seed)
    if not np.isfinite(low[0]):
        sizes = " against ".join(str(len(group)) for group in groups)
        what, least = ("pairs" if second is None else "runs"), least_p(*(len(group) for group in groups))
        return Interval(None, None, f"the least p of {sizes} {what} is {least:.2g}, so no ratio can be excluded")
    if all(np.ptp(group) <= ROUNDING * np.abs(group).max() for group in groups):
        return Interval(None, None, "all differences are equal" if second is None else "all runs of a group are equal")
    return Interval(float(low[0]), float(high[0]))


def shift_intervals(
    first: Floats, second: Floats | None = None, *, alpha: float = ALPHA, seed: int = RANDOM_SEED
) -> tuple[Floats, Floats]:
    """Return the ends of `shift_interval` for many data sets, (n_sets,) each; infinite if nothing is excluded.

    Shifting the first group by d turns the statistic T of an arrangement into T - c d, where c is the sum of the
    weights that it gives to the first group; the observed one, T0, has c = 1. So |T - c d| >= |T0 - d| holds between
    d = (T0 - T)/(1 - c) and d = (T0 + T)/(1 + c), and T0 lies between these. p at d is the share of arrangements whose
    range includes d: it falls on both sides of T0, so the interval's ends are order statistics of the ranges' ends.
    """
    data, arranged = arrangements(first, second, seed=seed)
    weights, n_needed = arranged.weights, _n_not_below(alpha, len(arranged.weights))
    first_weight = weights[:, : first.shape[1]].sum(axis=1)[:, None]
    is_bound_to = (
        np.abs(first_weight) > 1 - ROUNDING
    )  # the observed arrangement or its mirror image includes every shift
    below, above = np.where(is_bound_to, 1, 1 - first_weight), np.where(is_bound_to, 1, 1 + first_weight)
    low, high = np.empty(len(data)), np.empty(len(data))
    for part in chunks(len(data), len(weights)):
        statistics = weights @ data[part].T
        slack = _slack(weights, data[part])
        one, other = statistics[0] - statistics, statistics[0] + statistics
        one, other = (np.where(np.abs(ends) <= slack, 0.0, ends) for ends in (one, other))  # as the test counts ties
        one, other = one / below, other / above
        lows = np.where(is_bound_to, -np.inf, np.minimum(one, other))
        highs = np.where(is_bound_to, np.inf, np.maximum(one, other))
        low[part] = np.partition(lows, n_needed - 1, axis=0)[n_needed - 1]
        high[part] = np.partition(highs, len(weights) - n_needed, axis=0)[len(weights) - n_needed]
    return low, high


def _n_not_below(alpha: float, n: int) -> int:
    """Return the smallest k for which k of n arrangements are a share of at least `alpha`."""
    return next(k for k in range(max(1, ceil(n * alpha) - 1), n + 1) if k / n >= alpha)


class Arrangements(NamedTuple):
    """The arrangements over which a test counts."""

    weights: Floats
    """A row for each arrangement, the observed one first; its product with the data is the statistic."""
    is_exact: bool
    n: int


def arrangements(
    first: Floats, second: Floats | None, *, seed: int, most: int = MAX_EXACT, n_random: int = N_RESAMPLES
) -> tuple[Floats, Arrangements]:
    """Return the data sets, groups side by side and sorted, and all arrangements of them or random ones."""
    groups = [np.sort(np.asarray(group, dtype=float), axis=1) for group in (first, second) if group is not None]
    if any(group.shape[1] == 0 for group in groups):
        raise ValueError("a test needs at least one value in each group")
    data = np.hstack(groups)
    if not np.isfinite(data).all():
        raise ValueError("a test needs finite values")
    n = groups[0].shape[1]
    drawn = (seed, most, n_random)
    return data, _signs(n, *drawn) if second is None else _deals(n, groups[1].shape[1], *drawn)


def _slack(weights: Floats, data: Floats) -> Floats:
    return np.asarray(ROUNDING * (np.abs(weights[0]) @ np.abs(data.T)))


def chunks(n_sets: int, n_arrangements: int) -> Iterator[slice]:
    step = max(1, MAX_CELLS // n_arrangements)
    yield from (slice(begin, begin + step) for begin in range(0, n_sets, step))


def least_p(n: int, n_second: int | None = None) -> float:
    """Return the least p that `permutation_test` can give for any values, with n pairs or n and n_second unpaired runs.

    2 / 2^n for pairs; for two groups 2 / C(n + k, n) if they have the same size, else 1 / C(n + k, n). Five pairs:
    0.0625; five runs against five: 0.0079; over random arrangements: 0.0001.
    """
    n_arrangements = 2**n if n_second is None else comb(n + n_second, n)
    if n_arrangements > MAX_EXACT:
        return 1 / (N_RESAMPLES + 1)
    is_symmetric = n_second is None or n == n_second
    return min(1.0, (2 if is_symmetric else 1) / n_arrangements)


@lru_cache(maxsize=8)
def _signs(n: int, seed: int, most: int, n_random: int) -> Arrangements:
    """Rows of ±1/n, the observed arrangement (all +) first; of two mirror images (same |mean|) only one."""
    if 2**n <= most:
        bits = np.arange(2 ** (n - 1))[:, None] >> np.arange(n) & 1
        return Arrangements((1.0 - 2.0 * bits) / n, True, 2**n)
    drawn = np.random.default_rng(seed).integers(0, 2, size=(n_random, n)) * 2.0 - 1.0
    return Arrangements(np.vstack([np.ones(n), drawn]) / n, False, n_random)


@lru_cache(maxsize=8)
def _deals(n: int, k: int, seed: int, most: int, n_random: int) -> Arrangements:
    """Rows of 1/n for values assigned to the first group and -1/k for the others, the observed assignment first."""
    total = n + k
    is_exact = comb(total, n) <= most
    if is_exact:
        chosen = np.array(list(combinations(range(total), n)))
    else:
        rng = np.random.default_rng(seed)
        shuffled = rng.permuted(np.tile(np.arange(total), (n_random, 1)), axis=1)[:, :n]
        chosen = np.vstack([np.arange(n), shuffled])
    weights = np.full((len(chosen), total), -1.0 / k)
    np.put_along_axis(weights, chosen, 1.0 / n, axis=1)
    return Arrangements(weights, is_exact, comb(total, n) if is_exact else n_random)


def pooled_ranks(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Return both groups' values as ranks among all of them, ties at their mean rank.

    `permutation_test` of ranks needs no logarithm: a 0 is simply the lowest. Unpaired this is the
    Wilcoxon-Mann-Whitney test.
    """
    ranks = mean_ranks(np.concatenate([first, second]))
    return ranks[: len(first)], ranks[len(first) :]


def mean_ranks(values: Floats) -> Floats:
    """Return the values' ranks, from 1, ties at their mean rank."""
    _, place, n_equal = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(n_equal) - (n_equal - 1) / 2)[place], dtype=float)


def bca_interval(
    first: Sequence[float] | Floats, second: Sequence[float] | Floats | None = None, *, seed: int = 0
) -> Interval:
    """Return the 95 % BCa bootstrap interval of the mean of `first`, or of mean(first) - mean(second).

    Bias-corrected and accelerated (Efron 1987), 9,999 resamples of whole runs: of differences if paired (`second`
    None), otherwise of each group by itself. There is no interval for fewer than 3 runs or if all values are equal.
    """
    from scipy.stats import DegenerateDataWarning, bootstrap

    groups = [np.asarray(group, dtype=float) for group in (first, second) if group is not None]
    if min(len(group) for group in groups) < MIN_INTERVAL_RUNS:
        return Interval(None, None, "fewer than 3 " + ("pairs" if second is None else "runs in a group"))
    if all(np.ptp(group) <= ROUNDING * np.abs(group).max() for group in groups):
        return Interval(None, None, "all differences are equal" if second is None else "all runs of a group are equal")

    def mean(values: Floats, axis: int) -> Floats:
        return np.asarray(values.mean(axis=axis))

    def difference(values: Floats, others: Floats, axis: int) -> Floats:
        return np.asarray(values.mean(axis=axis) - others.mean(axis=axis))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateDataWarning)  # reported below as a problem
        interval = bootstrap(
            groups,
            mean if second is None else difference,
            n_resamples=N_RESAMPLES,
            confidence_level=LEVEL,
            method="BCa",
            vectorized=True,
            rng=np.random.default_rng(seed),
        ).confidence_interval
    low, high = float(interval.low), float(interval.high)
    if not (np.isfinite(low) and np.isfinite(high)):
        return Interval(None, None, "the BCa interval is not defined for these values")
    return Interval(low, high)


def t_interval(values: Sequence[float] | Floats) -> Interval:
    """Return Student's 95 % interval of a mean: mean ± t(n - 1) s / sqrt(n), s with n - 1 (Student 1908).

    Exact for normal values, such as logarithms of log-normal scores. There is no interval for a single value, or if
    all are equal.
    """
    from scipy.special import stdtrit

    sample = np.asarray(values, dtype=float)
    if len(sample) < 2:
        return Interval(None, None, "a single run has no spread")
    if np.ptp(sample) <= ROUNDING * np.abs(sample).max():
        return Interval(None, None, "all runs ended alike")
    half = float(stdtrit(len(sample) - 1, 1 - ALPHA / 2)) * sample.std(ddof=1) / np.sqrt(len(sample))
    return Interval(float(sample.mean() - half), float(sample.mean() + half))


def clopper_pearson(n_hits: int, n: int) -> Interval:
    """Return the exact 95 % interval of a rate, n_hits of n (Clopper & Pearson 1934).

    Its ends are quantiles of beta distributions.
    """
    from scipy.special import betaincinv  # importing `scipy.stats` would take longer than everything else here

    if n == 0:
        return Interval(None, None, "no runs")
    low = betaincinv(n_hits, n - n_hits + 1, ALPHA / 2) if n_hits else 0.0
    high = betaincinv(n_hits + 1, n - n_hits, 1 - ALPHA / 2) if n_hits < n else 1.0
    return Interval(float(low), float(high))


def fisher(first: tuple[int, int], second: tuple[int, int]) -> float:
    """Return Fisher's (1934) exact two-sided p for two rates, each as (hits, n), over all assignments of the hits."""
    (hits, n), (others, k) = first, second
    total = hits + others
    # Assignments that give the first group `i` hits: whole numbers, so that equally likely ones compare as equal.
    ways = {i: comb(n, i) * comb(k, total - i) for i in range(max(0, total - k), min(n, total) + 1)}
    return sum(n_ways for n_ways in ways.values() if n_ways <= ways[hits]) / comb(n + k, total)


def mcnemar(n_first_only: int, n_second_only: int) -> float:
    """Return the exact two-sided p for pairs in which only one is a hit: the sign-flip test of hits.

    2 P(X <= the smaller number), X binomial with the sum of both numbers and 1/2, at most 1 (McNemar 1947).
    """
    n, fewest = n_first_only + n_second_only, min(n_first_only, n_second_only)
    return float(min(1.0, 2 * sum(comb(n, k) for k in range(fewest + 1)) / 2**n))


def holm(p: Sequence[float]) -> list[float]:
    """Return p values adjusted as one family (Holm 1979), in the same order, at most 1.

    The i-th smallest of m is multiplied by m - i + 1, and is never smaller than the one before it.
    """
    if len(p) == 0:
        return []
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, kind="stable")
    steps = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(steps, 1)
    return [float(value) for value in adjusted]
