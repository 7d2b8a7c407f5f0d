"""What can be watched while a study is played. No result depends on an observer."""

from __future__ import annotations

from agentsim.core.facts import Event
from agentsim.log.records import Reply
from agentsim.orchestrator.run_state import RunState

__all__ = ["Observer"]


class Observer:
    """Watches a study and does nothing; override what you want to be told. Called on the event loop: be quick."""

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
