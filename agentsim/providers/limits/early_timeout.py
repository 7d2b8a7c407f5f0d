"""How long one call is waited for: longer than any answer of its model took lately, and no longer.

A call that hangs would otherwise cost its whole deadline. The first few answers already say how long answers take: the
fewer they are, the longer they are exceeded. With as many as are remembered, fewer than one answer in 300 that comes
as they came before is slower than all of them.

Some calls may be slow for a reason of their own, and answers to them may never be seen where all of them are given up.
So some are left under way when their questions are asked again, as witnesses: where one of them is answered, that is
how long answers take.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from agentsim.errors import Unavailable
from agentsim.providers.base import PLAIN, Call, Completion, Layer, Prompt, Provider

__all__ = ["GivenUp", "Patient"]

WINDOW: Final = 300
"""Latest answers of a model that are remembered."""
MIN_ANSWERS: Final = 5
"""Answers of a model before anything is given up early."""
MARGIN: Final = 2.0
"""At least so many times the slowest answer is waited."""
TAIL: Final = 0.4
"""The slowest of n answers is taken to be (300 / n) ** 0.35 times slower than the slowest of few; of latencies as APIs
have them (lognormal, the slowest 1 % at 8 x the median) the estimate is about the same for every n."""
LEAST_S: Final = 5.0
"""Hiccups of a network or a process are no reason to ask twice."""
OFTEN: Final = 6
"""So many calls given up, of as many as are remembered, show that calls hang again and again."""
OFTEN_MARGIN: Final = 1.25
AGAIN: Final = 3
"""So many show that the model has not become slow as a whole."""
HONEST: Final = 1 / 20
"""Then as many answers may be cut off as are this share of the calls that hang."""
FIRST_WITNESS: Final = 1
"""Calls given up before one is left under way."""
NEXT_WITNESS: Final = 4
"""So many times as many must have been given up before the next one is."""
LOOKS: Final = (5, 10, 20, 50, 100)
"""Numbers of answers at which calls under way are looked at anew, as they may have taken too long already."""


class GivenUp(Unavailable):
    """The call took far longer than any answer before it; it may be billed."""

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: float | None = None,
        times: float = math.inf,
        witness: asyncio.Future[Completion] | None = None,
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s, is_late=True)
        self.witness = witness
        """The call, if it is still under way to see whether it will be answered; it needs its place until then."""
        self.times = times
        """How many times longer the next call for the same question is to be waited for."""


@dataclass(eq=False)
class _Waiting:
    """One call that is waited for."""

    began: float
    number: int
    """Of calls, in the order in which they are sent."""
    scope: asyncio.Timeout
    times: float
    """As `Call.times`."""
    look: asyncio.TimerHandle | None = None


@dataclass
class _Model:
    """What is known of one model's answers."""

    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    waiting: dict[_Waiting, None] = field(default_factory=dict)
    """In the order in which they were sent."""
    n_answers: int = 0
    given_up: deque[bool] = field(default_factory=lambda: deque(maxlen=WINDOW))
    """Of the latest calls, whether each was given up; since an answer last took longer than that."""
    n_given_up: int = 0
    """The same, of all calls since then."""
    next_witness: int = FIRST_WITNESS
    latest: int = -1
    """The highest number of a call that was answered."""

    @property
    def usual_s(self) -> float | None:
        """Seconds after which no answer is expected any more; `None` while too little is known."""
        n = len(self.latencies)
        if n < MIN_ANSWERS:
            return None
        usual_s: float = max(self.latencies) * max(MARGIN, (WINDOW / n) ** TAIL)
        n_hung = sum(self.given_up) if self.n_given_up else 0
        if n_hung >= OFTEN:
            n_cut = int(n * HONEST * n_hung / len(self.given_up))
            usual_s = min(usual_s, OFTEN_MARGIN * sorted(self.latencies)[-1 - n_cut])
        return max(LEAST_S, usual_s)

    @property
    def wants_witness(self) -> bool:
        """Whether the next call that is given up is to be left under way."""
        return self.n_given_up >= self.next_witness


class Patient(Layer):
    """Gives a call up that takes much longer than its model's last answers, and waits for some to the end."""

    def __init__(self, provider: Provider, *, most_s: float) -> None:
        """`most_s` is the deadline that the provider keeps by itself."""
        super().__init__(provider)
        self._most_s = most_s
        self._numbers = itertools.count()
        self._models: dict[str, _Model] = {}
        self._left: set[asyncio.Future[Completion]] = set()

    async def complete(self, prompt: Prompt, call: Call = PLAIN) -> Completion:
        """Return the provider's completion.

        Raises:
            GivenUp: it did not come in time.
        """
        model = self._models.setdefault(prompt.model, _Model())
        clock = asyncio.get_running_loop().time
        scope = asyncio.timeout(None)
        waiting = _Waiting(clock(), next(self._numbers), scope, call.times)
        answer = asyncio.ensure_future(self._provider.complete(prompt, call))
        is_left = False
        try:
            async with scope:
                model.waiting[waiting] = None
                self._look(model, waiting)
                completion = await asyncio.shield(answer)
        except TimeoutError:
            if not scope.expired():
                raise
            is_left = model.wants_witness and not waiting.times
            if is_left:
                model.next_witness = NEXT_WITNESS * model.n_given_up
                self._leave(model, waiting, answer)
            model.n_given_up += 1
            model.given_up.append(True)
            after_s = clock() - waiting.began
            raise self._given_up(
                prompt.model, model, waiting, after_s=after_s, witness=answer if is_left else None
            ) from None
        finally:
            del model.waiting[waiting]
            if waiting.look is not None:
                waiting.look.cancel()
            if not is_left and not answer.done():
                answer.cancel()
                await asyncio.gather(answer, return_exceptions=True)
        self._learn(model, waiting, completion)
        return completion

    async def aclose(self) -> None:
        """Close the provider; what is still under way is dropped."""
        for call in self._left:
            call.cancel()
        await asyncio.gather(*self._left, return_exceptions=True)
        await self._provider.aclose()

    def _leave(self, model: _Model, waiting: _Waiting, call: asyncio.Future[Completion]) -> None:
        """Learn from a call whose question is asked again whether it would have been answered."""

        def learn(call: asyncio.Future[Completion]) -> None:
            self._left.discard(call)
            if not call.cancelled() and call.exception() is None:
                self._learn(model, waiting, call.result())

        self._left.add(call)
        call.add_done_callback(learn)

    def _look(self, model: _Model, waiting: _Waiting) -> None:
        """Give a call up whose time is over, or look again when it is."""
        loop = asyncio.get_running_loop()
        if waiting.look is not None:
            waiting.look.cancel()
            waiting.look = None
        usual_s = model.usual_s
        if usual_s is None or (waiting.times or 1) * usual_s >= self._most_s:
            return
        until = waiting.began + (waiting.times or 1) * usual_s
        if loop.time() < until:
            waiting.look = loop.call_at(until, self._look, model, waiting)
        else:
            waiting.scope.reschedule(loop.time())

    def _learn(self, model: _Model, waiting: _Waiting, completion: Completion) -> None:
        usual_s = model.usual_s
        is_late = usual_s is not None and completion.latency_s > usual_s
        model.latencies.append(completion.latency_s)
        model.given_up.append(False)
        model.n_answers += 1
        model.latest = max(model.latest, waiting.number)
        if is_late:  # what was given up may have been slow, and not hung
            model.given_up.clear()
            model.n_given_up, model.next_witness = 0, FIRST_WITNESS
        if len(model.latencies) in LOOKS and model.n_answers == len(model.latencies):
            for each in list(model.waiting):
                self._look(model, each)

    def _given_up(
        self,
        name: str,
        model: _Model,
        waiting: _Waiting,
        *,
        after_s: float,
        witness: asyncio.Future[Completion] | None,
    ) -> GivenUp:
        # Where a later call was answered, or calls have hung before among quick answers, the model has not become slow.
        is_alone = model.latest > waiting.number or sum(model.given_up) >= AGAIN
        times = max(1.0, 2 * waiting.times) if is_alone else math.inf
        next_s = min(self._most_s, times * (model.usual_s or math.inf))
        return GivenUp(
            f"no answer of {name!r} within {after_s:.0f} s, where the slowest of its last"
            f" {len(model.latencies):,} took {max(model.latencies):.0f} s; it is asked again with {next_s:.0f} s",
            times=times,
            witness=witness,
        )
