"""Detects servers that truncate prompts silently, by the few input tokens that they count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agentsim.providers.base import PLAIN, Call, Completion, Layer, Prompt, Provider, n_bytes

__all__ = ["MOST_BYTES_A_TOKEN", "CutPrompts"]

MOST_BYTES_A_TOKEN: Final = 8
"""The most bytes of a prompt per token; prose has three to five with the tokenizers in use."""
MIN_BYTES: Final = 400
"""Shorter prompts are ignored: they may consist of a few long words or repeated characters."""


class CutPrompts(Layer):
    """Reports, once for each model, that a server counted fewer input tokens than the prompt must have."""

    def __init__(self, provider: Provider, *, account: str, tell: Callable[[str], None]) -> None:
        """`account` is the account's name; `tell` is called with one sentence."""
        super().__init__(provider)
        self._account = account
        self._tell = tell
        self._told: set[str] = set()

    async def complete(self, prompt: Prompt, call: Call = PLAIN) -> Completion:
        """Return the provider's completion.

        Raises:
            ProviderError: as the provider.
        """
        completion = await self._provider.complete(prompt, call)
        self._compare(prompt, completion)
        return completion

    def _compare(self, prompt: Prompt, completion: Completion) -> None:
        counted, sent = completion.usage.input_tokens, n_bytes(prompt.messages)
        if counted is None or sent < MIN_BYTES or counted * MOST_BYTES_A_TOKEN >= sent or prompt.model in self._told:
            return
        self._told.add(prompt.model)
        self._tell(
            f"{self._account}/{prompt.model} counts {counted:,} tokens of input for a prompt of {sent:,} bytes, which"
            " has far more: the server may silently truncate prompts to its context, and agents then do not know the"
            " rules; for Ollama, raise num_ctx (OLLAMA_CONTEXT_LENGTH)"
        )
