"""A fake API server on loopback that speaks both dialects over real sockets and fails as scripted.

    async with FaultServer([Status(429, headers={"retry-after": "1"}), Answer("4")]) as server:
        provider = OpenAIProvider(api_key="key", base_url=server.openai_url, timeout_s=5)

Each request gets one behaviour: the next of a list, whose last one is repeated, or what a function of the request
returns. `server.requests` holds every request as it was sent.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Final, Literal, Self

__all__ = [
    "Answer",
    "Behaviour",
    "Drip",
    "EchoKey",
    "Endless",
    "FaultServer",
    "Hang",
    "Raw",
    "Request",
    "Reset",
    "Script",
    "Status",
]

Phase = Literal["request", "headers", "body"]
"""Where a connection breaks or hangs: before the answer, in its headers, or in its body."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request as received."""

    path: str
    """As it stood in the request: with the host if a proxy was asked."""
    method: str = "POST"
    headers: Mapping[str, str]
    """Names in lower case."""
    raw: bytes
    """The body."""
    n_in_flight: int = 1
    """Requests waiting for their answers when it was received, including itself."""

    @property
    def body(self) -> dict[str, Any]:
        """The body's JSON object."""
        value: dict[str, Any] = json.loads(self.raw)
        return value

    @property
    def is_anthropic(self) -> bool:
        """Whether the request is in Anthropic's dialect rather than OpenAI's."""
        return self.path.split("?")[0].endswith("/messages")

    @property
    def key(self) -> str | None:
        """The API key it carried."""
        bearer = self.headers.get("authorization", "").removeprefix("Bearer ")
        return bearer or self.headers.get("x-api-key")

    @property
    def prompt(self) -> str:
        """The text of all messages, the system's first, joined by blank lines."""
        system = [self.body["system"]] if "system" in self.body else []
        return "\n\n".join(system + [message["content"] for message in self.body.get("messages", ())])


_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Answer:
    """A well-formed answer; `finish` is the dialect's term, by default that of a normal end."""

    text: str | Callable[[str], str] = "ok"
    """The text, or a function from the prompt's text to it."""
    finish: str | None = None
    model: str | None = None
    """The model that claims to answer; default: the one asked for."""
    usage: Mapping[str, Any] | None = field(default_factory=dict)
    """In the dialect's terms, merged into a usage of 7 tokens in and 3 out; `None`: no usage at all."""
    id: str | None = None
    """Default: a unique one."""
    refusal: str | None = None
    thoughts: str | None = None
    """The model's thoughts, sent separately from the text as each dialect does."""
    headers: Mapping[str, str] = field(default_factory=dict)

    def render(self, request: Request) -> bytes:
        """Return the body of the answer to `request`."""
        text = self.text(request.prompt) if callable(self.text) else self.text
        model = self.model or request.body["model"]
        body: dict[str, Any]
        if request.is_anthropic:
            body = {
                "id": self.id or f"msg_{next(_NUMBERS)}",
                "type": "message",
                "role": "assistant",
                "model": model,
                "content": [{"type": "text", "text": text}],
            }
            body |= {"stop_reason": self.finish or "end_turn", "stop_sequence": None}
            if self.thoughts is not None:
                body["content"].insert(0, {"type": "thinking", "thinking": self.thoughts, "signature": "x"})
            if "tools" in request.body:  # the model must use the tool, so the text is the tool's input
                name = request.body["tools"][0]["name"]
                body["content"] = [{"type": "tool_use", "id": "toolu_1", "name": name, "input": json.loads(text)}]
                body["stop_reason"] = self.finish or "tool_use"
            usage = {"input_tokens": 7, "output_tokens": 3}
        else:
            message = {"role": "assistant", "content": None if self.refusal else text, "refusal": self.refusal}
            if self.thoughts is not None:
                message["reasoning_content"] = self.thoughts
            choice = {"index": 0, "message": message, "finish_reason": self.finish or "stop"}
            body = {
                "id": self.id or f"chatcmpl-{next(_NUMBERS)}",
                "object": "chat.completion",
                "created": 0,
                "model": model,
                "choices": [choice],
            }
            usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        if self.usage is not None:
            body["usage"] = usage | dict(self.usage)
        return json.dumps(body).encode()


@dataclass(frozen=True)
class Status:
    """A refusal with an HTTP status and an error body in the dialect's form."""

    status: int
    message: str = "no"
    kind: str = "error"
    """The error's type."""
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def render(self, request: Request) -> bytes:
        """Return the error body."""
        error = {"message": self.message, "type": self.kind, "code": self.code}
        return json.dumps({"type": "error", "error": error} if request.is_anthropic else {"error": error}).encode()


@dataclass(frozen=True)
class Raw:
    """Any bytes as the body."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EchoKey:
    """A refusal whose message, type and headers repeat the request's API key."""

    status: int = 401


@dataclass(frozen=True)
class Reset:
    """The connection is reset."""

    phase: Phase = "request"


@dataclass(frozen=True)
class Hang:
    """Nothing more is sent until the server is closed."""

    phase: Phase = "request"


@dataclass(frozen=True)
class Drip:
    """A good answer's headers, then endless spaces instead of a body, one in each interval."""

    interval_s: float = 0.01


@dataclass(frozen=True)
class Endless:
    """A good answer's headers and beginning, then endless text, as fast as it is read."""


Behaviour = Answer | Status | Raw | EchoKey | Reset | Hang | Drip | Endless
Script = Sequence[Behaviour] | Callable[[Request], Behaviour]

LINGER_OFF: Final = struct.pack("ii", 1, 0)
"""Closing a socket with this option sends a reset."""


class FaultServer:
    """Serves on a free port of 127.0.0.1 while its context is open."""

    def __init__(
        self,
        script: Script = (Answer(),),
        *,
        latency: Callable[[], float] | None = None,
        port: int = 0,
        keeps_requests: bool = True,
    ) -> None:
        """`latency` gives the seconds before each response; `port` 0 is any free one.

        A server that answers millions of requests should not keep them.
        """
        self._keeps_requests = keeps_requests
        self._n_requests = 0
        self._script = script
        self._latency = latency
        self._port = port
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.requests: list[Request] = []
        """Every request received, in the order in which they were complete."""
        self.url = ""
        """The server's root: `AnthropicProvider`'s base_url."""
        self._n_in_flight = 0
        self._arrived = asyncio.Condition()

    @property
    def openai_url(self) -> str:
        """The base_url for `OpenAIProvider`."""
        return f"{self.url}/v1"

    @property
    def n_in_flight(self) -> int:
        """Requests that are being answered now."""
        return self._n_in_flight

    async def received(self, n_requests: int) -> None:
        """Wait until this many requests have been received in total."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: self._n_requests >= n_requests)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while True:
                    request = await _read(reader)
                    self._n_in_flight += 1
                    try:
                        await self._serve(replace(request, n_in_flight=self._n_in_flight), writer)
                    finally:
                        self._n_in_flight -= 1
        finally:
            writer.transport.abort()
            self._connections.discard(task)

    async def _serve(self, request: Request, writer: asyncio.StreamWriter) -> None:
        async with self._arrived:
            self._n_requests += 1
            if self._keeps_requests:
                self.requests.append(request)
            self._arrived.notify_all()
        behaviour = self._choose(request)
        if self._latency is not None:
            await asyncio.sleep(self._latency())
        await _answer(writer, request, behaviour=behaviour)

    def _choose(self, request: Request) -> Behaviour:
        if callable(self._script):
            return self._script(request)
        return self._script[min(self._n_requests, len(self._script)) - 1]


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, value in (line.split(":", 1) for line in head[1:] if line)}
    raw = await reader.readexactly(int(headers.get("content-length", "0")))
    method, path, *_ = head[0].split()
    return Request(path=path, method=method, headers=headers, raw=raw)


async def _answer(writer: asyncio.StreamWriter, request: Request, *, behaviour: Behaviour) -> None:
    match behaviour:
        case Answer(headers=headers) as answer:
            writer.write(_message(200, answer.render(request), headers=headers))
        case Status(status=status, headers=headers) as refusal:
            writer.write(_message(status, refusal.render(request), headers=headers))
        case Raw(body=body, status=status, headers=headers):
            writer.write(_message(status, body, headers=headers))
        case EchoKey(status=status):
            body = json.dumps(
                {"error": {"message": f"Incorrect API key: {request.key}", "type": f"{request.key}"}}
            ).encode()
            writer.write(
                _message(
                    status,
                    body,
                    headers={"www-authenticate": f"{request.key}", "location": f"http://127.0.0.1/{request.key}"},
                )
            )
        case Reset(phase=phase):
            writer.write(_first_part(request, phase=phase))
            await writer.drain()
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_OFF)
            raise ConnectionResetError
        case Hang(phase=phase):
            writer.write(_first_part(request, phase=phase))
            await writer.drain()
            await asyncio.Event().wait()
        case Drip(interval_s=interval_s):
            writer.write(_message(200, b"", headers={"content-length": "1000000"}))
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(interval_s)
        case Endless():
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
            writer.write(_chunk(b'{"id": "endless", "choices": [{"message": {"content": "'))
            while True:
                writer.write(_chunk(b"more " * 10_000))
                await writer.drain()
    await writer.drain()


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _message(status: int, body: bytes, *, headers: Mapping[str, str]) -> bytes:
    fields = {"content-type": "application/json", "content-length": str(len(body))} | dict(headers)
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Status\r\n{head}\r\n".encode("latin-1") + body


def _first_part(request: Request, *, phase: Phase) -> bytes:
    """Return an answer's bytes up to the middle of a phase."""
    whole = _message(200, Answer("half a text").render(request), headers={})
    end_of_head = whole.index(b"\r\n\r\n") + 4
    return whole[: {"request": 0, "headers": end_of_head // 2, "body": (end_of_head + len(whole)) // 2}[phase]]
