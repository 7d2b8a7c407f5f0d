"""The page's server: a shell, a script and a style of our own, events as they come, and details when asked for."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from agentsim.errors import AgentsimError
from agentsim.view.comparing import Comparer
from agentsim.view.guard import Guard, is_loopback
from agentsim.view.listing import Listing
from agentsim.view.study_watch import StudyWatch
from agentsim.view.unfolding import Unfolding

__all__ = ["Viewer", "application", "serve"]

PERIOD_S: Final = 1.0
"""So often logs are looked at while a page is open."""
BEAT_S: Final = 15.0
"""So often a silent stream says that it is alive."""
MAX_SOCIETIES: Final = 6
"""The most societies that are kept in memory."""
FILES: Final = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/script.js": ("script.js", "text/javascript; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


class Viewer:
    """What is known of a folder of studies, read on only while somebody looks."""

    def __init__(self, place: Path, *, plugins: Sequence[Path] = ()) -> None:
        self.listing = Listing(place)
        self.comparer = Comparer(plugins)
        self.is_ending: Callable[[], bool] = lambda: False
        self._watches: dict[str, StudyWatch] = {}
        self._societies: OrderedDict[tuple[str, str], Unfolding] = OrderedDict()
        self._read_at: dict[object, float] = {}
        self._locks: dict[object, asyncio.Lock] = {}

    def watch(self, study: str) -> StudyWatch | None:
        """Return what is known of a study of the folder."""
        folder = self.listing.folder(study)
        if folder is None:
            return None
        if study not in self._watches or self._watches[study].folder != folder:
            self._watches[study] = StudyWatch(study, folder)
        return self._watches[study]

    def society(self, study: str, run: str) -> Unfolding | None:
        """Return what is known of a run."""
        folder = self.listing.folder(study)
        if folder is None or Path(run).name != run or run in ("", "..") or not (folder / run).is_dir():
            return None
        society = self._societies.pop((study, run), None) or Unfolding(folder / run)
        self._societies[study, run] = society
        while len(self._societies) > MAX_SOCIETIES:
            self._societies.popitem(last=False)
        return society

    async def read(self, what: StudyWatch | Unfolding, on_share: Callable[[float], None] | None = None) -> None:
        """Read what is new, unless somebody has just done so; others are served between the steps."""
        lock = self._locks.setdefault(what, asyncio.Lock())
        async with lock:
            if time.monotonic() - self._read_at.get(what, -PERIOD_S) < 0.9 * PERIOD_S:
                return
            steps: Iterator[float | None] = what.refresh(_now()) if isinstance(what, StudyWatch) else what.refresh()
            for share in steps:
                if on_share is not None and share is not None:
                    on_share(share)
                await asyncio.sleep(0)
            self._read_at[what] = time.monotonic()


def application(viewer: Viewer) -> Starlette:
    """Return the page's application, as yet without its guard."""

    async def file(request: Request) -> Response:
        name, kind = FILES[request.url.path]
        return Response(files("agentsim.view").joinpath(name).read_bytes(), media_type=kind)

    async def studies(request: Request) -> Response:
        return _stream(_listed(viewer))

    async def study(request: Request) -> Response:
        watch = viewer.watch(request.query_params.get("study", ""))
        return _missing("study") if watch is None else _stream(_watched(viewer, watch))

    async def run(request: Request) -> Response:
        asked = request.query_params
        society = viewer.society(asked.get("study", ""), asked.get("run", ""))
        number = asked.get("generation", "")
        generation = int(number) if number.isascii() and number.isdecimal() and len(number) < 7 else None
        return _missing("run") if society is None else _stream(_unfolds(viewer, society, generation or None))

    async def question(request: Request) -> Response:
        asked = request.query_params
        society = viewer.society(asked.get("study", ""), asked.get("run", ""))
        if society is None:
            return _missing("run")
        await viewer.read(society)
        found = society.question(asked.get("key", ""))
        return _missing("question") if found is None else _json(found)

    async def comparison(request: Request) -> Response:
        watch = viewer.watch(request.query_params.get("study", ""))
        if watch is None:
            return _missing("study")
        await viewer.read(watch)
        by = request.query_params.get("by", "")
        found = await viewer.comparer.compare(
            watch.folder, by, n_complete=watch.n_complete, is_playing=watch.is_playing
        )
        return _json({name: value for name, value in found.items() if name != "next"})

    routes = [Route(path, file) for path in FILES]
    routes += [Route("/live/studies", studies), Route("/live/study", study), Route("/live/run", run)]
    routes += [Route("/question", question), Route("/comparison", comparison)]
    return Starlette(routes=routes)


def _json(content: Any, status: int = 200) -> Response:
    return JSONResponse(content, status_code=status)


def _missing(what: str) -> Response:
    return _json({"problem": f"There is no such {what} in this folder, or not any more."}, 404)


def _stream(events: AsyncIterator[str]) -> Response:
    return StreamingResponse(events, media_type="text/event-stream")


def _event(name: str, content: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(',', ':'))}\n\n"


class _Changes:
    """What has changed since it was last sent on one stream."""

    def __init__(self) -> None:
        self._sent: dict[str, Any] = {}

    def of(self, now: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is new or different, and `None` for what is gone."""
        changed = {name: value for name, value in now.items() if name not in self._sent or self._sent[name] != value}
        changed |= {name: None for name in self._sent if name not in now}
        self._sent = dict(now)
        return changed


async def _ticks(viewer: Viewer) -> AsyncIterator[None]:
    while not viewer.is_ending():
        yield
        await asyncio.sleep(PERIOD_S)


async def _listed(viewer: Viewer) -> AsyncIterator[str]:
    changes, silent = _Changes(), 0.0
    async for _ in _ticks(viewer):
        changed = changes.of({"studies": viewer.listing.rows(_now()), "place": str(viewer.listing.place)})
        silent = 0.0 if changed else silent + PERIOD_S
        if changed:
            yield _event("studies", changed)
        elif silent >= BEAT_S:
            silent = 0.0
            yield ": alive\n\n"


async def _watched(viewer: Viewer, watch: StudyWatch) -> AsyncIterator[str]:
    numbers, cells, silent = _Changes(), _Changes(), 0.0
    reading = asyncio.ensure_future(viewer.read(watch, shares := _Shares()))
    try:
        while not reading.done():  # the first time there may be a gigabyte to read
            await asyncio.wait([reading], timeout=0.3)
            if not reading.done():
                yield _event("reading", shares.last)
        async for _ in _ticks(viewer):
            await viewer.read(watch)
            changed, moved = numbers.of(watch.message()), cells.of(watch.cells())
            silent = 0.0 if changed or moved else silent + PERIOD_S
            if changed or moved:
                yield _event("study", {"now": _now(), **changed, "cells": moved})
            elif silent >= BEAT_S:
                silent = 0.0
                yield ": alive\n\n"
    finally:
        reading.cancel()


class _Shares:
    def __init__(self) -> None:
        self.last = 0.0

    def __call__(self, share: float) -> None:
        self.last = round(share, 3)


async def _unfolds(viewer: Viewer, society: Unfolding, generation: int | None) -> AsyncIterator[str]:
    numbers, cells, silent = _Changes(), _Changes(), 0.0
    shown: int | None = None
    async for _ in _ticks(viewer):
        await viewer.read(society)
        message = society.message(generation)
        if message["generation"] != shown:
            shown, cells = message["generation"], _Changes()
        changed, moved = numbers.of(message), cells.of(society.cells(generation))
        silent = 0.0 if changed or moved else silent + PERIOD_S
        if changed or moved:
            yield _event("run", {"now": _now(), **changed, "cells": moved})
        elif silent >= BEAT_S:
            silent = 0.0
            yield ": alive\n\n"


def serve(
    place: Path, *, host: str, port: int, plugins: Sequence[Path], on_ready: Callable[[str, str | None], None]
) -> None:
    """Serve the page until Ctrl-C; `on_ready` is told its address, and why it has a token if it has one.

    Raises:
        AgentsimError: there is no such folder, or the address cannot be used.
    """
    if not place.is_dir():
        raise AgentsimError(f"{place}: is not a folder; name one that holds studies, such as results")
    listening = _listen(host, port)
    token = None if is_loopback(host) else secrets.token_urlsafe(24)
    viewer = Viewer(place, plugins=plugins)
    guarded = Guard(application(viewer), host=host, token=token)
    config = uvicorn.Config(
        guarded,
        log_level="critical",
        access_log=False,
        lifespan="off",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    viewer.is_ending = lambda: server.should_exit
    shown = host if host not in ("0.0.0.0", "::") else socket.gethostname()
    shown = f"[{shown}]" if ":" in shown else shown
    address = f"http://{shown}:{listening.getsockname()[1]}/" + (f"?token={token}" if token else "")
    on_ready(address, None if token is None else host)
    try:
        server.run(sockets=[listening])
    finally:
        viewer.comparer.close()
        listening.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        [family, kind, number, _, where], *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listening = socket.socket(family, kind, number)
    except (OSError, OverflowError) as error:
        raise AgentsimError(f"--host {host}: is no address of this machine ({error})") from error
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(where)
        listening.listen(64)
    except OSError as error:
        listening.close()
        raise AgentsimError(
            f"port {port} of {host} cannot be used ({error.strerror}); another program may have it: name another with"
            " --port, or --port 0 for any that is free"
        ) from error
    listening.setblocking(False)
    return listening


def _now() -> float:
    """Return the time as logs are stamped with it: it says how long ago something happened, and times nothing."""
    return time.time()
