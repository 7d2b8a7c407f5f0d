"""Acts that fail, and games whose length is drawn."""

from __future__ import annotations

from collections import Counter

import pytest

from agentsim.core.answers import Answer
from agentsim.core.facts import Donated, Encounter, Event, GameEnded, Missed, Punished
from agentsim.core.games import DonorGame, Punishment
from agentsim.core.requests import DecisionView, Request
from agentsim.core.rules import SocietyRules
from agentsim.core.society import Society
from agentsim.prompts.sets import load_prompt_set
from tests.core.playing import constant, play


def failing(error: float, **game: object) -> SocietyRules:
    return SocietyRules(generations=4, game=DonorGame(error=error, **game))


def punishes(request: Request) -> Answer:
    if not isinstance(request.view, DecisionView):
        return Answer(text="-")
    return Answer(act="punish", amount=0.1 * request.view.resources)


def acts(events: list[Event]) -> list[Donated | Punished]:
    return [event for event in events if isinstance(event, Donated | Punished)]


def test_where_an_act_fails_nothing_moves_and_what_was_meant_is_kept() -> None:
    _, events = play(failing(0.3), constant(0.5))
    failed = [event for event in acts(events) if event.intended is not None]
    assert len(failed) == pytest.approx(0.3 * len(acts(events)), abs=40)
    for event in failed:
        assert (event.amount, event.fraction, event.intended) == (0, 0, 0.5 * event.donor_before)
        assert (event.donor_after, event.recipient_after) == (event.donor_before, event.recipient_before)
    assert all(event.amount == 0.5 * event.donor_before for event in acts(events) if event.intended is None)


def test_a_punishment_that_fails_takes_nothing_and_is_seen_as_giving_nothing() -> None:
    asked, events = play(failing(0.5, punishment=Punishment()), punishes)
    failed = {(event.generation, event.game, event.round, event.donor): event for event in acts(events)}
    for event in failed.values():
        assert isinstance(event, Punished)
        if event.intended is not None:
            assert (event.amount, event.fraction, event.removed) == (0, 0, 0) and event.intended > 0
            assert event.recipient_after == event.recipient_before
    seen = Counter[str | None]()
    for request in asked:
        if not isinstance(request.view, DecisionView):
            continue
        game = int(request.key.split("/")[1][4:])
        for item in request.view.trace:
            event = failed[request.view.generation, game, item.round, item.donor]
            seen[item.act] += 1
            assert (item.act, item.fraction) == (("punish", event.fraction) if event.intended is None else ("give", 0))
    assert set(seen) == {"give", "punish"}


def test_which_acts_fail_hangs_on_the_seed_and_not_on_what_is_decided() -> None:
    def which(share: float, seed: int) -> set[str]:
        _, events = play(failing(0.3), constant(share), seed=seed)
        return {event.key for event in acts(events) if event.intended is not None and event.generation == 1}

    assert which(0.0, 0) == which(0.9, 0) != which(0.9, 1)


def test_an_answer_that_nobody_gave_does_not_fail() -> None:
    def unread(request: Request) -> Answer:
        if not isinstance(request.view, DecisionView):
            return Answer(text="-")
        return Answer(problem="empty", replaced_by="zero" if request.view.round % 2 else "pass")

    _, events = play(failing(0.9), unread)
    assert any(isinstance(event, Missed) for event in events) and acts(events)
    assert all(event.intended is None for event in acts(events))


def test_agents_are_told_that_acts_may_fail() -> None:
    def told(rules: SocietyRules) -> str:
        return load_prompt_set("default").messages(Society(rules, labels="test", seed=0).start().asked[0])[0].content

    assert "There is a 30% chance that a donor's decision fails" in told(failing(0.3))
    assert "fails" not in told(failing(0))


# --- length ---------------------------------------------------------------------------------------------------------


def lengths(rules: SocietyRules, seed: int) -> list[set[int]]:
    """Return how many rounds the games of each generation had."""
    _, events = play(rules, constant(0.1), seed=seed)
    last = Counter[tuple[int, int]]()
    for event in events:
        if isinstance(event, Encounter):
            last[event.generation, event.game] = max(last[event.generation, event.game], event.round)
    ended = [event for event in events if isinstance(event, GameEnded)]
    assert len(last) == len(ended)
    return [{last[key] for key in last if key[0] == number} for number in range(1, rules.generations + 1)]


def test_games_go_on_by_chance_all_of_a_generation_equally_long() -> None:
    game = DonorGame(rounds=3, continuation=0.6)
    rules = SocietyRules(agents=4, generations=5, game=game)
    for seed in range(5):
        found = lengths(rules, seed)
        assert found == [{game.n_rounds(seed, generation=number)} for number in range(1, 6)]
        asked, _ = play(rules, constant(0.1), seed=seed)
        assert len(asked) == rules.n_requests(seed)
    assert len({game.n_rounds(seed, generation=1) for seed in range(50)}) > 3


def test_further_rounds_come_with_the_stated_probability() -> None:
    game = DonorGame(rounds=5, continuation=0.8)
    n = [game.n_rounds(seed, generation=1) - 5 for seed in range(5000)]
    for least in range(6):
        assert sum(length >= least for length in n) / 5000 == pytest.approx(0.8**least, abs=0.025)
    assert DonorGame(rounds=5).n_rounds(3, generation=1) == 5


def test_a_game_ends_after_its_most_rounds() -> None:
    n = [DonorGame(rounds=5, continuation=0.9, max_rounds=8).n_rounds(seed, generation=1) for seed in range(200)]
    assert set(n) == {5, 6, 7, 8} and n.count(8) == pytest.approx(200 * 0.9**3, abs=25)
    with pytest.raises(ValueError, match="max_rounds: 4 is less than the 5 rounds"):
        DonorGame(rounds=5, max_rounds=4)


def test_the_length_of_a_game_is_told_to_nobody() -> None:
    def rules_and_question(continuation: float) -> object:
        rules = SocietyRules(generations=1, game=DonorGame(rounds=4, continuation=continuation))
        return [
            load_prompt_set("default").messages(request)
            for request in Society(rules, labels="test", seed=0).start().asked
        ]

    assert rules_and_question(0.0) == rules_and_question(0.9)
