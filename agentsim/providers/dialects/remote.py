"""What the dialects of servers elsewhere share: one call, from the prompt to the completion."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from agentsim.errors import BadRequest
from agentsim.providers.base import PLAIN, Call, Completion, Prompt, Sampling
from agentsim.providers.dialects.filters import PromptFiltered
from agentsim.providers.dialects.peer import Peer
from agentsim.providers.dialects.wire import Exchange, Wire

__all__ = ["RemoteProvider"]


class RemoteProvider(ABC):
    """Completes prompts at one server."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    @property
    def _peer(self) -> Peer:
        return self._wire.peer

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
        began = time.monotonic()
        try:
            return self._read(await self._wire.post(body, sent=sent), prompt)
        except PromptFiltered as refusal:
            return refusal.completion(latency_s=time.monotonic() - began)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._wire.aclose()

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
