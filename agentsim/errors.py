"""Every error agentsim raises on purpose.

    AgentsimError
    ├── ScenarioError           the user's file, option or template is wrong: where, what, what instead
    ├── PluginError             code of the user's own cannot be read, or what it brings cannot be added
    ├── ModelFileError          weights are missing, damaged or cannot be fetched
    ├── ProviderError           a model was asked and did not answer
    │   ├── TransientError      asking again may help
    │   │   ├── RateLimited     the account was told to slow down
    │   │   └── Unavailable     time-out, lost connection, server fault, unreadable body
    │   ├── FatalProviderError  asking again cannot help
    │   │   ├── AuthError       the key is missing, or the account may not do this
    │   │   │   └── KeyRefused  the key itself is refused, as one that has expired is
    │   │   ├── AccountDown     the account has answered nothing for too long
    │   │   ├── BadRequest      the model or a parameter is refused
    │   │   └── BudgetReached   the next call could cost more than the study may
    │   └── NotSent             the study is stopping; the call was never made
    ├── AnswerError             a readable answer never came and the scenario says `then: stop`
    │   └── NeverRead           none of a model's first answers could be read: asking on would only cost
    └── LogError                a run's log cannot be used
        ├── LogLocked           another process is writing it
        ├── NotWritten          the disk is full or failing: nothing more is sent
        ├── SchemaError         it was written by another version of the log format
        └── ReplayMismatch      its facts do not follow from its replies under this code and scenario

The type of a `ProviderError` is the retry decision. Messages quote foreign text with `!r`, name the remedy and
never hold a key.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable

__all__ = [
    "AccountDown",
    "AgentsimError",
    "AnswerError",
    "AuthError",
    "BadRequest",
    "BudgetReached",
    "FatalProviderError",
    "KeyRefused",
    "LogError",
    "LogLocked",
    "ModelFileError",
    "NeverRead",
    "NotSent",
    "NotWritten",
    "PluginError",
    "ProviderError",
    "RateLimited",
    "ReplayMismatch",
    "ScenarioError",
    "SchemaError",
    "TransientError",
    "Unavailable",
    "did_you_mean",
    "quote",
]

MAX_QUOTED_CHARS = 60


class AgentsimError(Exception):
    """Base of every error whose message is written for a person; the CLI prints it without a traceback."""


class ScenarioError(AgentsimError):
    """A scenario file, a command-line setting or a template is wrong; the message says where and what instead."""


class PluginError(AgentsimError):
    """A plug-in cannot be read, or what it brings cannot be added; the message says what instead."""


class ModelFileError(AgentsimError):
    """The weights of an embedded model are missing, damaged or cannot be fetched."""


class ProviderError(AgentsimError):
    """A model was asked and gave no answer; never to be read as a behaviour of the model."""


class TransientError(ProviderError):
    """Asking again may help."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """Seconds the server asked to wait, if it did; always finite and >= 0."""


class RateLimited(TransientError):
    """The account was told to slow down (HTTP 429)."""


class Unavailable(TransientError):
    """Time-out, lost connection, server fault (5xx, 529), or a body that cannot be read."""

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, may_be_billed: bool = True, is_late: bool = False
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.is_late = is_late
        """Whether no answer came in time, by the caller's deadline or that of a server in between."""
        self.may_be_billed = may_be_billed
        """Whether the model may have answered all the same: not where the server itself said that it failed."""


class FatalProviderError(ProviderError):
    """Asking again cannot help; the run stops and can be resumed once the cause is mended."""


class AuthError(FatalProviderError):
    """The key is missing or refused, or the account may not use this model (401, 403)."""


class KeyRefused(AuthError):
    """The key is refused (401): it is wrong, or it has expired, and another one may be accepted."""

    def __init__(self, message: str, *, number: int | None = None) -> None:
        super().__init__(message)
        self.number = number
        """Which of the account's keys it is, if a command gives them; counted from 1."""


class BadRequest(FatalProviderError):
    """The model name or a parameter is refused (400, 404, 422 and other 4xx)."""


class AccountDown(FatalProviderError):
    """The account has answered nothing for longer than the study may wait; asking on would only hammer it."""


class BudgetReached(FatalProviderError):
    """The next call could cost more than what is left of the study's budget; it was not sent."""


class NotSent(ProviderError):
    """The study is stopping and the call still waited for a limit: it was never made and has cost nothing."""


class AnswerError(AgentsimError):
    """No readable answer within the scenario's attempts, and the scenario's `on_invalid` says to stop."""


class NeverRead(AnswerError):
    """None of a model's first answers could be read, as many as the scenario allows; asking on would only cost."""


class LogError(AgentsimError):
    """A run's log cannot be used."""


class LogLocked(LogError):
    """Another process is writing this run."""


class NotWritten(LogError):
    """A write or a sync failed: what comes could not be stored, so that the whole study stops and can be resumed."""


class SchemaError(LogError):
    """The log was written in another version of the log format."""


class ReplayMismatch(LogError):
    """The logged facts do not follow from the logged replies: the code, the scenario or the log has changed."""


def quote(value: object) -> str:
    """Return foreign data for a message: its `repr`, cut."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = json.dumps(value) if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= MAX_QUOTED_CHARS else f"{text[:MAX_QUOTED_CHARS]}…"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `, did you mean 'x'?` for a near miss, else nothing."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f", did you mean {by_lower[near[0]]!r}?" if near else ""
