"""Claims the open runs of a study, one after the other, until none is left: the lock of a run's log is the claim."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from agentsim.errors import LogError
from agentsim.log.crew import WORKERS, one_at_a_time
from agentsim.log.files import LOG_NAME
from agentsim.log.reading import seems_closed
from agentsim.log.stopped import note_sitting, stop_reasons
from agentsim.log.writing import is_locked
from agentsim.orchestrator.run_state import RunState
from agentsim.orchestrator.stop import DRAINED, INTERRUPTED, Stop
from agentsim.scenario.runs import RunSpec

__all__ = ["Claims"]

NOTES: Final = "notes.lock"
LOOK_S: Final = 1.0
"""How often a worker without an open run looks whether another has left one."""
FIRST_PAUSE_S: Final = 0.05
MOST_PAUSE_S: Final = 0.25
"""Each run that a worker plays makes it wait a little longer with the next, so that workers begun together share."""
AGAIN: Final = (INTERRUPTED, DRAINED)
"""Whoever stopped a run for one of these reasons left it to others."""


class Claims:
    """Plays the runs of a study that no other process plays, until every run is closed or given up."""

    def __init__(
        self,
        folder: Path,
        specs: Sequence[RunSpec],
        *,
        play: Callable[[RunSpec], Awaitable[RunState]],
        note: Callable[[str], None],
        stop: Stop,
        most: int,
    ) -> None:
        """`play` plays one run, and returns a state that `is_held` if another process was quicker.

        `note` is told, once, that nothing is left but what others play. At most `most` runs are played at the same
        time.
        """
        self._folder = folder
        self._specs = specs
        self._play = play
        self._note_waiting = note
        self._is_waiting_told = False
        self._stop = stop
        self._most = most
        self._playing: set[str] = set()
        self._states: dict[str, RunState] = {}
        """How the runs that were played here have ended."""
        self._wake = asyncio.Event()

    async def play_all(self) -> tuple[RunState, ...]:
        """Play until nothing is left to claim; return how every run of the study stands."""
        await self._note({spec.name: None for spec in self._specs})  # the old reasons; this sitting may find new ones
        self._stop.register(on_stop=self._wake.set, on_interrupt=_nothing)
        async with asyncio.TaskGroup() as group:
            while not self._stop.event.is_set():
                self._wake.clear()
                left = self._left()
                if not left and not self._playing:
                    break
                claimed = self._claimable(left)
                if claimed is not None:
                    self._playing.add(claimed.name)
                    group.create_task(self._play_one(claimed))
                elif not self._playing and not self._is_waiting_told:
                    self._is_waiting_told = True
                    self._note_waiting(
                        f"{_runs(len(left))} left, played by other processes; this one takes over what they leave"
                    )
                pause_s = min(MOST_PAUSE_S, FIRST_PAUSE_S * len(self._playing)) if claimed else LOOK_S
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), pause_s)
        return tuple([await self._state(spec) for spec in self._specs])

    def _left(self) -> list[RunSpec]:
        """Return the runs that are neither played here nor known to have ended; those begun already come first."""
        given_up = {run for run, reason in stop_reasons(self._folder).items() if reason not in AGAIN}
        left = [
            spec
            for spec in self._specs
            if spec.name not in self._playing and spec.name not in self._states and not self._is_closed(spec)
            if spec.name not in given_up or is_locked(self._folder / spec.name)
        ]
        return sorted(left, key=lambda spec: not (self._folder / spec.name / LOG_NAME).exists())

    def _claimable(self, left: Sequence[RunSpec]) -> RunSpec | None:
        if len(self._playing) >= self._most:
            return None
        return next((spec for spec in left if not is_locked(self._folder / spec.name)), None)

    async def _play_one(self, spec: RunSpec) -> None:
        state = await self._play(spec)
        if not state.is_held:
            self._states[spec.name] = state
            is_stopped = state.status in ("stopped", "interrupted")
            if is_stopped or spec.name in stop_reasons(self._folder):
                await self._note({spec.name: state.reason if is_stopped else None})
        self._playing.discard(spec.name)
        self._wake.set()

    def _is_closed(self, spec: RunSpec) -> bool:
        return seems_closed(self._folder / spec.name)

    async def _state(self, spec: RunSpec) -> RunState:
        """Return how a run stands now, whoever played it."""
        known = self._states.get(spec.name)
        is_by_others = known is None or known.reason in AGAIN
        if self._is_closed(spec) and is_by_others:  # nothing is asked: its state is read
            while (state := await self._play(spec)).is_held:  # noqa: ASYNC110 - another process looks at it too
                await asyncio.sleep(LOOK_S)
            return state
        if known is not None:
            return known
        if not (self._folder / spec.name / LOG_NAME).exists():
            return RunState(spec.name, "not begun", self._stop.reason)
        return RunState(spec.name, "stopped", stop_reasons(self._folder).get(spec.name) or self._stop.reason)

    async def _note(self, reasons: dict[str, str | None]) -> None:
        with suppress(LogError):  # they are for people and for other workers; this one knows
            async with one_at_a_time(self._folder / WORKERS / NOTES):
                closed = {run for run in reasons if seems_closed(self._folder / run)}  # others were quicker
                note_sitting(self._folder, {**reasons, **dict.fromkeys(closed)})


def _nothing(*, is_at_once: bool) -> None:
    pass


def _runs(n: int) -> str:
    return "1 run is" if n == 1 else f"{n:,} runs are"
