"""What is true of every game: encounters are asked in stages, settle once, and depend on no order of answers."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from agentsim.core.answers import Answer, MoveSpec
from agentsim.core.facts import GameEnded, Moved, Settled, Talked
from agentsim.core.policies import ConstantShare, Discriminator, Policy
from agentsim.core.requests import DecisionView, MessageView, Request
from agentsim.core.rules import SocietyRules
from agentsim.play.scripted import scripted_answer
from tests.core.playing import play

GAMES: dict[str, dict[str, Any]] = {
    "matrix": {"kind": "matrix"},
    "sequential": {"kind": "matrix", "order": "sequential", "error": 0.3},
    "public_goods": {"kind": "public_goods", "group": 3, "punishment": {}, "reward": {}},
    "commons": {"kind": "commons", "group": 3},
    "trust": {"kind": "trust"},
    "ultimatum": {"kind": "ultimatum"},
    "dictator": {"kind": "dictator"},
    "talk": {"kind": "trust", "talk": {"rounds": 2, "max_chars": 20}},
}


def rules_of(name: str, **others: Any) -> SocietyRules:
    game = {"rounds": 4, "games": 2, **GAMES[name]}
    return SocietyRules.model_validate({"agents": 6, "generations": 2, "game": game, **others})


def by(policy: Policy) -> Any:
    def answer(request: Request) -> Answer:
        return scripted_answer(policy, request, seed=3)

    return answer


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("observation", [{"kind": "history"}, [{"kind": "memory"}, {"kind": "standing"}]])
def test_the_order_of_answers_changes_nothing(name: str, observation: Any) -> None:
    rules = rules_of(name, observation=observation)
    asked, events = play(rules, by(Discriminator()), seed=3)
    assert len(asked) <= rules.n_requests(3)
    for order in range(4):
        others, facts = play(rules, by(Discriminator()), seed=3, order=Random(order))
        assert {one.key: one for one in others} == {one.key: one for one in asked}
        assert sorted(map(repr, facts)) == sorted(map(repr, events))


@pytest.mark.parametrize("name", GAMES)
def test_each_encounter_settles_once_and_holdings_follow(name: str) -> None:
    rules = rules_of(name)
    _, events = play(rules, by(ConstantShare(share=0.7)), seed=1)
    settled = [event for event in events if isinstance(event, Settled)]
    assert len(settled) == rules.n_encounters(1)
    held: dict[tuple[int, int, str], float] = {}
    for event in sorted(settled, key=lambda one: (one.generation, one.game, one.round)):
        for member, before, after in zip(event.members, event.before, event.after, strict=True):
            place = event.generation, event.game, member
            assert before == held.get(place, rules.game.endowment)
            held[place] = after
            least, most = rules.game.payoffs
            assert least - 1e-9 <= after - before <= most + 1e-9
    for ended in events:
        if isinstance(ended, GameEnded):
            assert all(units == held[ended.generation, ended.game, name] for name, units in ended.resources.items())


@pytest.mark.parametrize("name", GAMES)
def test_a_move_that_cannot_be_read_moves_nothing_in_its_encounter(name: str) -> None:
    rules = rules_of(name)

    def answer(request: Request) -> Answer:
        if isinstance(request.view, DecisionView) and request.view.round == 2 and request.agent == "1_1":
            return Answer(problem="unreadable", replaced_by="pass", attempts=3)
        return scripted_answer(ConstantShare(share=0.7), request, seed=3)

    _, events = play(rules, answer, seed=3)
    missing = [event for event in events if isinstance(event, Moved) and event.option is None]
    assert missing and all(event.level is None and event.problem == "unreadable" for event in missing)
    lost = [event for event in events if isinstance(event, Settled) and event.is_missing]
    assert {(one.generation, one.game, one.round) for one in lost} == {
        (one.generation, one.game, one.round) for one in missing
    }
    for event in lost:
        assert event.before == event.after and event.state_before == event.state_after


@pytest.mark.parametrize("name", GAMES)
def test_a_move_that_is_not_possible_is_refused(name: str) -> None:
    rules = rules_of(name)

    def answer(request: Request) -> Answer:
        if isinstance(request.spec, MoveSpec):
            possible = scripted_answer(ConstantShare(), request, seed=0).move
            assert possible is not None and request.spec.allows(possible)
            option = request.spec.options[0]
            wrong = possible.option if option.high is None else option.name
            return Answer(move=type(possible)(wrong, (option.high or 0) + 1))
        return scripted_answer(ConstantShare(), request, seed=0)

    with pytest.raises(ValueError, match="none of the moves that were possible"):
        play(rules, answer)


def test_members_talk_before_they_decide_and_read_what_was_said_before() -> None:
    rules = rules_of("talk")

    def answer(request: Request) -> Answer:
        if isinstance(request.view, MessageView):
            heard = " ".join(message.text for message in request.view.decision.messages)
            assert ("1st" in heard) == (request.view.turn == 2) and "2nd" not in heard
            return Answer(text="1st" if request.view.turn == 1 else "2nd")
        if isinstance(request.view, DecisionView):
            texts = [(message.author, message.text) for message in request.view.messages]
            members = [request.view.name, *(other.name for other in request.view.others)]
            assert len(texts) == 4 and {author for author, _ in texts} == set(members)
            assert [text for _, text in texts] == ["1st", "1st", "2nd", "2nd"]
        return scripted_answer(ConstantShare(), request, seed=0)

    _, events = play(rules, answer)
    talked = [event for event in events if isinstance(event, Talked)]
    assert len(talked) == 4 * rules.n_encounters(0)


def test_agents_remember_their_own_encounters_with_partners_or_with_all() -> None:
    for of in ("partner", "all"):
        rules = rules_of("matrix", observation={"kind": "memory", "depth": 2, "of": of})
        asked, events = play(rules, by(ConstantShare(share=0.7)), seed=2)
        settled = {
            (event.game, event.round, member): event
            for event in events
            if isinstance(event, Settled) and event.generation == 1
            for member in event.members
        }
        for request in asked:
            view = request.view
            if not isinstance(view, DecisionView) or view.generation != 1:
                continue
            game = 1 if "/game1/" in request.key else 2
            mine = [settled[game, round, view.name] for round in range(view.round - 1, 0, -1)]
            if of == "partner":
                mine = [event for event in mine if view.recipient in event.members]
            assert [past.round for past in view.memory] == [event.round for event in mine[:2]]
            for past, event in zip(view.memory, mine, strict=False):
                place = event.members.index(view.name)
                assert past.change == event.after[place] - event.before[place]
                assert {act.donor for act in past.acts} == set(event.members)
