"""Whole lines, each once, of a file that others write."""

from __future__ import annotations

import os
from pathlib import Path

from agentsim.view import tail as module
from agentsim.view.tail import Tail


def _new(tail: Tail) -> list[bytes]:
    tail.look()
    found = []
    while tail.is_behind:
        found += [line.text for line in tail.step()]
    return found


def test_each_line_is_read_once_and_an_unfinished_one_waits(tmp_path: Path) -> None:
    path = tmp_path / "log"
    tail = Tail(path)
    assert _new(tail) == []
    path.write_bytes(b"one\ntwo\nthr")
    assert _new(tail) == [b"one\n", b"two\n"] and _new(tail) == []
    with path.open("ab") as file:
        file.write(b"ee\nfour\n")
    assert _new(tail) == [b"three\n", b"four\n"] and _new(tail) == []
    assert tail.line_at(4) == b"two\n"


def test_lines_longer_than_a_step_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    lines = [b"x" * n + b"\n" for n in (module.STEP_BYTES * 2 + 7, 3, module.STEP_BYTES)]
    path.write_bytes(b"".join(lines))
    assert _new(Tail(path)) == lines


def test_another_file_in_its_place_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\n")
    tail = Tail(path)
    assert len(_new(tail)) == 2
    other = tmp_path / "other"
    other.write_bytes(b"a longer line\nthan before\n")
    os.replace(other, path)
    assert _new(tail) == [b"a longer line\n", b"than before\n"] and tail.n_begun == 2
    path.write_bytes(b"short\n")
    assert _new(tail) == [b"short\n"] and tail.n_begun == 3


def test_a_pipe_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    assert _new(Tail(tmp_path / "log")) == []
