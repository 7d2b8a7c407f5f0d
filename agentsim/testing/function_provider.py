"""A function as a provider: for a test, a notebook, or a model that agentsim does not know."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

from agentsim.providers.base import PLAIN, Call, Completion, Prompt

__all__ = ["FunctionProvider"]

Answered = str | Completion


class FunctionProvider:
    """Completes each prompt by calling a function with it.

    from agentsim.testing import FunctionProvider

    provider = FunctionProvider(lambda prompt: "Answer: 5")
    agentsim.run("scenarios/quickstart.yaml", provider=provider)
    """

    def __init__(self, function: Callable[[Prompt], Answered | Awaitable[Answered]]) -> None:
        """`function` returns the text of a whole reply, or a `Completion`; it may be asynchronous.

        Its exceptions reach the caller: an error of `agentsim.errors` counts as a provider's, any other as a bug.
        """
        self._function = function
        self.prompts: list[Prompt] = []
        """The prompts received, in order."""

    async def complete(self, prompt: Prompt, call: Call = PLAIN) -> Completion:
        """Return the function's completion of `prompt`."""
        self.prompts.append(prompt)
        clock = asyncio.get_running_loop().time
        began = clock()
        answer = self._function(prompt)
        if inspect.isawaitable(answer):
            answer = await answer
        if isinstance(answer, Completion):
            return answer
        return Completion(text=answer, model=prompt.model, finish_reason="stop", latency_s=clock() - began)

    async def aclose(self) -> None:
        """Do nothing: there is nothing to release."""
