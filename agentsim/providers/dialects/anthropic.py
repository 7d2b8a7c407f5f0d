"""Anthropic's messages dialect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from agentsim.errors import BadRequest
from agentsim.providers.base import Completion, Prompt, Sampling, Usage
from agentsim.providers.dialects.connection import plain_address
from agentsim.providers.dialects.dialect import Dialect, Opened, Opening
from agentsim.providers.dialects.endings import read_finish
from agentsim.providers.dialects.head import Head, Recorder, clients_head, is_of, plain_head
from agentsim.providers.dialects.parts import read_content, read_thoughts
from agentsim.providers.dialects.peer import Peer
from agentsim.providers.dialects.remote import RemoteProvider
from agentsim.providers.dialects.wire import (
    DEFAULT_MAX_RESPONSE_BYTES,
    RESERVED_EXTRA,
    Exchange,
    MakeHead,
    Wire,
    check_key,
    read_count,
)

__all__ = ["ANTHROPIC_BASE_URL", "DEFAULT_MAX_TOKENS", "DIALECT", "AnthropicProvider", "unsupported"]

ANTHROPIC_BASE_URL: Final = "https://api.anthropic.com"

DEFAULT_MAX_TOKENS: Final = 1024
"""Sent if the sampling sets no limit, as this API requires one; an answer cut by it ends in "length"."""

TOOL: Final = "answer"
"""The tool that a model must use if its answer has a schema."""

NO_KEY: Final = "none"
"""Sent to a server that needs no key; left out, the client would look for one in the environment."""


def unsupported(sampling: Sampling) -> list[str]:
    """Return the names of the parameters that this dialect does not know."""
    missing = [name for name in ("seed", "reasoning_effort") if getattr(sampling, name) is not None]
    return missing + [f"extra.{key}" for key in sorted(RESERVED_EXTRA & sampling.extra.keys())]


PATH: Final = "/v1/messages"
"""Where completions are asked for, below the server's address."""

API_VERSION: Final = "2026-10-21"
"""The version of the API that the official client speaks."""


class AnthropicProvider(RemoteProvider):
    """Completes prompts at one server.

    `base_url` may end in `/v1` or not. Temperature and top_p are sent unchanged, although the newest models refuse them
    and the official client no longer has parameters for them.
    """

    def __init__(
        self,
        *,
        api_key: str | None,
        base_url: str | None,
        timeout_s: float,
        name: str = "anthropic",
        max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES,
    ) -> None:
        check_key(api_key, name=name)
        url = plain_address(base_url or ANTHROPIC_BASE_URL).rstrip("/").removesuffix("/v1")
        peer = Peer(name=name, base_url=url, secret=api_key)
        head = (_anthropics_head if is_of("anthropic.com", url) else _others_head)(url, api_key or NO_KEY, timeout_s)
        super().__init__(Wire(head, peer=peer, timeout_s=timeout_s, max_response_bytes=max_response_bytes))

    def _unsupported(self, sampling: Sampling) -> list[str]:
        return unsupported(sampling)

    def _parameters(self, sampling: Sampling) -> dict[str, Any]:
        parameters = {"temperature": sampling.temperature, "top_p": sampling.top_p}
        return {name: value for name, value in parameters.items() if value is not None}

    def _question(self, prompt: Prompt) -> dict[str, Any]:
        system, turns = _split(prompt, name=self._peer.name)
        return {
            "messages": turns,
            "max_tokens": DEFAULT_MAX_TOKENS if prompt.sampling.max_tokens is None else prompt.sampling.max_tokens,
            **({"system": system} if system else {}),
            **_answer_format(prompt),
        }

    def _read(self, answer: Exchange, prompt: Prompt) -> Completion:
        return read_completion(answer, peer=self._peer, is_structured=prompt.answer_schema is not None)


def _anthropics_head(url: str, api_key: str, timeout_s: float) -> MakeHead:
    """Return what lets the official client make the head, with the headers that the environment names."""
    import anthropic

    recorder = Recorder()
    client = anthropic.AsyncAnthropic(
        api_key=api_key,
        base_url=url,
        timeout=timeout_s,
        max_retries=0,
        open_telemetry=False,
        http_client=recorder.client,
    )
    return partial(clients_head, client, PATH, recorder=recorder, sdk_error=anthropic.AnthropicError)


def _others_head(url: str, api_key: str, timeout_s: float) -> MakeHead:
    own = {
        "X-Api-Key": api_key,
        "Anthropic-Version": API_VERSION,
        "X-Stainless-Timeout": "NOT_GIVEN",  # the client's word for calls without a deadline of their own
    }

    async def make() -> Head:
        return plain_head(url, PATH, package="anthropic", agent="AsyncAnthropic", timeout_s=timeout_s, own=own)

    return make


def _split(prompt: Prompt, *, name: str) -> tuple[str, list[dict[str, str]]]:
    """Return the system text and the turns; this API allows a system text only before the conversation."""
    first = next((i for i, message in enumerate(prompt.messages) if message.role != "system"), len(prompt.messages))
    turns = prompt.messages[first:]
    if any(message.role == "system" for message in turns):
        raise BadRequest(
            f"{name} takes system messages only before the conversation: move them to the front of the prompt"
        )
    system = "\n\n".join(message.content for message in prompt.messages[:first])
    return system, [{"role": message.role, "content": message.content} for message in turns]


def _answer_format(prompt: Prompt) -> dict[str, Any]:
    """Return the parameters that make the model use a tool whose input is the answer."""
    if prompt.answer_schema is None:
        return {}
    tool = {"name": TOOL, "description": "State your answer.", "input_schema": prompt.answer_schema}
    return {"tools": [tool], "tool_choice": {"type": "tool", "name": TOOL}}


def read_completion(answer: Exchange, *, peer: Peer, is_structured: bool = False) -> Completion:
    """Return the completion in a messages body; `is_structured`: the model had to answer with the tool.

    Raises:
        ProviderError: it holds an error or no well-formed message.
    """
    body = answer.body
    if error := body.get("error"):
        raise peer.refusal(status=None, error=error, headers=answer.headers)
    blocks, reason = body.get("content"), body.get("stop_reason")
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise peer.unreadable("there is no list of content blocks in it", body)
    if not isinstance(reason, str | None):
        raise peer.unreadable("stop_reason is not text", body)
    used = [block for block in blocks if is_structured and _is_answer(block)]
    rest = [block for block in blocks if not (is_structured and _is_answer(block))]
    try:
        said = read_content(rest)
    except ValueError as error:
        raise peer.unreadable(str(error), body) from None
    if used:
        said = replace(said, text="".join(json.dumps(block.get("input"), ensure_ascii=False) for block in used))
    if said.text is None and not reason:
        raise peer.unreadable("it has no text", body)
    finish, detail = read_finish(reason, said, used_tool=bool(used))
    if finish == "failed":
        raise peer.broken_off(reason)
    model, request_id = body.get("model"), answer.headers.get("request-id") or body.get("id")
    thoughts = read_thoughts({}, said)
    return Completion(
        text=peer.text(said.text or ""),
        thoughts=None if thoughts is None else peer.text(thoughts),
        model=peer.text(model) if isinstance(model, str) else None,
        finish_reason=finish,
        finish_detail=None if detail is None else peer.text(detail),
        usage=_read_usage(body.get("usage")),
        latency_s=answer.latency_s,
        request_id=peer.text(request_id) if isinstance(request_id, str) else None,
    )


def _is_answer(block: Mapping[str, Any]) -> bool:
    return block.get("type") == "tool_use" and block.get("name") == TOOL


def _read_usage(usage: object) -> Usage:
    """Return the valid counts; this API's `input_tokens` excludes cached input, ours includes it."""
    if not isinstance(usage, dict):
        return Usage()
    fresh, cached, created = (
        read_count(usage.get(key)) for key in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    )
    return Usage(
        input_tokens=None if fresh is None else fresh + (cached or 0) + (created or 0),
        cached_tokens=None if fresh is None else cached,
        cache_write_tokens=None if fresh is None else created,
        output_tokens=read_count(usage.get("output_tokens")),
    )


def _open(opening: Opening) -> Opened:
    return Opened(
        AnthropicProvider(
            api_key=opening.api_key, base_url=opening.base_url, timeout_s=opening.timeout_s, name=opening.name
        )
    )


DIALECT: Final = Dialect(
    name="anthropic",
    open=_open,
    unsupported=unsupported,
    accounts={"anthropic": {"base_url": ANTHROPIC_BASE_URL, "api_key_env": "ANTHROPIC_API_KEY"}},
)
