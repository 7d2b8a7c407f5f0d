from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsim.core.pairing import Alternating, PairingRule, RandomMatching, Released, n_reversed, swapped
from agentsim.core.rng import stream
from tests.core.test_rules import members

KINDS = [kind() for kind in members(PairingRule)]


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


def meetings(rule: PairingRule, n_agents: int, rounds: int) -> dict[frozenset[str], list[tuple[int, str]]]:
    """Return for each pair that meets, by round, who was the donor."""
    schedule = rule.schedule([f"1_{index}" for index in range(n_agents)], rounds, stream(1, "pairing", 1))
    met: dict[frozenset[str], list[tuple[int, str]]] = {}
    for index, pairs in enumerate(schedule):
        for donor, recipient in pairs:
            met.setdefault(frozenset((donor, recipient)), []).append((index, donor))
    return met


@given(half=st.integers(2, 12), rounds=st.integers(1, 60))
def test_under_alternating_no_two_of_four_agents_or_more_meet_in_both_roles(half: int, rounds: int) -> None:
    schedule = Alternating().schedule([f"1_{index}" for index in range(2 * half)], rounds, stream(1, "pairing", 1))
    assert n_reversed(schedule) == 0
    giving = [{donor for donor, _ in pairs} for pairs in schedule]
    assert all(one.isdisjoint(other) for one, other in itertools.pairwise(giving))
    met = meetings(Alternating(), 2 * half, rounds)
    gaps = {later[0] - sooner[0] for each in met.values() for sooner, later in itertools.pairwise(each)}
    assert gaps <= ({half} if half % 2 == 0 else {half - 1, half + 1})  # one class of rounds cannot have more matchings
    assert len(met) == half * min(rounds, half)


@given(half=st.integers(2, 12), rounds=st.integers(1, 60))
def test_pairs_may_recur_in_the_order_of_the_round_robin(half: int, rounds: int) -> None:
    rule = Alternating(in_both_roles=True)
    met = meetings(rule, 2 * half, rounds)
    assert all(later[0] - sooner[0] == half for each in met.values() for sooner, later in itertools.pairwise(each))
    schedule = rule.schedule([f"1_{index}" for index in range(2 * half)], rounds, stream(1, "pairing", 1))
    assert n_reversed(schedule) == (half * max(0, rounds - half) if half % 2 else 0)
    assert half % 2 or schedule == Alternating().schedule(
        [f"1_{index}" for index in range(2 * half)], rounds, stream(1, "pairing", 1)
    )


def test_two_agents_meet_in_both_roles_under_every_rule_but_by_chance() -> None:
    for rule in (Alternating(), Released()):
        schedule = rule.schedule(["1_1", "1_2"], 12, stream(1, "pairing", 1))
        assert n_reversed(schedule) == 11 and all(len(pairs) == 1 for pairs in schedule)


@given(half=st.integers(1, 8), rounds=st.integers(1, 40))
def test_under_released_two_agents_meet_again_with_roles_reversed(half: int, rounds: int) -> None:
    for each in meetings(Released(), 2 * half, rounds).values():
        assert all(sooner[1] != later[1] for sooner, later in itertools.pairwise(each))


def test_reversed_meetings_are_counted() -> None:
    agents = [f"1_{index}" for index in range(12)]
    assert n_reversed(Released().schedule(agents, 12, stream(0, "pairing", 1))) == 36
    assert n_reversed(Alternating().schedule(agents, 12, stream(0, "pairing", 1))) == 0
    first = (("1_1", "1_2"), ("1_3", "1_4"))
    again = (("1_1", "1_2"), ("1_4", "1_3"))
    assert n_reversed((first, again, again)) == 2  # the third round's second pair has met in both roles before


def test_of_an_odd_number_of_agents_one_sits_out_each_round_each_equally_often() -> None:
    agents = [f"1_{index}" for index in range(5)]
    schedule = RandomMatching().schedule(agents, 5000, stream(0, "pairing", 1))
    idle = Counter(agent for pairs in schedule for agent in set(agents) - {name for pair in pairs for name in pair})
    assert sum(idle.values()) == 5000 and all(len(pairs) == 2 for pairs in schedule)
    assert all(idle[agent] == pytest.approx(1000, abs=120) for agent in agents)


def test_swapping_exchanges_the_roles_of_every_pair() -> None:
    assert swapped(((("a", "b"), ("c", "d")),)) == ((("b", "a"), ("d", "c")),)
