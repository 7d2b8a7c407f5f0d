"""Plays a study on an engine: submits workers, and watches the study if asked to."""

from __future__ import annotations

import asyncio
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from agentsim.cli.telling import complain
from agentsim.errors import AgentsimError
from agentsim.log.reading import seems_closed
from agentsim.log.study_file import read_study_file
from agentsim.log.writing import is_locked
from agentsim.orchestrator.engines.engine import Engine, opened
from agentsim.orchestrator.engines.orders import Orders
from agentsim.orchestrator.stop import on_signals

__all__ = ["play_elsewhere"]

LOOK_S: Final = 2.0
SAY_S: Final = 60.0
"""How often a line is printed where there is no terminal."""


def play_elsewhere(
    engine: Engine, orders: Orders, console: Console, *, workers: int, new: bool, fork: Path | None, wait: bool
) -> Path:
    """Open the study and let an engine's workers play it; return its folder, with `wait` once all of them have ended.

    Raises:
        AgentsimError: the study cannot be opened, or the engine does not take the workers.
    """
    study = asyncio.run(opened(orders, new=new, fork=fork))
    n_ended, runs = _ended(study)
    if n_ended == len(runs):
        console.print("Every run has ended already; no worker was begun.")
        return study
    with on_signals(_interrupt) if engine.ends_with_us else nullcontext():
        try:
            _begin(engine, orders, study, console, workers=workers, wait=wait)
        except KeyboardInterrupt:
            if engine.ends_with_us:
                console.print("The workers store what is under way; Ctrl-C again ends them at once.")
                engine.end(study)
            else:
                end = engine.how_to_end(study)
                console.print(Text(f"The workers go on. To end them: {end}; to watch them: the same command."))
            raise
    return study


def _interrupt(number: int) -> None:
    """Do what Ctrl-C does: workers that end with this process would break off if a signal ended it at once."""
    raise KeyboardInterrupt


def _begin(engine: Engine, orders: Orders, study: Path, console: Console, *, workers: int, wait: bool) -> None:
    begun = engine.submit(orders, study, workers=workers)
    there = engine.workers(study)
    if begun:
        console.print(Text(f"{engine.kind}: {len(begun)} workers submitted ({', '.join(begun)})"), soft_wrap=True)
    else:
        console.print(f"{engine.kind}: its workers are there already ({there})")
    if wait or engine.ends_with_us:
        _watch(engine, study, console)
        for why in engine.failures(study):
            complain(AgentsimError(why))
    else:
        console.print(Text(f"progress: agentsim status {study}"), soft_wrap=True)
        console.print(Text(f"to end it: {engine.how_to_end(study)}"), soft_wrap=True)


def _watch(engine: Engine, study: Path, console: Console) -> None:
    """Show the study's progress until all workers have ended."""
    said = -SAY_S
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while (there := engine.workers(study)).names:
            if console.is_terminal:
                live.update(_progress(study, there=str(there)), refresh=True)
            elif time.monotonic() - said >= SAY_S:
                said = time.monotonic()
                console.print(_progress(study, there=str(there)))
            time.sleep(LOOK_S)


def _progress(study: Path, *, there: str) -> Text:
    n_ended, runs = _ended(study)
    n_played = sum(is_locked(study / run) for run in runs)
    return Text(
        f"{study.name}: {n_ended} of {len(runs)} runs have ended, {n_played} are being played; workers: {there}"
    )


def _ended(study: Path) -> tuple[int, list[str]]:
    """Return how many runs of a study have ended, and the names of all."""
    known = read_study_file(study)
    runs = [] if known is None else list(known.runs)
    return sum(seems_closed(study / run) for run in runs), runs
