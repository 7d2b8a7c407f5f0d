"""Providers that do as they are told: errors one a call, or calls held at a gate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from agentsim.providers.base import Completion, Message, Prompt
from agentsim.testing import FunctionProvider

PROMPT = Prompt(model="m", messages=(Message(role="user", content="How much?"),))
COMPLETION = Completion(text="4", model="m", finish_reason="stop", latency_s=0.1)


class Scripted(FunctionProvider):
    """Raises the errors given, one a call, then answers."""

    def __init__(self, *errors: Exception, during: Callable[[], object] = lambda: None) -> None:
        super().__init__(self.answered)
        self.errors = list(errors)
        self.n_calls = 0
        self.is_closed = False
        self.during = during

    async def answered(self, prompt: Prompt) -> Completion:
        self.n_calls += 1
        self.during()
        if self.errors:
            raise self.errors.pop(0)
        return COMPLETION

    async def aclose(self) -> None:
        self.is_closed = True


class Gated(FunctionProvider):
    """Counts the calls in flight and holds them until the gate opens."""

    def __init__(self) -> None:
        super().__init__(self.answered)
        self.gate = asyncio.Event()
        self.n_in_flight = self.most_in_flight = 0

    async def answered(self, prompt: Prompt) -> Completion:
        self.n_in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.n_in_flight)
        try:
            await self.gate.wait()
        finally:
            self.n_in_flight -= 1
        return COMPLETION
