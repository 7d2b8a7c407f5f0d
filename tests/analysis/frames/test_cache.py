"""Cached frames: the same as the logs', never stale, never damaged, never in the way."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd
import pytest

import agentsim
from agentsim.analysis.frames import cache
from agentsim.analysis.frames import study as frames
from agentsim.analysis.frames.columns import COLUMNS
from agentsim.analysis.frames.logs import RunColumns, read_runs
from agentsim.analysis.frames.study import Study
from agentsim.errors import AgentsimError
from tests.log.sealing import sealed
from tests.orchestrator.test_study import Fake, play


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of three runs, to be copied."""
    folder = play(tmp_path_factory.mktemp("played"), Fake(), seeds=[0, 1, 2]).folder
    for log in folder.glob("*/log.jsonl"):
        aged(log)
    return folder


@pytest.fixture
def folder(played: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of three runs whose frames are kept, whatever its size."""
    monkeypatch.setattr(cache, "MIN_BYTES", 0)
    return Path(shutil.copytree(played, tmp_path / "small"))


@pytest.fixture(scope="module")
def kept(played: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Study]:
    """Such a study with its cache, to be copied, and what was loaded."""
    folder = Path(shutil.copytree(played, tmp_path_factory.mktemp("kept") / "small"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cache, "MIN_BYTES", 0)
        return folder, agentsim.load(folder)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs whose logs were read."""
    found: list[str] = []

    def read(runs: Iterable[Path]) -> Iterator[RunColumns | AgentsimError]:
        runs = list(runs)
        found.extend(run.name for run in runs)
        return read_runs(runs)

    monkeypatch.setattr(frames, "read_runs", read)
    return found


def aged(log: Path, *, by_s: int = 60) -> None:
    """Let the log look as if it had been changed a while ago."""
    state = log.stat()
    os.utime(log, ns=(state.st_atime_ns, state.st_mtime_ns - by_s * 10**9))


def assert_same(one: Study, other: Study) -> None:
    for name in COLUMNS:
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))
    assert dict(one.started) == dict(other.started) and one.notes == other.notes


def test_a_second_load_reads_no_log_and_gives_the_same(folder: Path, reads: list[str]) -> None:
    first = agentsim.load(folder)
    assert len(reads) == 3
    assert_same(agentsim.load(folder), first)
    assert len(reads) == 3
    assert_same(agentsim.load(folder, cache=False), first)
    assert len(reads) == 6


def test_only_what_changed_is_read_again(folder: Path, reads: list[str]) -> None:
    agentsim.load(folder)
    log = folder / "model--seed-1" / "log.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-1]))
    aged(log)
    reads.clear()
    loaded = agentsim.load(folder)
    assert reads == ["model--seed-1"]
    assert list(loaded.runs["status"]) == ["complete", "unfinished", "complete"]
    assert_same(agentsim.load(folder), loaded)
    assert_same(agentsim.load(folder, cache=False), loaded)


def test_a_change_that_keeps_the_size_is_seen_by_its_time(folder: Path) -> None:
    before = agentsim.load(folder)
    log = folder / "model--seed-0" / "log.jsonl"
    data = log.read_bytes()
    sealed(log, data.decode().replace("My strategy will be to give", "My strategy will be to keep"))
    assert len(log.read_bytes()) == len(data)
    assert agentsim.load(folder).replies["text"].str.contains("keep").any()
    assert not before.replies["text"].str.contains("keep").any()


def test_a_log_changed_just_now_is_not_kept(folder: Path, reads: list[str]) -> None:
    os.utime(folder / "model--seed-2" / "log.jsonl")
    agentsim.load(folder)
    reads.clear()
    agentsim.load(folder)
    assert reads == ["model--seed-2"]


def test_runs_that_are_gone_are_gone(folder: Path) -> None:
    agentsim.load(folder)
    (folder / "study.json").unlink()
    (folder / "model--seed-0" / "log.jsonl").unlink()
    assert list(agentsim.load(folder).runs["run"]) == ["model--seed-1", "model--seed-2"]
    assert set(agentsim.load(folder).encounters["run"]) == {"model--seed-1", "model--seed-2"}


FLIPPED = [(name, "flip") for name in [*COLUMNS, "frames.json"]]
SPOILED = [(name, damage) for name in ("runs", "encounters", "frames.json") for damage in ("cut", "empty", "gone")]


@pytest.mark.parametrize(("name", "damage"), [*FLIPPED, *SPOILED])
def test_a_damaged_cache_is_as_none(
    kept: tuple[Path, Study],
    tmp_path: Path,
    reads: list[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    damage: str,
) -> None:
    monkeypatch.setattr(cache, "MIN_BYTES", 0)
    whole, first = kept
    folder = Path(shutil.copytree(whole, tmp_path / "small"))
    [path] = [path for path in (folder / ".cache").iterdir() if path.name.startswith(name.partition(".")[0])]
    data = bytearray(path.read_bytes())
    # In the manifest: a digit of the size of a log.
    place = data.index(b" bytes") - 1 if name == "frames.json" else len(data) // 2
    data[place] ^= 1
    changed = {"flip": bytes(data), "cut": bytes(data[: len(data) // 2]), "empty": b""}
    path.unlink() if damage == "gone" else path.write_bytes(changed[damage])
    reads.clear()
    assert_same(agentsim.load(folder), first)
    assert reads
    reads.clear()
    assert_same(agentsim.load(folder), first)
    assert not reads


def test_a_cache_of_another_version_is_as_none(folder: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    agentsim.load(folder)
    monkeypatch.setattr(cache, "VERSION", cache.VERSION + 1)
    reads.clear()
    agentsim.load(folder)
    assert len(reads) == 3
    assert len(list((folder / ".cache").glob("*.parquet"))) == len(COLUMNS)


def test_a_manifest_names_no_files_of_other_folders(folder: Path, reads: list[str]) -> None:
    agentsim.load(folder)
    path = folder / ".cache" / "frames.json"
    manifest = json.loads(path.read_text())
    manifest["files"]["runs"]["name"] = f"../.cache/{manifest['files']['runs']['name']}"
    path.write_text(json.dumps(manifest))
    reads.clear()
    agentsim.load(folder)
    assert len(reads) == 3


def test_where_nothing_can_be_written_there_is_no_cache(folder: Path) -> None:
    (folder / ".cache").write_text("a file is in the way")
    assert_same(agentsim.load(folder), agentsim.load(folder))
    assert (folder / ".cache").read_text() == "a file is in the way"


def test_small_studies_keep_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    agentsim.load(folder)
    assert not (folder / ".cache").exists()


def test_unreadable_runs_are_looked_at_each_time(folder: Path, reads: list[str]) -> None:
    log = folder / "model--seed-1" / "log.jsonl"
    log.write_bytes(b"{}\n" + log.read_bytes())
    aged(log)
    first = agentsim.load(folder)
    reads.clear()
    assert_same(agentsim.load(folder), first)
    assert reads == ["model--seed-1"] and list(first.runs["status"]) == ["complete", "unreadable", "complete"]
