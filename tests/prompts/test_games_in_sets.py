"""Each shipped set tells and asks in every game what default does, in its own words."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from pydantic import ValidationError

from agentsim.core.answers import Answer, Move, MoveSpec
from agentsim.core.games.before import BEFORE
from agentsim.core.requests import DecisionView, Request
from agentsim.core.rules import SocietyRules
from agentsim.prompts.sets import load_prompt_set
from agentsim.prompts.structured import schema_of
from tests.core.playing import play
from tests.prompts.test_shipped_sets import OTHERS, all_texts, completion, numbers

ROWS = [[4, -1, 0], [6, 0, -2], [1, 2, 3]]
TABLES: list[Any] = [
    *("prisoners-dilemma", "stag-hunt", "chicken", "coordination"),
    {"options": ["x", "y", "z"], "payoffs": ROWS},
    {"options": ["x", "y", "z"], "payoffs": ROWS, "second": [[5, 1, 7], [-3, 0, 1], [2, 2, 8]]},
]
SANCTIONS: list[Any] = [None, {"effect": 3, "most": 10}]
STEPS = (1, 2.5, None)
ASKED_OBSERVATIONS: list[Any] = [
    {"kind": "none"},
    {"kind": "trace", "depth": 2},
    {"kind": "history", "depth": 2},
    {"kind": "image_score", "shows_own": True},
    {"kind": "standing", "shows_own": True},
    [{"kind": "memory", "of": "all", "depth": 3}, {"kind": "standing"}],
]


def games() -> Iterator[dict[str, Any]]:
    """Yield each game at settings in which each branch of its sentences is taken."""
    for table, order, error in itertools.product(TABLES, ("simultaneous", "sequential"), (0, 0.1)):
        yield {"kind": "matrix", "table": table, "order": order, "error": error}
    for punishment, step in itertools.product(SANCTIONS, STEPS):
        for reward in (None, {"effect": 2, "most": 4}):
            yield {"kind": "public_goods", "group": 3, "punishment": punishment, "reward": reward, "step": step}
    for limit, collapse, step in itertools.product(("stock", "share"), (0, 5), STEPS):
        yield {"kind": "commons", "group": 3, "limit": limit, "collapse": collapse, "step": step}
    for kind, step in itertools.product(("trust", "ultimatum", "dictator"), STEPS):
        yield {"kind": kind, "step": step, "income": 12}


def with_more_stages() -> Iterator[dict[str, Any]]:
    """Yield games in turn, and those with stages before an encounter."""
    yield {"kind": "public_goods", "group": 3, "help": {"cost": 2, "benefit": 5}, "turns": ["contribute", "help"]}
    yield {"kind": "public_goods", "group": 6, "reward": {}, "institutions": "choice", "refusal": {}, "ostracism": {}}
    yield {"kind": "matrix", "choice": {"offered": 3}, "refusal": {"cost": 2}}


def one_of_each() -> Iterator[dict[str, Any]]:
    yield from ({"kind": kind} for kind in ("matrix", "trust", "ultimatum", "dictator"))
    yield {"kind": "matrix", "order": "sequential"}
    yield from ({"kind": kind, "group": 3} for kind in ("public_goods", "commons"))


def observations() -> Iterator[dict[str, Any]]:
    yield {"kind": "none"}
    yield from ({"kind": "trace", "depth": depth, "delay": depth} for depth in range(4))
    yield from ({"kind": "history", "depth": depth, "known": 0.4} for depth in (1, 3))
    yield from ({"kind": "memory", "of": of, "depth": depth} for of in ("all", "partner") for depth in (1, 3))
    noises: list[dict[str, Any]] = [{}, {"noise": 0.2, "audience": "public"}, {"noise": 0.2, "audience": "private"}]
    for noise, own in itertools.product(noises, (True, False)):
        yield {"kind": "image_score", "threshold": 0.3, "shows_own": own, **noise}
    acts = ("give_to_good", "give_to_bad", "keep_from_good", "keep_from_bad")
    tables = [dict(zip(acts, judged, strict=True)) for judged in itertools.product(("good", "bad"), repeat=4)]
    yield from ({"kind": "standing", "assessment": table} for table in tables)
    yield from ({"kind": "standing", "shows_own": True, "of_bad_donors": table} for table in tables[::5])


def settings() -> Iterator[dict[str, Any]]:
    for game, endowment, n in itertools.product(games(), (0, 10), (1, 2)):
        yield {"game": {**game, "endowment": endowment, "games": n}}
    lengths: list[dict[str, Any]] = [
        {"length": "known"},
        {},
        {"length": "known", "continuation": 0.9, "max_rounds": 50},
    ]
    for game, length, rounds in itertools.product(one_of_each(), lengths, (1, 4)):
        yield {"game": {**game, **length, "rounds": rounds}}
    for game, rounds in itertools.product(one_of_each(), (1, 2)):
        yield {"game": {**game, "talk": {"rounds": rounds, "max_chars": 50}}}
    for game, observation in itertools.product(one_of_each(), observations()):
        yield {"game": game, "observation": observation}
    for game in one_of_each():
        yield {"game": game, "observation": [{"kind": "history"}, {"kind": "memory", "depth": 3}]}
    pairings: list[dict[str, Any]] = [{"kind": kind} for kind in ("alternating", "random", "released", "repeated")]
    pairings += [{"kind": "alternating", "in_both_roles": True}]
    pairings += [{"kind": "repeated", "length": length} for length in (1, 3)]
    for game, agents, pairing in itertools.product(one_of_each(), (2, 3, 4, 6, 7), pairings):
        yield {"game": game, "agents": agents, "pairing": pairing}


@cache
def rules() -> list[SocietyRules]:
    found = []
    for setting in settings():
        try:
            found.append(SocietyRules.model_validate({"agents": 6, "generations": 1, **setting}).told)
        except ValidationError:  # a pairing or an observation that this game cannot have
            continue
    return found


@cache
def told_by(name: str) -> list[tuple[str, ...]]:
    prompts = load_prompt_set(name)
    return [tuple(prompts.sentences(rule)) for rule in rules()]


def test_every_game_is_told_under_every_pairing_and_observation_that_it_can_have() -> None:
    kinds = {rule.game.kind for rule in rules()}
    assert kinds == {"matrix", "public_goods", "commons", "trust", "ultimatum", "dictator"}
    seen = {(rule.game.kind, one.kind) for rule in rules() for one in rule.observation.told}
    shown = ("none", "trace", "history", "image_score", "standing", "memory")
    assert seen >= set(itertools.product(kinds, shown))
    pairings = {(rule.game.kind, rule.pairing.kind) for rule in rules()}
    two = ("matrix", "trust", "ultimatum", "dictator")
    assert pairings >= set(itertools.product(two, ("alternating", "random", "released", "repeated")))
    assert pairings >= {("public_goods", "random"), ("public_goods", "repeated"), ("commons", "repeated")}


def is_well_formed(line: str) -> bool:
    starts = line[:1].isupper() and line.endswith(".")
    return starts and not re.search(
        r" [.,;:]|\.\.|  |[{}]|\bNone\b|\b1 (?:units|points|tokens|Einheiten|rounds|Runden)\b", line
    )


@pytest.mark.parametrize("name", ["default", *OTHERS])
def test_a_set_tells_games_apart_where_default_does_and_with_the_same_numbers(name: str) -> None:
    there: dict[tuple[str, ...], tuple[str, ...]] = {}
    back: dict[tuple[str, ...], tuple[str, ...]] = {}
    for own, default in zip(told_by(name), told_by("default"), strict=True):
        assert len(own) == len(default), (own, default)
        for line, theirs in zip(own, default, strict=True):
            assert numbers(line) == numbers(theirs), (line, theirs)
            assert is_well_formed(line), line
            assert line != theirs or name in ("default", "neutral")
        assert there.setdefault(default, own) == own, "differs where default does not"
        assert back.setdefault(own, default) == default, "is the same where default differs"
    assert len(back) > 300


def answer(request: Request) -> Answer:
    """Do each thing that is possible, in turn, and say something foreign."""
    spec = request.spec
    if not isinstance(spec, MoveSpec):
        return Answer(text=f'"x" of {request.key}')
    number = sum(map(int, re.findall(r"\d+", str(request.key))))
    option = spec.options[number % len(spec.options)]
    if option.targets:
        return Answer(move=Move(option.name, aimed={option.targets[number % 2]: option.step or 1.5}))
    return Answer(move=Move(option.name, None if option.high is None else option.nearest(number % 5 / 4)))


@cache
def asked() -> list[Request]:
    found: list[Request] = []
    both = [(game, ASKED_OBSERVATIONS[0]) for game in (*games(), *with_more_stages())]
    for game, observation in [*both, *itertools.product(one_of_each(), ASKED_OBSERVATIONS[1:])]:
        is_first = observation == ASKED_OBSERVATIONS[0]
        talk = {"rounds": 1, "max_chars": 50} if is_first else None
        n_rounds = 8 if game.get("refusal") else 2  # so that each stage is come to, in the first round or later
        setting = {"agents": 6, "generations": 1, "game": {**game, "rounds": n_rounds, "talk": talk}}
        setting |= {"observation": observation, "transmission": {"kind": "advice" if is_first else "none"}}
        played = play(SocietyRules.model_validate(setting), answer)[0]
        stages = {
            (request.view.stage, request.view.round == 1): request
            for request in played
            if isinstance(request.view, DecisionView)
        }
        found += stages.values()
        found += [request for request in played if not isinstance(request.view, DecisionView)][-2:]
    return found


def test_every_stage_is_asked() -> None:
    views = [request.view for request in asked() if isinstance(request.view, DecisionView)]
    stages = {f"{'before' if view.stage in BEFORE else view.rules.game.kind}/{view.stage}.md" for view in views}
    assert stages == {
        name.removeprefix("games/")
        for name in load_prompt_set("default").sources
        if name.count("/") == 2 and name.startswith("games/")
    }


@cache
def asked_by(name: str, answer_format: str) -> list[list[str]]:
    prompts = load_prompt_set(name, answer_format=answer_format)
    return [all_texts(prompts, request) for request in asked()]


@pytest.mark.parametrize("answer_format", ["text", "json"])
@pytest.mark.parametrize("name", ["default", *OTHERS])
def test_a_set_asks_in_every_stage_what_default_asks(name: str, answer_format: str) -> None:
    own = load_prompt_set(name, answer_format=answer_format)
    there: dict[tuple[SocietyRules, str], str] = {}
    back: dict[tuple[SocietyRules, str], str] = {}
    defaults, owns = (asked_by(one, answer_format) for one in ("default", name))
    for request, (_, *default), (_, *texts) in zip(asked(), defaults, owns, strict=True):
        played, question = request.view.rules, texts[0]
        for theirs, text in zip(default, texts, strict=True):
            assert set(numbers(text)) == set(numbers(theirs)), (text, theirs)
            assert there.setdefault((played, theirs), text) == text
            assert back.setdefault((played, text), theirs) == theirs
            assert not re.search(r"\n\n\n| \n|  |[{}]|\bNone\b|\b1 (?:units|points|tokens|Einheiten)\b", text), text
        if answer_format == "json":
            assert all(f'"{key}"' in question for key in schema_of(request.spec, own.words)["required"]), question
        elif isinstance(request.spec, MoveSpec):
            assert f"\n{own.words.markers.answer[0]} " in question


@pytest.mark.parametrize("name", ["default", *OTHERS])
def test_the_forms_of_moves_that_a_prompt_shows_are_read(name: str) -> None:
    prompts = load_prompt_set(name)
    marker = prompts.words.markers.answer[0]
    for request in asked():
        spec = request.spec
        if not isinstance(spec, MoveSpec) or any(
            option.high is not None and option.high < 5 for option in spec.options
        ):
            continue
        shown = [line for line in prompts.messages(request)[1].content.splitlines() if line.startswith(marker)]
        step = spec.options[0].step or 1
        targets = [name for option in spec.options for name in option.targets]
        filled = [re.sub("NUMBER|ZAHL", f"{step:g}", line) for line in shown]
        for target in targets[:2]:
            filled = [line.replace("NAME", target, 1) for line in filled]
        found = [prompts.read(completion(line), spec).move for line in filled]
        assert [move and move.option for move in found] == [option.name for option in spec.options], filled


def test_the_neutral_set_has_no_name_of_a_game_a_role_or_an_act() -> None:
    texts = list(itertools.chain(*told_by("neutral")))
    for answer_format in ("text", "json"):
        words_of = load_prompt_set("neutral", answer_format=answer_format).words
        texts += itertools.chain(*asked_by("neutral", answer_format))
        texts += [json.dumps(schema_of(request.spec, words_of)) for request in asked()]
    words = (
        r"\b(donor|donat|giv|gave|gift|recipient|punish|generous|cooperat|contribut|help|share with|defect|prisoner|"
        r"dilemma|stag|hare|chicken|swerv|straight|reward|sanction|trust|invest|proposer|offer|accept|reject|dictator|"
        r"divider|harvest|commons|public)"
    )
    assert not [text for text in set(texts) if re.search(words, text, re.IGNORECASE)]
