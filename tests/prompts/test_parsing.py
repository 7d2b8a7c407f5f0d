"""What is clear is read, what is not is named; nothing is guessed."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsim.core.answers import ActSpec, TextSpec
from agentsim.prompts.sets import parse
from agentsim.providers.base import Completion, FinishReason
from tests.prompts.composing import composed

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


HERE = Path(__file__).parent


def lines_of(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (HERE / name).read_text(encoding="utf-8").splitlines()]


def finish_of(line: dict[str, Any]) -> FinishReason:
    return line["finish_reason"] if line["finish_reason"] in ("stop", "length") else "other"


@pytest.mark.parametrize("line", lines_of("cases/answers.jsonl"), ids=range(33))
def test_a_reply_that_a_user_reported_is_read_as_it_was_meant_or_asked_again(line: dict[str, Any]) -> None:
    finish = finish_of(line)
    answer = parse(completion(line["text"], finish), ActSpec(tuple(line["acts"]), line["holds"]))
    assert (answer.amount if answer.is_valid else "ask again") in line["may_be"]


@pytest.mark.parametrize("line", lines_of("cases/strategies.jsonl"), ids=range(6))
def test_a_strategy_that_a_user_reported_is_kept_whole_without_thoughts(line: dict[str, Any]) -> None:
    finish = finish_of(line)
    answer = parse(completion(line["text"], finish), TextSpec(1000))
    if answer.text is None:
        assert line["or_ask_again"] and finish != "stop"
    else:
        assert all(words in answer.text for words in line["must_hold"])
        assert not any(words in answer.text for words in line["must_not_hold"])


def test_of_ten_thousand_composed_replies_none_is_read_otherwise_than_it_was_meant() -> None:
    n_read, wrong = 0, []
    for reply in composed(10_000, seed=1):
        answer = parse(completion(reply.text), ActSpec(reply.acts, reply.holds))
        if answer.act is not None and answer.amount is not None:
            n_read += 1
            is_right = any(
                answer.act == act and math.isclose(answer.amount, units, abs_tol=1e-9) for act, units in reply.may_be
            )
            wrong += [] if is_right else [(reply, answer)]
    assert not wrong[:3], f"{len(wrong)} of 10,000"
    assert n_read > 1_000


def test_of_four_hundred_clear_replies_one_in_a_hundred_is_asked_again_at_most_and_none_is_read_wrongly() -> None:
    clear = lines_of("clear.jsonl")
    answers = [parse(completion(line["text"]), ActSpec(tuple(line["acts"]), line["high"])) for line in clear]
    for line, answer in zip(clear, answers, strict=True):
        if answer.amount is not None:
            assert answer.act == line["act"] and math.isclose(answer.amount, line["amount"]), line
    assert len(clear) >= 400
    assert sum(answer.is_valid for answer in answers) >= 0.99 * len(clear)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("Answer: 0,250", 0.25),
        ("Answer: 5 (five) units", 5),
        ("Answer: half of my units (1000)", 1000),
        ("Answer: 1,000 units (half of my units)", 1000),
        ("Answer: 666.67 (a third of my units)", 666.67),
        ("Answer: all 2,000 units", 2000),
        ("Answer: 5 of my 2000 units", 5),
        ("Answer: 50% of my 2,000 units = 1,000", 1000),
        ("Answer: 20/3 ≈ 6.67", 6.67),
        ("Answer: 1.5k units", 1500),
        ("Answer: 1 thousand", 1000),
        ("Answer: ５", 5),
        ("Answer: ٥٫٥", 5.5),
        ("Ａｎｓｗｅｒ：１０", 10),
        ("Answer: 1\u200b0", 10),
        ("It was fair.\n\n5", 5),
        ("My decision:\n5 units", 5),
        ("The answer is 5.", 5),
        ("Answer 5", 5),
    ],
)
def test_more_forms_of_the_grammar_are_read(text: str, amount: float) -> None:
    answer = parse(completion(text), GIVE)
    assert (answer.act, answer.amount, answer.problem) == ("give", amount, None)


@pytest.mark.parametrize(
    "text",
    [
        "Answer: I keep 10",
        "Answer: 10 units. I keep them.",
        "Answer: 10 units for myself",
        "Answer: 5 units from 1_4",
        "Answer: 50% of your units",
        "Answer: 50% of my endowment",
        "Answer: 0.5 of my units",
        "Answer: 5 of my 10 units",
        "Answer: all 10 units",
        "Answer: half",
        "Answer: 5½",
        "Answer: 10²",
        "Answer: 1'2",
        "Answer: 5\u00a010",
        "Answer: \u202e01",
        "Answer: 1.250k",
        "Answer: 5m",
        "Answer: 2 + 3",
        "Answer: 2 + 3 = 6",
        "Answer: 5 (6)",
        "Answer: 5 (50%)",
        "Answer: 5 — a fair share",
        "Answer: 5?",
        "Answer: up to 5",
        "A bad answer: 10",
        "1_4's answer: 10",
        "I refuse to answer: 10 is too much",
        "I hold:\n10 units",
        "I could:\n- give 2.\n- give 5.",
        "I give 5 units. No, I keep all.",
        "Not an answer.\nI could give 5 units.",
    ],
)
def test_what_is_not_of_the_grammar_is_asked_again(text: str) -> None:
    assert parse(completion(text), GIVE).problem in ("unreadable", "ambiguous")


@pytest.mark.parametrize("finish_reason", [reason for reason in get_args(FinishReason) if reason != "stop"])
def test_only_a_reply_that_stopped_of_its_own_accord_is_whole(finish_reason: FinishReason) -> None:
    for text in ("Answer: 5", "I weigh it.\nAnswer: 5\nBut wait, better to", "I give 5 units.", ""):
        assert not parse(completion(text, finish_reason), GIVE).is_valid
    for text in ("My strategy will be to give", "First.\nMy strategy will be to give.\n\nBecause"):
        assert not parse(completion(text, finish_reason), TextSpec(100)).is_valid
    assert not parse(completion('Well: {"units": 4}', finish_reason), GIVE, is_structured=True).is_valid


HOSTILE = [
    "1", "1,", "1'", "1 ", "=1", "(", "((1", "[", "{", '{"', '{"a":', "<think>", "</think>", "<think>a</think>",
    "Answer:", "Answer: 1\n", "answer ", "answer is ", "_", "a_", "*", "1*", "$", "\\boxed{", "My strategy will be ",
    "- a\n\n", "a:\n\n", "```thinking\n", "<|channel|>analysis", "½", "\u200b", "１", "1_1", "round 1 ", "give ",
    "so ", "\n", " ",
]  # fmt: skip


@pytest.mark.parametrize("part", HOSTILE)
def test_a_reply_of_a_hundred_kilobytes_is_read_in_linear_time(part: str) -> None:
    """No clock: what takes more than linear time at this length would not end."""
    text = part * (100_000 // len(part)) + "x"
    parse(completion(text), EITHER)
    parse(completion(f"Answer: {text}", "length"), GIVE)
    parse(completion(text), TextSpec(100, "note"))
    parse(completion(f"My strategy will be a {text}"), TextSpec(100))
    parse(completion(f"My strategy will be:\n\n- a\n\n{text}"), TextSpec(100))
    parse(completion(f'a{{"units": {text}'), GIVE, is_structured=True)


@pytest.mark.parametrize(
    ("text", "strategy"),
    [
        ("My strategy will be:\n\n- Give half.\n- Then mirror.", "- Give half.\n- Then mirror."),
        ("My strategy will be as follows:\n1. Half.\n2. Mirror.\n\nThis is fair.", "as follows:\n1. Half.\n2. Mirror."),
        ("My strategy will be this:\n\n1. Half.\n\n2. Mirror.\n\nIt is fair.", "this:\n\n1. Half.\n\n2. Mirror."),
        (
            "My strategy will be to follow rules:\n\n**First round:** half.\n\n**Later:** mirror.\n\nGood luck!",
            "to follow rules:\n\n**First round:** half.\n\n**Later:** mirror.",
        ),
        ("My strategy will be to mirror.\n\n1. Half at first.", "to mirror.\n\n1. Half at first."),
        ("My strategy will be to give half.\n\nI believe my strategy will be successful.", "to give half."),
        ("My strategy will be to give half.\n\n**Why:**\n- it is fair", "to give half."),
        (
            "My strategy will be so:\n\n```\n1. Half.\n\n2. Mirror.\n```\nDone.",
            "so:\n\n\n1. Half.\n\n2. Mirror.\n\nDone.",
        ),
        ("My strategy will be to share.<think>My strategy will be to keep.", "to share."),
        (
            "## My strategy will be\n\n### At first\nHalf.\n\n### Later\nMirror.",
            "### At first\nHalf.\n\n### Later\nMirror.",
        ),
        ("My strategy will be:\n\nRound 1: half.\n\nRounds 2+: mirror.", "Round 1: half.\n\nRounds 2+: mirror."),
        (
            "My strategy will be:\n\n<ol><li>Half.</li>\n\n<li>Mirror.</li></ol>",
            "<ol><li>Half.</li>\n\n<li>Mirror.</li></ol>",
        ),
        ("My strategy will be as described below.\n\nHalf.", "as described below.\n\nHalf."),
        ("<answer>My strategy will be to share half.</answer>", "to share half."),
    ],
)
def test_a_strategy_that_is_a_list_or_a_table_is_kept_whole(text: str, strategy: str) -> None:
    assert parse(completion(text), TextSpec(1000)).text == strategy


@pytest.mark.parametrize("words", ["as follows", "as described above.", "the following.", "[insert strategy]", "N/A"])
def test_words_that_stand_for_a_strategy_are_asked_again(words: str) -> None:
    assert parse(completion(f"My strategy will be {words}"), TextSpec(100)).problem == "unreadable"


def test_a_strategy_that_only_announces_a_list_is_asked_again() -> None:
    assert parse(completion("My strategy will be as follows:"), TextSpec(100)).problem == "unreadable"
    assert (
        parse(completion("My strategy will be so:\n\n1. Half.\n\n2. Mi", "length"), TextSpec(100)).problem == "cut_off"
    )


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
    assert 800 < n_read < 3_000  # a line with a garbled word in it is asked again


@pytest.mark.parametrize(
    "text",
    [
        "Answer: <keep>10</keep>",
        "Answer: <s>10</s>",
        "Answer: <5",
        "Answer: > 5 units",
        "Answer: >= 5",
        "Answer: [5,10]",
        "Answer: (0,5)",
        "Answer: give to agent 3",
        "Answer: give player 3",
        "Answer: 5\n\nWait, no: 3.",
        "Answer: 5\nActually, I keep everything.",
        "Answer: 5\n3 units",
        "Answer: 5\n\nOn second thought, better not.",
        "Answer: 5\n\nJust kidding.",
        "Answer: 5\n\nMake that 4.",
        "Answer: 5\n\nHowever, my real choice is 3.",
        "Answer: 5\n\nBut I will only give 4 units.",
        "Answer: 5\n\nThey are selfish. I refuse to give.",
        "I give 5 units.\nI give 6 units.",
        'I will not play. The format is: "Answer: 5"',
        "<plan>\nAnswer: 5\n</plan>\nI keep everything.",
        "<plan>\nAnswer: 5\n",
        "[draft]Answer: 5[/draft] Undecided.",
        "<!--\nAnswer: 5\n-->\nI keep everything.",
    ],
)
def test_what_is_no_amount_or_no_longer_meant_is_asked_again(text: str) -> None:
    assert parse(completion(text), GIVE).problem in ("ambiguous", "unreadable")


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("Answer: 0\n\nI keep everything.", 0),
        ("Answer: 5\n\nI hold on to the rest. They gave 3.", 5),
        ("Answer: 5\n\nFinal thoughts: 5 units is fair.", 5),
        ("Answer: 5\n\nThey gave 3. The amount left is 15.", 5),
        ("<plan>\nAnswer: 1\n</plan>\nAnswer: 3", 3),
        ("<response>\nAnswer: <units>3</units>\n</response>", 3),
        ("Give the recipient 3.", 3),
        ("Answer: \\boxed{5,10}", 5.1),
    ],
)
def test_words_and_tags_around_a_clear_answer_do_not_hide_it(text: str, amount: float) -> None:
    assert parse(completion(text), GIVE).amount == amount
