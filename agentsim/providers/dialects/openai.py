"""OpenAI's chat-completions dialect, which vLLM, Ollama, Gemini's endpoint, llama.cpp and many others share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from agentsim.providers.base import Completion, Prompt, Sampling, Usage
from agentsim.providers.dialects.connection import plain_address
from agentsim.providers.dialects.dialect import Dialect, Opened, Opening
from agentsim.providers.dialects.endings import read_ending, read_finish
from agentsim.providers.dialects.filters import PromptFiltered, is_filter
from agentsim.providers.dialects.head import Head, Recorder, clients_head, is_of, plain_head
from agentsim.providers.dialects.parts import Said, read_content, read_thoughts
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

__all__ = ["DIALECT", "OPENAI_BASE_URL", "OpenAIProvider", "unsupported"]

OPENAI_BASE_URL: Final = "https://api.openai.com/v1"

LIMITS: Final = frozenset({"max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens"})
"""Names of the token limit; a server is sent only one of them, as many refuse two."""

NO_KEY: Final = "none"
"""Sent to a server that needs no key; left out, the client would look for one in the environment."""


def unsupported(sampling: Sampling) -> list[str]:
    """Return the names of the parameters that this dialect cannot send; a model may refuse more."""
    return [f"extra.{key}" for key in sorted(RESERVED_EXTRA & sampling.extra.keys())]


PATH: Final = "/chat/completions"
"""Where completions are asked for, below the server's address."""


class OpenAIProvider(RemoteProvider):
    """Completes prompts at one server.

    The token limit is sent as `max_completion_tokens` to OpenAI itself, whose reasoning models accept no other name,
    and as `max_tokens` to every other server, as most accept only that. If a server needs another name, set that name
    in `sampling.extra`: it is then sent instead.
    """

    def __init__(
        self,
        *,
        api_key: str | None,
        base_url: str | None,
        timeout_s: float,
        name: str = "openai",
        max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES,
    ) -> None:
        check_key(api_key, name=name)
        url = plain_address(base_url or OPENAI_BASE_URL)
        peer = Peer(name=name, base_url=url, secret=api_key)
        head = (_openais_head if is_of("openai.com", url) else _others_head)(url, api_key or NO_KEY, timeout_s)
        super().__init__(Wire(head, peer=peer, timeout_s=timeout_s, max_response_bytes=max_response_bytes))
        is_openai = urlsplit(url).hostname == urlsplit(OPENAI_BASE_URL).hostname
        self._limit = "max_completion_tokens" if is_openai else "max_tokens"

    def _unsupported(self, sampling: Sampling) -> list[str]:
        return unsupported(sampling)

    def _question(self, prompt: Prompt) -> dict[str, Any]:
        turns = [{"role": message.role, "content": message.content} for message in prompt.messages]
        return {"messages": turns, **_answer_format(prompt)}

    def _read(self, answer: Exchange, prompt: Prompt) -> Completion:
        return read_completion(answer, peer=self._peer)

    def _parameters(self, sampling: Sampling) -> dict[str, Any]:
        has_other = any(name != "max_tokens" and name in LIMITS for name in sampling.extra)
        parameters = {
            "temperature": sampling.temperature,
            self._limit: None if has_other else sampling.max_tokens,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            "reasoning_effort": sampling.reasoning_effort,
        }
        return {name: value for name, value in parameters.items() if value is not None}


def _openais_head(url: str, api_key: str, timeout_s: float) -> MakeHead:
    """Return what lets the official client make the head, with the organisation and headers of the environment."""
    import openai

    recorder = Recorder()
    client = openai.AsyncOpenAI(
        api_key=api_key, base_url=url, timeout=timeout_s, max_retries=0, http_client=recorder.client
    )
    return partial(clients_head, client, PATH, recorder=recorder, sdk_error=openai.OpenAIError)


def _others_head(url: str, api_key: str, timeout_s: float) -> MakeHead:
    own = {"Authorization": f"Bearer {api_key}"}

    async def make() -> Head:
        return plain_head(url, PATH, package="openai", agent="AsyncOpenAI", timeout_s=timeout_s, own=own)

    return make


def _answer_format(prompt: Prompt) -> dict[str, Any]:
    if prompt.answer_schema is None:
        return {}
    schema = {"name": "answer", "strict": True, "schema": prompt.answer_schema}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def read_completion(answer: Exchange, *, peer: Peer) -> Completion:
    """Return the completion in a chat-completions body.

    Raises:
        ProviderError: it holds an error or no well-formed choice.
    """
    body = answer.body
    choice = _read_choice(body, peer=peer)
    if error := body.get("error") or choice.get("error"):
        raise peer.refusal(status=None, error=error, headers=answer.headers)
    reason = choice.get("finish_reason")
    if not isinstance(reason, str | None):
        raise peer.unreadable("finish_reason is not text", body)
    message = choice.get("message")
    if not isinstance(message, dict):
        if read_ending(reason) == "stop":
            raise peer.unreadable("the choice has no message", body)
        message = {}  # after a filter or a failure of the server, the reason may be all there is
    said = _read_message(message, body, peer=peer)
    if said.text is None and not said.refusal and not reason:
        raise peer.unreadable("the choice has neither content nor finish_reason", body)
    finish, detail = read_finish(reason, said)
    if finish == "failed":
        raise peer.broken_off(reason)
    model, request_id = body.get("model"), answer.headers.get("x-request-id") or body.get("id")
    fingerprint = body.get("system_fingerprint")
    thoughts = read_thoughts(message, said)
    return Completion(
        text=peer.text(said.text or ""),
        thoughts=None if thoughts is None else peer.text(thoughts),
        model=peer.text(model) if isinstance(model, str) else None,
        fingerprint=peer.text(fingerprint) if isinstance(fingerprint, str) and fingerprint else None,
        finish_reason=finish,
        finish_detail=None if detail is None else peer.text(detail),
        usage=_read_usage(body.get("usage")),
        latency_s=answer.latency_s,
        request_id=peer.text(request_id) if isinstance(request_id, str) else None,
    )


def _read_choice(body: Mapping[str, Any], *, peer: Peer) -> Mapping[str, Any]:
    """Return the first choice, or an empty one if the body holds an error instead."""
    choices = body.get("choices")
    if body.get("error") and not choices:
        return {}
    if not choices and is_filter(body, status=None):  # such as Gemini's `prompt_feedback.block_reason`
        raise PromptFiltered(f"{peer.name} answered without a choice: its filter refused the prompt")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise peer.unreadable("there is no choice in it", body)
    return choices[0]


def _read_message(message: Mapping[str, Any], body: Mapping[str, Any], *, peer: Peer) -> Said:
    refusal = message.get("refusal")
    if not isinstance(refusal, str | None):
        raise peer.unreadable("the refusal is not text", body)
    try:
        said = read_content(message.get("content"))
    except ValueError as error:
        raise peer.unreadable(str(error), body) from None
    return replace(said, refusal=refusal or said.refusal)


def _read_usage(usage: object) -> Usage:
    """Return the valid counts; missing and invalid ones stay `None`."""
    if not isinstance(usage, dict):
        return Usage()
    inputs, outputs, total = (
        read_count(usage.get(key)) for key in ("prompt_tokens", "completion_tokens", "total_tokens")
    )
    if inputs is not None and outputs is not None and total is not None:
        outputs = max(
            outputs, total - inputs
        )  # Gemini leaves hidden reasoning out of completion_tokens but not out of the total
    cached = _read_detail(usage.get("prompt_tokens_details"), "cached_tokens")
    if cached is None:
        cached = read_count(usage.get("prompt_cache_hit_tokens"))  # DeepSeek's name for it
    return Usage(
        input_tokens=inputs,
        cached_tokens=cached if cached is not None and inputs is not None and cached <= inputs else None,
        output_tokens=outputs,
        reasoning_tokens=_read_detail(usage.get("completion_tokens_details"), "reasoning_tokens"),
    )


def _read_detail(details: object, key: str) -> int | None:
    return read_count(details.get(key)) if isinstance(details, dict) else None


def _open(opening: Opening) -> Opened:
    return Opened(
        OpenAIProvider(
            api_key=opening.api_key, base_url=opening.base_url, timeout_s=opening.timeout_s, name=opening.name
        )
    )


DIALECT: Final = Dialect(
    name="openai",
    open=_open,
    unsupported=unsupported,
    accounts={
        "openai": {"base_url": OPENAI_BASE_URL, "api_key_env": "OPENAI_API_KEY"},
        "gemini": {
            "base_url": "https://generativelanguage.googleapis.com/v1beta/openai/",
            "api_key_env": "GEMINI_API_KEY",
        },
    },
)
