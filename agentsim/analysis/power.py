"""How many seeds tell two models apart: by simulation from the runs of a pilot, or from a stated spread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from agentsim.analysis.compare import ALPHA, refuse_repeated_seeds
from agentsim.analysis.frames import Study
from agentsim.analysis.statistics import clopper_pearson, least_p, permutation_tests
from agentsim.errors import AgentsimError

__all__ = ["Pilot", "Power", "pilot_of", "power"]

Floats = npt.NDArray[np.float64]

TARGET: Final = 0.8
N_STUDIES: Final = 2_000
"""Studies simulated for each number of seeds."""
MAX_SEEDS: Final = 400
MIN_RUNS: Final = 3


@dataclass(frozen=True)
class Pilot:
    """What a pilot says of the difference of two runs at one seed, on the log scale."""

    residuals: Floats
    """Deviations of the difference from its mean: of pairs of runs at one seed, or of any two runs of one model."""
    n: int
    """Pairs or runs they come from."""
    is_paired: bool
    calls: float | None = None
    """Replies of one run of each of two models, together; None where the pilot was scripted."""
    cost_usd: float | None = None
    """US dollars of these; None where not known."""

    @property
    def spread(self) -> float:
        """Standard deviation of the difference of log scores."""
        return float(np.sqrt(np.mean(self.residuals**2)))


@dataclass(frozen=True, eq=False)
class Power:
    """How many seeds tell two models apart whose scores differ by a factor."""

    effect: float
    """The ratio of geometric means that is to be found."""
    seeds: int | None
    """Fewest seeds (a run of each model at each) with the wanted power; None beyond 400."""
    table: pd.DataFrame
    """One row a number of seeds that was tried: `seeds`; `power`, with the exact interval `low` to `high` of the
    simulation; `calls` and `cost_usd` of all runs, missing where not known."""
    notes: tuple[str, ...]


def pilot_of(study: Study, *, by: str = "model") -> Pilot:
    """Read a pilot's runs.

    With at least three seeds that two groups share, the deviations of their differences; else those of any two runs of
    one group, which supposes that a shared seed helps nothing. Widened by sqrt(n/(n - 1)), since the mean is estimated.

    Raises:
        AgentsimError: fewer than three complete runs of any group, no such column, a seed twice in a group, or a score
            of 0.
    """
    if by not in study.runs:
        raise AgentsimError(f"{study.name}: runs have no column {by!r}; model, condition or a setting that varies")
    runs = study.runs[study.runs["status"] == "complete"].dropna(subset=[by, "mean_final_resources"])
    if (runs["mean_final_resources"] <= 0).any():
        raise AgentsimError(f"{study.name}: a run ended at 0 units, which has no logarithm; state the spread instead")
    for name, own in runs.groupby(by, sort=True):
        refuse_repeated_seeds(str(name), own)
    table = runs.assign(score=np.log(runs["mean_final_resources"].astype(float))).pivot_table(
        index="seed", columns=by, values="score"
    )
    singles = {name: column.dropna().to_numpy(dtype=float) for name, column in table.items()}
    pairs = [
        (table[a] - table[b]).dropna().to_numpy(dtype=float)
        for place, a in enumerate(table.columns)
        for b in table.columns[place + 1 :]
    ]
    known = [pair for pair in pairs if len(pair) >= MIN_RUNS]
    of_runs = [own for own in singles.values() if len(own) >= MIN_RUNS]
    costs = _costs(runs, by)
    if known:
        deviations = np.concatenate([_widened(pair) for pair in known])
        return Pilot(deviations, n=min(len(pair) for pair in known), is_paired=True, **costs)
    if not of_runs:
        raise AgentsimError(
            f"{study.name}: a pilot needs {MIN_RUNS} complete runs of one {by} at least, or {MIN_RUNS} seeds that two"
            " of them share; play more seeds, or state the spread"
        )
    deviations = np.concatenate([_widened(own) for own in of_runs])
    differences = (deviations[:, None] - deviations[None, :])[~np.eye(len(deviations), dtype=bool)]
    return Pilot(differences, n=sum(len(own) for own in of_runs), is_paired=False, **costs)


def power(
    pilot: Pilot | float, *, effect: float, target: float = TARGET, n_studies: int = N_STUDIES, seed: int = 0
) -> Power:
    """Return how many seeds find a ratio of geometric means with the wanted power at p < 0.05, by simulation.

    For each number of seeds, `n_studies` studies are drawn: log(effect) plus deviations drawn with replacement from the
    pilot, or from a normal distribution where only the spread is given; each is tested by the sign-flip test, as
    `compare` does. Numbers of seeds are tried upwards from 6, the fewest that can reach p < 0.05.

    Args:
        pilot: what `pilot_of` read, or the standard deviation of the difference of two runs' log scores.
        effect: ratio to be found, above 0 and not 1.
        target: power wanted, above 0 and below 1.

    Raises:
        AgentsimError: a number is out of range, or the pilot's runs do not vary.
    """
    if not (np.isfinite(effect) and effect > 0 and effect != 1):
        raise AgentsimError(f"effect {effect:g}: a ratio above 0 other than 1, as 2 for twice the resources")
    if not 0 < target < 1:
        raise AgentsimError(f"power {target:g}: a share above 0 and below 1, as 0.8")
    spread = pilot.spread if isinstance(pilot, Pilot) else float(pilot)
    if not (np.isfinite(spread) and spread > 0):
        raise AgentsimError("these runs do not vary, so that any difference would be found; state a spread above 0")
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    found = None
    for n in _numbers():
        shape = (n_studies, n)
        drawn = rng.choice(pilot.residuals, shape) if isinstance(pilot, Pilot) else rng.normal(0, spread, shape)
        hits = int((permutation_tests(drawn + np.log(effect), seed=seed).p < ALPHA).sum())
        interval = clopper_pearson(hits, n_studies)
        row: dict[str, Any] = {"seeds": n, "power": hits / n_studies, "low": interval.low, "high": interval.high}
        if isinstance(pilot, Pilot):
            row |= {name: None if (one := getattr(pilot, name)) is None else n * one for name in ("calls", "cost_usd")}
        rows.append(row)
        if row["power"] >= target:
            found = n
            break
    columns = {"seeds": "Int64", "power": "Float64", "low": "Float64", "high": "Float64"}
    columns |= {"calls": "Float64", "cost_usd": "Float64"}
    table = pd.DataFrame(rows, columns=list(columns)).astype(columns)
    return Power(effect, found, table, tuple(_notes(pilot, spread, found)))


def _numbers() -> Iterator[int]:
    n = next(n for n in range(1, MAX_SEEDS) if least_p(n) < ALPHA)
    while n <= MAX_SEEDS:
        yield n
        n = max(n + 1, round(n * 1.1))


def _widened(values: Floats) -> Floats:
    return np.asarray((values - values.mean()) * np.sqrt(len(values) / (len(values) - 1)))


def _costs(runs: pd.DataFrame, by: str) -> dict[str, float | None]:
    """Return replies and dollars of one run of each of two groups, at the mean over groups."""
    means = runs.groupby(by)[["n_replies", "cost_usd"]].mean().astype(float)
    calls, money = float(means["n_replies"].mean() * 2), means["cost_usd"]
    is_priced = bool(money.notna().all()) and bool(runs["cost_usd"].notna().all())
    return {"calls": calls or None, "cost_usd": float(money.mean() * 2) if is_priced and calls else None}


def _notes(pilot: Pilot | float, spread: float, found: int | None) -> Iterator[str]:
    if isinstance(pilot, Pilot):
        from scipy.stats import chi2

        freedom = pilot.n - 1
        low, high = (spread * float(np.sqrt(freedom / chi2.ppf(q, freedom))) for q in (0.975, 0.025))
        what = f"{pilot.n} pairs of runs at one seed" if pilot.is_paired else f"{pilot.n} runs"
        yield (
            f"The spread comes from {what}: runs differ by a factor of {np.exp(spread):.3g} (one standard deviation of"
            f" the log ratio); by the pilot's size it may be {np.exp(low):.3g} to {np.exp(high):.3g} (95 %, were logs"
            " normal)."
        )
        if not pilot.is_paired:
            yield "No three seeds are shared by two groups, so that pairing by seed is taken to gain nothing."
        yield "Societies that take off, and others, make two heaps of scores: a small pilot may have seen but one."
    else:
        yield f"Scores are drawn as log-normal; runs differ {np.exp(spread):.3g}-fold (one standard deviation)."
    yield "Six paired seeds are the fewest that can reach p < 0.05 for one pair of models; more pairs need more (Holm)."
    if found is None:
        yield f"{MAX_SEEDS} seeds do not reach the wanted power."
