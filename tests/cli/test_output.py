"""What a command prints never ends it: full disks, closed pipes, odd encodings, no home directory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import pytest

from agentsim.errors import AgentsimError
from agentsim.providers.dialects.weights import cache_folder
from agentsim.scenario.user_settings import settings_file

STUDY = Path(__file__).parents[2] / "results" / "example-scripted"


def command(
    *arguments: str, stdout: int | IO[bytes] = subprocess.PIPE, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "agentsim", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, **(environ or {})},
        check=False,
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_device_is_said_in_one_sentence() -> None:
    with open("/dev/full", "wb") as full:
        ended = command("schema", stdout=full)
    assert ended.returncode == 1
    assert ended.stderr.decode().count("\n") == 1 and "No space left" in ended.stderr.decode()


def test_a_closed_pipe_is_said_in_one_sentence() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        ended = command("schema", stdout=pipe)
    assert ended.returncode == 1
    assert ended.stderr.decode().count("\n") == 1 and "the reader of the output closed it" in ended.stderr.decode()


def test_what_cannot_be_encoded_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("name: x\ndescription: größer — 囚人\nplayers: {model: scripted/all-give}\n", encoding="utf-8")
    for environ in (
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii:strict"},
    ):
        ended = command("check", str(file), environ=environ)
        assert (ended.returncode, ended.stderr) == (0, b"")
        assert b"description: gr??er ? ??" in ended.stdout


def test_without_a_home_directory_there_are_no_settings_and_a_cache_must_be_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    assert settings_file({}) is None
    with pytest.raises(AgentsimError, match="AGENTSIM_CACHE"):
        cache_folder({})
