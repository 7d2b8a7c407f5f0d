"""Which norm, if any, a response surface shows: planted policies with lapses are recovered or left open."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from agentsim.analysis.norms import CANNOT_SAY, NORMS, Norm, fit_norms, is_assessment, named
from agentsim.analysis.surfaces import Surface, resampled

CELLS = [(np.nan, np.nan), *product((0, 0.25, 0.5, 0.75, 1), (0, 0.5, 1))]
UNCONDITIONAL, *RULES = NORMS


def follows(norm: Norm, record: float, partner: float) -> float:
    if norm.table is None or np.isnan(record):
        return 0.5
    recipient = "good" if partner >= 0.5 else "bad"
    is_good = norm.table.judge(gave=record >= 0.5, recipient=recipient) == "good"  # type: ignore[arg-type] # a label
    return 0.5 if is_good else 0.0


def surface(given: list[float], *, lapses: float = 0.1, n: int = 5, seed: int = 0) -> Surface:
    rng = np.random.default_rng(seed)
    answers = [[np.where(rng.random(n) < lapses, rng.random(n), own)] for own in given]
    level, partner = np.array(CELLS, dtype=float).T
    return Surface(level, partner, np.full(len(CELLS), 10.0), answers)


def said(given: list[float], *, lapses: float = 0.1, seed: int = 0) -> str:
    own = surface(given, lapses=lapses, seed=seed)
    return named(fit_norms(own, resampled(own)))


@pytest.mark.parametrize("norm", NORMS, ids=lambda norm: str(norm.name))
def test_planted_norms_are_recovered_or_left_open(norm: Norm) -> None:
    given = [follows(norm, *cell) for cell in CELLS]
    assert said(given, lapses=0) == norm.name
    assert {said(given, seed=seed) for seed in range(4)} <= {norm.name, CANNOT_SAY}


@pytest.mark.parametrize("kind", ["proportional", "half", "raise the stakes"])
def test_graded_policies_are_no_assessment_rule(kind: str) -> None:
    shares = {
        "proportional": lambda record: record,
        "half": lambda record: record / 2,
        "raise the stakes": lambda record: min(1, record + 0.1) if record >= 0.1 else record,
    }
    given = [0.5 if np.isnan(record) else shares[kind](record) for record, _ in CELLS]
    assert said(given, lapses=0) == "graded" and not is_assessment("graded")
    assert {said(given, seed=seed) for seed in range(3)} <= {"graded", CANNOT_SAY}


@pytest.mark.parametrize("norm", RULES, ids=lambda norm: str(norm.name))
def test_a_rule_is_recovered_whatever_the_unknown_are_given(norm: Norm) -> None:
    given = [0.2 if np.isnan(cell[0]) else follows(norm, *cell) for cell in CELLS]
    assert said(given, lapses=0) == norm.name
    assert {said(given, seed=seed) for seed in range(3)} <= {norm.name, CANNOT_SAY}


def test_what_no_rule_can_say_fits_none() -> None:
    odd = [0.5 if np.isnan(record) else 0.8 if record == 0.5 else 0.1 for record, _ in CELLS]
    spiteful = [0.5 if np.isnan(record) else 0.8 - 0.8 * record for record, _ in CELLS]
    assert said(odd) == said(spiteful) == "no rule fits"


def test_unconditional_giving_is_no_norm() -> None:
    assert said([0.3] * len(CELLS), lapses=0) == "unconditional" and not is_assessment("unconditional")
    assert all(is_assessment(norm.name) for norm in RULES) and not is_assessment(CANNOT_SAY)


def test_one_cannot_say_where_resamples_do_not_agree() -> None:
    weak = [0.5 if np.isnan(record) else 0.5 + 0.04 * (record >= 0.5) for record, _ in CELLS]
    assert CANNOT_SAY in {said(weak, lapses=0.3, seed=seed) for seed in range(6)}
