"""The live view: what it says of a study, on a terminal and where there is none."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest
from rich.console import Console

import agentsim
from agentsim.cli.progress import Progress
from agentsim.orchestrator.run_state import RunState
from tests.orchestrator.test_study import Fake, scenario


def console(*, is_terminal: bool, width: int = 80) -> Console:
    return Console(file=io.StringIO(), force_terminal=is_terminal, width=width, legacy_windows=False)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


class Clock:
    """Seconds as the test says."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_without_a_terminal_a_run_is_one_line_at_its_end_and_not_one_for_each_generation(tmp_path: Path) -> None:
    out = console(is_terminal=False, width=200)
    with Progress(out, n_runs=1, clock=Clock()) as progress:
        agentsim.run(scenario(), results=tmp_path, provider=Fake(), observer=progress)
    [line] = printed(out).splitlines()
    assert line.startswith("1 of 1 runs ended, ") and "56 answers" in line and "\x1b" not in line


def test_without_a_terminal_a_line_comes_at_times_while_answers_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentsim.cli.progress.SAY_S", 0.001)
    out = console(is_terminal=False, width=200)
    with Progress(out, n_runs=40) as progress:
        progress.run_opened("model--seed-0", n_requests=10, generations=1)
        while printed(out).count("0 of 40 runs ended") < 3:
            threading.Event().wait(0.001)


def test_what_stops_many_runs_is_said_once_where_there_is_no_terminal() -> None:
    out = console(is_terminal=False, width=200)
    progress = Progress(out, n_runs=40)
    for seed in range(40):
        progress.run_closed(f"model--seed-{seed}", RunState(f"model--seed-{seed}", "stopped", "the key is refused"))
        progress.retry("slow down", 1.0)
    assert printed(out).count("the key is refused") == printed(out).count("slow down") == 1
    assert "40 calls made again" in progress.line()


@pytest.mark.parametrize("width", [80, 120])
def test_the_view_counts_answers_time_and_what_was_not_readable(tmp_path: Path, width: int) -> None:
    clock, fake = Clock(), Fake(fail_at=40)
    progress = Progress(console(is_terminal=True, width=width), n_runs=3, clock=clock)
    agentsim.run(scenario(), results=tmp_path, provider=fake, observer=progress)
    row = progress._rows["model--seed-0"]
    row.state = None  # as it was a moment before it stopped
    clock.now = 60.0
    out = console(is_terminal=False, width=width)
    out.print(progress.render())
    header, line, summary = printed(out).splitlines()[:3]
    assert header.split() == ["run", "gen.", "answers", "mean", "again", "unread", "waiting", "tokens"]
    assert line.startswith("model--seed-0 ") and f"{row.n_answered}/56" in line.split()
    assert row.n_answered and row.n_again
    n_left = 56 - row.n_answered + 2 * 56
    minutes, seconds = divmod(round(60 * n_left / row.n_answered), 60)
    assert (
        summary.startswith("0 of 3 runs ended, 0 tokens, unpriced, 1 min 00 s so far") and f"{minutes} min" in summary
    )
    assert f"{seconds:02} s left" in summary


def test_a_resumed_run_measures_its_pace_from_now_on(tmp_path: Path) -> None:
    agentsim.run(scenario(), results=tmp_path, provider=Fake(fail_at=40))
    clock = Clock()
    progress = Progress(console(is_terminal=True), n_runs=1, clock=clock)
    agentsim.run(scenario(), results=tmp_path, provider=Fake(fail_at=3), observer=progress)
    row = progress._rows["model--seed-0"]
    assert 0 < row.n_now < row.n_answered


def test_many_runs_are_shown_by_the_first_and_a_count(tmp_path: Path) -> None:
    progress = Progress(console(is_terminal=True), n_runs=40)
    for number in range(40):
        progress.run_opened(f"run-{number}", n_requests=10, generations=1)
    out = console(is_terminal=False)
    out.print(progress.render())
    assert "run-11 " in printed(out) and "run-12 " not in printed(out) and "and 28 more runs" in printed(out)


def test_a_retry_is_shown_with_its_reason_and_markup_in_it_is_text(tmp_path: Path) -> None:
    out = console(is_terminal=False, width=200)
    with Progress(out, n_runs=1) as progress:
        progress.retry("the server says [red]no[/red]", 2.0)
    assert "asking again in 2.0 s: the server says [red]no[/red]" in printed(out)
