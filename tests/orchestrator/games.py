"""A model that plays games: what it replies to the question of any stage, from the prompt alone."""

from __future__ import annotations

import hashlib
import re
from random import Random
from typing import Final

from agentsim.providers.base import Prompt

__all__ = ["PUBLIC_GOODS", "asked_for", "played"]

PUBLIC_GOODS: Final = {
    "kind": "public_goods",
    "group": 3,
    "rounds": 3,
    "talk": {"rounds": 1, "max_chars": 80},
    "punishment": {"effect": 3, "most": 5},
}


def asked_for(prompt: Prompt) -> str:
    """Return what the last question of a prompt asks for: `strategy`, `message`, `NUMBER`, or the first option."""
    question = next(message.content for message in reversed(prompt.messages) if message.role == "user")
    if "My strategy will be" in question:
        return "strategy"
    if "My message:" in question:
        return "message"
    found = re.search(r"Answer: (\w+)", question)
    assert found is not None
    return found[1]


def played(prompt: Prompt, *, unreadable: float = 1 / 8) -> str:
    """Return a reply that depends on the prompt alone; some of them are unreadable."""
    draw = Random(hashlib.sha256(prompt.model_dump_json().encode()).digest())
    if draw.random() < unreadable:
        return "I had rather not say."
    kind = asked_for(prompt)
    if kind == "strategy":
        return f"My strategy will be to contribute {draw.randrange(20)} of 20."
    if kind == "message":
        return f"My message: I shall contribute {draw.randrange(20)}."
    if kind == "punish":
        question = prompt.messages[-1].content
        names = re.findall(r"\b\d+_\d+\b", question)
        return (
            f"Answer: punish {draw.choice(names)} with {draw.randrange(1, 4)}"
            if draw.random() < 0.3
            else "Answer: nothing"
        )
    if kind == "NUMBER":
        return f"Answer: {draw.randrange(10)}"
    return f"Answer: {draw.choice(['cooperate', 'defect'])}"
