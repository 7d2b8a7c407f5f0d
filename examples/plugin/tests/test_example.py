"""Each thing of the package does what every one of its kind does."""

from __future__ import annotations

from random import Random

import pytest
from agentsim_example.games import GiveSome
from agentsim_example.policies import Matching
from agentsim_example.providers import HALF
from agentsim_example.rules import Elite

import agentsim
from agentsim.testing import conformance

THINGS = [Elite(), Elite(elite=3, survive=0.3), Matching(), Matching(first=0, most=0.4), GiveSome(), HALF]
EVERY = [
    pytest.param(check, id=f"{type(thing).__name__} {number}: {check}")
    for number, thing in enumerate(THINGS)
    for check in conformance.checks(thing)
]


@pytest.mark.parametrize("check", EVERY)
def test_it_does_what_every_one_of_its_kind_does(check: conformance.Check) -> None:
    check()


def test_the_best_survive_for_certain() -> None:
    scores = {f"1_{index}": float(index) for index in range(8)}
    for seed in range(20):
        kept = Elite(elite=2).survivors(scores, Random(seed))
        assert kept[:2] == ("1_7", "1_6") and len(kept) == 4


def test_a_scenario_names_them() -> None:
    players, selection = {"model": "scripted/matching"}, {"kind": "elite"}
    scenario = agentsim.scenario_from({"name": "x", "players": players, "selection": selection})
    assert scenario.selection == Elite()
