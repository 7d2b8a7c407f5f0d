"""Early timeouts: a call is given up once it has taken much longer than any recent answer of its model.

Without them, a call that hangs would cost its whole deadline. The cut-off is a multiple of the slowest recent answer;
the fewer answers are known, the larger the multiple. Once 300 answers are known, and while latency stays as it is,
fewer than 1 answer in 300 is slower than all of them.

Some calls may be slow for a good reason; if all of them were given up, their answers would never be seen. So some are
left under way as witnesses when their questions are asked again: an answered witness shows how long answers take.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from dataclasses import dataclass, field
from typing import Final

from agentsim.errors import Unavailable
from agentsim.providers.base import PLAIN, Call, Completion, Layer, Prompt, Provider
from agentsim.providers.limits.latest import Latencies, Marks

__all__ = ["GivenUp", "Patient"]

WINDOW: Final = 300
"""How many of a model's latest answers are remembered."""
MIN_ANSWERS: Final = 5
"""The fewest answers of a model before a call is given up early."""
MARGIN: Final = 2.0
"""A call is given at least this many times the latency of the slowest answer."""
TAIL: Final = 0.4
"""Exponent of the margin while few answers are known: with n of them, the slowest is multiplied by (300 / n) ** TAIL.

For latencies typical of APIs (lognormal, the slowest 1 % at 8 times the median) the cut-off is then about the same for
every n."""
LEAST_S: Final = 5.0
"""The least cut-off: hiccups of a network or a process are no reason to repeat a call."""
OFTEN: Final = 6
"""If this many of the remembered calls were given up, calls hang again and again."""
OFTEN_MARGIN: Final = 1.25
"""Replaces `MARGIN` when calls hang often."""
AGAIN: Final = 3
"""If this many of the latest calls were given up among answers, the model as a whole has not become slow."""
HONEST: Final = 1 / 20
"""When calls hang often, the number of genuine answers that may be cut off, as a share of the calls that hang."""
FIRST_WITNESS: Final = 1
"""How many calls are given up before one is left under way."""
NEXT_WITNESS: Final = 4
"""Before the next one is, the number of calls given up must have grown by this factor."""
LOOKS: Final = (5, 10, 20, 50, 100)
"""When this many answers are known, calls under way are checked again: they may already have taken too long."""


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
        """By which factor the cut-off is raised for the next call that asks the same question."""


@dataclass(eq=False)
class _Waiting:
    """One call that is waited for."""

    began: float
    number: int
    """Calls are numbered in the order in which they are sent."""
    scope: asyncio.Timeout
    times: float
    """As `Call.times`."""
    look: asyncio.TimerHandle | None = None


@dataclass
class _Model:
    """What is known about one model's answers."""

    latencies: Latencies = field(default_factory=lambda: Latencies(WINDOW))
    waiting: dict[_Waiting, None] = field(default_factory=dict)
    """In the order in which they were sent."""
    n_answers: int = 0
    given_up: Marks = field(default_factory=lambda: Marks(WINDOW))
    """For each of the latest calls, whether it was given up; cleared when an answer takes longer than the cut-off."""
    n_given_up: int = 0
    """Calls given up since then, remembered or not."""
    next_witness: int = FIRST_WITNESS
    latest: int = -1
    """The highest number of a call that was answered."""

    @property
    def usual_s(self) -> float | None:
        """The cut-off: seconds after which no answer is expected any more; `None` while too few answers are known."""
        n = len(self.latencies)
        if n < MIN_ANSWERS:
            return None
        usual_s: float = self.latencies.slowest() * max(MARGIN, (WINDOW / n) ** TAIL)
        n_hung = self.given_up.n_true if self.n_given_up else 0
        if n_hung >= OFTEN:
            n_cut = int(n * HONEST * n_hung / len(self.given_up))
            usual_s = min(usual_s, OFTEN_MARGIN * self.latencies.slowest(n_cut))
        return max(LEAST_S, usual_s)

    @property
    def wants_witness(self) -> bool:
        """Whether the next call that is given up is left under way."""
        return self.n_given_up >= self.next_witness


class Patient(Layer):
    """Gives up calls that take much longer than their model's latest answers, except for a few witnesses."""

    def __init__(self, provider: Provider, *, most_s: float) -> None:
        """`most_s` is the deadline that the provider itself enforces."""
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
        """Close the provider; witnesses that are still under way are cancelled."""
        for call in self._left:
            call.cancel()
        await asyncio.gather(*self._left, return_exceptions=True)
        await self._provider.aclose()

    def _leave(self, model: _Model, waiting: _Waiting, call: asyncio.Future[Completion]) -> None:
        """Leave a call under way, and learn its latency if it is answered."""

        def learn(call: asyncio.Future[Completion]) -> None:
            self._left.discard(call)
            if not call.cancelled() and call.exception() is None:
                self._learn(model, waiting, call.result())

        self._left.add(call)
        call.add_done_callback(learn)

    def _look(self, model: _Model, waiting: _Waiting) -> None:
        """Give a call up if its time is over; otherwise look again when it is."""
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
        if is_late:  # calls that were given up may have been slow rather than hung
            model.given_up.clear()
            model.n_given_up, model.next_witness = 0, FIRST_WITNESS
        if len(model.latencies) in LOOKS and model.n_answers == len(model.latencies):
            for other in list(model.waiting):
                self._look(model, other)

    def _given_up(
        self,
        name: str,
        model: _Model,
        waiting: _Waiting,
        *,
        after_s: float,
        witness: asyncio.Future[Completion] | None,
    ) -> GivenUp:
        # If a later call was answered, or calls have hung among quick answers before, the model as a whole is not slow.
        is_alone = model.latest > waiting.number or model.given_up.n_true >= AGAIN
        times = max(1.0, 2 * waiting.times) if is_alone else math.inf
        next_s = min(self._most_s, times * (model.usual_s or math.inf))
        return GivenUp(
            f"no answer of {name!r} within {after_s:.0f} s, where the slowest of its last"
            f" {len(model.latencies):,} took {model.latencies.slowest():.0f} s; it is asked again with {next_s:.0f} s",
            times=times,
            witness=witness,
        )
