"""The comparison so far, computed in a process of its own at the lowest priority, and seldom enough to cost little."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Final

__all__ = ["Comparer", "compared"]

SHARE: Final = 0.01
"""The part of a processor that comparisons of a study that is being played may take."""


class Comparer:
    """Compares studies when asked to, at most one at a time."""

    def __init__(self, plugins: Sequence[Path] = ()) -> None:
        self._plugins = tuple(plugins)
        self._pool: ProcessPoolExecutor | None = None
        self._known: dict[tuple[str, str], dict[str, Any]] = {}
        self._busy = asyncio.Lock()

    async def compare(self, folder: Path, by: str, *, n_complete: int, is_playing: bool) -> dict[str, Any]:
        """Return the comparison of the runs that are complete; while a study is played, it may be a little old."""
        key = str(folder), by
        async with self._busy:
            known = self._known.get(key)
            if known is not None and known["n_complete"] == n_complete:
                return known
            if known is not None and is_playing and time.monotonic() < known["next"]:
                return {**known, "again_s": round(known["next"] - time.monotonic())}
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    1, mp_context=multiprocessing.get_context("spawn"), initializer=_begin, initargs=(self._plugins,)
                )
            began = time.monotonic()
            try:
                found = await asyncio.get_running_loop().run_in_executor(self._pool, compared, folder, by)
            except BrokenProcessPool:
                self._pool = None
                found = {"problem": "the process that compares has ended; look again, or use agentsim compare"}
            took = time.monotonic() - began
            self._known[key] = {**found, "n_complete": n_complete, "next": time.monotonic() + took / SHARE}
            return self._known[key]

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            for process in list((self._pool._processes or {}).values()):
                process.terminate()


def _begin(plugins: Sequence[Path]) -> None:
    from agentsim.scenario.plugins import load_plugin

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(19)
    for path in plugins:
        load_plugin(path)


def compared(folder: Path, by: str) -> dict[str, Any]:
    """Return agentsim's own comparison of a study, as plain values; writes nothing, not even a cache.

    `by` may be empty: then it is the first of model, condition and study by which runs differ.
    """
    from agentsim.analysis.compare import compare
    from agentsim.analysis.foreign import one_line
    from agentsim.analysis.frames.study import load
    from agentsim.errors import AgentsimError

    try:
        study = load(folder, cache=False)
        complete = study.runs[study.runs["status"] == "complete"]
        columns = [
            "model",
            "condition",
            *dict.fromkeys(path for one in study.started.values() for path in one.settings),
        ]
        differing = [name for name in dict.fromkeys(columns) if name in complete and complete[name].nunique() > 1]
        chosen = [by] if by else differing or ["model"]
        problem = None
        for one in chosen:
            try:
                comparison = compare(study, by=one)
                break
            except AgentsimError as error:
                problem = problem or one_line(error, max_chars=600)
        else:
            return {"problem": problem, "options": differing}
    except AgentsimError as error:
        return {"problem": one_line(error, max_chars=600)}
    return {
        "by": comparison.by,
        "options": differing,
        "groups": _rows(comparison.groups),
        "pairs": _rows(comparison.table),
        "notes": [one_line(note, max_chars=600) for note in comparison.notes],
    }


def _rows(frame: Any) -> list[dict[str, Any]]:
    from agentsim.analysis.foreign import one_line

    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [
        {str(name): one_line(value) if isinstance(value, str) else _number(value) for name, value in row.items()}
        for row in rows
    ]


def _number(value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    number = float(value)
    return float(f"{number:.4g}") if abs(number) != float("inf") else None
