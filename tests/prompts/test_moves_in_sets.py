"""Moves in each set's own words are read as they are meant, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentsim.core.answers import Move, MoveSpec, Option
from agentsim.prompts.sets import load_prompt_set
from tests.prompts.test_moves import CHOICE, HARVEST, OFFER, SANCTION, SHARE
from tests.prompts.test_shipped_sets import OTHERS, completion

SPECS = {
    "choice": CHOICE,
    "contribute": SHARE,
    "harvest": HARVEST,
    "respond": OFFER,
    "sanction": SANCTION,
    "send": MoveSpec((Option("send", high=10.0, step=1.0),)),
    "return": MoveSpec((Option("return", high=30.0, step=1.0),)),
    "offer": MoveSpec((Option("offer", high=10.0, step=1.0),)),
    "give": MoveSpec((Option("give", high=10.0, step=1.0),)),
}
LEAST = {"german": 35, "neutral": 35}
"""Clear replies in a set's corpus, and unclear ones; for the others, see below."""


def lines_of(name: str) -> list[dict[str, Any]]:
    path = Path(__file__).parent / "sets" / "moves" / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", OTHERS)
def test_a_move_in_a_sets_words_is_read_as_it_was_meant(name: str) -> None:
    prompts = load_prompt_set(name)
    clear = [line for line in lines_of(name) if line["move"] is not None]
    for line in clear:
        found = prompts.read(completion(line["text"]), SPECS[line["spec"]])
        assert found.move == Move(**line["move"]), (line["text"], found)
    assert len(clear) >= LEAST.get(name, 15) and {line["spec"] for line in clear} >= SPECS.keys() - {"send", "give"}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_clear_move_in_a_sets_words_is_not_read(name: str) -> None:
    prompts = load_prompt_set(name)
    unclear = [line for line in lines_of(name) if line["move"] is None]
    for line in unclear:
        found = prompts.read(completion(line["text"]), SPECS[line["spec"]])
        assert not found.is_valid, (line["text"], found)
    assert len(unclear) >= LEAST.get(name, 15)


@pytest.mark.parametrize("name", OTHERS)
def test_a_move_in_json_is_read_by_a_sets_keys_and_words(name: str) -> None:
    prompts = load_prompt_set(name, answer_format="json")
    keys, word = prompts.words.json_, prompts.words.word

    def read(spec: MoveSpec, **said: Any) -> Move | None:
        text = json.dumps({keys.reasoning: "so", **said})
        return prompts.read(completion(text), spec, is_structured=True).move

    for spec in (CHOICE, OFFER):
        for option in spec.options:
            assert read(spec, **{keys.act: word(option.name)}) == Move(option.name)
    assert read(CHOICE, **{keys.act: "both"}) is None
    assert read(SHARE, **{keys.units: 7}) == Move("contribute", 7.0)
    aimed = {keys.act: word("punish"), keys.units: {"1_2": 3, "1_3": 0, "1_4": 0}}
    assert read(SANCTION, **aimed) == Move("punish", aimed={"1_2": 3.0})
