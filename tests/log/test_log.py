"""What is in a log comes out of it again, whatever the text and wherever a crash cut it."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentsim
from agentsim.core.facts import Missed
from agentsim.errors import LogError, SchemaError
from agentsim.log.reading import read_log
from agentsim.log.records import Record, Reply, RunStarted
from agentsim.log.writing import RunLog
from agentsim.prompts.sets import READER
from agentsim.providers.base import Completion, Message, Prompt, Usage
from tests.orchestrator.test_study import Fake, play, scenario

STARTED = RunStarted(
    study="s",
    run="r",
    seed=0,
    condition={"agents": 4},
    digest="d",
    settings={},
    prompts_digest="p",
    reader=READER,
    accounts={},
    versions={},
    time="2026-01-01T00:00:00.000+00:00",
)


def reply(text: str, *, question: str = "How much?") -> Reply:
    prompt = Prompt(model="m", messages=(Message(role="user", content=question),))
    completion = Completion(text=text, model="m", finish_reason="stop", usage=Usage(output_tokens=3), latency_s=0.25)
    return Reply(key="k", attempt=1, prompt=prompt, completion=completion, time="2026-01-01T00:00:01.000+00:00")


def written(folder: Path, *records: Record) -> bytes:
    with RunLog(folder) as log:
        for record in records:
            log.append(record, sync=True)
    return log.path.read_bytes()


HOSTILE = [
    "",
    "two\nlines\r\nand\rthree",
    "\u2028 \u2029 \x85 \x0b \x0c \x1c",
    "\x00\x1b[2J\x7f",
    '"}\n{"type":"run_finished"',
    "\U0001f600 é 漢 \u202e",
    "\ud83d alone",
    "x" * 1_000_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_any_text_comes_back_as_it_was_logged_on_one_line(tmp_path: Path, text: str) -> None:
    record = reply(text)
    data = written(tmp_path, STARTED, record)
    assert read_log(tmp_path).records == [STARTED, record]
    assert len(data.decode().splitlines()) == 2  # for readers that split at more than \n, too


@given(text=st.text(), question=st.text(st.characters(codec="utf-8")))
def test_every_reply_survives_writing_and_reading(
    tmp_path_factory: pytest.TempPathFactory, text: str, question: str
) -> None:
    folder = tmp_path_factory.mktemp("log")
    record = reply(text, question=question)
    written(folder, record)
    assert read_log(folder).records == [record]


def test_ten_thousand_odd_texts_come_back_as_they_were_logged(tmp_path: Path) -> None:
    rng = Random(1)
    odd = '\u2028\u2029\x85\x00\U0001f600\ud800\udfff\u202e"\\\n\r\x1b A'
    texts = [
        "".join(rng.choice(odd) if rng.random() < 0.6 else chr(rng.randrange(0x110000)) for _ in range(n % 30))
        for n in range(10_000)
    ]
    records: list[Record] = [STARTED, *map(reply, texts)]
    with RunLog(tmp_path) as log:
        log.append(*records, sync=True)
    assert read_log(tmp_path, is_judged=False).records == records
    assert len(log.path.read_bytes().decode().splitlines()) == len(records)


def test_a_log_cut_at_any_byte_keeps_what_was_whole_and_goes_on(tmp_path: Path) -> None:
    records: list[Record] = [STARTED, reply("first"), reply("second\u2028é")]
    data = written(tmp_path / "whole", *records)
    ends = [i + 1 for i, byte in enumerate(data) if byte == ord("\n")]
    for cut in range(ends[0], len(data) + 1):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / "log.jsonl").write_bytes(data[:cut])
        n_whole = sum(end <= cut for end in ends)
        with RunLog(folder) as log:
            assert log.records == records[:n_whole]
            assert log.n_torn_bytes == cut - ends[n_whole - 1]
            log.append(*records[n_whole:], sync=True)
        assert (folder / "log.jsonl").read_bytes() == data


def test_reading_a_torn_log_leaves_it_as_it_is(tmp_path: Path) -> None:
    data = written(tmp_path, STARTED) + b'{"type":"reply","ke'
    (tmp_path / "log.jsonl").write_bytes(data)
    assert read_log(tmp_path).n_torn_bytes == 19
    assert (tmp_path / "log.jsonl").read_bytes() == data


@pytest.mark.parametrize("line", [b"\x00\x00\x00\n", b"{}\n", b'{"type":"reply","key":1}\n', b"[1]\n", b"\n"])
def test_damage_in_the_middle_is_named_and_nothing_is_cut(tmp_path: Path, line: bytes) -> None:
    data = written(tmp_path, STARTED, reply("a"), reply("b"))
    first, second, third = data.splitlines(keepends=True)
    (tmp_path / "log.jsonl").write_bytes(first + line + second + third)
    with pytest.raises(LogError, match=r"log\.jsonl:2: not a log record"):
        RunLog(tmp_path)
    assert (tmp_path / "log.jsonl").read_bytes() == first + line + second + third


def test_a_log_of_another_format_is_refused_with_both_versions(tmp_path: Path) -> None:
    written(tmp_path, STARTED.model_copy(update={"schema_version": 99}))
    with pytest.raises(SchemaError, match="written in log format 99, this agentsim reads 1"):
        read_log(tmp_path)


def test_unknown_fields_are_refused_not_dropped(tmp_path: Path) -> None:
    written(tmp_path, STARTED)
    missed = Missed(
        key="g1/game1/r01/a",
        generation=1,
        game=1,
        round=1,
        donor="a",
        recipient="b",
        donor_before=10,
        donor_after=10,
        recipient_before=10,
        recipient_after=10,
        problem="unreadable",
        attempts=3,
    )
    data = missed.model_dump_json().replace('"attempts":3', '"attempts":3,"mood":"bad"')
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write(data + "\n")
    with pytest.raises(LogError, match="mood"):
        read_log(tmp_path)


def spoiled(lines: list[str], number: int, how: str) -> list[str]:
    if how == "doubled":
        return [*lines[: number + 1], lines[number], *lines[number + 1 :]]
    if how == "moved":
        others = [*lines[:number], *lines[number + 1 :]]
        return [*others, lines[number]] if number < len(lines) - 1 else [lines[number], *others]
    edited = re.sub(r"(\d)(?=\D*$)", lambda met: str((int(met[1]) + 1) % 10), lines[number])
    return [*lines[:number], edited, *lines[number + 1 :]]


@pytest.mark.parametrize("how", ["doubled", "moved", "edited"])
def test_a_finished_log_with_any_line_doubled_moved_or_edited_is_named_and_left_out(tmp_path: Path, how: str) -> None:
    folder = play(tmp_path, Fake(), generations=1, game={"kind": "donor", "rounds": 2, "games": 1}).folder
    [path] = folder.glob("*/log.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    for number in range(len(lines)):
        path.write_text("".join(spoiled(lines, number, how)))
        [state] = agentsim.replay(folder)
        assert not state.is_exact, (number, lines[number])
        loaded = agentsim.load(folder, cache=False)
        assert list(loaded.runs["status"]) == ["unreadable"] and loaded.encounters.empty, (number, lines[number])
    path.write_text("".join(lines) * 2)
    assert not agentsim.replay(folder)[0].is_exact and agentsim.load(folder).encounters.empty
    path.write_text("".join(lines))
    assert agentsim.replay(folder)[0].is_exact and not agentsim.load(folder).encounters.empty


def test_an_edited_log_is_neither_gone_on_with_nor_forked(tmp_path: Path) -> None:
    folder = play(tmp_path, Fake()).folder
    [path] = folder.glob("*/log.jsonl")
    text = path.read_text()
    path.write_text(text.replace('"latency_s":', '"latency_s":1', 1))
    again = play(tmp_path, Fake())
    assert not again.is_complete and "was edited" in str(again.runs[0].reason)
    with pytest.raises(LogError, match="was edited"):
        agentsim.run(scenario(), results=tmp_path, provider=Fake(), fork=folder)


@pytest.mark.parametrize("how", ["doubled", "moved", "edited"])
def test_an_unfinished_log_with_any_line_up_to_its_last_reply_spoiled_is_left_out(tmp_path: Path, how: str) -> None:
    game: dict[str, object] = {"generations": 1, "game": {"kind": "donor", "rounds": 2, "games": 1}}
    folder = play(tmp_path, Fake(fail_at=7), **game).folder
    [path] = folder.glob("*/log.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if '"type":"reply"' in line)
    assert list(agentsim.load(folder, cache=False).runs["status"]) == ["unfinished"]
    for number in range(last + 1 if how != "moved" else last):
        path.write_text("".join(spoiled(lines, number, how)))
        assert not agentsim.replay(folder)[0].is_exact, (number, lines[number])
        loaded = agentsim.load(folder, cache=False)
        assert list(loaded.runs["status"]) == ["unreadable"] and loaded.encounters.empty, (number, lines[number])
    path.write_text("".join(lines))
    assert play(tmp_path, Fake(), **game).is_complete
