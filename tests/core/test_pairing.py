from __future__ import annotations

from collections import Counter
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsim.core.pairing import Alternating, PairingRule, RandomMatching, Released, swapped
from agentsim.core.rng import stream

KINDS = [kind() for kind in get_args(get_args(PairingRule)[0])]


@pytest.mark.parametrize("rule", KINDS, ids=lambda rule: rule.kind)
@given(half=st.integers(1, 10), rounds=st.integers(1, 30), seed=st.integers(0, 99))
def test_every_agent_meets_one_other_in_every_round(rule: PairingRule, half: int, rounds: int, seed: int) -> None:
    agents = [f"1_{index}" for index in range(2 * half)]
    schedule = rule.schedule(agents, rounds, stream(seed, "pairing", 1))
    assert len(schedule) == rounds
    for pairs in schedule:
        assert sorted(agent for pair in pairs for agent in pair) == sorted(agents)
    assert schedule == rule.schedule(agents, rounds, stream(seed, "pairing", 1))


def donors(rule: PairingRule) -> list[frozenset[str]]:
    schedule = rule.schedule([f"1_{index}" for index in range(12)], 12, stream(0, "pairing", 1))
    return [frozenset(donor for donor, _ in pairs) for pairs in schedule]


def test_alternating_roles_alternate_strictly() -> None:
    halves = donors(Alternating())
    assert all(halves[index] != halves[index + 1] for index in range(11))
    assert len(set(halves)) == 2


def test_released_alternation_breaks_between_rounds_6_and_7() -> None:
    halves = donors(Released())
    assert "".join("AB"[half != halves[0]] for half in halves) == "ABABABBABABA"


@pytest.mark.parametrize("rule", [Alternating(), Released()], ids=lambda rule: rule.kind)
def test_cross_pairs_meet_twice_and_n_half_rounds_apart(rule: PairingRule) -> None:
    schedule = rule.schedule([f"1_{index}" for index in range(12)], 12, stream(3, "pairing", 1))
    met: dict[frozenset[str], list[tuple[int, str]]] = {}
    for index, pairs in enumerate(schedule):
        for donor, recipient in pairs:
            met.setdefault(frozenset((donor, recipient)), []).append((index, donor))
    assert len(met) == 36
    assert all(second[0] - first[0] == 6 for first, second in met.values())
    if isinstance(rule, Released):
        assert all(first[1] != second[1] for first, second in met.values())


def test_of_an_odd_number_of_agents_one_sits_out_each_round_each_equally_often() -> None:
    agents = [f"1_{index}" for index in range(5)]
    schedule = RandomMatching().schedule(agents, 5000, stream(0, "pairing", 1))
    idle = Counter(agent for pairs in schedule for agent in set(agents) - {name for pair in pairs for name in pair})
    assert sum(idle.values()) == 5000 and all(len(pairs) == 2 for pairs in schedule)
    assert all(idle[agent] == pytest.approx(1000, abs=120) for agent in agents)


def test_swapping_exchanges_the_roles_of_every_pair() -> None:
    assert swapped(((("a", "b"), ("c", "d")),)) == ((("b", "a"), ("d", "c")),)
