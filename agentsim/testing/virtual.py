"""Virtual time: an event loop in which hours pass in seconds, because nothing but waiting takes time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
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

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end in virtual time, limits of requests a minute included; no real sockets may be waited for.

    Raises:
        RuntimeError: everything waits and nothing is left that could go on.
    """
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner, _throttled_by(runner.get_loop().time):
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
