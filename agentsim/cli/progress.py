"""The live view of a study. It only observes: no result depends on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agentsim.core.facts import Encounter, Event, GenerationEnded, NoteWritten, Probed, StrategyFormed
from agentsim.log.records import Reply
from agentsim.orchestrator.observer import Observer
from agentsim.orchestrator.run_state import RunState

__all__ = ["Progress"]

MAX_SHOWN: Final = 12
"""The most runs in progress that get a row each."""
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
    mean: float | None = None
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

    def __init__(self, console: Console, *, n_runs: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._n_runs = n_runs
        self._clock = clock
        self._began = clock()
        self._rows: dict[str, _Row] = {}
        self._note = ""
        self._widths: dict[str, str] = {}
        self._notes: list[str] = []
        self._reasons: set[str | None] = set()
        self._live = Live(get_renderable=self.render, console=console, refresh_per_second=4, transient=True)
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
            row.generation, row.mean = event.generation, event.mean_final_resources

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
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column("run", overflow="ellipsis", no_wrap=True)
        for name in ("gen.", "answers", "", "mean", "again", "unread", "waiting", "tokens"):
            table.add_column(name, justify="right", no_wrap=True, min_width=len(name))
        running = {run: row for run, row in self._rows.items() if row.state is None}
        for run, row in list(running.items())[:MAX_SHOWN]:
            table.add_row(
                Text(run),
                f"{min(row.generation + 1, row.generations)}/{row.generations}",
                f"{row.n_answered}/{row.n_requests}",
                ProgressBar(total=max(row.n_requests, 1), completed=row.n_answered - row.n_invalid, width=10),
                "-" if row.mean is None else f"{row.mean:.1f}",
                str(row.n_again),
                str(row.n_invalid),
                str(row.n_in_flight),
                f"{row.tokens:,}",
            )
        lines: list[RenderableType] = [table]
        if len(running) > MAX_SHOWN:
            lines.append(Text(f"... and {len(running) - MAX_SHOWN} more runs side by side", style="dim"))
        lines.append(Text(self._summary(), style="bold"))
        lines.extend(Text(text, style="yellow") for text in (*self._notes, *self._widths.values()))
        if self._note:
            lines.append(Text(self._note[:200], style="yellow"))
        return Group(*lines)

    def _summary(self) -> str:
        rows = list(self._rows.values())
        done = sum(row.state is not None for row in rows)
        tokens = sum(row.tokens for row in rows)
        elapsed = _duration(self._clock() - self._began)
        spent = f"{tokens:,} tokens, {self._spent()}"
        return f"{done} of {self._n_runs} runs ended, {spent}, {elapsed} so far, {self._left()}"

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
            self._console.print(Text(line))


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
