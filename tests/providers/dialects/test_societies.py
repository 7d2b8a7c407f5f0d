"""Whole societies of a real, small model: through OpenAI's dialect, Anthropic's dialect and the in-package provider."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import agentsim
from agentsim.analysis.frames.study import Study
from agentsim.providers.dialects.local import LocalProvider

TINY: dict[str, Any] = {
    "name": "tiny",
    "agents": 2,
    "generations": 1,
    "game": {"kind": "donor", "rounds": 1, "games": 1},
    "observation": {"kind": "none"},
    "players": {"model": "local/smollm2-135m", "max_tokens": 24},
    "on_invalid": {"attempts": 1, "then": "pass", "stop_after": None},
    "seeds": [0],
}
ONE_AT_A_TIME: dict[str, Any] = {"concurrency": 1}
"""What questions have in common is then computed once: the rules are most of each."""
ON_ONE_THREAD = {"local": {**ONE_AT_A_TIME, "threads": 1, "own_server": True}}
"""Beside busy cores, threads that wait for each other take many times what their work takes. What a model says can
depend on the calls that a server answers at the same time, such as those of other tests."""


def checked(study: Study, *, generations: int = 1) -> Study:
    """A whole society happened, and nothing the model muttered was taken for a decision it was not."""
    [status] = study.runs["status"]
    assert status == ("complete" if study.encounters["act"].eq("give").any() else "unread")
    assert len(study.encounters) == len(study.generations) == generations
    assert set(study.replies["model_answered"].dropna()) and (study.replies["output_tokens"] > 0).all()
    decided = study.encounters[study.encounters["act"] == "give"]
    assert (decided["amount"] <= decided["donor_before"]).all()
    assert study.encounters[study.encounters["act"] == "missing"]["amount"].isna().all()
    [folder] = study.folders.values()
    assert agentsim.replay(folder)[0].is_exact
    return study


@pytest.mark.model
def test_a_society_through_the_in_package_provider(tmp_path: Path, small_model: Path) -> None:
    scenario = agentsim.scenario_from({**TINY, "generations": 2, "providers": ON_ONE_THREAD})
    result = agentsim.run(scenario, results=tmp_path)
    study = checked(agentsim.load(result.folder), generations=2)
    [started] = study.started.values()
    assert started.account_of(None)["dialect"] == "local"


@pytest.mark.model
@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
@pytest.mark.asyncio(loop_scope="session")
async def test_a_society_through_a_dialect_of_a_real_server(
    tmp_path: Path, llama_server: LocalProvider, dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = await llama_server.start()
    monkeypatch.setenv("SERVER_KEY", llama_server.api_key)
    base_url = address if dialect == "openai" else address.removesuffix("/v1")
    scenario = agentsim.scenario_from(
        {
            **TINY,
            "players": {"model": "server/some-name", "max_tokens": 24, "strategy": "to give half"},
            "providers": {
                "server": {"dialect": dialect, "base_url": base_url, "api_key_env": "SERVER_KEY", **ONE_AT_A_TIME}
            },
        }
    )
    result = await agentsim.run_async(scenario, results=tmp_path)
    assert {state.status for state in result.runs} <= {"complete", "unread"}, result.runs  # it may only mutter
    checked(agentsim.load(result.folder))
    assert llama_server.api_key not in (result.folder / "study.json").read_text()


@pytest.mark.model
def test_a_real_model_held_to_a_schema_answers_readably(tmp_path: Path, small_model: Path) -> None:
    # Of the likeliest words, and as many as it likes: whether it comes to an end is not for chance to say.
    players = {"model": "local/smollm2-135m", "max_tokens": 400, "temperature": 0, "answer_format": "json"}
    players["strategy"] = "to give half"
    scenario = agentsim.scenario_from({**TINY, "players": players, "providers": ON_ONE_THREAD})
    result = agentsim.run(scenario, results=tmp_path)
    study = checked(agentsim.load(result.folder))
    whole = study.replies[study.replies["finish_reason"] == "stop"]
    assert len(whole) and all(text.lstrip().startswith("{") for text in whole["text"])
    assert result.is_complete and study.encounters["act"].eq("give").all()
