"""Answers held to a JSON schema, in both dialects and in llama.cpp; and where the rules stand in a prompt."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import agentsim
from agentsim.core.answers import ActSpec, TextSpec
from agentsim.core.facts import Donated, Missed, Punished, StrategyFormed
from agentsim.log.records import Reply
from agentsim.prompts.sets import parse
from agentsim.prompts.structured import schema_of
from agentsim.providers.base import Completion, Message, Prompt, Sampling
from agentsim.providers.ledger import most_usd
from agentsim.providers.prices import Price
from agentsim.scenario.conditions import identity
from agentsim.scenario.runs import runs
from agentsim.testing.faultserver import Answer, FaultServer
from tests.orchestrator.test_study import Fake, log_of, play, scenario

EITHER = ActSpec(("give", "punish"), high=10.0)
GIVE = ActSpec(("give",), high=10.0)


def read(text: str, spec: ActSpec | TextSpec, **options: bool) -> tuple[Any, ...]:
    completion = Completion(text=text, model=None, finish_reason="stop", latency_s=0)
    answer = parse(completion, spec, is_structured=True, **options)
    return answer.act, answer.amount, answer.text, answer.problem


@pytest.mark.parametrize(
    ("value", "spec", "expected"),
    [
        ({"reasoning": "-", "units": 4}, GIVE, ("give", 4.0, None, None)),
        ({"units": 4.5, "act": "punish", "reasoning": "I give"}, EITHER, ("punish", 4.5, None, None)),
        ({"units": 11}, GIVE, (None, None, None, "out_of_range")),
        ({"units": -1}, GIVE, (None, None, None, "out_of_range")),
        ({"units": 10**400}, GIVE, (None, None, None, "out_of_range")),
        ({"units": True}, GIVE, (None, None, None, "unreadable")),
        ({"units": "4"}, GIVE, ("give", 4.0, None, None)),
        ({"units": "4 units"}, GIVE, ("give", 4.0, None, None)),
        ({"units": "40%"}, GIVE, ("give", 4.0, None, None)),
        ({"units": "-4"}, GIVE, (None, None, None, "out_of_range")),
        ({"units": "4 or 5"}, GIVE, (None, None, None, "unreadable")),
        ({"units": "half"}, GIVE, (None, None, None, "unreadable")),
        ({"units": "NaN"}, GIVE, (None, None, None, "unreadable")),
        ({"units": 4, "act": "keep"}, GIVE, (None, None, None, "unreadable")),
        ({"units": 4, "act": "punish"}, GIVE, (None, None, None, "unreadable")),
        ({"units": 4, "act": "Punish"}, EITHER, ("punish", 4.0, None, None)),
        ({"strategy": "<think>to keep.</think>to give."}, TextSpec(100), (None, None, "to give.", None)),
        ({"units": None}, GIVE, (None, None, None, "unreadable")),
        ({"units": 4, "act": "steal"}, EITHER, (None, None, None, "unreadable")),
        ({"units": 4}, EITHER, (None, None, None, "unreadable")),
        ([4], GIVE, (None, None, None, "unreadable")),
        ({"strategy": " to give. "}, TextSpec(100), (None, None, "to give.", None)),
        ({"strategy": " "}, TextSpec(100), (None, None, None, "empty")),
        ({"strategy": 4}, TextSpec(100), (None, None, None, "unreadable")),
        ({"strategy": "abcdef"}, TextSpec(3), (None, None, "abc", None)),
    ],
)
def test_what_is_of_the_schema_is_read_and_nothing_else(
    value: object, spec: ActSpec | TextSpec, expected: tuple[Any, ...]
) -> None:
    assert read(json.dumps(value), spec) == expected


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ('```json\n{"units": 4}\n```', 4),
        ('Here it is:\n```\n{"reasoning": "It {gave} \\"half\\".", "units": 4}\n```\nDone.', 4),
        ('<think>Perhaps {"units": 9}?</think>\n{"units": 4}', 4),
        ('{"units": 9} is too much</think>{"units": "4"}', 4),
        ('{"reasoning": "<think>", "units": 4}', 4),
        ('{"units": 4} and again {"units": 4.0}', 4),
        ('{"type": "object"} {"units": 4}', 4),
    ],
)
def test_one_object_is_found_among_words_fences_and_thoughts(text: str, units: float) -> None:
    assert read(text, GIVE) == ("give", units, None, None)


@pytest.mark.parametrize(
    "text", ['{"units": 4, "units": 5}', '{"units": 4} {"units": 5}', '{"units": 4} {"units": "x"}']
)
def test_two_different_answers_in_json_are_ambiguous(text: str) -> None:
    assert read(text, GIVE)[3] == "ambiguous"


@pytest.mark.parametrize(
    "text",
    ["4", "Answer: 4", '{"units": NaN}', '{"units": Infinity}', '{"units": 1e999}', '{"units": 4', "[" * 100_000],
)
def test_what_is_no_such_json_is_unreadable(text: str) -> None:
    assert read(text, GIVE)[3] == "unreadable"


def test_an_answer_cut_off_is_cut_off() -> None:
    cut = Completion(text='{"reasoning": "I we', model=None, finish_reason="length", latency_s=0)
    assert parse(cut, GIVE, is_structured=True).problem == "cut_off"


def test_the_schema_is_strict_and_the_same_for_every_amount() -> None:
    assert schema_of(GIVE) == schema_of(ActSpec(("give",), high=99.0))
    assert schema_of(EITHER)["properties"]["act"]["enum"] == ["give", "punish"]
    for spec in (GIVE, EITHER, TextSpec(10)):
        schema = schema_of(spec)
        assert schema["required"] == list(schema["properties"]) and schema["additionalProperties"] is False


def structured(prompt: str) -> str:
    if '"strategy"' in prompt:
        return json.dumps({"reasoning": "It pays.", "strategy": "to give a third."})
    value: dict[str, Any] = {"reasoning": "It gave.", "units": 1.5}
    if '"act"' in prompt:
        value["act"] = "punish" if "round 2" in prompt else "give"
    return json.dumps(value)


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
async def test_a_society_answers_in_json_and_the_log_says_so(tmp_path: Path, dialect: str) -> None:
    async with FaultServer([Answer(structured)]) as server:
        url = server.openai_url if dialect == "openai" else server.url
        study = agentsim.scenario_from(
            {
                "name": "json",
                "seeds": [0],
                "agents": 4,
                "generations": 2,
                "game": {"kind": "donor", "rounds": 3, "punishment": {"cost": 1, "effect": 2}},
                "players": {"model": "fake/m", "answer_format": "json"},
                "providers": {"fake": {"dialect": dialect, "base_url": url, "api_key_env": None}},
            }
        )
        result = await agentsim.run_async(study, results=tmp_path)
    assert result.is_complete
    records = log_of(result)
    assert {type(record) for record in records} >= {Donated, Punished, StrategyFormed}
    assert not any(isinstance(record, Missed) or getattr(record, "problem", None) for record in records)
    assert all(record.prompt.answer_schema for record in records if isinstance(record, Reply))
    assert len(server.requests) == runs(study)[0].condition.n_requests(0)  # none was asked twice
    body = server.requests[-1].body
    if dialect == "openai":
        assert body["response_format"]["json_schema"]["strict"] is True
    else:
        assert body["tool_choice"] == {"type": "tool", "name": "answer"}
    assert "Answer:" not in body["messages"][-1]["content"]
    assert [state.is_exact for state in agentsim.replay(result.folder)] == [True]


def test_a_schema_counts_in_the_most_that_a_call_can_cost() -> None:
    price = Price(input=1, output=1, source="test")
    prompt = Prompt(model="m", messages=(Message(role="user", content="?"),), sampling=Sampling(max_tokens=1))
    plain = most_usd(price, prompt)
    held = most_usd(price, prompt.model_copy(update={"answer_schema": schema_of(GIVE)}))
    assert plain is not None and held is not None and held > plain + 1000 / 1e6


@pytest.mark.parametrize("place", ["system", "user", "none"])
def test_the_rules_stand_where_the_scenario_says(tmp_path: Path, place: str) -> None:
    prompts: list[Prompt] = []

    def text(prompt: Prompt) -> str:
        prompts.append(prompt)
        return "My strategy will be to give." if "My strategy" in prompt.messages[-1].content else "Answer: 1"

    assert play(tmp_path, Fake(text=text), players={"model": "fake/model", "system_prompt": place}).is_complete
    roles = {tuple(message.role for message in prompt.messages) for prompt in prompts}
    assert roles == {("system", "user") if place == "system" else ("user",)}
    everything = " ".join(message.content for prompt in prompts for message in prompt.messages)
    assert ("These are the rules" in everything) == (place != "none")


def too_much(prompt: Prompt) -> str:
    return "My strategy will be to give." if "My strategy" in prompt.messages[-1].content else "Answer: 1000000"


@pytest.mark.parametrize(
    ("out_of_range", "kind", "check"),
    [
        ("ask_again", "missed", lambda record: record.attempts == 3),
        ("clamp", "donated", lambda record: record.reading == "clamped" and record.fraction in (1.0, None)),
        ("pass", "missed", lambda record: record.attempts == 1 and record.donor_after == record.donor_before),
    ],
)
def test_more_than_the_donor_has_is_asked_again_clamped_or_moves_nothing(
    tmp_path: Path, out_of_range: str, kind: str, check: Callable[[Any], bool]
) -> None:
    on_invalid = {"out_of_range": out_of_range, "stop_after": None}
    records = log_of(play(tmp_path, Fake(text=too_much), on_invalid=on_invalid))
    acts = [record for record in records if record.type in ("donated", "missed")]
    assert acts and {record.type for record in acts} == {kind} and all(check(record) for record in acts)
    if kind == "missed":
        assert {getattr(record, "problem", None) for record in acts} == {"out_of_range"}


def test_a_negative_amount_is_never_clamped(tmp_path: Path) -> None:
    def negative(prompt: Prompt) -> str:
        return "My strategy will be to give." if "My strategy" in prompt.messages[-1].content else "Answer: -5"

    on_invalid = {"out_of_range": "clamp", "stop_after": None}
    records = log_of(play(tmp_path, Fake(text=negative), on_invalid=on_invalid))
    assert {record.type for record in records if record.type in ("donated", "missed")} == {"missed"}


def test_settings_that_came_later_leave_the_digests_of_older_logs_alone() -> None:
    content = identity(runs(scenario())[0].condition)
    assert "out_of_range" not in content["on_invalid"] and "system_prompt" not in content["players"]
    changed = identity(runs(scenario(players={"model": "fake/model", "system_prompt": "user"}))[0].condition)
    assert changed["players"]["system_prompt"] == "user"
