"""A server that counts fewer tokens of input than the prompt can have is said, once."""

from __future__ import annotations

from agentsim.providers.base import Completion, Message, Prompt, Usage
from agentsim.providers.cut_prompts import CutPrompts
from agentsim.testing import FunctionProvider


async def looked(*looks: tuple[str, int, int | None]) -> list[str]:
    """Ask with prompts of a model, of so many bytes, of which so many tokens were counted; return what is told."""
    told: list[str] = []
    counts = iter([counted for _, _, counted in looks])

    def answered(prompt: Prompt) -> Completion:
        usage = Usage(input_tokens=next(counts))
        return Completion(text="4", model=None, finish_reason="stop", latency_s=0.1, usage=usage)

    watch = CutPrompts(FunctionProvider(answered), account="mine", tell=told.append)
    for model, size, _ in looks:
        prompt = Prompt(model=model, messages=(Message(role="user", content="x" * size),))
        await watch.complete(prompt)
    return told


async def test_a_prompt_that_was_cut_is_told_once_for_each_model() -> None:
    told = await looked(("a", 20_000, 2048), ("a", 30_000, 2048), ("b", 20_000, 2048))
    assert [text.split()[0] for text in told] == ["mine/a", "mine/b"]
    assert "2,048 tokens" in told[0] and "20,000 bytes" in told[0] and "num_ctx" in told[0]


async def test_what_a_tokenizer_can_make_of_a_prompt_is_not_told() -> None:
    assert await looked(("a", 20_000, 5_000), ("a", 20_000, 2_500), ("a", 300, 7), ("a", 20_000, None)) == []
