"""What comes before an encounter: choosing a partner, refusing, voting somebody out, joining an institution."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import pytest
from pydantic import ValidationError

from agentsim.core.answers import Answer, Move, MoveSpec, Option
from agentsim.core.facts import Encounter, Event, GameEnded, Moved, SatOut, Settled
from agentsim.core.games.before import BEFORE, matched, voted_out
from agentsim.core.policies import AllKeep, ConstantShare
from agentsim.core.policies.deciding import decided
from agentsim.core.requests import DecisionView, Request
from agentsim.core.rules import SocietyRules
from agentsim.prompts.sets import SHIPPED, load_prompt_set
from agentsim.providers.base import Completion
from tests.core.playing import play

Say = Callable[[DecisionView, MoveSpec], str | None]


def society(game: Mapping[str, Any], **changes: Any) -> SocietyRules:
    base = {"agents": 8, "generations": 1, "pairing": {"kind": "random"}, "observation": {"kind": "history"}}
    return SocietyRules.model_validate({**base, **changes, "game": {"rounds": 6, "games": 1, **game}})


def answering(say: Say, level: float = 0.5) -> Callable[[Request], Answer]:
    """Answer what comes before an encounter by a function (`None`: unreadable), and all else at a level."""

    def answer(request: Request) -> Answer:
        view = request.view
        if not isinstance(view, DecisionView):
            return Answer(text="-")
        if view.stage in BEFORE:
            assert isinstance(request.spec, MoveSpec)
            said = say(view, request.spec)
            return Answer(problem="unreadable", replaced_by="pass") if said is None else Answer(move=Move(said))
        return view.rules.game.answer(request.spec, level, stage=view.stage)  # type: ignore[arg-type]

    return answer


def sat_out(events: list[Event]) -> list[SatOut]:
    return [event for event in events if isinstance(event, SatOut)]


def holdings(events: list[Event]) -> dict[str, float]:
    return next(dict(event.resources) for event in events if isinstance(event, GameEnded))


def number(agent: str) -> int:
    return int(agent.partition("_")[2])


# --- refusal ---------------------------------------------------------------------------------------------------------


def test_who_is_refused_does_not_meet_and_what_it_costs_is_paid() -> None:
    rules = society({"refusal": {"cost": 1, "instead": 3}}, observation={"kind": "memory"})
    asked, events = play(rules, answering(lambda view, _: "refuse" if view.name == "1_1" else "play"), seed=1)
    met = [event for event in events if isinstance(event, Encounter)]
    assert not any("1_1" in (one.donor, one.recipient) for one in met)
    assert len(met) == rules.n_encounters(1) - 6 == 18
    gone = sat_out(events)
    assert {(one.reason, one.after - one.before) for one in gone} == {("refused", 2.0), ("was_refused", 3.0)}
    assert holdings(events)["1_1"] == 10 + 6 * 2
    assert len(asked) == rules.n_requests(1) - 6 and len([e for e in events if isinstance(e, Moved)]) == 48
    past = next(one.view.memory for one in reversed(asked) if one.agent == "1_1" and isinstance(one.view, DecisionView))
    assert past[0].acts[0].act == "refuse" and past[0].change == 2


def test_refusing_costs_no_more_than_there_is() -> None:
    _, events = play(society({"refusal": {"cost": 4}}), answering(lambda *_: "refuse"), seed=1)
    assert set(holdings(events).values()) == {0.0} and min(one.after for one in sat_out(events)) == 0


def test_those_who_part_do_not_meet_again_in_the_game() -> None:
    rules = society({"refusal": {"ends": "game", "instead": 1}, "games": 2}, pairing={"kind": "repeated"})
    _, events = play(rules, answering(lambda view, _: "refuse" if view.round == 3 else "play"), seed=1)
    met = {(one.game, one.round) for one in events if isinstance(one, Encounter)}
    assert met == {(game, round) for game in (1, 2) for round in (1, 2)}
    reasons = {
        one.round: {other.reason for other in sat_out(events) if other.round == one.round} for one in sat_out(events)
    }
    assert reasons == {3: {"refused"}, 4: {"parted"}, 5: {"parted"}, 6: {"parted"}}


@pytest.mark.parametrize("known", ["members", "all"])
def test_a_refusal_is_shown_to_others_if_it_is_said(known: str) -> None:
    rules = society({"refusal": {"known": known}, "rounds": 12})
    asked, _ = play(rules, answering(lambda view, _: "refuse" if view.name == "1_1" else "play"), seed=1)
    acts = [item for one in asked if isinstance(one.view, DecisionView) for item in one.view.trace]
    refusals = [item for item in acts if item.act == "refuse"]
    assert bool(refusals) == (known == "all") and {item.donor for item in refusals} <= {"1_1"}
    assert all(item.level is None for item in refusals)


def test_what_cannot_be_read_is_no_refusal_and_no_consent() -> None:
    rules = society({"refusal": {"cost": 1, "instead": 3}})
    _, events = play(rules, answering(lambda view, _: None if view.name == "1_1" else "play"), seed=1)
    gone = sat_out(events)
    assert {one.reason for one in gone} == {"missing"} and all(one.after == one.before for one in gone)
    unread = [event for event in events if isinstance(event, Moved) and event.actor == "1_1"]
    assert len(unread) == 6 and all(event.option is None and event.problem == "unreadable" for event in unread)
    zero = society({"refusal": {}})
    _, events = play(zero, lambda request: Answer(problem="unreadable", replaced_by="zero", text="-"), seed=1)
    assert {one.reason for one in sat_out(events)} == {"missing"}


def test_members_of_a_larger_group_play_without_those_who_refuse() -> None:
    rules = society({"kind": "public_goods", "group": 4, "rounds": 3, "refusal": {"instead": 5}}, agents=4)
    _, events = play(rules, answering(lambda view, _: "refuse" if number(view.name) < view.round else "play"), seed=1)
    played = {event.round: len(event.members) for event in events if isinstance(event, Settled)}
    assert played == {1: 4, 2: 3, 3: 2}
    # Each contributes 10 of 20 and gets its share of 1.6 times the pot: 10 + 16 whatever the group.
    assert holdings(events) == {"1_1": 26 + 5 + 5, "1_2": 26 + 26 + 5, "1_3": 78, "1_4": 78}
    _, events = play(rules, answering(lambda view, _: "refuse" if number(view.name) < 4 else "play"), seed=1)
    assert {(one.agent, one.reason) for one in sat_out(events)} >= {("1_4", "was_refused"), ("1_1", "refused")}
    assert set(holdings(events).values()) == {15}


# --- choice ----------------------------------------------------------------------------------------------------------


def test_mutual_choices_meet_then_one_sided_ones_then_the_rest() -> None:
    members = ("a", "b", "c", "d", "e", "f")
    chosen = {"a": "b", "b": "a", "c": "a", "d": "c", "e": "c", "f": None}
    assert matched(members, chosen, ["e", "d", "c", "f", "a", "b"]) == [("a", "b"), ("c", "e"), ("d", "f")]
    assert matched(members, chosen, ["d", "e", "c", "f", "a", "b"]) == [("a", "b"), ("c", "d"), ("e", "f")]
    assert matched(members, dict.fromkeys(members), list(members)) == [("a", "b"), ("c", "d"), ("e", "f")]


@pytest.mark.parametrize("pairing", ["random", "repeated"])
def test_agents_meet_whom_they_choose_among_those_they_are_offered(pairing: str) -> None:
    rules = society({"choice": {"offered": 3}, "games": 2}, pairing={"kind": pairing})

    def lowest(view: DecisionView, spec: MoveSpec) -> str:
        return min((option.name for option in spec.options), key=number)

    asked, events = play(rules, answering(lowest), seed=1)
    met = [event for event in events if isinstance(event, Encounter)]
    assert len(met) == rules.n_encounters(1) == 2 * 6 * 4 and len(asked) == rules.n_requests(1)
    sets = {(r.key.rpartition("/")[0], r.agent): r.spec for r in asked if isinstance(r.view, DecisionView)}
    for one in met:  # the two lowest of a set choose each other
        offered = {
            option.name
            for (key, agent), spec in sets.items()
            if agent == one.donor and key == f"g1/game{one.game}/r{one.round:02}/{agent}" and isinstance(spec, MoveSpec)
            for option in spec.options
        }
        assert len(offered) == 3 and one.recipient in offered
        lowest_two = sorted({*offered, one.donor}, key=number)[:2]
        assert (one.donor in lowest_two) == (one.recipient in lowest_two)
    again = play(rules, answering(lowest), seed=1, order=Random(5))[1]
    assert sorted(map(str, again)) == sorted(map(str, events))


def test_a_choice_that_cannot_be_read_is_none() -> None:
    rules = society({"choice": {"offered": 3}})
    _, events = play(rules, answering(lambda *_: None), seed=1)
    assert len([event for event in events if isinstance(event, Encounter)]) == rules.n_encounters(1)
    assert not sat_out(events)


# --- ostracism -------------------------------------------------------------------------------------------------------


def test_votes_are_counted_against_a_share_of_the_others() -> None:
    members = ("a", "b", "c", "d")
    assert voted_out(members, {"a": "d", "b": "d", "c": "nobody", "d": "a"}, share=0.5) == "d"
    assert voted_out(members, {"a": "d", "b": "c", "c": "d", "d": None}, share=2 / 3) is None
    assert voted_out(members, {"a": "b", "b": "a", "c": "a", "d": "b"}, share=0.5) == "a"
    assert voted_out(members, dict.fromkeys(members, "nobody"), share=0) is None


def test_who_is_voted_out_takes_no_part_for_so_many_rounds() -> None:
    game = {"kind": "public_goods", "group": 4, "rounds": 5, "ostracism": {"rounds": 3}}
    rules = society(game, agents=4, observation={"kind": "memory"})

    def against_first(view: DecisionView, spec: MoveSpec) -> str:
        return "1_1" if view.round == 2 and view.name != "1_1" else "nobody"

    asked, events = play(rules, answering(against_first), seed=1)
    played = {event.round: len(event.members) for event in events if isinstance(event, Settled)}
    assert played == {1: 4, 2: 3, 3: 3, 4: 3, 5: 4}
    assert {(one.agent, one.round, one.reason) for one in sat_out(events)} == {
        ("1_1", round, "excluded") for round in (2, 3, 4)
    }
    assert not any(
        one.agent == "1_1" and isinstance(one.view, DecisionView) and one.view.round in (3, 4) for one in asked
    )
    memory = next(
        o.view.memory for o in asked if o.agent == "1_2" and isinstance(o.view, DecisionView) and o.view.round == 3
    )
    assert memory[0].acts[0].act == "voted-out"
    _, events = play(rules, answering(lambda view, _: None), seed=1)  # votes that cannot be read exclude nobody
    assert not sat_out(events)


# --- institutions ----------------------------------------------------------------------------------------------------


def test_those_who_join_the_same_institution_play_together() -> None:
    game = {"kind": "public_goods", "group": 5, "rounds": 2, "punishment": {}, "institutions": "choice"}
    rules = society(game, agents=5, observation={"kind": "memory"})

    def choose(view: DecisionView, spec: MoveSpec) -> str:
        return "with-sanctions" if number(view.name) <= (3 if view.round == 1 else 1) else "without-sanctions"

    asked, events = play(rules, answering(choose), seed=1)
    played = {(event.round, frozenset(event.members)) for event in events if isinstance(event, Settled)}
    three, two, four = ({f"1_{n}" for n in range(*ends)} for ends in ((1, 4), (4, 6), (2, 6)))
    assert played == {(1, frozenset(three)), (1, frozenset(two)), (2, frozenset(four))}
    sanctions = {
        (one.agent, one.view.round)
        for one in asked
        if isinstance(one.view, DecisionView) and one.view.stage == "sanction"
    }
    assert sanctions == {(agent, 1) for agent in three}
    memory = next(
        one.view.memory
        for one in asked
        if isinstance(one.view, DecisionView) and (one.agent, one.view.round) == ("1_4", 2)
    )
    assert {act.act for act in memory[0].acts} == {"without-sanctions", "contribute"}
    [alone] = sat_out(events)
    assert (alone.agent, alone.round, alone.reason, alone.after - alone.before) == ("1_1", 2, "alone", 20)


# --- what policies do, and what agents are told -----------------------------------------------------------------------


def test_policies_refuse_choose_and_vote_by_what_they_know() -> None:
    def mixed(game: Mapping[str, Any], least: float | None, **changes: Any) -> list[Event]:
        rules = society(game, **changes)
        by_agent = {f"1_{n}": AllKeep() if n <= 2 else ConstantShare(share=0.8, meets_from=least) for n in range(1, 9)}

        def answer(request: Request) -> Answer:
            if not isinstance(request.view, DecisionView):
                return Answer(text="-")
            return decided(by_agent[request.agent], request, seed=1)

        return play(rules, answer, seed=1)[1]

    refused = sat_out(mixed({"refusal": {}, "rounds": 20}, 0.5))
    assert refused and {one.reason for one in refused if one.agent in ("1_1", "1_2")} == {"was_refused"}
    assert all({"1_1", "1_2"} & {one.agent, *one.others} for one in refused)
    assert not sat_out(mixed({"refusal": {}, "rounds": 20}, None))
    met = [event for event in mixed({"choice": {}, "rounds": 20}, 0.5) if isinstance(event, Encounter)]
    late = [one for one in met if one.round > 10]
    both = {"1_1", "1_2"}
    free = [one for one in late if len(both & {one.donor, one.recipient}) == 1]
    assert len(free) < len([one for one in met if one.round <= 10 and len(both & {one.donor, one.recipient}) == 1])
    group = {"kind": "public_goods", "group": 4, "rounds": 12, "ostracism": {"rounds": 2}}
    out = {one.agent for one in sat_out(mixed(group, 0.5)) if one.reason == "excluded"}
    assert out and out <= both


GAMES: list[dict[str, Any]] = [
    {"refusal": {}},
    {"refusal": {"cost": 2}},
    {"refusal": {"instead": 2}},
    {"refusal": {"ends": "game"}},
    {"refusal": {"known": "all"}},
    {"choice": {}},
    {"choice": {"offered": 5}},
    {"kind": "public_goods", "refusal": {}},
    {"kind": "public_goods", "ostracism": {"rounds": 1}},
    {"kind": "public_goods", "ostracism": {"rounds": 4}},
    {"kind": "public_goods", "ostracism": {"rounds": 4, "share": 0.75}},
    {"kind": "public_goods", "punishment": {}},
    {"kind": "public_goods", "punishment": {}, "institutions": "choice"},
    {"kind": "public_goods", "reward": {}, "institutions": "choice"},
]


@pytest.mark.parametrize("prompts", SHIPPED)
def test_each_set_tells_what_comes_before(prompts: str) -> None:
    texts = ["\n".join(load_prompt_set(prompts).sentences(society(game, agents=12).told)) for game in GAMES]
    assert len(set(texts)) == len(texts)
    for text in texts:
        assert "{" not in text and "None" not in text and "  " not in text
        assert all(line[0].isupper() and line[-1] in ".?" for line in text.splitlines()), text


def test_the_neutral_set_tells_them_without_loaded_words() -> None:
    loaded = load_prompt_set("neutral")
    turns = {"kind": "public_goods", "help": {}, "turns": ["contribute", "help"]}
    texts = ["\n".join(loaded.sentences(society(game, agents=12).told)) for game in (*GAMES, turns)]
    for game in (*GAMES, turns):
        asked, _ = play(society({**game, "rounds": 2}, agents=12), answering(lambda _, spec: spec.options[0].name))
        texts += [m.content for one in asked if isinstance(one.view, DecisionView) for m in loaded.messages(one)]
    loaded_words = r"\b(donor|giv|gift|punish|cooperat|contribut|help|defect|reward|sanction|trust|accept|offer)"
    assert not [text for text in texts if re.search(loaded_words, text, re.IGNORECASE)]


@pytest.mark.parametrize("prompts", [*SHIPPED, "default-json"])
@pytest.mark.parametrize(
    "game",
    [
        {"refusal": {"known": "all"}},
        {"kind": "matrix", "refusal": {}},
        {"kind": "trust", "choice": {}},
        {"kind": "public_goods", "ostracism": {}, "refusal": {}, "punishment": {}, "institutions": "choice"},
    ],
)
def test_each_question_can_be_answered_in_its_own_forms(prompts: str, game: dict[str, Any]) -> None:
    loaded = load_prompt_set(prompts)
    rules = society({**game, "rounds": 2}, observation=[{"kind": "history"}, {"kind": "memory"}])
    asked, _ = play(
        rules, answering(lambda view, spec: spec.options[-1].name if view.round == 2 else spec.options[0].name)
    )
    stages = set()
    for request in asked:
        view = request.view
        if not isinstance(view, DecisionView) or view.stage not in BEFORE:
            continue
        stages.add(view.stage)
        text = loaded.messages(request)[1].content
        assert isinstance(request.spec, MoveSpec) and "{" not in text and "None" not in text
        words = [loaded.words.word(option.name) for option in request.spec.options]
        if prompts == "default-json":
            said = [json.dumps({"reasoning": "-", "act": word}) for word in words]
        else:
            said = re.findall(rf"^{re.escape(loaded.words.markers.answer[0])} .*$", text, re.MULTILINE)
        read = [
            loaded.read(
                Completion(text=one, model=None, finish_reason="stop", latency_s=0),
                request.spec,
                is_structured=prompts == "default-json",
            )
            for one in said
        ]
        assert [answer.move and answer.move.option for answer in read] == [o.name for o in request.spec.options], said
        assert loaded.ask_again(request, "unreadable").content
    assert stages == set(rules.game.before)


def test_words_that_agents_use_for_an_answer_are_read() -> None:
    loaded = load_prompt_set("default")
    spec = MoveSpec((Option("1_2"), Option("1_21"), Option("nobody")))

    def read(text: str) -> str | None:
        answer = loaded.read(Completion(text=text, model=None, finish_reason="stop", latency_s=0), spec)
        return answer.move.option if answer.move else answer.problem

    assert read("I prefer a fair one.\nAnswer: agent 1_2") == "1_2" and read("Answer: 1_21.") == "1_21"
    assert read("Answer: I choose 1_2") == "1_2" and read("Answer: no one") == "nobody"
    assert read("Answer: 1_3") == "unreadable" and read("Answer: 1_2 or 1_21") in ("unreadable", "ambiguous")


@pytest.mark.parametrize(
    ("game", "changes", "words"),
    [
        ({"choice": {"offered": 4}}, {}, "4 is even"),
        ({"choice": {}}, {"agents": 6, "pairing": {"kind": "repeated"}}, "6 cannot be divided"),
        ({"choice": {}}, {"pairing": {"kind": "alternating"}}, "are offered each other"),
        ({"kind": "public_goods", "choice": {}}, {}, "use a game of two"),
        ({"ostracism": {}}, {}, "cannot be played without one of them"),
        (
            {"kind": "commons", "group": 4, "ostracism": {}},
            {"pairing": {"kind": "repeated"}},
            "cannot be played without",
        ),
        ({"kind": "commons", "group": 4, "refusal": {}}, {"pairing": {"kind": "repeated"}}, "share a stock"),
        ({"kind": "public_goods", "refusal": {"ends": "game"}}, {}, "parts two for good"),
        ({"refusal": {}}, {"observation": {"kind": "gossip"}}, "encounters that took place"),
        ({"kind": "public_goods", "institutions": "choice"}, {}, "no choice without punishment or reward"),
    ],
)
def test_what_cannot_come_before_is_refused(game: dict[str, Any], changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        society(game, **changes)
