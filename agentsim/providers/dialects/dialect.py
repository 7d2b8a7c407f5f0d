"""All that the rest of the program knows about a dialect: one value for each, in one table (`registry`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from agentsim.providers.base import Provider, Sampling

__all__ = ["Dialect", "Opened", "Opening"]


@dataclass(frozen=True)
class Opening:
    """What a dialect needs to open an account."""

    name: str
    """The account's name, for messages."""
    base_url: str | None
    api_key: str | None = field(repr=False)
    timeout_s: float
    """Seconds until the whole answer must be there."""
    model: str | None
    """The model's name, if each model has a provider of its own; else `None`."""
    slots: int
    """The most calls in flight."""
    context: int | None
    """Tokens of prompt and answer together; `None`: the dialect's default."""
    threads: int | None
    """Threads of a server on this machine; `None`: the dialect's default."""
    own_server: bool = False
    """Whether a server on this machine is not shared with other processes."""


class Opened(NamedTuple):
    """A provider, and what must be done before each of its calls."""

    provider: Provider
    ready: Callable[[], Awaitable[object]] | None = None


@dataclass(frozen=True)
class Dialect:
    """The language of a kind of server."""

    name: str
    open: Callable[[Opening], Opened]
    """Make a provider; no call is made yet."""
    unsupported: Callable[[Sampling], list[str]]
    """Return the names of the sampling parameters that cannot be sent."""
    accounts: Mapping[str, Mapping[str, Any]]
    """The accounts that need no settings from the user: name -> settings."""
    serves_here: bool = False
    """Whether models run on this machine: without an address, a key or a price, and with a provider for each model."""
    find_model: Callable[[str], object] | None = None
    """Raise an error if a model's files are missing; `None`: models have no files here."""
