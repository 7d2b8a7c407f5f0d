"""Answers that a provider holds to a JSON schema: the schema, and what is read from such an answer.

The range of an amount is not in the schema, as not every server keeps to one; it is checked here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, NoReturn

from agentsim.core.answers import ActSpec, Answer, AnswerSpec, TextSpec
from agentsim.prompts.grammar import plain_line, read_amount
from agentsim.prompts.numbers import plain_characters
from agentsim.prompts.texts import cut
from agentsim.prompts.thoughts import without_thoughts

__all__ = ["read", "schema_of"]

_SIGNS: Final = re.compile(r'\\.|["{}]', re.DOTALL)
"""What tells where a JSON object begins and ends; an escaped character tells nothing."""


YES_OR_NO: Final = {"yes": True, "true": True, "no": False, "false": False}


def schema_of(spec: AnswerSpec) -> dict[str, Any]:
    """Return the JSON schema of an answer: a reason first, as in free text, then the text or the decision."""
    properties: dict[str, Any] = {"reasoning": {"type": "string"}}
    if isinstance(spec, TextSpec):
        properties[spec.what] = {"type": "string"}
    else:
        if _is_yes_or_no(spec):
            properties["give"] = {"type": "boolean"}
            return _schema(properties)
        if len(spec.acts) > 1:
            properties["act"] = {"type": "string", "enum": list(spec.acts)}
        properties["units"] = {"type": "number"}
    return _schema(properties)


def _schema(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _is_yes_or_no(spec: ActSpec) -> bool:
    return spec.gift.yes is not None and spec.acts == ("give",)


def read(text: str, spec: AnswerSpec, *, is_whole: bool = True) -> Answer:
    """Return the answer in the one JSON object of a text, its amount perhaps out of range.

    Thoughts, a fence and words around the object are passed over. Objects that say different things are ambiguous; a
    text without an object of the schema is unreadable. `is_whole`: the model stopped of its own accord; if not, only a
    text that is an object and nothing else counts.
    """
    try:
        objects = [_object(text)]
    except (ValueError, RecursionError):
        objects = list(_objects(without_thoughts(text))) if is_whole else []
    answers = [_read(value, spec) for value in objects if value is None or _asked(spec) in value]
    if not answers:
        return Answer(problem="unreadable" if is_whole else "cut_off")
    return answers[0] if all(answer == answers[0] for answer in answers) else Answer(problem="ambiguous")


def _object(text: str) -> dict[str, Any] | None:
    """Return a JSON object, or `None` where it names one thing twice.

    Raises:
        ValueError: the text is not JSON, is another value, or holds a number that is not finite.
    """
    is_ambiguous = False

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal is_ambiguous
        is_ambiguous |= len({name for name, _ in pairs}) < len(pairs)
        return dict(pairs)

    value = json.loads(text, object_pairs_hook=once, parse_constant=_refuse)
    if not isinstance(value, dict):
        raise ValueError("another value than an object")
    return None if is_ambiguous else value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _objects(text: str) -> Iterator[dict[str, Any] | None]:
    """Return the outermost JSON objects in a text, in their order. Takes linear time."""
    depth, start, is_string = 0, 0, False
    for sign in _SIGNS.finditer(text):
        if depth and sign[0] == '"':
            is_string = not is_string
        elif sign[0] == "{" and not is_string:
            start = start if depth else sign.start()
            depth += 1
        elif sign[0] == "}" and depth and not is_string:
            depth -= 1
            if not depth:
                with suppress(ValueError, RecursionError):
                    yield _object(text[start : sign.end()])


def _asked(spec: AnswerSpec) -> str:
    if isinstance(spec, TextSpec):
        return spec.what
    return "give" if _is_yes_or_no(spec) else "units"


def _read(value: dict[str, Any] | None, spec: AnswerSpec) -> Answer:
    if value is None:
        return Answer(problem="ambiguous")
    if isinstance(spec, TextSpec):
        words = value[spec.what]
        if not isinstance(words, str):
            return Answer(problem="unreadable")
        said = without_thoughts(words).strip()
        return cut(said, spec) if said else Answer(problem="empty")
    return _decision(value, spec)


def _decision(value: dict[str, Any], spec: ActSpec) -> Answer:
    if spec.gift.yes is not None and _is_yes_or_no(spec):
        said = value["give"]
        gives = YES_OR_NO.get(said.strip().lower()) if isinstance(said, str) else said
        if not isinstance(gives, bool):
            return Answer(problem="unreadable")
        return Answer(act="give", amount=spec.gift.yes if gives else 0.0)
    act = value.get("act", spec.acts[0] if len(spec.acts) == 1 else None)
    act = act.strip().lower() if isinstance(act, str) else act
    units = value["units"]
    if act not in spec.acts or isinstance(units, bool) or not isinstance(units, int | float | str):
        return Answer(problem="unreadable")
    if isinstance(units, str):
        amount = read_amount(plain_line(plain_characters(units)), high=spec.high)
        if amount is None or amount.word == "share":
            return Answer(problem="unreadable")
        return Answer(act, amount.value, reading=amount.reading)
    try:
        number = float(units)
    except OverflowError:  # an integer of hundreds of digits
        return Answer(problem="out_of_range")
    return Answer(act=act, amount=number) if math.isfinite(number) else Answer(problem="unreadable")
