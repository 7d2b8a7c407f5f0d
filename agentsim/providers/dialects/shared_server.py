"""One llama.cpp server for all processes on this machine that use the same model with the same settings.

llama.cpp slows down beside other work on its cores (see `CALM_THREADS`), such as a second server. So the first process
that needs a model starts a server, which belongs to nobody: it ends when the last process that uses it has ended,
however that ends. All is said by locks, which the system frees with the process that holds them:

<temporary folder>/agentsim-<user>/<settings>/users     shared by the processes that use the server
                                              starting  held while one of them starts it
                                              server    held by the server; its address and key, once it is ready
                                              ended     the code with which it ended
                                              log       of llama.cpp
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import IO, Any, Final

from agentsim.errors import ModelFileError

__all__ = ["Place", "Serving", "join"]

CALM_THREADS: Final = {"GOMP_SPINCOUNT": "2000"}
"""How long llama.cpp's threads spin before they sleep. Measured on two cores with SmolLM2-135M, tokens a second, alone
and beside one busy core: 0 spins 40 and 55, 2000 spins 114 and 18, the default of 300,000 spins 123 and 1."""
START_TIMEOUT_S: Final = 300.0
POLL_S: Final = 0.05
CODE_TIMEOUT_S: Final = 1.0
TAIL_BYTES: Final = 1000


@dataclass(frozen=True)
class Serving:
    """A server that is ready to answer."""

    url: str
    """Its root address, under which `/v1` is."""
    api_key: str = field(repr=False)
    pid: int


@dataclass(frozen=True)
class Place:
    """The folder of a server, and this process's lock on its users."""

    folder: Path
    users: IO[str]

    def serving(self) -> Serving | None:
        """Return the server; `None` if none lives, or it is not ready."""
        if not self.is_taken():
            return None
        said = (self.folder / "server").read_text("utf-8")
        return Serving(**json.loads(said)) if said.endswith("\n") else None

    def is_taken(self) -> bool:
        """Whether a server lives, ready or not."""
        with (self.folder / "server").open("a", encoding="utf-8") as file:
            return not _locks(file, fcntl.LOCK_SH)

    async def how_it_ended(self) -> str:
        """Return the code with which the server ended, and the end of its log, as the end of a sentence."""
        code = ""
        with suppress(TimeoutError):
            async with asyncio.timeout(CODE_TIMEOUT_S):
                while not code.strip():
                    await asyncio.sleep(POLL_S)
                    with suppress(FileNotFoundError):
                        code = (self.folder / "ended").read_text("utf-8")
        with suppress(FileNotFoundError), (self.folder / "log").open("rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - TAIL_BYTES))
            tail = log.read().decode("utf-8", "replace").strip()
            return f"ended with code {code.strip() or 'unknown'}; its log ends {tail!r}"
        return f"ended with code {code.strip() or 'unknown'}"

    def leave(self) -> None:
        """Use the server no longer; it ends if nobody else uses it."""
        self.users.close()


async def join(settings: Mapping[str, Any], *, is_own: bool) -> tuple[Place, Serving]:
    """Return the server for these settings: the one that other processes use, or a new one.

    `is_own`: start one that no other process uses.

    Raises:
        ModelFileError: llama.cpp cannot load the model, or files of the server cannot be written.
    """
    try:
        folder = _folder(secrets.token_hex(8) if is_own else _name(settings))
        place = Place(folder, (folder / "users").open("a", encoding="utf-8"))
    except OSError as error:
        why = f"{error.filename}: {error.strerror or error}"
        raise ModelFileError(f"cannot start llama.cpp's server: {why}; name another folder in TMPDIR") from error
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while not _locks(place.users, fcntl.LOCK_SH):  # noqa: ASYNC110 - a server is ending
                await asyncio.sleep(POLL_S)
            while (serving := place.serving()) is None:
                await _start(place, settings, is_own=is_own)
    except TimeoutError:
        place.leave()
        raise ModelFileError(
            f"llama.cpp's server for {settings['model_path']!r} was not ready within {START_TIMEOUT_S:.0f} s; its files"
            f" are in {str(folder)!r}"
        ) from None
    except BaseException:
        place.leave()
        raise
    return place, serving


async def _start(place: Place, settings: Mapping[str, Any], *, is_own: bool) -> None:
    """Start a server and wait until it is ready; if it is being started already, wait a moment.

    Raises:
        ModelFileError: it ended before it was ready.
    """
    with (place.folder / "starting").open("a", encoding="utf-8") as turn:
        if place.is_taken() or not _locks(turn, fcntl.LOCK_EX):
            await asyncio.sleep(POLL_S)
            return
        if place.is_taken():
            return
        with (place.folder / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # modules in this folder have the names of other packages
                str(Path(__file__).with_name("local_server.py")),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, **CALM_THREADS},
                start_new_session=True,  # Ctrl-C in the terminal must not end it while answers are under way
            )
        assert process.stdin is not None and process.stdout is not None
        told = {**settings, "api_key": secrets.token_urlsafe(24), "folder": str(place.folder), "is_own": is_own}
        try:
            process.stdin.write(json.dumps(told).encode() + b"\n")
            process.stdin.close()
            await process.wait()  # it leaves the server behind
            await process.stdout.read()  # until the server is ready or has ended
        except BaseException:
            if process.returncode is None:
                process.kill()
                await process.wait()
            raise
        if not place.is_taken():
            raise ModelFileError(f"llama.cpp cannot serve {settings['model_path']!r}: it {await place.how_it_ended()}")


def _locks(file: IO[str], kind: int) -> bool:
    """Take the lock on a file if it is free; it is freed when the file is closed."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _folder(name: str) -> Path:
    """Return a folder that only this user can enter.

    Raises:
        OSError: it cannot be made, or belongs to somebody else.
    """
    top = Path(tempfile.gettempdir()) / f"agentsim-{os.getuid()}"
    top.mkdir(mode=0o700, exist_ok=True)
    found = top.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(13, "is open to other users", str(top))
    folder = top / name
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _name(settings: Mapping[str, Any]) -> str:
    """Return a name for all that must be the same if a server is to be shared."""
    found = os.stat(settings["model_path"])
    same = {
        **settings,
        "file": [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns],
        "llama.cpp": metadata.version("xllamacpp"),
        "cores": sorted(os.sched_getaffinity(0)),  # jobs with cores of their own have servers of their own
        "network": os.stat("/proc/self/ns/net").st_ino,
        "machine": os.uname().nodename,
    }
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()[:16]
