"""`--log-file`: what happened, one ASCII line each, without keys and without a model's control characters."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import agentsim
from agentsim.cli.log_file import LogFile
from agentsim.errors import AgentsimError, RateLimited
from agentsim.orchestrator.observer import Observer
from tests.orchestrator.test_study import Fake, scenario

KEY = "sk-sentinel-4f9a1c7e2b8d6053"


class Watch(Observer):
    def __init__(self) -> None:
        self.retries: list[str] = []

    def retry(self, message: str, wait_s: float) -> None:
        self.retries.append(message)


def test_what_happens_is_written_and_passed_on_with_keys_hidden_and_text_escaped(tmp_path: Path) -> None:
    path, watch = tmp_path / "happened.log", Watch()
    nonsense = f"\x1b[31mno\r\n2026-01-01 INFO forged {KEY} \u202eend"
    with LogFile(path, watch, environ={"MY_API_KEY": KEY, "HOME": "/root"}) as log:
        on_invalid = {"attempts": 1, "then": "pass", "stop_after": 9}
        agentsim.run(
            scenario(on_invalid=on_invalid), results=tmp_path, provider=Fake(text=lambda _: nonsense), observer=log
        )
        log.retry(f"the server says {KEY}", 2.0)
        log.width("fake", 3, 8)
        log.note("a note")
        log.interrupted(is_at_once=False)
    lines = path.read_bytes().decode("ascii").splitlines()
    assert all(line[:2] == "20" and line.split()[1] in ("INFO", "WARNING") for line in lines)
    text = "\n".join(lines)
    assert KEY not in text and "\x1b" not in text
    assert (
        "is missing after 1 attempts, " in text
        and "the last reply: \\u001b[31mno\\r\\n2026-01-01 INFO forged *** \\u202eend" in text
    )
    for said in (
        "begins or continues, 56 questions",
        "again in 2.0 s: the server says ***",
        "fake: 3 of 8 calls",
        "a note",
    ):
        assert said in text
    assert watch.retries == [f"the server says {KEY}"]
    assert "interrupted" in text and "agentsim ends" in lines[-1]


def test_a_stopped_run_has_its_reason_in_the_file_and_the_file_is_appended_to(tmp_path: Path) -> None:
    path, fake = tmp_path / "happened.log", Fake(fail_at=9)
    fake.error = RateLimited("slow down")
    for _ in range(2):
        with LogFile(path, Observer()) as log:
            agentsim.run(scenario(), results=tmp_path, provider=fake, observer=log)
    text = path.read_text()
    assert text.count("agentsim ends") == 2
    assert "WARNING model--seed-0: stopped, slow down" in text and "INFO model--seed-0: complete; " in text
    assert "generation 3 ended, mean final resources " in text


def test_a_file_that_cannot_be_written_is_said_before_the_first_call(tmp_path: Path) -> None:
    with pytest.raises(AgentsimError, match=r"--log-file .*cannot be written: Is a directory"):
        LogFile(tmp_path, Observer())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device")
def test_a_full_disk_is_said_once_and_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with LogFile(Path("/dev/full"), Observer()) as log:
        for _ in range(3):
            log.note("a note")
    assert capsys.readouterr().err.count("nothing more is written") == 1
