"""Scripted societies on several processes of this machine: what each plays depends on its seeds alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from _pickle import PicklingError
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Final, TypeVar

from agentsim.errors import AgentsimError, ScenarioError
from agentsim.scenario.plugins import load_plugin, loaded_files

__all__ = ["SEEDS_AT_ONCE", "spread"]

SEEDS_AT_ONCE: Final = 1000
"""How many societies of one condition are in memory at a time; one worker plays them."""

Task = TypeVar("Task")
Result = TypeVar("Result")


def spread(play: Callable[[Task], Result], tasks: Sequence[Task], *, workers: int) -> list[Result]:
    """Return what `play`, a function of a module, returns for each task, in their order; each worker takes the next.

    Raises:
        ScenarioError: there are to be no workers.
        AgentsimError: a worker cannot begin, or has died.
    """
    if workers < 1:
        raise ScenarioError(f"workers={workers}: there must be at least 1")
    n_workers = min(workers, len(tasks))
    if n_workers <= 1:
        return [play(task) for task in tasks]
    pool = ProcessPoolExecutor(
        n_workers,
        mp_context=multiprocessing.get_context("forkserver"),  # threads of this process could hold locks
        initializer=_begin,
        initargs=(loaded_files(),),
    )
    try:
        return list(pool.map(play, tasks))
    except (BrokenProcessPool, PicklingError, AttributeError) as error:
        raise AgentsimError(
            "a worker ended before its work was done: there was too little memory; or it could not load what plays:"
            " a script needs `if __name__ == '__main__':`, and classes of a notebook belong into a file of their own"
            " (agentsim.load_plugin); or play with one worker"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(plugins: Sequence[Path]) -> None:
    """Prepare a worker: it knows the user's own files, and ends with the process that began it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the process that began them decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for path in plugins:
        load_plugin(path)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
