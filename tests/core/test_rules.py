"""What every rule must do, whichever it is: new members of the unions are tested here without being named."""

from __future__ import annotations

from random import Random
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from agentsim.core.observation import ObservationRule
from agentsim.core.pairing import PairingRule
from agentsim.core.rng import stream
from agentsim.core.selection import SelectionRule
from agentsim.core.society import SocietyRules
from agentsim.core.strategies import ScriptedPlayer
from agentsim.core.transmission import TransmissionRule
from agentsim.core.types import Agent, DecisionView, Encounter, GenerationEnded, StrategyFormed, StrategyView
from tests.core.playing import constant, play


def members(union: Any) -> list[type[BaseModel]]:
    """Return the classes of a union, or the one class of what is not yet one."""
    if isinstance(union, type):
        return [union]
    return [kind for part in get_args(union) for kind in (get_args(part) or (part,)) if isinstance(kind, type)]


RULES = [
    pytest.param({field: kind()}, id=f"{field}-{kind.__name__}")
    for field, union in (
        ("pairing", PairingRule),
        ("observation", ObservationRule),
        ("selection", SelectionRule),
        ("transmission", TransmissionRule),
    )
    for kind in members(union)
]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("agents", [4, 6, 10])
def test_a_society_under_every_rule_plays_to_its_end_the_same_in_any_order(rule: dict[str, Any], agents: int) -> None:
    rules = SocietyRules(agents=agents, generations=3, **rule)
    asked, events = play(rules, constant(0.3))
    assert sum(isinstance(event, Encounter) for event in events) == 3 * 2 * 12 * agents // 2
    n_survivors = [len(event.survivors) for event in events if isinstance(event, GenerationEnded)]
    born = sum(isinstance(event, StrategyFormed) for event in events)
    assert born == agents + sum(agents - n for n in n_survivors[:-1])
    assert len(asked) == len({request.key for request in asked})
    _, shuffled = play(rules, constant(0.3), order=Random(1))
    assert sorted(event.model_dump_json() for event in shuffled) == sorted(event.model_dump_json() for event in events)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_survives_writing_and_reading(rule: dict[str, Any]) -> None:
    rules = SocietyRules(**rule)
    assert SocietyRules.model_validate_json(rules.model_dump_json()) == rules


@pytest.mark.parametrize("kind", members(SelectionRule))
def test_every_selection_keeps_agents_that_exist_once_each_and_never_all(kind: Any) -> None:
    rule = kind()
    for seed in range(20):
        scores = {f"1_{index}": float(Random(seed).randrange(3)) for index in range(8)}
        kept = rule.survivors(scores, stream(seed, "selection", 1))
        assert 0 < len(kept) == len(set(kept)) == rule.n_survivors(8) < 8 and set(kept) <= set(scores)


@pytest.mark.parametrize("kind", members(TransmissionRule))
def test_every_transmission_shows_survivors_only(kind: Any) -> None:
    survivors = [Agent(id=f"1_{index}", born=1, model="m", strategy=f"strategy {index}") for index in range(3)]
    shown = kind().advice(survivors, {agent.id: 1.0 for agent in survivors}, stream(0, "transmission", 2))
    assert {item.agent for item in shown} <= {agent.id for agent in survivors}


@pytest.mark.parametrize("kind", members(ObservationRule))
def test_every_observation_shows_the_past_only(kind: Any) -> None:
    asked, _ = play(SocietyRules(generations=1, observation=kind()), constant(0.3))
    views = [request.view for request in asked if isinstance(request.view, DecisionView)]
    assert all(item.round < view.round for view in views for item in view.trace)
    assert all(not view.trace for view in views if view.round == 1)


@pytest.mark.parametrize("kind", members(ScriptedPlayer))
def test_every_policy_gives_a_share_that_hangs_on_its_view_and_stream_alone(kind: Any) -> None:
    asked, _ = play(SocietyRules(generations=1), constant(0.3))
    for request in asked:
        if isinstance(request.view, StrategyView):
            continue
        shares = {kind().decide(request.view, stream(0, "policy", request.key)) for _ in range(2)}
        assert len(shares) == 1 and 0 <= shares.pop() <= 1
