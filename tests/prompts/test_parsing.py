"""What is clear is read, what is not is named; nothing is guessed."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsim.core.types import ActSpec, TextSpec
from agentsim.prompts import parse
from agentsim.providers.base import Completion, FinishReason

GIVE = ActSpec(("give",), high=2000.0)
EITHER = ActSpec(("give", "punish"), high=10.0)


def completion(text: str, finish_reason: FinishReason = "stop") -> Completion:
    return Completion(text=text, model=None, finish_reason=finish_reason, latency_s=0)


CORPUS = [json.loads(line) for line in Path(__file__).with_name("corpus.jsonl").read_text().splitlines()]
"""Replies with their intended readings, read by a person: made up ones, and those of the embedded model."""


@pytest.mark.parametrize("line", CORPUS, ids=range(len(CORPUS)))
def test_a_reply_of_the_corpus_is_read_as_it_was_meant(line: dict[str, Any]) -> None:
    answer = parse(completion(line["text"], line["finish_reason"]), ActSpec(tuple(line["acts"]), line["high"]))
    found = answer.act, answer.amount, answer.reading, answer.problem
    assert found == (line["act"], line["amount"], line["reading"], line["problem"]), line["text"]


def test_the_corpus_is_large_and_in_part_a_models() -> None:
    sources = Counter(line["source"] for line in CORPUS)
    assert sources.total() >= 300 and sources["qwen2.5-coder-1.5b"] >= 80
    clear = [line for line in CORPUS if line["problem"] is None]
    assert len(clear) >= 150 and {line["problem"] for line in CORPUS} >= {"ambiguous", "out_of_range", "unreadable"}


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("Answer: 5", 5),
        ("answer: 5.", 5),
        ("ANSWER : 5", 5),
        ("Final answer: 5", 5),
        ("Final Answer = 5", 5),
        ("The answer is: 7", 7),
        ("Answer: 0", 0),
        ("Answer: 0.0 units", 0),
        ("**Answer:** 35", 35),
        ("**Answer: 35**", 35),
        ("Answer: **35**", 35),
        ("Answer: `35`", 35),
        ("Answer: _35_", 35),
        ("Answer: <35>", 35),
        ("Answer: [35]", 35),
        ("Answer: $35", 35),
        ("Answer: € 35", 35),
        ("Answer: $\\boxed{35}$", 35),
        ("Answer: .5", 0.5),
        ("Answer: 1,250", 1250),
        ("Answer: 1,250.75", 1250.75),
        ("Answer: 1.250,5", 1250.5),
        ("Answer: 1'250", 1250),
        ("Answer: 12,5", 12.5),
        ("Answer: 1e2", 100),
        ("Answer:\n\n4", 4),
        ("Answer: 4 units", 4),
        ("Answer: I give 4 units.", 4),
        ("Answer: 4 units to 1_3", 4),
        ("Answer: 4 units in round 3", 4),
        ("Answer: 10 * 0.5 = 5", 5),
        ("Answer: 3 + 2 = 5 units", 5),
        ("Answer: nothing", 0),
        ("Answer: zero units.", 0),
        ("Answer: all", 2000),
        ("I hold 10 units, and 1_4 gave 50% before.\nAnswer: 5", 5),
        ("I will not give 9.\nAnswer: 5", 5),
        ("Answer: 5\nBecause 7 would be too many.", 5),
        ("Answer: 5\n...\nAnswer: 5", 5),
        ("You said `Answer: NUMBER`.\nAnswer: 6", 6),
        ("5", 5),
        ("5 units", 5),
        ("I give 5 units.", 5),
        ("I give 5 units to 1_2 in round 3.", 5),
    ],
)
def test_a_clear_gift_is_read(text: str, amount: float) -> None:
    answer = parse(completion(text), GIVE)
    assert (answer.act, answer.amount, answer.problem) == ("give", amount, None)


@pytest.mark.parametrize("text", ["Answer: 50%", "Answer: 50 %", "Answer: **50%**", "Answer: 50 percent of my units"])
def test_a_percentage_is_of_ones_own_resources_and_says_so(text: str) -> None:
    answer = parse(completion(text), GIVE)
    assert (answer.amount, answer.reading) == (1000, "percent")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("I would rather think about it.", "unreadable"),
        ("Answer: NUMBER", "unreadable"),
        ("Answer:", "unreadable"),
        ("Answer: give NUMBER", "unreadable"),
        ("Answer: some", "unreadable"),
        ("Answer: punish 3", "unreadable"),
        ("Answer: 4 or 5", "ambiguous"),
        ("Answer: 4-5", "ambiguous"),
        ("Answer: between 4 and 5", "ambiguous"),
        ("Answer: 4 of 10", "ambiguous"),
        ("Answer: 1.250", "ambiguous"),
        ("Answer: not 5", "ambiguous"),
        ("Answer: I won't give 5", "ambiguous"),
        ("Answer: 5\nAnswer: 6", "ambiguous"),
        ("I have 10 and give 5", "ambiguous"),
        ("I will not give 5", "ambiguous"),
        ("Answer: -3", "out_of_range"),
        ("Answer: −3", "out_of_range"),
        ("Answer: 2000.01", "out_of_range"),
        ("Answer: 150%", "out_of_range"),
        ("Answer: 1e300", "out_of_range"),
        ("Answer: 1e999", "out_of_range"),
    ],
)
def test_what_is_not_clear_is_named(text: str, problem: str) -> None:
    answer = parse(completion(text), GIVE)
    assert (answer.problem, answer.act, answer.amount) == (problem, None, None)


@pytest.mark.parametrize(
    ("text", "act", "amount"),
    [
        ("Answer: give 4", "give", 4),
        ("Answer: punish 3", "punish", 3),
        ("Answer: Punish with 2 units", "punish", 2),
        ("I will not punish.\nAnswer: donate 4", "give", 4),
        ("I punish with 3 units", "punish", 3),
    ],
)
def test_with_punishment_the_act_is_read_too(text: str, act: str, amount: float) -> None:
    answer = parse(completion(text), EITHER)
    assert (answer.act, answer.amount) == (act, amount)


@pytest.mark.parametrize(
    "text",
    ["Answer: 4", "I will not punish; Donate, 4", "Answer: give 4, not punish", "Answer: give 2 and punish 3"],
)
def test_an_act_that_is_not_clear_is_asked_again(text: str) -> None:
    assert parse(completion(text), EITHER).problem in ("unreadable", "ambiguous")


@pytest.mark.parametrize(
    ("text", "finish_reason", "problem"),
    [
        ("Answer: 1", "length", "cut_off"),
        ("Let me think about", "length", "cut_off"),
        ("", "length", "cut_off"),
        ("Answer: 1", "refused", "refused"),
        ("Answer: 1", "filtered", "filtered"),
    ],
)
def test_a_reply_that_did_not_end_by_itself_is_no_answer(text: str, finish_reason: FinishReason, problem: str) -> None:
    assert parse(completion(text, finish_reason), GIVE).problem == problem


def test_an_answer_before_the_length_limit_struck_is_read() -> None:
    assert parse(completion("Answer: 12\nBecause I think that", "length"), GIVE).amount == 12


@given(st.text(max_size=200) | st.from_regex(r"(Answer:? ?)?[-$*]?[0-9.,e' %]{1,12}( units| or \d)?", fullmatch=True))
def test_no_text_crashes_the_reader_or_leaves_the_range(text: str) -> None:
    for spec in (GIVE, EITHER, ActSpec(("give",), high=0.0)):
        answer = parse(completion(text), spec)
        if answer.is_valid:
            assert answer.amount is not None and math.isfinite(answer.amount) and 0 <= answer.amount <= spec.high
        else:
            assert answer.amount is None and answer.act is None


@pytest.mark.parametrize(
    ("text", "strategy"),
    [
        ("Thinking.\nMy strategy will be to give half.", "to give half."),
        ("**My strategy will be:** to give half.", "to give half."),
        ('My strategy will be "to give half"', "to give half"),
        ("My strategy will be\n\nto give half.", "to give half."),
        ("my strategy will be: to give half.\n\nGood luck!", "to give half."),
        ("My strategy will be asked for. My strategy will be to keep all.", "to keep all."),
    ],
)
def test_a_strategy_is_the_paragraph_behind_the_last_marker(text: str, strategy: str) -> None:
    assert parse(completion(text), TextSpec(1000)).text == strategy


def test_a_strategy_without_marker_or_without_end_is_not_guessed() -> None:
    assert parse(completion("I shall give half."), TextSpec(100)).problem == "unreadable"
    assert parse(completion("My strategy will be:"), TextSpec(100)).problem == "unreadable"
    assert parse(completion("My strategy will be to give", "length"), TextSpec(100)).problem == "cut_off"


def test_a_long_strategy_is_cut_and_says_so() -> None:
    answer = parse(completion("My strategy will be " + "x" * 100_000), TextSpec(100))
    assert answer.text == "x" * 100 and answer.is_cut


def test_ten_thousand_garbled_replies_crash_nothing_and_leave_no_range() -> None:
    rng, odd = Random(1), "0123456789.,%$*- \n-+eENaNinf\u0663\u00bd\x00\u202e"
    texts = [line["text"] for line in CORPUS if line["text"]]
    n_read = 0
    for number in range(10_000):
        text = list(rng.choice(texts))
        for _ in range(rng.randrange(1, 6)):
            place = rng.randrange(len(text) + 1)
            text[place : place + rng.randrange(2)] = rng.choice(["", rng.choice(odd), chr(rng.randrange(0x110000))])
        spec = (GIVE, EITHER)[number % 2]
        answer = parse(completion("".join(text)), spec)
        n_read += answer.is_valid
        if answer.is_valid:
            assert answer.amount is not None and math.isfinite(answer.amount) and 0 <= answer.amount <= spec.high
    assert 2_000 < n_read < 9_000
