"""What was only thought is left out of a reply, however its model marks it, and nothing else is."""

from __future__ import annotations

import pytest

from agentsim.prompts.thoughts import without_thoughts


@pytest.mark.parametrize(
    "text",
    [
        "<think>a</think>b",
        "<THINK>a</Think>b",
        "<think>a</thinking>b",
        "<think>\n<think>\na</think>b",
        "<think>a <think>a</think> a</think>b",
        "a</think>b",
        "<think>a</think>a</think>b",
        "b<think>a",
        "<thinking>a</thinking>b",
        "<thought>a</thought><reasoning>a</reasoning>b",
        '<details type="reasoning">a</details>b',
        "<seed:think>a</seed:think>b",
        "<antThinking>a</antThinking>b",
        "<inner_monologue>a</inner_monologue>b",
        "<inner-monologue>a</inner-monologue>b",
        "<thought_process>a</thought_process>b",
        "<think_fast>a</think_fast>b",
        "\\<think\\>a\\</think\\>b",
        "&lt;think&gt;a&lt;/think&gt;b",
        "<|thinking|>a<|/thinking|>b",
        "[THINK]a[/THINK]b",
        "◁think▷a◁/think▷b",
        "<|begin_of_thought|>a<|end_of_thought|>b",
        "<|START_THINKING|>a<|END_THINKING|>b",
        "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b<|return|>",
        "<|channel|>final<|message|>b<|return|>",
        "analysisAaaassistantfinalb",
        "<|channel>thought\na<channel|>b",
        "<unused94>thought\na<unused95>b",
        "Thinking...\na\n...done thinking.\n\nb",
        "```thinking\na\n\na\n```\nb",
    ],
)
def test_a_thought_is_left_out(text: str) -> None:
    assert without_thoughts(text).strip() == "b"


@pytest.mark.parametrize(
    "text",
    [
        "<think>a",
        "<think>a</thin",
        "<|channel|>analysis<|message|>a",
        "analysisAa",
        "```thinking\na",
        "<think><reasoning>a",
    ],
)
def test_a_reply_that_is_only_a_thought_says_nothing(text: str) -> None:
    assert without_thoughts(text).strip() == ""


@pytest.mark.parametrize(
    "text",
    [
        "I [think] so",
        "I think <b>so</b>",
        "the analysis of 1 < 2",
        "```json\n{}\n```",
        "[reasoning] b",
        "<answer>b</answer>",
    ],
)
def test_what_is_no_thought_stays(text: str) -> None:
    assert without_thoughts(text) == text
