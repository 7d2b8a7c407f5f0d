"""What both API dialects share: one bounded call, its failures in our error tree, the key in no message.

The official clients send the requests; answers and refusals are read here, because what a client's own parser does
with a malformed body is not part of its contract. Codings other than `identity` are neither asked for nor unpacked,
so that no answer grows beyond what came over the wire.
"""

from __future__ import annotations

import asyncio
import email.utils
import ipaddress
import json
import math
import re
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from agentsim.errors import AuthError, BadRequest, ProviderError, RateLimited, Unavailable

if TYPE_CHECKING:
    import httpx2

__all__ = [
    "DEFAULT_MAX_RESPONSE_BYTES",
    "RESERVED_EXTRA",
    "Exchange",
    "Peer",
    "check_key",
    "client_options",
    "exchange",
    "read_count",
    "retry_after_s",
    "scrub",
    "text_of",
]

DEFAULT_MAX_RESPONSE_BYTES: Final = 8 * 1024 * 1024
"""Of one response's body; an answer of 100,000 tokens has about 0.5 MB."""

RESERVED_EXTRA: Final = frozenset({"messages", "model", "n", "stream", "system"})
"""Keys that `sampling.extra` may not set: they would change the question or the form of the answer."""

MAX_REFUSAL_BYTES: Final = 64 * 1024
QUOTE_CHARS: Final = 300
SHORTEST_SECRET_PART: Final = 8
CONNECT_TIMEOUT_S: Final = 15.0

FATAL_WORDS: Final[Mapping[str, type[AuthError] | type[BadRequest]]] = {
    "authentication_error": AuthError,
    "invalid_api_key": AuthError,
    "permission_error": AuthError,
    "PERMISSION_DENIED": AuthError,
    "UNAUTHENTICATED": AuthError,
    "invalid_request_error": BadRequest,
    "INVALID_ARGUMENT": BadRequest,
    "model_not_found": BadRequest,
    "not_found_error": BadRequest,
    "NOT_FOUND": BadRequest,
    "request_too_large": BadRequest,
}
NO_CREDIT_WORDS: Final = frozenset({"billing_error", "billing_hard_limit_reached", "insufficient_quota"})
SLOW_DOWN_WORDS: Final = frozenset({"rate_limit_error", "rate_limit_exceeded", "RESOURCE_EXHAUSTED"})


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A JSON object that a server sent in answer to one request."""

    body: Mapping[str, Any]
    headers: Mapping[str, str]
    """Names in lower case."""
    latency_s: float
    """Seconds from sending the request to having the whole answer."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """The server one adapter talks to, as its error messages name it."""

    name: str
    base_url: str
    secret: str | None = field(repr=False)

    def quote(self, text: str | bytes) -> str:
        """Return foreign text as a `repr` of at most about 300 characters, without the key."""
        if isinstance(text, bytes):
            text = text[: 8 * QUOTE_CHARS].decode("utf-8", "replace")
        clean = scrub(text[: 8 * QUOTE_CHARS], self.secret)
        quoted = repr(clean)
        return quoted if len(quoted) <= QUOTE_CHARS else f"{quoted[:QUOTE_CHARS]}…{quoted[0]}"

    def unreadable(self, why: str, body: object) -> Unavailable:
        """Return the error for a body that is no answer, quoting its beginning."""
        text = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False, default=repr)
        return Unavailable(f"{self.name} answered with a body that cannot be used: {why}; it begins {self.quote(text)}")

    def decode(self, body: bytes) -> dict[str, Any]:
        """Return the body's JSON object.

        Raises:
            Unavailable: it is none.
        """
        try:
            value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
        except UnicodeDecodeError:
            raise self.unreadable("not UTF-8", body) from None
        except RecursionError:
            raise self.unreadable("nested too deeply", body) from None
        except ValueError as error:
            raise self.unreadable("empty" if not body.strip() else f"no JSON ({error})", body) from None
        if not isinstance(value, dict):
            raise self.unreadable(f"a JSON {type(value).__name__}, not an object", body)
        return value

    def refusal(
        self, *, status: int | None, error: object, headers: Mapping[str, str], sent: Iterable[str] = ()
    ) -> ProviderError:
        """Return the typed error for what a server said instead of an answer.

        `status` is the HTTP status, or `None` for an error inside a 200; `error` is the decoded error object, or the
        body as text; `sent` names the sampling parameters of the request.
        """
        message, words = _read_error(error)
        if status is None:
            status = next((int(word) for word in words if re.fullmatch(r"[45]\d\d", word)), None)
            said = f"{self.name} answered with an error inside a 200"
        else:
            said = f"{self.name} answered HTTP {status}"
        said += f": {self.quote(message)}" if message.strip() else " and said nothing more"
        wait_s = retry_after_s(headers)
        if status == 402 or words & NO_CREDIT_WORDS:
            return AuthError(f"{said}; the account has no credit left: add credit, then run again")
        if status == 429 or (status is None and words & SLOW_DOWN_WORDS):
            return RateLimited(said, retry_after_s=wait_s)
        if status in (401, 403):
            return AuthError(f"{said}; check the account's API key and what it may use")
        if status is not None and 300 <= status < 400:
            return BadRequest(
                f"{said} (a redirect to {self.quote(headers.get('location', ''))})"
                "; set base_url to the server's final address"
            )
        if status in (408, 409, 425) or (status is not None and status >= 500):
            return Unavailable(said, retry_after_s=wait_s)
        kind = (
            BadRequest
            if status is not None
            else next((FATAL_WORDS[word] for word in words if word in FATAL_WORDS), None)
        )
        if kind is None:
            return Unavailable(said, retry_after_s=wait_s)
        return kind(said + _remedy(message, words, status=status, sent=sent))


class _Refused(Exception):
    """Carries a response that is not 2xx out of the client."""

    def __init__(self, status: int, *, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(status)
        self.status, self.headers, self.body = status, headers, body


class _Unusable(Exception):
    """Carries the reason why a 2xx response was not read to its end."""


def client_options(*, base_url: str, timeout_s: float, max_response_bytes: int) -> dict[str, Any]:
    """Return an SDK's `DefaultAioHttpClient` arguments: bounded bodies, no redirects, no proxy to loopback."""
    import httpx2

    async def check(response: httpx2.Response) -> None:
        headers = _lower(response.headers)
        if not 200 <= response.status_code < 300:
            raise _Refused(response.status_code, headers=headers, body=await _read_start(response))
        if (coding := headers.get("content-encoding", "identity").strip().lower()) not in ("", "identity"):
            raise _Unusable(f"it is packed as {coding!r} though that was not asked for")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _bounded(response.stream, limit=max_response_bytes)

    return {
        "timeout": httpx2.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S)),
        "limits": httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=5.0),
        "follow_redirects": False,
        "trust_env": not _is_loopback(base_url),
        "headers": {"Accept-Encoding": "identity"},
        "event_hooks": {"response": [check]},
    }


async def exchange(
    call: Awaitable[Any], *, peer: Peer, sdk_error: type[Exception], timeout_s: float, sent: Iterable[str]
) -> Exchange:
    """Await one raw call of an SDK and return its JSON object.

    Raises:
        TransientError: connection lost, no whole answer in `timeout_s`, 408, 409, 425, 429 or 5xx, unreadable body.
        FatalProviderError: any other status, or a request that cannot be sent.
    """
    import aiohttp
    import anyio
    import httpx2

    started = time.monotonic()
    raw: Any = None
    failure: ProviderError | None = None
    try:
        async with asyncio.timeout(timeout_s):
            raw = await call
    except TimeoutError:
        failure = Unavailable(f"{peer.name} gave no whole answer within {timeout_s:g} s")
    except (sdk_error, _Refused, _Unusable, aiohttp.ClientError, httpx2.HTTPError, anyio.EndOfStream, OSError) as error:
        failure = _translate(error, peer=peer, sdk_error=sdk_error, sent=sent)
    except (TypeError, ValueError, httpx2.InvalidURL) as error:
        failure = BadRequest(f"the request to {peer.name} cannot be sent: {peer.quote(str(error))}")
    if failure is not None:  # raised out here, so that it holds no reference to a foreign error that may hold the key
        raise failure
    latency_s = time.monotonic() - started
    response: httpx2.Response = raw.http_response
    body = peer.decode(response.content)
    return Exchange(body=body, headers=_lower(response.headers), latency_s=latency_s)


def check_key(api_key: str | None, *, name: str) -> None:
    """Refuse a key that no HTTP header can carry, before a client quotes it in an error of its own.

    Raises:
        AuthError: the key is empty or holds white space or characters beyond ASCII.
    """
    if api_key is not None and not re.fullmatch(r"[!-~]+", api_key):
        raise AuthError(
            f"the API key of {name} is empty or holds white space or characters beyond ASCII: check how it was copied"
        )


def scrub(text: str, secret: str | None) -> str:
    """Return `text` with the secret, and each part of it of at least eight characters, replaced by `***`."""
    if not secret:
        return text
    shortest = min(len(secret), SHORTEST_SECRET_PART)
    clean, at = [], 0
    while at < len(text):
        end = at + shortest
        if end > len(text) or text[at:end] not in secret:
            clean.append(text[at])
            at += 1
            continue
        while end < len(text) and text[at : end + 1] in secret:
            end += 1
        clean.append("***")
        at = end
    return "".join(clean)


def retry_after_s(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """Return the seconds that `retry-after-ms` or `retry-after` ask for; `None` if they say nothing usable.

    A date in the past gives 0. `now` is the time in seconds since 1970, to read dates by; default: the system's clock.
    """
    if (milliseconds := _read_number(headers.get("retry-after-ms", ""))) is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "")
    if (seconds := _read_number(value)) is not None:
        return seconds
    try:
        date = email.utils.parsedate_to_datetime(value)
        moment = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, moment - (time.time() if now is None else now))


def read_count(value: object) -> int | None:
    """Return a count of tokens, or `None` for whatever is no count."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def text_of(value: str) -> str:
    """Return model text as valid Unicode: a lone surrogate, which no file or request can carry, becomes U+FFFD."""
    return re.sub("[\ud800-\udfff]", "\ufffd", value)


def _translate(error: Exception, *, peer: Peer, sdk_error: type[Exception], sent: Iterable[str]) -> ProviderError:
    """Return our error for one that a client raised; the clients wrap some causes and let others through."""
    cause = error.__cause__ if isinstance(error, sdk_error) else error
    if isinstance(cause, _Refused):
        return peer.refusal(status=cause.status, error=_parse_error(cause.body), headers=cause.headers, sent=sent)
    if isinstance(cause, _Unusable):
        return Unavailable(f"{peer.name} sent a body that is not read: {peer.quote(str(cause))}")
    if isinstance(cause, ValueError | TypeError):
        return BadRequest(f"the request to {peer.name} cannot be sent: {peer.quote(str(cause))}")
    shown = error if cause is None else cause
    return Unavailable(f"the connection to {peer.name} failed: {type(shown).__name__}: {peer.quote(str(shown))}")


def _parse_error(body: bytes) -> object:
    """Return the error object of a refusal's body, or the body as text where there is none."""
    text = body.decode("utf-8", "replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, list) and len(value) == 1:  # Gemini wraps its errors so
        value = value[0]
    if isinstance(value, dict):
        return value.get("error") or value
    return text


def _read_error(error: object) -> tuple[str, set[str]]:
    """Return an error object's sentence and the machine-readable words beside it."""
    if not isinstance(error, dict):
        return str(error), set()
    words = {str(error[key]) for key in ("type", "code", "status", "param") if isinstance(error.get(key), str | int)}
    message = next((error[key] for key in ("message", "detail", "error") if isinstance(error.get(key), str)), None)
    return (json.dumps(error, ensure_ascii=False) if message is None else message), words


def _remedy(message: str, words: set[str], *, status: int | None, sent: Iterable[str]) -> str:
    named = [name for name in sent if name in words or re.search(rf"\b{name}\b", message)]
    if named:
        return "; " + ", ".join(f"set players.{name} to null to not send it" for name in named)
    if status == 404 or words & {"model_not_found", "not_found_error", "NOT_FOUND"}:
        return "; check the model's name and the account's base_url"
    return ""


def _read_number(value: str) -> float | None:
    """Return a finite number >= 0, or `None`."""
    if not re.fullmatch(r"\s*[0-9]+(\.[0-9]*)?\s*", value):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _read_start(response: httpx2.Response) -> bytes:
    """Return the first bytes of a refusal's body, as far as they come."""
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


def _bounded(stream: httpx2.AsyncByteStream, *, limit: int) -> httpx2.AsyncByteStream:
    import httpx2

    class Bounded(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            n_bytes = 0
            async for chunk in stream:
                n_bytes += len(chunk)
                if n_bytes > limit:
                    raise _Unusable(f"it is longer than {limit} bytes")
                yield chunk

        async def aclose(self) -> None:
            await stream.aclose()

    return Bounded()
