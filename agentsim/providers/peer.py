"""The server behind an adapter: what its refusals mean in our error tree, and how it is quoted without the key."""

from __future__ import annotations

import email.utils
import json
import math
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Final

from agentsim.errors import AuthError, BadRequest, ProviderError, RateLimited, Unavailable
from agentsim.providers.filters import PromptFiltered, is_filter

__all__ = ["Peer", "read_refusal", "retry_after_s", "scrub"]

QUOTE_CHARS: Final = 300
SHORTEST_SECRET_PART: Final = 8

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

    def broken_off(self, reason: str | None) -> Unavailable:
        """Return the error for an answer that the server itself says has failed."""
        return Unavailable(f"{self.name} broke its answer off: it gives {self.quote(reason or '')} as the reason")

    def decode(self, body: bytes) -> dict[str, Any]:
        """Return the body's JSON object, in which `***` stands where the server repeats the key.

        Raises:
            Unavailable: it is none.
        """
        if self.secret:
            body = body.replace(self.secret.encode(), b"***")
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
        if is_filter(error, status=status):
            return PromptFiltered(said)
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
            return Unavailable(said, retry_after_s=wait_s, may_be_billed=False)
        kind = (
            BadRequest
            if status is not None
            else next((FATAL_WORDS[word] for word in words if word in FATAL_WORDS), None)
        )
        if kind is None:
            return Unavailable(said, retry_after_s=wait_s, may_be_billed=False)
        return kind(said + _remedy(message, words, status=status, sent=sent))


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


def read_refusal(body: bytes) -> object:
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
