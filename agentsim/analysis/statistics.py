"""Statistics over few runs: exact tests, bootstrap intervals, Holm. Plain arrays in, plain values out.

One observation is one run (or one pair of runs at one seed), never an agent: agents of a society are not independent.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "MIN_INTERVAL_RUNS",
    "Interval",
    "PermutationTest",
    "PermutationTests",
    "bca_interval",
    "clopper_pearson",
    "fisher",
    "holm",
    "least_p",
    "permutation_test",
    "permutation_tests",
    "pooled_ranks",
]

Floats: TypeAlias = npt.NDArray[np.float64]

LEVEL: Final = 0.95
"""Confidence of every interval."""
N_RESAMPLES: Final = 9_999
"""Bootstrap resamples, and random arrangements of a test that is not exact."""
MAX_EXACT: Final = 2**16
"""Up to this many arrangements a test goes through all of them."""
MIN_INTERVAL_RUNS: Final = 3
"""Fewer runs (or pairs) give no bootstrap interval: the resamples of two values are three points."""
ROUNDING: Final = 1e-9
"""Arrangements whose statistics differ by less than this part of the largest possible one count as equal."""
MAX_CELLS: Final = 4_000_000
"""Statistics held at once; bounds the memory of many tests (32 MB)."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval, or the reason why there is none."""

    low: float | None
    high: float | None
    problem: str | None = None
    """Why there is no interval; None where there is one."""


class PermutationTest(NamedTuple):
    """A two-sided permutation test."""

    p: float
    """Share of all arrangements whose statistic is at least as large; (b+1)/(m+1) over m random ones if not exact."""
    least_p: float
    """The least p these values could have given under any arrangement; 1 where all values are equal."""
    is_exact: bool
    n_arrangements: int
    """Arrangements of signs or of labels that were gone through."""


def permutation_test(
    first: Sequence[float] | Floats, second: Sequence[float] | Floats | None = None, *, seed: int = 0
) -> PermutationTest:
    """Test whether differences centre on 0 (`second` None), or whether two groups have one mean.

    Paired: the sign-flip test of the mean of `first`, the differences of n pairs; under the hypothesis that the two of
    a pair might be swapped, all 2^n signs are equally likely. Unpaired: the permutation test of the difference of
    means; all C(n + k, n) ways to deal the values out are equally likely. Both are two-sided by |statistic|, exact up
    to 65,536 arrangements, else over 9,999 random ones and the observed one (Phipson & Smyth 2010).

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


def permutation_tests(first: Floats, second: Floats | None = None, *, seed: int = 0) -> PermutationTests:
    """Do `permutation_test` on many data sets of one size: `first` (n_sets, n), `second` (n_sets, k) or None."""
    if first.shape[1] == 0 or (second is not None and second.shape[1] == 0):
        raise ValueError("a test needs at least one value in each group")
    if second is None:
        weights, is_exact, n_arrangements = _signs(first.shape[1], seed)
        data = first
    else:
        weights, is_exact, n_arrangements = _deals(first.shape[1], second.shape[1], seed)
        data = np.hstack([first, second])
    if not np.isfinite(data).all():
        raise ValueError("a test needs finite values")
    p, least = np.empty(len(data)), np.empty(len(data))
    step = max(1, MAX_CELLS // len(weights))
    for begin in range(0, len(data), step):
        part = slice(begin, begin + step)
        statistics = np.abs(weights @ data[part].T)
        slack = ROUNDING * np.abs(weights[0]) @ np.abs(data[part].T)
        p[part] = (statistics >= statistics[0] - slack).mean(axis=0)
        least[part] = (statistics >= statistics.max(axis=0) - slack).mean(axis=0)
    if not is_exact:
        least = np.where(least < 1, 1 / len(weights), 1.0)
    return PermutationTests(p, least, is_exact, n_arrangements)


def least_p(n: int, n_second: int | None = None) -> float:
    """Return the least p that `permutation_test` can give with n pairs, or n and n_second unpaired runs, of any values.

    2 / 2^n for pairs; for two groups 2 / C(n + k, n) if they are of one size, else 1 / C(n + k, n). Five pairs: 0.0625.
    """
    n_arrangements = 2**n if n_second is None else comb(n + n_second, n)
    if n_arrangements > MAX_EXACT:
        return 1 / (N_RESAMPLES + 1)
    is_symmetric = n_second is None or n == n_second
    return min(1.0, (2 if is_symmetric else 1) / n_arrangements)


@lru_cache(maxsize=8)
def _signs(n: int, seed: int) -> tuple[Floats, bool, int]:
    """Rows of ±1/n, the observed arrangement (all +) first; of two mirror images, which have one |mean|, only one."""
    if 2**n <= MAX_EXACT:
        bits = np.arange(2 ** (n - 1))[:, None] >> np.arange(n) & 1
        return (1.0 - 2.0 * bits) / n, True, 2**n
    drawn = np.random.default_rng(seed).integers(0, 2, size=(N_RESAMPLES, n)) * 2.0 - 1.0
    return np.vstack([np.ones(n), drawn]) / n, False, N_RESAMPLES


@lru_cache(maxsize=8)
def _deals(n: int, k: int, seed: int) -> tuple[Floats, bool, int]:
    """Rows of 1/n for the values dealt to the first group and -1/k for the others, the observed deal first."""
    total = n + k
    is_exact = comb(total, n) <= MAX_EXACT
    if is_exact:
        chosen = np.array(list(combinations(range(total), n)))
    else:
        rng = np.random.default_rng(seed)
        shuffled = rng.permuted(np.tile(np.arange(total), (N_RESAMPLES, 1)), axis=1)[:, :n]
        chosen = np.vstack([np.arange(n), shuffled])
    weights = np.full((len(chosen), total), -1.0 / k)
    np.put_along_axis(weights, chosen, 1.0 / n, axis=1)
    return weights, is_exact, comb(total, n) if is_exact else N_RESAMPLES


def pooled_ranks(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Return both groups' values as ranks among all of them, ties at their mean rank.

    `permutation_test` on them needs no logarithm: a 0 is simply the lowest. Unpaired this is the Wilcoxon-Mann-Whitney
    test.
    """
    from scipy.stats import rankdata

    ranks = np.asarray(rankdata(np.concatenate([first, second])), dtype=float)
    return ranks[: len(first)], ranks[len(first) :]


def bca_interval(
    first: Sequence[float] | Floats, second: Sequence[float] | Floats | None = None, *, seed: int = 0
) -> Interval:
    """Return the 95 % BCa bootstrap interval of the mean of `first`, or of mean(first) - mean(second).

    Bias-corrected and accelerated (Efron 1987), 9,999 resamples of whole runs: of differences where paired (`second`
    None), of each group by itself otherwise. There is none for fewer than 3 runs or where all values are equal.
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
        warnings.simplefilter("ignore", DegenerateDataWarning)  # answered below, in words
        found = bootstrap(
            groups,
            mean if second is None else difference,
            n_resamples=N_RESAMPLES,
            confidence_level=LEVEL,
            method="BCa",
            vectorized=True,
            rng=np.random.default_rng(seed),
        ).confidence_interval
    low, high = float(found.low), float(found.high)
    if not (np.isfinite(low) and np.isfinite(high)):
        return Interval(None, None, "the BCa interval is not defined for these values")
    return Interval(low, high)


def clopper_pearson(n_hits: int, n: int) -> Interval:
    """Return the exact 95 % interval of a rate, n_hits of n (Clopper & Pearson 1934)."""
    from scipy.stats import binomtest

    if n == 0:
        return Interval(None, None, "no runs")
    found = binomtest(n_hits, n).proportion_ci(confidence_level=LEVEL, method="exact")
    return Interval(float(found.low), float(found.high))


def fisher(first: tuple[int, int], second: tuple[int, int]) -> float:
    """Return Fisher's exact two-sided p for two rates, each as (hits, n)."""
    from scipy.stats import fisher_exact

    table = np.array([[hits, n - hits] for hits, n in (first, second)])
    return float(fisher_exact(table).pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """Return p values adjusted for being one family (Holm 1979), in the same order, at most 1."""
    if len(p) == 0:
        return []
    # statsmodels ships no types
    from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

    return [float(value) for value in multipletests(list(p), method="holm")[1]]
