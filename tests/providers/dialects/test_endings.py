"""A server's word for an ending means the same however it is spelt, and an unknown one is no clean stop."""

from __future__ import annotations

import pytest

from agentsim.providers.dialects.endings import read_ending


@pytest.mark.parametrize(
    ("word", "ending"),
    [
        ("endTurn", "stop"),
        ("FINISH_REASON_STOP", "stop"),
        ("max-tokens", "length"),
        ("contentFilter", "filtered"),
        ("content-filter", "filtered"),
        ("FINISH_REASON_SAFETY", "filtered"),
        ("FINISH_REASON_UNSPECIFIED", "other"),
        ("stopped", "other"),
        ("stop: overloaded", "other"),
    ],
)
def test_the_spelling_of_a_word_does_not_matter(word: str, ending: str) -> None:
    assert read_ending(word) == ending
