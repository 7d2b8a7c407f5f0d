"""Virtual time: an event loop in which hours pass in seconds, because nothing but waiting takes time."""

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
    """Lets no time pass but that which someone waits for."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("everything waits for something that never comes")
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
        """Do at once what a thread would do; its outcome is there after as long as such work takes."""
        future = self.create_future()
        try:
            tell = partial(future.set_result, func(*args))
        except Exception as error:  # noqa: BLE001 - whoever awaits the thread gets it
            tell = partial(future.set_exception, error)
        self.call_later(self._thread_s, lambda: None if future.done() else tell())
        return future


def virtually(main: Coroutine[Any, Any, T], *, thread_s: float = 0.0) -> T:
    """Run `main` to its end in virtual time, limits of requests a minute included; no real sockets may be waited for.

    Whatever is run on a thread takes `thread_s` seconds, as the sync of a slow disk.

    Raises:
        RuntimeError: everything waits and nothing is left that could go on.
    """
    loop_factory = partial(_VirtualLoop, thread_s=thread_s)
    with asyncio.Runner(loop_factory=loop_factory) as runner, _throttled_by(runner.get_loop().time):
        return runner.run(main)


@contextmanager
def _throttled_by(clock: Callable[[], float]) -> Iterator[None]:
    """Let asyncio-throttle, which reads the system's clock, read this one."""
    module: Any = asyncio_throttle.throttler
    real = module.time
    module.time = SimpleNamespace(monotonic=clock)
    try:
        yield
    finally:
        module.time = real
