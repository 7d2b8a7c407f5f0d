"""The places of one account: how many calls may be under way, and which calls wait for a place.

While the server refuses calls because too many are under way, there are fewer places; later there are more again.
Some refusals do not depend on the number of calls: if fewer places do not help, the full number is restored.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agentsim.providers.limits.in_time import InTime

__all__ = ["OnWidth", "Places", "Width"]

OnWidth = Callable[[int], None]
"""Called with the number of places whenever it has changed."""

WINDOW: Final = 30
"""The fewest outcomes by which a number of places is judged."""
CLEAN: Final = 0.03
"""A smaller share of refusals is not a sign of too many calls."""
SHRINK: Final = 0.75
"""Too many places are multiplied by this."""
PROBE_REFUSALS: Final = 3
"""Refusals that end the trial of one more place."""
MOST_PATIENCE: Final = 16
"""The most clean windows that are waited for before a number of places at which calls were refused is tried again."""
UNANSWERED: Final = 4
"""Before the first answer, this many times as many refusals are awaited, because answers take longer than refusals."""
HOLD: Final = 20
"""After fewer places did not help, how many windows pass before they are tried again; doubles each time."""


@dataclass
class _Window:
    """The outcomes of calls made while the number of places was the same."""

    limit: int
    width: int = 0
    """The most places that were in use, at most the limit."""
    n: int = 0
    n_refused: int = 0
    answered_s: float = 0.0
    refused_s: float = 0.0
    """Seconds for which answered and refused calls held their places, including the rest after a refusal."""

    @property
    def refused(self) -> float:
        """Share of calls refused."""
        return self.n_refused / self.n

    @property
    def useful(self) -> float:
        """Share of the places' time that was spent on answered calls."""
        return self.answered_s / (self.answered_s + self.refused_s) if self.answered_s else 0.0

    def is_better_than(self, wider: _Window) -> bool:
        """Whether fewer places have helped: far fewer refusals, or better use of each place."""
        fair = 1 + (wider.width / max(1, self.width) - 1) / 2
        return self.refused <= wider.refused / 2 or self.useful >= wider.useful * fair


class Width:
    """Finds the number of places, at most `most`, from refusals; reads no clock and makes no call wait."""

    def __init__(self, most: int, *, on_change: OnWidth | None = None) -> None:
        self.limit = most
        self._most = most
        self._on_change = on_change
        self._window = _Window(most)
        self._wider: _Window | None = None
        """The window after which the places became fewer; later windows are compared with it."""
        self._clean: int | None = None
        """The latest number of places at which (almost) no call was refused."""
        self._ceiling = most + 1
        """The smallest number of places known to be too many."""
        self._patience = 1
        self._n_clean = 0
        self._step = 1
        self._n_futile = 0
        self._n_held = 0
        self._hold = HOLD

    @property
    def window(self) -> object:
        """The open window: an outcome counts only in the window in which its call was sent."""
        return self._window

    def count(self, window: object, *, in_use: int, seconds: float, is_refused: bool) -> None:
        """Count one call's outcome, for which it held its place `seconds` long."""
        now = self._window
        if window is not now:
            return
        now.n += 1
        now.n_refused += is_refused
        now.width = max(now.width, min(in_use, now.limit))
        if is_refused:
            now.refused_s += seconds
        else:
            now.answered_s += seconds
        is_trial = self._clean is not None and now.limit > self._clean
        if (
            now.n >= max(WINDOW, 2 * now.limit)
            or now.n_refused >= max(8, now.limit) * (1 if now.answered_s else UNANSWERED)
            or (is_trial and now.n_refused >= PROBE_REFUSALS)
        ):
            self._close(now)

    def begin_anew(self) -> None:
        """Forget the outcomes so far: the number of calls under way changed for a reason other than refusals."""
        self._window = _Window(self.limit)

    def _close(self, window: _Window) -> None:
        if window.refused < CLEAN:
            self._set(self._grown(window))
        elif self._n_held:
            self._n_held -= 1
            self._set(window.limit)
        else:
            self._set(self._shrunk(window))

    def _grown(self, window: _Window) -> int:
        limit = window.limit
        self._wider, self._n_futile = None, 0
        self._n_clean = self._n_clean + 1 if self._clean == limit else 1
        self._clean = limit
        if limit >= self._ceiling:  # no longer too many
            self._ceiling, self._patience, self._step = self._most + 1, 1, 1
        if limit + 1 >= self._ceiling:
            return limit + 1 if self._n_clean >= self._patience else limit
        grown = min(limit + self._step, self._ceiling - 1)
        self._step *= 2
        return grown

    def _shrunk(self, window: _Window) -> int:
        self._step, self._n_clean = 1, 0
        if self._clean is not None and window.limit > self._clean:
            if window.limit >= self._ceiling:
                self._patience = min(MOST_PATIENCE, 2 * self._patience)
            self._ceiling = window.limit
            return self._clean
        if self._wider is not None and not window.is_better_than(self._wider):
            self._n_futile += 1
            if self._n_futile == 2:  # refusals do not depend on the number of places
                self._wider, self._clean, self._n_futile = None, None, 0
                self._ceiling, self._n_held, self._hold = self._most + 1, self._hold, 2 * self._hold
                return self._most
        else:
            self._n_futile = 0
        if self._wider is None or not self._wider.useful:
            self._wider = window
        self._clean = None
        self._ceiling = max(2, window.width)
        return max(1, int(SHRINK * window.width))

    def _set(self, limit: int) -> None:
        limit = min(limit, self._most)
        is_new = limit != self.limit
        self.limit = limit
        self._window = _Window(self.limit)
        if is_new and self._on_change is not None:
            self._on_change(self.limit)


class Places:
    """Hands out places: to the call with the longest chain behind it first (`Call.n_after`), then in order of arrival.

    A cancelled call gives its place back. The place of a refused call rests for as long as the server asked, so that
    the calls in the queue are not all sent into refusals.
    """

    def __init__(self, most: int, *, on_width: OnWidth | None = None, in_time: InTime | None = None) -> None:
        self.width = Width(most, on_change=on_width)
        self._in_time = in_time
        self.n_in_use = 0
        """Places taken or resting."""
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        """A heap of waiting calls: minus `n_after`, number of arrival, and the future that grants the place."""
        self._arrivals = itertools.count()

    async def take(self, n_after: int = 0) -> None:
        """Wait for a place; `n_after` calls must still follow, one after the other."""
        if self._is_free and not self._waiting:
            self.n_in_use += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (-n_after, next(self._arrivals), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._free()
            raise

    def leave(self, *, rest_s: float = 0.0) -> None:
        """Give a place back, at once or after it has rested."""
        if rest_s > 0:
            asyncio.get_running_loop().call_later(rest_s, self._free)
        else:
            self._free()

    @property
    def _is_free(self) -> bool:
        """Whether a place is neither taken nor resting."""
        limit = self.width.limit if self._in_time is None else min(self.width.limit, self._in_time.limit)
        return self.n_in_use < limit

    def _free(self) -> None:
        self.n_in_use -= 1
        self._wake()

    def _wake(self) -> None:
        while self._waiting and self._is_free:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                self.n_in_use += 1
                turn.set_result(None)
