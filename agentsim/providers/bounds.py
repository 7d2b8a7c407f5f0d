"""The most tokens that one call can take: one for each byte sent, plus as many as its settings allow the answer."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from agentsim.providers.base import Prompt, Sampling, n_bytes

__all__ = ["Bound", "bound_of", "output_bound"]

MESSAGE_TOKENS: Final = 64
"""Extra tokens for each message (role, separators) and for the request as a whole."""
SCHEMA_TOKENS: Final = 1000
"""Tokens that a server may add around an answer's schema or around tools, to explain their use to the model."""
LENGTHS: Final = frozenset(
    {
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "maxOutputTokens",
        "max_new_tokens",
        "max_tokens_to_sample",
        "num_predict",
        "n_predict",
    }
)
"""Names that servers use for the most tokens of an answer."""
THOUGHTS: Final = frozenset({"thinking_budget", "thinkingBudget", "reasoning_budget"})
"""Names that servers use for the most tokens of hidden reasoning, which some bill on top of the answer."""
COPIES: Final = frozenset({"n", "best_of", "num_return_sequences", "candidate_count", "candidateCount"})
"""Names that servers use for the number of answers to write; each is billed."""


class Bound(NamedTuple):
    """The most tokens that one call can take, if its server respects the limits that it is sent."""

    n_in: int
    n_out: int | None
    """`None` if nothing bounds the answer."""


def bound_of(prompt: Prompt) -> Bound:
    """Return the most tokens that a call can take: no tokenizer in use makes more tokens than bytes of a text."""
    n_in = n_bytes(prompt.messages) + MESSAGE_TOKENS * (len(prompt.messages) + 1)
    if prompt.answer_schema is not None:
        n_in += len(json.dumps(prompt.answer_schema)) + SCHEMA_TOKENS
    if prompt.sampling.extra:
        n_in += len(json.dumps(prompt.sampling.extra)) + SCHEMA_TOKENS
    return Bound(n_in, output_bound(prompt.sampling))


def output_bound(sampling: Sampling) -> int | None:
    """Return the most output tokens that the settings allow; `None` if they allow any number.

    `extra` counts too, as it overrides the other settings: the largest length in it, plus the largest reasoning budget,
    times the largest number of answers. Only `max_tokens`, or a length at the top level of `extra`, bounds an answer.
    """
    lengths = [] if sampling.max_tokens is None else [sampling.max_tokens]
    is_bounded = bool(lengths) or any(name in LENGTHS for name in sampling.extra)
    n_copies, n_thoughts = 1, 0
    for name, value in _entries(sampling.extra):
        if name in THOUGHTS:  # 0 and -1 forbid thoughts, or leave their number to the server
            n_thoughts = max(n_thoughts, _count(value) or 0)
        if name not in LENGTHS and name not in COPIES:
            continue
        count = _count(value)
        if count is None:
            return None
        if name in LENGTHS:
            lengths.append(count)
        else:
            n_copies = max(n_copies, count)
    return (max(lengths) + n_thoughts) * n_copies if is_bounded else None


def _entries(value: object) -> Iterator[tuple[str, Any]]:
    """Yield the names and values of all mappings in a JSON value, the outermost first."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield name, inner
            yield from _entries(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _entries(inner)


def _count(value: object) -> int | None:
    """Return a number above 0, rounded up; `None` for anything else, such as -1 (no limit for some servers)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        return None
    return math.ceil(value)
