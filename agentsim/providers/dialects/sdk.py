"""What the dialects share whose requests an official client sends: one call, from the prompt to the completion."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agentsim.errors import BadRequest
from agentsim.providers.base import PLAIN, Call, Completion, Prompt, Sampling
from agentsim.providers.dialects.filters import PromptFiltered
from agentsim.providers.dialects.peer import Peer
from agentsim.providers.dialects.wire import Exchange, exchange, post

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic
    from openai import AsyncOpenAI

__all__ = ["SdkProvider"]


class SdkProvider(ABC):
    """Completes prompts with an official client, at one server."""

    path: str
    """Where completions are asked for, below the server's address."""

    def __init__(
        self, client: AsyncOpenAI | AsyncAnthropic, *, peer: Peer, timeout_s: float, sdk_error: type[Exception]
    ) -> None:
        """`sdk_error` is the base of the errors that the client raises."""
        self._client = client
        self._peer = peer
        self._timeout_s = timeout_s
        self._sdk_error = sdk_error

    async def complete(self, prompt: Prompt, call: Call = PLAIN) -> Completion:
        """Return the model's completion of `prompt`; one request, never repeated.

        Raises:
            TransientError: asking again may help.
            FatalProviderError: asking again cannot help.
        """
        if refused := self._unsupported(prompt.sampling):
            raise BadRequest(f"{self._peer.name} cannot be sent {', '.join(refused)}: remove it from players")
        sent = self._parameters(prompt.sampling)
        body = {"model": prompt.model, **self._question(prompt), **sent, **prompt.sampling.extra}
        sending = post(self._client, self.path, body)
        began = time.monotonic()
        try:
            answer = await exchange(
                sending, peer=self._peer, sdk_error=self._sdk_error, timeout_s=self._timeout_s, sent=sent
            )
            return self._read(answer, prompt)
        except PromptFiltered as refusal:
            return refusal.completion(latency_s=time.monotonic() - began)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    @abstractmethod
    def _unsupported(self, sampling: Sampling) -> list[str]:
        """Return the names of the parameters that this dialect cannot send."""

    @abstractmethod
    def _parameters(self, sampling: Sampling) -> Mapping[str, Any]:
        """Return the sampling's parameters under this dialect's names; a refusal may blame one of them."""

    @abstractmethod
    def _question(self, prompt: Prompt) -> Mapping[str, Any]:
        """Return what else is sent: the messages, the form of the answer, and what the server demands.

        Raises:
            BadRequest: this dialect cannot say it.
        """

    @abstractmethod
    def _read(self, answer: Exchange, prompt: Prompt) -> Completion:
        """Return the completion in the server's answer.

        Raises:
            ProviderError: it holds an error or is not well-formed.
        """
