"""Do looks and equivalence err as often as they promise? `python benchmarks/planning.py [--sets 4000]`.

False "differ" over all looks of a group-sequential study, as planned and with today's p < 0.05 at each seed; and how
often groups at the margin are called equivalent, by the permutation test and by Welch's. Log-normal and bimodal scores
as in `inference.py`; then whole courses. Everything is seeded; a few minutes on one core.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent))

from inference import bimodal, lognormal  # type: ignore[import-not-found, unused-ignore] # beside this script

from agentsim.analysis.equivalence import equivalences, welch_equivalences
from agentsim.analysis.measures.course import logrank_scores
from agentsim.analysis.spending import levels
from agentsim.analysis.statistics import ALPHA, permutation_tests

Floats = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, int], Floats]
DRAWS: Final[dict[str, Draw]] = {"log-normal": lognormal, "bimodal": bimodal}
MARGIN: Final = float(np.log(1.25))


def looked(p: Floats, looks: Sequence[int], limits: Sequence[float]) -> tuple[float, float]:
    """Return the share of studies that stop, and the mean number of seeds played; `p` is (looks, studies)."""
    stops = p < np.array(limits)[:, None]
    first = np.where(stops.any(axis=0), stops.argmax(axis=0), len(looks) - 1)
    return float(stops.any(axis=0).mean()), float(np.array(looks)[first].mean())


def p_of(first: Floats, second: Floats, looks: Sequence[int], *, is_paired: bool) -> Floats:
    """Return the p of each look and study, by the very test of `compare`."""
    rows = []
    for n in looks:
        values = (first[:, :n] - second[:, :n], None) if is_paired else (first[:, :n], second[:, :n])
        rows.append(permutation_tests(*values).p)
    return np.array(rows)


def looks(n_sets: int, seed: int = 0) -> Table:
    table = Table(title=f"Looking early: {n_sets:,} studies each, seed {seed}")
    for name in ("scores", "looks (seeds)", "rule", "false 'differ'", "power at 1.5 sd", "seeds on average then"):
        table.add_column(name, justify="left" if name in ("scores", "looks (seeds)", "rule") else "right")
    for title, draw in DRAWS.items():
        spread = float(draw(np.random.default_rng(1), 200_000, 1).std())
        for is_paired in (False, True):
            for at in ((5, 10), (5, 10, 15), (4, 8, 12, 16, 20), tuple(range(4, 21)))[2 * is_paired :]:
                rng = np.random.default_rng(seed)
                first, second = draw(rng, n_sets, at[-1]), draw(rng, n_sets, at[-1])
                rules = {
                    "obrien-fleming": levels(at, is_paired=is_paired),
                    "pocock": levels(at, spending="pocock", is_paired=is_paired),
                    "p < 0.05": (ALPHA,) * len(at),
                }
                null, planted = (p_of(first + shift * spread, second, at, is_paired=is_paired) for shift in (0.0, 1.5))
                said = ", ".join(map(str, at)) if len(at) < 8 else f"{at[0]} to {at[-1]}, each"
                for rule, limits in rules.items():
                    false, _ = looked(null, at, limits)
                    power, n_used = looked(planted, at, limits)
                    name = f"{title}, paired" if is_paired else title
                    table.add_row(name, said, rule, f"{false:.3f}", f"{power:.2f}", f"{n_used:.1f}")
    return table


def margins(n_sets: int) -> Table:
    table = Table(title=f"Equivalence within 1.25: {n_sets:,} data sets each, seed 0")
    columns = (
        "scores",
        "spread",
        "runs",
        "called equivalent at the margin",
        "if equal",
        "Welch at the margin",
        "Welch if equal",
    )
    for name in columns:
        table.add_column(name, justify="left" if name == "scores" else "right")
    for title, draw in DRAWS.items():
        unit = float(draw(np.random.default_rng(1), 200_000, 1).std())
        for spread in (0.1, 0.2, 0.4):
            for n, k in ((3, 3), (5, 5), (5, 10), (8, 8), (15, 15), (40, 40)):
                rng = np.random.default_rng(0)
                n_here = n_sets if n < 15 else n_sets // 4
                first, second = (draw(rng, n_here, size) * spread / unit for size in (n, k))
                shares = [
                    float((p < ALPHA).mean())
                    for p in (
                        equivalences(first + MARGIN, second, margin=MARGIN)[0],
                        equivalences(first, second, margin=MARGIN)[0],
                        welch_equivalences(first + MARGIN, second, margin=MARGIN),
                        welch_equivalences(first, second, margin=MARGIN),
                    )
                ]
                table.add_row(title, f"{spread:g}", f"{n} + {k}", *(f"{share:.3f}" for share in shares))
    return table


def courses(n_sets: int) -> Table:
    """Random walks of ten generations: errors stay, as between generations. The planted group grows faster."""
    table = Table(title=f"Whole courses: {n_sets:,} studies each, seed 0; log scores, ten generations")
    for name in ("runs", "outcome", "false 'differ'", "finds 0.15 more growth a generation"):
        table.add_column(name, justify="left" if name == "outcome" else "right")
    for n in (5, 8, 15):
        rng = np.random.default_rng(0)
        walks = 3 + np.cumsum(rng.normal(0.2, 0.3, (n_sets, 2 * n, 10)), axis=2)
        planted = walks.copy()
        planted[:, :n] += 0.15 * np.arange(10)
        found = [_course_p(sets, n) for sets in (walks, planted)]
        for outcome in found[0]:
            table.add_row(f"{n} + {n}", outcome, *(f"{(p[outcome] < ALPHA).mean():.3f}" for p in found))
    return table


def _course_p(walks: Floats, n: int) -> dict[str, Floats]:
    reached = walks > 4.5
    times = np.where(reached.any(axis=2), reached.argmax(axis=2) + 1, walks.shape[2])
    scores = {
        "area": walks.mean(axis=2),
        "slope": walks @ (np.arange(walks.shape[2]) - (walks.shape[2] - 1) / 2),
        "time": np.array([logrank_scores(t, r) for t, r in zip(times, reached.any(axis=2), strict=True)]),
        "final": walks[:, :, -1],
    }
    p = {outcome: permutation_tests(own[:, :n], own[:, n:]).p for outcome, own in scores.items()}
    return p | {"any of the four, after Holm": np.min(list(p.values()), axis=0) * len(p)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--sets", type=int, default=4_000)
    parser.add_argument("--only", choices=["looks", "margins", "courses"])
    parser.add_argument("--seed", type=int, default=0, help="of looks")
    given = parser.parse_args()
    n_sets = given.sets
    for make, n in ((looks, n_sets), (margins, n_sets), (courses, max(1, n_sets // 4))):
        if given.only in (None, make.__name__):
            Console(width=140).print(looks(n, given.seed) if make is looks else make(n))


if __name__ == "__main__":
    main()
