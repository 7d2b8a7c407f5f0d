"""Kernels, what they predict, and how predictions are scored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agentsim.analysis.forecast import forecast, scored, selections, threshold
from agentsim.analysis.kernel import Kernel
from agentsim.core.rules import SocietyRules
from agentsim.core.vectorised.levels import play_levels

Floats = NDArray[np.float64]
LEVELS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
GROUPED: dict[str, Any] = {
    "agents": 16,
    "generations": 10,
    "game": {"rounds": 6, "games": 1},
    "observation": {"kind": "none"},
    "transmission": {"kind": "one_parent"},
    "groups": {"number": 4},
}
RULES = SocietyRules.model_validate(GROUPED)


def born_near(mean: Callable[[Floats], Floats], rng: np.random.Generator, sd: float = 0.15) -> Any:
    return lambda parents, societies=None: np.clip(rng.normal(mean(parents), sd), 0, 1)


def measured(mean: Callable[[Floats], Floats], *, n: int, seed: int, sd: float = 0.15) -> Kernel:
    rng = np.random.default_rng(seed)
    children = born_near(mean, rng, sd)
    return Kernel(LEVELS, tuple(children(np.full(n, level)) for level in LEVELS), rng.beta(6, 3, size=20))


def faithful(parents: Floats) -> Floats:
    return 0.02 + 0.92 * parents


def test_between_two_levels_quantiles_are_interpolated_and_beyond_them_kept() -> None:
    kernel = Kernel(np.array([0.2, 0.6]), (np.array([0.1, 0.3]), np.array([0.5, 0.7])), np.array([0.5]))
    drawn = kernel.measured().draw(
        np.repeat([0.0, 0.2, 0.4, 0.5, 0.9], 400), np.zeros(2000, int), np.random.default_rng(1)
    )
    for values, expected in zip(
        drawn.reshape(5, -1), ((0.1, 0.3), (0.1, 0.3), (0.3, 0.5), (0.4, 0.6), (0.5, 0.7)), strict=True
    ):
        assert np.unique(values.round(9)).tolist() == pytest.approx(expected)
        assert values.mean() == pytest.approx(np.mean(expected), abs=0.03)


def test_families_of_one_level_are_resampled_as_wholes() -> None:
    kernel = Kernel(np.array([0.51, 0.52]), (np.full(9, 0.2), np.full(9, 0.8)), np.array([0.5]))
    means = kernel.resampled(400, np.random.default_rng(0)).quantiles.mean(axis=(1, 2))
    assert sorted(set(means.round(9).tolist())) == pytest.approx([0.2, 0.5, 0.8])


def test_a_planted_collapse_and_a_planted_stability_are_foretold_and_seen() -> None:
    kernel, rng = measured(faithful, n=60, seed=3), np.random.default_rng(4)
    rules = selections(RULES)
    assert list(rules) == ["individual", "group", "none"]
    course = forecast(kernel, rules, replicates=40, societies=10).course.set_index(["rule", "generation"])
    played = {
        name: play_levels(rule, rng.beta(6, 3, size=(200, 16)), born=born_near(faithful, rng), rng=rng).level[:, -1]
        for name, rule in rules.items()
    }
    assert played["individual"].mean() < 0.35 < 0.75 < played["group"].mean()
    for name, last in played.items():
        row: Any = course.loc[name, 10]
        assert row["mean_low"] <= last.mean() <= row["mean_high"]
        assert np.mean((last >= row["low"]) & (last <= row["high"])) > 0.85
    apart: Any = [course.loc[name, 10] for name in ("individual", "group")]
    assert apart[0]["mean_high"] < apart[1]["mean_low"]


def test_forecasts_cover_what_societies_do_about_as_often_as_they_say() -> None:
    inside = []
    for seed in range(25):
        rng = np.random.default_rng(1000 + seed)
        row = forecast(
            measured(faithful, n=15, seed=seed), {"played": RULES}, replicates=25, societies=8, seed=seed
        ).course.iloc[-1]
        last = play_levels(
            RULES, rng.beta(6, 3, size=(20, 16)), born=born_near(faithful, rng), rng=rng, seed=seed
        ).level[:, -1]
        inside.append(
            [
                np.mean((last >= row[low]) & (last <= row[high]))
                for low, high in (("low", "high"), ("half_low", "half_high"))
            ]
        )
    outer, half = np.mean(inside, axis=0)
    assert 0.88 < outer < 0.995 and 0.35 < half < 0.65


def test_a_threshold_lies_where_the_level_crosses_with_its_band() -> None:
    weights = (0.0, 0.25, 0.5, 0.75, 1.0)
    rules = [SocietyRules.model_validate({**GROUPED, "groups": {"number": 4, "weight": weight}}) for weight in weights]
    found = threshold(
        measured(faithful, n=40, seed=1), rules, weights, setting="groups.weight", replicates=30, societies=10
    )
    assert found.critical is not None and found.low is not None and found.high is not None
    assert 0 < found.low < found.critical < found.high < 1 and found.share > 0.9
    never = threshold(
        measured(lambda x: 0.9 + 0 * x, n=20, seed=1), rules, weights, setting="x", replicates=10, societies=5
    )
    assert never.critical is None and never.values["mean"].min() > 0.8


def test_scores_are_the_closed_forms() -> None:
    kernel = measured(faithful, n=15, seed=0)
    found = forecast(kernel, {"a": RULES}, replicates=10, societies=10)
    drawn, logged = found.drawn["a"], np.vstack([np.full(10, 0.5), np.linspace(0.7, 0.4, 10)])
    logged[0, 9] = np.nan
    [row] = scored(found, {"a": logged}, first_seen=False).to_dict("records")

    def crps(sample: Floats, seen: float) -> float:  # the square between both distribution functions
        grid = np.linspace(-0.5, 1.5, 40001)
        steps = np.searchsorted(np.sort(sample), grid, side="right") / len(sample)
        return float(((steps - (grid >= seen)) ** 2).sum() * (grid[1] - grid[0]))

    every = [crps(drawn[:, g], logged[r, g]) for r in range(2) for g in range(10) if np.isfinite(logged[r, g])]
    assert row["crps"] == pytest.approx(np.mean(every), abs=2e-4)
    assert row["n_runs"] == 2 and row["n_seen"] == 19
    assert row["crps_stay"] == pytest.approx(np.nanmean(np.abs(logged[:, 1:] - logged[:, :1])))
    mean = found.course["mean"].to_numpy(dtype=float)
    assert row["rmse"] == pytest.approx(np.sqrt(np.nanmean((logged - mean) ** 2)))
    [later] = scored(found, {"a": logged}, first_seen=True).to_dict("records")
    assert later["n_seen"] == 17
