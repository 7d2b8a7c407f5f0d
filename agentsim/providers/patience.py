"""How long one call is waited for: much longer than any answer of its model took lately, and no longer.

A call that hangs would otherwise cost its whole deadline. Of answers that come as they came before, fewer than one in
as many as are remembered is slower than all of these; and who was given up is asked again with the whole deadline, so
that no question goes unanswered for being slow. Hangs teach nothing, answers that were given the whole deadline do.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import ContextVar
from typing import Final

from agentsim.errors import Unavailable
from agentsim.providers.base import Completion, Prompt, Provider

__all__ = ["PATIENT", "GivenUp", "Patient"]

WINDOW: Final = 1000
"""Latest answers of a model that are remembered."""
MIN_ANSWERS: Final = 200
"""Answers of a model before anything is given up early."""
MARGIN: Final = 1.5
LEAST_S: Final = 30.0

PATIENT: ContextVar[bool] = ContextVar("PATIENT", default=False)
"""Whether the call is to have its whole deadline, as its question was given up before."""


class GivenUp(Unavailable):
    """The call took far longer than any answer before it; it may be billed."""


class Patient:
    """Gives a call up after 1.5 x the slowest of its model's last 1,000 answers, but not within 30 s."""

    def __init__(self, provider: Provider, *, most_s: float) -> None:
        """`most_s` is the deadline that the provider keeps by itself."""
        self._provider = provider
        self._most_s = most_s
        self._latencies: dict[str, deque[float]] = {}

    async def complete(self, prompt: Prompt) -> Completion:
        """Return the provider's completion.

        Raises:
            GivenUp: it did not come in time.
        """
        known = self._latencies.setdefault(prompt.model, deque(maxlen=WINDOW))
        deadline_s = self._most_s
        if len(known) >= MIN_ANSWERS and not PATIENT.get():
            deadline_s = max(LEAST_S, MARGIN * max(known))
        if deadline_s >= self._most_s:
            completion = await self._provider.complete(prompt)
        else:
            try:
                async with asyncio.timeout(deadline_s) as scope:
                    completion = await self._provider.complete(prompt)
            except TimeoutError:
                if not scope.expired():
                    raise
                raise GivenUp(
                    f"no answer of {prompt.model!r} within {deadline_s:.0f} s, where the slowest of its last"
                    f" {len(known):,} took {max(known):.0f} s; it is asked again with {self._most_s:g} s"
                ) from None
        known.append(completion.latency_s)
        return completion

    async def aclose(self) -> None:
        """Close the provider."""
        await self._provider.aclose()
