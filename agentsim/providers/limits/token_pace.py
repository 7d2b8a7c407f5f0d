"""Tokens a minute: an estimate is set aside before a call, and corrected by what the server counted."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from agentsim.providers.base import Completion, Prompt, n_bytes

__all__ = ["Spent", "TokenPace"]

WINDOW_S: Final = 60.0
BYTES_A_TOKEN: Final = 3.0
"""Of a prompt, before any answer has told better; few tokenizers make more of English."""


class Spent:
    """What one call takes of the minute it was sent in."""

    def __init__(self, begun: float, tokens: float) -> None:
        self.begun = begun
        self.tokens = tokens


class TokenPace:
    """Lets calls through so that never more than `limit` tokens are spent in 60 s, as far as the estimates hold.

    Tokens of a prompt are estimated from its bytes, those of an answer by the answers so far (at first by
    `max_tokens`); both learn from the usage that servers report. One caller at a time may wait here.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._window: deque[Spent] = deque()
        self._bytes = self._tokens_in = 0.0
        self._n_out = self._tokens_out = 0.0

    async def acquire(self, prompt: Prompt) -> Spent:
        """Wait until the call's estimated tokens fit into the minute, and set them aside."""
        clock = asyncio.get_running_loop().time
        estimate = min(self._estimate(prompt), self._limit)  # a call beyond the limit is sent alone
        while True:
            now = clock()
            while self._window and self._window[0].begun <= now - WINDOW_S:
                self._window.popleft()
            if sum(spent.tokens for spent in self._window) + estimate <= self._limit:
                spent = Spent(now, estimate)
                self._window.append(spent)
                return spent
            await asyncio.sleep(self._window[0].begun + WINDOW_S - now)

    def correct(self, spent: Spent, prompt: Prompt, completion: Completion | None) -> None:
        """Replace the estimate by what the server counted; a call without an answer is taken to have cost nothing."""
        if completion is None:
            spent.tokens = 0.0
            return
        usage = completion.usage
        if usage.input_tokens is None or usage.output_tokens is None:
            return
        spent.tokens = float(usage.input_tokens + usage.output_tokens)
        self._bytes += n_bytes(prompt.messages)
        self._tokens_in += usage.input_tokens
        self._n_out += 1
        self._tokens_out += usage.output_tokens

    def _estimate(self, prompt: Prompt) -> float:
        if not self._bytes:  # no answer yet
            return n_bytes(prompt.messages) / BYTES_A_TOKEN + (prompt.sampling.max_tokens or 0)
        return n_bytes(prompt.messages) * self._tokens_in / self._bytes + self._tokens_out / self._n_out
