"""What both API dialects share: one call of bounded size, its failures as our errors, and no API key in a message.

Requests begin with the head that the dialect's official client would send (`head`), and aiohttp sends them: a client's
own way takes as long as all the rest of a call, mostly for making the same request anew. Answers and refusals are read
here, because what a client's parser does with a malformed body is not part of its contract. Compressed answers are
neither requested nor decompressed, so that no answer is larger than the bytes received.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import warnings
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias
from urllib.parse import unquote, urlsplit, urlunsplit

from agentsim.errors import AuthError, BadRequest, ProviderError, Unavailable
from agentsim.providers.base import MOST_TOKENS
from agentsim.providers.dialects.connection import find_proxy, lost_connection, tls_context
from agentsim.providers.dialects.head import Head
from agentsim.providers.dialects.peer import Peer, read_refusal
from agentsim.providers.dialects.streams import is_stream, read_stream

if TYPE_CHECKING:
    import aiohttp
    from multidict import CIMultiDict
    from yarl import URL

__all__ = ["DEFAULT_MAX_RESPONSE_BYTES", "RESERVED_EXTRA", "Exchange", "MakeHead", "Wire", "check_key", "read_count"]

MakeHead: TypeAlias = Callable[[], Awaitable[Head]]
"""Makes the head of an account's requests; raises `ValueError` if there is none."""

DEFAULT_MAX_RESPONSE_BYTES: Final = 4 * 1024 * 1024
"""The most bytes of one response's body; an answer of 100,000 tokens has about 0.5 MB."""
MAX_HELD_BYTES: Final = 2 * 1024 * 1024
"""The most bytes of all answers of an account that are being read; further answers wait until others are read."""

RESERVED_EXTRA: Final = frozenset({"messages", "model", "n", "stream", "system"})
"""Keys that `sampling.extra` may not set: they would change the question or the form of the answer."""

MAX_REFUSAL_BYTES: Final = 64 * 1024
CONNECT_TIMEOUT_S: Final = 15.0
KEPT_S: Final = 5.0
"""How long an idle connection is kept."""
CHUNK_BYTES: Final = 16 * 1024
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
    """Carries a response that is not 2xx out of the reading."""

    def __init__(self, status: int, *, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(status)
        self.status, self.headers, self.body = status, headers, body


class _Unusable(Exception):
    """Carries the reason why a 2xx response was not read to the end."""


class _Opened(NamedTuple):
    """What sends an account's requests."""

    session: aiohttp.ClientSession
    url: URL
    headers: CIMultiDict[str]


class Wire:
    """Sends JSON objects to one server and reads its answers: bounded bodies, no redirects, no proxy for loopback."""

    def __init__(self, make_head: MakeHead, *, peer: Peer, timeout_s: float, max_response_bytes: int) -> None:
        """`timeout_s`: until the whole answer must be there; `max_response_bytes`: the most bytes of its body.

        Raises:
            ScenarioError: the environment names a proxy or certificates that cannot be used.
        """
        self.peer = peer
        self._make_head = make_head
        self._timeout_s = timeout_s
        self._reading = Reading(max_bytes=max_response_bytes)
        self._proxy = find_proxy(peer.base_url, name=peer.name)
        self._tls = tls_context(peer.base_url, name=peer.name)
        self._opened: _Opened | None = None

    async def post(self, body: Mapping[str, Any], *, sent: Iterable[str]) -> Exchange:
        """Send one request and return the JSON object of its answer; `sent` are the names of the body's parameters.

        Raises:
            TransientError: connection lost, no whole answer in time; 408, 409, 425, 429 or 5xx; unreadable body.
            FatalProviderError: any other status, or a request that cannot be sent.
        """
        import aiohttp

        started = time.monotonic()
        failure: ProviderError | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                headers, answer = await self._exchange(_encoded(body))
        except _Refused as refused:
            error, status = read_refusal(refused.body), refused.status
            failure = self.peer.refusal(status=status, error=error, headers=refused.headers, sent=sent)
        except _Unusable as error:
            failure = Unavailable(f"{self.peer.name} sent a body that is not read: {self.peer.quote(str(error))}")
        except aiohttp.ClientError as error:  # some of its errors are also a TimeoutError, an OSError or a ValueError
            failure = lost_connection(error, peer=self.peer)
        except TimeoutError:
            failure = Unavailable(f"{self.peer.name} gave no whole answer within {self._timeout_s:g} s", is_late=True)
        except OSError as error:
            failure = lost_connection(error, peer=self.peer)
        except (TypeError, ValueError) as error:
            failure = BadRequest(f"the request to {self.peer.name} cannot be sent: {self.peer.quote(str(error))}")
        if failure is not None:  # raised here, so that it has no reference to an error that may hold the API key
            raise failure
        latency_s = time.monotonic() - started
        read = read_stream(answer, peer=self.peer) if is_stream(headers) else self.peer.decode(answer)
        return Exchange(body=read, headers=headers, latency_s=latency_s)

    async def aclose(self) -> None:
        """Close the connections."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.session.close()

    async def _exchange(self, body: bytes) -> tuple[Mapping[str, str], bytes]:
        """Return the headers and the body with which the server answers."""
        to = self._opened or await self._open()
        async with to.session.post(to.url, data=body, headers=to.headers, allow_redirects=False) as response:
            headers = _lower(response.raw_headers)
            if not 200 <= response.status < 300:
                raise _Refused(response.status, headers=headers, body=await _read_start(response.content))
            if (coding := headers.get("content-encoding", "identity").strip().lower()) not in ("", "identity"):
                raise _Unusable(f"it is compressed as {coding!r}, which was not requested")
            length = headers.get("content-length", "")
            if length.isdecimal() and int(length[:20]) > self._reading.max_bytes:
                raise _Unusable(f"it is longer than {self._reading.max_bytes} bytes")
            return headers, await self._reading.whole(response.content)

    async def _open(self) -> _Opened:
        """Return what sends requests; a session belongs to the event loop that runs."""
        import aiohttp
        from multidict import CIMultiDict
        from yarl import URL

        head = await self._make_head()
        if self._opened is not None:  # another call was faster
            return self._opened
        proxy, user = (None, None) if self._proxy is None else _proxy_and_user(self._proxy)
        with warnings.catch_warnings():
            # Deprecated in favour of a header that aiohttp does not pass on to a proxy for http.
            warnings.simplefilter("ignore", DeprecationWarning)
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=KEPT_S, ssl=self._tls),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(
                    connect=self._timeout_s,
                    sock_connect=min(self._timeout_s, CONNECT_TIMEOUT_S),
                    sock_read=self._timeout_s,
                ),
                proxy=proxy,
                proxy_auth=None if user is None else aiohttp.BasicAuth(*user),
            )
        # The session's own headers would be sent to a proxy too, the API key among them.
        self._opened = _Opened(session, URL(head.url), CIMultiDict(head.headers))
        return self._opened


def _encoded(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _proxy_and_user(proxy: str) -> tuple[str, tuple[str, str] | None]:
    """Return a proxy's address without its user and password, and these."""
    parts = urlsplit(proxy)
    if not parts.username and not parts.password:
        return proxy, None
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return bare, (unquote(parts.username or ""), unquote(parts.password or ""))


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


def _lower(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by their names in lower case; values of one name are joined with commas."""
    found: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), _text(raw_value)
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


async def _read_start(content: aiohttp.StreamReader) -> bytes:
    """Return the first bytes of a refusal's body, as many as can be read."""
    import aiohttp

    start = b""
    try:
        async for chunk in content.iter_chunked(CHUNK_BYTES):
            start += chunk
            if len(start) >= MAX_REFUSAL_BYTES:
                break
    except aiohttp.ClientError:
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

    async def whole(self, content: aiohttp.StreamReader) -> bytes:
        """Return an answer's body.

        Raises:
            _Unusable: it is too long.
        """
        chunks, n_bytes = list[bytes](), 0
        try:
            async for chunk in content.iter_chunked(CHUNK_BYTES):
                if n_bytes + len(chunk) > self.max_bytes:
                    raise _Unusable(f"it is longer than {self.max_bytes} bytes")
                await self.hold(len(chunk), owner=chunks)
                n_bytes += len(chunk)
                chunks.append(chunk)
        finally:
            self.free(n_bytes, owner=chunks)
        return b"".join(chunks)

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
