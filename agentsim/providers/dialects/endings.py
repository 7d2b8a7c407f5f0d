"""Why a model stopped, from the servers' words for it: only a word listed as a clean stop means a whole reply."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from agentsim.providers.base import FinishReason
from agentsim.providers.dialects.parts import Said

__all__ = ["ENDINGS", "Ending", "read_ending", "read_finish"]

Ending = FinishReason | Literal["failed", "tool"]
"""A `FinishReason`; `failed`: the server broke off, so the call is repeated; `tool`: the model used a tool."""

ENDINGS: Final[Mapping[str, Ending]] = {
    **dict.fromkeys(["stop", "end_turn", "stop_sequence", "eos", "eos_token", "complete"], "stop"),
    **dict.fromkeys(
        [
            *("length", "max_tokens", "max_output_tokens", "max_completion_tokens", "max_length"),
            *(
                "limit",
                "error_limit",
                "token_limit",
                "model_length",
                "model_context_window_exceeded",
                "context_length_exceeded",
            ),
        ],
        "length",
    ),
    **dict.fromkeys(
        [
            *("content_filter", "content_filtered", "content_policy_violation", "guardrail_intervened", "sensitive"),
            *("safety", "image_safety", "recitation", "blocklist", "prohibited_content", "spii", "error_toxic"),
            *("image_prohibited_content", "model_armor", "moderation"),
        ],
        "filtered",
    ),
    "refusal": "refused",
    **dict.fromkeys(
        [
            *("error", "network_error", "insufficient_system_resource", "abort", "aborted", "cancelled", "canceled"),
            *("load", "unload"),
        ],
        "failed",
    ),
    **dict.fromkeys(["tool_calls", "tool_use", "tool_call", "function_call"], "tool"),
}
"""Every known word in lower case; `docs/providers.md` says which server uses it."""


def read_finish(
    reason: str | None, said: Said, *, used_tool: bool = False
) -> tuple[FinishReason | Literal["failed"], str | None]:
    """Return why the model stopped, and the server's word for it or the text of a refusal.

    A clean stop without text, or with a part that is neither text nor reasoning, is not a whole reply. A tool call is
    one only if the model was told to use that tool and did (`used_tool`).
    """
    ending = read_ending(reason)
    if said.refusal:
        return "refused", said.refusal
    if ending == "tool":
        ending = "stop" if used_tool else "other"
    if ending == "stop" and said.text is None:
        return "other", f"{reason or 'no reason'}, but without content"
    if ending == "stop" and said.strange is not None:
        return "other", f"{reason or 'no reason'}, but with a part of type {said.strange[:100]!r}"
    return ending, reason


def read_ending(reason: str | None) -> Ending:
    """Return what a server's word means, written `max_tokens`, `max-tokens` or `maxTokens`; an unknown one is `other`.

    No word at all is a clean stop, as some servers give none. A word may be followed by a reason, as in
    `content_filter: SAFETY`; a clean stop is never.
    """
    word = re.sub(r"(?<=[a-z])(?=[A-Z])|-", "_", (reason or "").strip()).lower().removeprefix("finish_reason_")
    if not word:
        return "stop"
    if word in ENDINGS:
        return ENDINGS[word]
    ending = ENDINGS.get(word.partition(":")[0].strip(), "other")
    return "other" if ending == "stop" else ending
