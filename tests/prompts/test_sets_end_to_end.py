"""Societies in all shipped sets, side by side in one study: played, loaded and computed again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import agentsim
from agentsim.play.replay import replay
from agentsim.prompts.sets import SHIPPED, load_prompt_set
from agentsim.providers.base import Prompt
from agentsim.testing import FunctionProvider

STUDY: dict[str, Any] = {
    "name": "wordings",
    "agents": 4,
    "generations": 2,
    "game": {"rounds": 2, "games": 1},
    "players": {"model": "openai/nobody"},
    "vary": {"prompts": list(SHIPPED)},
    "seeds": [0],
}


def as_asked(prompt: Prompt) -> str:
    """Answer in the form that the prompt ends with."""
    last = prompt.messages[-1].content.splitlines()[-1]
    return (
        last.replace("NUMBER", "2").replace("ZAHL", "2") if last.endswith(("NUMBER", "ZAHL")) else f"{last} fairness."
    )


def as_the_schema_says(prompt: Prompt) -> str:
    """Answer with an object of the schema."""
    assert prompt.answer_schema is not None
    kinds = {name: kind["type"] for name, kind in prompt.answer_schema["properties"].items()}
    return json.dumps({name: 2 if kind == "number" else "fairness" for name, kind in kinds.items()})


@pytest.mark.parametrize(("answer_format", "answered"), [("text", as_asked), ("json", as_the_schema_says)])
def test_a_study_of_all_sets_is_read_and_replayed_in_the_words_of_each(
    tmp_path: Path, answer_format: str, answered: Any
) -> None:
    players = {**STUDY["players"], "answer_format": answer_format}
    scenario = agentsim.scenario_from({**STUDY, "players": players})
    result = agentsim.run(scenario, results=tmp_path, provider=FunctionProvider(answered))
    study = agentsim.load(result.folder)
    assert result.is_complete and len(study.runs) == len(SHIPPED)
    named = {name: load_prompt_set(name, answer_format=answer_format).digest[:8] for name in SHIPPED}
    assert set(study.runs["prompts"]) == {f"{name} {digest}" for name, digest in named.items()}
    assert set(study.replies["attempt"]) == {1}  # nothing had to be asked again
    assert study.agents.groupby("run")["score"].sum().nunique() == 1  # the same answers have the same outcome
    assert all(state.is_exact and state.note is None for state in replay(result.folder))


def test_a_run_is_read_in_the_words_it_was_begun_with_when_the_set_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = agentsim.scenario_from({**STUDY, "vary": {"prompts": ["german"]}})
    result = agentsim.run(scenario, results=tmp_path, provider=FunctionProvider(as_asked))
    english = load_prompt_set("default")
    monkeypatch.setattr("agentsim.play.rehearsal.load_prompt_set", lambda *_, **__: english)
    [kept] = replay(result.folder)
    assert kept.is_exact and kept.note is None
    for path in Path(result.folder).glob("prompts-*.json"):
        path.unlink()
    [other] = replay(result.folder)  # read in today's words, which are others
    assert not other.is_exact
