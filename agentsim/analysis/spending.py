"""Looking at a study before its end: how much of the 5 % each look may spend, and p values that allow for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from math import comb, e, log, sqrt
from typing import Final, Literal

import numpy as np

from agentsim.analysis.statistics import ALPHA, MAX_EXACT, N_RESAMPLES, RANDOM_SEED, least_p
from agentsim.errors import AgentsimError

__all__ = ["SPENDINGS", "Spending", "boundaries", "crossing", "levels", "looked_p", "spent"]

Spending = Literal["obrien-fleming", "pocock"]
SPENDINGS: Final = ("obrien-fleming", "pocock")
N_NODES: Final = 160
"""Nodes of the Gauss-Legendre quadrature between two boundaries; 320 change no boundary in its sixth digit."""
MAX_LEVEL: Final = 0.5
"""The highest overall level for which boundaries are computed; p values above it count as 1."""
MAX_Z: Final = 12.0
"""No boundary is looked for above this."""
N_HALVINGS: Final = 40
N_NULL: Final = 100_000
"""Simulated studies without an effect, by which boundaries are held to few runs; .05 has a standard error of .0007."""
MIN_NULL: Final = 400
"""Fewer of them below a level do not say how much it errs; then it errs by the factor of the least level that does."""
N_LEVELS: Final = 25
"""Overall levels at which boundaries are held to few runs; between them is interpolated."""


def spent(fraction: float, *, spending: Spending = "obrien-fleming", alpha: float = ALPHA) -> float:
    """Return how much of a two-sided `alpha` may be spent until this fraction (0 to 1) of all runs (Lan & DeMets 1983).

    Each side spends half: 2 - 2 Φ(z(1 - α/4)/√t) like O'Brien & Fleming's (1979) boundaries, (α/2) ln(1 + (e - 1) t)
    like Pocock's (1977).
    """
    from scipy.special import ndtr, ndtri

    if spending == "pocock":
        return alpha * log(1 + (e - 1) * fraction)
    return 4 * float(ndtr(-ndtri(1 - alpha / 4) / sqrt(fraction)))


@lru_cache(maxsize=4096)
def boundaries(
    fractions: tuple[float, ...], *, spending: Spending = "obrien-fleming", alpha: float = ALPHA
) -> tuple[float, ...]:
    """Return the |z| from which each look stops, so that all looks together err in a share of `alpha`.

    Looks are at these fractions of the runs, in rising order, the last at 1. The score z√t has independent normal
    increments; its density between the boundaries is integrated look by look (Armitage, McPherson & Rowe 1969).

    Raises:
        AgentsimError: the fractions do not rise from above 0 to 1.
    """
    if not fractions or fractions[-1] != 1 or any(b <= a for a, b in pairwise((0.0, *fractions))):
        raise AgentsimError(f"looks at {fractions}: state fractions of the runs that rise from above 0 to 1")
    found: list[float] = []
    for place, fraction in enumerate(fractions):
        before = 0.0 if place == 0 else spent(fractions[place - 1], spending=spending, alpha=alpha)
        wanted = spent(fraction, spending=spending, alpha=alpha) - before
        low, high = 0.0, MAX_Z
        inside = _inside(fractions[:place], tuple(found))
        width = fraction - (fractions[place - 1] if place else 0.0)
        for _ in range(N_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if _beyond(inside, middle * sqrt(fraction), width) > wanted else (low, middle)
        found.append(high)
    return tuple(found)


def crossing(fractions: Sequence[float], limits: Sequence[float]) -> float:
    """Return how probable it is, without any effect, that |z| reaches its limit at one look or more."""
    total, last = 0.0, 0.0
    for place, (fraction, limit) in enumerate(zip(fractions, limits, strict=True)):
        inside = _inside(tuple(fractions[:place]), tuple(limits[:place]))
        total += _beyond(inside, limit * sqrt(fraction), fraction - last)
        last = fraction
    return total


def levels(
    looks: Sequence[int], *, spending: Spending = "obrien-fleming", alpha: float = ALPHA, is_paired: bool = False
) -> tuple[float, ...]:
    """Return at each look, at these numbers of runs of a group (or of pairs), the p below which it stops.

    The boundaries are those of normal statistics for an overall level at or below `alpha`, at which looks at so few
    runs err in `alpha` of all studies. The test of each look is exact, but looks at few runs agree less with each other
    than normal statistics do, because each estimates the spread anew (and, beyond 65,536 arrangements, draws its own),
    so that one of them errs more often. How often is simulated for normal values (`_errors`).
    """
    from scipy.special import ndtr

    fixed = tuple(looks)
    nominal, errors = _errors(fixed, spending, is_paired)
    held = float(np.exp(np.interp(log(alpha), np.log(errors), np.log(nominal))))
    limits = boundaries(tuple(n / fixed[-1] for n in fixed), spending=spending, alpha=min(alpha, held))
    return tuple(2 * float(ndtr(-limit)) for limit in limits)


@lru_cache(maxsize=64)
def _errors(looks: tuple[int, ...], spending: Spending, is_paired: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return overall levels of normal boundaries, and the share of studies without an effect that stops at each.

    Never less than the level itself: other values than normal ones may err more.
    """
    nominal = np.geomspace(1e-6, MAX_LEVEL, N_LEVELS)
    if len(looks) == 1:
        return nominal, nominal
    from scipy.special import ndtr

    fractions = tuple(n / looks[-1] for n in looks)
    limits = np.array([boundaries(fractions, spending=spending, alpha=float(alpha)) for alpha in nominal])
    p_limits = np.maximum(2 * ndtr(-limits), np.finfo(float).tiny)
    least = np.ones(N_NULL)
    for place, p in enumerate(_null_p(looks, is_paired)):
        own = np.interp(np.log(p), np.log(p_limits[:, place]), np.log(nominal), right=0.0)
        least = np.minimum(least, np.exp(own))
    counts = np.searchsorted(np.sort(least), nominal)
    factors = np.maximum(1.0, counts / N_NULL / nominal)
    known = int(np.argmax(counts >= MIN_NULL))
    factors[:known] = factors[known]
    return nominal, np.maximum.accumulate(nominal * factors + np.arange(N_LEVELS) * 1e-15)


def _null_p(looks: tuple[int, ...], is_paired: bool) -> Iterator[np.ndarray]:
    """Yield the p of each look of simulated studies: Student's, no less than the exact test can give, as drawn."""
    from scipy.special import stdtr

    rng = np.random.default_rng(RANDOM_SEED)
    n_groups = 1 if is_paired else 2
    total, squares, before = np.zeros((n_groups, N_NULL)), np.zeros((n_groups, N_NULL)), 0
    for n in looks:
        for _ in range(n - before):
            values = rng.normal(size=(n_groups, N_NULL))
            total, squares, before = total + values, squares + values**2, n
        freedom = n_groups * (n - 1)
        if freedom == 0:
            yield np.ones(N_NULL)
            continue
        spread = np.sqrt((squares - total**2 / n).sum(axis=0) / freedom * n_groups / n)
        p = 2 * stdtr(freedom, -np.abs(total[0] - (0 if is_paired else total[1])) / n / spread)
        if (2**n if is_paired else comb(2 * n, n)) > MAX_EXACT:
            p = (1 + rng.binomial(N_RESAMPLES, p)) / (N_RESAMPLES + 1)
        yield np.maximum(p, least_p(n, None if is_paired else n))


def looked_p(
    p: float, *, look: int, looks: Sequence[int], spending: Spending = "obrien-fleming", is_paired: bool = False
) -> float:
    """Return the p of a look, from 1, with all looks allowed for: the least overall level at which this look stops.

    Below 0.05 if and only if p is below the look's own level (Jennison & Turnbull 2000, section 9.2: repeated p
    values). So it can be corrected for several comparisons as any other p; 1 if it is above 0.5.
    """
    fixed = tuple(looks)

    def stops(alpha: float) -> bool:
        return p < levels(fixed, spending=spending, alpha=alpha, is_paired=is_paired)[look - 1]

    if not stops(MAX_LEVEL):
        return 1.0
    low, high = (0.0, ALPHA) if stops(ALPHA) else (ALPHA, MAX_LEVEL)
    for _ in range(N_HALVINGS // 2):
        middle = (low + high) / 2
        low, high = (low, middle) if stops(middle) else (middle, high)
    if low < ALPHA:
        return min(high, float(np.nextafter(ALPHA, 0)))
    return high


def _inside(fractions: tuple[float, ...], limits: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray] | None:
    """Return nodes of the score at the last of these looks, and the probability at each of having stopped at none."""
    density: tuple[np.ndarray, np.ndarray] | None = None
    last = 0.0
    unit, weights = _quadrature()
    for fraction, limit in zip(fractions, limits, strict=True):
        edge, width = limit * sqrt(fraction), fraction - last
        nodes = edge * unit
        if density is None:
            here = np.exp(-(nodes**2) / (2 * width))
        else:
            steps = nodes[:, None] - density[0][None, :]
            here = np.exp(-(steps**2) / (2 * width)) @ density[1]
        density = nodes, here / sqrt(2 * np.pi * width) * weights * edge
        last = fraction
    return density


def _beyond(inside: tuple[np.ndarray, np.ndarray] | None, edge: float, width: float) -> float:
    """Return the probability of a score beyond ± `edge` after a further increment of this variance."""
    from scipy.special import ndtr

    nodes, masses = (np.zeros(1), np.ones(1)) if inside is None else inside
    scale = sqrt(width)
    return float(masses @ (ndtr((nodes - edge) / scale) + ndtr((-nodes - edge) / scale)))


@lru_cache(maxsize=1)
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = np.polynomial.legendre.leggauss(N_NODES)
    return nodes, weights
