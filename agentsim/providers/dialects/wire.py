"""What both API dialects share: one call of bounded size, its failures as our errors, and no API key in a message.

The official clients send the requests. Answers and refusals are read here, because what a client's parser does with a
malformed body is not part of its contract. Compressed answers are neither requested nor decompressed, so that no answer
is larger than the bytes received.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from agentsim.errors import AuthError, BadRequest, ProviderError, Unavailable
from agentsim.providers.base import MOST_TOKENS
from agentsim.providers.dialects.connection import find_proxy, hide_environment, lost_connection, tls_context
from agentsim.providers.dialects.peer import Peer, read_refusal
from agentsim.providers.dialects.streams import is_stream, read_stream

if TYPE_CHECKING:
    import httpx2
    from anthropic import AsyncAnthropic
    from openai import AsyncOpenAI

__all__ = [
    "DEFAULT_MAX_RESPONSE_BYTES",
    "RESERVED_EXTRA",
    "Exchange",
    "check_key",
    "client_options",
    "exchange",
    "post",
    "read_count",
]

DEFAULT_MAX_RESPONSE_BYTES: Final = 4 * 1024 * 1024
"""The most bytes of one response's body; an answer of 100,000 tokens has about 0.5 MB."""
MAX_HELD_BYTES: Final = 2 * 1024 * 1024
"""The most bytes of all answers of an account that are being read; further answers wait until others are read."""

RESERVED_EXTRA: Final = frozenset({"messages", "model", "n", "stream", "system"})
"""Keys that `sampling.extra` may not set: they would change the question or the form of the answer."""

CHATTY: Final = (
    *(f"openai.{name}" for name in ("_base_client", "_legacy_response", "_response")),
    *(f"anthropic.{name}" for name in ("_base_client", "_legacy_response", "_response", "_tracing")),
    "httpx2",
)
"""Loggers whose debug records hold headers, in which a server may repeat the API key; these records are dropped."""
MAX_REFUSAL_BYTES: Final = 64 * 1024
CONNECT_TIMEOUT_S: Final = 15.0
MAX_CONNECTIONS: Final = 100_000
"""`Limited` bounds the calls in flight; `None` would mean aiohttp's default of 100, and queued calls would time out."""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """The JSON object with which a server answered one request."""

    body: Mapping[str, Any]
    headers: Mapping[str, str]
    """Names in lower case."""
    latency_s: float
    """Seconds from sending the request to having the whole answer."""


class _Refused(Exception):
    """Carries a response that is not 2xx out of the client."""

    def __init__(self, status: int, *, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(status)
        self.status, self.headers, self.body = status, headers, body


class _Unusable(Exception):
    """Carries the reason why a 2xx response was not read to the end."""


def client_options(
    *, peer: Peer, timeout_s: float, max_response_bytes: int, own_domain: str, key_headers: Mapping[str, str]
) -> dict[str, Any]:
    """Return arguments for an SDK's `DefaultAioHttpClient`: bounded bodies, no redirects, no proxy for loopback.

    Hosts outside `own_domain` are sent nothing that the SDK reads from the environment. `key_headers` carry the API
    key.

    Raises:
        ScenarioError: the environment names a proxy or certificates that cannot be used.
    """
    import httpx2

    reading = Reading(max_bytes=max_response_bytes)
    host = urlsplit(peer.base_url).hostname or ""
    is_own = host == own_domain or host.endswith(f".{own_domain}")

    for name in CHATTY:
        logging.getLogger(name).addFilter(_is_no_detail)  # the same filter is added once

    async def check(response: httpx2.Response) -> None:
        headers = _lower(response.headers)
        if not 200 <= response.status_code < 300:
            raise _Refused(response.status_code, headers=headers, body=await _read_start(response))
        if (coding := headers.get("content-encoding", "identity").strip().lower()) not in ("", "identity"):
            raise _Unusable(f"it is compressed as {coding!r}, which was not requested")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > max_response_bytes:
            raise _Unusable(f"it is longer than {max_response_bytes} bytes")
        response.stream = _bounded(response.stream, reading)

    return {
        "timeout": httpx2.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S)),
        "limits": httpx2.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=None, keepalive_expiry=5.0),
        "follow_redirects": False,
        "trust_env": False,
        "proxy": find_proxy(peer.base_url, name=peer.name),
        "verify": tls_context(peer.base_url, name=peer.name),
        "headers": {"Accept-Encoding": "identity"},
        "event_hooks": {"request": [] if is_own else [hide_environment(key_headers)], "response": [check]},
    }


def post(client: AsyncOpenAI | AsyncAnthropic, path: str, body: Mapping[str, Any]) -> Awaitable[httpx2.Response]:
    """Send a JSON object with an SDK's client and return the raw response.

    The SDKs' methods for endpoints first walk through every value of the body, which takes as long as the rest of a
    call.
    """
    import httpx2

    return client.post(path, body=body, cast_to=httpx2.Response)


def _is_no_detail(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


async def exchange(
    call: Awaitable[httpx2.Response], *, peer: Peer, sdk_error: type[Exception], timeout_s: float, sent: Iterable[str]
) -> Exchange:
    """Await one call of an SDK and return its JSON object.

    Raises:
        TransientError: connection lost, no whole answer in `timeout_s`; 408, 409, 425, 429 or 5xx; unreadable body.
        FatalProviderError: any other status, or a request that cannot be sent.
    """
    import aiohttp
    import anyio
    import httpx2

    started = time.monotonic()
    failure: ProviderError | None = None
    try:
        async with asyncio.timeout(timeout_s):
            response = await call
    except TimeoutError:
        failure = Unavailable(f"{peer.name} gave no whole answer within {timeout_s:g} s", is_late=True)
    except (sdk_error, _Refused, _Unusable, aiohttp.ClientError, httpx2.HTTPError, anyio.EndOfStream, OSError) as error:
        failure = _translate(error, peer=peer, sdk_error=sdk_error, sent=sent)
    except (TypeError, ValueError, httpx2.InvalidURL) as error:
        failure = BadRequest(f"the request to {peer.name} cannot be sent: {peer.quote(str(error))}")
    if failure is not None:  # raised here, so that it has no reference to an SDK's error, which may hold the API key
        raise failure
    latency_s = time.monotonic() - started
    headers = _lower(response.headers)
    return Exchange(body=_read(response.content, headers, peer=peer), headers=headers, latency_s=latency_s)


def _read(body: bytes, headers: Mapping[str, str], *, peer: Peer) -> Mapping[str, Any]:
    return read_stream(body, peer=peer) if is_stream(headers) else peer.decode(body)


def check_key(api_key: str | None, *, name: str) -> None:
    """Refuse an API key that cannot be sent in an HTTP header, before a client quotes it in an error.

    Raises:
        AuthError: the key is empty, or holds white space or characters outside ASCII.
    """
    if api_key is not None and not re.fullmatch(r"[!-~]+", api_key):
        raise AuthError(
            f"the API key of {name} is empty or holds white space or characters beyond ASCII: check how it was copied"
        )


def read_count(value: object) -> int | None:
    """Return a count of tokens; `None` if the value is not a count, or more than any call can take."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS
    return value if is_count else None  # type: ignore[return-value]  # an int by the line above


def _translate(error: Exception, *, peer: Peer, sdk_error: type[Exception], sent: Iterable[str]) -> ProviderError:
    """Return our error for one that a client raised; clients wrap some causes and let others through."""
    cause = error.__cause__ if isinstance(error, sdk_error) else error
    if isinstance(cause, _Refused):
        return peer.refusal(status=cause.status, error=read_refusal(cause.body), headers=cause.headers, sent=sent)
    if isinstance(cause, _Unusable):
        return Unavailable(f"{peer.name} sent a body that is not read: {peer.quote(str(cause))}")
    if isinstance(cause, ValueError | TypeError):
        return BadRequest(f"the request to {peer.name} cannot be sent: {peer.quote(str(cause))}")
    return lost_connection(error, peer=peer)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


async def _read_start(response: httpx2.Response) -> bytes:
    """Return the first bytes of a refusal's body, as many as can be read."""
    import httpx2

    start = b""
    try:
        async for chunk in response.aiter_raw():
            start += chunk
            if len(start) >= MAX_REFUSAL_BYTES:
                break
    except httpx2.HTTPError:
        pass  # the status is what counts
    return start[:MAX_REFUSAL_BYTES]


class Reading:
    """Bounds the bytes read: `max_bytes` of each answer, and little more than `MAX_HELD_BYTES` of all at once."""

    def __init__(self, *, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._n_held = 0
        self._first: object = None
        """The one answer that is still read when too much is held, so that at least one can finish."""
        self._freed = asyncio.Event()

    async def hold(self, n_bytes: int, *, owner: object) -> None:
        """Wait until `n_bytes` more of an answer may be held."""
        while self._n_held + n_bytes > MAX_HELD_BYTES and self._first not in (None, owner):
            await self._freed.wait()
        if self._n_held + n_bytes > MAX_HELD_BYTES:
            self._first = owner
        self._n_held += n_bytes

    def free(self, n_bytes: int, *, owner: object) -> None:
        """Count the bytes of an answer as handed on or dropped."""
        self._n_held -= n_bytes
        if self._first is owner:
            self._first = None
        self._freed.set()
        self._freed = asyncio.Event()


def _bounded(stream: httpx2.AsyncByteStream, reading: Reading) -> httpx2.AsyncByteStream:
    import httpx2

    class Bounded(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            n_bytes = 0
            try:
                async for chunk in stream:
                    if n_bytes + len(chunk) > reading.max_bytes:
                        raise _Unusable(f"it is longer than {reading.max_bytes} bytes")
                    await reading.hold(len(chunk), owner=self)
                    n_bytes += len(chunk)
                    yield chunk
            finally:
                reading.free(n_bytes, owner=self)

        async def aclose(self) -> None:
            await stream.aclose()

    return Bounded()
