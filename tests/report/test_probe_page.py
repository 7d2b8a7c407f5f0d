"""A probe's page: one file, foreign text as text, what is missing said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agentsim.analysis.probes import load_probe
from agentsim.errors import AgentsimError
from agentsim.providers.base import Prompt
from agentsim.report import render_probe, write_probe_report
from tests.experiments.test_probe import asked, scripted
from tests.orchestrator.test_study import Fake

ATTACK = '</title><script>alert(1)</script><img src=x onerror=alert(2)> "\u202e {{ 7 * 7 }}'


def test_a_known_policy_is_told_for_what_it_is(tmp_path: Path) -> None:
    text = render_probe(scripted(tmp_path, "standing"))
    assert "nearest to simple standing, or leading eight L1, L3, L4, L7, at a distance of 0.00" in text
    assert "1 strategy, asked in 31 situations, 3 times each: 93 answers, 0 of them without a readable decision" in text
    assert "every answer could be read" in text and "e-16" not in text
    assert text == render_probe(load_probe(tmp_path / "probed"))


def test_it_needs_nothing_but_itself_and_foreign_text_is_text(tmp_path: Path) -> None:
    result = asked(tmp_path, Fake(text=lambda prompt: f"Answer: 50%\n{ATTACK}"), strategies=(ATTACK,), n=2)
    text = render_probe(load_probe(result.folder))
    assert "<script" not in text and "onerror=alert(2)>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text and "{{ 7 * 7 }}" in text and "\u202e" not in text
    assert "script-src &#39;none&#39;" in text and not re.search(r"(src|href)=[\"']?(https?:|//)", text)


def test_what_could_not_be_read_and_what_is_not_finished_is_said(tmp_path: Path) -> None:
    def moody(prompt: Prompt) -> str:
        return "I had rather not say." if "gave 25%" in prompt.messages[1].content else "Answer: 30%"

    result = asked(tmp_path, Fake(text=moody), n=2)
    found = load_probe(result.folder)
    n_missing = int(found.answers["given"].isna().sum())
    assert n_missing and f"{n_missing} answers: unreadable. They count in no mean." in render_probe(found)
    stopped = asked(tmp_path / "stopped", Fake(text=moody, fail_at=9), n=2)
    assert "The probe is not finished" in render_probe(load_probe(stopped.folder))


def test_it_is_written_beside_the_log_or_where_one_says(tmp_path: Path) -> None:
    found = scripted(tmp_path, "all-give")
    assert write_probe_report(found) == found.folder / "report.html"
    assert write_probe_report(found, tmp_path / "x.html").read_bytes() == (found.folder / "report.html").read_bytes()
    with pytest.raises(AgentsimError, match="is a folder"):
        write_probe_report(found, tmp_path)
