"""Each shipped set tells what default tells, in its own words, and reads replies in them."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

import agentsim.prompts.sets
from agentsim.core.answers import ActSpec, Answer, TextSpec
from agentsim.core.facts import Problem
from agentsim.core.gifts import ANY_SHARE, FixedGift
from agentsim.core.requests import Request
from agentsim.core.rules import SocietyRules
from agentsim.prompts.sets import SHIPPED, PromptSet, load_prompt_set
from agentsim.prompts.structured import schema_of
from agentsim.prompts.words import Words, default_words
from agentsim.providers.base import Completion
from tests.core.playing import play

FOLDER = Path(agentsim.prompts.sets.__file__).parent
OTHERS = [name for name in SHIPPED if name != "default"]
GIFTS: list[Any] = ["share", {"kind": "fixed", "cost": 2, "benefit": 5}, {"kind": "units", "step": 2}]
PUNISHMENTS: list[Any] = [None, {"cost": 1, "effect": 3}]


def completion(text: str) -> Completion:
    return Completion(text=text, model=None, finish_reason="stop", latency_s=0)


def files(name: str) -> set[str]:
    return {path.relative_to(FOLDER / name).as_posix() for path in (FOLDER / name).rglob("*") if path.is_file()}


def test_the_shipped_sets_are_these() -> None:
    assert SHIPPED == ("default", "german", "neutral", "paraphrase-1", "paraphrase-2", "paraphrase-3")


@pytest.mark.parametrize("name", OTHERS)
def test_a_set_has_each_file_of_default(name: str) -> None:
    assert files(name) == files("default")


@pytest.mark.parametrize("name", [*SHIPPED, "default-json"])
def test_each_template_of_a_set_is_valid(name: str) -> None:
    prompts = load_prompt_set(name)
    files = [file for file in prompts.sources if file.endswith(".md")]
    assert len(files) > 80 and all(prompts._template(file) for file in files)


@pytest.mark.parametrize("name", OTHERS)
def test_a_set_has_a_word_for_each_option(name: str) -> None:
    words = load_prompt_set(name).words
    assert words.options.keys() >= default_words().options.keys()
    assert words.options != default_words().options or words.markers != default_words().markers


# --- the rules -----------------------------------------------------------------------------------------------------


def settings() -> Iterator[dict[str, Any]]:
    """Yield settings in which each branch of each sentence is taken."""
    for gift, punishment, error, games in itertools.product(GIFTS, PUNISHMENTS, (0, 0.1), (1, 2)):
        yield {"game": {"gift": gift, "punishment": punishment, "error": error, "games": games}}
    lengths: list[dict[str, Any]] = [{}, {"continuation": 0.9}, {"continuation": 0.9, "max_rounds": 50}]
    for length, rounds in itertools.product(lengths, (1, 4)):
        yield {"game": {"length": "known", "rounds": rounds, "games": 1, **length}}
    yield from ({"game": {"talk": {"rounds": rounds, "max_chars": 50}}} for rounds in (1, 2))
    yield from ({"agents": 4, "pairing": {"kind": "repeated", "length": length}} for length in (None, 1, 3))
    for endowment, games, generations in itertools.product(([5, 15], [4, 20, 4, 11]), (1, 2), (1, 3)):
        yield {"game": {"endowment": endowment, "games": games}, "generations": generations}
    for observation, gift, punishment in itertools.product(observations(), GIFTS, PUNISHMENTS):
        yield {"observation": observation, "game": {"gift": gift, "punishment": punishment}}
    pairings = [{"kind": "alternating"}, {"kind": "alternating", "in_both_roles": True}, {"kind": "random"}]
    for agents, pairing in itertools.product((2, 4, 5, 6, 7), [*pairings, {"kind": "released"}]):
        yield {"agents": agents, "pairing": pairing}
    for agents, selection, transmission in itertools.product((2, 8), selections(), transmissions()):
        pairing = {"kind": "random"}
        yield {"agents": agents, "selection": selection, "transmission": transmission, "pairing": pairing}


def observations() -> Iterator[dict[str, Any]]:
    yield from ({"kind": "trace", "depth": depth, "delay": depth} for depth in range(4))
    yield from ({"kind": "history", "depth": depth, "noise": 0.2, "misperceived_as": "opposite"} for depth in (1, 3))
    yield from ({"kind": "history", "noise": 0.2, "audience": audience} for audience in ("public", "private"))
    yield from ({"kind": "image_score", "threshold": 0.3, "shows_own": own, "known": 0.5} for own in (True, False))
    acts = ("give_to_good", "give_to_bad", "keep_from_good", "keep_from_bad")
    tables = [dict(zip(acts, judged, strict=True)) for judged in itertools.product(("good", "bad"), repeat=4)]
    yield from ({"kind": "standing", "assessment": table} for table in tables)
    yield from ({"kind": "standing", "shows_own": True, "of_bad_donors": table} for table in tables[::3])
    yield from ({"kind": "gossip", "depth": depth} for depth in (1, 3))
    yield from ({"kind": "memory", "of": of, "depth": depth} for of in ("all", "partner") for depth in (1, 3))
    yield {"kind": "none"}


def selections() -> Iterator[dict[str, Any]]:
    for kind in ("top", "proportional", "drift"):
        yield from ({"kind": kind, "fraction": fraction} for fraction in (0.25, 0.5, 0.75))
    for kind in ("birth_death", "death_birth", "staggered"):
        yield from ({"kind": kind, "replaced": replaced} for replaced in (1, 3))
    yield from ({"kind": "tournament", "size": size} for size in (1, 2, 20))
    yield from ({"kind": "none"}, {"kind": "top", "score": "last_game"})


def transmissions() -> Iterator[dict[str, Any]]:
    yield from ({"kind": "imitate", "beta": beta, "mutation": beta / 10} for beta in (0, 2))
    for kind in ("advice", "copy", "one_parent", "some_parents"):
        others: list[dict[str, Any]] = [{}, {"scores": False}, {"rewrite": True}]
        others += [{"n": 1}, {"n": 2, "chances": "by_score"}] if kind == "some_parents" else []
        others += [{"chances": "by_score"}] if kind in ("copy", "one_parent") else []
        yield from ({"kind": kind, **other} for other in others)
    yield {"kind": "none"}


@cache
def rules() -> list[SocietyRules]:
    found = []
    for setting in settings():
        try:
            found.append(SocietyRules.model_validate(setting).told)
        except ValidationError:  # more agents replaced than there are, or a rule that cannot be combined
            continue
    return found


@cache
def told_by(name: str) -> list[tuple[str, ...]]:
    prompts = load_prompt_set(name)
    return [tuple(prompts.sentences(rule)) for rule in rules()]


def numbers(text: str) -> Counter[str]:
    return Counter(re.findall(r"\d+(?:[._]\d+)?", re.sub(r"(?<=\d),(?=\d)", ".", text)))


@pytest.mark.parametrize("name", OTHERS)
def test_a_set_tells_rules_apart_where_default_does_and_with_the_same_numbers(name: str) -> None:
    there: dict[tuple[str, ...], tuple[str, ...]] = {}
    back: dict[tuple[str, ...], tuple[str, ...]] = {}
    seen: set[tuple[str, str]] = set()  # most lines are those of other rules, too
    for own, default in zip(told_by(name), told_by("default"), strict=True):
        assert len(own) == len(default)
        for line, theirs in set(zip(own, default, strict=True)) - seen:
            seen.add((line, theirs))
            assert numbers(line) == numbers(theirs), (line, theirs)
            assert line[0].isupper() and line.endswith(".") and not re.search(r" [.,;:]|\.\.|  |[{}]|\bNone\b", line), (
                line
            )
            assert line != theirs or name == "neutral"
        assert there.setdefault(default, own) == own, "differs where default does not"
        assert back.setdefault(own, default) == default, "is the same where default differs"
    assert len(back) > 500


# --- the questions -------------------------------------------------------------------------------------------------


def answer(request: Request) -> Answer:
    """Give or punish in many ways, and say something foreign."""
    if not isinstance(request.spec, ActSpec):
        return Answer(text=f'"x" of {request.key}')
    number = int(re.sub(r"\D", "", request.key))
    if "punish" in request.spec.acts and number % 3 == 0:
        return Answer("punish", min(2, request.spec.high))
    if request.spec.gift == ANY_SHARE:
        return Answer("give", request.spec.high * (number % 4) / 4)
    return Answer("give", 0 if number % 2 or request.spec.high < 2 else 2)


@cache
def asked() -> list[Request]:
    found: list[Request] = []
    shown: list[dict[str, Any]] = [
        {"kind": "trace", "depth": 2},
        {"kind": "gossip", "max_chars": 50},
        {"kind": "standing"},
        {"kind": "none"},
    ]
    shown += [{"kind": "image_score"}, {"kind": "memory", "of": "all"}]
    for gift, punishment, observation in itertools.product(GIFTS, PUNISHMENTS, shown):
        if observation["kind"] == "gossip" and gift != "share":
            continue
        game = {"gift": gift, "punishment": punishment, "rounds": 4}
        setting = {"agents": 4, "generations": 2, "game": game, "observation": observation}
        setting["transmission"] = {"kind": "advice", "rewrite": True}
        if observation["kind"] == "memory":
            game["talk"] = {"rounds": 1, "max_chars": 50}
        found += play(SocietyRules.model_validate(setting), answer)[0]
    return found


def all_texts(prompts: PromptSet, request: Request) -> list[str]:
    """Return the rules, the question, and what follows each unreadable answer."""
    again = [prompts.ask_again(request, one) for one in get_args(Problem)]
    return [message.content for message in (*prompts.messages(request), *again)]


@cache
def asked_by(name: str, answer_format: str) -> list[list[str]]:
    prompts = load_prompt_set(name, answer_format=answer_format)
    return [all_texts(prompts, request) for request in asked()]


@pytest.mark.parametrize("answer_format", ["text", "json"])
@pytest.mark.parametrize("name", OTHERS)
def test_a_set_asks_what_default_asks(name: str, answer_format: str) -> None:
    own = load_prompt_set(name, answer_format=answer_format)
    there: dict[str, str] = {}
    back: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    defaults, owns = (asked_by(one, answer_format) for one in ("default", name))
    for request, (_, *default), (_, *texts) in zip(asked(), defaults, owns, strict=True):
        question = texts[0]
        for theirs, text in set(zip(default, texts, strict=True)) - seen:
            seen.add((theirs, text))
            assert set(numbers(text)) == set(numbers(theirs)), (text, theirs)
            assert there.setdefault(theirs, text) == text and back.setdefault(text, theirs) == theirs
            assert not re.search(r"\n\n\n| \n|  |[{}]|\bNone\b", text), text
        if answer_format == "json":
            assert all(f'"{key}"' in question for key in schema_of(request.spec, own.words)["required"])
        elif isinstance(request.spec, TextSpec):
            marker = getattr(own.words.markers, request.spec.what)[0]
            assert question.endswith(f"\n{marker}")
        else:
            assert f"\n{own.words.markers.answer[0]} " in question


def test_the_neutral_set_has_no_word_of_gifts_or_of_the_games_name() -> None:
    texts = list(itertools.chain(*told_by("neutral")))
    for answer_format in ("text", "json"):
        words_of = load_prompt_set("neutral", answer_format=answer_format).words
        texts += itertools.chain(*asked_by("neutral", answer_format))
        texts += [json.dumps(schema_of(request.spec, words_of)) for request in asked()]
    words = r"\b(donor|donat|giv|gave|gift|recipient|punish|generous|cooperat|contribut|help|share with)"
    assert not [text for text in set(texts) if re.search(words, text, re.IGNORECASE)]


# --- the replies ---------------------------------------------------------------------------------------------------


def lines_of(name: str) -> list[dict[str, Any]]:
    path = Path(__file__).parent / "sets" / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def spec_of(line: dict[str, Any]) -> ActSpec:
    gift = FixedGift(cost=2, benefit=5) if line["fixed"] else ANY_SHARE
    return ActSpec(tuple(line["acts"]), line["high"], gift=gift)


@pytest.mark.parametrize("name", OTHERS)
def test_replies_in_a_sets_words_are_read_as_they_were_meant(name: str) -> None:
    prompts, lines = load_prompt_set(name), lines_of(name)
    clear = [line for line in lines if line["act"] is not None]
    read = 0
    for line in lines:
        found = prompts.read(completion(line["text"]), spec_of(line))
        if found.is_valid:
            assert (found.act, found.amount) == (line["act"], line["amount"]), line["text"]
            read += 1
    assert len(clear) >= 60 and len(lines) - len(clear) >= 60
    assert read >= 0.99 * len(clear)


@pytest.mark.parametrize("name", OTHERS)
def test_the_forms_that_a_prompt_shows_are_read(name: str) -> None:
    prompts = load_prompt_set(name)
    for request in asked():
        if not isinstance(request.spec, ActSpec):
            continue
        marker = prompts.words.markers.answer[0]
        shown = [line for line in prompts.messages(request)[1].content.splitlines() if line.startswith(marker)]
        found = [prompts.read(completion(re.sub("NUMBER|ZAHL", "2", line)), request.spec) for line in shown]
        if request.spec.high >= 2:
            assert shown and all(one.is_valid for one in found), shown
            assert {one.act for one in found} == set(request.spec.acts)
            assert len({(one.act, one.amount) for one in found}) == len(found)


@pytest.mark.parametrize("name", OTHERS)
def test_json_is_read_by_a_sets_keys(name: str) -> None:
    prompts = load_prompt_set(name, answer_format="json")
    keys = prompts.words.json_

    def read(said: dict[str, Any], spec: ActSpec | TextSpec) -> Answer:
        return prompts.read(completion(json.dumps(said)), spec, is_structured=True)

    either = ActSpec(("give", "punish"), 10)
    for act in either.acts:
        assert read({keys.act: prompts.words.word(act), keys.units: 3}, either) == Answer(act, 3.0)
    assert not read({keys.act: "other", keys.units: 3}, either).is_valid
    assert read({keys.units: f"4 {prompts.words.units.many}"}, ActSpec(("give",), 10)).amount == 4
    assert read({keys.give: True}, ActSpec(("give",), 10, gift=FixedGift(cost=2, benefit=5))).amount == 2
    assert read({keys.strategy: "to share"}, TextSpec(99)).text == "to share"
    assert read({keys.note: "fair"}, TextSpec(99, "note")).text == "fair"


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("what", ["strategy", "note"])
def test_a_text_is_read_from_behind_a_sets_marker(name: str, what: Any) -> None:
    prompts = load_prompt_set(name)
    marker = getattr(prompts.words.markers, what)[0]
    for text in (f"{marker} abc def.", f"1, 2, 3.\n**{marker}** abc def.", f"{marker.lower()}\n\nabc def.\n\nxyz!"):
        assert prompts.read(completion(text), TextSpec(99, what)).text == "abc def."
    for text in ("abc def.", marker, f"{marker} {announced(prompts.words)}"):
        assert not prompts.read(completion(text), TextSpec(99, what)).is_valid


def announced(words: Words) -> str:
    return words.texts.announces[0]
