"""Virtual time: an event loop in which only waiting takes time, and waiting for hours takes seconds."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any, TypeVar

import asyncio_throttle.throttler

__all__ = ["virtually"]

T = TypeVar("T")


class _Jumping(selectors.DefaultSelector):
    """A selector that advances time by what is waited for, without waiting."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("all tasks wait for something that never comes")
        self.now += timeout
        return super().select(0)


class _VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is that of its selector."""

    def __init__(self, *, thread_s: float) -> None:
        self._jumping = _Jumping()
        self._thread_s = thread_s
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def run_in_executor(self, executor: object, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Do a thread's work at once; its result is available after the time that such work takes."""
        future = self.create_future()
        try:
            tell = partial(future.set_result, func(*args))
        except Exception as error:  # noqa: BLE001 - the awaiting task gets it
            tell = partial(future.set_exception, error)
        self.call_later(self._thread_s, lambda: None if future.done() else tell())
        return future


def virtually(main: Coroutine[Any, Any, T], *, thread_s: float = 0.0) -> T:
    """Run `main` to its end in virtual time, including limits per minute; it must not wait for real sockets.

    Work on a thread, such as the sync of a slow disk, takes `thread_s` seconds.

    Raises:
        RuntimeError: all tasks wait, and none can continue.
    """
    loop_factory = partial(_VirtualLoop, thread_s=thread_s)
    with asyncio.Runner(loop_factory=loop_factory) as runner, _throttled_by(runner.get_loop().time):
        return runner.run(main)


@contextmanager
def _throttled_by(clock: Callable[[], float]) -> Iterator[None]:
    """Make asyncio-throttle, which reads the system's clock, read this one."""
    module: Any = asyncio_throttle.throttler
    real = module.time
    module.time = SimpleNamespace(monotonic=clock)
    try:
        yield
    finally:
        module.time = real
