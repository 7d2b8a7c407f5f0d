"""A message's text and reasoning: servers send them as text, as lists of parts, or in separate fields."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Said", "read_content", "read_thoughts"]

THOUGHT_FIELDS: Final = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
"""Fields of a message, besides its content, that hold reasoning; some servers send the same text in two of them."""
THOUGHT_TYPES: Final = ("thinking", "thought", "reasoning", "redacted_thinking", "redacted_reasoning")
"""Prefixes of the types of parts that hold reasoning, such as `reasoning.summary`."""
TEXT_TYPES: Final = ("text", "output_text")
ASIDE_TYPES: Final = ("reference", "tool_reference", "server_tool_use")
"""Types of parts that a whole reply may have besides its text; results of a server's own tools are allowed too."""
WORD_FIELDS: Final = ("thinking", "text", "reasoning", "reasoning_content", "summary", "content", "data")
MAX_DEPTH: Final = 8


@dataclass(frozen=True, kw_only=True)
class Said:
    """The content of one message."""

    text: str | None
    """`None` if the content holds no text."""
    thoughts: tuple[str, ...] = ()
    refusal: str | None = None
    strange: str | None = None
    """The type of a part of any other kind, if there is one: then the text is not the whole content."""


def read_content(content: object) -> Said:
    """Read a message's content: a text, a list of parts, or `None`.

    Raises:
        ValueError: the content is none of these.
    """
    if content is None or isinstance(content, str):
        return Said(text=content)
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise ValueError("the content is neither text nor a list of parts")
    texts: list[str] = []
    thoughts: list[str] = []
    refusals: list[str] = []
    strange = None
    for part in content:
        kind = part.get("type", "text")
        if not isinstance(kind, str):
            raise ValueError("the type of a part is not text")
        if kind.startswith(THOUGHT_TYPES) or part.get("thought") is True:
            thoughts.extend(_words(part))
        elif kind in TEXT_TYPES:
            texts.append(_text(part, "text"))
        elif kind == "refusal":
            refusals.append(_text(part, "refusal"))
        elif kind not in ASIDE_TYPES and not kind.endswith("tool_result"):
            strange = kind
    return Said(
        text="".join(texts) if texts else None,
        thoughts=tuple(thoughts),
        refusal="\n".join(refusals) or None,
        strange=strange,
    )


def read_thoughts(message: Mapping[str, Any], said: Said) -> str | None:
    """Return all reasoning in a message, without text that is sent twice; `None` if there is none."""
    thoughts: list[str] = []
    for words in (said.thoughts, *(tuple(_words(message.get(name))) for name in THOUGHT_FIELDS)):
        earlier = tuple(thoughts)
        thoughts.extend(word for word in words if not any(word in text for text in earlier))
    return "\n\n".join(thoughts) or None


def _text(part: Mapping[str, Any], name: str) -> str:
    if not isinstance(part.get(name), str):
        raise ValueError(f"the {name} of a part is not text")
    return str(part[name])


def _words(value: object, depth: int = 0) -> Iterator[str]:
    """Yield the texts in reasoning of any form; reasoning that the server encrypted is marked as unreadable."""
    if value is None or isinstance(value, bool) or value in ("", [], {}):
        return
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict) and depth < MAX_DEPTH:
        yield from _inner_words(value, depth)
    else:
        yield json.dumps(value, ensure_ascii=False)


def _inner_words(value: list[Any] | dict[str, Any], depth: int) -> Iterator[str]:
    inner: list[Any] | dict[str, Any] = value
    if isinstance(value, dict):
        inner = [value[name] for name in WORD_FIELDS if value.get(name)]
        if isinstance(value.get("data"), str):
            inner = [f"[unreadable {value.get('type', 'data')}: {value['data']}]"]
    if not inner:
        yield json.dumps(value, ensure_ascii=False)
    for part in inner:
        yield from _words(part, depth + 1)
