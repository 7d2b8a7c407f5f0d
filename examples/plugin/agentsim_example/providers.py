"""A provider: a function of this package that answers for a model, as `half/any`."""

from __future__ import annotations

from agentsim.plugin import Dialect, Opened, Opening, Prompt, Sampling
from agentsim.testing import FunctionProvider

__all__ = ["HALF"]


def _answer(prompt: Prompt) -> str:
    asked = prompt.messages[-1].content
    return "My strategy will be to give half." if "My strategy will be" in asked else "Answer: 50%"


def _open(opening: Opening) -> Opened:
    return Opened(FunctionProvider(_answer))


def _unsupported(sampling: Sampling) -> list[str]:
    return []  # it samples nothing, so that any setting is as good as another


HALF = Dialect(name="half", open=_open, unsupported=_unsupported, accounts={"half": {}}, serves_here=True)
