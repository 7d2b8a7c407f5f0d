"""Reading YAML: the core schema of YAML 1.2, places of values, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsim.errors import ScenarioError
from agentsim.scenario.yaml_source import (
    MAX_BYTES,
    MAX_DEPTH,
    Mark,
    dump,
    node_from,
    read_file,
    read_text,
    read_value,
)


def read(text: str) -> Any:
    return read_text(text, source="f.yaml").plain()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("1e-3", 0.001),
        ("1.", 1.0),
        (".5", 0.5),
        ("-12", -12),
        ("0777", 777),
        ("0o17", 15),
        ("0x1F", 31),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2024-08-06", "2024-08-06"),
        ("0-4", "0-4"),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("'12'", "12"),
        ('"null"', "null"),
        ("=", "="),
        ("[1, a, {b: c}]", [1, "a", {"b": "c"}]),
        ("|\n  two\n  lines", "two\nlines"),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    found = read(f"key: {text}")["key"]
    assert found == value
    assert type(found) is type(value)


def test_nan_is_read_so_that_a_range_check_can_refuse_it() -> None:
    assert math.isnan(read("key: .nan")["key"])


def test_a_value_and_its_key_know_their_places() -> None:
    tree = read_text("# comment\ngame:\n  rounds: [1, 22]\n", source="f.yaml")
    second = tree.find(("game", "rounds", 1))
    assert second is not None
    assert second.mark == Mark("f.yaml", 3, 15, "  rounds: [1, 22]")
    rounds = tree.find(("game", "rounds"))
    assert rounds is not None
    assert rounds.key == Mark("f.yaml", 3, 3, "  rounds: [1, 22]")


def test_an_error_shows_the_line_with_a_caret_under_the_place() -> None:
    error = read_text("a:\n\n  b: wrong\n", source="f.yaml").error(("a", "b"), "is wrong")
    assert str(error) == "f.yaml:3:6: a.b: is wrong\n      b: wrong\n         ^"


def test_a_missing_key_is_reported_at_the_mapping_that_lacks_it() -> None:
    error = read_text("a:\n  b: 1\n", source="f.yaml").error(("a", "c"), "is missing")
    assert str(error).startswith("f.yaml:1:1: a.c: is missing")


def test_the_excerpt_of_a_long_line_stays_short_and_holds_the_place() -> None:
    tree = read_text("{" + ", ".join(f"k{i}: 1" for i in range(1000)) + "}", source="f.yaml")
    lines = str(tree.error(("k500",), "is wrong")).splitlines()
    assert len(lines[1]) <= 104
    assert lines[1][lines[2].index("^")] == "1"


def test_values_of_options_are_read_as_yaml_and_placed_at_the_option() -> None:
    assert read_value("{a: [1, no]}", source="--set x").plain() == {"a": [1, "no"]}
    assert read_value("", source="--set x").plain() is None
    with pytest.raises(ScenarioError, match=r"^--set x: is not valid YAML"):
        read_value("[1", source="--set x")


@pytest.mark.parametrize(
    ("text", "place", "fragment"),
    [
        ("a: 1\na: 2", "f.yaml:2:1: a: ", "already set in line 1"),
        ("a: {b: 1, b: 2}", "f.yaml:1:11: a.b: ", "already set"),
        ("a: !!str 1", "f.yaml:1:4: a: ", "tag 'tag:yaml.org,2002:str'"),
        ("a: !!python/object/apply:os.system [ls]", "f.yaml:1:4: a: ", "tag"),
        ("a: ! 1", "f.yaml:1:4: a: ", "tag '!'"),
        ("a: &x 1", "f.yaml:1:4: a: ", "anchor &x"),
        ("a: &x 1\nb: *x", "f.yaml:1:4: a: ", "extends"),
        ("a: *x", "f.yaml:1:4: a: ", "alias *x"),
        ("<<: {a: 1}", "f.yaml:1:1: ", "extends"),
        ("a: 1\n---\nb: 2", "f.yaml:2:1: ", "second document"),
        ("1: a", "f.yaml:1:1: ", "key 1 is not a string"),
        ("true: a", "f.yaml:1:1: ", "key true is not a string"),
        ("a: {~: 1}", "f.yaml:1:5: a: ", "key null is not a string"),
        ("? [a]\n: 1", "f.yaml:1:3: ", "cannot be a key"),
        ("", "f.yaml: ", "is empty"),
        ("# only a comment\n", "f.yaml: ", "is empty"),
        ("---\n", "f.yaml: ", "is empty"),
        ("- a", "f.yaml:1:1: ", "the top level is a list"),
        ("hello", "f.yaml:1:1: ", "the top level is 'hello'"),
        ("a:\n\tb: 1", "f.yaml:2:1: ", "a tab cannot indent"),
        ("a: [1, 2", "f.yaml:1:9: ", "not valid YAML"),
        ("a: 'open", "f.yaml:1:9: ", "not valid YAML"),
        ("a: 1\n b: 2", "f.yaml:2:3: ", "not valid YAML"),
        ("a: @b", "f.yaml:1:4: ", "not valid YAML"),
        ("a: 1\nb: \x00", "f.yaml:2:4: ", r"'\x00' is not allowed"),
        ("a: \x1b[31m", "f.yaml:1:4: ", r"'\x1b' is not allowed"),
        ('a: "\\UFFFFFFFF"', "f.yaml: ", "not valid YAML"),
        ("a: " + "9" * 101, "f.yaml:1:4: a: ", "a number of 101 characters"),
        ("%YAML 2.0\n---\na: 1", "f.yaml:1:1: ", "not valid YAML"),
    ],
)
def test_what_no_scenario_needs_is_refused_at_its_place(text: str, place: str, fragment: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read(text)
    assert str(caught.value).startswith(place)
    assert fragment in str(caught.value)


def _alias_bomb() -> str:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        _alias_bomb(),
        "a: " + "[" * 100_000,
        "a: " + "{b: " * 100_000,
        "- " * 100_000,
        "? " * 100_000,
        "\n".join(" " * depth + "a:" for depth in range(1000)),
        "".join(f"k{number}: 1\n" for number in range(1_000_000)),
        "x" * (MAX_BYTES + 1),
        "a: " + "1" * 500_000,
    ],
    ids=["alias bomb", "[", "{", "-", "?", "indented", "million keys", "too large", "long number"],
)
@pytest.mark.timeout(200)  # a hang guard: unguarded, these take minutes or all memory
def test_hostile_text_is_refused_soon_and_shortly(text: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read(text)
    assert len(str(caught.value)) < 1000


def test_the_allowed_depth_is_read() -> None:
    assert read("a: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1))
    with pytest.raises(ScenarioError, match="nested deeper than 32"):
        read("a: " + "[" * MAX_DEPTH + "]" * MAX_DEPTH)


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: \xc3\xa4\r\nb: 1\r\n")
    assert read_file(file).plain() == {"a": "ä", "b": 1}


@pytest.mark.parametrize(
    ("data", "fragment"),
    [
        (b"a: 1\nb: \xff\n", "f.yaml:2:4: byte 0xff is not UTF-8"),
        ("a: 1".encode("utf-16"), "f.yaml:1:1: byte 0xff is not UTF-8"),
        (b"#" * (MAX_BYTES + 1), "is larger than 1000000 bytes"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, data: bytes, fragment: str) -> None:
    file = tmp_path / "f.yaml"
    file.write_bytes(data)
    with pytest.raises(ScenarioError) as caught:
        read_file(file)
    assert fragment in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"none\.yaml: cannot be read \(No such file or directory\)"):
        read_file(tmp_path / "none.yaml")
    with pytest.raises(ScenarioError, match="is a folder"):
        read_file(tmp_path)


def test_python_data_that_yaml_cannot_hold_is_refused() -> None:
    with pytest.raises(ScenarioError, match=r"^here: a\.0: set cannot be written as YAML"):
        node_from({"a": [{1}]}, source="here")
    with pytest.raises(ScenarioError, match=r"^here: a: key 1 is not a string"):
        node_from({"a": {1: 2}}, source="here")
    circle: dict[str, object] = {}
    circle["a"] = circle
    with pytest.raises(ScenarioError, match="nested deeper"):
        node_from(circle, source="here")


_TEXT = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(
    ["no", "1e-3", "0o17", "0777", "~", "<<", "=", "1:30", ".inf", "- a", "a: b", "#x", " x ", "9" * 200]
)
_SCALAR = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | _TEXT
_DATA = st.recursive(_SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3))


@given(st.dictionaries(_TEXT, _DATA, min_size=1, max_size=4))
def test_what_is_dumped_reads_back_the_same(data: dict[str, Any]) -> None:
    found = read(dump(data))
    assert found == data
    assert repr(found) == repr(data)  # 1, 1.0 and True are equal, but not the same


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_cleanly(text: str) -> None:
    try:
        assert isinstance(read(text), dict)
    except ScenarioError as error:
        assert str(error).startswith("f.yaml")
