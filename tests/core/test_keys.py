"""A key is taken apart into what it was made of, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsim.core.keys import ChildKey, DecisionKey, Key, NoteKey, ProbeKey, ScoreKey, StrategyKey, parse

COUNT = st.integers(min_value=1, max_value=10**9 - 1)
NAME = st.from_regex(r"[1-9][0-9]{0,3}_[1-9][0-9]{0,3}", fullmatch=True)
WORD = st.text(min_size=1, max_size=20).filter(lambda text: "/" not in text)
STRATEGIES = st.builds(StrategyKey, COUNT, NAME)
DECISIONS = st.builds(DecisionKey, COUNT, COUNT, COUNT, NAME)
OF_SOCIETY = st.one_of(STRATEGIES, DECISIONS, st.builds(NoteKey, DECISIONS))
KEYS = st.one_of(
    OF_SOCIETY,
    st.builds(ProbeKey, WORD, WORD, COUNT),
    st.builds(ChildKey, COUNT),
    st.builds(ScoreKey, WORD, st.integers(min_value=0, max_value=10**9 - 1), st.none() | OF_SOCIETY),
)


@given(KEYS)
def test_a_key_that_is_written_and_parsed_is_the_same(key: Key) -> None:
    assert parse(str(key)) == key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("g3/strategy/3_1", StrategyKey(3, "3_1")),
        ("g3/game1/r04/2_4", DecisionKey(3, 1, 4, "2_4")),
        ("g12/game2/r110/2_4/note", NoteKey(DecisionKey(12, 2, 110, "2_4"))),
        ("probe/1_3/r50-p0-u10/07", ProbeKey("1_3", "r50-p0-u10", 7)),
        ("child/01", ChildKey(1)),
        ("score/1_3/s0", ScoreKey("1_3", 0)),
        ("score/child-01/s2/g1/game1/r03/1_1", ScoreKey("child-01", 2, DecisionKey(1, 1, 3, "1_1"))),
    ],
)
def test_keys_have_the_form_that_logs_hold(text: str, key: Key) -> None:
    assert parse(text) == key and str(key) == text


@pytest.mark.parametrize(
    "text",
    ["", "g0/strategy/1_1", "g1", "g1/game1/r01", "g1/game1/r01/1_1/", "g1/strategy/1_1/note", "score/1_3/s0/g1", "k"],
)
def test_what_is_no_key_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is no key of a question"):
        parse(text)
