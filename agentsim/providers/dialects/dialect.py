"""What the rest of the program knows of a dialect: one value for each, in one table (`registry`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from agentsim.providers.base import Provider, Sampling

__all__ = ["Dialect", "Opened", "Opening"]


@dataclass(frozen=True)
class Opening:
    """What a dialect is given to open an account."""

    name: str
    """The account's name, for messages."""
    base_url: str | None
    api_key: str | None = field(repr=False)
    timeout_s: float
    """Seconds until the whole answer must be there."""
    model: str | None
    """The model's name, where each model has a provider of its own."""
    slots: int
    """The most calls in flight."""
    context: int | None
    """Tokens of prompt and answer together; `None`: the dialect's default."""
    threads: int | None
    """Threads of a server on this machine; `None`: the dialect's default."""


class Opened(NamedTuple):
    """A provider, and what must be done before each of its calls."""

    provider: Provider
    ready: Callable[[], Awaitable[object]] | None = None


@dataclass(frozen=True)
class Dialect:
    """A server's language."""

    name: str
    open: Callable[[Opening], Opened]
    """Make a provider; nothing is asked yet."""
    unsupported: Callable[[Sampling], list[str]]
    """Return the names of the sampling parameters that cannot be sent."""
    accounts: Mapping[str, Mapping[str, Any]]
    """The accounts that need no settings of the user's: name -> settings."""
    serves_here: bool = False
    """Whether models run on this machine: without an address, a key or a price, and with a provider for each model."""
    find_model: Callable[[str], object] | None = None
    """Raise where a model's files are missing."""
