"""Commands in processes of their own, forked from one that has loaded once what all of them need."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

from agentsim.cli import main

__all__ = ["FORKS", "Started", "start"]

LOADED = ["agentsim.cli", "agentsim.cli.progress", "agentsim.orchestrator.study", "openai", "openai.types", "pandas"]
LOADED += ["tests.warm"]
"""What a run loads: half a second of every command that asks a model; and what tests run there that is no command."""

# Not from the process of the tests, which has threads.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(LOADED)


class Started:
    """A process, as `asyncio.create_subprocess_exec` gives one."""

    def __init__(self, process: ForkServerProcess, stdout: asyncio.StreamReader) -> None:
        self._process = process
        self.stdout = stdout

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()

    async def wait(self) -> int:
        await asyncio.to_thread(self._process.join)
        assert self.returncode is not None
        return self.returncode

    async def communicate(self) -> tuple[bytes, None]:
        output = await self.stdout.read()
        await self.wait()
        return output, None


async def start(*arguments: str, environ: Mapping[str, str]) -> Started:
    """Begin `agentsim` with these arguments; what it prints and complains of comes in one stream."""
    ours, its = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=_run, args=(arguments, dict(environ), its))
    process.start()
    its.close()
    stdout = asyncio.StreamReader()
    pipe = os.fdopen(os.dup(ours.fileno()), "rb")
    ours.close()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdout), pipe)
    return Started(process, stdout)


def _run(arguments: tuple[str, ...], environ: dict[str, str], output: Connection) -> None:
    for number in (1, 2):
        os.dup2(output.fileno(), number)
    output.close()
    sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115
    sys.argv = ["agentsim", *arguments]
    os.environ.clear()
    os.environ.update(environ)
    main()
