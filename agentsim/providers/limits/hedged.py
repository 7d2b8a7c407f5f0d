"""Hedging: a call that is slow for its model is sent a second time, and the first answer is taken.

Hedging shortens waits, but it favours short answers, which come sooner. So it is off unless an account asks for it, and
the log says which answers were hedged.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any, Final

from agentsim.errors import ProviderError
from agentsim.providers.base import PLAIN, Call, Completion, Hedge, Held, Layer, Prompt, Provider
from agentsim.providers.limits.latest import Latencies

__all__ = ["Hedged", "percentile_of"]

WINDOW: Final = 200
"""The percentile is computed from this many latest answers."""
MIN_ANSWERS: Final = 20
"""How many answers of a model must be known before any call counts as slow."""
EVEN_S: Final = 1e-6
"""Added to the percentile: a call that takes exactly as long does not count as slower."""


def percentile_of(text: str) -> float:
    """Return the percentile that a setting such as `p95` names, as a fraction.

    Raises:
        ValueError: it names none of p50 to p99.
    """
    if not re.fullmatch(r"p[5-9][0-9]", text):
        raise ValueError(f"{text[:40]!r} is not a percentile; write one of p50 to p99, such as p95")
    return int(text[1:]) / 100


class Hedged(Layer):
    """Sends a call again if it has taken longer than the given percentile of its model's latencies.

    Both copies keep to the account's limits and budget. The unused copy is cancelled; it may still be billed.
    """

    def __init__(self, provider: Provider, *, after: float) -> None:
        """`after` is the percentile as a fraction."""
        super().__init__(provider)
        self._after = after
        self._latencies: dict[str, Latencies] = {}

    async def complete(self, prompt: Prompt, call: Call = PLAIN) -> Completion:
        """Return the first completion that arrives.

        Raises:
            ProviderError: as the inner provider; if both copies fail, the first copy's error.
        """
        wait_s = self._wait_s(prompt.model)
        if wait_s is None:
            completion = await self._provider.complete(prompt, call)
            self._learn(prompt.model, completion.latency_s)
            return completion
        sent = asyncio.Event()
        places = (Held(), Held())
        first = asyncio.ensure_future(self._provider.complete(prompt, replace(call, held=places[0], on_sent=sent.set)))
        sending = asyncio.ensure_future(sent.wait())
        copies: list[asyncio.Future[Completion]] = [first]
        try:
            await asyncio.wait({first, sending}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({first}, timeout=wait_s + EVEN_S)
            if first.done():
                completion = first.result()
                self._learn(prompt.model, completion.latency_s)
                if call.held is not None:
                    places[0].hand_over(call.held)
                return completion
            copies.append(asyncio.ensure_future(self._provider.complete(prompt, replace(call, held=places[1]))))
            winner = await _first_answer(copies)
            completion = copies[winner].result()
            if call.held is not None:
                places[winner].hand_over(call.held)
            # When the second copy wins, the first is only known to have taken longer than this. If the second copy's
            # latency were learned instead, the percentile would sink, and more and more calls would be sent twice.
            self._learn(prompt.model, completion.latency_s + (wait_s if winner else 0.0))
            hedge = Hedge(after_s=wait_s, winner="second" if winner else "first")
            return completion.model_copy(update={"hedge": hedge})
        finally:
            await _drop(sending, *copies)
            for place in places:
                place.release()

    def _wait_s(self, model: str) -> float | None:
        known = self._latencies.get(model)
        if known is None or len(known) < MIN_ANSWERS:
            return None
        return known.percentile(self._after)

    def _learn(self, model: str, seconds: float) -> None:
        if model not in self._latencies:
            self._latencies[model] = Latencies(WINDOW)
        self._latencies[model].append(seconds)


async def _first_answer(copies: list[asyncio.Future[Completion]]) -> int:
    """Return the index of the copy that is answered first, or 0 if all copies fail."""
    open_ = set(copies)
    while open_:
        done, open_ = await asyncio.wait(open_, return_when=asyncio.FIRST_COMPLETED)
        for number, copy in enumerate(copies):
            if copy in done and not isinstance(copy.exception(), ProviderError):
                return number
    return 0


async def _drop(*tasks: asyncio.Future[Any]) -> None:
    """Cancel the tasks that are still running, and wait until they have given their places back."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
