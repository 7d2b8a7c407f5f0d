"""The words of a prompt set: plain phrases, checked, with the line of what is wrong."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

import agentsim.prompts.sets
from agentsim.core.answers import ActSpec, TextSpec
from agentsim.core.rules import SocietyRules
from agentsim.core.society import Society
from agentsim.errors import ScenarioError
from agentsim.play.replay import deciding
from agentsim.prompts.phrases import checked, either, shown
from agentsim.prompts.sets import SHIPPED, kept_name, kept_prompt_set, load_prompt_set
from agentsim.prompts.structured import schema_of
from agentsim.prompts.words import default_words, read_words, words_from
from agentsim.providers.base import Completion


@pytest.mark.parametrize(
    ("phrase", "fits", "fits_not"),
    [
        ("give|donate it", ["give it", "Donate it"], ["give", "it", "give  it"]),
        ("[my] units", ["units", "my units"], ["my", " units"]),
        ("of [my own|all] units [now]", ["of units", "of my own units now", "of my all units"], ["of own units"]),
        ("to NAME", ["to 1_2", "to 12_30"], ["to 1", "to NAME"]),
        ("round NUMBER", ["round 3", "round #3"], ["round three", "round"]),
        ("unit(s).*", ["unit(s).*"], ["units", "units.x"]),
        ("n/a", ["N/A"], ["na"]),
    ],
)
def test_a_phrase_is_plain_words(phrase: str, fits: list[str], fits_not: list[str]) -> None:
    form = re.compile(either([phrase]), re.IGNORECASE)
    assert all(form.fullmatch(text) for text in fits)
    assert not any(form.fullmatch(text) for text in fits_not)


def test_a_phrase_ends_where_its_last_word_does_unless_it_may_go_on() -> None:
    assert re.match(either(["keep", "give…"], whole_words=True), "given")
    assert not re.match(either(["keep", "give…"], whole_words=True), "keeper")
    assert re.match(either(["keep"]), "keeper")
    assert not re.match(either([]), "")


@pytest.mark.parametrize("phrase", ["", "  ", "a [b", "a]", "[a [b] c] d", "[a]", "a|", "|", "…", "x" * 201])
def test_what_is_no_phrase_is_refused(phrase: str) -> None:
    with pytest.raises(ValueError, match=r"phrase|bracket|outside|side of"):
        checked(phrase)


def test_what_is_shown_of_a_phrase_is_its_first_words() -> None:
    assert shown("[the] option|choice A [now]") == "option A"
    assert default_words().word("give") == "give" and default_words().word("punish") == "punish"
    assert default_words().word("jump") == "jump"  # an option of a user's own table


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: default\noptions:\n  give: []", r"f:3: options\.give: is empty"),
        ("base: default\nunits:\n  one: u\n  read:\n  - a [b\n", r"f:5: units\.read\.0: .* a bracket"),
        ("base: default\nwhen: [now, 'a|']", r"f:2: when\.1: .* one side of a \|"),
        ("base: default\nwhen: now", r"f:2: when: is no list"),
        ("base: default\nown: 3", r"f:2: own: is no mapping"),
        ("base: default\nwhen:\n- now: then", r"f:3: when\.0: is no phrase"),
        ("base: default\namounts: {shares: {3/2: [x]}}", r"f:2: amounts\.shares\.3/2: '3/2' is no share"),
        ("base: default\noptions: {a: [b],\n  a: [c]}", r"f:3: options\.a: stands twice"),
        ("base: default\n\njson: {other: x}", r"f:3: json\.other: is no word of a prompt set"),
        ("base: default\nhello: [x]", r"f:2: hello: is no word of a prompt set"),
        ("base: ../default\n", r"f:1: base: .* is no shipped set"),
        ("markers: {}", r"f:1: markers\.answer: is missing"),
        ("- x", r"f:1: is no mapping"),
        ("a: [", r"f:1: is no YAML"),
        ("[" * 5000, r"f: is no YAML"),
        (f"a: {'[' * 9}{']' * 9}", r"f:1: holds more than words"),
    ],
)
def test_a_mistake_in_a_file_of_words_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        words_from(text, source="f")


def test_a_file_may_hold_only_what_differs_from_a_shipped_set(tmp_path: Path) -> None:
    (tmp_path / "words.yaml").write_text("base: default\nmarkers: {answer: ['Choice:']}\nwhen: [today]\n")
    mine = read_words(tmp_path / "words.yaml")
    assert mine.markers.answer == ("Choice:",) and mine.when == ("today",)
    assert mine.markers.note == default_words().markers.note and mine.options == default_words().options
    assert words_from(mine.source, source="kept") == mine != default_words()


def test_what_is_made_of_words_is_made_once() -> None:
    assert default_words().made(lambda_of) is default_words().made(lambda_of)


def lambda_of(words: object) -> list[object]:
    return [words]


def completion(text: str) -> Completion:
    return Completion(text=text, model="m", finish_reason="stop", latency_s=0)


def own_set(folder: Path, words: str) -> Path:
    mine = Path(shutil.copytree(Path(agentsim.prompts.sets.__file__).parent / "default", folder))
    (mine / "words.yaml").write_text(f"base: default\n{words}")
    return mine


def test_a_users_set_is_asked_and_read_in_its_own_words(tmp_path: Path) -> None:
    mine = load_prompt_set(
        own_set(
            tmp_path / "mine",
            "markers: {answer: ['Choice:'], strategy: [My plan is]}\noptions: {give: [hand over]}\n"
            "units: {one: shell, many: shells, read: [shell|shells]}",
        )
    )
    asked = Society(SocietyRules(generations=1), labels="m", seed=0).start().asked
    system, question = mine.messages(asked[0])
    assert question.content.endswith("My plan is") and "game with 10 shells." in system.content
    assert mine.read(completion("My plan is to hand over all."), TextSpec(99)).text == "to hand over all."
    spec = ActSpec(("give",), high=10)
    assert mine.read(completion("Choice: I will hand over 4 shells"), spec).amount == 4
    for text in ("Answer: 4 shells\nOr so.", "Choice: give 4 shells", "Choice: 4 units"):
        assert not mine.read(completion(text), spec).is_valid
    assert schema_of(ActSpec(("give", "punish"), high=1), mine.words)["properties"]["act"]["enum"][0] == "hand over"


def test_words_count_in_the_digest_of_a_set_but_comments_in_them_do_not(tmp_path: Path) -> None:
    digests = {
        load_prompt_set(own_set(tmp_path / str(n), words)).digest
        for n, words in enumerate(["", "# a comment", "when: [today]"])
    }
    assert len(digests) == 2 and load_prompt_set("default").digest in digests


def test_a_users_set_without_words_is_read_in_those_of_default(tmp_path: Path) -> None:
    mine = own_set(tmp_path / "mine", "")
    (mine / "words.yaml").unlink()
    without = load_prompt_set(mine)
    assert without.words is default_words() and without.digest != load_prompt_set("default").digest
    assert without.read(completion("Answer: 4 units"), ActSpec(("give",), high=10)).amount == 4


def test_a_kept_set_keeps_its_words(tmp_path: Path) -> None:
    mine = load_prompt_set(own_set(tmp_path / "mine", "markers: {answer: ['Choice:']}"))
    (tmp_path / kept_name(mine.digest)).write_text(json.dumps(mine.sources))
    kept = kept_prompt_set(tmp_path, mine.digest)
    assert kept is not None and kept.words is mine.words  # so nothing is compiled anew for a study


def test_words_are_among_what_decides_facts() -> None:
    package = Path(agentsim.__file__).parent
    assert package / "prompts" / "default" / "words.yaml" in deciding(package)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_words_that_a_log_keeps_are_those_of_the_file(name: str) -> None:
    words = load_prompt_set(name).words
    assert words_from(words.source, source="kept").model_dump() == words.model_dump()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"markers": {"answer": 1}}', "kept:1: markers.answer"),
        ('{"base": "default", "base": "default"}', "kept:1: base: stands twice"),
        ('{"base": {"base": {"base": {"base": {"base": "x"}}}}}', "kept:1: holds more than words"),
        ('{"base": ', "kept:1: is no YAML"),
    ],
)
def test_what_is_nearly_the_words_that_a_log_keeps_is_refused_with_its_line(text: str, fault: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        words_from(text, source="kept")
    assert str(caught.value).startswith(fault)
