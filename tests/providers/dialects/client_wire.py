"""The way of the official clients: they make each request, send it, and raise their own errors.

It is the reference for `Wire`: the same requests, and the same answers or errors of ours.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import aiohttp
import anthropic
import httpx2
import openai

from agentsim.errors import BadRequest, ProviderError, Unavailable
from agentsim.providers.base import Completion
from agentsim.providers.dialects.connection import find_proxy, lost_connection, tls_context
from agentsim.providers.dialects.head import is_of
from agentsim.providers.dialects.peer import Peer, read_refusal
from agentsim.providers.dialects.remote import RemoteProvider
from agentsim.providers.dialects.streams import is_stream, read_stream
from agentsim.providers.dialects.wire import (
    CONNECT_TIMEOUT_S,
    DEFAULT_MAX_RESPONSE_BYTES,
    KEPT_S,
    MAX_CONNECTIONS,
    MAX_REFUSAL_BYTES,
    Exchange,
    Wire,
)
from agentsim.testing.faultserver import Request

PLAIN_HEADERS = frozenset(
    {
        *("accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent"),
        "anthropic-version",
    }
)
"""Headers that a server needs, besides the API key and the clients' `x-stainless-…`."""


NUMBERED = re.compile(r"(?:chatcmpl-|msg_)[0-9]+")
"""The fault server's ids."""


def let_client_send(
    adapter: RemoteProvider, dialect: str, *, timeout_s: float, max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES
) -> None:
    """Let an adapter send its requests with the official client; nothing has been sent yet."""
    peer = adapter._peer
    adapter._wire = ClientWire(dialect, peer=peer, timeout_s=timeout_s, max_response_bytes=max_response_bytes)


def told(outcome: Completion | ProviderError, *, host: str) -> object:
    """Return all that is known of a call's outcome, apart from its latency, the server's port, and numbered ids."""
    if isinstance(outcome, ProviderError):
        known = {name: value for name, value in vars(outcome).items() if not name.startswith("__")}
        return type(outcome), NUMBERED.sub("ID", str(outcome)).replace(host, "HOST"), known
    is_numbered = NUMBERED.match(outcome.request_id or "")
    return outcome.model_dump(exclude={"latency_s", "request_id"} if is_numbered else {"latency_s"})


def as_sent(request: Request, *, host: str) -> object:
    """Return what a server sees of a request, apart from its own port."""
    headers = {name: value.replace(host, "HOST") for name, value in request.headers.items()}
    return request.method, request.path.replace(host, "HOST"), headers, request.raw


class Refused(Exception):
    def __init__(self, status: int, *, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(status)
        self.status, self.headers, self.body = status, headers, body


class Unusable(Exception):
    pass


class ClientWire(Wire):
    """Sends JSON objects with an official client."""

    def __init__(self, dialect: str, *, peer: Peer, timeout_s: float, max_response_bytes: int) -> None:
        self.peer = peer
        self._timeout_s = timeout_s
        self._max_bytes = max_response_bytes
        is_openai = dialect == "openai"
        key = peer.secret or "none"
        key_headers = {"authorization": f"Bearer {key}"} if is_openai else {"x-api-key": key}
        is_own = is_of("openai.com" if is_openai else "anthropic.com", peer.base_url)
        options: dict[str, Any] = {
            "timeout": httpx2.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S)),
            "limits": httpx2.Limits(
                max_connections=MAX_CONNECTIONS, max_keepalive_connections=None, keepalive_expiry=KEPT_S
            ),
            "follow_redirects": False,
            "trust_env": False,
            "proxy": find_proxy(peer.base_url, name=peer.name),
            "verify": tls_context(peer.base_url, name=peer.name),
            "headers": {"Accept-Encoding": "identity"},
            "event_hooks": {"request": [] if is_own else [hide_environment(key_headers)], "response": [self._check]},
        }
        common: dict[str, Any] = {"api_key": key, "base_url": peer.base_url, "timeout": timeout_s, "max_retries": 0}
        self._client: openai.AsyncOpenAI | anthropic.AsyncAnthropic
        self._sdk_error: type[Exception]
        if is_openai:
            self._path, self._sdk_error = "/chat/completions", openai.OpenAIError
            self._client = openai.AsyncOpenAI(**common, http_client=openai.DefaultAioHttpClient(**options))
        else:
            self._path, self._sdk_error = "/v1/messages", anthropic.AnthropicError
            http_client = anthropic.DefaultAioHttpClient(**options)
            self._client = anthropic.AsyncAnthropic(**common, open_telemetry=False, http_client=http_client)

    async def post(self, body: Mapping[str, Any], *, sent: Iterable[str]) -> Exchange:
        started = time.monotonic()
        failure: ProviderError | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                response: httpx2.Response = await self._client.post(self._path, body=body, cast_to=httpx2.Response)
        except TimeoutError:
            failure = Unavailable(f"{self.peer.name} gave no whole answer within {self._timeout_s:g} s", is_late=True)
        except (self._sdk_error, Refused, Unusable, aiohttp.ClientError, httpx2.HTTPError, OSError) as error:
            failure = self._translated(error, sent=sent)
        except (TypeError, ValueError, httpx2.InvalidURL) as error:
            failure = BadRequest(f"the request to {self.peer.name} cannot be sent: {self.peer.quote(str(error))}")
        if failure is not None:
            raise failure
        headers = {name.lower(): value for name, value in response.headers.items()}
        read = read_stream if is_stream(headers) else lambda answer, peer: peer.decode(answer)
        answer = read(response.content, peer=self.peer)
        return Exchange(body=answer, headers=headers, latency_s=time.monotonic() - started)

    async def aclose(self) -> None:
        await self._client.close()

    def _translated(self, error: Exception, *, sent: Iterable[str]) -> ProviderError:
        cause = error.__cause__ if isinstance(error, self._sdk_error) else error
        if isinstance(cause, Refused):
            body = read_refusal(cause.body)
            return self.peer.refusal(status=cause.status, error=body, headers=cause.headers, sent=sent)
        if isinstance(cause, Unusable):
            return Unavailable(f"{self.peer.name} sent a body that is not read: {self.peer.quote(str(cause))}")
        if isinstance(cause, ValueError | TypeError):
            return BadRequest(f"the request to {self.peer.name} cannot be sent: {self.peer.quote(str(cause))}")
        return lost_connection(error, peer=self.peer)

    async def _check(self, response: httpx2.Response) -> None:
        headers = {name.lower(): value for name, value in response.headers.items()}
        if not 200 <= response.status_code < 300:
            raise Refused(response.status_code, headers=headers, body=await _start_of(response))
        if (coding := headers.get("content-encoding", "identity").strip().lower()) not in ("", "identity"):
            raise Unusable(f"it is compressed as {coding!r}, which was not requested")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self._max_bytes:
            raise Unusable(f"it is longer than {self._max_bytes} bytes")
        response.stream = _bounded(response.stream, self._max_bytes)


def hide_environment(key_headers: Mapping[str, str]) -> Any:
    """Return a hook that removes from each request what a client read from the environment for its own servers."""

    async def hide(request: httpx2.Request) -> None:
        for header in list(request.headers):
            name = header.lower()
            if name not in PLAIN_HEADERS and name not in key_headers and not name.startswith("x-stainless-"):
                del request.headers[header]
        request.headers.update(key_headers)

    return hide


async def _start_of(response: httpx2.Response) -> bytes:
    start = b""
    try:
        async for chunk in response.aiter_raw():
            start += chunk
            if len(start) >= MAX_REFUSAL_BYTES:
                break
    except httpx2.HTTPError:
        pass
    return start[:MAX_REFUSAL_BYTES]


def _bounded(stream: httpx2.AsyncByteStream, max_bytes: int) -> httpx2.AsyncByteStream:
    class Bounded(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            n_bytes = 0
            async for chunk in stream:
                n_bytes += len(chunk)
                if n_bytes > max_bytes:
                    raise Unusable(f"it is longer than {max_bytes} bytes")
                yield chunk

        async def aclose(self) -> None:
            await stream.aclose()

    return Bounded()
