"""`--log-file`: what happens while a study is played, as lines of Python's logging, for those who look for a cause.

A line is ASCII: line breaks, control characters and whatever a model wrote are escaped, so no text makes a line of its
own or moves a terminal. Keys are hidden, and other libraries' logs, in which they could stand, are not taken.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from agentsim.core.facts import Encounter, Event, GenerationEnded, Moved, NoteWritten, Probed, StrategyFormed, Talked
from agentsim.errors import AgentsimError
from agentsim.log.records import Reply
from agentsim.log.version import VERSION
from agentsim.orchestrator.observer import Observer
from agentsim.orchestrator.run_state import RunState
from agentsim.providers.secret import Secret

__all__ = ["LogFile"]

SECRET_NAMES: Final = re.compile(r"KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)
MAX_CHARS: Final = 2000
"""The most characters of a text that are written; the study's log has all of it."""


class LogFile(Observer):
    """Writes what an observer is told, and passes it on. Use as a context manager around `run(..., observer=...)`."""

    def __init__(self, path: Path, watch: Observer, *, environ: Mapping[str, str] = os.environ) -> None:
        """Values in `environ` whose names speak of keys are hidden wherever they stand.

        Raises:
            AgentsimError: the file cannot be written.
        """
        self._watch = watch
        self._log = logging.Logger("agentsim", logging.INFO)  # of no tree: no handler of another library sees it
        try:
            handler = _Handler(path, encoding="ascii")
        except OSError as error:
            raise AgentsimError(f"--log-file {path}: cannot be written: {error.strerror or error}") from error
        handler.setFormatter(_Line([value for name, value in environ.items() if SECRET_NAMES.search(name)]))
        self._log.addHandler(handler)
        self._handler = handler
        self._texts: dict[tuple[str, str], str] = {}
        """The latest reply to each question that has no answer yet."""

    def __enter__(self) -> Self:
        self._log.info("agentsim %s begins, process %s", VERSION, os.getpid())
        return self

    def __exit__(self, *_: object) -> None:
        self._log.info("agentsim ends")
        with suppress(OSError):  # that it cannot be written has been said
            self._handler.close()

    def run_opened(self, run: str, *, n_requests: int, generations: int) -> None:
        """Write that a run begins."""
        self._log.info("%s: begins or continues, %s questions in %s generations", run, n_requests, generations)
        self._watch.run_opened(run, n_requests=n_requests, generations=generations)

    def event(self, run: str, event: Event, *, is_replayed: bool) -> None:
        """Write what could not be read, and ends of generations; not what was read in the log."""
        if not is_replayed:
            if isinstance(event, GenerationEnded):
                mean = event.mean_final_resources
                self._log.info("%s: generation %s ended, mean final resources %.6g", run, event.generation, mean)
            elif isinstance(event, Encounter | NoteWritten | StrategyFormed | Probed | Moved | Talked):
                text = self._texts.pop((run, event.key), "")
                if event.problem is not None:
                    told = "%s: %s is missing after %s attempts, %s; the last reply: %s"
                    self._log.warning(told, run, event.key, event.attempts, event.problem, text[:MAX_CHARS])
        self._watch.event(run, event, is_replayed=is_replayed)

    def reply(self, run: str, reply: Reply, *, cost_usd: float | None, is_replayed: bool) -> None:
        """Remember a reply until it is known whether it could be read."""
        if not is_replayed:
            self._texts[run, reply.key] = reply.completion.text
        self._watch.reply(run, reply, cost_usd=cost_usd, is_replayed=is_replayed)

    def asked(self, run: str, n_in_flight: int) -> None:
        """Pass it on."""
        self._watch.asked(run, n_in_flight)

    def retry(self, message: str, wait_s: float) -> None:
        """Write why a call is made again."""
        self._log.warning("a call is made again in %.1f s: %s", wait_s, message)
        self._watch.retry(message, wait_s)

    def width(self, account: str, n_calls: int, most: int) -> None:
        """Write how many calls an account accepts."""
        self._log.info("%s: %s of %s calls side by side", account, n_calls, most)
        self._watch.width(account, n_calls, most)

    def note(self, message: str) -> None:
        """Write it."""
        self._log.warning("%s", message)
        self._watch.note(message)

    def interrupted(self, *, is_at_once: bool) -> None:
        """Write that the user stops the study."""
        self._log.warning("interrupted%s", ", at once" if is_at_once else "; calls under way are waited for")
        self._watch.interrupted(is_at_once=is_at_once)

    def run_closed(self, run: str, state: RunState) -> None:
        """Write how a run ended, and why it stopped."""
        level = logging.INFO if state.status == "complete" else logging.WARNING
        reason = f", {state.reason}" if state.reason else ""
        self._log.log(level, "%s: %s%s; %s new replies", run, state.status, reason, state.n_new_replies)
        self._watch.run_closed(run, state)


class _Line(logging.Formatter):
    """Times in UTC, text escaped, keys hidden."""

    def __init__(self, keys: list[str]) -> None:
        super().__init__("%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime
        self._secrets = [Secret(key) for key in keys if len(key) >= 8]

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line."""
        for secret in self._secrets:
            record.message = secret.hide(record.message)
        record.message = json.dumps(record.message)[1:-1].replace('\\"', '"')
        return super().formatMessage(record)


class _Handler(logging.FileHandler):
    """A file that stops no study: when it cannot be written, that is said once, and nothing more is written."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Say it once."""
        error = sys.exc_info()[1]
        self.setLevel(logging.CRITICAL + 1)
        print(f"--log-file: nothing more is written to it: {error}", file=sys.stderr)  # noqa: T201
