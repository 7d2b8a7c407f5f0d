"""Recognises a content filter's refusal of a prompt, in each provider's words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from agentsim.errors import FatalProviderError
from agentsim.providers.base import Completion

__all__ = ["PromptFiltered", "is_filter", "words_in"]

FILTER_WORDS: Final = frozenset(
    {
        "contentfilter",  # OpenAI, Azure, Moonshot
        "contentpolicyviolation",  # OpenAI
        "responsibleaipolicyviolation",  # Azure
        "contentfiltered",  # Bedrock
        "guardrailintervened",  # Bedrock
        "datainspectionfailed",  # DashScope
        *("sensitivecontentdetected", "inputtextsensitivecontentdetected"),  # Volcengine
        "policyviolation",
        "moderationblocked",  # OpenAI
        *("safety", "prohibitedcontent", "blocklist", "spii", "imagesafety"),  # Gemini's reasons to block
    }
)
"""Codes, types and reasons, in lower case and without separators."""
FILTER_PHRASES: Final = re.compile(
    r"blocked by (?:the |our )?content filter"  # Anthropic
    r"|content management policy"  # Azure
    r"|(?:prompt|input) was (?:flagged|rejected|blocked)"  # OpenAI, OpenRouter
    r"|content exists risk"  # DeepSeek
    r"|request was rejected because it was considered high risk"  # Moonshot
    r"|may contain inappropriate content"  # DashScope
    r"|content violates (?:the |our )?(?:usage|safety|content)"  # xAI
    r"|sensitive (?:information|words?|content)\b|\bnew_sensitive\b"  # Zhipu, Baidu, MiniMax
    r"|content of messages is not safe"  # Baidu
    r"|guardrail intervened"  # Bedrock
    r"|(?:rejected|blocked|refused)\b.{0,20}\b(?:by|due to|as a result of)"  # Gemini, OpenAI's images
    r" (?:the |our )?(?:content )?(?:safety|moderation)",
    re.IGNORECASE,
)
"""Sentences of providers whose filter has no code of its own."""
WORD_FIELDS: Final = frozenset({"code", "type", "status", "reason"})
ACCOUNT_STATUSES: Final = (401, 402, 407, 429)
"""Errors with these statuses concern the account, whatever their text says."""
MAX_DEPTH: Final = 8


class PromptFiltered(FatalProviderError):
    """The provider's content filter refused the prompt; adapters return it as a filtered answer (`completion`)."""

    def completion(self, *, latency_s: float) -> Completion:
        """Return the filtered answer: no text, and unknown usage, as it may be billed."""
        return Completion(text="", model=None, finish_reason="filtered", finish_detail=str(self), latency_s=latency_s)


def is_filter(error: object, *, status: int | None) -> bool:
    """Whether an error object, or a body without an answer, says that a content filter refused the prompt."""
    if status in ACCOUNT_STATUSES:
        return False
    if isinstance(error, str):
        return FILTER_PHRASES.search(error) is not None
    return any(
        re.sub(r"[^a-z]", "", word.lower()) in FILTER_WORDS if is_code else FILTER_PHRASES.search(word)
        for word, is_code in words_in(error)
    )


def words_in(value: object, depth: int = 0) -> Iterator[tuple[str, bool]]:
    """Yield each text in an error object, and whether it is a code; other errors may be nested, even as JSON."""
    if depth > MAX_DEPTH:
        return
    if isinstance(value, list):
        for part in value:
            yield from words_in(part, depth + 1)
    if not isinstance(value, dict):
        return
    for name, inner in value.items():
        if inner and name.lower() in ("block_reason", "blockreason"):  # Gemini's reason does not matter
            yield "content_filter", True
        elif isinstance(inner, str):
            yield inner, name.lower() in WORD_FIELDS
            if name == "raw":
                yield from words_in(_decoded(inner), depth + 1)
        elif name == "filtered" and inner is True:  # Azure's verdict on a category
            yield "content_filter", True
        else:
            yield from words_in(inner, depth + 1)


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
