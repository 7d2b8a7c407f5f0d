"""Response surfaces: mean fractions given in designed situations, and how they depend on what is shown.

A surface is the mean fraction given in each situation (*cell*). Situations have equal weight. Intervals are percentile
bootstraps over the repetitions within each cell and strategy (Efron 1979): they cover the model's randomness, but not
the effect of other wordings or situations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Floats", "Means", "Slopes", "Surface", "resampled", "slopes"]

Floats: TypeAlias = npt.NDArray[np.float64]
N_RESAMPLES: Final = 1_999


class Surface(NamedTuple):
    """Answers by situation: one element for each cell."""

    level: Floats
    """How good the recipient's record is, in [0, 1]; NaN if not shown."""
    partner: Floats
    """The partner's record, in [0, 1]; NaN if not shown."""
    resources: Floats
    answers: Sequence[Sequence[Floats]]
    """The fractions given in each cell by each strategy."""


class Means(NamedTuple):
    """Cells' means, the observed ones first and then those of resamples: (1 + resamples, cells)."""

    mean: Floats
    """NaN if a cell has no answer."""
    squares: Floats
    """Sum of squared deviations from the mean."""
    n: Floats
    """Number of answers: (cells,)."""
    is_repeated: npt.NDArray[np.bool_]
    """Whether every strategy that answered in a cell did so at least twice: (cells,)."""


def resampled(surface: Surface, *, seed: int = 0) -> Means:
    """Return the observed means of all cells, and those of bootstrap resamples within cells and strategies."""
    rng = np.random.default_rng(seed)
    rows, squares, counts, repeated = [], [], [], []
    for strategies in surface.answers:
        drawn = [fractions[_indices(len(fractions), rng)] for fractions in strategies if len(fractions)]
        repeated.append(all(fractions.shape[1] > 1 for fractions in drawn))
        if not drawn:
            rows.append(np.full(N_RESAMPLES + 1, np.nan))
            squares.append(np.zeros(N_RESAMPLES + 1))
            counts.append(0)
            continue
        values = np.concatenate(drawn, axis=1)
        rows.append(values.mean(axis=1))
        squares.append(((values - rows[-1][:, None]) ** 2).sum(axis=1))
        counts.append(values.shape[1])
    return Means(np.array(rows).T, np.array(squares).T, np.array(counts, dtype=float), np.array(repeated))


def _indices(n: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    drawn = rng.integers(0, n, size=(N_RESAMPLES, n))
    return np.vstack([np.arange(n)[None, :], drawn])


class Estimate(NamedTuple):
    """A number with its 95 % interval; no interval if any of its answers has no repetition."""

    value: float | None
    low: float | None
    high: float | None


NOTHING: Final = Estimate(None, None, None)


class Slopes(NamedTuple):
    """How giving depends on what the donor is shown, by least squares."""

    record: Estimate
    """d fraction / d recipient's record."""
    partner_if_kept: Estimate
    """d fraction / d partner's record, for a recipient with the worst record of the grid: below 0 if keeping from the
    bad is excused, as in standing."""
    partner_if_gave: Estimate
    """The same for one with the best record: above 0 if giving to the bad is blamed, as in stern judging."""
    resources: Estimate
    """d fraction / d log10 of resources."""


def slopes(surface: Surface, means: Means) -> Slopes:
    """Fit the mean fraction given on the recipient's record (x) and the partner's (p).

    `record`: fraction = a + b x, with an a for each p and amount of resources. `partner_*`: fraction = a + c p, with an
    a for each amount of resources, over the cells with the worst or the best x only, so that no shape in between is
    assumed.
    """
    known = ~np.isnan(means.mean[0])
    amounts = np.unique(surface.resources)
    blocks = (surface.resources[:, None] == amounts[None, :]).astype(float)
    constant = np.ones((len(surface.resources), 1))
    resources = _slope(np.log10(surface.resources), constant, means, known) if len(amounts) > 1 else NOTHING
    shown = known & ~np.isnan(surface.level)
    if not shown.any():
        return Slopes(NOTHING, NOTHING, NOTHING, resources)
    partner = np.nan_to_num(surface.partner, nan=-1)
    partners = (partner[:, None] == np.unique(partner)[None, :]).astype(float)
    block_partners = (blocks[:, :, None] * partners[:, None, :]).reshape(len(partner), -1)
    record = _slope(np.nan_to_num(surface.level), block_partners, means, shown)
    both = shown & ~np.isnan(surface.partner)
    if not both.any():
        return Slopes(record, NOTHING, NOTHING, resources)
    worst, best = surface.level[both].min(), surface.level[both].max()
    kept, gave = (_slope(partner, blocks, means, both & (surface.level == end)) for end in (worst, best))
    return Slopes(record, kept, gave, resources)


def _slope(x: Floats, blocks: Floats, means: Means, used: npt.NDArray[np.bool_]) -> Estimate:
    """Return the slope on x with a constant for each block; `NOTHING` if the answers do not determine it."""
    rows = np.column_stack([blocks, x])[used]
    rows = rows[:, [*np.flatnonzero(blocks[used].any(axis=0)), -1]]
    if np.linalg.matrix_rank(rows) < rows.shape[1]:
        return NOTHING
    values = means.mean[:, used] @ np.linalg.pinv(rows)[-1]
    return _estimate(values, is_repeated=bool(means.is_repeated[used].all()))


def _estimate(values: Floats, *, is_repeated: bool) -> Estimate:
    if not is_repeated:
        return Estimate(float(values[0]), None, None)
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return Estimate(float(values[0]), float(low), float(high))
