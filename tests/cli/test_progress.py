"""The live view: what it says of a study, on a terminal and where there is none."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

import agentsim
from agentsim.cli.progress import Progress
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


def test_without_a_terminal_each_generation_is_one_plain_line_with_the_time_left(tmp_path: Path) -> None:
    out = console(is_terminal=False, width=200)
    with Progress(out, n_runs=1, clock=Clock()) as progress:
        agentsim.run(scenario(), results=tmp_path, provider=Fake(), observer=progress)
    lines = printed(out).splitlines()
    assert lines[0] == "model--seed-0: begins, 56 questions" and lines[-1] == "model--seed-0: complete"
    ended = [line for line in lines if "ended, mean final resources" in line]
    assert [line.split(" ended")[0] for line in ended] == [f"model--seed-0: generation {n} of 3" for n in (1, 2, 3)]
    assert "\x1b" not in printed(out)


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
