"""What every engine can do."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from agentsim.core.facts import Frozen
from agentsim.log.crew import one_at_a_time
from agentsim.orchestrator.engines.orders import Orders
from agentsim.orchestrator.opening import open_study

__all__ = ["Engine", "Workers", "opened"]


@dataclass(frozen=True)
class Workers:
    """The workers of a study that have not ended, by what their engine calls them."""

    running: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    """Those that have not begun yet, or that wait to begin again."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all of them."""
        return (*self.running, *self.waiting)

    def __str__(self) -> str:
        return f"{len(self.running)} running, {len(self.waiting)} waiting"


class Engine(Frozen):
    """Lets workers play a study elsewhere. Its fields are its settings."""

    kind: ClassVar[str]
    """What it is called."""

    @property
    def ends_with_us(self) -> bool:
        """Whether its workers end when the process ends that began them, so that this one has to wait for them."""
        return False

    @abstractmethod
    def submit(self, orders: Orders, study: Path, *, workers: int) -> tuple[str, ...]:
        """Begin workers until a study has as many as it shall have; return the names of the new ones.

        Raises:
            ScenarioError: the engine is not here, or not installed.
            AgentsimError: it refuses the workers.
        """

    @abstractmethod
    def workers(self, study: Path) -> Workers:
        """Return the workers of a study that have not ended.

        Raises:
            AgentsimError: the engine does not answer.
        """

    @abstractmethod
    def how_to_end(self, study: Path) -> str:
        """Return the command that ends all workers of a study, or what else ends them."""

    def end(self, study: Path) -> None:
        """End the workers of a study that end with this process, in an orderly way: what is under way is stored."""

    def failures(self, study: Path) -> tuple[str, ...]:
        """Return what workers have said that failed; empty where an engine's own logs say it."""
        return ()


async def opened(orders: Orders, *, new: bool, fork: Path | None) -> Path:
    """Open a study for workers to join, and return its folder; what is wrong with it is said before anybody begins.

    Raises:
        AuthError, ModelFileError, ScenarioError, ReplayMismatch, LogError: as `run_async`.
    """
    scenario = orders.scenario()
    async with one_at_a_time(orders.results / f".{scenario.name}.lock"):
        return open_study(scenario, results=orders.results, new=new, fork=fork, provider=None).folder
