"""Ray: workers as actors over the nodes of a cluster, or on this machine alone for the length of a command.

Actors are detached, so that those of a cluster outlive the process that submits them, and each begins to play when it
is made, so that one that Ray makes again on another node plays on. The broker stays with the workers, as it does
without Ray: when it dies, another worker replaces it at once, while an actor of its own would have to be found again at
another address first, and would keep out workers that Ray did not begin.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import re
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from math import ceil
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import Field

from agentsim.disk.durable import replace
from agentsim.errors import AgentsimError, ScenarioError
from agentsim.log.crew import WORKERS
from agentsim.orchestrator.engines.engine import Engine, Workers
from agentsim.orchestrator.engines.orders import Orders
from agentsim.orchestrator.engines.reports import LOG, Reports
from agentsim.orchestrator.engines.worker import work_async

__all__ = ["RayCluster", "check_folder"]

FOLDER: Final = "ray"
"""The folder, beside what workers share, of the actors' logs."""
MARK: Final = "mark"
"""A file by which a node sees that it has the study's folder itself, and not another one at the same path."""
END: Final = "end"
"""A file that ends all workers of the study."""
CONNECT_S: Final = 60.0
"""How long Ray may take to begin or to be found; of itself it would look for a dead cluster for minutes."""
REACH_S: Final = 5.0
BEGIN_S: Final = 30.0
"""How long the first worker is waited for."""
REST_S: Final = 2.0
"""How long the others are waited for after that."""
ANSWER_S: Final = 2.0
"""A worker that does not answer for so long counts as waiting."""
END_S: Final = 900.0
"""How long workers may take to store what is under way."""
LOOK_S: Final = 2.0
STAY_S: Final = 10.0
"""How long a worker that cannot play stays to say why."""
MOST_PENDING: Final = 20
"""How many questions may wait for a worker that has not begun."""
MOST_PATH: Final = 40
"""The longest folder in which Ray's sockets find room: their paths may have 107 bytes."""
STORE_BYTES: Final = 80 * 2**20
"""The least memory that Ray sets aside for objects; workers exchange none."""
ENVIRONMENT: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what later versions do anyway; without it they warn
}


class RayCluster(Engine):
    """Where Ray is, and what each worker gets of it."""

    kind: ClassVar[str] = "ray"

    address: str | None = None
    """`auto`, the cluster that this machine belongs to, or the `host:port` of its head; without one, a Ray of its own
    begins on this machine, and ends with the command."""
    cpus: float = Field(default=1, ge=0)
    """Processor cores of one worker."""
    gpus: float = Field(default=0, ge=0)
    """GPUs of one worker."""
    memory: float | None = Field(default=None, gt=0)
    """Memory of one worker in GB."""
    resources: dict[str, float] = Field(default_factory=dict)
    """What else one worker needs of a node, by the names that the cluster gives it, such as `{fast_disk: 1}`."""
    env: tuple[str, ...] = ()
    """Names of variables of this process's environment that workers get, such as those of keys. The others are those
    of each node."""
    restarts: int = Field(default=5, ge=0)
    """How often a worker begins again, elsewhere if need be, whose process or node died."""
    grows: bool = False
    """Whether the cluster begins nodes when they are asked for, so that workers wait for one that is not there yet."""

    @property
    def ends_with_us(self) -> bool:
        """Whether Ray is this command's own."""
        return self.address is None

    def submit(self, orders: Orders, study: Path, *, workers: int) -> tuple[str, ...]:
        """Begin actors until a study has as many as it shall have; return the names of the new ones.

        Raises:
            ScenarioError: Ray is not installed, or a variable of `env` is not set, or no node is large enough.
            AgentsimError: the cluster is not there, or no actor could begin.
        """
        environ = _chosen(self.env)
        ray = self._connected(n_workers=workers)
        self._check_room(ray)
        folder = study / WORKERS / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        there = self.workers(study).names
        if not there:
            for old in folder.glob("*.failed"):
                old.unlink()
        (folder / END).unlink(missing_ok=True)
        names = [name for name in (f"worker-{n}" for n in range(1, workers + len(there) + 1)) if name not in there]
        begun = {}
        for name in names[: max(0, workers - len(there))]:
            with suppress(ValueError):  # another command has just begun one of this name
                begun[name] = (
                    ray.remote(_Worker)
                    .options(
                        name=name,
                        namespace=str(study),
                        lifetime="detached",
                        num_cpus=self.cpus,
                        num_gpus=self.gpus,
                        memory=None if self.memory is None else self.memory * 1e9,
                        resources=self.resources or None,
                        scheduling_strategy="SPREAD",
                        max_restarts=self.restarts,
                        max_pending_calls=MOST_PENDING,
                    )
                    .remote(orders, folder, name, _mark(folder), environ, is_alone=self.address is None)
                )
        failed = _failed(ray, begun)
        for name, why in failed.items():
            replace(folder / f"{name}.failed", f"{why}\n")
        if failed and len(failed) == len(begun):
            raise AgentsimError(f"no worker could begin: {next(iter(failed.values()))}")
        return tuple(begun)

    def workers(self, study: Path) -> Workers:
        """Return the actors of a study that have not ended.

        Raises:
            ScenarioError: Ray is not installed.
            AgentsimError: the cluster is not there.
        """
        if self.address is None and not _is_connected():
            return Workers()
        asked, waiting, running = {}, [], []
        ray = self._connected()
        for name, actor in _actors(ray, study).items():
            try:
                asked[actor.failure.remote()] = name
            except ray.exceptions.RayError:
                waiting.append(name)
        answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_S) if asked else ([], [])
        waiting += [asked[question] for question in silent]
        for question in answered:
            try:
                ray.get(question)
                running.append(asked[question])
            except ray.exceptions.ActorUnavailableError:
                waiting.append(asked[question])
            except ray.exceptions.RayError:
                continue  # it has just ended
        return Workers(tuple(sorted(running)), tuple(sorted(waiting)))

    def how_to_end(self, study: Path) -> str:
        """Return the command that ends all workers of a study; they store what is under way."""
        return f"touch {study / WORKERS / FOLDER / END}"

    def end(self, study: Path) -> None:
        """Let all workers store what is under way, and wait until they have ended."""
        if not _is_connected():
            return
        (study / WORKERS / FOLDER / END).touch()
        until = time.monotonic() + END_S
        while self.workers(study).names and time.monotonic() < until:
            time.sleep(LOOK_S / 4)

    def failures(self, study: Path) -> tuple[str, ...]:
        """Return why workers broke off, each reason once."""
        texts = (path.read_text(encoding="utf-8").strip() for path in (study / WORKERS / FOLDER).glob("*.failed"))
        return tuple(sorted(set(texts)))

    def _connected(self, *, n_workers: int = 1) -> Any:
        """Return the package, connected."""
        os.environ.update({name: value for name, value in ENVIRONMENT.items() if name not in os.environ})
        if self.address is None and not _is_connected():
            os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))  # read at the import
        try:
            import ray  # an extra
        except ImportError as error:
            raise ScenarioError(
                "Ray needs the package ray; install it with `pip install 'agentsim-lab[ray]'`"
            ) from error
        if ray.is_initialized():
            return ray
        if self.address is None:
            folder = _short_folder()
            atexit.register(_end, ray, folder)
            n_cpus = max(os.cpu_count() or 1, ceil(n_workers * self.cpus))
            own = {"num_cpus": n_cpus, "object_store_memory": STORE_BYTES, "_temp_dir": str(folder)}
            _begin(ray, {"address": "local", "include_dashboard": False, **own}, where="on this machine")
        else:
            _check_reachable(self.address)
            _begin(ray, {"address": self.address}, where=f"at {self.address}")
        return ray

    def _check_room(self, ray: Any) -> None:
        """Check that one node at least is large enough for a worker.

        Raises:
            ScenarioError: none is, so the workers would wait for ever.
        """
        if self.grows:
            return
        needs = {"CPU": self.cpus, "GPU": self.gpus, "memory": (self.memory or 0) * 1e9, **self.resources}
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(all(node.get(name, 0) >= amount for name, amount in needs.items()) for node in nodes):
            told = ", ".join(f"{name} {amount:g}" for name, amount in needs.items() if amount)
            raise ScenarioError(
                f"no node of this Ray can hold a worker that needs {told}; ask for less with --job, or say"
                " --job grows=true if the cluster begins nodes when they are asked for"
            )


class _Worker:
    """What runs in an actor: a worker on a thread, so that the actor can be asked."""

    def __init__(
        self, orders: Orders, folder: Path, name: str, mark: str, environ: Mapping[str, str], *, is_alone: bool
    ) -> None:
        import ray

        os.environ.update(environ)
        self._orders = orders
        self._folder = folder
        self._name = name
        self._mark = mark
        self._node = ray.util.get_node_ip_address()
        self._host = None if is_alone else self._node
        self._actor = ray.get_runtime_context().current_actor
        self._failure = ""
        threading.Thread(target=self._to_its_end, name="agentsim-worker", daemon=True).start()

    def failure(self) -> str:
        """Return why nothing can be played here; empty if it can."""
        return self._failure

    def _to_its_end(self) -> None:
        import ray

        try:
            check_folder(self._folder, self._mark, node=self._node)
            handler = logging.FileHandler(self._folder / f"{self._name}.log", encoding="utf-8")
            handler.setFormatter(logging.Formatter(f"%(asctime)s {self._node} %(message)s"))
            LOG.addHandler(handler)
            LOG.setLevel(logging.INFO)
            LOG.propagate = False  # Ray would keep a second log
            LOG.info("worker begun")
            asyncio.run(self._play())
        except AgentsimError as error:
            self._fail(str(error))
        except Exception as error:  # noqa: BLE001 - nobody else is there to tell it
            LOG.exception("broken off")
            self._fail(f"{type(error).__name__}: {error}")
        finally:
            ray.kill(self._actor, no_restart=True)

    async def _play(self) -> None:
        orders = self._orders
        playing = asyncio.ensure_future(
            work_async(orders.scenario(), results=orders.results, observer=Reports(), host=self._host)
        )
        while not (await asyncio.wait({playing}, timeout=LOOK_S))[0]:
            if (self._folder / END).exists() and not playing.cancelling():
                LOG.info("told to end")
                playing.cancel()
        with suppress(asyncio.CancelledError):
            LOG.info("complete" if (await playing).is_complete else "not complete")

    def _fail(self, why: str) -> None:
        self._failure = f"worker on {self._node}: {why}"
        LOG.error(why)
        with suppress(OSError):
            if self._folder.is_dir():
                replace(self._folder / f"{self._name}.failed", f"{self._failure}\n")
        time.sleep(STAY_S)


def _is_connected() -> bool:
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def _begin(ray: Any, settings: Mapping[str, Any], *, where: str) -> None:
    """Connect to a Ray, or begin one.

    Raises:
        AgentsimError: it does not come.
    """
    failures: list[BaseException] = []

    def connect() -> None:
        try:
            ray.init(**settings, log_to_driver=False, logging_level=logging.ERROR)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it exits where it looked for a cluster in vain
            failures.append(error)

    if settings["address"] == "local":
        is_main = threading.current_thread() is threading.main_thread()
        handler = signal.getsignal(signal.SIGTERM)
        connect()  # what it begins ends with the thread that began it
        if is_main:
            signal.signal(signal.SIGTERM, signal.SIG_DFL if handler is None else handler)  # it puts its own there
    else:
        connecting = threading.Thread(target=connect, daemon=True)
        connecting.start()
        connecting.join(CONNECT_S)
        if connecting.is_alive():
            raise AgentsimError(f"Ray {where} does not answer within {CONNECT_S:g} s")
    if failures:
        raise AgentsimError(f"there is no Ray {where}: {_sentence(failures[0])}") from failures[0]


def _check_reachable(address: str) -> None:
    """Check that something listens at an address.

    Raises:
        ScenarioError: it is no address.
        AgentsimError: nothing does.
    """
    if address in ("auto", "local"):
        if address == "local":
            raise ScenarioError("--job address=local: leave the address out to begin a Ray on this machine")
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        raise ScenarioError(
            f"--job address={address}: write auto, on a machine of the cluster, or host:port of its head, such as"
            " 10.0.0.1:6379"
        )
    try:
        socket.create_connection((host, int(port)), timeout=REACH_S).close()
    except (OSError, OverflowError) as error:
        raise AgentsimError(
            f"there is no Ray at {address} ({error}); `ray status` on a machine of the cluster says where its head is"
        ) from error


def _short_folder() -> Path:
    """Return a new folder for what a Ray of our own writes."""
    place = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="ray", dir=place if len(place) < MOST_PATH - len("/ray12345678") else "/tmp"))


def _end(ray: Any, folder: Path) -> None:
    """End a Ray of our own, and remove what it has written."""
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


def _chosen(names: tuple[str, ...]) -> dict[str, str]:
    """Return variables of the environment.

    Raises:
        ScenarioError: one is not set.
    """
    if missing := [name for name in names if name not in os.environ]:
        raise ScenarioError(f"--job env: {missing[0]} is not set in this environment; set it, or remove it from env")
    return {name: os.environ[name] for name in names}


def _mark(folder: Path) -> str:
    """Return what stands in the folder's mark, made if need be."""
    with suppress(FileExistsError), (folder / MARK).open("x", encoding="ascii") as file:
        file.write(secrets.token_hex(8))
    return (folder / MARK).read_text(encoding="ascii")


def check_folder(folder: Path, mark: str, *, node: str) -> None:
    """Check that a node has the folder in which the mark was written, and not another one at the same path.

    Raises:
        AgentsimError: it does not, so its worker would play a study of its own.
    """
    try:
        found = (folder / MARK).read_text(encoding="ascii")
    except OSError:
        found = ""
    if found != mark:
        raise AgentsimError(
            f"the node {node} does not have the study's folder {folder.parents[1]}: all nodes need the same folder at"
            " the same path, such as one on NFS"
        )


def _actors(ray: Any, study: Path) -> dict[str, Any]:
    """Return the actors of a study that have not ended, by name."""
    found = {}
    for actor in ray.util.list_named_actors(all_namespaces=True):
        if actor["namespace"] == str(study):
            with suppress(ValueError):  # it has just ended
                found[actor["name"]] = ray.get_actor(actor["name"], namespace=str(study))
    return found


def _failed(ray: Any, begun: Mapping[str, Any]) -> dict[str, str]:
    """Wait for new workers to begin; return why some cannot. Not all are waited for: there may be no room yet."""
    questions = {actor.failure.remote(): name for name, actor in begun.items()}
    left, until = list(questions), time.monotonic() + BEGIN_S
    done: list[Any] = []
    while left and not done and time.monotonic() < until:
        done, left = ray.wait(left, timeout=ANSWER_S)
    if left and done:
        more, left = ray.wait(left, num_returns=len(left), timeout=REST_S)
        done += more
    failed = {}
    for question in done:
        try:
            why = ray.get(question) or ray.get(begun[questions[question]].failure.remote(), timeout=ANSWER_S)
        except ray.exceptions.RayError as error:
            why = _sentence(error)
        if why:
            failed[questions[question]] = why
    return failed


def _sentence(error: BaseException) -> str:
    """Return the last line of what Ray says, which names the reason."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    return text.splitlines()[-1].strip() if text else type(error).__name__
