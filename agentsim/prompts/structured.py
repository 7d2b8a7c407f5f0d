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

from agentsim.core.answers import ActSpec, Answer, AnswerSpec, MoveSpec, TextSpec
from agentsim.prompts import moves
from agentsim.prompts.grammar import Grammar, plain_line
from agentsim.prompts.numbers import plain_characters
from agentsim.prompts.texts import cut
from agentsim.prompts.thoughts import without_thoughts
from agentsim.prompts.words import Words, default_words

__all__ = ["read", "schema_of"]

_SIGNS: Final = re.compile(r'\\.|["{}]', re.DOTALL)
"""What tells where a JSON object begins and ends; an escaped character tells nothing."""


def schema_of(spec: AnswerSpec, words: Words | None = None) -> dict[str, Any]:
    """Return the JSON schema of an answer: a reason first, as in free text, then the text or the decision.

    `words`: those of the prompt set, which name its keys and acts; without them those of `default`.
    """
    words = words or default_words()
    keys = words.json_
    properties: dict[str, Any] = {keys.reasoning: {"type": "string"}}
    if isinstance(spec, TextSpec):
        properties[_asked(spec, words)] = {"type": "string"}
        return _schema(properties)
    if isinstance(spec, MoveSpec):
        return _schema(properties | moves.schema(spec, words))
    if _is_yes_or_no(spec):
        properties[keys.give] = {"type": "boolean"}
        return _schema(properties)
    if len(spec.acts) > 1:
        properties[keys.act] = {"type": "string", "enum": [words.word(act) for act in spec.acts]}
    properties[keys.units] = {"type": "number"}
    return _schema(properties)


def _schema(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _is_yes_or_no(spec: ActSpec) -> bool:
    return spec.gift.yes is not None and spec.acts == ("give",)


def read(text: str, spec: AnswerSpec, *, words: Words, is_whole: bool = True) -> Answer:
    """Return the answer in the one JSON object of a text, its amount perhaps out of range.

    Thoughts, a fence and words around the object are passed over. Objects that say different things are ambiguous; a
    text without an object of the schema is unreadable. `is_whole`: the model stopped of its own accord; if not, only a
    text that is an object and nothing else counts.
    """
    try:
        objects = [_object(text)]
    except (ValueError, RecursionError):
        objects = list(_objects(without_thoughts(text))) if is_whole else []
    answers = [_read(value, spec, words) for value in objects if value is None or _asked(spec, words) in value]
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


def _asked(spec: AnswerSpec, words: Words) -> str:
    """Return the key of what was asked for."""
    if isinstance(spec, TextSpec):
        keys = {"strategy": words.json_.strategy, "note": words.json_.note, "message": words.json_.message}
        return keys[spec.what]
    if isinstance(spec, MoveSpec):
        return words.json_.act if len(spec.options) > 1 else words.json_.units
    return words.json_.give if _is_yes_or_no(spec) else words.json_.units


def _read(value: dict[str, Any] | None, spec: AnswerSpec, words: Words) -> Answer:
    if value is None:
        return Answer(problem="ambiguous")
    if isinstance(spec, TextSpec):
        text = value[_asked(spec, words)]
        if not isinstance(text, str):
            return Answer(problem="unreadable")
        said = without_thoughts(text).strip()
        return cut(said, spec) if said else Answer(problem="empty")
    if isinstance(spec, MoveSpec):
        return moves.read_object(value, spec, words)
    return _decision(value, spec, words)


def _decision(value: dict[str, Any], spec: ActSpec, words: Words) -> Answer:
    if spec.gift.yes is not None and _is_yes_or_no(spec):
        gives = _yes_or_no(value[words.json_.give], words)
        return Answer(problem="unreadable") if gives is None else Answer("give", spec.gift.yes if gives else 0.0)
    acts = {words.word(act).lower(): act for act in spec.acts}
    said = value.get(words.json_.act)
    if words.json_.act in value:
        act = acts.get(said.strip().lower()) if isinstance(said, str) else None
    else:
        act = spec.acts[0] if len(spec.acts) == 1 else None
    units = value[words.json_.units]
    if act is None or isinstance(units, bool) or not isinstance(units, int | float | str):
        return Answer(problem="unreadable")
    if isinstance(units, str):
        amount = words.made(Grammar).read_amount(plain_line(plain_characters(units)), high=spec.high)
        if amount is None or amount.word == "share":
            return Answer(problem="unreadable")
        return Answer(act, amount.value, reading=amount.reading)
    try:
        number = float(units)
    except OverflowError:  # an integer of hundreds of digits
        return Answer(problem="out_of_range")
    return Answer(act=act, amount=number) if math.isfinite(number) else Answer(problem="unreadable")


def _yes_or_no(said: object, words: Words) -> bool | None:
    if isinstance(said, bool):
        return said
    text = said.strip().lower() if isinstance(said, str) else None
    answers = dict.fromkeys(words.yes_or_no.json_yes, True) | dict.fromkeys(words.yes_or_no.json_no, False)
    return next((answer for word, answer in answers.items() if word.lower() == text), None)
