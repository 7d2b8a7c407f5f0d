"""Orders: what each worker of a study is told, as plain values that travel to other machines. No key is among them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agentsim.providers.dialects.hub import is_of_hub
from agentsim.providers.dialects.weights import WEIGHTS, pull
from agentsim.scenario.conditions import Scenario
from agentsim.scenario.loading import load_scenario
from agentsim.scenario.plugins import load_plugin
from agentsim.scenario.runs import runs

__all__ = ["Orders", "embedded"]


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
    pull: bool = False
    """Whether a machine without the weights of an embedded model fetches them; once, however many workers it has."""

    def scenario(self) -> Scenario:
        """Read the plug-ins and the scenario, and fetch what it needs on this machine.

        Raises:
            ScenarioError: one of them is wrong, or not there.
            ModelFileError: weights could not be fetched.
        """
        for path in self.plugins:
            load_plugin(path)
        scenario = load_scenario(self.file, sets=self.sets, model=self.model, seeds=self.seeds)
        if self.pull:
            for name in embedded(scenario):
                pull(name)
        return scenario


def embedded(scenario: Scenario) -> list[str]:
    """Return the models that a scenario plays and that can be fetched, embedded or from a hub, by their short names."""
    named = dict.fromkeys(player.model for spec in runs(scenario) for player in spec.condition.by_label.values())
    return [model.removeprefix("local/") for model in named if _is_fetched(model.removeprefix("local/"))]


def _is_fetched(name: str) -> bool:
    return name in WEIGHTS or is_of_hub(name)
