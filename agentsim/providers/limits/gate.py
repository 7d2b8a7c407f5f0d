"""Limits that several processes share: each call needs a lease, which somebody outside of this process grants.

A lease is a place among the calls in flight, one request of the minute, the tokens of a call, and, under a budget, its
money. The layers of `providers` know no more of whoever grants it than this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeAlias

from agentsim.errors import ProviderError, Unavailable
from agentsim.providers.base import Call, Completion, Prompt, Provider
from agentsim.providers.limits.early_timeout import GivenUp

__all__ = ["Gate", "Gates", "Lease", "asked_under", "no_gate"]


class Lease(Protocol):
    """What one call may take."""

    async def answered(self, completion: Completion) -> None:
        """Report an answer that is billed; return once that is recorded where no kill of a process can undo it."""
        ...

    def unbilled(self) -> None:
        """Report that the call was refused or never sent."""
        ...

    def lost(self) -> None:
        """Report that the outcome will stay unknown: the call may be billed."""
        ...

    def release(self) -> None:
        """Give the place back; its answer, if there is one, is stored."""
        ...


class Gate(Protocol):
    """Grants the leases of one account."""

    async def acquire(self, prompt: Prompt, call: Call) -> Lease:
        """Wait until the call may be sent.

        Raises:
            BudgetReached: it could exceed the budget.
            AgentsimError: nothing can be granted any more; the message says why.
        """
        ...


Gates: TypeAlias = Callable[[str, str | None], Gate | None]
"""Returns an account's gate, by its name, or that of one of its several servers, by the server's address; or none."""


def no_gate(account: str, server: str | None) -> None:
    """Return that no other process shares the limits."""


async def asked_under(lease: Lease, provider: Provider, prompt: Prompt, call: Call) -> Completion:
    """Return the provider's completion, once what it cost is recorded.

    Raises:
        ProviderError: as the provider.
    """
    try:
        completion = await provider.complete(prompt, call)
    except GivenUp as error:
        if error.witness is None:
            lease.lost()
        else:
            error.witness.add_done_callback(lambda witness: _settle(lease, witness))
        raise
    except ProviderError as error:
        if isinstance(error, Unavailable) and error.may_be_billed:
            lease.lost()
        else:
            lease.unbilled()
        raise
    except BaseException:  # cancelled after it was sent, so it may be billed
        lease.lost()
        raise
    await lease.answered(completion)
    return completion


_SETTLING: set[asyncio.Future[None]] = set()
"""Reports of witnesses, which nobody awaits."""


def _settle(lease: Lease, witness: asyncio.Future[Completion]) -> None:
    """Report the outcome of a call that was left under way."""
    if witness.cancelled() or witness.exception() is not None:
        lease.lost()
        return
    report = asyncio.ensure_future(lease.answered(witness.result()))
    _SETTLING.add(report)
    report.add_done_callback(_SETTLING.discard)
