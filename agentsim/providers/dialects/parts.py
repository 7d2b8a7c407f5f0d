"""What a message says and what its author thought: servers send both as text, as lists of parts, or in fields apart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Said", "read_content", "read_thoughts"]

THOUGHT_FIELDS: Final = ("reasoning_content", "reasoning", "thinking", "reasoning_details")
"""Fields of a message, beside its content, in which servers send thoughts; some send the same in two of them."""
THOUGHT_TYPES: Final = ("thinking", "thought", "reasoning", "redacted_thinking", "redacted_reasoning")
"""How the type of a part of thoughts begins, as in `reasoning.summary`."""
TEXT_TYPES: Final = ("text", "output_text")
ASIDE_TYPES: Final = ("reference", "tool_reference", "server_tool_use")
"""Parts that belong to a whole reply without being its text, as do the results of a server's own tools."""
WORD_FIELDS: Final = ("thinking", "text", "reasoning", "reasoning_content", "summary", "content", "data")
MAX_DEPTH: Final = 8


@dataclass(frozen=True, kw_only=True)
class Said:
    """The content of one message."""

    text: str | None
    """`None` where the content holds none."""
    thoughts: tuple[str, ...] = ()
    refusal: str | None = None
    strange: str | None = None
    """The type of a part that is none of these, if there is one: the text is not all that was said."""


def read_content(content: object) -> Said:
    """Return what a content says: a text, a list of parts, or nothing.

    Raises:
        ValueError: it is none of these.
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
            raise ValueError("the type of a part is no text")
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
    """Return all thoughts in a message, whole; what two fields say alike, once; `None` where there are none."""
    found: list[str] = []
    for words in (said.thoughts, *(tuple(_words(message.get(name))) for name in THOUGHT_FIELDS)):
        earlier = tuple(found)
        found.extend(word for word in words if not any(word in text for text in earlier))
    return "\n\n".join(found) or None


def _text(part: Mapping[str, Any], name: str) -> str:
    if not isinstance(part.get(name), str):
        raise ValueError(f"the {name} of a part is no text")
    return str(part[name])


def _words(value: object, depth: int = 0) -> Iterator[str]:
    """Give the texts in thoughts of any form; what the server has made unreadable is marked as such."""
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
