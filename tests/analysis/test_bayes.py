"""The Bayesian estimate: its densities against other people's, its draws against a grid, and its silence."""

from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import stats

import agentsim
from agentsim.analysis.bayes import sampling
from agentsim.analysis.bayes.generated import generated
from agentsim.analysis.bayes.models import MODELS, OneHeap, TwoHeaps
from agentsim.analysis.bayes.sampling import Draws, sample
from agentsim.errors import AgentsimError
from tests.analysis.test_compare import study

Floats = npt.NDArray[np.float64]
GROUPS = [np.array([3.1, 2.5, 4.0]), np.array([5.5, 5.1]), np.array([2.2])]


def of_spreads(log_t: float, log_s: float) -> float:
    """The priors of t and s as docs/planning.md states them, as densities of their logarithms."""
    return float(stats.halfnorm.logpdf(np.exp(log_t)) + log_t + stats.norm.logpdf(log_s, np.log(0.5), 1))


def one_heap(point: Floats) -> float:
    """All runs at once are normal, with the means of groups and of all in their covariance."""
    t, spreads = np.exp(point[0]), np.exp(point[1] + 0.5 * point[2:])
    group = np.repeat(range(3), [len(own) for own in GROUPS])
    covariance = 2.5**2 + t**2 * (group[:, None] == group) + np.diag(spreads[group] ** 2)
    likelihood = stats.multivariate_normal.logpdf(np.concatenate(GROUPS), np.full(6, 4.0), covariance)
    return float(likelihood + of_spreads(point[0], point[1]) + stats.norm.logpdf(point[2:]).sum())


def two_heaps(point: Floats) -> float:
    t, s, d, shares = np.exp(point[0]), np.exp(point[1]), np.exp(point[3]), 1 / (1 + np.exp(-point[7:]))
    total = of_spreads(point[0], point[1]) + stats.norm.logpdf(point[2], 4, 2.5)
    total += stats.norm.logpdf(point[3], np.log(2), 0.5) + stats.norm.logpdf(point[4:7]).sum()
    total += np.log(shares * (1 - shares)).sum()  # a uniform share, as the density of its logit
    for place, own in enumerate(GROUPS):
        low = point[2] + t * point[4 + place]
        mixed = shares[place] * stats.norm.pdf(own, low + d, s) + (1 - shares[place]) * stats.norm.pdf(own, low, s)
        total += np.log(mixed).sum()
    return float(total)


@pytest.mark.parametrize(("model", "theirs"), [(OneHeap, one_heap), (TwoHeaps, two_heaps)])
def test_a_density_is_that_of_the_stated_model(model: type[OneHeap] | type[TwoHeaps], theirs: object) -> None:
    points = np.random.default_rng(2).normal(0, 0.7, (40, model(GROUPS).n_dimensions))
    own = model(GROUPS).log_density(points)
    other = np.array([theirs(point) for point in points])  # type: ignore[operator]
    assert own - own[0] == pytest.approx(other - other[0], abs=1e-8)


def test_draws_agree_with_a_grid() -> None:
    """One group: three parameters are sampled, and its mean is normal given these."""
    runs = np.array([3.0, 3.4, 2.5, 3.9])
    model = OneHeap([runs])
    axes = np.meshgrid(np.linspace(-6, 2, 60), np.linspace(-3, 2, 60), np.linspace(-3.5, 3.5, 40), indexing="ij")
    points = np.column_stack([axis.ravel() for axis in axes])
    weights = model.log_density(points)
    weights = np.exp(weights - weights.max())
    within = np.exp(2 * (points[:, 1] + 0.5 * points[:, 2])) / len(runs)
    between = np.exp(2 * points[:, 0]) + 2.5**2
    given = (runs.mean() * between + 4 * within) / (between + within)
    mean = np.average(given, weights=weights)
    spread = np.sqrt(np.average(given**2 + between * within / (between + within), weights=weights) - mean**2)
    draws = sample(model)
    assert draws.problem is None and draws.r_hat > 1
    assert draws.means.mean() == pytest.approx(mean, abs=0.05)
    assert draws.means.std() == pytest.approx(spread, rel=0.15)


def ranks(name: str, n_sets: int, factor: float = 1.0) -> Floats:
    """Where the true differences of two groups stand among draws, in [0, 1]; `factor` falsifies the runs' spread."""
    rng = np.random.default_rng(4)
    found = []
    for _ in range(n_sets):
        truth, runs = generated(name, (4, 6), rng)
        told = [own.mean() + (own - own.mean()) * factor for own in runs]
        means = sample(MODELS[name](told)).means
        found.append((means[:, 0] - means[:, 1] < truth[0] - truth[1]).mean())
    return np.array(found)


def test_ranks_of_the_truth_are_uniform_and_those_under_a_wrong_spread_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small calibration; `benchmarks/bayes.py` is the whole one."""
    monkeypatch.setattr(sampling, "STEPS", (160,))
    monkeypatch.setattr(sampling, "N_ENSEMBLES", 1)
    assert stats.kstest(ranks("one heap", 24), "uniform").pvalue > 0.01
    wrong = ranks("one heap", 24, factor=0.05)
    assert ((wrong < 0.025) | (wrong > 0.975)).mean() > 0.25


@pytest.mark.parametrize(
    ("draws", "words"),
    [
        (Draws(np.zeros((9, 2)), 1.2, 5000), "cannot say: the samplers disagree (R-hat 1.200, above 1.02)"),
        (Draws(np.zeros((9, 2)), float("nan"), 5000), "cannot say: the samplers disagree"),
        (Draws(np.zeros((9, 2)), 1.001, 90), "cannot say: 90 independent draws, fewer than 400"),
    ],
)
def test_draws_that_cannot_be_trusted_give_no_number(draws: Draws, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentsim.analysis.bayes.estimates.sample", lambda model, seed: draws)
    table = agentsim.bayes({"a": [1.0, 2.0], "b": [3.0, 4.0]}, equivalence=1.25).table
    assert table["problem"].str.startswith(words).all() and len(table) == 2
    assert table[["ratio", "low", "high", "p_above", "p_within"]].isna().all().all()


def test_too_short_chains_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "STEPS", (20,))
    assert sample(TwoHeaps(GROUPS)).problem is not None


@pytest.mark.parametrize(
    ("groups", "stated", "words"),
    [
        ({"a": [1.0]}, {}, "needs two groups"),
        ({"a": [1.0], "b": []}, {}, "needs two groups"),
        ({"a": [1.0], "b": [0.0]}, {}, "has no logarithm"),
        ({"a": [1.0], "b": [2.0]}, {"equivalence": 0.5}, "state a ratio above 1"),
    ],
)
def test_what_has_no_estimate_is_refused(groups: dict[str, list[float]], stated: dict[str, float], words: str) -> None:
    with pytest.raises(AgentsimError, match=words):
        agentsim.bayes(groups, **stated)  # type: ignore[arg-type]


def test_a_comparison_tells_both_models_and_their_priors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "STEPS", (400,))
    monkeypatch.setattr(sampling, "N_ENSEMBLES", 2)
    scores = {"a": dict(enumerate([10.0, 11, 12, 10, 11])), "b": dict(enumerate([40.0, 45, 38, 44, 41]))}
    found = agentsim.compare(study(scores), bayes=True, equivalence=1.5)
    assert list(found.bayes["model"]) == ["one heap", "two heaps"]
    first = found.bayes.iloc[0]
    assert first["problem"] is pd.NA or "cannot say" in first["problem"]
    if first["problem"] is pd.NA:
        assert first["low"] < 10.8 / 41.5 < first["high"] < 1 and first["p_above"] < 0.01 and first["p_within"] < 0.01
    assert sum(note.startswith("Bayesian estimate, ") and "half-normal(1)" in note for note in found.notes) == 1
    with pytest.raises(AgentsimError, match="no Bayesian estimate of pairs of runs"):
        agentsim.compare(study(scores), bayes=True, design="paired")


def test_without_the_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "emcee", None)
    with pytest.raises(AgentsimError, match=r"pip install 'agentsim-lab\[bayes\]'"):
        agentsim.bayes({"a": [1.0], "b": [2.0]})
