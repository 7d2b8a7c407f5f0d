"""Are planted norms recovered? `python benchmarks/norms.py [--probes 50]`.

Policies of known kind answer the situations of a probe (5 records, 3 partners' records and a first round, or coarser
grids), five or ten times each; a share of answers are lapses, uniform in [0, 1). How often the right rule, "cannot
say", or another is named. Everything is seeded; a minute on one core.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table

from agentsim.analysis.norms import CANNOT_SAY, GRADED, NO_RULE, NORMS, Norm, fit_norms, named
from agentsim.analysis.surfaces import Surface, resampled

Policy = Callable[[float, float, np.random.Generator], float]
"""Fraction given, by the recipient's record and its partner's (NaN: unknown)."""
RECORDS: Final = (0, 0.25, 0.5, 0.75, 1)
PARTNERS: Final = (0, 0.5, 1)


def follower(norm: Norm, *, share: float, rest: float) -> Policy:
    def policy(record: float, partner: float, rng: np.random.Generator) -> float:
        if norm.table is None or np.isnan(record):
            return share
        recipient = "good" if np.isnan(partner) or partner >= 0.5 else "bad"
        return share if norm.table.judge(gave=record >= 0.5, recipient=recipient) == "good" else rest

    return policy


def planted() -> Iterator[tuple[str, str, Policy]]:
    """Yield a policy's name, what should be said of it, and what it does."""
    for norm in NORMS:
        yield norm.name, norm.name, follower(norm, share=0.5, rest=0.0)
        if norm.table is not None:
            yield f"{norm.name}, 0.7 against 0.3", norm.name, follower(norm, share=0.7, rest=0.3)
    yield "all keep", "unconditional", lambda record, partner, rng: 0.0
    yield "random share", "unconditional", lambda record, partner, rng: float(rng.random())
    yield "proportional", GRADED.name, lambda record, partner, rng: 0.5 if np.isnan(record) else record
    yield "proportional, half", GRADED.name, lambda record, partner, rng: 0.5 if np.isnan(record) else record / 2
    yield "raise the stakes", GRADED.name, _raise
    yield "gives more to the poor in record", NO_RULE.name, lambda r, p, rng: 0.5 if np.isnan(r) else 0.8 - 0.8 * r
    yield "twice the middle record", NO_RULE.name, lambda r, p, rng: 0.8 if r == 0.5 else 0.1


def _raise(record: float, partner: float, rng: np.random.Generator) -> float:
    return 0.1 if np.isnan(record) else min(1.0, record + 0.1) if record >= 0.1 else record


def asked(policy: Policy, *, n: int, lapses: float, rng: np.random.Generator) -> Surface:
    cells = [(np.nan, np.nan), *product(RECORDS, PARTNERS)]
    answers = []
    for record, partner in cells:
        own = np.array([policy(record, partner, rng) for _ in range(n)])
        answers.append([np.where(rng.random(n) < lapses, rng.random(n), own)])
    level, partner_level = np.array(cells, dtype=float).T
    return Surface(level, partner_level, np.full(len(cells), 10.0), answers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--probes", type=int, default=50, help="Probes of each row.")
    n_probes = parser.parse_args().probes
    table = Table(title=f"Planted policies, {n_probes} probes each")
    for name in ("policy", "asked", "lapses", "right", CANNOT_SAY, "wrong", "wrong ones"):
        table.add_column(name, justify="left" if name in ("policy", "wrong ones") else "right")
    for (name, truth, policy), n, lapses in product(planted(), (5,), (0.0, 0.1, 0.2)):
        rng = np.random.default_rng(0)
        said: Counter[str] = Counter()
        for _ in range(n_probes):
            surface = asked(policy, n=n, lapses=lapses, rng=rng)
            said[named(fit_norms(surface, resampled(surface)))] += 1
        right, unsure = said.pop(truth, 0), said.pop(CANNOT_SAY, 0)
        counts = (right, unsure, n_probes - right - unsure)
        others = ", ".join(f"{other} {count}" for other, count in said.most_common())
        table.add_row(name, str(n), f"{lapses:g}", *(f"{count / n_probes:.2f}" for count in counts), others)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
