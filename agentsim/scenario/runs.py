"""The runs of a scenario: its grid of conditions, each under all seeds."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import ValidationError

from agentsim.core.games import DonorGame
from agentsim.errors import ScenarioError
from agentsim.scenario.conditions import Condition, Scenario
from agentsim.scenario.messages import translated
from agentsim.scenario.names import condition_names, run_name
from agentsim.scenario.tree import Cell, cells, variations
from agentsim.scenario.yaml_source import Node, dump, node_from

__all__ = ["RunSpec", "Summary", "condition_of", "describe", "note_on", "runs"]


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One run of a study: one condition under one seed."""

    name: str
    """Reads like the condition, as `gpt-4o--depth-3--seed-0`; unique in the study and safe as a folder's name."""
    condition: Condition
    seed: int
    settings: dict[str, Any]
    """The values of the settings that the study varies: path -> value."""


class Summary(NamedTuple):
    """A scenario as resolved: its text, its runs and its questions."""

    yaml: str
    """The whole scenario as resolved, as YAML."""
    runs: list[RunSpec]
    n_requests: int
    """Questions over all runs, if every answer is readable at once."""


def runs(scenario: Scenario) -> list[RunSpec]:
    """Return the scenario's runs, condition by condition, each under all seeds."""
    base = node_from(scenario.model_dump(include=set(Condition.model_fields)), source=scenario.name)
    vary = variations(node_from({"vary": scenario.vary}, source=scenario.name))
    grid = [
        (condition_of(cell), {path: node.plain() for path, node in cell.settings.items()}) for cell in cells(base, vary)
    ]
    names = condition_names([(condition.joint_label, settings) for condition, settings in grid])
    specs = [
        RunSpec(run_name(name, seed=seed), condition, seed, settings)
        for name, (condition, settings) in zip(names, grid, strict=True)
        for seed in scenario.seeds
    ]
    for spec in specs:
        _refuse_overflow(spec)
    return specs


def _refuse_overflow(spec: RunSpec) -> None:
    """Raise `ScenarioError` if agents could come to hold more units than a float can represent."""
    condition, game = spec.condition, spec.condition.game
    numbers = range(1, condition.generations + 1 if game.continuation else 2)
    n_rounds = max(game.n_rounds(spec.seed, generation=number) for number in numbers)
    most = game.log10_most(condition.agents, n_rounds)
    if most > sys.float_info.max_10_exp and isinstance(game, DonorGame):
        raise ScenarioError(
            f"{spec.name}: {n_rounds:,} rounds with game.multiplier {game.multiplier:g} and game.endowment"
            f" {game.endowments[-1]:g} can come to 10^{most:,.0f} units, more than can be counted"
            f" (10^{sys.float_info.max_10_exp}); use fewer game.rounds, or a smaller multiplier or endowment"
        )


def describe(scenario: Scenario) -> Summary:
    """Return the scenario as resolved, its runs, and the number of questions."""
    specs = runs(scenario)
    data = scenario.model_dump(mode="json")
    ordered = {key: data[key] for key in ("name", "description")} | data
    return Summary(dump(ordered), specs, sum(spec.condition.n_requests(spec.seed) for spec in specs))


def condition_of(cell: Cell) -> Condition:
    """Return the condition of one cell of the grid.

    Raises:
        ScenarioError: it is not valid; the message says in which cell.
    """
    assert isinstance(cell.tree.value, dict)
    settings = {key: node for key, node in cell.tree.value.items() if key in Condition.model_fields}
    tree = Node(settings, cell.tree.mark)
    try:
        return Condition.model_validate(tree.plain(), strict=True)
    except ValidationError as error:
        raise translated(error, tree, schema=Condition, note=note_on(cell)) from error


def note_on(cell: Cell) -> str:
    """Return the settings of a cell, in brackets, as errors append them."""
    settings = ", ".join(f"{path}={json.dumps(node.plain())}" for path, node in cell.settings.items())
    return f" (where {settings})" if settings else ""
