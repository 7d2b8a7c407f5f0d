"""What can be watched while a study is played. No result depends on an observer."""

from __future__ import annotations

from agentsim.core.facts import Event
from agentsim.log.records import Reply
from agentsim.orchestrator.run_state import RunState

__all__ = ["Observer"]


class Observer:
    """Watches a study and does nothing; override what you want to be told. Called on the event loop: be quick."""

    def run_opened(self, run: str, *, n_requests: int, generations: int) -> None:
        """A run begins or goes on; it asks `n_requests` questions if all answers are readable at once."""

    def event(self, run: str, event: Event, *, is_replayed: bool) -> None:
        """A fact became true, or was found in the log."""

    def reply(self, run: str, reply: Reply, *, cost_usd: float | None, is_replayed: bool) -> None:
        """A reply came, or was found in the log."""

    def asked(self, run: str, n_in_flight: int) -> None:
        """The number of calls in flight changed."""

    def retry(self, message: str, wait_s: float) -> None:
        """A call failed and is made again after `wait_s` seconds."""

    def width(self, account: str, n_calls: int, most: int) -> None:
        """So many calls, of `most`, may be under way at an account now: fewer while it refuses some."""

    def note(self, message: str) -> None:
        """Something about the study that its user should know; said once."""

    def interrupted(self, *, is_at_once: bool) -> None:
        """The user wants to stop: calls under way still come in, or where said twice (`is_at_once`) are dropped."""

    def run_closed(self, run: str, state: RunState) -> None:
        """A run ended or stopped."""
