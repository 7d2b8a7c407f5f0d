"""What can be watched while a study is played. No result depends on an observer, and none that fails ends a study."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from agentsim.core.facts import Event
from agentsim.log.records import Reply
from agentsim.orchestrator.run_state import RunState

__all__ = ["Observer", "guarded"]


class Observer:
    """Watches a study and does nothing; override what you want to be told, and pass it as `observer=` of `run`.

    What it is told are values that it cannot change. It is called between answers, so it should be quick. If it raises
    an exception, the study goes on: the first failure is logged as a warning of the logger `agentsim`.
    """

    def run_opened(self, run: str, *, n_requests: int, generations: int) -> None:
        """A run begins or continues; it asks `n_requests` questions in all if every first answer is readable."""

    def event(self, run: str, event: Event, *, is_replayed: bool) -> None:
        """A fact became true, or was read in the log (`is_replayed`)."""

    def reply(self, run: str, reply: Reply, *, cost_usd: float | None, is_replayed: bool) -> None:
        """A reply came, or was read in the log (`is_replayed`); its cost is `None` if not known."""

    def asked(self, run: str, n_in_flight: int) -> None:
        """The number of calls in flight changed."""

    def retry(self, message: str, wait_s: float) -> None:
        """A call failed and is made again after `wait_s` seconds."""

    def width(self, account: str, n_calls: int, most: int) -> None:
        """An account allows `n_calls` calls at the same time now, of `most`: fewer while it refuses some."""

    def note(self, message: str) -> None:
        """There is something about the study that its user should know; each message comes once."""

    def interrupted(self, *, is_at_once: bool) -> None:
        """The user wants to stop: calls in flight still come in, or are dropped if `is_at_once`, the second time."""

    def run_closed(self, run: str, state: RunState) -> None:
        """A run ended or stopped."""


class _Guarded(Observer):
    """Tells another observer everything, and keeps its failures from the study."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._has_failed = False

    def _tell(self, what: str, *args: Any, **kwargs: Any) -> None:
        try:
            getattr(self._observer, what)(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - code of the user's, of which no result depends
            if not self._has_failed:
                self._has_failed = True
                logging.getLogger("agentsim").warning(
                    "the observer %s failed in %s (%r); the study goes on, and what else it fails to do is not said",
                    type(self._observer).__name__,
                    what,
                    error,
                )


def _guard(what: str) -> Callable[..., None]:
    def told(self: _Guarded, *args: Any, **kwargs: Any) -> None:
        self._tell(what, *args, **kwargs)

    return told


for _what in [name for name in vars(Observer) if not name.startswith("_")]:
    setattr(_Guarded, _what, _guard(_what))


def guarded(observer: Observer | None) -> Observer:
    """Return an observer that never raises: one that does nothing if there is none."""
    return Observer() if observer is None else _Guarded(observer)
