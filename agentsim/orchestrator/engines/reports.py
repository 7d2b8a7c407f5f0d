"""What a worker reports in its log, where nobody watches it."""

from __future__ import annotations

import logging
from typing import Final

from agentsim.orchestrator.observer import Observer
from agentsim.orchestrator.run_state import RunState

__all__ = ["LOG", "Reports"]

LOG: Final = logging.getLogger("agentsim")


class Reports(Observer):
    """Reports in a worker's log which runs it has played."""

    def note(self, message: str) -> None:
        """Report a note."""
        LOG.info(message)

    def run_opened(self, run: str, *, n_requests: int, generations: int) -> None:
        """Report that a run has begun."""
        LOG.info("%s: begun", run)

    def run_closed(self, run: str, state: RunState) -> None:
        """Report how a run stands."""
        LOG.info("%s: %s%s", run, state.status, f", {state.reason}" if state.reason else "")
