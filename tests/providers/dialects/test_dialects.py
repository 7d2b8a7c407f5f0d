"""Both adapters, over real sockets, against every fault of the fake server.

Each call by `complete` or `failure` is also made by the official client (`client_wire`): requests and outcomes must be
equal.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import time
import traceback
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from agentsim.errors import (
    AuthError,
    BadRequest,
    FatalProviderError,
    KeyRefused,
    ProviderError,
    RateLimited,
    Unavailable,
)
from agentsim.providers.base import Completion, Message, Prompt, Sampling, Usage
from agentsim.providers.dialects.anthropic import DEFAULT_MAX_TOKENS, AnthropicProvider
from agentsim.providers.dialects.openai import OpenAIProvider
from agentsim.providers.dialects.wire import DEFAULT_MAX_RESPONSE_BYTES
from agentsim.testing.faultserver import (
    Answer,
    Behaviour,
    Drip,
    EchoKey,
    Endless,
    FaultServer,
    Hang,
    Raw,
    Request,
    Reset,
    Script,
    Status,
)
from tests.providers.dialects.client_wire import as_sent, let_client_send, told

KEY = "sk-sentinel-4f9a1c7e2b8d6053-never-written-anywhere"
DIALECTS = ("openai", "anthropic")

Adapter = OpenAIProvider | AnthropicProvider


@asynccontextmanager
async def adapter_and_server(
    dialect: str, script: Script, *, timeout_s: float = 100.0, is_clients: bool = False, **options: Any
) -> AsyncIterator[tuple[Adapter, FaultServer]]:
    """`is_clients`: the official client sends the requests."""
    async with FaultServer(script) as server:
        adapter: Adapter
        if dialect == "openai":
            adapter = OpenAIProvider(api_key=KEY, base_url=server.openai_url, timeout_s=timeout_s, **options)
        else:
            adapter = AnthropicProvider(api_key=KEY, base_url=server.url, timeout_s=timeout_s, **options)
        if is_clients:
            let_client_send(adapter, dialect, timeout_s=timeout_s, **options)
        try:
            yield adapter, server
        finally:
            await adapter.aclose()


async def complete(dialect: str, script: Script, prompt: Prompt, **options: Any) -> Completion:
    outcome, told, requests = await _asked(dialect, script, prompt, **options)
    _, by_client, clients_requests = await _asked(dialect, script, prompt, is_clients=True, **options)
    if not (requests and clients_requests) and options.get("timeout_s", 100.0) < 10:
        # A busy machine had not sent the request when the deadline passed.
        return await complete(dialect, script, prompt, **(options | {"timeout_s": options["timeout_s"] * 10}))
    assert told == by_client
    assert requests == clients_requests
    if isinstance(outcome, ProviderError):
        raise outcome
    return outcome


async def _asked(
    dialect: str, script: Script, prompt: Prompt, **options: Any
) -> tuple[Completion | ProviderError, object, list[object]]:
    """Return the outcome of a call, all that is known of it, and the requests that were received."""
    async with adapter_and_server(dialect, script, **options) as (adapter, server):
        try:
            outcome: Completion | ProviderError = await adapter.complete(prompt)
        except ProviderError as error:
            outcome = error
        host = server.url.removeprefix("http://")
        return outcome, told(outcome, host=host), [as_sent(request, host=host) for request in server.requests]


async def failure(dialect: str, script: Script, prompt: Prompt, **options: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await complete(dialect, script, prompt, **options)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert not [KEY[i : i + 8] for i in range(len(KEY) - 7) if KEY[i : i + 8] in shown]
    return caught.value


def openai_body(**changes: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": "4"}, "finish_reason": "stop"}
    return json.dumps({"id": "x", "model": "m", "choices": [choice | changes.pop("choice", {})], **changes}).encode()


def anthropic_body(**changes: Any) -> bytes:
    content = [{"type": "text", "text": "4"}]
    return json.dumps({"id": "x", "model": "m", "content": content, "stop_reason": "end_turn"} | changes).encode()


# --- what is sent ---


async def test_openai_sends_messages_key_and_only_the_parameters_given(prompt: Prompt) -> None:
    async with adapter_and_server("openai", [Answer()]) as (adapter, server):
        await adapter.complete(prompt)
    (request,) = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.key == KEY
    assert request.headers["accept-encoding"] == "identity"
    assert request.body == {
        "model": "some-model",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How much?"}],
        "temperature": 0.5,
        "max_tokens": 12,
    }


async def test_openai_sends_every_parameter_and_the_extra_ones(prompt: Prompt) -> None:
    sampling = Sampling(top_p=0.9, seed=7, reasoning_effort="low", extra={"top_k": 5, "grammar": 'root ::= "4"'})
    async with adapter_and_server("openai", [Answer()]) as (adapter, server):
        await adapter.complete(prompt.model_copy(update={"sampling": sampling}))
    sent = {key: value for key, value in server.requests[0].body.items() if key not in ("model", "messages")}
    assert sent == {"top_p": 0.9, "seed": 7, "reasoning_effort": "low", "top_k": 5, "grammar": 'root ::= "4"'}


async def test_a_limit_of_another_name_is_sent_in_place_of_ours(prompt: Prompt) -> None:
    sampling = Sampling(max_tokens=12, extra={"max_completion_tokens": 2000})
    async with adapter_and_server("openai", [Answer()]) as (adapter, server):
        await adapter.complete(prompt.model_copy(update={"sampling": sampling}))
    assert server.requests[0].body["max_completion_tokens"] == 2000
    assert "max_tokens" not in server.requests[0].body


async def test_anthropics_address_may_end_in_v1(prompt: Prompt) -> None:
    async with FaultServer() as server:
        for ending in ("", "/", "/v1", "/v1/"):
            adapter = AnthropicProvider(api_key=KEY, base_url=server.url + ending, timeout_s=10)
            assert (await adapter.complete(prompt)).text == "ok"
            await adapter.aclose()
    assert {request.path for request in server.requests} == {"/v1/messages"}


async def test_openai_itself_is_sent_max_completion_tokens() -> None:
    adapter = OpenAIProvider(api_key=KEY, base_url=None, timeout_s=1)
    assert adapter._parameters(Sampling(max_tokens=12)) == {"max_completion_tokens": 12}
    await adapter.aclose()


async def test_anthropic_sends_the_system_text_apart(prompt: Prompt) -> None:
    sampling = Sampling(temperature=0.5, max_tokens=12, top_p=0.9, extra={"top_k": 5})
    async with adapter_and_server("anthropic", [Answer()]) as (adapter, server):
        await adapter.complete(prompt.model_copy(update={"sampling": sampling}))
    (request,) = server.requests
    assert request.path == "/v1/messages"
    assert request.key == KEY
    assert request.body == {
        "model": "some-model",
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "How much?"}],
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 5,
        "max_tokens": 12,
    }


async def test_anthropic_sends_its_required_limit_where_none_is_given() -> None:
    prompt = Prompt(model="m", messages=(Message(role="user", content="How much?"),))
    async with adapter_and_server("anthropic", [Answer()]) as (adapter, server):
        await adapter.complete(prompt)
    assert server.requests[0].body["max_tokens"] == DEFAULT_MAX_TOKENS
    assert "system" not in server.requests[0].body


@pytest.mark.parametrize(
    ("dialect", "sampling", "name"),
    [
        ("anthropic", Sampling(seed=1), "seed"),
        ("anthropic", Sampling(reasoning_effort="low"), "reasoning_effort"),
        ("anthropic", Sampling(extra={"stream": True}), "extra.stream"),
        ("openai", Sampling(extra={"model": "other"}), "extra.model"),
    ],
)
async def test_a_parameter_the_dialect_cannot_send_is_refused_before_any_request(
    dialect: str, sampling: Sampling, name: str, prompt: Prompt
) -> None:
    async with adapter_and_server(dialect, [Answer()]) as (adapter, server):
        with pytest.raises(BadRequest, match=name):
            await adapter.complete(prompt.model_copy(update={"sampling": sampling}))
    assert not server.requests


async def test_anthropic_refuses_a_system_message_within_the_conversation() -> None:
    turns = (Message(role="user", content="a"), Message(role="system", content="b"))
    with pytest.raises(BadRequest, match="front"):
        await complete("anthropic", [Answer()], Prompt(model="m", messages=turns))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("extra", [{"when": object()}, {"bias": float("nan")}])
async def test_what_is_no_json_cannot_be_sent(dialect: str, extra: dict[str, Any], prompt: Prompt) -> None:
    unsendable = prompt.model_copy(update={"sampling": Sampling(extra=extra)})
    assert isinstance(await failure(dialect, [Answer()], unsendable), BadRequest)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("key", ["", " ", f"{KEY}\n", "schlüssel"])
async def test_a_key_no_header_can_carry_is_refused_at_once(dialect: str, key: str) -> None:
    adapter = OpenAIProvider if dialect == "openai" else AnthropicProvider
    with pytest.raises(AuthError) as caught:
        adapter(api_key=key, base_url="http://127.0.0.1:1", timeout_s=1)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_without_a_key_none_is_looked_for_in_the_environment(
    dialect: str, prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    async with FaultServer() as server:
        adapter: Adapter
        if dialect == "openai":
            adapter = OpenAIProvider(api_key=None, base_url=server.openai_url, timeout_s=100)
        else:
            adapter = AnthropicProvider(api_key=None, base_url=server.url, timeout_s=100)
        await adapter.complete(prompt)
        await adapter.aclose()
    assert KEY not in str(server.requests[0].headers)


# --- what comes back ---


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_good_answer_is_read(dialect: str, prompt: Prompt) -> None:
    header = "x-request-id" if dialect == "openai" else "request-id"
    answer = Answer(lambda text: f"heard {text!r}", model="other-model", headers={header: "req_7"})
    completion = await complete(dialect, [answer], prompt)
    assert completion.text == "heard 'Be brief.\\n\\nHow much?'"
    assert completion.model == "other-model"
    assert completion.finish_reason == "stop"
    assert completion.usage.model_dump(exclude_none=True) == {"input_tokens": 7, "output_tokens": 3}
    assert completion.request_id == "req_7"
    assert completion.latency_s > 0


@pytest.mark.parametrize(
    ("dialect", "word", "meaning"),
    [
        ("openai", "stop", "stop"),
        ("openai", "length", "length"),
        ("openai", "content_filter", "filtered"),
        ("openai", "tool_calls", "other"),
        ("anthropic", "end_turn", "stop"),
        ("anthropic", "stop_sequence", "stop"),
        ("anthropic", "max_tokens", "length"),
        ("anthropic", "refusal", "refused"),
        ("anthropic", "pause_turn", "other"),
    ],
)
async def test_finish_reasons_are_translated(dialect: str, word: str, meaning: str, prompt: Prompt) -> None:
    completion = await complete(dialect, [Answer(finish=word)], prompt)
    assert (completion.finish_reason, completion.finish_detail) == (meaning, word)


@pytest.mark.parametrize("word", ["stop", "STOP", "eos", "eos_token", "stop_sequence", "end_turn", None, ""])
async def test_what_is_on_the_list_of_clean_stops_is_a_whole_reply(word: str | None, prompt: Prompt) -> None:
    for dialect, body in (
        ("openai", openai_body(choice={"finish_reason": word})),
        ("anthropic", anthropic_body(stop_reason=word)),
    ):
        completion = await complete(dialect, [Raw(body)], prompt)
        assert (completion.text, completion.finish_reason, completion.finish_detail) == ("4", "stop", word)


async def test_a_missing_reason_is_a_clean_stop(prompt: Prompt) -> None:
    body = json.dumps({"choices": [{"message": {"content": "4"}}]}).encode()
    assert (await complete("openai", [Raw(body)], prompt)).finish_reason == "stop"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("MAX_TOKENS", "length"),
        ("model_length", "length"),
        ("model_context_window_exceeded", "length"),
        ("SAFETY", "filtered"),
        ("content_filter: PROHIBITED_CONTENT", "filtered"),
        ("tool_use", "other"),
        ("pause_turn", "other"),
        ("whatever comes next", "other"),
        ("stop: not quite", "other"),
    ],
)
async def test_anything_else_is_no_whole_reply(dialect: str, word: str, meaning: str, prompt: Prompt) -> None:
    completion = await complete(dialect, [Answer(finish=word)], prompt)
    assert (completion.text, completion.finish_reason, completion.finish_detail) == ("ok", meaning, word)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("word", ["error", "insufficient_system_resource", "abort", "network_error"])
async def test_an_answer_that_the_server_calls_failed_is_a_failure_that_may_be_billed(
    dialect: str, word: str, prompt: Prompt
) -> None:
    caught = await failure(dialect, [Answer(finish=word)], prompt)
    assert isinstance(caught, Unavailable) and caught.may_be_billed and repr(word) in str(caught)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_thoughts_are_kept_whole_and_apart(dialect: str, prompt: Prompt) -> None:
    thoughts = "Answer: 9?\n" * 2000
    completion = await complete(dialect, [Answer("4", thoughts=thoughts)], prompt)
    assert (completion.text, completion.thoughts) == ("4", thoughts)


async def test_an_answer_without_thoughts_is_stored_as_it_always_was(prompt: Prompt) -> None:
    assert "thoughts" not in (await complete("openai", [Answer()], prompt)).model_dump()


@pytest.mark.parametrize(
    ("message", "text", "thoughts"),
    [
        ({"content": [{"type": "text", "text": "I give "}, {"type": "text", "text": "4"}]}, "I give 4", None),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "9?"}]},
                    {"type": "text", "text": "4"},
                ]
            },
            "4",
            "9?",
        ),
        (
            {"content": "4", "reasoning": "9?", "reasoning_details": [{"type": "reasoning.text", "text": "9?"}]},
            "4",
            "9?",
        ),
        ({"content": "4", "reasoning_content": "9?", "reasoning": None}, "4", "9?"),
        ({"content": "4", "reasoning": {"odd": 1}}, "4", '{"odd": 1}'),
    ],
)
async def test_content_in_parts_is_text_and_thoughts(
    message: dict[str, Any], text: str, thoughts: str | None, prompt: Prompt
) -> None:
    completion = await complete("openai", [Raw(openai_body(choice={"message": message}))], prompt)
    assert (completion.text, completion.thoughts, completion.finish_reason) == (text, thoughts, "stop")


async def test_a_refusal_among_the_parts_is_a_refusal(prompt: Prompt) -> None:
    message = {"content": [{"type": "refusal", "refusal": "I cannot."}]}
    completion = await complete("openai", [Raw(openai_body(choice={"message": message}))], prompt)
    assert (completion.text, completion.finish_reason, completion.finish_detail) == ("", "refused", "I cannot.")


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_part_that_is_neither_text_nor_thoughts_makes_no_whole_reply(dialect: str, prompt: Prompt) -> None:
    parts = [{"type": "text", "text": "4"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    body = openai_body(choice={"message": {"content": parts}}) if dialect == "openai" else anthropic_body(content=parts)
    completion = await complete(dialect, [Raw(body)], prompt)
    assert (completion.text, completion.finish_reason) == ("4", "other")
    assert "'image_url'" in (completion.finish_detail or "")


async def test_redacted_thoughts_are_kept(prompt: Prompt) -> None:
    content = [{"type": "redacted_thinking", "data": "Zm9v"}, {"type": "text", "text": "4"}]
    completion = await complete("anthropic", [Raw(anthropic_body(content=content))], prompt)
    assert (completion.text, completion.thoughts) == ("4", "[unreadable redacted_thinking: Zm9v]")


async def test_a_tool_that_was_not_asked_for_is_no_answer(prompt: Prompt) -> None:
    content = [{"type": "tool_use", "id": "x", "name": "answer", "input": {"units": 4}}]
    body = anthropic_body(content=content, stop_reason="tool_use")
    assert (await complete("anthropic", [Raw(body)], prompt)).finish_reason == "other"
    asked = prompt.model_copy(update={"answer_schema": {"type": "object"}})
    completion = await complete("anthropic", [Raw(body)], asked)
    assert (completion.text, completion.finish_reason) == ('{"units": 4}', "stop")


def stream(*events: object) -> Raw:
    lines = "".join(f"event: x\r\ndata: {json.dumps(event)}\r\n\r\n" for event in events)
    headers = {"content-type": "text/event-stream; charset=utf-8"}
    return Raw(f": hello\r\n\r\n{lines}data: [DONE]\r\n\r\n".encode(), headers=headers)


async def test_a_stream_that_was_not_asked_for_is_read(prompt: Prompt) -> None:
    def chunk(reason: str | None = None, **delta: str) -> dict[str, Any]:
        return {"id": "x", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

    usage = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}
    pieces = [chunk(role="assistant", content=""), chunk(reasoning_content="9"), chunk(reasoning_content="?")]
    pieces += [chunk(content="I give\u2028"), chunk(content=" 4")]
    completion = await complete("openai", [stream(*pieces, chunk("stop"), usage)], prompt)
    assert (completion.text, completion.thoughts, completion.finish_reason) == ("I give\u2028 4", "9?", "stop")
    assert (completion.model, completion.usage) == ("m", Usage(input_tokens=7, output_tokens=3))
    assert (await complete("openai", [stream(*pieces, chunk("length"))], prompt)).finish_reason == "length"
    assert "does not say why it ends" in str(await failure("openai", [stream(*pieces)], prompt))
    assert "overloaded" in str(await failure("openai", [stream(*pieces, {"error": {"message": "overloaded"}})], prompt))


async def test_a_stream_of_anthropics_is_read(prompt: Prompt) -> None:
    def delta(index: int, **fields: str) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": index, "delta": {"type": "x", **fields}}

    events = [
        {"type": "message_start", "message": {"id": "x", "model": "m", "content": [], "usage": {"input_tokens": 7}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
        *[delta(0, thinking="9"), delta(0, thinking="?"), delta(0, signature="s")],
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        *[delta(1, text="I give"), delta(1, text=" 4")],
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ]
    completion = await complete("anthropic", [stream(*events)], prompt)
    assert (completion.text, completion.thoughts, completion.finish_reason) == ("I give 4", "9?", "stop")
    assert completion.usage == Usage(input_tokens=7, output_tokens=3)
    assert "does not say why it ends" in str(await failure("anthropic", [stream(*events[:-2])], prompt))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("body", [b"", b"data: [DONE]\n\n", b"data: 1\n\n", b"hello", b"data: {}\n\n", b"data: {\n\n"])
async def test_a_stream_of_anything_else_is_a_failure(dialect: str, body: bytes, prompt: Prompt) -> None:
    raw = Raw(body, headers={"content-type": "text/event-stream"})
    assert isinstance(await failure(dialect, [raw], prompt), Unavailable)


FILTERED = {
    "openai": {"error": {"message": "no", "type": "invalid_request_error", "code": "content_filter"}},
    "openai's policy": {"error": {"message": "no", "code": "content_policy_violation"}},
    "openai, of reasoning models": {
        "error": {
            "message": "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
            "code": "invalid_prompt",
        }
    },
    "azure": {
        "error": {
            "message": "no",
            "param": "prompt",
            "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}},
        }
    },
    "anthropic": {"error": {"type": "invalid_request_error", "message": "Output blocked by content filtering policy"}},
    "gemini": [{"error": {"code": 400, "message": "no", "details": [{"promptFeedback": {"blockReason": "SAFETY"}}]}}],
    "deepseek": {"error": {"message": "Content Exists Risk", "type": "invalid_request_error"}},
    "dashscope": {"error": {"message": "no", "code": "data_inspection_failed"}},
    "openrouter": {
        "error": {
            "code": 400,
            "message": "Provider returned error",
            "metadata": {"raw": json.dumps({"error": {"code": "content_filter", "message": "no"}})},
        }
    },
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("body", FILTERED.values(), ids=FILTERED.keys())
async def test_a_prompt_that_a_filter_refuses_is_a_filtered_answer(dialect: str, body: object, prompt: Prompt) -> None:
    completion = await complete(dialect, [Raw(json.dumps(body).encode(), status=400)], prompt)
    assert (completion.text, completion.finish_reason, completion.usage) == ("", "filtered", Usage())
    assert "HTTP 400" in (completion.finish_detail or "")
    if isinstance(body, dict):
        completion = await complete(dialect, [Raw(json.dumps(body).encode())], prompt)
        assert completion.finish_reason == "filtered"


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [], "prompt_feedback": {"block_reason": "PROHIBITED_CONTENT"}},
        {"choices": None, "promptFeedback": {"blockReason": "OTHER"}},
        {"choices": [], "prompt_filter_results": [{"content_filter_results": {"hate": {"filtered": True}}}]},
        {"choices": [{"finish_reason": "content_filter", "index": 0}]},
        {"choices": [{"finish_reason": "SAFETY", "message": None}]},
    ],
)
async def test_a_filter_may_leave_no_choice_or_an_empty_one(body: dict[str, Any], prompt: Prompt) -> None:
    completion = await complete("openai", [Raw(json.dumps(body).encode())], prompt)
    assert (completion.text, completion.finish_reason) == ("", "filtered")


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_account_that_is_blocked_is_not_a_filtered_prompt(dialect: str, prompt: Prompt) -> None:
    for status in (Status(401, "no", code="content_filter"), Status(403, "Your account was flagged for abuse")):
        assert isinstance(await failure(dialect, [status], prompt), AuthError)


async def test_a_filter_that_repeats_the_key_does_not_bring_it_into_the_log(prompt: Prompt) -> None:
    completion = await complete("openai", [Status(400, f"no, {KEY}", code="content_filter")], prompt)
    assert completion.finish_detail and "***" in completion.finish_detail and KEY not in completion.model_dump_json()


async def test_a_refusal_text_is_a_refusal_and_no_answer(prompt: Prompt) -> None:
    completion = await complete("openai", [Answer(refusal="I cannot.")], prompt)
    assert (completion.text, completion.finish_reason, completion.finish_detail) == ("", "refused", "I cannot.")


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("openai", openai_body(choice={"message": {"role": "assistant", "content": None}})),
        ("openai", openai_body(choice={"message": {"role": "assistant"}})),
        ("anthropic", anthropic_body(content=[])),
        ("anthropic", anthropic_body(content=[{"type": "thinking", "thinking": "hm"}])),
    ],
)
async def test_a_stop_without_content_is_not_taken_for_an_answer(dialect: str, body: bytes, prompt: Prompt) -> None:
    completion = await complete(dialect, [Raw(body)], prompt)
    assert (completion.text, completion.finish_reason) == ("", "other")
    assert "without content" in (completion.finish_detail or "")


async def test_null_content_keeps_the_reason_the_server_gives(prompt: Prompt) -> None:
    body = openai_body(choice={"message": {"content": None}, "finish_reason": "length"})
    completion = await complete("openai", [Raw(body)], prompt)
    assert (completion.text, completion.finish_reason) == ("", "length")


async def test_usage_counts_cache_and_reasoning(prompt: Prompt) -> None:
    details = {"prompt_tokens_details": {"cached_tokens": 5}, "completion_tokens_details": {"reasoning_tokens": 2}}
    completion = await complete("openai", [Answer(usage=details)], prompt)
    assert completion.usage == Usage(input_tokens=7, cached_tokens=5, output_tokens=3, reasoning_tokens=2)
    counts = {"cache_read_input_tokens": 5, "cache_creation_input_tokens": 1}
    completion = await complete("anthropic", [Answer(usage=counts)], prompt)
    assert completion.usage == Usage(input_tokens=13, cached_tokens=5, cache_write_tokens=1, output_tokens=3)
    completion = await complete("openai", [Answer(usage={"prompt_cache_hit_tokens": 4})], prompt)
    assert completion.usage.cached_tokens == 4


async def test_a_system_fingerprint_is_kept_as_the_server_says_it(prompt: Prompt) -> None:
    for said, known in (("fp_44709d6fcb", "fp_44709d6fcb"), ("", None), (7, None), (None, None)):
        body = {**json.loads(openai_body()), "system_fingerprint": said}
        completion = await complete("openai", [Raw(json.dumps(body).encode())], prompt)
        assert completion.fingerprint == known
        assert ("fingerprint" in completion.model_dump(mode="json")) == (known is not None)  # as in older logs


async def test_reasoning_that_only_the_total_counts_is_output(prompt: Prompt) -> None:
    completion = await complete("openai", [Answer(usage={"total_tokens": 50})], prompt)
    assert completion.usage == Usage(input_tokens=7, output_tokens=43)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "usage", [None, {"prompt_tokens": "7", "completion_tokens": -1, "input_tokens": True, "output_tokens": 1.5}]
)
async def test_usage_that_is_missing_or_no_count_is_unknown(
    dialect: str, usage: dict[str, Any] | None, prompt: Prompt
) -> None:
    completion = await complete(dialect, [Answer(usage=usage)], prompt)
    assert completion.usage == Usage()


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("count", [10**19, 10**400, -1, 1.5, "7", float("inf")])
async def test_a_count_that_no_call_can_have_is_unknown(dialect: str, count: object, prompt: Prompt) -> None:
    names = ("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens")
    usage = dict.fromkeys(names, count)
    if count == float("inf"):
        assert isinstance(await failure(dialect, [Answer(usage=usage)], prompt), Unavailable)
        return
    assert (await complete(dialect, [Answer(usage=usage)], prompt)).usage == Usage()


async def test_more_tokens_from_the_cache_than_in_the_prompt_are_unknown(prompt: Prompt) -> None:
    usage = {"prompt_tokens": 7, "prompt_tokens_details": {"cached_tokens": 8}}
    completion = await complete("openai", [Answer(usage=usage)], prompt)
    assert completion.usage == Usage(input_tokens=7, output_tokens=3)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_lone_surrogate_becomes_the_replacement_character(dialect: str, prompt: Prompt) -> None:
    completion = await complete(dialect, [Answer("half \ud83d emoji, NUL \0, \u2028 and 🙂")], prompt)
    assert completion.text == "half \ufffd emoji, NUL \0, \u2028 and 🙂"
    assert Completion.model_validate_json(completion.model_dump_json()) == completion


# --- malformed bodies ---

MALFORMED = {
    "empty": b"",
    "blank": b"  \n",
    "html": b"<!DOCTYPE html><html><body>Bad gateway</body></html>",
    "list": b"[]",
    "null": b"null",
    "text": b'"fine"',
    "object": b"{}",
    "torn": openai_body()[:40],
    "two": openai_body() + openai_body(),
    "bad utf-8": b'{"choices": "\xff\xfe"}',
    "utf-16": openai_body().decode().encode("utf-16"),
    "deep": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "deep list": b"[" * 100_000,
    "huge number": b'{"usage": ' + b"9" * 10_000 + b"}",
}
MALFORMED_OF = {
    "openai": {
        "no choices": openai_body()[:10] + b'"}',
        "choices empty": json.dumps({"choices": []}).encode(),
        "choices null": json.dumps({"choices": None}).encode(),
        "choice null": json.dumps({"choices": [None]}).encode(),
        "message null": openai_body(choice={"message": None}),
        "content number": openai_body(choice={"message": {"content": 4}}),
        "content list": openai_body(choice={"message": {"content": ["4"]}}),
        "reason number": openai_body(choice={"finish_reason": 1}),
        "nothing": openai_body(choice={"message": {"content": None}, "finish_reason": None}),
        "NaN": openai_body(usage={"prompt_tokens": float("nan")}),
        "stream": b"data: " + openai_body() + b"\n\ndata: [DONE]\n\n",
    },
    "anthropic": {
        "content null": anthropic_body(content=None),
        "content text": anthropic_body(content="4"),
        "block text": anthropic_body(content=["4"]),
        "text number": anthropic_body(content=[{"type": "text", "text": 4}]),
        "reason number": anthropic_body(stop_reason=1),
        "nothing": anthropic_body(content=[], stop_reason=None),
        "NaN": anthropic_body(usage={"input_tokens": float("nan")}),
    },
}


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_malformed_bodies_are_typed_and_quoted(dialect: str, prompt: Prompt) -> None:
    bodies = MALFORMED | MALFORMED_OF[dialect]
    async with adapter_and_server(dialect, [Raw(body) for body in bodies.values()]) as (adapter, _):
        for name, body in bodies.items():
            with pytest.raises(Unavailable, match="cannot be used") as caught:
                await adapter.complete(prompt)
            assert len(str(caught.value)) < 600, name
            assert repr(body[:6].decode("utf-8", "replace"))[1:-1].split("\\")[0] in str(caught.value), name


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "no", "type": "invalid_request_error"}, BadRequest),
        ({"message": "no", "code": 400, "status": "INVALID_ARGUMENT"}, BadRequest),
        ({"message": "no", "type": "authentication_error"}, KeyRefused),
        ({"message": "no", "code": "insufficient_quota"}, AuthError),
        ({"message": "no", "type": "rate_limit_error"}, RateLimited),
        ({"message": "no", "code": 429}, RateLimited),
        ({"message": "no", "type": "overloaded_error"}, Unavailable),
        ({"message": "no", "code": 502}, Unavailable),
        ("no", Unavailable),
        ({"odd": ["no"]}, Unavailable),
    ],
)
async def test_an_error_inside_a_200_is_typed(
    dialect: str, error: object, kind: type[ProviderError], prompt: Prompt
) -> None:
    body = json.dumps({"type": "error", "error": error}).encode()
    caught = await failure(dialect, [Raw(body)], prompt)
    assert type(caught) is kind
    assert "inside a 200" in str(caught) and "no" in str(caught)


async def test_an_error_inside_a_choice_is_typed(prompt: Prompt) -> None:
    body = openai_body(choice={"error": {"code": 502, "message": "upstream"}, "finish_reason": "error"})
    assert type(await failure("openai", [Raw(body)], prompt)) is Unavailable


# --- refusals ---


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, KeyRefused),
        *[(status, AuthError) for status in (402, 403)],
        *[(status, BadRequest) for status in (301, 307, 400, 404, 405, 410, 413, 418, 422)],
        *[(status, Unavailable) for status in (408, 409, 425, 500, 501, 502, 503, 504, 520, 529, 599)],
        (429, RateLimited),
    ],
)
async def test_statuses_are_typed(dialect: str, status: int, kind: type[ProviderError], prompt: Prompt) -> None:
    caught = await failure(dialect, [Status(status, "the server's words")], prompt)
    assert type(caught) is kind
    assert f"HTTP {status}" in str(caught) and "the server's words" in str(caught)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_refused_call_is_made_once(dialect: str, prompt: Prompt) -> None:
    async with adapter_and_server(dialect, [Status(503), Status(429, headers={"retry-after": "1"})]) as (
        adapter,
        server,
    ):
        for n_requests in (1, 2):
            with pytest.raises(ProviderError):
                await adapter.complete(prompt)
            assert len(server.requests) == n_requests


async def test_no_credit_is_not_asked_again(prompt: Prompt) -> None:
    status = Status(429, "You exceeded your current quota", kind="insufficient_quota", code="insufficient_quota")
    caught = await failure("openai", [status], prompt)
    assert isinstance(caught, FatalProviderError) and "add credit" in str(caught)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_refused_parameter_is_named_with_its_remedy(dialect: str, prompt: Prompt) -> None:
    caught = await failure(dialect, [Status(400, "Unsupported value: 'temperature' does not support 0.5")], prompt)
    assert "'temperature' does not support" in str(caught)
    assert "set players.temperature to null to not send it" in str(caught)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        (
            "Unsupported parameter: 'max_tokens' is not supported here. Use 'max_completion_tokens' instead.",
            "players.max_tokens to null and players.extra.max_completion_tokens to the limit",
        ),
        ("Invalid value for max_tokens", "players.max_tokens to null to not send it"),
        ("System role not supported", "players.system_prompt to user"),
        ("Developer instruction is not enabled for models/gemma-3-27b-it", "players.system_prompt to user"),
        ("Conversation roles must alternate user/assistant/user/assistant/...", "players.system_prompt to user"),
        ("This model only support stream mode, please enable the stream parameter", "use another model or server"),
    ],
)
async def test_a_refusal_names_what_to_change(dialect: str, message: str, remedy: str, prompt: Prompt) -> None:
    if dialect == "anthropic" and "max_tokens" in message:
        return  # its API cannot do without
    caught = await failure(dialect, [Status(400, message)], prompt)
    assert isinstance(caught, BadRequest) and remedy in str(caught)


async def test_what_the_server_behind_a_gateway_said_is_quoted(prompt: Prompt) -> None:
    raw = json.dumps({"error": {"message": "'temperature' must be 1"}})
    error = {"code": 400, "message": "Provider returned error", "metadata": {"raw": raw, "provider_name": "x"}}
    caught = await failure("openai", [Raw(json.dumps({"error": error}).encode(), status=400)], prompt)
    assert "must be 1" in str(caught) and "set players.temperature to null" in str(caught)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_unknown_model_is_told_apart(dialect: str, prompt: Prompt) -> None:
    assert "check the model's name" in str(await failure(dialect, [Status(404, "no such model")], prompt))


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"\xff\xfe", b"[" * 50_000, b"null", b'"word"', b'[{"error": {"message": "wrapped"}}]']
)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_refusal_with_any_body_is_typed(dialect: str, body: bytes, prompt: Prompt) -> None:
    headers = {"content-type": "text/html; charset=hex"}
    assert type(await failure(dialect, [Raw(body, status=503, headers=headers)], prompt)) is Unavailable


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_retry_after_reaches_the_error(dialect: str, prompt: Prompt) -> None:
    caught = await failure(dialect, [Status(429, headers={"retry-after": "7"})], prompt)
    assert isinstance(caught, RateLimited) and caught.retry_after_s == 7
    caught = await failure(dialect, [Status(503, headers={"retry-after-ms": "1500", "retry-after": "7"})], prompt)
    assert isinstance(caught, Unavailable) and caught.retry_after_s == 1.5


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_redirect_is_not_followed(dialect: str, prompt: Prompt) -> None:
    async with FaultServer() as other:
        redirect = Raw(b"", status=307, headers={"location": f"{other.url}/v1/messages"})
        assert "redirect" in str(await failure(dialect, [redirect], prompt))
    assert not other.requests


# --- connections ---


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("behaviour", [Reset("request"), Reset("headers"), Reset("body")])
async def test_a_reset_at_any_phase_is_transient(dialect: str, behaviour: Reset, prompt: Prompt) -> None:
    assert type(await failure(dialect, [behaviour], prompt)) is Unavailable


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("behaviour", [Hang("request"), Hang("headers"), Hang("body"), Drip(0.005)])
async def test_the_whole_call_has_a_deadline(dialect: str, behaviour: Hang | Drip, prompt: Prompt) -> None:
    caught = await failure(dialect, [behaviour], prompt, timeout_s=0.15)
    assert type(caught) is Unavailable and re.search(r"within (0.15|1.5|15) s", str(caught))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("head", [b"HTTP/1.1 what\r\n\r\n", b"\0" * 100, b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000])
async def test_what_is_no_http_is_transient(dialect: str, head: bytes, prompt: Prompt) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        adapter = (OpenAIProvider if dialect == "openai" else AnthropicProvider)(
            api_key=KEY, base_url=url, timeout_s=100
        )
        with pytest.raises(Unavailable):
            await adapter.complete(prompt)
        await adapter.aclose()


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_no_server_at_all_is_transient(dialect: str, prompt: Prompt) -> None:
    async with FaultServer() as server:
        url = server.url
    adapter = (OpenAIProvider if dialect == "openai" else AnthropicProvider)(api_key=KEY, base_url=url, timeout_s=100)
    with pytest.raises(Unavailable, match="connection"):
        await adapter.complete(prompt)
    await adapter.aclose()


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_answer_too_long_is_cut_off(dialect: str, prompt: Prompt) -> None:
    caught = await failure(dialect, [Answer("x" * 100_000)], prompt, max_response_bytes=10_000)
    assert type(caught) is Unavailable and "10000 bytes" in str(caught)


async def test_of_many_answers_that_are_too_long_little_is_held_at_once(prompt: Prompt) -> None:
    n, size = 16, DEFAULT_MAX_RESPONSE_BYTES
    async with adapter_and_server("openai", lambda request: Endless()) as (adapter, _):
        await asyncio.gather(adapter.complete(prompt), return_exceptions=True)  # imports what is needed
        tracemalloc.start()
        outcomes = await asyncio.gather(*[adapter.complete(prompt) for _ in range(n)], return_exceptions=True)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
    assert peak < 32_000_000 < n * size  # the server and the buffers of its sockets are in it


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_answer_that_announces_its_length_is_not_read_at_all(dialect: str, prompt: Prompt) -> None:
    body = Raw(b"", headers={"content-length": "50000000"})
    assert "longer than" in str(await failure(dialect, [body], prompt))


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_packed_answer_is_not_unpacked(dialect: str, prompt: Prompt) -> None:
    bomb = Raw(gzip.compress(b"x" * 1_000_000), headers={"content-encoding": "gzip"})
    assert "compressed" in str(await failure(dialect, [bomb], prompt))


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_connection_serves_again_after_a_failure(dialect: str, prompt: Prompt) -> None:
    script: Script = [Reset("body"), Status(500), Raw(b"[]"), Answer("4")]
    async with adapter_and_server(dialect, script) as (adapter, _):
        for _ in range(3):
            with pytest.raises(Unavailable):
                await adapter.complete(prompt)
        assert (await adapter.complete(prompt)).text == "4"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_cancelled_call_leaves_the_adapter_usable(dialect: str, prompt: Prompt) -> None:
    async with adapter_and_server(dialect, [Hang("body"), Answer("4")]) as (adapter, server):
        call = asyncio.create_task(adapter.complete(prompt))
        await server.received(1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await adapter.complete(prompt)).text == "4"


# --- the key ---


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "behaviour",
    [
        *[EchoKey(status) for status in (200, 307, 400, 401, 403, 404, 429, 500)],
        Status(401, f"bad key {KEY[:20]}... or {KEY[-12:]}", kind=KEY, code=KEY),
        Raw(f"<html>{KEY}".encode()),
        Raw(b" " * 2395 + KEY.encode()),
        Raw(KEY.encode(), status=500, headers={"retry-after": KEY}),
        Raw(b"", headers={"content-encoding": KEY}),
        Reset("body"),
    ],
)
async def test_an_echoed_key_is_in_no_message(dialect: str, behaviour: Any, prompt: Prompt) -> None:
    await failure(dialect, [behaviour], prompt)  # asserts it


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_key_is_in_no_representation_of_an_adapter(dialect: str) -> None:
    adapter = (OpenAIProvider if dialect == "openai" else AnthropicProvider)(api_key=KEY, base_url=None, timeout_s=1)
    assert KEY not in repr(adapter) + repr(adapter._peer)
    await adapter.aclose()


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_function_can_script_the_server(dialect: str, prompt: Prompt) -> None:
    def script(request: Request) -> Behaviour:
        return Answer("4" if request.prompt == "Be brief.\n\nHow much?" else "?")

    started = time.monotonic()
    completion = await complete(dialect, script, prompt)
    assert completion.text == "4"
    assert completion.latency_s <= time.monotonic() - started


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_client_itself_holds_no_call_back(dialect: str) -> None:
    n = 120  # aiohttp's own limit is 100
    prompt = Prompt(model="m", messages=(Message(role="user", content="How much?"),), sampling=Sampling())
    async with adapter_and_server(dialect, lambda request: Hang()) as (adapter, server):
        calls = [asyncio.create_task(adapter.complete(prompt)) for _ in range(n)]
        async with asyncio.timeout(100):
            await server.received(n)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


def mutated(body: bytes, draw: Random) -> bytes:
    """Change a sound body somewhere: bytes, or a value in its JSON."""
    if draw.random() < 0.5:
        tree = json.loads(body)
        place: Any = tree
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw.choice(keys)
            if not isinstance(place[key], dict | list) or not place[key] or draw.random() < 0.3:
                break
            place = place[key]
        values: list[Any] = [
            None,
            True,
            -1,
            1e308,
            float("nan"),
            "",
            "x" * 1000,
            [],
            {},
            [[]],
            {"text": None},
            "\ud800",
            10**400,
        ]
        place[key] = draw.choice(values)
        return json.dumps(tree).encode()
    data = bytearray(body)
    for _ in range(draw.randrange(1, 6)):
        at = draw.randrange(len(data))
        change = draw.randrange(3)
        if change == 0:
            data[at] = draw.randrange(256)
        elif change == 1:
            del data[at : at + draw.randrange(1, 20)]
        else:
            data[at:at] = draw.randbytes(draw.randrange(1, 8))
        if not data:
            break
    return bytes(data)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_mutated_body_is_an_answer_or_a_failure_with_a_name(dialect: str) -> None:
    draw = Random(7)
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "input_tokens": 5, "output_tokens": 1}
    body = (openai_body if dialect == "openai" else anthropic_body)(usage=usage)
    prompt = Prompt(model="m", messages=(Message(role="user", content="How much?"),), sampling=Sampling())
    n_answers = 0
    async with adapter_and_server(dialect, lambda request: Raw(mutated(body, draw))) as (adapter, _):
        for _ in range(1500):
            try:
                completion = await adapter.complete(prompt)
            except ProviderError:
                continue
            completion.model_dump_json()
            n_answers += 1
    assert 150 < n_answers < 1350
