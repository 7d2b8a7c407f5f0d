"""The live view: what it says of a study, on a terminal and where there is none."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest
from rich.console import Console

import agentsim
from agentsim.cli.progress import Progress
from agentsim.cli.rows import By
from agentsim.core.facts import GenerationEnded
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


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_view_counts_answers_time_and_what_was_not_readable(tmp_path: Path, width: int) -> None:
    clock, fake = Clock(), Fake(fail_at=40)
    expected = {f"model--seed-{seed}": 56 for seed in range(3)}
    progress = Progress(console(is_terminal=True, width=width), n_runs=3, expected=expected, clock=clock)
    agentsim.run(scenario(), results=tmp_path, provider=fake, observer=progress)
    row = progress._rows["model--seed-0"]
    row.state = None  # as it was a moment before it stopped
    row.n_in_flight = 5
    clock.now = 60.0
    text = shown(progress, width=width)
    for head in ("condition", "runs", "answers", "gen.", "mean", "s.d.", "missing", "US$", "left"):
        assert head in text
    assert row.n_answered and row.n_again
    generation = [f"{row.generation}/3", f"{row.means[row.generation]:,.1f}"] if row.generation else ["-", "-"]
    n_left = 3 * 56 - row.n_answered
    left = progress_time(60 * n_left / row.n_answered)
    row_of_it = ["model", "0/3", f"{row.n_answered}/168", *generation, str(row.n_invalid), "-", *left.split()]
    assert " ".join(row_of_it) in " ".join(text.split())
    summary = " ".join(text.split("model", 1)[1].split())
    assert "0 of 3 runs ended, 0 tokens, unpriced, waiting for 5 answers, 1 min 00 s so far" in summary
    assert f"about {left} left" in summary


def progress_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def shown(progress: Progress, *, width: int = 80) -> str:
    out = console(is_terminal=False, width=width)
    out.print(progress.render())
    assert max(map(len, printed(out).splitlines())) <= width
    return printed(out)


def test_a_mean_is_of_the_generation_that_all_begun_runs_have_ended_with_its_spread() -> None:
    progress = Progress(console(is_terminal=True), n_runs=12, expected={f"a--seed-{seed}": 10 for seed in range(12)})
    for seed, means in ((0, [10.0, 99.0]), (2, [14.0]), (10, [18.0])):
        progress.run_opened(f"a--seed-{seed}", n_requests=10, generations=5)
        for generation, mean in enumerate(means, 1):
            ended = GenerationEnded(generation=generation, mean_final_resources=mean, scores={}, survivors=())
            progress.event(f"a--seed-{seed}", ended, is_replayed=False)
    assert "1/5 14.0 ± 4.0" in " ".join(shown(progress).split())
    progress.run_opened("a--seed-3", n_requests=10, generations=5)
    assert "14.0" not in shown(progress)


def test_names_lose_what_they_have_in_common_and_runs_are_in_the_order_people_count() -> None:
    names = [f"qwen2.5-coder-{size}b--game-length-known--seed-{seed}" for size in ("0.5", "1.5") for seed in (10, 2)]
    progress = Progress(console(is_terminal=True), n_runs=4, by=By.RUN)
    for name in names:
        progress.run_opened(name, n_requests=1000, generations=10)
    text = shown(progress, width=80)
    assert text.index("0.5b") < text.index("1.5b") and text.index("seed-2") < text.index("seed-10")
    assert "…: qwen2.5-coder-" in text and text.count("qwen2.5-coder-") == 1


def test_a_resumed_run_measures_its_pace_from_now_on(tmp_path: Path) -> None:
    agentsim.run(scenario(), results=tmp_path, provider=Fake(fail_at=40))
    clock = Clock()
    progress = Progress(console(is_terminal=True), n_runs=1, clock=clock)
    agentsim.run(scenario(), results=tmp_path, provider=Fake(fail_at=3), observer=progress)
    row = progress._rows["model--seed-0"]
    assert 0 < row.n_now < row.n_answered


@pytest.mark.parametrize(("by", "more"), [(By.RUN, "28 more runs"), (By.CONDITION, "28 more conditions")])
def test_many_rows_are_shown_by_the_first_and_a_count(by: By, more: str) -> None:
    progress = Progress(console(is_terminal=True), n_runs=40, by=by)
    for number in range(40):
        progress.run_opened(f"run-{number}", n_requests=10, generations=1)
    text = shown(progress)
    assert "run-11 " in text and "run-12 " not in text and f"and {more}" in text


def test_a_condition_whose_runs_were_complete_before_counts_as_answered() -> None:
    progress = Progress(console(is_terminal=True), n_runs=1, expected={"a--seed-0": 56})
    progress.run_closed("a--seed-0", RunState("a--seed-0", "complete"))
    assert "a 1/1 56/56" in " ".join(shown(progress).split())


def test_a_retry_is_shown_with_its_reason_and_markup_in_it_is_text(tmp_path: Path) -> None:
    out = console(is_terminal=False, width=200)
    with Progress(out, n_runs=1) as progress:
        progress.retry("the server says [red]no[/red]", 2.0)
    assert "asking again in 2.0 s: the server says [red]no[/red]" in printed(out)
