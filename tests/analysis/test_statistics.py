"""The statistics against closed forms, published values and scipy's own tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from agentsim.analysis.statistics import (
    ALPHA,
    bca_interval,
    clopper_pearson,
    fisher,
    holm,
    least_p,
    mcnemar,
    mean_ranks,
    permutation_test,
    permutation_tests,
    pooled_ranks,
    shift_interval,
    shift_intervals,
    simulated_p,
    t_interval,
)

values = st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=2, max_size=6)


def test_five_pairs_that_all_differ_one_way_give_a_sixteenth() -> None:
    found = permutation_test([1, 2, 3, 4, 5])
    assert (found.p, found.least_p, found.is_exact, found.n_arrangements) == (0.0625, 0.0625, True, 32)
    assert least_p(5) == 0.0625


def test_the_sign_flip_test_counts_by_hand() -> None:
    # sums of ±1 ±2 ±3 that are at least |1 + 2 - 3| = 0 in size: all of them; at least |3 + 2 - 1| = 4: 4 of 8
    assert permutation_test([1, 2, -3]).p == 1
    assert permutation_test([3, 2, -1]).p == 0.5


@given(values, values)
def test_the_permutation_test_is_that_of_scipy(first: list[float], second: list[float]) -> None:
    def difference(x: np.ndarray, y: np.ndarray, axis: int) -> Any:
        return np.round(np.abs(np.mean(x, axis=axis) - np.mean(y, axis=axis)), 9)

    known = stats.permutation_test(
        (first, second), difference, alternative="greater", n_resamples=1_000_000, vectorized=True
    )
    assert permutation_test(first, second).p == pytest.approx(float(known.pvalue))


def test_many_data_sets_at_once_are_the_single_ones() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(20, 4)), rng.normal(size=(20, 5))
    many = permutation_tests(first, second)
    assert list(many.p) == [permutation_test(a, b).p for a, b in zip(first, second, strict=True)]


def test_many_runs_are_tested_over_random_arrangements_and_never_give_zero() -> None:
    found = permutation_test(np.linspace(1, 2, 40))
    assert not found.is_exact
    assert found.p == 1 / 10_000


def test_a_test_of_the_same_distribution_rejects_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    p = permutation_tests(rng.lognormal(size=(4_000, 8))[:, :] - rng.lognormal(size=(4_000, 8))).p
    assert (p <= 0.05).mean() == pytest.approx(0.05, abs=0.012)


@pytest.mark.parametrize(("n", "second", "p"), [(6, None, 0.03125), (5, 5, 2 / 252), (3, 4, 1 / 35), (1, 1, 1)])
def test_the_least_p_of_few_runs(n: int, second: int | None, p: float) -> None:
    assert least_p(n, second) == pytest.approx(p)


def test_equal_values_cannot_differ() -> None:
    assert permutation_test([0, 0, 0]).p == permutation_test([0, 0, 0]).least_p == 1


def test_what_cannot_be_tested_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        permutation_test([])
    with pytest.raises(ValueError, match="finite"):
        permutation_test([1, float("nan")])


def test_ranks_give_the_wilcoxon_mann_whitney_test() -> None:
    first, second = np.array([0.0, 3.0, 4.0, 9.0]), np.array([1.0, 2.0, 8.0, 11.0, 12.0])
    known = stats.mannwhitneyu(first, second, method="exact").pvalue
    assert permutation_test(*pooled_ranks(first, second)).p == pytest.approx(float(known))


def test_the_bootstrap_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    samples = rng.exponential(size=(150, 25))
    found = [bca_interval(sample) for sample in samples]
    hits = [one.low is not None and one.high is not None and one.low <= 1 <= one.high for one in found]
    assert 0.86 <= np.mean(hits) <= 0.99


def test_an_interval_moves_with_its_values_and_is_the_same_each_time() -> None:
    values = np.array([1.0, 2.0, 4.0, 8.0, 9.0])
    one, moved = bca_interval(values), bca_interval(values + 10)
    assert one == bca_interval(values)
    assert (moved.low, moved.high) == (pytest.approx(one.low + 10), pytest.approx(one.high + 10))  # type: ignore[operator]


def test_where_there_is_no_interval_it_says_why() -> None:
    assert bca_interval([1, 2]).problem == "fewer than 3 pairs"
    assert bca_interval([1, 2, 3], [1]).problem == "fewer than 3 runs in a group"
    assert bca_interval([2, 2, 2]).problem == "all differences are equal"
    assert bca_interval([2, 2, 2], [1, 1, 1]).low is None


def test_the_exact_interval_of_a_rate_has_its_closed_form_at_the_ends() -> None:
    none, every = clopper_pearson(0, 5), clopper_pearson(5, 5)
    assert none.low == 0
    assert none.high == pytest.approx(1 - 0.025**0.2)
    assert every.low == pytest.approx(0.025**0.2)
    assert every.high == 1
    assert clopper_pearson(0, 0).problem == "no runs"


def test_fishers_tea() -> None:
    assert fisher((3, 4), (1, 4)) == pytest.approx(34 / 70)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


@given(values, values)
def test_the_interval_excludes_nothing_exactly_where_the_test_does_not(first: list[float], second: list[float]) -> None:
    found = shift_interval(first, second)
    is_excluded = found.low is not None and found.high is not None and not found.low <= 0 <= found.high
    if found.low is not None or "no ratio can be excluded" in str(found.problem):
        assert is_excluded == (permutation_test(first, second).p < ALPHA)


@pytest.mark.parametrize(("n", "k"), [(4, 4), (5, 5), (3, 8), (10, 5), (12, 12), (6, None), (9, None)])
def test_tied_and_untied_values_give_coherent_intervals(n: int, k: int | None) -> None:
    rng = np.random.default_rng(5)
    for digits in (0, 6):
        first = np.round(rng.normal(size=(60, n)) + 0.7, digits)
        second = None if k is None else np.round(rng.normal(size=(60, k)), digits)
        low, high = shift_intervals(first, second)
        assert (((low > 0) | (high < 0)) == (permutation_tests(first, second).p < ALPHA)).all()


@pytest.mark.parametrize("second", [None, [0.3, 2.0, 1.1, -0.4, 0.9]])
def test_the_ends_of_the_interval_are_where_the_test_turns(second: list[float] | None) -> None:
    first = np.array([2.0, 3.5, 1.2, 4.4, 2.9, 3.3, 0.8])
    found = shift_interval(first, second)
    assert found.low is not None and found.high is not None
    for end, outwards in ((found.low, -1), (found.high, 1)):
        assert permutation_test(first - end - outwards * 1e-6, second).p < ALPHA
        assert permutation_test(first - end + outwards * 1e-6, second).p >= ALPHA


def test_the_interval_covers_a_shift_of_any_distribution_and_of_unequal_sizes() -> None:
    rng = np.random.default_rng(6)
    heaps = rng.choice([6.5, 8.5], size=(1500, 14)) + rng.normal(0, 0.3, size=(1500, 14))
    low, high = shift_intervals(heaps[:, :9] + 1.5, heaps[:, 9:])
    assert ((low <= 1.5) & (high >= 1.5)).mean() >= 0.94


def test_values_too_few_for_the_test_have_no_interval() -> None:
    assert shift_interval([9, 8, 7], [1, 2, 3]).problem == (
        "the least p of 3 against 3 runs is 0.1, so no ratio can be excluded"
    )
    assert shift_interval([9, 8, 7, 8, 9]).problem == "the least p of 5 pairs is 0.062, so no ratio can be excluded"
    assert shift_interval([2, 2, 2, 2], [1, 1, 1, 1]).problem == "all runs of a group are equal"


def test_the_order_of_runs_changes_nothing_even_where_arrangements_are_random() -> None:
    rng = np.random.default_rng(7)
    first, second = rng.normal(size=15), rng.normal(size=14) + 0.7
    for other in (first[::-1], rng.permutation(first)):
        assert permutation_test(other, second) == permutation_test(first, second)
        assert shift_interval(other, second) == shift_interval(first, second)


def test_students_interval_is_that_of_scipy() -> None:
    values = [1.0, 2.0, 4.0, 8.0]
    known = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = t_interval(values)
    assert [found.low, found.high] == pytest.approx([known.low, known.high])
    assert t_interval([1]).problem == "a single run has no spread"
    assert t_interval([3, 3]).problem == "all runs ended alike"


def test_a_simulated_p_is_the_tests_where_all_arrangements_are_gone_through() -> None:
    rng = np.random.default_rng(8)
    first, second = rng.normal(size=(9, 5)), rng.normal(size=(9, 5))
    assert (simulated_p(first, second, n_arrangements=252) == permutation_tests(first, second).p).all()
    rough = simulated_p(first, second, n_arrangements=200)
    assert rough == pytest.approx(permutation_tests(first, second).p, abs=0.15)


def test_mcnemars_test_is_the_sign_flip_test_of_hits() -> None:
    assert mcnemar(5, 0) == permutation_test([1, 1, 1, 1, 1, 0, 0]).p == 0.0625
    assert mcnemar(4, 1) == permutation_test([1, 1, 1, 1, -1]).p
    assert mcnemar(0, 0) == mcnemar(3, 3) == 1


@pytest.mark.parametrize(("n_hits", "n"), [(0, 1), (1, 1), (0, 7), (3, 7), (7, 7), (1, 400), (250, 400)])
def test_the_interval_of_a_rate_is_that_of_the_exact_binomial_test(n_hits: int, n: int) -> None:
    known = stats.binomtest(n_hits, n).proportion_ci(method="exact")
    found = clopper_pearson(n_hits, n)
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=1e-9)


@pytest.mark.parametrize("values", [[], [2.0], [3.0, 1.0, 2.0], [1.0, 1.0, 0.0, 5.0, 1.0], [0.0] * 4])
def test_ties_have_their_mean_rank(values: list[float]) -> None:
    assert mean_ranks(np.array(values)).tolist() == stats.rankdata(values).tolist()


@pytest.mark.parametrize(("first", "second"), [((3, 4), (1, 4)), ((0, 5), (5, 5)), ((2, 9), (7, 11)), ((0, 3), (0, 8))])
def test_two_rates_are_compared_as_by_fishers_exact_test(first: tuple[int, int], second: tuple[int, int]) -> None:
    table = np.array([[hits, n - hits] for hits, n in (first, second)])
    assert fisher(first, second) == pytest.approx(float(stats.fisher_exact(table).pvalue))
