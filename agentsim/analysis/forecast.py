"""What a kernel predicts of societies, and how well it did: courses, thresholds and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from agentsim.analysis.kernel import Kernel, Kernels
from agentsim.analysis.statistics import clopper_pearson
from agentsim.core.rules import SocietyRules
from agentsim.core.vectorised.levels import play_levels

__all__ = ["Forecast", "Threshold", "forecast", "scored", "selections", "threshold"]

Floats = NDArray[np.float64]

REPLICATES: Final = 200
SOCIETIES: Final = 20
"""Societies of each replicate."""
COURSE: Final = {
    "rule": "string",
    "generation": "Int64",
    **dict.fromkeys(("mean", "mean_low", "mean_high", "low", "high", "half_low", "half_high"), "Float64"),
}
SCORES: Final = {
    "rule": "string",
    "n_runs": "Int64",
    "n_seen": "Int64",
    **dict.fromkeys(("crps", "crps_stay", "skill", "rmse"), "Float64"),
    **dict.fromkeys(("covered", "half_covered", "crps_last"), "Float64"),
    **{f"covered_last{end}": "Float64" for end in ("", "_low", "_high")},
}
VALUES: Final = {
    "value": "Float64",
    **dict.fromkeys(("mean", "low", "high"), "Float64"),
}


@dataclass(frozen=True, eq=False)
class Forecast:
    """The courses that a kernel predicts under some rules."""

    course: pd.DataFrame
    """One row for each rule and generation: `mean` level over societies, with the 95 % band of that mean that the
    kernel's sampling leaves (`mean_low`, `mean_high`), and where 95 % (`low`, `high`) and 50 % (`half_low`,
    `half_high`) of single societies should be."""
    drawn: Mapping[str, Floats] = field(repr=False)
    """By rule, the level of every society played, (societies, generations)."""


@dataclass(frozen=True, eq=False)
class Threshold:
    """How the level of the last generation depends on one setting."""

    setting: str
    at: float
    """The level that is crossed."""
    values: pd.DataFrame
    """One row for each value of the setting: mean level of the last generation and its 95 % band."""
    critical: float | None
    """The first value, between two that were played, at which the mean level crosses; `None`: it does not cross."""
    low: float | None
    high: float | None
    """The middle 95 % of the values at which replicates of the kernel cross."""
    share: float
    """The share of replicates that cross in the same direction."""


def selections(rules: SocietyRules) -> dict[str, SocietyRules]:
    """Return the rules under individual selection, group selection (where there are groups) and no selection."""
    found = {"individual": _with(rules, weight=0.0)}
    if rules.groups is not None:
        found["group"] = _with(rules, weight=1.0)
    without: dict[str, Any] = {"selection": rules.selection.neutral() or rules.selection}
    if getattr(rules.transmission, "chances", "equal") != "equal":
        without["transmission"] = rules.transmission.model_copy(update={"chances": "equal"})
    found["none"] = _with(rules, weight=0.0).model_copy(update=without)
    return found


def _with(rules: SocietyRules, *, weight: float) -> SocietyRules:
    groups = None if rules.groups is None else rules.groups.model_copy(update={"weight": weight})
    return rules.model_copy(update={"groups": groups})


def forecast(
    kernel: Kernel,
    rules: Mapping[str, SocietyRules],
    *,
    first: Mapping[str, Floats] | None = None,
    replicates: int = REPLICATES,
    societies: int = SOCIETIES,
    seed: int = 0,
) -> Forecast:
    """Play societies from bootstrap replicates of the kernel under each of the rules.

    Args:
        first: by rule, the levels from which those of first agents are drawn; by default the founders'.
        replicates: of the kernel.
        societies: of each replicate.

    Raises:
        ScenarioError: a rule is not among those that societies of levels play.
    """
    rows, drawn = [], {}
    for name, rule in rules.items():
        levels = _played(
            kernel, rule, (first or {}).get(name), replicates=replicates, societies=societies, seed=seed
        ).reshape(replicates, societies, -1)
        means = levels.mean(axis=1)
        single = drawn[name] = levels.reshape(replicates * societies, -1)
        for place in range(rule.generations):
            low, high = np.quantile(means[:, place], [0.025, 0.975])
            outer = np.quantile(single[:, place], [0.025, 0.975, 0.25, 0.75])
            row = (name, place + 1, means[:, place].mean(), low, high, *outer)
            rows.append(dict(zip(COURSE, row, strict=True)))
    return Forecast(pd.DataFrame(rows, columns=list(COURSE)).astype(COURSE), drawn)


def _played(
    kernel: Kernel, rules: SocietyRules, first: Floats | None, *, replicates: int, societies: int, seed: int
) -> Floats:
    """Return the levels of (replicates × societies, generations)."""
    rng = np.random.default_rng([seed, 1])
    kernels = kernel.resampled(replicates, rng)
    founders = kernels.founders if first is None else rng.choice(first, size=(replicates, len(first)))
    of_society = np.repeat(np.arange(replicates), societies)
    places = rng.integers(founders.shape[1], size=(len(of_society), rules.agents))
    return play_levels(
        rules,
        founders[of_society[:, None], places],
        born=_drawing(kernels, of_society, rng),
        rng=rng,
        seed=seed,
    ).level


def _drawing(kernels: Kernels, of_society: NDArray[np.intp], rng: np.random.Generator) -> Any:
    return lambda parents, society: kernels.draw(parents, of_society[society], rng)


def threshold(
    kernel: Kernel,
    rules: Sequence[SocietyRules],
    values: Sequence[float],
    *,
    setting: str,
    first: Floats | None = None,
    at: float = 0.5,
    replicates: int = 100,
    societies: int = 20,
    seed: int = 0,
) -> Threshold:
    """Find the value of a setting at which the level of the last generation crosses `at`.

    `rules` are those of `values`. Each replicate of the kernel is played at every value, and crosses where the line
    between the means of its societies at two neighbouring values does.
    """
    last = np.stack(
        [
            _played(kernel, rule, first, replicates=replicates, societies=societies, seed=seed)[:, -1]
            .reshape(replicates, societies)
            .mean(axis=1)
            for rule in rules
        ],
        axis=1,
    )
    mean = last.mean(axis=0)
    low, high = np.quantile(last, [0.025, 0.975], axis=0)
    frame = pd.DataFrame(dict(zip(VALUES, (list(values), mean, low, high), strict=True))).astype(VALUES)
    critical = _crossing(mean, values, at)
    rises = mean[-1] > mean[0]
    crossed = [_crossing(one, values, at) for one in last if (one[-1] > one[0]) == rises]
    found = [value for value in crossed if value is not None]
    share, bounds = len(found) / len(last), (None, None)
    if critical is not None and found:
        bounds = tuple(np.quantile(found, [0.025, 0.975]).tolist())
    return Threshold(setting, at, frame, critical, bounds[0], bounds[1], share)


def _crossing(levels: Floats, values: Sequence[float], at: float) -> float | None:
    for place in range(len(values) - 1):
        before, after = float(levels[place]) - at, float(levels[place + 1]) - at
        if before * after <= 0 and before != after:
            return float(values[place] + (values[place + 1] - values[place]) * before / (before - after))
    return None


def scored(found: Forecast, logged: Mapping[str, Floats], *, first_seen: bool) -> pd.DataFrame:
    """Return how well a forecast did in societies that it did not see: one row for each rule.

    Args:
        logged: by rule, the mean levels of the runs, (runs, generations); NaN where nothing is known.
        first_seen: whether the first generation's levels were what the forecast began with; it is then not scored.

    `crps` is the mean over runs and generations of the continuous ranked probability score (Gneiting & Raftery 2007,
    JASA 102), in levels; `crps_stay` that of a forecast in which each run stays at its own first level; `skill` is 1
    minus their ratio. `rmse` is that of the mean. `covered` and `half_covered` are the shares of values within the 95 %
    and the 50 % interval. Generations of a run are not independent; `crps_last` and `covered_last` are of the last
    generation alone, the latter with its exact 95 % interval (Clopper & Pearson 1934).
    """
    rows = []
    for name, levels in logged.items():
        course = found.course[found.course["rule"] == name]
        from_ = 1 if first_seen else 0
        seen = levels[:, from_:]
        is_known = np.isfinite(seen)
        if not is_known.any():
            continue
        crps = np.stack(
            [_crps(found.drawn[name][:, from_ + place], seen[:, place]) for place in range(seen.shape[1])], axis=1
        )
        bounds = {key: course[key].to_numpy(dtype=float)[from_:] for key in COURSE if key not in ("rule", "generation")}
        later = levels[:, 1:]
        stay = float(np.nanmean(np.abs(later - levels[:, :1]))) if np.isfinite(later).any() else np.nan
        of_later = float(np.nanmean(crps[:, 1 - from_ :]))
        row: dict[str, Any] = {
            "rule": name,
            "n_runs": len(levels),
            "n_seen": int(is_known.sum()),
            "crps": float(np.nanmean(crps)),
            "crps_stay": stay,
            "skill": 1 - of_later / stay if stay > 0 else None,
            "rmse": float(np.sqrt(np.nanmean((seen - bounds["mean"]) ** 2))),
            "crps_last": float(np.nanmean(crps[:, -1])),
        }
        for key, (low, high) in {"covered": ("low", "high"), "half_covered": ("half_low", "half_high")}.items():
            inside = np.where(is_known, (seen >= bounds[low]) & (seen <= bounds[high]), np.nan)
            row[key] = float(np.nanmean(inside))
            if key == "covered" and is_known[:, -1].any():
                of_last = inside[is_known[:, -1], -1]
                interval = clopper_pearson(int(of_last.sum()), len(of_last))
                row |= {
                    "covered_last": float(of_last.mean()),
                    "covered_last_low": interval.low,
                    "covered_last_high": interval.high,
                }
        rows.append(row)
    return pd.DataFrame(rows, columns=list(SCORES)).astype(SCORES)


def _crps(drawn: Floats, seen: Floats) -> Floats:
    """Return the score of each value against a sample: E|X - y| - E|X - X'| / 2, exactly for the sample's steps."""
    ordered = np.sort(drawn)
    n = len(ordered)
    spread = 2 * float(((2 * np.arange(1, n + 1) - n - 1) * ordered).sum()) / n**2
    return np.array([np.nan if np.isnan(one) else np.abs(ordered - one).mean() - spread / 2 for one in seen])
