"""Reads answers from servers that only stream: their events are assembled into the body of a whole answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from agentsim.providers.dialects.peer import Peer

__all__ = ["is_stream", "read_stream"]

LINE_END = re.compile(r"\r\n|\n|\r")


def is_stream(headers: Mapping[str, str]) -> bool:
    """Whether a response is a stream of events, although no stream was requested."""
    return headers.get("content-type", "").partition(";")[0].strip().lower() == "text/event-stream"


def read_stream(body: bytes, *, peer: Peer) -> dict[str, Any]:
    """Return the body that a stream of events, in either dialect, is equivalent to.

    Raises:
        Unavailable: an event is not a JSON object, or the stream ends without a reason to stop.
    """
    events = [peer.decode(data.encode()) for data in _events(body.decode("utf-8", "replace"))]
    if error := next((event for event in events if event.get("error")), None):
        return error
    is_anthropic = any(event.get("type") == "message_start" for event in events)
    whole = _whole_message(events) if is_anthropic else _whole_completion(events)
    if whole is None:
        raise peer.unreadable("it is a stream that does not say why it ends", body)
    return whole


def _events(text: str) -> Iterator[str]:
    lines: list[str] = []
    for line in [*LINE_END.split(text), ""]:
        if line.startswith("data:"):
            lines.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and lines:
            data = "\n".join(lines)
            lines = []
            if data.strip() and data.strip() != "[DONE]":
                yield data


def _whole_completion(events: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the body of a chat completion."""
    body: dict[str, Any] = {}
    message: dict[str, Any] = {}
    reason = None
    for event in events:
        body |= {name: event[name] for name in ("id", "model", "system_fingerprint", "usage") if event.get(name)}
        choice = _first(event.get("choices"))
        reason = choice.get("finish_reason") or reason
        for name, part in _dict(choice.get("delta") or choice.get("message")).items():
            _add(message, name, part)
    if reason is None:
        return None
    return {**body, "choices": [{"message": message, "finish_reason": reason}]}


def _whole_message(events: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the body of an Anthropic message."""
    body: dict[str, Any] = {}
    blocks: dict[Any, dict[str, Any]] = {}
    for event in events:
        index = str(event.get("index"))
        match event.get("type"):
            case "message_start":
                body = {**_dict(event.get("message")), "stop_reason": None}
            case "content_block_start":
                blocks[index] = {**_dict(event.get("content_block"))}
            case "content_block_delta":
                for name, part in _dict(event.get("delta")).items():
                    if name != "type":
                        _add(blocks.setdefault(index, {}), name, part)
            case "message_delta":
                body["stop_reason"] = _dict(event.get("delta")).get("stop_reason")
                body["usage"] = {**_dict(body.get("usage")), **_dict(event.get("usage"))}
    if body.get("stop_reason") is None:
        return None
    return {**body, "content": [_block(block) for block in blocks.values()]}


def _block(block: dict[str, Any]) -> dict[str, Any]:
    """Return a finished block; a tool's input arrives as pieces of JSON."""
    pieces = block.pop("partial_json", "")
    try:
        return {**block, "input": json.loads(pieces)} if pieces else block
    except (ValueError, TypeError, RecursionError):
        return block


def _add(message: dict[str, Any], name: str, part: object) -> None:
    """Add a piece of a field: texts and lists grow, any other value replaces the earlier one."""
    earlier = message.get(name)
    if (isinstance(earlier, str) and isinstance(part, str) and name != "role") or (
        isinstance(earlier, list) and isinstance(part, list)
    ):
        message[name] = earlier + part  # type: ignore[operator]  # both are texts, or both are lists
    elif part is not None:
        message[name] = part


def _first(value: object) -> Mapping[str, Any]:
    return _dict(value[0]) if isinstance(value, list) and value else {}


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
