"""Players that share societies: labels permuted within societies, whole lineages at once."""

from __future__ import annotations

from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agentsim
from agentsim.analysis.within import Lineages, founders_of, label_test
from agentsim.errors import AgentsimError
from tests.analysis.test_compare import scripted


def one(values: list[float], n_first: int, counts: list[int] | None = None) -> Lineages:
    is_first = np.arange(len(values)) < n_first
    return Lineages(np.array(values), np.array(counts or [1] * len(values), dtype=float), is_first)


def test_all_ways_to_deal_labels_within_societies_are_counted() -> None:
    societies = [one([5.0, 1, 2, 3], 1), one([4.0, 3, 1], 2)]
    found = label_test(societies)

    def contrast(values: list[float], first: tuple[int, ...]) -> float:
        others = [value for place, value in enumerate(values) if place not in first]
        return float(np.mean([values[place] for place in first]) - np.mean(others))

    every = [
        (contrast([5, 1, 2, 3], a) + contrast([4, 3, 1], b)) / 2
        for a, b in product(combinations(range(4), 1), combinations(range(3), 2))
    ]
    observed = (contrast([5, 1, 2, 3], (0,)) + contrast([4, 3, 1], (0, 1))) / 2
    assert found.effect == pytest.approx(observed)
    assert found.p == pytest.approx(np.mean([abs(each) >= abs(observed) - 1e-9 for each in every]))
    assert found.is_exact and found.n_arrangements == 12


@pytest.mark.parametrize("n_first", [1, 2, 3])
def test_a_true_null_is_rejected_in_five_of_a_hundred_studies_at_any_numbers(n_first: int) -> None:
    rng = np.random.default_rng(n_first)
    p = [label_test([one(list(rng.exponential(size=6)), n_first) for _ in range(3)]).p for _ in range(200)]
    assert np.mean(np.array(p) < 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


def test_the_interval_excludes_0_exactly_where_the_test_rejects() -> None:
    rng = np.random.default_rng(0)
    n_rejected = 0
    for _ in range(60):
        counts = [list(rng.integers(0, 3, 6)) for _ in range(3)]
        societies = [
            one([float(n) * rng.normal(1.2 * (place < 2)) for place, n in enumerate(each)], 2, counts=each)
            for each in counts
        ]
        found = label_test(societies)
        if found.interval.low is None or found.interval.high is None or found.effect is None:
            assert found.p >= 0.05
            continue
        assert found.interval.low <= found.effect <= found.interval.high
        assert (found.p < 0.05) == (not found.interval.low <= 0 <= found.interval.high)
        n_rejected += found.p < 0.05
    assert n_rejected


def test_a_society_without_agents_of_both_adds_nothing_and_no_0() -> None:
    lived = [one([5.0, 1, 2, 3], 1), one([4.0, 3, 1, 2], 1)]
    gone = one([0.0, 3, 6, 2], 1, counts=[0, 1, 2, 1])
    found = label_test([*lived, gone])
    assert found.effect == label_test(lived).effect and found.n_both == 2
    alone = label_test([gone])
    assert (alone.effect, alone.p) == (None, 1.0) and alone.interval.problem


@pytest.mark.parametrize(
    "transmission",
    [
        {"kind": "advice"},
        {"kind": "advice", "model_from": "parent"},
        {"kind": "advice", "model_from": "share"},
        {"kind": "copy"},
        {"kind": "copy", "model_from": "vacancy"},
        {"kind": "one_parent", "model_from": "parent"},
    ],
)
def test_every_agent_has_the_label_of_its_founder(tmp_path: Path, transmission: dict[str, Any]) -> None:
    players = [{"model": "scripted/random", "name": name, "agents": 2} for name in "abc"]
    study = scripted(tmp_path, agents=6, players=players, generations=4, transmission=transmission, seeds=[0, 1])
    for (name, run), own in study.agents.groupby(["study", "run"]):
        started = study.started[str(name), str(run)]
        rows = own.to_dict("records")
        found = founders_of(rows, seed=started.seed, transmission=started.condition["transmission"])
        assert found is not None
        first = {row["agent"]: row["model"] for row in rows if row["generation"] == 1}
        assert all(first[found[row["agent"]]] == row["model"] for row in rows)


def test_the_same_policy_under_two_names_does_not_differ_where_one_is_alone(tmp_path: Path) -> None:
    """Reported by a user: 1 agent against 11 that play alike differed, at 0.74 times and p = 0.0035."""
    players = [
        {"model": "scripted/random", "name": "few", "agents": 1},
        {"model": "scripted/random", "name": "many", "agents": 11},
    ]
    game = {"kind": "donor", "rounds": 12}
    study = scripted(tmp_path, agents=12, players=players, generations=2, game=game, seeds=list(range(16)))
    found = agentsim.compare(study, by="player")
    (pair,) = found.table.to_dict("records")
    assert (pair["design"], pair["verdict"]) == ("within", "no difference shown")
    assert pair["low"] < 1 < pair["high"]
    first, second = found.groups["geometric_mean"]
    assert pair["ratio"] == pytest.approx(first / second)


def test_players_that_do_differ_are_told_apart_in_three_shared_societies(tmp_path: Path) -> None:
    players = [{"model": "scripted/all-keep", "agents": 1}, {"model": "scripted/constant-share", "agents": 5}]
    study = scripted(tmp_path, agents=6, players=players, generations=2, seeds=[0, 1, 2])
    (pair,) = agentsim.compare(study, by="player").table.to_dict("records")
    assert pair["verdict"] == "differ" and pair["low"] > 1 and pair["p"] < 0.05


def test_dying_out_is_an_outcome_that_is_tested_and_said(tmp_path: Path) -> None:
    players = [{"model": "scripted/all-keep", "agents": 3}, {"model": "scripted/all-give", "agents": 3}]
    changes = {"generations": 4, "transmission": {"kind": "copy"}, "seeds": [0, 1, 2, 3]}
    found = agentsim.compare(scripted(tmp_path, agents=6, players=players, **changes), by="player")
    (pair,) = found.table.to_dict("records")
    assert pair["verdict"] == "differ in survival" and pair["p_heirs"] < 0.05
    assert any("died out by the end in 4 societies of 4" in note for note in found.notes)


def test_one_shared_run_and_a_stated_design_are_refused_a_verdict(tmp_path: Path) -> None:
    players = [{"model": "scripted/all-keep", "agents": 3}, {"model": "scripted/all-give", "agents": 3}]
    study = scripted(tmp_path, agents=6, players=players, generations=1, seeds=[0])
    assert agentsim.compare(study, by="player").table["verdict"].tolist() == ["cannot say: too few runs"]
    with pytest.raises(AgentsimError, match="compared within the societies they share"):
        agentsim.compare(study, by="player", design="paired")


def test_lineages_are_unknown_where_parents_were_shown_in_random_order() -> None:
    rule = {"kind": "advice", "model_from": "parent", "scores": False}
    rows = [
        {"generation": 1, "agent": f"1_{place}", "born": 1, "model": "ab"[place % 2], "parents": None}
        for place in range(1, 5)
    ]
    rows += [dict(rows[0], generation=2), dict(rows[1], generation=2)]
    rows += [
        {"generation": 2, "agent": f"2_{place}", "born": 2, "model": "a", "parents": "1_1 1_2"} for place in (1, 2)
    ]
    assert founders_of(rows, seed=0, transmission=rule) is None
