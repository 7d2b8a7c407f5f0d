from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agentsim.core.answers import Answer
from agentsim.core.facts import (
    Donated,
    Encounter,
    Event,
    GameEnded,
    GenerationEnded,
    Missed,
    Punished,
    StrategyFormed,
)
from agentsim.core.games import DonorGame, Punishment
from agentsim.core.requests import DecisionView, Request, StrategyView
from agentsim.core.rules import SocietyRules
from agentsim.core.selection import Top
from agentsim.core.transmission import Advice
from tests.core.playing import constant, play

SMALL = SocietyRules(agents=6, generations=3, game=DonorGame(rounds=5, punishment=Punishment()))


def noisy(seed: int) -> object:
    """Answers that depend on the question alone: gifts, punishments and silence."""

    def answer(request: Request) -> Answer:
        rng = Random(f"{seed}/{request.key}")
        if not isinstance(request.view, DecisionView):
            return Answer(text=f"strategy of {request.agent}")
        draw = rng.random()
        if draw < 0.1:
            return Answer(problem="unreadable", replaced_by="pass", attempts=3)
        if draw < 0.2:
            return Answer(problem="unreadable", replaced_by="zero", attempts=3)
        amount = rng.choice([0.0, 1.0, rng.random()]) * request.view.resources
        return Answer(act="punish" if draw < 0.4 else "give", amount=amount)

    return answer


def facts(events: list[Event]) -> list[str]:
    return sorted(event.model_dump_json() for event in events)


@given(seed=st.integers(0, 50), order=st.randoms(use_true_random=False))
def test_the_order_of_answers_changes_no_fact(seed: int, order: Random) -> None:
    _, in_turn = play(SMALL, noisy(seed), seed=seed)  # type: ignore[arg-type]
    _, shuffled = play(SMALL, noisy(seed), seed=seed, order=order)  # type: ignore[arg-type]
    assert facts(in_turn) == facts(shuffled)


def test_a_thousand_orders_of_the_same_answers_give_one_society() -> None:
    rules = SMALL.model_copy(update={"agents": 4, "generations": 2})
    histories = {"".join(facts(play(rules, noisy(3), seed=3, order=Random(n))[1])) for n in range(1000)}  # type: ignore[arg-type]
    assert len(histories) == 1


@given(seed=st.integers(0, 50))
def test_resources_are_conserved_but_for_gifts_that_grow_and_punishment(seed: int) -> None:
    _, events = play(SMALL, noisy(seed), seed=seed)  # type: ignore[arg-type]
    for game in (event for event in events if isinstance(event, GameEnded)):
        encounters = [
            event
            for event in events
            if isinstance(event, Encounter) and (event.generation, event.game) == (game.generation, game.game)
        ]
        given_ = sum(event.amount for event in encounters if isinstance(event, Donated))
        burnt = sum(event.amount + event.removed for event in encounters if isinstance(event, Punished))
        assert sum(game.resources.values()) == pytest.approx(6 * 10 + given_ - burnt)
        assert min(game.resources.values()) >= 0


@given(seed=st.integers(0, 50))
def test_survivors_are_the_best_and_keep_name_and_strategy(seed: int) -> None:
    asked, events = play(SMALL, noisy(seed), seed=seed)  # type: ignore[arg-type]
    ended = [event for event in events if isinstance(event, GenerationEnded)]
    formed = {event.agent.id: event for event in events if isinstance(event, StrategyFormed)}
    assert len(formed) == sum(isinstance(event, StrategyFormed) for event in events) == 6 + 2 * 3
    for before, after in pairwise(ended):
        worst_kept = min(before.scores[agent] for agent in before.survivors)
        culled = [score for agent, score in before.scores.items() if agent not in before.survivors]
        assert len(before.survivors) == 3 and worst_kept >= max(culled)
        assert set(before.survivors) <= set(after.scores)
    assert ended[-1].survivors == ()
    for request in asked:
        if isinstance(request.view, DecisionView):
            assert request.view.strategy == f"strategy of {request.agent}"


def test_newborns_see_the_survivors_strategies_with_their_scores_or_without() -> None:
    for scores in (True, False):
        asked, events = play(SMALL.model_copy(update={"transmission": Advice(scores=scores)}), constant(0.5))
        first = next(event for event in events if isinstance(event, GenerationEnded))
        views = [request.view for request in asked if request.key.startswith("g2/strategy/")]
        assert len(views) == 3
        for view in views:
            assert isinstance(view, StrategyView)
            assert {item.agent for item in view.advice} == set(first.survivors)
            shown = [item.score for item in view.advice]
            assert shown == ([first.scores[item.agent] for item in view.advice] if scores else [None] * 3)


def test_the_second_game_is_the_first_with_roles_swapped() -> None:
    _, events = play(SocietyRules(generations=1), constant(0.5))
    met = {game: set() for game in (1, 2)}  # type: dict[int, set[tuple[int, str, str]]]
    for event in events:
        if isinstance(event, Encounter):
            pair = (event.donor, event.recipient) if event.game == 1 else (event.recipient, event.donor)
            met[event.game].add((event.round, *pair))
    assert met[1] == met[2] and len(met[1]) == 72


def test_punishment_removes_its_effect_and_never_more_than_there_is() -> None:
    rules = SocietyRules(agents=2, generations=1, game=DonorGame(rounds=1, games=1, punishment=Punishment()))

    def punish(amount: float) -> Punished:
        _, events = play(
            rules,
            lambda request: (
                Answer(act="punish", amount=amount) if isinstance(request.view, DecisionView) else Answer(text="punish")
            ),
        )
        return next(event for event in events if isinstance(event, Punished))

    mild, harsh = punish(3), punish(8)
    assert (mild.donor_after, mild.recipient_after, mild.removed, mild.fraction) == (7, 4, 6, 0.3)
    assert (harsh.donor_after, harsh.recipient_after, harsh.removed) == (2, 0, 10)


def test_a_missing_decision_moves_nothing_and_is_no_gift_of_zero() -> None:
    def silent(request: Request) -> Answer:
        return Answer(problem="unreadable", replaced_by="pass", attempts=3)

    _, events = play(SMALL, silent)
    encounters = [event for event in events if isinstance(event, Encounter)]
    assert all(isinstance(event, Missed) and event.problem == "unreadable" for event in encounters)
    assert all(event.donor_after == event.donor_before for event in encounters)
    strategies = [event for event in events if isinstance(event, StrategyFormed)]
    assert all(event.agent.strategy is None and event.problem == "unreadable" for event in strategies)


def test_an_encounter_waits_for_its_two_agents_only() -> None:
    rules = SocietyRules(generations=1)
    asked, _ = play(rules, constant(0.5), order=Random(1))
    rounds = [request.view.round for request in asked if isinstance(request.view, DecisionView)]
    assert rounds != sorted(rounds)


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"agents": 7}, "even number"),
        ({"agents": 2, "selection": Top(fraction=0.1)}, "0 survivors"),
        ({"agents": 4, "selection": Top(fraction=0.95)}, "4 survivors"),
    ],
)
def test_impossible_societies_are_refused(settings: dict[str, object], where: str) -> None:
    with pytest.raises(ValidationError, match=where):
        SocietyRules.model_validate(settings)


def test_ties_are_broken_at_random_and_not_by_name() -> None:
    kept = set()
    for seed in range(20):
        _, events = play(SMALL, constant(0), seed=seed)
        kept.add(next(event for event in events if isinstance(event, GenerationEnded)).survivors)
    assert len(kept) > 10
