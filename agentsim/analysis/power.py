"""How many runs are needed to tell two models apart, by simulation from a pilot's runs or from a stated spread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from agentsim.analysis.compare import ALPHA, Design
from agentsim.analysis.frames.players import one_player_each
from agentsim.analysis.frames.study import Study
from agentsim.analysis.groups import refuse_repeated_seeds
from agentsim.analysis.statistics import clopper_pearson, least_p, simulated_p
from agentsim.errors import AgentsimError

__all__ = ["Drawn", "Pilot", "Power", "Sequential", "drawn_from", "pilot_of", "pilot_of_scores", "power"]

Floats = npt.NDArray[np.float64]

TARGET: Final = 0.8
N_STUDIES: Final = 10_000
"""Simulated studies for each number of seeds: the standard error is 0.4 % at 80 %, which is less than one seed."""
N_STUDIES_ROUGH: Final = 1_000
"""Simulated studies at the ends of the spread's interval, where a rough answer suffices."""
N_STUDIES_LOOKED: Final = 4_000
"""Simulated group-sequential studies."""
N_RANDOM: Final = 1_999
"""The most arrangements of a simulated test; more would change the power by less than 0.5 %."""
MAX_SEEDS: Final = 400
MIN_RUNS: Final = 3
ERROR: Final = 0.006
"""Standard error of a power of 80 % over `N_STUDIES_LOOKED` studies."""
BOUNDARIES: Final = {2: 1.977, 3: 2.004}
"""The constant C of O'Brien & Fleming's (1979) two-sided boundary at 5 %, by the number of equally spaced looks: look k
of K stops at |z| >= C sqrt(K/k). Source: Jennison & Turnbull 2000, table 2.3."""


@dataclass(frozen=True)
class Pilot:
    """How much a pilot's runs differ, on the log scale."""

    residuals: Floats
    """Paired: deviations of the difference between two runs with the same seed from its mean. Unpaired: deviations of a
    run's log score from its group's mean. Both are multiplied by sqrt(n/(n - 1)) in each group, because means are
    estimated; so their mean square is the unbiased estimate of the variance."""
    freedom: int
    """Degrees of freedom of that estimate."""
    design: Design = "unpaired"
    calls: float | None = None
    """Replies of one run of each of two models together; None if the pilot was scripted."""
    cost_usd: float | None = None
    """US dollars of these; None if not known."""

    @property
    def spread(self) -> float:
        """Standard deviation of a run's log score; if paired, of the difference of two."""
        return float(np.sqrt(np.mean(self.residuals**2)))


@dataclass(frozen=True)
class Sequential:
    """A group-sequential study: it is analysed several times and may stop early."""

    levels: tuple[float, ...]
    """At each look the p below which the study stops; the error over all looks is 5 % without an effect."""
    looks: tuple[int, ...]
    """Seeds at each look."""
    expected: float
    """Seeds on average if the effect exists."""
    power: float


@dataclass(frozen=True, eq=False)
class Power:
    """How many seeds are needed to tell apart two models whose scores differ by a factor."""

    effect: float
    """The ratio of geometric means to be detected."""
    design: Design
    seeds: int | None
    """Fewest seeds with the wanted power (each model plays one run with each seed); None beyond 400."""
    fewest: int | None
    """The same if the spread is as small as the pilot allows (lower end of its 95 % interval); None beyond 400 or if
    the spread is stated."""
    most: int | None
    """The same if it is as large as the pilot allows."""
    sequential: tuple[Sequential, ...]
    """Group-sequential studies of the same power, with two and with three looks."""
    table: pd.DataFrame
    """One row for each number of seeds tried: `seeds`; `power`, with the exact interval `low` to `high` of the
    simulation; `calls` and `cost_usd` of all runs, missing if not known."""
    notes: tuple[str, ...]


def pilot_of(study: Study, *, by: str = "model", design: Design = "unpaired") -> Pilot:
    """Read a pilot's complete runs, in the groups that `compare` would make.

    Unpaired, every group of at least two runs counts; paired, every pair of groups that share at least three seeds.

    Raises:
        AgentsimError: no group has three complete runs or no pair three shared seeds; no such column, a seed twice in a
            group, or a score of 0.
    """
    if by not in study.runs:
        raise AgentsimError(f"{study.name}: runs have no column {by!r}; use model, condition or a setting that varies")
    runs = study.runs[study.runs["status"] == "complete"].dropna(subset=[by, "mean_final_resources"])
    if (runs["mean_final_resources"] <= 0).any():
        raise AgentsimError(f"{study.name}: a run ended at 0 units, which has no logarithm; state the spread instead")
    names, _ = one_player_each(runs, runs[by], study.started)
    runs = runs.assign(group=names, score=np.log(runs["mean_final_resources"].astype(float)))
    for name, group_runs in runs.groupby("group", sort=True):
        refuse_repeated_seeds(str(name), group_runs)
    table = runs.pivot_table(index="seed", columns="group", values="score")
    if design == "paired":
        columns = list(table.columns)
        differences = [(table[a] - table[b]).dropna() for i, a in enumerate(columns) for b in columns[i + 1 :]]
        groups = [pair.to_numpy(dtype=float) for pair in differences if len(pair) >= MIN_RUNS]
        freedom = min((len(pair) for pair in groups), default=0) - 1  # pairs of groups share runs
        needed = f"{MIN_RUNS} seeds that two groups share"
    else:
        groups = [column.dropna().to_numpy(dtype=float) for _, column in table.items()]
        groups = [group_runs for group_runs in groups if len(group_runs) > 1]
        freedom = sum(len(group_runs) - 1 for group_runs in groups)
        needed = f"{MIN_RUNS} complete runs of one {by}"
    if not any(len(group_runs) >= MIN_RUNS for group_runs in groups):
        raise AgentsimError(f"{study.name}: a pilot needs at least {needed}; play more seeds, or state the spread")
    residuals = np.concatenate([_widened(group_runs) for group_runs in groups])
    return Pilot(residuals, freedom, design, **_costs(runs))


def pilot_of_scores(*groups: Sequence[float] | Floats) -> Pilot:
    """Return a pilot from known scores: for each group the scores (units, above 0) of its runs."""
    logs = [np.log(np.asarray(scores, dtype=float)) for scores in groups]
    return Pilot(np.concatenate([_widened(scores) for scores in logs]), sum(len(scores) - 1 for scores in logs))


def power(
    pilot: Pilot | float,
    *,
    effect: float,
    target: float = TARGET,
    design: Design = "unpaired",
    n_studies: int = N_STUDIES,
    seed: int = 0,
) -> Power:
    """Return how many seeds detect a ratio of geometric means with the wanted power at p < 0.05, by simulation.

    For each number of seeds, `n_studies` studies are drawn and tested as `compare` tests one pair of groups. Unpaired:
    two groups of log scores, which are log(effect) or 0 plus deviations drawn with replacement from the pilot, or from
    a normal distribution if only the spread is given; the permutation test. Paired: log(effect) plus deviations of
    differences; the sign-flip test. The fewest seeds are found by bisection, starting from the fewest that can reach
    p < 0.05.

    Args:
        pilot: the result of `pilot_of`, or the standard deviation of a run's log score (paired: of the difference of
            two).
        effect: ratio to be detected, above 0 and not 1.
        target: power wanted, above 0 and below 1.
        design: used with a stated spread; a pilot has its own design.

    Raises:
        AgentsimError: a number is out of range, or the pilot's runs do not vary.
    """
    if not 0 < target < 1:
        raise AgentsimError(f"power {target:g}: state a share above 0 and below 1, such as 0.8")
    drawn = drawn_from(pilot, effect=effect, design=design, seed=seed)
    stated = pilot if isinstance(pilot, Pilot) else None
    spread = stated.spread if stated else float(pilot)  # type: ignore[arg-type]  # no pilot: a number
    hits = cache(lambda n: int((drawn.p(n, n_studies) < ALPHA).sum()))
    n_seeds, tried = _fewest(drawn.least, lambda n: hits(n) >= target * n_studies)
    table = _table({n: hits(n) for n in tried}, n_studies, stated)
    ends = [_at_spread(drawn, factor, target) for factor in _spread_factors(stated)] if stated else [None, None]
    looked = [_sequential(drawn, n_looks, n_seeds, target) for n_looks in BOUNDARIES] if n_seeds else []
    return Power(
        effect=effect,
        design=drawn.design,
        seeds=n_seeds,
        fewest=ends[0],
        most=ends[1],
        sequential=tuple(one for one in looked if one),
        table=table,
        notes=tuple(_notes(stated, spread, drawn)),
    )


# --- simulated studies -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """Simulated studies of one effect and spread."""

    residuals: Floats | float
    """Deviations to draw from, or a standard deviation."""
    shift: float
    design: Design
    seed: int

    @property
    def least(self) -> int:
        """The fewest seeds whose least p is below ALPHA."""
        return next(n for n in range(1, MAX_SEEDS) if self.least_p(n) < ALPHA)

    def least_p(self, n: int) -> float:
        """Return the least p of n seeds in this design."""
        return least_p(n, None if self.design == "paired" else n)

    def scores(self, n: int, n_studies: int) -> tuple[Floats, Floats | None]:
        """Draw the scores of `n_studies` studies of n seeds: two groups, or differences and None."""
        rng = np.random.default_rng([self.seed, n])
        shape = (n_studies, n)

        def deviations() -> Floats:
            if isinstance(self.residuals, float):
                return rng.normal(0, self.residuals, shape)
            return rng.choice(self.residuals, shape)

        return self.shift + deviations(), None if self.design == "paired" else deviations()

    def p(self, n: int, n_studies: int) -> Floats:
        """Return the p of each of `n_studies` studies of n seeds."""
        return _p(*self.scores(n, n_studies))


def drawn_from(pilot: Pilot | float, *, effect: float, design: Design, seed: int) -> Drawn:
    """Return what draws studies of one effect, as a pilot or a stated spread says.

    Raises:
        AgentsimError: the effect is no ratio, or the pilot's runs do not vary.
    """
    if not (np.isfinite(effect) and effect > 0 and effect != 1):
        raise AgentsimError(f"effect {effect:g}: state a ratio above 0 other than 1, such as 2 for twice the resources")
    stated = pilot if isinstance(pilot, Pilot) else None
    spread = stated.spread if stated else float(pilot)  # type: ignore[arg-type]  # no pilot: a number
    if not (np.isfinite(spread) and spread > 0):
        raise AgentsimError("these runs do not vary, so any difference would be found; state a spread above 0")
    return Drawn(stated.residuals if stated else spread, np.log(effect), stated.design if stated else design, seed)


def _p(first: Floats, second: Floats | None) -> Floats:
    return simulated_p(first, second, n_arrangements=N_RANDOM)


def _fewest(least: int, is_enough: Callable[[int], bool]) -> tuple[int | None, list[int]]:
    """Return the fewest seeds that are enough, or None if `MAX_SEEDS` are not, and all numbers that were tried."""
    tried, low, high = [least], least - 1, least
    while not is_enough(high):
        if high >= MAX_SEEDS:
            return None, tried
        low, high = high, min(MAX_SEEDS, max(high + 1, round(high * 1.5)))
        tried.append(high)
    while high - low > 1:
        middle = (low + high) // 2
        tried.append(middle)
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high, sorted(tried)


def _at_spread(drawn: Drawn, factor: float, target: float) -> int | None:
    """Return roughly the fewest seeds if the spread were `factor` times as large."""
    wider = Drawn(drawn.residuals * factor, drawn.shift, drawn.design, drawn.seed)
    wanted = target * N_STUDIES_ROUGH
    return _fewest(wider.least, lambda n: int((wider.p(n, N_STUDIES_ROUGH) < ALPHA).sum()) >= wanted)[0]


def _sequential(drawn: Drawn, n_looks: int, fixed: int, target: float) -> Sequential | None:
    """Return the smallest group-sequential study of the wanted power.

    None if only the last look has enough seeds to reach its level, or if `MAX_SEEDS` do not suffice.

    Each look tests all runs so far. The power is simulated and may miss the wanted one by the simulation's error.
    """
    from scipy.special import ndtr

    levels = [2 * float(ndtr(-BOUNDARIES[n_looks] * np.sqrt(n_looks / look))) for look in range(1, n_looks + 1)]
    for most in range(max(fixed, n_looks), MAX_SEEDS + 1):
        looks = [round(most * look / n_looks) for look in range(1, n_looks + 1)]
        if not any(drawn.least_p(n) < level for n, level in zip(looks[:-1], levels[:-1], strict=True)):
            return None
        first, second = drawn.scores(most, N_STUDIES_LOOKED)
        is_open, n_used = np.ones(N_STUDIES_LOOKED, dtype=bool), np.full(N_STUDIES_LOOKED, float(most))
        for n, level in zip(looks, levels, strict=True):
            stops = is_open & (_p(first[:, :n], None if second is None else second[:, :n]) < level)
            n_used[stops], is_open = n, is_open & ~stops
        if (reached := float(1 - is_open.mean())) >= target - ERROR:
            return Sequential(tuple(levels), tuple(looks), float(n_used.mean()), reached)
    return None


def _table(hits: dict[int, int], n_studies: int, pilot: Pilot | None) -> pd.DataFrame:
    rows = []
    for n, count in sorted(hits.items()):
        interval = clopper_pearson(count, n_studies)
        row: dict[str, Any] = {"seeds": n, "power": count / n_studies, "low": interval.low, "high": interval.high}
        for name in ("calls", "cost_usd"):
            one = getattr(pilot, name) if pilot else None
            row[name] = None if one is None else n * one
        rows.append(row)
    columns = {"seeds": "Int64", "power": "Float64", "low": "Float64", "high": "Float64"}
    columns |= {"calls": "Float64", "cost_usd": "Float64"}
    return pd.DataFrame(rows, columns=list(columns)).astype(columns)


# --- pilots ----------------------------------------------------------------------------------------------------------


def _widened(values: Floats) -> Floats:
    return np.asarray((values - values.mean()) * np.sqrt(len(values) / (len(values) - 1)))


def _costs(runs: pd.DataFrame) -> dict[str, float | None]:
    """Return replies and dollars of one run of each of two groups, from the mean over groups."""
    means = runs.groupby("group")[["n_replies", "cost_usd"]].mean().astype(float)
    calls, money = float(means["n_replies"].mean() * 2), means["cost_usd"]
    is_priced = bool(money.notna().all()) and bool(runs["cost_usd"].notna().all())
    return {"calls": calls or None, "cost_usd": float(money.mean() * 2) if is_priced and calls else None}


def _spread_factors(pilot: Pilot) -> tuple[float, float]:
    """Return the ends of the 95 % interval of the spread as multiples of the pilot's, if log scores are normal."""
    from scipy.special import chdtri

    low, high = (float(np.sqrt(pilot.freedom / chdtri(pilot.freedom, q))) for q in (0.025, 0.975))
    return low, high


def _notes(pilot: Pilot | None, spread: float, drawn: Drawn) -> Iterator[str]:
    what = "two runs of one seed differ" if drawn.design == "paired" else "runs differ"
    measure = "the log ratio" if drawn.design == "paired" else "the log score"
    if pilot:
        low, high = (spread * factor for factor in _spread_factors(pilot))
        yield (
            f"The spread comes from {len(pilot.residuals)} {'pairs of runs' if drawn.design == 'paired' else 'runs'}:"
            f" {what} by a factor of {np.exp(spread):.3g} (one standard deviation of {measure}); given the pilot's"
            f" size, it may be {np.exp(low):.3g} to {np.exp(high):.3g} (95 %, if log scores are normal)."
        )
        yield "Scores are bimodal if only some societies take off: a small pilot may have seen only one mode."
    else:
        yield f"Scores are drawn as log-normal; {what} {np.exp(spread):.3g}-fold (one standard deviation of {measure})."
    is_paired = drawn.design == "paired"
    yield (
        f"{drawn.least} {'paired seeds' if is_paired else 'runs of each model'} are the fewest that can reach"
        f" p < {ALPHA:g} for one pair of models: the least p of that design is"
        f" {drawn.least_p(drawn.least):.3g}; with more pairs more are needed (Holm)."
    )
