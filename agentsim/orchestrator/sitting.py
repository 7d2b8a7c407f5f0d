"""One process's work on one run: ask what is open, store what comes back, and only then let it count."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from agentsim.core.facts import Event
from agentsim.core.society import Step
from agentsim.errors import (
    AgentsimError,
    AnswerError,
    FatalProviderError,
    NeverRead,
    NotSent,
    NotWritten,
    ReplayMismatch,
    SchemaError,
)
from agentsim.log.reading import closed_log, seems_closed
from agentsim.log.records import Reply, RunFinished, RunStarted
from agentsim.log.writing import RunLog, open_log
from agentsim.orchestrator.critical_path import CriticalPath
from agentsim.orchestrator.observer import Observer
from agentsim.orchestrator.readability import Readability, patience
from agentsim.orchestrator.run_state import RunState, Status
from agentsim.orchestrator.stop import Stop
from agentsim.play.course import Course, Questioning
from agentsim.play.questions import Question
from agentsim.play.replay import catch_up, code_digest, compare_start
from agentsim.prompts.sets import READER, PromptSet
from agentsim.providers.base import Call, Completion, Held, Provider
from agentsim.scenario.scenario import RunSpec, digest, identity

__all__ = ["Sitting", "run_started"]

_Outcome = tuple[Question, Reply | AgentsimError]
"""What came of asking a question: a reply that is on the disk, or why there is none."""

DRAIN_S = 600.0
"""How long answers already being paid for may still come in once a run has to stop: the longest built-in deadline."""


class Sitting:
    """One process's work on one run."""

    def __init__(
        self,
        spec: RunSpec,
        folder: Path,
        *,
        prompts: PromptSet,
        accounts: Mapping[str, dict[str, Any]],
        versions: dict[str, str],
        providers: Mapping[str, Provider],
        observer: Observer,
        stop: Stop,
        course: Questioning | None = None,
        n_requests: int | None = None,
        probe: dict[str, Any] | None = None,
    ) -> None:
        """`course` asks in place of a society, `n_requests` questions by the design `probe`."""
        self._spec = spec
        self._is_mixed = isinstance(spec.condition.players, tuple) and len(spec.condition.players) > 1
        self._folder = folder / spec.name
        self._started = run_started(
            spec, folder.name, prompts=prompts, accounts=accounts, versions=versions, probe=probe
        )
        self._course: Questioning = course or Course(spec.condition, seed=spec.seed, prompts=prompts)
        self._n_requests = spec.condition.n_requests(spec.seed) if n_requests is None else n_requests
        self._generations = spec.condition.generations if probe is None else 1
        self._providers = providers
        """Who answers for each language model, by the player's label."""
        self._observer = observer
        self._stop = stop
        self._path = CriticalPath()
        self._n_logged = self._n_new = self._n_torn = self._tokens = 0
        self._cost_usd: float | None = 0.0
        self._readability = Readability(next(iter(spec.condition.cast)))
        self._unread: tuple[str, ...] = ()
        self._was_asked = False
        """Whether a call was made, and not only held back because the study stopped."""
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()

    async def play(self) -> RunState:
        """Play until the society's history is complete or something stops it; a failure is in the state, not raised."""
        try:
            if await self._is_closed():
                return self._ended()
            async with open_log(self._folder) as log:
                self._n_torn = log.n_torn_bytes
                await self._play(log)
        except ReplayMismatch as error:
            remedy = (
                f"set that back; or run with --new to begin a new study, or with --fork {self._folder.parent} to begin"
                " one with the replies that still hold"
            )
            return self._state("stopped", f"{self._spec.name}: {error}; {remedy}", is_refused=True)
        except NeverRead as error:
            return self._state("stopped", str(error), is_unread=True)
        except AgentsimError as error:
            if isinstance(error, NotWritten):
                self._stop.stop(str(error))
            return self._state("stopped", str(error), is_refused=isinstance(error, SchemaError))
        except Exception as error:  # noqa: BLE001 - a bug in one society must not cost the answers of the others
            return self._state("stopped", _bug(error))
        if self._course.is_finished:
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
        why = f"{'; '.join(self._unread)}: what came out says nothing about the model"
        return self._state("unread", why, is_unread=True)

    async def _is_closed(self) -> bool:
        """Whether the run is finished, its log unedited, and the code the same that computed its facts.

        Raises:
            ReplayMismatch: it was begun under another scenario.
        """
        if not seems_closed(self._folder):
            return False
        closed = await asyncio.to_thread(closed_log, self._folder)
        if closed is None or closed.finished.code_digest != code_digest():
            return False
        compare_start(closed.started, self._started)
        self._n_logged, self._tokens = closed.finished.n_replies, closed.finished.tokens or 0
        self._cost_usd, self._unread = closed.finished.cost_usd, closed.finished.unread
        return True

    async def _play(self, log: RunLog) -> None:
        self._observer.run_opened(
            self._spec.name,
            n_requests=self._n_requests,
            generations=self._generations,
        )
        n_replies, missing, is_closed = catch_up(
            log.records, self._course, self._started, observe=self._replayed, fault=log.fault
        )
        log.records.clear()  # they are told; a million of them need not be kept
        self._n_logged = n_replies
        if is_closed:
            return
        log.append(*missing, sync=False)
        await log.synced()
        for record in missing:
            if not isinstance(record, RunStarted):
                self._observe(record)
        if self._providers and not self._course.is_finished:
            await self._ask_all(log)
        if self._course.is_finished:
            finished = RunFinished(
                n_replies=self._n_logged,
                wall_s=self._clock() - self._began,
                critical_path_s=self._path.longest,
                tokens=self._tokens,
                cost_usd=self._cost_usd,
                code_digest=code_digest(),
                unread=tuple(map(str, self._readability.unread())),
                log_digest=log.digest,
                time=_now(),
            )
            log.append(finished.sealed(), sync=False)
            await log.synced()

    async def _ask_all(self, log: RunLog) -> None:
        """Ask what is open, store what comes, until nothing is open or the study stops."""
        arrived: asyncio.Queue[_Outcome] = asyncio.Queue()
        storing: set[str] = set()
        """The keys of questions whose answers have come and are on their way to the disk, or have just reached it."""
        failure: AgentsimError | None = None

        async def ask(question: Question) -> None:
            with Held() as held:
                call = Call(
                    n_after=self._course.n_after(question),
                    is_wanted=lambda: failure is None,  # what waits for the limits when the run fails is not paid for
                    held=held,
                )
                try:
                    if failure is not None or self._stop.event.is_set():
                        raise NotSent("the study is stopping; the question was not asked")
                    completion = await self._providers[question.player].complete(question.prompt, call)
                    storing.add(question.request.key)
                    arrived.put_nowait((question, await self._store(log, question, completion)))
                except AgentsimError as error:
                    arrived.put_nowait((question, error))

        async with asyncio.TaskGroup() as group:
            in_flight: set[asyncio.Task[None]] = set()

            def ask_each(questions: Iterable[Question]) -> int:
                tasks = [group.create_task(ask(question)) for question in questions]
                in_flight.update(tasks)
                for task in tasks:
                    task.add_done_callback(in_flight.discard)
                return len(tasks)

            stopping = group.create_task(self._stop.event.wait())
            n_waiting = ask_each(self._course.open.values())
            self._observer.asked(self._spec.name, n_waiting)
            while n_waiting:
                is_stopping = failure is not None or self._stop.event.is_set()
                item = await self._next(arrived, stopping, is_stopping=is_stopping)
                if item is None and is_stopping:
                    break
                if item is None:
                    continue  # only what is on its way is waited for now
                n_waiting -= 1
                question, outcome = item
                storing.discard(question.request.key)
                self._was_asked = self._was_asked or not isinstance(outcome, NotSent)
                if isinstance(outcome, Reply):
                    try:
                        step = self._receive(log, outcome)
                    except AgentsimError as error:
                        failure = failure or error
                    else:
                        if failure is None and not self._stop.event.is_set():
                            n_waiting += ask_each(step.asked)
                elif not isinstance(outcome, NotSent):
                    failure = failure or outcome
                    if isinstance(outcome, FatalProviderError):
                        self._stop.stop(str(outcome))
                if isinstance(failure, NotWritten):
                    self._stop.stop(str(failure))
                if log.is_broken and not storing:
                    break  # what still comes could not be stored either
                self._observer.asked(self._spec.name, n_waiting)
            for task in (*in_flight, stopping):
                task.cancel()
        if failure is not None:
            raise failure

    async def _next(
        self, arrived: asyncio.Queue[_Outcome], stopping: asyncio.Task[Literal[True]], *, is_stopping: bool
    ) -> _Outcome | None:
        """Return the next outcome; `None` where the study was told to stop (then: where nothing came in time)."""
        if not arrived.empty():
            return arrived.get_nowait()
        getter = asyncio.ensure_future(arrived.get())
        other = asyncio.ensure_future(self._stop.now.wait()) if is_stopping else stopping
        try:
            await asyncio.wait(
                {getter, other}, timeout=DRAIN_S if is_stopping else None, return_when=asyncio.FIRST_COMPLETED
            )
            return getter.result() if getter.done() else None
        finally:
            getter.cancel()
            if is_stopping:
                other.cancel()

    async def _store(self, log: RunLog, question: Question, completion: Completion) -> Reply:
        """Make the reply durable; replies are done in the order in which they are in the log.

        Raises:
            NotWritten: the disk is full or failing.
        """
        reply = Reply(
            key=question.request.key,
            attempt=question.attempt,
            player=question.player if self._is_mixed else None,
            prompt=question.prompt,
            completion=completion,
            time=_now(),
        )
        try:
            log.append(reply, sync=False)
            await log.synced()
        except NotWritten as error:  # at once, before anybody else asks
            self._stop.stop(str(error))
            raise
        return reply

    def _receive(self, log: RunLog, reply: Reply) -> Step[Question]:
        """Let a reply that is on the disk count."""
        self._n_logged += 1
        self._n_new += 1
        self._path.spent[reply.key] = self._path.spent.get(reply.key, 0.0) + reply.completion.latency_s
        self._pay(reply, is_replayed=False)
        step = self._course.receive(reply.key, reply.completion)
        log.append(*step.events, sync=False)
        for event in step.events:
            self._observe(event)
            self._check_readable(event, last=reply.completion.text)
        return step

    def _check_readable(self, event: Event, *, last: str) -> None:
        """Stop paying for a model whose replies cannot be read.

        Raises:
            NeverRead: none to the first questions could be, as many as the scenario allows and the run's size bears.
            AnswerError: so many questions in a row went without a readable reply as the scenario allows.
        """
        if getattr(event, "problem", None) is None:
            return
        most = self._spec.condition.on_invalid.stop_after
        least = patience(most, n_questions=self._n_requests)
        if most is None or least is None:
            return
        never = self._readability.never(least=least)
        if never is None and self._readability.n_in_a_row < most:
            return
        player, n = (self._spec.condition.model, most) if never is None else (never.player, least)
        why = (
            f"no reply of {player!r} to {n} questions in a row could be read, the last to"
            f" {getattr(event, 'key', '')!r}: {last[:200]!r}; look at its replies, mend the prompts or players'"
            " settings in a new study, or run again to go on (on_invalid.stop_after says after how many to"
            " stop; it is at most a quarter of a run's questions while none was read)"
        )
        raise AnswerError(why) if never is None else NeverRead(why)

    def _pay(self, reply: Reply, *, is_replayed: bool) -> None:
        usage = reply.completion.usage
        self._tokens += (usage.input_tokens or 0) + (usage.output_tokens or 0)
        cost = self._started.cost_usd(reply)
        self._cost_usd = None if self._cost_usd is None or cost is None else self._cost_usd + cost
        self._observer.reply(self._spec.name, reply, cost_usd=cost, is_replayed=is_replayed)

    def _observe(self, event: Event) -> None:
        self._path.follow(event)
        self._readability.follow(event, is_replayed=False)
        self._observer.event(self._spec.name, event, is_replayed=False)

    def _replayed(self, record: Reply | Event) -> None:
        if isinstance(record, Reply):
            self._pay(record, is_replayed=True)
        else:
            self._path.follow(record)
            self._readability.follow(record, is_replayed=True)
            self._observer.event(self._spec.name, record, is_replayed=True)

    def _state(
        self,
        status: Status,
        reason: str | None,
        *,
        is_refused: bool = False,
        is_unread: bool = False,
    ) -> RunState:
        return RunState(
            run=self._spec.name,
            status=status,
            reason=reason,
            is_refused=is_refused,
            is_unread=is_unread,
            n_replies=self._n_logged,
            n_new_replies=self._n_new,
            n_torn_bytes=self._n_torn,
            tokens=self._tokens,
            cost_usd=self._cost_usd,
            wall_s=self._clock() - self._began,
            critical_path_s=self._path.longest,
        )


def run_started(
    spec: RunSpec,
    study: str,
    *,
    prompts: PromptSet,
    accounts: Mapping[str, dict[str, Any]],
    versions: dict[str, str],
    probe: dict[str, Any] | None = None,
) -> RunStarted:
    """Return the first record of a run's log; `accounts` are those of its language models, by the player's label."""
    return RunStarted(
        study=study,
        run=spec.name,
        seed=spec.seed,
        condition=identity(spec.condition),
        digest=digest(spec.condition, seed=spec.seed, probe=probe),
        probe=probe,
        settings=spec.settings,
        prompts_digest=prompts.digest,
        reader=READER,
        accounts=dict(accounts),
        versions=versions,
        time=_now(),
    )


def _bug(error: Exception) -> str:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    places = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(places[-1].filename).name}:{places[-1].lineno}" if places else ""
    return f"a bug, in agentsim or a rule of your own: {type(error).__name__}: {error}{place}; all answers are stored"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
