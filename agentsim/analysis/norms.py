"""The nearest assessment rule of the literature to a response surface. Arrays in, values out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from agentsim.analysis.surfaces import Floats, Means, Surface
from agentsim.core.observation import Assessment

__all__ = [
    "CANNOT_SAY",
    "GRADED",
    "NORMS",
    "NO_RULE",
    "Fit",
    "Norm",
    "fit_norms",
    "is_assessment",
    "named",
]

LEAST_ERROR: Final = 0.005
"""Answers are whole units or percents, so errors below half a percent do not distinguish rules."""
TIE: Final = 2.0
"""A difference in BIC below this is "not worth more than a bare mention" (Kass & Raftery 1995, JASA 90)."""


@dataclass(frozen=True)
class Norm:
    """An assessment rule: who is good after an act, and so deserves a gift."""

    name: str
    table: Assessment | None
    """`None`: everyone is treated alike."""
    source: str
    also: tuple[str, ...] = ()
    """Third-order rules that judge the same if the recipient's earlier standing is not known (good)."""


NORMS: Final = (
    Norm("unconditional", None, "all good or all bad, whatever was done (Nowak & Sigmund 1998: AllC, AllD)"),
    Norm("image scoring", Assessment(keep_from_bad="bad"), "Nowak & Sigmund 1998, Nature 393"),
    Norm(
        "simple standing",
        Assessment(),
        "Sugden 1986; Leimar & Hammerstein 2001, Proc. R. Soc. B 268",
        ("leading eight L1", "L3", "L4", "L7"),
    ),
    Norm(
        "stern judging",
        Assessment(give_to_bad="bad"),
        "Kandori 1992; Pacheco, Santos & Chalub 2006, PLoS Comput. Biol. 2",
        ("consistent standing (L2)", "L5", "L6", "judging (L8)"),
    ),
    Norm(
        "shunning",
        Assessment(give_to_bad="bad", keep_from_bad="bad"),
        "Takahashi & Mashima 2006, J. Theor. Biol. 243",
    ),
)
"""The candidate rules, the simplest first; the leading eight are those of Ohtsuki & Iwasa 2004, 2006."""
GRADED: Final = Norm(
    "graded",
    None,
    "the more, the better the record: Killingback & Doebeli 2002, Am. Nat. 160; Wedekind & Milinski 2000",
)
"""Not an assessment rule, because nobody is good or bad: giving rises with the record, in at least three steps."""
NO_RULE: Final = Norm("no rule fits", None, "every situation has a mean of its own: lack of fit")
CANNOT_SAY: Final = "cannot say"
LEAST_SUPPORT: Final = 0.7
"""The nearest rule is named only if it is the best in at least this share of resamples."""


class Fit(NamedTuple):
    """One rule fitted to a surface."""

    norm: Norm
    distance: float
    """Root mean square over cells of the difference between mean and rule, in fractions of resources."""
    low: float
    """Mean level of the undeserving, over amounts of resources; of all if the rule distinguishes nobody."""
    high: float
    """Mean level of the deserving."""
    threshold: float | None
    """The lowest record that counts as giving, chosen among those of the grid."""
    bic: float
    support: float | None
    """Share of bootstrap resamples in which this rule has the lowest BIC; `None` without repetitions."""


def fit_norms(surface: Surface, means: Means) -> list[Fit]:
    """Return how well each rule fits, best first; of rules that the grid cannot distinguish, only the simplest.

    A rule says for each cell whether the recipient is good: the recipient gave if its record is at least a threshold,
    and its partner was good if the partner's record is. A recipient with no known record is good, or has a level of its
    own. The fractions given to the good and to the bad are fitted for each amount of resources, the first not below the
    second. Rules are compared by BIC = N log(RSS / N) + k log N over the N answers, with k fitted levels and thresholds
    (Schwarz 1978, Ann. Stat. 6), because a rule with two levels always fits more closely than a rule with one. Two
    candidates are not rules: `GRADED`, in which giving rises with the recipient's record along a line or in free steps,
    and `NO_RULE`, in which each situation has a mean of its own; it is best if no rule fits (lack of fit: Draper &
    Smith 1998, section 2.1).
    """
    used = ~np.isnan(means.mean[0])
    if not used.any():
        return []
    best: dict[str, tuple[Norm, float | None, _Laid]] = {}
    seen: set[bytes] = set()
    for norm in NORMS:
        predictions = _predictions(norm, surface)
        is_free = len(predictions) > 1
        unknown = np.isnan(surface.level[used]) & (norm.table is not None)
        apart = [False, True] if unknown.any() else [False]  # unknown recipients are good, or have their own level
        options = [
            (
                threshold,
                _laid(is_good[used], surface.resources[used], means, used, is_free=is_free, apart=unknown & is_apart),
            )
            for threshold, is_good in predictions.items()
            if not _is_known(is_good[used], seen)
            for is_apart in apart
        ]
        if options:
            # Each resample takes its best threshold, as the observed surface does.
            threshold, laid = min(options, key=lambda option: float(option[1].bic[0]))
            bic = np.min([option[1].bic for option in options], axis=0)
            best[norm.name] = norm, threshold, laid._replace(bic=bic)
    for norm, laid in _without_assessment(surface, means, used):
        best[norm.name] = norm, None, laid
    ranks = np.array([laid.bic for _, _, laid in best.values()])
    wins = ranks.argmin(axis=0)[1:]  # of equal ones the first, which is the simplest
    is_repeated = bool(means.is_repeated[used].all())
    fits = [
        Fit(
            norm=norm,
            distance=laid.distance,
            low=laid.low,
            high=laid.high,
            threshold=threshold,
            bic=float(laid.bic[0]),
            support=float((wins == index).mean()) if is_repeated else None,
        )
        for index, (norm, threshold, laid) in enumerate(best.values())
    ]
    return sorted(fits, key=lambda fit: fit.bic)


def _is_known(is_good: npt.NDArray[np.bool_], seen: set[bytes]) -> bool:
    """Return whether another rule judges every cell the same; all good equals all bad, because levels are fitted."""
    key = np.ones_like(is_good).tobytes() if is_good.all() or not is_good.any() else is_good.tobytes()
    if key in seen:
        return True
    seen.add(key)
    return False


def _predictions(norm: Norm, surface: Surface) -> Mapping[float | None, npt.NDArray[np.bool_]]:
    """Return who is good in each cell, by the threshold at which a record counts as giving."""
    shown = ~np.isnan(surface.level)
    has_partner = bool((~np.isnan(surface.partner)).any())
    if norm.table is None or not shown.any():
        return {None: np.ones(len(surface.level), dtype=bool)} if norm.table is None else {}
    depends = norm.table.judge(gave=True, recipient="bad") == "bad" or norm.table.keep_from_bad == "good"
    if depends and not has_partner:
        return {}
    by_threshold: dict[float | None, npt.NDArray[np.bool_]] = {}
    for threshold in np.unique(surface.level[shown])[1:]:
        # A recipient with no known record is in good standing.
        by_threshold[float(threshold)] = np.array(
            [
                True
                if np.isnan(record)
                else norm.table.judge(
                    gave=bool(record >= threshold),
                    recipient="good" if np.isnan(partner) or partner >= threshold else "bad",
                )
                == "good"
                for record, partner in zip(surface.level, surface.partner, strict=True)
            ]
        )
    return by_threshold


class _Laid(NamedTuple):
    distance: float
    low: float
    high: float
    bic: Floats
    """For the observed surface and each resample."""


def _laid(
    is_good: npt.NDArray[np.bool_],
    resources: Floats,
    means: Means,
    used: npt.NDArray[np.bool_],
    *,
    is_free: bool,
    apart: npt.NDArray[np.bool_],
) -> _Laid:
    """Fit a rule's levels to every resample at once; the cells `apart` have a level of their own."""
    mean, n = means.mean[:, used], means.n[used]
    fitted = np.empty_like(mean)
    lows, highs, n_levels = [], [], int(is_free)  # the threshold is fitted too
    for amount in np.unique(resources):
        apart_here = (resources == amount) & apart
        if apart_here.any():
            fitted[:, apart_here] = np.average(mean[:, apart_here], axis=1, weights=n[apart_here])[:, None]
            n_levels += 1
        block = (resources == amount) & ~apart
        if not block.any():
            continue
        good, bad = block & is_good, block & ~is_good
        whole = np.average(mean[:, block], axis=1, weights=n[block])
        high = np.average(mean[:, good], axis=1, weights=n[good]) if good.any() else whole
        low = np.average(mean[:, bad], axis=1, weights=n[bad]) if bad.any() else whole
        is_turned = high < low  # the bad get more than the good: the rule does not apply, so one level is fitted
        high, low = np.where(is_turned, whole, high), np.where(is_turned, whole, low)
        fitted[:, good], fitted[:, bad] = high[:, None], low[:, None]
        n_levels += 2 if good.any() and bad.any() else 1
        lows.append(float(low[0]))
        highs.append(float(high[0]))
    distance, bic = _judged(mean, fitted, means, used, n_fitted=n_levels)
    return _Laid(distance, float(np.mean(lows)), float(np.mean(highs)), bic)


def _judged(
    mean: Floats, fitted: Floats, means: Means, used: npt.NDArray[np.bool_], *, n_fitted: int
) -> tuple[float, Floats]:
    """Return the distance, and the BIC of the observed surface and of each resample."""
    n = means.n[used]
    total = float(n.sum())
    rss = means.squares[:, used].sum(axis=1) + ((mean - fitted) ** 2 * n).sum(axis=1)
    bic = total * np.log(np.maximum(rss / total, LEAST_ERROR**2)) + n_fitted * np.log(total)
    return float(np.sqrt(((mean[0] - fitted[0]) ** 2).mean())), bic


# --- candidates that are not rules ---------------------------------------------------------------------------------


def _without_assessment(surface: Surface, means: Means, used: npt.NDArray[np.bool_]) -> Iterator[tuple[Norm, _Laid]]:
    mean, level = means.mean[:, used], surface.level[used]
    steps = np.unique(level[~np.isnan(level)])
    if len(steps) > 2:  # two steps are a threshold
        both = [_graded(surface, means, used, is_line=is_line) for is_line in (True, False)]
        nearest = min(both, key=lambda laid: float(laid.bic[0]))
        yield GRADED, nearest._replace(bic=np.minimum(both[0].bic, both[1].bic))
    if mean.shape[1] > 2 * len(np.unique(surface.resources[used])):  # otherwise two levels fit anything
        distance, bic = _judged(mean, mean, means, used, n_fitted=mean.shape[1] + 1)  # + 1 as for a fitted threshold
        yield NO_RULE, _Laid(distance, float(mean[0].min()), float(mean[0].max()), bic)


def _graded(surface: Surface, means: Means, used: npt.NDArray[np.bool_], *, is_line: bool) -> _Laid:
    """Fit, for each amount of resources, giving that never falls with the record; the unknown have their own level."""
    mean, n = means.mean[:, used], means.n[used]
    level, resources = surface.level[used], surface.resources[used]
    fitted, n_fitted = np.empty_like(mean), 0
    for amount in np.unique(resources):
        unknown = (resources == amount) & np.isnan(level)
        if unknown.any():
            fitted[:, unknown] = np.average(mean[:, unknown], axis=1, weights=n[unknown])[:, None]
            n_fitted += 1
        block = (resources == amount) & ~np.isnan(level)
        if not block.any():
            continue
        steps, where = np.unique(level[block], return_inverse=True)
        weights = np.asarray(np.bincount(where, weights=n[block]), dtype=float)
        at_steps = (mean[:, block] * n[block]) @ np.eye(len(steps))[where] / weights
        fitted_steps = _line(steps, at_steps, weights) if is_line else _rising(at_steps, weights)
        fitted[:, block] = fitted_steps[:, where]
        n_fitted += min(2, len(steps)) if is_line else len(steps)
    known = ~np.isnan(level)
    distance, bic = _judged(mean, fitted, means, used, n_fitted=n_fitted)
    return _Laid(distance, float(fitted[0, known].min()), float(fitted[0, known].max()), bic)


def _line(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Return the least-squares line through each row of `y`, or a constant if it would fall."""
    centre = np.average(x, weights=weights)
    middle = np.average(y, axis=1, weights=weights)
    spread = float(weights @ (x - centre) ** 2)
    slope = np.maximum((y - middle[:, None]) @ (weights * (x - centre)) / spread, 0) if spread else np.zeros(len(y))
    return np.asarray(middle[:, None] + slope[:, None] * (x - centre))


def _rising(y: Floats, weights: Floats) -> Floats:
    """Return for each row of `y` the nearest row that never falls (isotonic regression: Barlow et al. 1972)."""
    sums, total = np.cumsum(y * weights, axis=1), np.cumsum(weights)
    n = y.shape[1]

    def mean(first: int, last: int) -> Floats:
        before = (sums[:, first - 1], total[first - 1]) if first else (0.0, 0.0)
        return np.asarray((sums[:, last] - before[0]) / (total[last] - before[1]))

    return np.column_stack(
        [
            np.max([np.min([mean(a, b) for b in range(place, n)], axis=0) for a in range(place + 1)], axis=0)
            for place in range(n)
        ]
    )


# --- verdicts ------------------------------------------------------------------------------------------------------


def is_assessment(norm: str) -> bool:
    """Return whether a name is that of an assessment rule, which unconditional, graded and no rule fits are not."""
    return norm == "discriminating" or any(norm == one.name and one.table is not None for one in NORMS)


def named(fits: Sequence[Fit]) -> str:
    """Return the verdict on fits, best first: the name of the first, or `CANNOT_SAY`.

    It is `CANNOT_SAY` if another fit is nearly as good (`TIE`), or if fewer than `LEAST_SUPPORT` of resamples agree.
    """
    first = fits[0]
    is_tied = any(fit.bic - first.bic < TIE for fit in fits[1:])
    is_weak = first.support is not None and first.support < LEAST_SUPPORT
    return CANNOT_SAY if is_tied or is_weak else first.norm.name
