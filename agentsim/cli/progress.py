"""The live view of a study. It only observes: no result depends on it."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from agentsim.cli.log_file import LogFile
from agentsim.cli.rows import By
from agentsim.cli.tables.fitting import FittingTable, Name
from agentsim.core.facts import Encounter, Event, GenerationEnded, NoteWritten, Probed, StrategyFormed
from agentsim.log.records import Reply
from agentsim.orchestrator.observer import Observer
from agentsim.orchestrator.run_state import RunState
from agentsim.scenario.names import condition_of, natural

__all__ = ["Progress", "logged"]

MAX_SHOWN: Final = 12
"""The most conditions, or runs in progress, that get a row each."""
SAY_S: Final = 60.0
"""How often a line is printed where there is no terminal."""


@dataclass
class _Row:
    generations: int
    n_requests: int
    n_answered: int = 0
    """Questions answered in this and earlier sittings."""
    n_now: int = 0
    """Questions answered in this sitting."""
    generation: int = 0
    """The last generation that has ended; 0 before the first."""
    means: dict[int, float] = field(default_factory=dict)
    """Mean final resources of each generation that has ended."""
    n_again: int = 0
    n_invalid: int = 0
    tokens: int = 0
    cost_usd: float | None = 0.0
    """Cost of all replies, including earlier sittings; `None` if a price or a token count is unknown."""
    n_in_flight: int = 0
    state: RunState | None = None


class Progress(Observer):
    """Shows a study while it runs: a live table on a terminal, a line a minute elsewhere.

    Use as a context manager around `run(..., observer=progress)`.
    """

    def __init__(
        self,
        console: Console,
        *,
        n_runs: int,
        expected: Mapping[str, int] | None = None,
        by: By = By.CONDITION,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`expected` are the questions of each run, by its name, as far as they are known beforehand."""
        self._console = console
        self._expected = expected or {}
        self._by = by
        self._n_runs = n_runs
        self._clock = clock
        self._began = clock()
        self._rows: dict[str, _Row] = {}
        self._note = ""
        self._widths: dict[str, str] = {}
        self._notes: list[str] = []
        self._reasons: set[str | None] = set()
        self._live = Live(get_renderable=self.render, console=console, refresh_per_second=2, transient=True)
        self._is_live = console.is_terminal
        self._n_retries = 0
        self._ended = threading.Event()
        self._teller = threading.Thread(target=self._tell, name="progress", daemon=True)

    def __enter__(self) -> Progress:
        if self._is_live:
            self._live.start()
        else:
            self._teller.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_live:
            self._live.stop()
        else:
            self._ended.set()
            self._teller.join()
            self._say(self.line())

    def run_opened(self, run: str, *, n_requests: int, generations: int) -> None:
        """Begin a row."""
        self._rows[run] = _Row(generations, n_requests)

    def event(self, run: str, event: Event, *, is_replayed: bool) -> None:
        """Count a fact."""
        row = self._rows[run]
        # A copied strategy was never asked for and has no attempts.
        if isinstance(event, Encounter | NoteWritten | StrategyFormed | Probed) and event.attempts:
            row.n_answered += 1
            row.n_now += not is_replayed
            row.n_again += event.attempts - 1
            row.n_invalid += event.problem is not None
        elif isinstance(event, GenerationEnded):
            row.generation = event.generation
            row.means[event.generation] = event.mean_final_resources

    def reply(self, run: str, reply: Reply, *, cost_usd: float | None, is_replayed: bool) -> None:
        """Count a reply's tokens and money."""
        row, usage = self._rows[run], reply.completion.usage
        row.tokens += (usage.input_tokens or 0) + (usage.output_tokens or 0)
        row.cost_usd = None if row.cost_usd is None or cost_usd is None else row.cost_usd + cost_usd

    def asked(self, run: str, n_in_flight: int) -> None:
        """Show how many calls are under way."""
        self._rows[run].n_in_flight = n_in_flight

    def retry(self, message: str, wait_s: float) -> None:
        """Show why a call is made again."""
        self._note = f"asking again in {wait_s:.1f} s: {message}"
        self._n_retries += 1
        if self._n_retries == 1:
            self._say(self._note)  # the others are counted

    def width(self, account: str, n_calls: int, most: int) -> None:
        """Show how many concurrent calls an account accepts."""
        if n_calls < most:
            self._widths[account] = f"{account} refuses calls: {n_calls} of {most} side by side for now"
        else:
            self._widths.pop(account, None)
        self._say(self._widths.get(account, f"{account}: {most} calls side by side again"))

    def note(self, message: str) -> None:
        """Show a message to the user until the end."""
        self._notes.append(message)
        self._say(message)

    def interrupted(self, *, is_at_once: bool) -> None:
        """Say what this Ctrl-C does and what another would do."""
        waiting = "stopping: no new calls; waiting for the answers under way (Ctrl-C again drops them)"
        self._note = "stopping at once" if is_at_once else waiting
        self._say(self._note)

    def run_closed(self, run: str, state: RunState) -> None:
        """End a row; a run that was already complete gets its row here."""
        row = self._rows.setdefault(run, _Row(0, 0, tokens=state.tokens, cost_usd=state.cost_usd))
        row.state = state
        if state.status != "complete" and state.reason not in self._reasons:
            self._reasons.add(state.reason)
            self._say(f"{run}: {state.status}" + (f", {state.reason}" if state.reason else ""))

    def line(self) -> str:
        """Return how far the study is, as one line."""
        rows = list(self._rows.values())
        answers = f"{sum(row.n_answered for row in rows):,} answers, {sum(row.n_invalid for row in rows):,} unread"
        again = f", {self._n_retries:,} calls made again" if self._n_retries else ""
        return f"{self._summary()}; {answers}{again}"

    def _tell(self) -> None:
        while not self._ended.wait(SAY_S):
            self._say(self.line())

    def render(self) -> RenderableType:
        """Return the view as it is now."""
        table, hidden = self._by_run() if self._by is By.RUN else self._by_condition()
        lines: list[RenderableType] = [table] if table.rows else []
        if hidden:
            lines.append(Text(f"... and {hidden}", style="dim"))
        lines.append(Text(self._summary(), style="bold"))
        lines.extend(Text(text, style="yellow") for text in (*self._notes, *self._widths.values()))
        if self._note:
            lines.append(Text(self._note[:200], style="yellow"))
        return Group(*lines)

    def _by_condition(self) -> tuple[Table, str]:
        """Return a row for each condition, those that are being played first, and what has none."""
        rows = dict(self._rows)
        runs: dict[str, list[str]] = {}
        for run in sorted({*self._expected, *rows}, key=natural):
            runs.setdefault(condition_of(run), []).append(run)
        conditions = {name: _Condition(of, rows, self._expected) for name, of in runs.items()}
        shown = sorted(conditions, key=lambda name: not conditions[name].is_playing)[:MAX_SHOWN]
        table = _table("condition", "runs", "answers", "gen.", "mean ± s.d.", "missing", "US$", "left")
        for name in (name for name in conditions if name in shown):
            one = conditions[name]
            table.add_row(
                Name((name,)),
                f"{one.n_ended}/{len(one.runs)}",
                f"{one.n_answered:,}/{one.n_requests:,}",
                *one.mean(),
                f"{one.n_missing:,}",
                "-" if one.cost_usd is None else f"{one.cost_usd:,.2f}",
                one.left(self._clock() - self._began),
            )
        more = len(conditions) - len(shown)
        return table, f"{more} more conditions" if more else ""

    def _by_run(self) -> tuple[Table, str]:
        """Return a row for each of the runs in progress, and what has none."""
        table = _table("run", "gen.", "answers", "mean", "again", "missing", "waiting", "tokens")
        running = {run: row for run, row in list(self._rows.items()) if row.state is None}
        for run in sorted(running, key=natural)[:MAX_SHOWN]:
            row = running[run]
            table.add_row(
                Name((run,)),
                f"{min(row.generation + 1, row.generations)}/{row.generations}",
                f"{row.n_answered:,}/{row.n_requests:,}",
                f"{row.means[row.generation]:,.1f}" if row.generation in row.means else "-",
                f"{row.n_again:,}",
                f"{row.n_invalid:,}",
                str(row.n_in_flight),
                f"{row.tokens:,}",
            )
        more = len(running) - MAX_SHOWN
        return table, f"{more} more runs side by side" if more > 0 else ""

    def _summary(self) -> str:
        rows = list(self._rows.values())
        done = sum(row.state is not None for row in rows)
        tokens = sum(row.tokens for row in rows)
        elapsed = _duration(self._clock() - self._began)
        spent = f"{tokens:,} tokens, {self._spent()}"
        waiting = sum(row.n_in_flight for row in rows if row.state is None)
        asked = f", waiting for {waiting:,} answers" if waiting else ""
        return f"{done} of {self._n_runs} runs ended, {spent}{asked}, {elapsed} so far, {self._left()}"

    def _spent(self) -> str:
        """Say what the replies cost; if some have no known price, what the others cost."""
        known = sum(row.cost_usd for row in list(self._rows.values()) if row.cost_usd is not None)
        unpriced = any(row.cost_usd is None for row in list(self._rows.values()))
        if not unpriced:
            return f"${known:.2f}"
        return f"${known:.2f} and what is unpriced" if known else "unpriced"

    def _left(self) -> str:
        """Estimate the time left from this sitting's pace."""
        rows = list(self._rows.values())
        n_now = sum(row.n_now for row in rows)
        if not n_now or not self._rows:
            return "time left not known yet"
        # Runs that have not begun are assumed to be as long as the mean of the others.
        opened = [row.n_requests for row in rows if row.n_requests]
        mean = sum(opened) / len(opened)
        n_left = sum(max(row.n_requests - row.n_answered, 0) for row in rows if row.state is None)
        n_left += round(mean * (self._n_runs - len(self._rows)))
        return f"about {_duration((self._clock() - self._began) * n_left / n_now)} left"

    def _say(self, line: str) -> None:
        if not self._is_live:
            self._console.print(Text(line), soft_wrap=True)


@contextmanager
def logged(progress: Progress, path: Path | None) -> Iterator[Observer]:
    """Show a study, and write what happens to a file if one is named.

    Raises:
        AgentsimError: the file cannot be written.
    """
    with ExitStack() as stack:
        watch: Observer = progress
        if path is not None:
            watch = stack.enter_context(LogFile(path, progress))
        stack.enter_context(progress)
        yield watch


class _Condition:
    """What is known of one condition's runs."""

    def __init__(self, runs: Sequence[str], rows: Mapping[str, _Row], expected: Mapping[str, int]) -> None:
        self.runs = runs
        begun = [(run, rows[run]) for run in runs if run in rows]
        self._rows = [row for _, row in begun]
        self.n_requests = sum(expected.get(run, 0) for run in runs if run not in rows)
        self.n_requests += sum(row.n_requests or expected.get(run, 0) for run, row in begun)
        # A run that was complete before has no questions to be told of.
        self.n_answered = sum(row.n_answered if row.n_requests else expected.get(run, 0) for run, row in begun)
        self.n_ended = sum(row.state is not None for row in self._rows)
        self.n_missing = sum(row.n_invalid for row in self._rows)
        self.is_playing = any(row.state is None for row in self._rows)

    @property
    def cost_usd(self) -> float | None:
        """The cost of all replies; `None` if one's is not known."""
        costs = [row.cost_usd for row in self._rows]
        return None if None in costs else sum(cost for cost in costs if cost is not None)

    def mean(self) -> Iterator[str]:
        """Yield a generation, and the mean final resources in it with their standard deviation over runs.

        It is the last one that all runs which have begun have ended; runs that are known no further count in none.
        """
        reached = [row for row in self._rows if row.generations]
        generation = min((row.generation for row in reached), default=0)
        means = [row.means[generation] for row in reached if generation in row.means]
        if not means:
            yield from ("-", "-")
            return
        yield f"{generation}/{max(row.generations for row in reached)}"
        spread = f" ± {statistics.stdev(means):,.1f}" if len(means) > 1 else ""
        yield f"{statistics.fmean(means):,.1f}{spread}".replace(" ", "\u00a0")

    def left(self, elapsed_s: float) -> str:
        """Return the time left at this sitting's pace."""
        n_now = sum(row.n_now for row in self._rows)
        n_left = self.n_requests - self.n_answered
        if not self.is_playing and self.n_ended == len(self.runs):
            return "-"
        return _duration(elapsed_s * n_left / n_now).replace(" ", "\u00a0") if n_now and n_left >= 0 else "?"


def _table(*heads: str) -> Table:
    table = FittingTable(box=SIMPLE_HEAD)
    for head in heads:
        table.add_column(head, justify="left" if head in ("condition", "run") else "right", overflow="fold")
    return table


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
