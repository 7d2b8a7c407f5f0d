"""Of what runs differ by: the variance of a crossed design, split among its factors, their interactions and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from agentsim.analysis.statistics import ALPHA, N_RESAMPLES, RANDOM_SEED, ROUNDING
from agentsim.analysis.words import counted, listed
from agentsim.errors import AgentsimError

__all__ = ["variance_split"]

Floats = npt.NDArray[np.float64]

SEED: Final = "seed"
REST: Final = "rest"
MAX_SEARCHED: Final = 300.0
"""Above it a noncentral chi-square is close to the square of a normal value, and the search for its centre is slow."""
COLUMNS: Final = {
    "source": "string",
    "n_levels": "Int64",
    "df": "Int64",
    "sum_of_squares": "Float64",
    "mean_square": "Float64",
    "variance": "Float64",
    "share": "Float64",
    "low": "Float64",
    "high": "Float64",
    "problem": "string",
}


def variance_split(
    runs: pd.DataFrame, factors: Sequence[str], *, outcome: str = "mean_final_resources", is_log: bool = True
) -> pd.DataFrame:
    """Return the shares of an outcome's variance over runs that factors, their interactions and seeds explain.

    The classical analysis of variance of a balanced, crossed design (Fisher 1925): each combination of the factors'
    levels is played once with each seed. The levels are those of interest (fixed effects: shares are of these prompt
    sets and models, not of all that there might be), and seeds are a sample (a random effect), which add the same to
    every cell. With N runs, SS and df of a source, and MSE, the mean square of the rest: a factor's or an interaction's
    variance is (SS - df MSE)/N, which estimates the mean square of its effects (Hays' omega squared); that of seeds
    (MSS - MSE)/cells; that of the rest MSE. Estimates below 0 count as 0. A share is a variance divided by their sum:
    the variance of a run with levels drawn at random from those of the design and a new seed.

    `low` to `high` is the share's generalised 95 % interval (Weerahandi 1993; Hannig, Iyer & Patterson 2006), for
    normal values: quantiles over 9,999 draws of MSE, the seeds' mean square and the noncentralities that the sums of
    squares allow (Steiger 2004); for the rest, with that of all factors and interactions together.
    `benchmarks/variance.py` shows how often it covers. It is missing if the rest does not vary.

    Args:
        runs: one row for each run, with `seed`, the columns of `factors` and the outcome.
        factors: columns that are crossed, such as prompts and model.
        outcome: the column to split.
        is_log: whether to split the variance of its natural logarithm.

    Columns: `source` (a factor, an interaction as `a × b`, `seed`, `rest`), `n_levels`, `df`, `sum_of_squares`,
    `mean_square`, `variance`, `share`, `low`, `high`, `problem`.

    Raises:
        AgentsimError: there is no such column, the design is not crossed or not balanced, there is only one seed, the
            outcome is missing or has no logarithm, or it is the same in all runs. The sentence says what is missing.
    """
    values = _crossed(runs, list(factors), outcome, is_log=is_log)
    parts = _parts(values, list(factors))
    rest, seed = parts[REST], parts[SEED]
    n, n_cells = values.size, values.size // values.shape[-1]
    spread = float(((values - values.mean()) ** 2).sum())
    if spread <= n * (ROUNDING * np.abs(values).max()) ** 2:
        raise AgentsimError(f"{outcome} is the same in all runs, so there is no variance to split")
    of_factors = [part for name, part in parts.items() if name not in (SEED, REST)]
    error = rest.squares / rest.df
    variances = [max(0.0, (part.squares - part.df * error) / n) for part in of_factors]
    variances += [max(0.0, (seed.squares / seed.df - error) / n_cells), error]
    total = sum(variances)
    problem = None
    if rest.squares <= ROUNDING * spread:
        problem = "no interval: runs do not differ but by the factors and seeds"
        ends: list[tuple[float | None, float | None]] = [(None, None)] * len(variances)
    else:
        ends = _intervals(of_factors, seed, rest, n=n, n_cells=n_cells)
    sizes = dict(zip(factors, values.shape, strict=False)) | {SEED: values.shape[-1]}
    rows = [
        {
            "source": name,
            "n_levels": sizes.get(name),
            "df": part.df,
            "sum_of_squares": part.squares,
            "mean_square": part.squares / part.df,
            "variance": variance,
            "share": variance / total,
            "low": low,
            "high": high,
            "problem": problem,
        }
        for (name, part), variance, (low, high) in zip(parts.items(), variances, ends, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


class _Part(NamedTuple):
    df: int
    squares: float
    """The sum of squares."""


def _crossed(runs: pd.DataFrame, factors: list[str], outcome: str, *, is_log: bool) -> Floats:
    """Return the outcomes, an axis for each factor and the last one for seeds; or say why they fill no such table."""
    axes = [*factors, SEED]
    if lacking := [column for column in (*axes, outcome) if column not in runs]:
        raise AgentsimError(f"no split of variance: runs have no column {listed(lacking)}")
    if not factors or len(set(axes)) < len(axes):
        raise AgentsimError("no split of variance: name the factors that are crossed, each once, and not seed")
    levels = {axis: sorted(runs[axis].dropna().unique()) for axis in axes}
    for factor in factors:
        if len(levels[factor]) < 2:
            raise AgentsimError(f"no split of variance: {factor} has a single level; vary it")
    if len(levels[SEED]) < 2:
        raise AgentsimError("no split of variance: there is a single seed; play at least two, the same for every cell")
    table = runs.dropna(subset=axes).groupby(axes, sort=True)[outcome].agg(["size", "first"])
    if (twice := table.index[table["size"] > 1]).size:
        raise AgentsimError(f"no split of variance: more than one run of {_cell(axes, twice[0])}")
    whole = table["first"].reindex(pd.MultiIndex.from_product(list(levels.values()), names=axes))
    if (absent := whole.index[whole.isna()]).size:
        raise AgentsimError(
            f"no split of variance: the design is not complete, {counted(len(absent), 'run')} missing, such as"
            f" {_cell(axes, absent[0])}; play every combination of {', '.join(factors)} with every seed"
        )
    values = whole.to_numpy(dtype=float)
    if is_log and (n_low := int((values <= 0).sum())):
        raise AgentsimError(f"no split of variance: {counted(n_low, 'run')} ended at 0 units or less: no logarithm")
    shape = [len(of_axis) for of_axis in levels.values()]
    return np.asarray(np.log(values) if is_log else values).reshape(shape)


def _cell(axes: Sequence[str], key: Sequence[Any]) -> str:
    return ", ".join(f"{axis} {value}" for axis, value in zip(axes, key, strict=True))


def _parts(values: Floats, factors: list[str]) -> Mapping[str, _Part]:
    """Return the parts of the sum of squares: factors, interactions, seeds, and what is left."""
    axes = range(values.ndim)
    effects: dict[tuple[int, ...], Floats] = {(): values.mean(keepdims=True)}
    parts: dict[str, _Part] = {}

    def add(name: str, kept: tuple[int, ...]) -> None:
        means = values.mean(axis=tuple(axis for axis in axes if axis not in kept), keepdims=True)
        lower = [effect for inner, effect in effects.items() if set(inner) < set(kept)]
        effects[kept] = means - sum(lower)
        repeated = values.size // effects[kept].size
        df = int(np.prod([values.shape[axis] - 1 for axis in kept]))
        parts[name] = _Part(df, repeated * float((effects[kept] ** 2).sum()))

    for size in range(1, len(factors) + 1):
        for kept in combinations(range(len(factors)), size):
            add(" × ".join(factors[axis] for axis in kept), kept)
    add(SEED, (len(factors),))
    rest = values - sum(effects.values())
    df = values.size - 1 - sum(part.df for part in parts.values())
    return parts | {REST: _Part(df, float((rest**2).sum()))}


def _intervals(
    of_factors: Sequence[_Part], seed: _Part, rest: _Part, *, n: int, n_cells: int
) -> list[tuple[float | None, float | None]]:
    """Return the ends of the intervals of all shares, in the order of the parts."""
    rng = np.random.default_rng(RANDOM_SEED)
    error = rest.squares / rng.chisquare(rest.df, N_RESAMPLES)

    def effects(part: _Part) -> Floats:
        return _noncentrality(part.squares / error, part.df, rng.random(N_RESAMPLES)) * error / n

    drawn = [effects(part) for part in of_factors]
    seeds = np.maximum(0, (seed.squares / rng.chisquare(seed.df, N_RESAMPLES) - error) / n_cells)
    shares = np.array([*drawn, seeds]) / (np.sum(drawn, axis=0) + seeds + error)
    together = effects(_Part(sum(part.df for part in of_factors), sum(part.squares for part in of_factors)))
    shares = np.vstack([shares, error / (together + seeds + error)])
    lows, highs = np.quantile(shares, [ALPHA / 2, 1 - ALPHA / 2], axis=1)
    return [(float(low), float(high)) for low, high in zip(lows, highs, strict=True)]


def _noncentrality(found: Floats, df: int, chance: Floats) -> Floats:
    """Return the noncentrality at which a chi-square of `df` is at most `found` with the probability `chance`.

    0 if even that of no effect is at most `found` with a smaller probability.
    """
    from scipy.special import chndtrinc, gammainc, ndtri

    searched = (found <= MAX_SEARCHED) & (chance < gammainc(df / 2, found / 2))
    near = found > MAX_SEARCHED
    centre = np.zeros_like(found)
    centre[searched] = chndtrinc(found[searched], df, chance[searched])
    centre[near] = np.maximum(0, np.sqrt(found[near] - df + 1) - ndtri(chance[near])) ** 2
    return centre
