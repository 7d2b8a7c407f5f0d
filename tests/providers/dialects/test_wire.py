"""Reading of headers and scrubbing of keys."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsim.providers.dialects.peer import Peer, retry_after_s
from agentsim.providers.dialects.wire import read_count
from agentsim.providers.secret import scrub

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 2.5 "}, 2.5),
        ({"retry-after": "1000000000"}, 1e9),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 -0000"}, 30),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:10 GMT"}, 0),
        *[
            ({"retry-after": value}, None)
            for value in ("", "-5", "NaN", "inf", "1e400", "9" * 400, "1_0", "٣", "soon", "7, 8", "Tue, 99 Nov 2023")
        ],
    ],
)
def test_retry_after_is_bounded(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, now=NOW) == seconds


@given(st.text(max_size=60))
def test_any_retry_after_is_none_or_finite(value: str) -> None:
    seconds = retry_after_s({"retry-after": value})
    assert seconds is None or (math.isfinite(seconds) and seconds >= 0)


@given(
    key=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60),
    before=st.text(max_size=30),
    after=st.text(max_size=30),
    data=st.data(),
)
def test_no_long_part_of_a_key_survives(key: str, before: str, after: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(key) - 8))
    end = data.draw(st.integers(start + 8, len(key)))
    clean = scrub(before + key[start:end] + after, key)
    assert not [key[i : i + 8] for i in range(len(key) - 7) if key[i : i + 8] in clean]


def test_text_without_the_key_stays_as_it_is() -> None:
    assert scrub("Incorrect API key provided", "sk-sentinel") == "Incorrect API key provided"
    assert scrub("anything", None) == "anything"
    assert scrub("my hunter2!", "hunter2") == "my ***!"


@given(st.text(max_size=1000) | st.binary(max_size=1000))
def test_quotes_are_short_and_on_one_line(text: str | bytes) -> None:
    quoted = Peer(name="x", base_url="", secret=None).quote(text)
    assert len(quoted) <= 302 and "\n" not in quoted and quoted[0] == quoted[-1]


@pytest.mark.parametrize("value", [None, True, -1, 1.0, "7", [], math.nan])
def test_only_counts_are_counts(value: object) -> None:
    assert read_count(value) is None
    assert read_count(7) == 7


def test_pairs_of_surrogates_from_json_are_not_touched() -> None:
    peer = Peer(name="x", base_url="", secret=None)
    assert peer.text("🙂 \ud83d") == "🙂 \ufffd"
