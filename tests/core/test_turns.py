"""Games in turn: rounds of contributing and of helping alternate, and what was done in both is known."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from agentsim.core.answers import Answer, MoveSpec
from agentsim.core.facts import GameEnded, Moved, Settled
from agentsim.core.games import PublicGoodsGame
from agentsim.core.requests import DecisionView, Request
from agentsim.core.rules import SocietyRules
from agentsim.prompts.sets import SHIPPED, load_prompt_set
from agentsim.providers.base import Completion
from tests.core.playing import play


def society(**game: Any) -> SocietyRules:
    shared = {"kind": "public_goods", "group": 4, "rounds": 6, "help": {"cost": 1, "benefit": 4}}
    return SocietyRules.model_validate(
        {
            "agents": 4,
            "generations": 1,
            "game": {**shared, "turns": ["contribute", "help"], **game},
            "pairing": {"kind": "repeated"},
            "observation": {"kind": "history", "depth": 6},
        }
    )


def at(level: float) -> Any:
    def answer(request: Request) -> Answer:
        view = request.view
        if not isinstance(view, DecisionView):
            return Answer(text="-")
        own = 0.0 if view.name == "1_1" else level
        return view.rules.game.answer(request.spec, own, stage=view.stage)  # type: ignore[arg-type]

    return answer


def test_rounds_alternate_and_helping_goes_round_all_others() -> None:
    rules = society()
    asked, events = play(rules, at(1), seed=1)
    moves = [event for event in events if isinstance(event, Moved)]
    assert {(move.round, move.stage) for move in moves} == {
        (round, "help" if round % 2 == 0 else "contribute") for round in range(1, 7)
    }
    assert len(asked) == rules.n_requests(1) and len(moves) == 24
    game = rules.game
    assert isinstance(game, PublicGoodsGame)
    for member in ("1_1", "1_2", "1_3", "1_4"):
        helped = [game.helped_by(round, ("1_3", "1_1", "1_4", "1_2"), member) for round in (2, 4, 6)]
        assert sorted([*helped, member]) == ["1_1", "1_2", "1_3", "1_4"]
    # Three of four contribute 20: 24 to each in each of three rounds; each helper pays 1 and helps every other once.
    final = next(event.resources for event in events if isinstance(event, GameEnded))
    assert final == {"1_1": 3 * (20 + 24) + 3 * 4, **{f"1_{n}": 3 * 24 - 3 + 2 * 4 for n in (2, 3, 4)}}


def test_what_was_done_in_both_kinds_of_round_is_known_later() -> None:
    asked, _ = play(society(), at(1), seed=1)
    last = next(one.view for one in asked if one.agent == "1_2" and getattr(one.view, "round", 0) == 6)
    assert isinstance(last, DecisionView)
    known = {other.name: [(item.act, item.level, item.recipient) for item in other.trace] for other in last.others}
    assert [act for act, _, _ in known["1_1"]] == ["contribute", "pass", "contribute", "pass", "contribute"]
    assert [level for _, level, _ in known["1_3"]] == [1.0] * 5 and {level for _, level, _ in known["1_1"]} == {0.0}
    helped = {recipient for act, _, recipient in known["1_3"] if act == "help"}
    assert len(helped) == 2 and None not in helped


def test_any_order_of_rounds_may_be_listed_and_an_unreadable_answer_moves_nothing() -> None:
    rules = society(turns=["help", "help", "contribute"])
    _, events = play(rules, at(1), seed=1)
    by_round = {event.round: event.stage for event in events if isinstance(event, Moved)}
    assert [by_round[round] for round in range(1, 7)] == ["help", "help", "contribute"] * 2

    def silent(request: Request) -> Answer:
        return Answer(problem="unreadable", replaced_by="pass", text="-") if request.agent == "1_1" else at(1)(request)

    _, events = play(rules, silent, seed=1)
    assert all(event.is_missing and event.before == event.after for event in events if isinstance(event, Settled))


@pytest.mark.parametrize("prompts", SHIPPED)
def test_each_set_tells_of_turns_and_reads_their_answers(prompts: str) -> None:
    loaded = load_prompt_set(prompts)
    texts = [
        "\n".join(loaded.sentences(society(**game).told))
        for game in (
            {},
            {"turns": ["help", "contribute"]},
            {"turns": ["help", "help", "contribute"]},
            {"help": {"cost": 2, "benefit": 4}},
            {"help": None, "turns": ["contribute"]},
        )
    ]
    assert len(set(texts)) == len(texts) and all("{" not in text and "None" not in text for text in texts)
    asked, _ = play(society(), at(1), seed=1)
    request = next(one for one in asked if isinstance(one.view, DecisionView) and one.view.stage == "help")
    text = loaded.messages(request)[1].content
    forms = re.findall(rf"^{re.escape(loaded.words.markers.answer[0])} .*$", text, re.MULTILINE)
    assert isinstance(request.spec, MoveSpec) and "{" not in text
    read = [
        loaded.read(Completion(text=one, model=None, finish_reason="stop", latency_s=0), request.spec) for one in forms
    ]
    assert [answer.move and answer.move.option for answer in read] == ["help", "pass"], forms


@pytest.mark.parametrize(
    ("game", "words"),
    [
        ({"turns": ["contribute"]}, "is played in the turns that name it"),
        ({"help": None}, "is played in the turns that name it"),
        ({"punishment": {}}, "nothing to sanction"),
    ],
)
def test_turns_that_cannot_be_are_refused(game: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        society(**game)
