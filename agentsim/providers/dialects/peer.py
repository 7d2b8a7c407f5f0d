"""The server behind an adapter: maps its refusals to our errors and quotes it without the API key."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from functools import cached_property
from typing import Any, Final

from agentsim.errors import AuthError, BadRequest, KeyRefused, ProviderError, RateLimited, Unavailable
from agentsim.providers.dialects.filters import PromptFiltered, is_filter
from agentsim.providers.secret import Secret

__all__ = ["Peer", "read_refusal", "retry_after_s"]

QUOTE_CHARS: Final = 300
MAX_SCRUBBED_CHARS: Final = 64 * 1024
"""How much of a text is searched for the API key before its beginning is quoted."""

FATAL_WORDS: Final[Mapping[str, type[AuthError] | type[BadRequest]]] = {
    "authentication_error": KeyRefused,
    "invalid_api_key": KeyRefused,
    "permission_error": AuthError,
    "PERMISSION_DENIED": AuthError,
    "UNAUTHENTICATED": KeyRefused,
    "invalid_request_error": BadRequest,
    "INVALID_ARGUMENT": BadRequest,
    "model_not_found": BadRequest,
    "not_found_error": BadRequest,
    "NOT_FOUND": BadRequest,
    "request_too_large": BadRequest,
}
NO_CREDIT_WORDS: Final = frozenset({"billing_error", "billing_hard_limit_reached", "insufficient_quota"})
GAVE_UP_WAITING: Final = frozenset({408, 504, 524})
"""Statuses with which a gateway says that no answer came within its own timeout."""
SLOW_DOWN_WORDS: Final = frozenset({"rate_limit_error", "rate_limit_exceeded", "RESOURCE_EXHAUSTED"})
LIMIT_NAME: Final = re.compile(r"\bmax_(?:[a-z]+_)?tokens\b")
NO_SYSTEM: Final = re.compile(
    r"(?:system|developer)['\"`]?\s*(?:role|message|prompt|instruction)|role\W+(?:system|developer)\b"
    r"|conversation roles must alternate",
    re.IGNORECASE,
)
EXPIRED: Final = re.compile(r"expired", re.IGNORECASE)
"""Bedrock refuses a key that has expired with 403 and these words, other servers with 401."""
ONLY_STREAMS: Final = re.compile(r"\bonly\b.{0,40}\bstream|\bstream\b.{0,40}\b(?:true|enable|required)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Peer:
    """The server that an adapter talks to; `name` is used in error messages."""

    name: str
    base_url: str
    secret: str | None = field(repr=False)

    @cached_property
    def _key(self) -> Secret:
        return Secret(self.secret)

    def text(self, value: str) -> str:
        """Return a server's text in a form that may be stored: valid Unicode, with `***` in place of the API key.

        Lone surrogates, which no file or request can hold, become U+FFFD.
        """
        return self._key.hide(re.sub("[\ud800-\udfff]", "\ufffd", value))

    def quote(self, text: str | bytes) -> str:
        """Return a server's text as a `repr` of at most about 300 characters, without the API key."""
        if isinstance(text, bytes):
            text = text[:MAX_SCRUBBED_CHARS].decode("utf-8", "replace")
        quoted = repr(self._key.scrub(text[:MAX_SCRUBBED_CHARS])[: 8 * QUOTE_CHARS])
        return quoted if len(quoted) <= QUOTE_CHARS else f"{quoted[:QUOTE_CHARS]}…{quoted[0]}"

    def unreadable(self, why: str, body: object) -> Unavailable:
        """Return the error for a body that is not an answer, quoting its beginning."""
        text = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False, default=repr)
        return Unavailable(f"{self.name} answered with a body that cannot be used: {why}; it begins {self.quote(text)}")

    def broken_off(self, reason: str | None) -> Unavailable:
        """Return the error for an answer that failed according to the server itself."""
        return Unavailable(f"{self.name} broke its answer off: it gives {self.quote(reason or '')} as the reason")

    def decode(self, body: bytes) -> dict[str, Any]:
        """Return the body's JSON object, in which the server may repeat the API key.

        Raises:
            Unavailable: the body is not a JSON object.
        """
        try:
            value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
        except UnicodeDecodeError:
            raise self.unreadable("not UTF-8", body) from None
        except RecursionError:
            raise self.unreadable("nested too deeply", body) from None
        except ValueError as error:
            raise self.unreadable("empty" if not body.strip() else f"not JSON ({error})", body) from None
        if not isinstance(value, dict):
            raise self.unreadable(f"a JSON {type(value).__name__}, not an object", body)
        return value

    def refusal(
        self, *, status: int | None, error: object, headers: Mapping[str, str], sent: Iterable[str] = ()
    ) -> ProviderError:
        """Return the typed error for what a server sent instead of an answer.

        `status` is the HTTP status, or `None` for an error inside a 200; `error` is the decoded error object, or the
        body as text; `sent` holds the names of the request's sampling parameters.
        """
        message, words = _read_error(error)
        if status is None:
            status = next((int(word) for word in words if re.fullmatch(r"[45]\d\d", word)), None)
            said = f"{self.name} answered with an error inside a 200"
        else:
            said = f"{self.name} answered HTTP {status}"
        said += f": {self.quote(message)}" if message.strip() else " and said nothing more"
        if is_filter(error, status=status):
            return PromptFiltered(said)
        wait_s = retry_after_s(headers)
        if status == 402 or words & NO_CREDIT_WORDS:
            return AuthError(f"{said}; the account has no credit left: add credit, then run again")
        if status == 429 or (status is None and words & SLOW_DOWN_WORDS):
            return RateLimited(said, retry_after_s=wait_s)
        if status in (401, 403):
            is_of_key = status == 401 or EXPIRED.search(f"{message} {headers.get('x-amzn-errortype', '')}")
            return (KeyRefused if is_of_key else AuthError)(f"{said}; check the account's API key and its permissions")
        if status is not None and 300 <= status < 400:
            return BadRequest(
                f"{said} (a redirect to {self.quote(headers.get('location', ''))})"
                "; set base_url to the server's final address"
            )
        if status in (408, 409, 425) or (status is not None and status >= 500):
            is_late = status in GAVE_UP_WAITING
            return Unavailable(said, retry_after_s=wait_s, may_be_billed=False, is_late=is_late)
        kind = (
            BadRequest
            if status is not None
            else next((FATAL_WORDS[word] for word in words if word in FATAL_WORDS), None)
        )
        if kind is None:
            return Unavailable(said, retry_after_s=wait_s, may_be_billed=False)
        return kind(said + _remedy(message, words, status=status, sent=sent))


def retry_after_s(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """Return the seconds that `retry-after-ms` or `retry-after` ask for; `None` if neither is usable.

    A date in the past gives 0. `now` is the current time in seconds since 1970; default: the system's clock.
    """
    if (milliseconds := _read_number(headers.get("retry-after-ms", ""))) is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "")
    if (seconds := _read_number(value)) is not None:
        return seconds
    import email.utils  # here, because few servers state a date

    try:
        date = email.utils.parsedate_to_datetime(value)
        moment = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, moment - (time.time() if now is None else now))


def read_refusal(body: bytes) -> object:
    """Return the error object in a refusal's body, or the body as text if there is none."""
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
    """Return an error object's message and its machine-readable words."""
    if not isinstance(error, dict):
        return str(error), set()
    words = {str(error[key]) for key in ("type", "code", "status", "param") if isinstance(error.get(key), str | int)}
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    message = next((error[key] for key in ("message", "detail", "error") if isinstance(error.get(key), str)), None)
    if message is None:
        message = json.dumps(error, ensure_ascii=False)
    if raw:  # from a gateway: the message of the server behind it
        message += ": " + (raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False))
    return message, words


def _remedy(message: str, words: set[str], *, status: int | None, sent: Iterable[str]) -> str:
    """Return what to change in the scenario, if the refusal says what is wrong; otherwise an empty text."""
    named = [name for name in sent if name in words or re.search(rf"\b{name}\b", message)]
    limits = set(named) & {"max_tokens", "max_completion_tokens"}
    if others := sorted(set(LIMIT_NAME.findall(message)) - limits) if limits else []:
        return f"; set players.max_tokens to null and players.extra.{others[0]} to the limit"
    if named:
        names = ["max_tokens" if name == "max_completion_tokens" else name for name in named]
        return "; " + ", ".join(f"set players.{name} to null to not send it" for name in names)
    if status == 404 or words & {"model_not_found", "not_found_error", "NOT_FOUND"}:
        return "; check the model's name and the account's base_url"
    if NO_SYSTEM.search(message):
        return "; set players.system_prompt to user, which puts the rules at the beginning of the question"
    if ONLY_STREAMS.search(message):
        return "; this model only streams its answers, which is not requested: use another model or server"
    return ""


def _read_number(value: str) -> float | None:
    """Return a finite number >= 0, or `None`."""
    if not re.fullmatch(r"\s*[0-9]+(\.[0-9]*)?\s*", value):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
