"""Asks the questions of one run, with one task for each question; a reply is stored before it counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, TypeAlias

from agentsim.errors import AgentsimError, FatalProviderError, NotSent, NotWritten
from agentsim.log.records import Reply
from agentsim.log.writing import RunLog
from agentsim.orchestrator.runs import Run, now
from agentsim.orchestrator.stop import Stop
from agentsim.play.questions import Question
from agentsim.providers.base import Call, Completion, Held, Provider

__all__ = ["Asking"]

DRAIN_S: Final = 600.0
"""How long a stopping run waits for answers that are already paid for: the longest built-in deadline."""

_Outcome: TypeAlias = tuple[Question, Reply | AgentsimError]
"""The outcome of a question: a reply that is on the disk, or why there is none."""


class Asking:
    """Asks what is open in a run, and what follows from the answers, until nothing is open or the study stops."""

    def __init__(
        self,
        run: Run,
        log: RunLog,
        *,
        providers: Mapping[str, Provider],
        stop: Stop,
        receive: Callable[[Reply], list[Question]],
        watch: Callable[[int], None],
    ) -> None:
        """Prepare to ask.

        Args:
            run: whose questions are asked.
            log: where replies are stored.
            providers: who answers for each language model, by the player's label.
            stop: why the study has to stop, once it has to.
            receive: processes a reply that is on the disk, and returns the next questions; it may raise
                `AgentsimError` to end the run.
            watch: is told how many questions wait for an answer, whenever that changes.
        """
        self._course = run.course
        self._run = run.name
        self._is_mixed = len(run.condition.by_label) > 1
        self._log = log
        self._providers = providers
        self._stop = stop
        self._receive = receive
        self._watch = watch
        self._arrived: asyncio.Queue[_Outcome] = asyncio.Queue()
        self._in_flight: set[asyncio.Task[None]] = set()
        self._n_waiting = 0
        """Questions without an outcome."""
        self._storing: set[str] = set()
        """Keys of questions whose answers have come and are on their way to the disk, or have just reached it."""
        self._failure: AgentsimError | None = None
        """Why this run has to stop; the first reason counts."""
        self.was_asked = False
        """Whether a call was made, and not only held back because the study stopped."""

    async def ask_all(self) -> None:
        """Ask until nothing is open or the study stops.

        Raises:
            AgentsimError: the first failure that stopped this run; what was on its way then has been stored.
        """
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(self._stop.event.wait())
            self._ask(self._course.open.values(), group)
            self._watch(self._n_waiting)
            while self._n_waiting and await self._goes_on(group, stopping):
                pass
            for task in (*self._in_flight, stopping):
                task.cancel()
        if self._failure is not None:
            raise self._failure

    @property
    def _is_stopping(self) -> bool:
        """Whether nothing more is asked, because this run failed or the study stops."""
        return self._failure is not None or self._stop.event.is_set()

    def _ask(self, questions: Iterable[Question], group: asyncio.TaskGroup) -> None:
        """Begin a task for each question."""
        tasks = [group.create_task(self._ask_one(question)) for question in questions]
        self._in_flight.update(tasks)
        for task in tasks:
            task.add_done_callback(self._in_flight.discard)
        self._n_waiting += len(tasks)

    async def _ask_one(self, question: Question) -> None:
        """Ask one question and store its answer; the call keeps its place until the answer is stored."""
        with Held() as held:
            call = Call(
                n_after=self._course.n_after(question),
                is_wanted=self._is_wanted,
                held=held,
                asker=f"{self._run}/{question.request.agent}",
            )
            try:
                if self._is_stopping:
                    raise NotSent("the study is stopping; the question was not asked")
                completion = await self._providers[question.player].complete(question.prompt, call)
                self._storing.add(question.request.key)
                self._arrived.put_nowait((question, await self._store(question, completion)))
            except AgentsimError as error:
                self._arrived.put_nowait((question, error))

    def _is_wanted(self) -> bool:
        """Return whether a call that still waits for the limits should be made and paid for."""
        return self._failure is None

    async def _store(self, question: Question, completion: Completion) -> Reply:
        """Make a reply durable; replies become durable in the order of the log.

        Raises:
            NotWritten: the disk is full or failing.
        """
        reply = Reply(
            key=question.request.key,
            attempt=question.attempt,
            player=question.player if self._is_mixed else None,
            prompt=question.prompt,
            completion=completion,
            time=now(),
        )
        try:
            self._log.append(reply, sync=False)
            await self._log.synced()
        except NotWritten as error:  # stop at once, before another question is sent
            self._stop.stop(str(error))
            raise
        return reply

    async def _goes_on(self, group: asyncio.TaskGroup, stopping: asyncio.Task[Literal[True]]) -> bool:
        """Process the next outcome; return whether to wait for further ones."""
        is_stopping = self._is_stopping
        outcome = await self._next(stopping, is_stopping=is_stopping)
        if outcome is None:
            return not is_stopping  # when a stop begins, answers under way are still waited for
        self._n_waiting -= 1
        self._take(*outcome, group)
        if isinstance(self._failure, NotWritten):
            self._stop.stop(str(self._failure))
        if self._log.is_broken and not self._storing:
            return False  # later answers could not be stored either
        self._watch(self._n_waiting)
        return True

    def _take(self, question: Question, outcome: Reply | AgentsimError, group: asyncio.TaskGroup) -> None:
        """Process an outcome and ask what follows from it."""
        self._storing.discard(question.request.key)
        if isinstance(outcome, NotSent):
            return
        self.was_asked = True
        if isinstance(outcome, Reply):
            try:
                following = self._receive(outcome)
            except AgentsimError as error:
                self._failure = self._failure or error
            else:
                if not self._is_stopping:
                    self._ask(following, group)
            return
        self._failure = self._failure or outcome
        if isinstance(outcome, FatalProviderError):
            self._stop.stop(str(outcome))

    async def _next(self, stopping: asyncio.Task[Literal[True]], *, is_stopping: bool) -> _Outcome | None:
        """Return the next outcome.

        `None`: the study was told to stop; or, if it `is_stopping` already, no answer came in time or the user does not
        want to wait any longer.
        """
        if not self._arrived.empty():
            return self._arrived.get_nowait()
        getter = asyncio.ensure_future(self._arrived.get())
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
