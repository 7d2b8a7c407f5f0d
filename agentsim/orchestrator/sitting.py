"""One process's work on one run: catch up with its log, ask what is open, and say how it ended."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from agentsim.core.facts import Event
from agentsim.errors import (
    AgentsimError,
    AnswerError,
    LogLocked,
    NeverRead,
    NotWritten,
    ReplayMismatch,
    SchemaError,
)
from agentsim.log.reading import closed_log, seems_closed
from agentsim.log.records import Reply, RunFinished, RunStarted
from agentsim.log.writing import RunLog, open_log
from agentsim.orchestrator.asking import Asking
from agentsim.orchestrator.critical_path import CriticalPath
from agentsim.orchestrator.observer import Observer
from agentsim.orchestrator.readability import Readability, patience
from agentsim.orchestrator.run_state import RunState, Status
from agentsim.orchestrator.runs import Run, now
from agentsim.orchestrator.stop import Stop
from agentsim.play.questions import Question
from agentsim.play.replay import catch_up, code_digest, compare_start
from agentsim.providers.base import Provider

__all__ = ["Sitting"]


class Sitting:
    """One process's work on one run."""

    def __init__(
        self, run: Run, study: Path, *, providers: Mapping[str, Provider], observer: Observer, stop: Stop
    ) -> None:
        """Prepare to play a run in the folder of its study; `providers` answer for players, by their labels."""
        self._run = run
        self._folder = study / run.name
        self._providers = providers
        self._observer = observer
        self._stop = stop
        self._path = CriticalPath()
        self._n_logged = self._n_new = self._n_torn = self._tokens = 0
        self._cost_usd: float | None = 0.0
        self._readability = Readability(next(iter(run.condition.by_label)))
        self._unread: tuple[str, ...] = ()
        self._was_asked = False
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()

    async def play(self) -> RunState:
        """Play until nothing is left to ask or something stops the run; a failure is in the state, not raised."""
        try:
            if await self._is_closed():
                return self._ended()
            async with open_log(self._folder) as log:
                self._n_torn = log.n_torn_bytes
                await self._play(log)
        except ReplayMismatch as error:
            remedy = (
                f"undo that change; or run with --new to begin a new study, or with --fork {self._folder.parent} to"
                " begin one with the replies that are still valid"
            )
            return self._state("stopped", f"{self._run.name}: {error}; {remedy}", is_refused=True)
        except NeverRead as error:
            return self._state("stopped", str(error), is_unread=True)
        except AgentsimError as error:
            if isinstance(error, NotWritten):
                self._stop.stop(str(error))
            is_held = isinstance(error, LogLocked)
            return self._state("stopped", str(error), is_refused=isinstance(error, SchemaError), is_held=is_held)
        except Exception as error:  # noqa: BLE001 - a bug in one society must not cost the answers of the others
            return self._state("stopped", _bug(error))
        if self._run.course.is_finished:
            self._unread = tuple(map(str, self._readability.unread()))
            return self._ended()
        if not self._n_logged and not self._was_asked:
            return self._state("not begun", self._stop.reason)
        if self._stop.is_interrupt:
            return self._state("interrupted", "interrupted")
        return self._state("stopped", self._stop.reason)

    def _ended(self) -> RunState:
        if not self._unread:
            return self._state("complete", None)
        why = f"{'; '.join(self._unread)}: the results say nothing about the model"
        return self._state("unread", why, is_unread=True)

    async def _is_closed(self) -> bool:
        """Return whether the run is finished, its log unedited, and its facts computed by the code of today.

        Raises:
            ReplayMismatch: it was begun under another scenario.
        """
        if not seems_closed(self._folder):
            return False
        closed = await asyncio.to_thread(closed_log, self._folder)
        if closed is None or closed.finished.code_digest != code_digest(self._run.started.plugins):
            return False
        compare_start(closed.started, self._run.started)
        self._n_logged, self._tokens = closed.finished.n_replies, closed.finished.tokens or 0
        self._cost_usd, self._unread = closed.finished.cost_usd, closed.finished.unread
        return True

    async def _play(self, log: RunLog) -> None:
        run = self._run
        self._observer.run_opened(run.name, n_requests=run.n_questions, generations=run.n_generations)
        n_replies, missing, is_closed = catch_up(
            log.records, run.course, run.started, observe=self._replayed, fault=log.fault
        )
        log.records.clear()  # they have been observed, and there may be a million of them
        self._n_logged = n_replies
        if is_closed:
            return
        log.append(*missing, sync=False)
        await log.synced()
        for record in missing:
            if not isinstance(record, RunStarted):
                self._observe(record)
        if self._providers and not run.course.is_finished:
            await self._ask(log)
        if run.course.is_finished:
            finished = RunFinished(
                n_replies=self._n_logged,
                wall_s=self._clock() - self._began,
                critical_path_s=self._path.longest,
                tokens=self._tokens,
                cost_usd=self._cost_usd,
                code_digest=code_digest(run.started.plugins),
                unread=tuple(map(str, self._readability.unread())),
                log_digest=log.digest,
                time=now(),
            )
            log.append(finished.sealed(), sync=False)
            await log.synced()

    async def _ask(self, log: RunLog) -> None:
        asking = Asking(
            self._run,
            log,
            providers=self._providers,
            stop=self._stop,
            receive=partial(self._receive, log),
            watch=partial(self._observer.asked, self._run.name),
        )
        await asking.ask_all()
        self._was_asked = asking.was_asked

    def _receive(self, log: RunLog, reply: Reply) -> list[Question]:
        """Process a reply that is on the disk; return the questions that follow from it."""
        self._n_logged += 1
        self._n_new += 1
        self._path.spent[reply.key] = self._path.spent.get(reply.key, 0.0) + reply.completion.latency_s
        self._pay(reply, is_replayed=False)
        step = self._run.course.receive(reply.key, reply.completion)
        log.append(*step.events, sync=False)
        for event in step.events:
            self._observe(event)
            self._check_readable(event, last=reply.completion.text)
        return step.asked

    def _check_readable(self, event: Event, *, last: str) -> None:
        """Stop paying for a model whose replies cannot be read.

        Raises:
            NeverRead: none of the first questions, as many as `patience` allows, got a readable reply.
            AnswerError: more questions in a row than the scenario allows got no readable reply.
        """
        if getattr(event, "problem", None) is None:
            return
        most = self._run.condition.on_invalid.stop_after
        least = patience(most, n_questions=self._run.n_questions)
        if most is None or least is None:
            return
        never = self._readability.never(least=least)
        if never is None and self._readability.n_in_a_row < most:
            return
        player, n = (self._run.condition.joint_label, most) if never is None else (never.player, least)
        why = (
            f"no reply of {player!r} to {n} questions in a row could be read, the last to"
            f" {getattr(event, 'key', '')!r}: {last[:200]!r}; look at its replies, correct the prompts or players'"
            " settings in a new study, or run again to continue (on_invalid.stop_after sets after how many questions"
            " to stop; before any reply was read, a quarter of a run's questions is the most)"
        )
        raise AnswerError(why) if never is None else NeverRead(why)

    def _pay(self, reply: Reply, *, is_replayed: bool) -> None:
        usage = reply.completion.usage
        self._tokens += (usage.input_tokens or 0) + (usage.output_tokens or 0)
        cost = self._run.started.cost_usd(reply)
        self._cost_usd = None if self._cost_usd is None or cost is None else self._cost_usd + cost
        self._observer.reply(self._run.name, reply, cost_usd=cost, is_replayed=is_replayed)

    def _observe(self, event: Event) -> None:
        self._path.follow(event)
        self._readability.follow(event, is_replayed=False)
        self._observer.event(self._run.name, event, is_replayed=False)

    def _replayed(self, record: Reply | Event) -> None:
        if isinstance(record, Reply):
            self._pay(record, is_replayed=True)
        else:
            self._path.follow(record)
            self._readability.follow(record, is_replayed=True)
            self._observer.event(self._run.name, record, is_replayed=True)

    def _state(
        self,
        status: Status,
        reason: str | None,
        *,
        is_refused: bool = False,
        is_held: bool = False,
        is_unread: bool = False,
    ) -> RunState:
        return RunState(
            run=self._run.name,
            status=status,
            reason=reason,
            is_refused=is_refused,
            is_held=is_held,
            is_unread=is_unread,
            n_replies=self._n_logged,
            n_new_replies=self._n_new,
            n_torn_bytes=self._n_torn,
            tokens=self._tokens,
            cost_usd=self._cost_usd,
            wall_s=self._clock() - self._began,
            critical_path_s=self._path.longest,
        )


def _bug(error: Exception) -> str:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    places = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(places[-1].filename).name}:{places[-1].lineno}" if places else ""
    return f"a bug, in agentsim or a rule of your own: {type(error).__name__}: {error}{place}; all answers are stored"
