"""llama.cpp's server as a separate process; a script that imports nothing of agentsim.

It reads one line of JSON from standard input and serves as long as any process holds a lock on the file `users` in its
folder, whoever started it and however these processes end. As long as it lives, it holds a lock on the file `server`,
in which its address and key stand once it is ready. Its log goes to standard error, and the code with which it ended to
the file `ended`.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
import time
from contextlib import suppress
from typing import Any

POLL_S = 0.25
"""Seconds between two looks at whether anybody uses the server."""
LOCK_S = 2.0
"""How long to wait for the lock; another server that was started at the same time may hold it."""


def start(settings: dict[str, Any]) -> Any:
    """Load the model and return the server, which answers on a free loopback port from then on."""
    import xllamacpp  # type: ignore[import-untyped]  # the package has no types

    params = xllamacpp.CommonParams()
    params.model.path = settings["model_path"]
    params.model_alias = {settings["model_name"]}
    params.api_keys = [settings["api_key"]]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = settings["slots"]
    params.n_ctx = settings["slots"] * settings["context"]
    params.cpuparams.n_threads = settings["threads"]
    params.cpuparams_batch.n_threads = settings["threads"]
    params.cache_ram_mib = settings["cache_mib"]
    params.ui = False
    params.verbosity = 2  # warnings and errors; more would add a kilobyte to the log for each call
    return xllamacpp.Server(params)


def lock(path: str, *, within_s: float) -> int | None:
    """Return the open file with its lock; `None` if another process holds the lock for longer than `within_s`."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    until = time.monotonic() + within_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                os.close(file)
                return None
            time.sleep(0.01)
        else:
            return file


def silence() -> None:
    """Close standard output, in whose place nothing else may be opened."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def serve(settings: dict[str, Any], own: int) -> None:
    """Serve until nobody uses the server any more; `own` is the locked file."""
    folder = settings["folder"]
    server = start(settings)
    said = {"url": server.listening_address, "api_key": settings["api_key"], "pid": os.getpid()}
    os.pwrite(own, json.dumps(said).encode() + b"\n", 0)
    silence()  # tells the process that started it
    while lock(os.path.join(folder, "users"), within_s=0) is None:
        time.sleep(POLL_S)
    if settings["is_own"]:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)  # nobody needs the answers under way, and a clean end would wait for them


def main() -> None:
    """Start a server that is nobody's child, and a process that waits for its end and notes the code."""
    settings = json.loads(sys.stdin.readline())
    folder = settings["folder"]
    own = lock(os.path.join(folder, "server"), within_s=LOCK_S)
    if own is None:
        return
    os.ftruncate(own, 0)
    with suppress(FileNotFoundError):
        os.remove(os.path.join(folder, "ended"))
    if os.fork():
        os._exit(0)
    os.chdir("/")
    server = os.fork()
    if server == 0:
        serve(settings, own)
    os.close(own)  # only the server itself holds the lock
    silence()
    _, status = os.waitpid(server, 0)
    with suppress(FileNotFoundError), open(os.path.join(folder, "ended"), "w", encoding="utf-8") as file:
        file.write(f"{os.waitstatus_to_exitcode(status)}\n")


if __name__ == "__main__":
    main()
