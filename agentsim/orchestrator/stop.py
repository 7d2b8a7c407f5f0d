"""How a study is stopped: by Ctrl-C, a notebook's stop button, a signal or a cancelled task, always in the same order.

The first time, nothing more is asked, and calls in flight still come in and are stored. The second time, they are
dropped.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from typing import Final, Protocol, TypeVar

__all__ = ["DRAINED", "INTERRUPTED", "Stop", "on_signals", "to_its_end", "unless_cancelled"]

Played = TypeVar("Played")

INTERRUPTED: Final = "interrupted"
"""Why a study stops that its user stopped."""
DRAINED: Final = "its worker's time was up; any worker continues it"
"""Why runs stop whose worker has to end, and not the study."""
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOOK_S: Final = 0.2
"""How often a waiting main thread wakes. Only it handles signals, but another thread may have received one."""


class _OnInterrupt(Protocol):
    def __call__(self, *, is_at_once: bool) -> None: ...


class Stop:
    """Whether and why a study has to stop. Used only on the study's event loop."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.is_interrupt = False
        self._on_stop: list[Callable[[], None]] = []
        self._on_interrupt: list[_OnInterrupt] = []
        self.event = asyncio.Event()
        self.now = asyncio.Event()
        """Set when not even the calls in flight are waited for."""

    def register(self, *, on_stop: Callable[[], None], on_interrupt: _OnInterrupt) -> None:
        """Register callbacks, called in the order of registration, and at once for stops that have already happened.

        Args:
            on_stop: called at each reason to stop, to hold back calls that have not been made yet.
            on_interrupt: called each time the user asks to stop; `is_at_once` from the second time on.
        """
        self._on_stop.append(on_stop)
        self._on_interrupt.append(on_interrupt)
        if self.event.is_set():
            on_stop()
        if self.is_interrupt:
            on_interrupt(is_at_once=self.now.is_set())

    def interrupt(self) -> None:
        """Stop because the user asks for it; asked a second time, do not even wait for calls in flight."""
        is_at_once, self.is_interrupt = self.is_interrupt, True
        if is_at_once:
            self.now.set()
        self.stop(INTERRUPTED)
        for tell in self._on_interrupt:
            tell(is_at_once=is_at_once)

    def drain(self) -> None:
        """Stop because this process has to end soon; what is open is left to others."""
        self.stop(DRAINED)

    def stop(self, reason: str) -> None:
        """Let nothing more be asked; the first reason counts."""
        self.reason = self.reason or reason
        self.event.set()
        for tell in self._on_stop:
            tell()


def to_its_end(play: Callable[[Stop], Awaitable[Played]]) -> Played:
    """Run `play` with a stop, in a script or beside a notebook's event loop; signals stop it in an orderly way.

    Raises:
        KeyboardInterrupt: it was interrupted in a notebook, so that the cell does not continue with half a study. In a
            script, the result is returned and says how its runs ended.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        is_beside = False
    else:
        is_beside = True
    return _beside(play) if is_beside else asyncio.run(_playing(play))


async def _playing(play: Callable[[Stop], Awaitable[Played]]) -> Played:
    stop, loop = Stop(), asyncio.get_running_loop()
    with on_signals(lambda number: loop.call_soon_threadsafe(stop.interrupt)):
        return await play(stop)


def _beside(play: Callable[[Stop], Awaitable[Played]]) -> Played:
    """Run `play` on a new thread; an interruption of this thread stops it."""
    signals: list[int] = []
    interrupts: list[Callable[[], object]] = []
    """How to tell the study, once it has begun."""

    async def playing() -> Played:
        stop, loop = Stop(), asyncio.get_running_loop()
        interrupts.append(lambda: loop.call_soon_threadsafe(stop.interrupt))
        if signals:
            stop.interrupt()
        return await play(stop)

    def interrupt(number: int) -> None:
        signals.append(number)
        for tell in interrupts:
            with suppress(RuntimeError):  # its loop is closed, so it has ended
                tell()

    with ThreadPoolExecutor(1, thread_name_prefix="agentsim-run") as thread, on_signals(interrupt):
        played = thread.submit(asyncio.run, playing())
        try:
            while not wait([played], timeout=LOOK_S).done:
                pass
            result = played.result()
        except BaseException:
            if not played.done():  # something other than a signal interrupted this thread
                interrupt(signal.SIGINT)
                wait([played])
            raise
    if signals:
        if signals[0] != signal.SIGINT:
            signal.raise_signal(signals[0])  # do what the signal does when no study is running
        raise KeyboardInterrupt("the study was stopped; run it again to continue")
    return result


async def unless_cancelled(play: Callable[[Stop], Awaitable[Played]]) -> Played:
    """Await `play` with a stop; if this task is cancelled, stop it in an orderly way first.

    Raises:
        CancelledError: the task was cancelled; calls in flight have come in, or were dropped by a second cancellation
            or a Ctrl-C.
    """
    stop, loop = Stop(), asyncio.get_running_loop()
    task = asyncio.ensure_future(play(stop))
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        with on_signals(lambda number: loop.call_soon_threadsafe(stop.interrupt), numbers=(signal.SIGINT,)):
            while not task.done():
                stop.interrupt()
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # retrieved and dropped; what counts is that this task was cancelled
        raise
    return await task


@contextmanager
def on_signals(tell: Callable[[int], object], *, numbers: tuple[int, ...] = SIGNALS) -> Iterator[None]:
    """Replace signal handlers by `tell`; does nothing on threads other than the main one.

    A hang-up that is ignored, as under `nohup`, stays ignored. A terminal that closes may hang up several times, so a
    repeated hang-up never counts as a second request.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = {number: signal.getsignal(number) for number in numbers}
    if earlier.get(signal.SIGHUP) is signal.SIG_IGN:
        del earlier[signal.SIGHUP]
    n_told = 0

    def handle(number: int, _: object) -> None:
        nonlocal n_told
        if number != signal.SIGHUP or not n_told:
            n_told += 1
            tell(number)

    for number in earlier:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
