"""Orders: what each worker of a study is told, as plain values that travel to other machines. No key is among them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agentsim.scenario.conditions import Scenario
from agentsim.scenario.loading import load_scenario
from agentsim.scenario.plugins import load_plugin

__all__ = ["Orders"]


@dataclass(frozen=True)
class Orders:
    """Which study a worker plays. All paths are absolute, and lead to the same files on every machine."""

    file: Path
    """The scenario's file."""
    results: Path
    """The folder that holds the study's folder."""
    sets: tuple[str, ...] = ()
    """Settings that are changed, as `PATH=VALUE`."""
    model: str | None = None
    seeds: str | None = None
    plugins: tuple[Path, ...] = ()
    """Python files with what the user has added."""

    def scenario(self) -> Scenario:
        """Read the plug-ins and the scenario.

        Raises:
            ScenarioError: one of them is wrong, or not there.
        """
        for path in self.plugins:
            load_plugin(path)
        return load_scenario(self.file, sets=self.sets, model=self.model, seeds=self.seeds)
