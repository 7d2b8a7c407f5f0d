"""A function answers in a provider's place."""

from __future__ import annotations

from pathlib import Path

import pytest

import agentsim
from agentsim.errors import BadRequest
from agentsim.providers.base import Completion, Message, Prompt
from agentsim.testing import FunctionProvider, plausible

PROMPT = Prompt(model="m", messages=(Message(role="user", content="How much?"),))
SMALL = {
    "name": "small",
    "agents": 4,
    "generations": 2,
    "game": {"rounds": 2},
    "players": {"model": "openai/nobody"},
    "seeds": [0],
}


async def test_a_text_is_a_whole_reply_and_a_completion_is_as_it_is() -> None:
    answered = await FunctionProvider(lambda prompt: f"{prompt.model}: 5").complete(PROMPT)
    assert (answered.text, answered.model, answered.finish_reason) == ("m: 5", "m", "stop")
    cut = Completion(text="", model="x", finish_reason="length", latency_s=3)
    assert await FunctionProvider(lambda prompt: cut).complete(PROMPT) is cut


async def test_a_function_may_be_asynchronous_and_may_fail() -> None:
    async def later(prompt: Prompt) -> str:
        return "later"

    def never(prompt: Prompt) -> str:
        raise BadRequest("no such model")

    assert (await FunctionProvider(later).complete(PROMPT)).text == "later"
    with pytest.raises(BadRequest, match="no such model"):
        await FunctionProvider(never).complete(PROMPT)


def test_a_society_is_played_by_a_function(tmp_path: Path) -> None:
    provider = FunctionProvider(lambda prompt: plausible(prompt.messages[-1].content))
    result = agentsim.run(agentsim.scenario_from(SMALL), results=tmp_path, provider=provider)
    assert result.is_complete
    assert len(provider.prompts) == result.runs[0].n_new_replies == len(agentsim.load(result.folder).replies)
