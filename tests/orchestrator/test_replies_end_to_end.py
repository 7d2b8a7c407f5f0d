"""Replies as users reported them, from a server on loopback to the facts in the log."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

import agentsim
from agentsim.cli import app
from agentsim.core.facts import Donated, Missed, StrategyFormed
from agentsim.log.records import Reply
from agentsim.testing.faultserver import Answer, Behaviour, FaultServer, Request
from tests.orchestrator.test_study import log_of

CASES = Path(__file__).parent.parent / "prompts" / "cases"


def cases(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CASES / name).read_text(encoding="utf-8").splitlines()]


ANSWERS = [case for case in cases("answers.jsonl") if case["acts"] == ["give"] and case["holds"] == 10]
STRATEGIES = cases("strategies.jsonl")


async def test_what_agents_say_becomes_what_they_meant_or_is_asked_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    decisions, strategies = itertools.cycle(ANSWERS), itertools.cycle(STRATEGIES)

    def reply(request: Request) -> Behaviour:
        is_first = len(request.body["messages"]) == 2
        if "It is round" in request.prompt:
            case = next(decisions) if is_first else {"text": "Answer: 1", "finish_reason": "stop"}
        else:
            case = next(strategies) if is_first else {"text": "My strategy will be to ask.", "finish_reason": "stop"}
        return Answer(case["text"], finish=case["finish_reason"])

    async with FaultServer(reply) as server:
        study = agentsim.scenario_from(
            {
                "name": "said",
                "seeds": [0],
                "agents": 32,
                "generations": 1,
                "game": {"kind": "donor", "rounds": 1},
                "players": {"model": "fake/m"},
                "providers": {"fake": {"base_url": server.openai_url, "api_key_env": None}},
            }
        )
        result = await agentsim.run_async(study, results=tmp_path)
    assert result.is_complete
    records = log_of(result)
    first = {record.key: record for record in records if isinstance(record, Reply) and record.attempt == 1}
    may_be = {case["text"]: case["may_be"] for case in ANSWERS}
    said = {case["text"]: case for case in STRATEGIES}
    texts = set()
    for record in records:
        if isinstance(record, Missed):
            pytest.fail(f"{record.key} was asked again and answered readably")
        elif isinstance(record, Donated):
            text = first[record.key].completion.text
            texts.add(text)
            assert (record.amount if record.attempts == 1 else "ask again") in may_be[text], text
        elif isinstance(record, StrategyFormed):
            case = said[first[record.key].completion.text]
            words = record.agent.strategy or ""
            texts.add(case["text"])
            assert not any(part in words for part in case["must_not_hold"])
            assert words == "to ask." or all(part in words for part in case["must_hold"])
    # A reply that an error broke off is a failed call, made again: no reply at all.
    assert texts == {case["text"] for case in [*ANSWERS, *STRATEGIES] if case["finish_reason"] != "error"}
    asked_again = [record.prompt for record in records if isinstance(record, Reply) and record.attempt == 2]
    assert asked_again
    assert not any("Option one" in part.content for prompt in asked_again for part in prompt.messages)
    assert [state.is_exact for state in agentsim.replay(result.folder)] == [True]
    app(["show", str(result.folder)], standalone_mode=False)
    assert "said" in capsys.readouterr().out
