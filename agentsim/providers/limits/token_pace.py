"""Tokens per minute: an estimate is set aside before each call, then replaced by the server's count."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from agentsim.providers.base import Completion, Prompt, n_bytes

__all__ = ["Spent", "TokenPace"]

WINDOW_S: Final = 60.0
BYTES_A_TOKEN: Final = 3.0
"""Assumed for prompts until an answer's usage is known; few tokenizers make more tokens of English."""


class Spent:
    """The tokens that one call takes from the minute in which it was sent."""

    def __init__(self, begun: float, tokens: float) -> None:
        self.begun = begun
        self.tokens = tokens


class TokenPace:
    """Lets calls through so that no more than `limit` tokens are spent in any 60 s, as far as the estimates hold.

    A prompt's tokens are estimated from its bytes; an answer's are the mean of the answers so far, and `max_tokens`
    before the first. Both use the usage that servers report. Only one caller at a time may wait here.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._window: deque[Spent] = deque()
        self._bytes = self._tokens_in = 0.0
        self._n_out = self._tokens_out = 0.0

    async def acquire(self, prompt: Prompt) -> Spent:
        """Wait until the call's estimated tokens fit into the minute, and set them aside."""
        clock = asyncio.get_running_loop().time
        estimate = min(self.estimate(prompt), self._limit)  # a call beyond the limit is sent alone
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
        """Replace the estimate by the server's count; a call without an answer counts as 0 tokens."""
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

    def estimate(self, prompt: Prompt) -> float:
        """Return the tokens that a call is expected to take, from the answers so far."""
        if not self._bytes:  # no answer yet
            return n_bytes(prompt.messages) / BYTES_A_TOKEN + (prompt.sampling.max_tokens or 0)
        return n_bytes(prompt.messages) * self._tokens_in / self._bytes + self._tokens_out / self._n_out
