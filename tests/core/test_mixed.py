"""Societies of several models: who plays newborns, given strategies, survivors that speak again, slow turnover."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from agentsim.core.answers import Answer
from agentsim.core.facts import Agent, Event, GenerationEnded, StrategyFormed, born_and_index
from agentsim.core.requests import DecisionView, Request, StrategyView
from agentsim.core.rng import stream
from agentsim.core.rules import SocietyRules
from agentsim.core.selection import DeathBirth, Staggered
from agentsim.core.society import Society
from agentsim.core.transmission import Advice, Copy, OneParent

MODELS = ["giver"] * 4 + ["keeper"] * 4


def play(
    rules: SocietyRules, *, seed: int = 0, order: Random | None = None, strategies: dict[str, str] | None = None
) -> tuple[list[tuple[Request, str]], list[Event]]:
    """Givers give half, keepers nothing; return the questions with who was asked, and the facts."""
    society = Society(rules, labels=MODELS[: rules.agents], seed=seed, strategies=strategies)
    (events, waiting), asked = society.start(), []
    while waiting:
        request = waiting.pop(order.randrange(len(waiting)) if order else 0)
        player = society.label_of(request.agent)
        asked.append((request, player))
        share = 0.5 if player == "giver" else 0.0
        if isinstance(request.view, DecisionView):
            answer = Answer(act="give", amount=share * request.view.resources)
        else:
            answer = Answer(text=f"{request.agent} in {request.view.generation}")
        step = society.answer(request, answer)
        events.extend(step.events)
        waiting.extend(step.asked)
    return asked, events


def living(events: list[Event]) -> list[Counter[str]]:
    """Return the models that play in each generation."""
    models = {event.agent.id: event.agent.label for event in events if isinstance(event, StrategyFormed)}
    return [Counter(models[agent] for agent in event.scores) for event in events if isinstance(event, GenerationEnded)]


@pytest.mark.parametrize("learning", [Advice(), OneParent(), Copy(model_from="vacancy")])
def test_vacancies_are_filled_by_the_model_that_left_them(learning: Any) -> None:
    _, events = play(SocietyRules(agents=8, generations=4, transmission=learning))
    assert living(events) == [Counter(giver=4, keeper=4)] * 4


@pytest.mark.parametrize("learning", [Advice(model_from="parent"), OneParent(model_from="parent"), Copy()])
def test_a_newborn_has_the_model_of_a_parent_where_the_rule_says_so(learning: Any) -> None:
    for seed in range(5):
        _, events = play(SocietyRules(agents=8, generations=4, transmission=learning), seed=seed)
        by_id = {event.agent.id: event.agent for event in events if isinstance(event, StrategyFormed)}
        born = [agent for agent in by_id.values() if agent.born > 1]
        assert born and all(agent.label in {by_id[parent].label for parent in agent.parents} for agent in born)
    assert len({str(counts) for counts in living(events)}) > 1


def test_shares_of_the_beginning_decide_where_the_rule_says_so() -> None:
    rules = SocietyRules(agents=8, generations=20, transmission=Advice(model_from="share"))
    born = Counter[str]()
    for seed in range(10):
        _, events = play(rules, seed=seed)
        agents = [event.agent for event in events if isinstance(event, StrategyFormed) and event.generation > 1]
        born.update(agent.label for agent in agents)
    assert born["giver"] / born.total() == pytest.approx(0.5, abs=0.06)


def test_given_strategies_are_followed_and_not_asked_for() -> None:
    asked, events = play(SocietyRules(agents=8, generations=2), strategies={"giver": "to give half"})
    first = {event.agent.id: event for event in events if isinstance(event, StrategyFormed) and event.generation == 1}
    assert len(first) == 8
    assert {event.agent.strategy for event in first.values() if event.agent.label == "giver"} == {"to give half"}
    assert {event.attempts for event in first.values() if event.agent.label == "giver"} == {0}
    told = [request for request, player in asked if isinstance(request.view, StrategyView) and player == "giver"]
    assert {request.view.generation for request in told} <= {2}


def test_survivors_that_may_rewrite_are_asked_and_follow_their_last_words() -> None:
    rules = SocietyRules(agents=8, generations=3, transmission=Advice(rewrite=True))
    asked, events = play(rules)
    assert len(asked) == rules.n_requests(0) == 8 * 3 + 3 * 2 * 12 * 4
    kept = [request.view for request, _ in asked if isinstance(request.view, StrategyView) and request.view.is_survivor]
    assert len(kept) == 4 + 4
    for view in kept:
        assert view.own == f"{view.name} in {view.generation - 1}"
        assert view.name not in {item.agent for item in view.advice} and len(view.advice) == 3
    for request, _ in asked:
        if isinstance(request.view, DecisionView):
            assert request.view.strategy == f"{request.agent} in {request.view.generation}"
    agents = [event.agent for event in events if isinstance(event, StrategyFormed)]
    assert all(agent.born == born_and_index(agent.id)[0] for agent in agents)


def test_a_survivor_that_says_nothing_readable_keeps_what_it_had() -> None:
    society = Society(SocietyRules(agents=4, generations=2, transmission=Advice(rewrite=True)), labels="m", seed=0)
    (events, waiting) = society.start()
    while waiting:
        request = waiting.pop()
        if isinstance(request.view, StrategyView):
            silent = Answer(problem="unreadable", replaced_by="pass", attempts=3)
            answer = silent if request.view.is_survivor else Answer(text="first words")
        else:
            answer = Answer(act="give", amount=0)
        step = society.answer(request, answer)
        events += step.events
        waiting += step.asked
    again = [event for event in events if isinstance(event, StrategyFormed) and event.generation > event.agent.born]
    assert len(again) == 2 and all(event.agent.strategy == "first words" and event.problem for event in again)


@pytest.mark.parametrize("learning", [Advice(rewrite=True, model_from="parent"), Copy(chances="by_score")])
def test_the_order_of_answers_changes_no_fact_of_a_mixed_society(learning: Any) -> None:
    rules = SocietyRules(agents=8, generations=4, transmission=learning, selection=DeathBirth(replaced=2))
    one, other = (play(rules, order=order)[1] for order in (None, Random(1)))
    assert sorted(event.model_dump_json() for event in one) == sorted(event.model_dump_json() for event in other)


# --- few at a time --------------------------------------------------------------------------------------------------


def test_the_oldest_leave_where_turnover_is_staggered_whatever_they_earned() -> None:
    scores = {"1_1": 99.0, "1_2": 5.0, "2_1": 1.0, "3_1": 0.0}
    rule = Staggered()
    left = Counter[str]()
    for seed in range(200):
        kept = rule.survivors(scores, stream(seed, "selection", 3))
        assert len(kept) == 3
        left.update(set(scores) - set(kept))
    assert set(left) == {"1_1", "1_2"} and left["1_1"] == pytest.approx(100, abs=30)
    assert Staggered(replaced=3).survivors(scores, stream(0, "selection", 3)) == ("3_1",)


def test_who_leaves_by_death_and_birth_depends_on_chance_alone() -> None:
    scores = {f"1_{index}": float(index) for index in range(1, 9)}
    left = Counter[str]()
    for seed in range(4000):
        left.update(set(scores) - set(DeathBirth().survivors(scores, stream(seed, "selection", 1))))
    assert all(left[agent] / 4000 == pytest.approx(1 / 8, abs=0.02) for agent in scores)


def test_chances_by_score_draw_parents_in_proportion() -> None:
    survivors = [Agent(id=f"1_{index}", born=1, label="m", strategy="s") for index in (3, 2, 1)]
    scores = {"1_1": 1.0, "1_2": 2.0, "1_3": 5.0}
    numbers = [(index + 0.5) / 800 for index in range(800)]
    drawn = Counter(Copy(chances="by_score").parent(survivors, scores, number).id for number in numbers)
    assert drawn == {"1_3": 500, "1_2": 200, "1_1": 100}
    equal = Counter(Copy().parent(survivors, scores, number).id for number in numbers)
    assert max(equal.values()) - min(equal.values()) <= 1
    nothing = dict.fromkeys(scores, 0.0)
    assert Copy(chances="by_score").parent(survivors, nothing, 0.99).id == "1_1"
    shown = Counter(
        OneParent(chances="by_score").advice(survivors, scores, stream(seed, "transmission", "2_1"))[0].agent
        for seed in range(4000)
    )
    assert shown["1_3"] / 4000 == pytest.approx(5 / 8, abs=0.03)


def test_more_cannot_leave_than_there_are() -> None:
    with pytest.raises(ValueError, match=r"selection\.replaced: 4 of 4 agents leaves 0 survivors"):
        SocietyRules(agents=4, selection=DeathBirth(replaced=4))
