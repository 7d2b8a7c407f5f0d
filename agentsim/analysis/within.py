"""Testing players that share societies by permuting labels within each society. Plain arrays in, plain values out.

Under the null hypothesis two players play alike, so a society would have developed the same whatever its agents'
labels. In the first generation labels are assigned to places, and pairings are random, so every assignment of labels to
founders is equally likely. Later agents have the label of one founder, by the rule of transmission: that of the place
they fill, of a parent, or of a founder drawn at random. So whole lineages change their label together. The test is
exact for any number of agents (Fisher 1935; stratified by society: Lehmann 1975, "Nonparametrics", section 3.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from math import ceil, comb, prod
from typing import Any, Final, NamedTuple, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from agentsim.analysis.statistics import ALPHA, RANDOM_SEED, Interval
from agentsim.core.facts import born_and_index
from agentsim.core.rng import uniform

__all__ = ["LabelTest", "Lineages", "ManyLineages", "founders_of", "label_test"]

Floats: TypeAlias = npt.NDArray[np.float64]

MAX_EXACT: Final = 2**16
"""The test uses all arrangements if there are at most this many."""
N_RANDOM: Final = 9_999
"""Random arrangements of a test that is not exact."""
ROUNDING: Final = 1e-9


@dataclass(frozen=True, eq=False)
class Lineages:
    """One society's lineages: one element for each founder."""

    values: Floats
    """Sum of the tested values over the agents with the founder's label."""
    counts: Floats
    """Number of these agents."""
    is_first: npt.NDArray[np.bool_]
    """Whether the founder's label is that of the first player."""


@dataclass(frozen=True, eq=False)
class ManyLineages(Sequence[Lineages]):
    """The lineages of many societies of the same size, in few arrays: what one process sends to another."""

    values: Floats
    """(society, founder): as in `Lineages`, and so are the others."""
    counts: Floats
    is_first: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, place: int) -> Lineages: ...

    @overload
    def __getitem__(self, place: slice) -> ManyLineages: ...

    def __getitem__(self, place: int | slice) -> Lineages | ManyLineages:
        parts = self.values[place], self.counts[place], self.is_first[place]
        return ManyLineages(*parts) if isinstance(place, slice) else Lineages(*parts)


class LabelTest(NamedTuple):
    """Mean of the first player's agents minus that of the second's, averaged over societies."""

    effect: float | None
    """Missing if no society has agents of both left."""
    p: float
    """Two-sided: the share of all arrangements with a statistic at least as large; 1 without an effect."""
    least_p: float
    """The least p that any arrangement of these values gives."""
    is_exact: bool
    n_arrangements: int
    n_both: int
    """Societies with agents of both left."""
    interval: Interval
    """95 %, the shifts that the test does not reject: it excludes 0 if and only if p is below 0.05."""


def label_test(societies: Sequence[Lineages], *, seed: int = RANDOM_SEED) -> LabelTest:
    """Test whether two players that share societies fare alike, by permuting founders' labels within each society.

    The statistic is the difference of the two players' means, averaged over the societies in which the arrangement
    leaves both. Up to 65,536 arrangements are all used, otherwise 9,999 random ones and the observed one. The interval
    inverts the test: it holds each shift d of the first player's values at which p is at least 0.05.
    """
    n_all = prod(comb(len(one.counts), int(one.is_first.sum())) for one in societies)
    is_exact = n_all <= MAX_EXACT
    sums = _exact(societies) if is_exact else _random(societies, np.random.default_rng(seed))
    n_both = np.maximum(sums[2], 1)
    statistic, first_weight = sums[0] / n_both, sums[1] / n_both
    n_arrangements = n_all if is_exact else N_RANDOM
    if not sums[2][0]:
        missing = Interval(None, None, "no society has agents of both left")
        return LabelTest(None, 1.0, 1.0, is_exact, n_arrangements, 0, missing)
    slack = ROUNDING * float(np.abs(statistic).max())
    sizes = np.abs(statistic)
    p = float((sizes >= sizes[0] - slack).mean())
    least = float((sizes >= sizes.max() - slack).mean())
    if not is_exact and least < 1:
        least = 1 / len(sizes)
    interval = _inverted(statistic, first_weight, slack=slack)
    return LabelTest(float(statistic[0]), p, least, is_exact, n_arrangements, int(sums[2][0]), interval)


def _contrast(one: Lineages, dealt: npt.NDArray[np.bool_]) -> Floats:
    """Return (3, arrangements): the difference, the weight in it of the first player's agents, and whether both live.

    `dealt`: one row for each arrangement, whether each founder has the first label.
    """
    columns = np.column_stack([one.values, one.counts * one.is_first, one.counts])
    first = dealt.astype(float) @ columns
    second = columns.sum(axis=0) - first
    is_both = (first[:, 2] > 0.5) & (second[:, 2] > 0.5)
    n_first, n_second = np.where(is_both, first[:, 2], 1), np.where(is_both, second[:, 2], 1)
    differences = first[:, :2] / n_first[:, None] - second[:, :2] / n_second[:, None]
    return np.vstack([np.where(is_both, differences.T, 0.0), is_both])


def _exact(societies: Sequence[Lineages]) -> Floats:
    """Return the sums over societies under all arrangements, the observed one first."""

    def every(one: Lineages) -> Floats:
        n, observed = len(one.counts), tuple(np.flatnonzero(one.is_first))
        chosen = [
            observed,
            *(arrangement for arrangement in combinations(range(n), len(observed)) if arrangement != observed),
        ]
        dealt = np.zeros((len(chosen), n), dtype=bool)
        dealt[np.arange(len(chosen))[:, None], np.array(chosen, dtype=int).reshape(len(chosen), -1)] = True
        return _contrast(one, dealt)

    return reduce(lambda a, b: (a[:, :, None] + b[:, None, :]).reshape(3, -1), map(every, societies))


def _random(societies: Sequence[Lineages], rng: np.random.Generator) -> Floats:
    """Return the sums over societies under the observed arrangement and random ones."""
    sums = np.zeros((3, N_RANDOM + 1))
    for one in societies:
        n, k = len(one.counts), int(one.is_first.sum())
        if min(k, n - k) == 1:  # one label has a single founder, whose place determines the arrangement
            alone = np.flatnonzero(one.is_first if k == 1 else ~one.is_first)
            contrasts = _contrast(one, np.eye(n, dtype=bool) if k == 1 else ~np.eye(n, dtype=bool))
            sums += contrasts[:, np.concatenate([alone, rng.integers(0, n, N_RANDOM)])]
            continue
        drawn = rng.permuted(np.tile(one.is_first, (N_RANDOM, 1)), axis=1)
        sums += _contrast(one, np.vstack([one.is_first, drawn]))
    return sums


def _inverted(statistic: Floats, first_weight: Floats, *, slack: float) -> Interval:
    """Return the shifts that are not rejected, as `statistics.shift_intervals` does.

    A shift d of the first player's values turns an arrangement's statistic T into T - c d, with c = `first_weight`, and
    the observed one into T0 - d. |T - c d| >= |T0 - d| holds between (T0 - T)/(1 - c) and (T0 + T)/(1 + c).
    """
    n, observed = len(statistic), statistic[0]
    n_needed = next(k for k in range(max(1, ceil(n * ALPHA) - 1), n + 1) if k / n >= ALPHA)
    one, other = (
        _end(observed - statistic, 1 - first_weight, slack),
        _end(observed + statistic, 1 + first_weight, slack),
    )
    is_free = np.isnan(one) | np.isnan(other)
    lows = np.where(is_free, -np.inf, np.minimum(one, other))
    highs = np.where(is_free, np.inf, np.maximum(one, other))
    low = float(np.partition(lows, n_needed - 1)[n_needed - 1])
    high = float(np.partition(highs, n - n_needed)[n - n_needed])
    if not (np.isfinite(low) and np.isfinite(high)):
        return Interval(None, None, "so few agents and societies can exclude no ratio")
    return Interval(low, high)


def _end(above: Floats, below: Floats, slack: float) -> Floats:
    """Return the quotient; infinite if `below` is 0, and NaN if both are 0, because then every shift fits."""
    is_zero = below < ROUNDING
    above = np.where(np.abs(above) <= slack, 0.0, above)
    endless = np.where(above == 0, np.nan, np.copysign(np.inf, above))
    return np.asarray(np.where(is_zero, endless, above / np.where(is_zero, 1, below)))


# --- lineages ------------------------------------------------------------------------------------------------------


def founders_of(
    agents: Sequence[Mapping[Any, Any]], *, seed: int, transmission: Mapping[str, Any]
) -> dict[str, str] | None:
    """Return, for each agent of a run, the founder (agent of generation 1) whose label it has; None if unknown.

    It is unknown if several parents were shown in random order and a newborn has the label of one of them.

    Args:
        agents: rows of `agents` of one run: `generation`, `agent`, `born`, `model`, `parents`, `survived`.
        seed: the run's seed.
        transmission: the logged rule.
    """
    by_generation: dict[int, dict[str, Mapping[Any, Any]]] = {}
    for row in agents:
        by_generation.setdefault(int(row["generation"]), {})[str(row["agent"])] = row
    first = by_generation[1]
    founders = {name: name for name in first}
    for generation in sorted(set(by_generation) - {1}):
        before, now = by_generation[generation - 1], by_generation[generation]
        left = sorted(set(before) - set(now), key=born_and_index)
        newborns = sorted(set(now) - set(before), key=born_and_index)
        for name, vacancy in zip(newborns, left, strict=True):
            source = _source(now[name], vacancy, sorted(first, key=born_and_index), seed, transmission)
            if source is None or founders[source] not in first:
                return None
            founders[name] = founders[source]
            if now[name]["model"] != first[founders[name]]["model"]:
                return None
    return founders


def _source(
    newborn: Mapping[Any, Any], vacancy: str, first: Sequence[str], seed: int, transmission: Mapping[str, Any]
) -> str | None:
    """Return the agent whose label a newborn has, as `core.society` assigns labels."""
    kind = transmission.get("model_from", "vacancy")
    number = uniform("model", seed, *born_and_index(str(newborn["agent"])))
    if kind == "share":
        return first[int(number * len(first))]
    parents = _words(newborn["parents"])
    if kind == "vacancy" or not parents:
        return vacancy
    if len(parents) > 1 and not transmission.get("scores", True):
        return None
    return parents[int(number * len(parents))]


def _words(text: object) -> list[str]:
    return text.split() if isinstance(text, str) else []
