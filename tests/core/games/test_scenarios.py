"""The scenario files of `scenarios/games` come to what their heads say, played by their own policies."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import fmean

import pytest

import agentsim
from agentsim.core.answers import Answer
from agentsim.core.facts import Event, GenerationEnded, Moved, Settled, StrategyFormed
from agentsim.core.games import MatrixGame
from agentsim.core.games.matrix import TABLES
from agentsim.core.registry import REGISTRY
from agentsim.core.requests import Request
from agentsim.core.society import Society
from agentsim.play.scripted import scripted_answer
from agentsim.scenario.loading import load_scenario
from agentsim.scenario.players import ModelPlayer
from agentsim.scenario.runs import RunSpec, runs

FILES = sorted((Path(agentsim.__file__).parent.parent / "scenarios" / "games").glob("*.yaml"))
Scores = dict[str, float]
"""The mean score of each player's agents in the last generation."""


def played(spec: RunSpec) -> list[Event]:
    """Return the facts of one run, whose agents are played by the scenario's policies."""
    society = Society(spec.condition, labels=spec.condition.labels, seed=spec.seed)

    def answer(request: Request) -> Answer:
        player = spec.condition.by_label[society.label_of(request.agent)]
        assert not isinstance(player, ModelPlayer)
        return scripted_answer(player, request, seed=spec.seed)

    (events, waiting) = society.start()
    while waiting:
        request = waiting.pop()
        step = society.answer(request, answer(request))
        events.extend(step.events)
        waiting.extend(step.asked)
    assert society.is_finished
    return events


def conditions(name: str, *, seeds: str = "0-4") -> list[list[list[Event]]]:
    """Return the facts of all runs of a file, by condition, in the order of the file."""
    [path] = [path for path in FILES if path.stem == name]
    found = defaultdict(list)
    for spec in runs(load_scenario(path, seeds=seeds)):
        found[spec.name.partition("--seed-")[0]].append(played(spec))
    return list(found.values())


def scores(facts: list[list[Event]]) -> Scores:
    """Return the mean score of each player's agents in the last generation, over runs."""
    found = defaultdict(list)
    for events in facts:
        labels = {event.agent.id: event.agent.label for event in events if isinstance(event, StrategyFormed)}
        last = [event for event in events if isinstance(event, GenerationEnded)][-1]
        for agent, score in last.scores.items():
            found[labels[agent]].append(score)
    return {label: fmean(each) for label, each in found.items()}


def moves(facts: list[list[Event]]) -> list[Moved]:
    return [event for events in facts for event in events if isinstance(event, Moved)]


def settled(facts: list[list[Event]]) -> list[Settled]:
    return [event for events in facts for event in events if isinstance(event, Settled)]


def gained(event: Settled) -> list[float]:
    return [after - before for before, after in zip(event.before, event.after, strict=True)]


def test_each_game_but_the_donor_game_has_a_file() -> None:
    kinds = {load_scenario(path).game.kind for path in FILES}
    assert kinds == set(REGISTRY.of("game")) - {"donor"}
    tables = [game.table for path in FILES if isinstance(game := load_scenario(path).game, MatrixGame)]
    assert all(table in tables for table in TABLES.values())


def test_nice_entries_stand_above_the_others_in_the_tournament() -> None:
    without, with_errors = conditions("prisoners-dilemma")
    found = scores(without)
    others = {"scripted/suspicious-tit-for-tat", "scripted/all-keep"}
    assert min(found[label] for label in found.keys() - others) > max(found[label] for label in others)
    assert max(found, key=lambda label: found[label]) == "scripted/tit-for-two-tats"
    assert not any(move.intended for move in moves(without))
    assert fmean(move.intended is not None for move in moves(with_errors)) == pytest.approx(0.05, abs=0.01)


def test_stag_takes_over_where_more_than_two_thirds_hunt_it() -> None:
    often, seldom = (scores(facts) for facts in conditions("stag-hunt"))
    assert often == {"scripted/all-give (stag)": 4 * 12}
    assert seldom == {"scripted/all-keep (hare)": 2 * 12}


def test_the_rarer_choice_does_better_in_chicken() -> None:
    swerve, straight = "scripted/all-give (swerve)", "scripted/all-keep (straight)"
    few_straight, few_swerve = (scores(facts) for facts in conditions("chicken"))
    assert few_straight[straight] > few_straight[swerve]
    assert few_swerve[swerve] > few_swerve[straight]


def test_the_convention_of_most_takes_over() -> None:
    [facts] = conditions("coordination")
    assert scores(facts) == {"scripted/all-give (left)": 12}


def test_free_riders_earn_most_where_nobody_punishes() -> None:
    [facts] = conditions("public-goods-with-punishment")
    found = scores(facts)
    assert max(found, key=lambda label: found[label]) == "scripted/all-keep"
    for move in moves(facts):
        assert move.option == ("contribute" if move.stage == "contribute" else "nothing")
    contributed = sum(move.amount or 0.0 for move in moves(facts) if move.stage == "contribute")
    n_members = sum(len(event.members) for event in settled(facts))
    assert sum(sum(gained(event)) for event in settled(facts)) == pytest.approx(20 * n_members + 0.6 * contributed)


def test_a_tenth_each_keeps_the_lake_full_and_a_seventh_nearly_empties_it() -> None:
    tenth, seventh, everything = conditions("commons", seeds="0")
    assert [event.state_after for event in settled(tenth)] == [100.0] * 12
    assert scores(tenth) == {"scripted/constant-share": 120}
    stocks = [event.state_after or 0.0 for event in settled(seventh)]
    assert stocks == sorted(stocks, reverse=True) and stocks[0] == 60 and stocks[-1] == 10
    assert scores(seventh)["scripted/constant-share"] < 120 / 3
    assert settled(everything)[0].state_after == 0 and scores(everything) == {"scripted/all-keep": 20}


def test_who_trusts_makes_more_together_and_less_alone() -> None:
    [facts] = conditions("trust")
    for event in settled(facts):
        assert sum(gained(event)) in (20, 30)
    found = scores(facts)
    assert found["scripted/all-keep"] > found["scripted/constant-share"]


def test_offers_are_accepted_by_those_of_half_and_refused_by_those_of_nothing() -> None:
    [facts] = conditions("ultimatum")
    for events in facts:
        labels = {event.agent.id: event.agent.label for event in events if isinstance(event, StrategyFormed)}
        responses = [move for move in moves([events]) if move.role == "responder"]
        for label, option in (("scripted/constant-share", "accept"), ("scripted/all-keep", "reject")):
            assert {move.option for move in responses if labels[move.actor] == label} == {option}
    assert {sum(gained(event)) for event in settled(facts)} == {0, 10}


def test_dictators_give_their_share() -> None:
    [facts] = conditions("dictator", seeds="0")
    labels = {event.agent.id: event.agent.label for event in facts[0] if isinstance(event, StrategyFormed)}
    given = {(labels[move.actor], move.amount) for move in moves(facts)}
    assert given == {
        ("scripted/all-keep", 0),
        ("scripted/constant-share (share 0.2)", 2),
        ("scripted/constant-share (share 0.5)", 5),
    }
