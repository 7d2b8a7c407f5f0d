"""Answers that a provider holds to a JSON schema: the schema, and what is read from such an answer.

The range of an amount is not in the schema, as not every server keeps to one; it is checked here.
"""

from __future__ import annotations

import json
import math
from typing import Any

from agentsim.core.types import ActSpec, Answer, AnswerSpec, TextSpec

__all__ = ["read", "schema_of"]


def schema_of(spec: AnswerSpec) -> dict[str, Any]:
    """Return the JSON schema of an answer: a reason first, as in free text, then the text or the decision."""
    properties: dict[str, Any] = {"reasoning": {"type": "string"}}
    if isinstance(spec, TextSpec):
        properties[spec.what] = {"type": "string"}
    else:
        if len(spec.acts) > 1:
            properties["act"] = {"type": "string", "enum": list(spec.acts)}
        properties["units"] = {"type": "number"}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def read(text: str, spec: AnswerSpec) -> Answer:
    """Return the answer in a JSON text, its amount perhaps out of range; unreadable if it is not of the schema."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return Answer(problem="unreadable")
    if not isinstance(value, dict):
        return Answer(problem="unreadable")
    if isinstance(spec, TextSpec):
        words = value.get(spec.what)
        return _text(words, spec) if isinstance(words, str) else Answer(problem="unreadable")
    return _decision(value, spec)


def _text(text: str, spec: TextSpec) -> Answer:
    words = text.strip()
    if not words:
        return Answer(problem="empty")
    return Answer(text=words[: spec.max_chars], is_cut=len(words) > spec.max_chars)


def _decision(value: dict[str, Any], spec: ActSpec) -> Answer:
    act = value.get("act") if len(spec.acts) > 1 else spec.acts[0]
    units = value.get("units")
    if act not in spec.acts or isinstance(units, bool) or not isinstance(units, int | float):
        return Answer(problem="unreadable")
    try:
        amount = float(units)
    except OverflowError:  # an integer of hundreds of digits
        return Answer(problem="out_of_range")
    return Answer(act=act, amount=amount) if math.isfinite(amount) else Answer(problem="unreadable")
