"""Groups: who meets whom, what selection compares, from whom newborns learn, and what agents are told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import pytest
from pydantic import ValidationError

from agentsim.core.answers import Answer
from agentsim.core.facts import Encounter, Event, GameEnded, GenerationEnded, Grouped, StrategyFormed
from agentsim.core.pairing import RandomMatching
from agentsim.core.policies import AllKeep, ConstantShare
from agentsim.core.requests import DecisionView, Request, StrategyView
from agentsim.core.rng import stream
from agentsim.core.rules import SocietyRules
from agentsim.core.vectorised import play_many
from agentsim.core.vectorised.societies import without_twin
from agentsim.prompts.sets import SHIPPED, load_prompt_set
from tests.core.playing import constant, play


def society(*, groups: Mapping[str, Any], **changes: Any) -> SocietyRules:
    base = {"agents": 20, "generations": 4, "game": {"rounds": 6, "games": 2}, "selection": {"fraction": 0.4}}
    return SocietyRules.model_validate({**base, "groups": {"number": 5, **groups}, **changes})


def by_name(request: Request) -> Answer:
    """Give by a share that differs between agents."""
    if not isinstance(request.view, DecisionView):
        return Answer(text="a strategy")
    born, index = request.agent.split("_")
    return Answer(act="give", amount=request.view.resources * ((int(born) * 7 + int(index) * 3) % 10) / 10)


def grouped(events: list[Event]) -> dict[int, dict[str, int]]:
    return {event.generation: event.groups for event in events if isinstance(event, Grouped)}


def ends(events: list[Event]) -> Iterator[tuple[GenerationEnded, dict[str, float]]]:
    """Yield each generation's end with the agents' own scores."""
    for ended in (event for event in events if isinstance(event, GenerationEnded)):
        games = [one.resources for one in events if isinstance(one, GameEnded) and one.generation == ended.generation]
        yield ended, {name: sum(game[name] for game in games) / len(games) for name in ended.scores}


@pytest.mark.parametrize("pairing", ["alternating", "released", "random", "repeated"])
def test_agents_meet_within_their_groups(pairing: str) -> None:
    rules = society(groups={}, pairing={"kind": pairing})
    asked, events = play(rules, by_name, seed=3)
    groups = grouped(events)
    met = [event for event in events if isinstance(event, Encounter)]
    assert len(met) == rules.n_encounters(3) and len(asked) == rules.n_requests(3)
    assert all(groups[one.generation][one.donor] == groups[one.generation][one.recipient] for one in met)
    assert all(sorted(of.values()) == sorted([1, 2, 3, 4, 5] * 4) for of in groups.values())


def test_a_share_of_rounds_is_mixed() -> None:
    def share(mixed: float) -> float:
        rules = society(groups={"mixed": mixed}, pairing={"kind": "random"}, game={"rounds": 400}, generations=1)
        _, events = play(rules, constant(0.0), seed=1)
        groups = grouped(events)[1]
        met = [event for event in events if isinstance(event, Encounter)]
        return sum(groups[one.donor] != groups[one.recipient] for one in met) / len(met)

    assert share(0) == 0 and share(1) == pytest.approx(16 / 19, abs=0.02)
    assert share(0.5) == pytest.approx(8 / 19, abs=0.06)


@pytest.mark.parametrize("weight", [0, 0.25, 1])
def test_selection_compares_what_its_weight_says(weight: float) -> None:
    _, events = play(society(groups={"weight": weight}), by_name, seed=2)
    groups = grouped(events)
    for ended, own in ends(events):
        of = groups[ended.generation]
        for agent, score in ended.scores.items():
            fellows = [own[name] for name in of if of[name] == of[agent]]
            assert score == pytest.approx(weight * sum(fellows) / 4 + (1 - weight) * own[agent])
        if weight == 1 and ended.survivors:  # whole groups live on
            assert sorted(of[name] for name in ended.survivors) == sorted(list({of[n] for n in ended.survivors}) * 4)
        if weight == 0 and ended.survivors:
            assert min(own[name] for name in ended.survivors) >= max(
                own[name] for name in own if name not in ended.survivors
            )


@pytest.mark.parametrize("learn", ["anywhere", "own_group", "one_group"])
def test_newborns_learn_where_they_may(learn: str) -> None:
    rules = society(groups={"learn": learn}, transmission={"kind": "copy"}, selection={"kind": "drift"})
    sources: dict[tuple[int, int, int], set[int]] = {}
    own = whole = 0
    for seed in range(6):
        _, events = play(rules, by_name, seed=seed)
        groups = grouped(events)
        survivors = {ended.generation + 1: ended.survivors for ended, _ in ends(events)}
        for born in (event for event in events if isinstance(event, StrategyFormed) and event.generation > 1):
            now, before = groups[born.generation][born.agent.id], groups[born.generation - 1]
            source = before[born.agent.parents[0]]
            sources.setdefault((seed, born.generation, now), set()).add(source)
            has_own = now in {before[name] for name in survivors[born.generation]}
            own += source == now and has_own
            whole += has_own
    is_one = all(len(found) == 1 for found in sources.values())
    assert (own == whole) == (learn == "own_group") and (is_one or learn != "one_group")
    assert learn != "anywhere" or not is_one


def test_those_who_migrate_exchange_their_places() -> None:
    def moved(migration: float) -> float:
        _, events = play(society(groups={"migration": migration}, generations=12), by_name, seed=4)
        found = [
            later[name] != groups[name]
            for groups, later in pairwise(grouped(events).values())
            for name in set(groups) & set(later)
        ]
        assert all(sorted(of.values()) == sorted([1, 2, 3, 4, 5] * 4) for of in grouped(events).values())
        return sum(found) / len(found)

    assert moved(0) == 0 and moved(1) == pytest.approx(16 / 20, abs=0.12) and 0.05 < moved(0.3) < 0.4


def test_newborns_are_shown_what_agents_earned_themselves() -> None:
    asked, events = play(society(groups={"weight": 1}), by_name, seed=2)
    own = {ended.generation + 1: scores for ended, scores in ends(events)}
    views = [request.view for request in asked if isinstance(request.view, StrategyView) and request.view.advice]
    assert views
    assert all(item.score == own[view.generation][item.agent] for view in views for item in view.advice)


def test_group_selection_holds_giving_where_individual_selection_loses_it() -> None:
    players = [ConstantShare(share=0.5)] * 10 + [AllKeep()] * 10
    shares = []
    for weight in (0, 1):
        rules = society(
            groups={"weight": weight, "migration": 0.05},
            generations=12,
            game={"rounds": 8},
            pairing={"kind": "random"},
            transmission={"kind": "copy"},
        )
        assert without_twin(rules, players) == ["groups.number: 5"]
        shares.append(play_many(rules, players, seeds=range(6)).share_of(0)[:, -1].mean())
    assert shares[0] == 0 and shares[1] > 0.8


def told(prompts: str = "default", **groups: Any) -> str:
    return "\n".join(load_prompt_set(prompts).sentences(society(groups=groups).told))


def test_agents_are_told_what_is_so() -> None:
    assert "There are 5 groups of 4 agents each. You only ever meet agents of your own group." in told()
    assert "the 8 agents with the most units live on" in told() and "mean units" not in told()
    assert "counts with the mean units of its group, not with its own units" in told(weight=1)
    assert "the most units" not in told(weight=1, told=False) and "mean units" not in told(weight=1, told=False)
    assert "the most units live on" in told(told=False)
    assert "drawn at random" in told(learn="one_group") and "exchange their places" in told(migration=0.1)
    two = SocietyRules.model_validate({"agents": 8, "groups": {"number": 4}})
    assert "You meet the same agent in each round." in "\n".join(load_prompt_set("default").sentences(two.told))


@pytest.mark.parametrize("prompts", SHIPPED)
def test_each_setting_changes_what_each_set_tells(prompts: str) -> None:
    texts = [
        told(prompts),
        *(told(prompts, weight=weight) for weight in (0.25, 1)),
        told(prompts, weight=1, told=False),
        *(told(prompts, learn=learn) for learn in ("own_group", "one_group")),
        told(prompts, migration=0.1),
        *(
            "\n".join(
                load_prompt_set(prompts).sentences(society(groups={"mixed": mixed}, pairing={"kind": "random"}).told)
            )
            for mixed in (0, 0.5, 1)
        ),
    ]
    assert len(set(texts)) == len(texts)
    assert all(text and "None" not in text and "{" not in text for text in texts)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"groups": {"number": 3}}, "3 groups of 20 agents"),
        ({"groups": {"number": 20}}, "20 groups of 20 agents"),
        ({"groups": {"number": 4}}, "4 groups of 5 agents, who cannot meet in sets of 2"),
        ({"groups": {"number": 5}, "pairing": {"kind": "network"}}, "remove one of them"),
        ({"groups": {"number": 5, "mixed": 0.5}}, "which mixed rounds would break"),
        (
            {
                "groups": {"number": 5, "weight": 1, "told": False},
                "transmission": {"kind": "copy", "chances": "by_score"},
            },
            "groups.told: false would leave agents told",
        ),
    ],
)
def test_groups_that_cannot_be_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SocietyRules.model_validate({"agents": 20, **changes})


@pytest.mark.parametrize("pairing", ["random", "repeated"])
@pytest.mark.parametrize(("agents", "number"), [(20, 5), (8, 2), (15, 5)])
def test_across_groups_no_two_of_one_group_meet(agents: int, number: int, pairing: str) -> None:
    if agents % 2 and pairing == "repeated":
        return
    rules = society(groups={"number": number, "meet": "across"}, agents=agents, pairing={"kind": pairing})
    _, events = play(rules, by_name, seed=3)
    groups = grouped(events)
    met = [event for event in events if isinstance(event, Encounter)]
    assert len(met) == rules.n_encounters(3) == 4 * 2 * 6 * (agents // 2)
    assert all(groups[one.generation][one.donor] != groups[one.generation][one.recipient] for one in met)
    pairs = {frozenset((one.donor, one.recipient)) for one in met if (one.generation, one.game) == (1, 1)}
    assert len(pairs) == agents // 2 if pairing == "repeated" else len(pairs) > agents // 2


def test_pairs_across_groups_are_drawn_alike() -> None:
    """Of three groups of two there are eight ways to pair all six across."""
    names = ["a1", "a2", "b1", "b2", "c1", "c2"]
    rounds = RandomMatching().across([names[:2], names[2:4], names[4:]], 4000, stream(1, "across"))
    ways = Counter(frozenset(map(frozenset, pairs)) for pairs in rounds)
    assert len(ways) == 8 and all(abs(n / 4000 - 1 / 8) < 0.02 for n in ways.values())
    donors = Counter(pair[0] for pairs in rounds for pair in pairs)
    assert all(abs(n / 4000 - 0.5) < 0.03 for n in donors.values())


def test_mixed_meetings_are_those_of_all_rounds_mixed() -> None:
    def met(groups: Mapping[str, Any]) -> list[tuple[str, str]]:
        _, events = play(society(groups=groups, pairing={"kind": "random"}), by_name, seed=1)
        return [(one.donor, one.recipient) for one in events if isinstance(one, Encounter)]

    assert met({"meet": "mixed"}) == met({"mixed": 1}) != met({"meet": "across"})
    assert "Agents of all groups meet each other." in "\n".join(
        load_prompt_set("default").sentences(society(groups={"meet": "mixed"}, pairing={"kind": "random"}).told)
    )


@pytest.mark.parametrize("prompts", SHIPPED)
def test_each_set_tells_whom_agents_meet(prompts: str) -> None:
    texts = [
        "\n".join(load_prompt_set(prompts).sentences(society(groups=groups, pairing={"kind": "random"}).told))
        for groups in (
            {},
            {"meet": "across"},
            {"meet": "mixed"},
            {"mixed": 0.5},
            {"meet": "across", "mixed": 0.5},
        )
    ]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"groups": {"number": 5, "meet": "across"}}, "across makes pairs"),
        (
            {
                "groups": {"number": 5, "meet": "across"},
                "game": {"kind": "public_goods"},
                "pairing": {"kind": "random"},
            },
            "across makes pairs",
        ),
        ({"groups": {"number": 5, "meet": "mixed", "mixed": 0.5}}, "remove one of them"),
        ({"groups": {"number": 5, "meet": "mixed"}}, "which mixed rounds would break"),
    ],
)
def test_meetings_that_cannot_be_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SocietyRules.model_validate({"agents": 20, **changes})
