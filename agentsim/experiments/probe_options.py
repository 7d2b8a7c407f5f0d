"""Turns what a user asks for into a scenario and a probe's design."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from agentsim.core.probe_design import PARTNERS, RECORDS, Design, Subject, grid
from agentsim.errors import ScenarioError
from agentsim.experiments.probe_subjects import chosen, of_levels, of_run, of_texts, parents_of, policy_of, spread
from agentsim.scenario.conditions import Scenario
from agentsim.scenario.loading import load_scenario
from agentsim.scenario.players import ModelPlayer, only_player

__all__ = ["BACKGROUND", "Options", "designed"]

BACKGROUND: Final = "discriminator,constant-share,all-keep"
"""The policies among which children and their parents are scored by default."""
MAX_NAME: Final = 64
"""The most characters of a folder's name, as of a scenario's."""
N: Final = 5
"""How often a situation is asked by default."""
FAMILIES: Final = 8
"""How many families parents of a run are chosen for by default."""


@dataclass(frozen=True)
class Options:
    """What a user asks for; `None` stands for the default."""

    run: str | None = None
    generation: int | None = None
    agents: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    n: int | None = None
    children: int = 0
    family: int | None = None
    families: int | None = None
    founders: int = 0
    levels: str | None = None
    """Percentages, comma-separated."""
    background: str | None = None
    """Names of policies, comma-separated."""
    societies: int = 1
    records: str | None = None
    """Percentages, comma-separated."""
    partners: str | None = None
    resources: str | None = None
    """Units, comma-separated."""
    sets: tuple[str, ...] = ()
    model: str | None = None
    name: str | None = None
    max_cost: float | None = None


def designed(source: Path | Scenario, options: Options) -> tuple[Scenario, Design]:
    """Return the scenario and the design of a probe, from a study's folder, a scenario file or a scenario.

    Raises:
        ScenarioError: an option does not fit the source, or nothing would be asked.
        LogError: the study has no such run, generation or agent, or the run is not finished.
    """
    if isinstance(source, Path) and source.is_dir():
        scenario, subjects, where = _of_study(source, options)
    else:
        scenario, subjects, where = _of_scenario(source, options)
    if options.max_cost is not None:
        if not 0 < options.max_cost < float("inf"):
            raise ScenarioError(f"--max-cost {options.max_cost:g}: must be above 0, in US dollars")
        scenario = scenario.model_copy(update={"budget": options.max_cost})
    is_born = bool(options.children or options.founders)
    n = (0 if is_born else N) if options.n is None else options.n
    background = options.background if options.background is not None else BACKGROUND if is_born else ""
    records, partners = _shares("records", options.records, RECORDS), _shares("partners", options.partners, PARTNERS)
    resources = _numbers("resources", options.resources) if options.resources else ()
    situations = grid(scenario, records=records, partners=partners, resources=resources) if n else ()
    try:
        design = Design(
            source=where,
            subjects=subjects,
            situations=situations,
            n=n,
            children=options.children,
            family=_family(options),
            founders=options.founders,
            background=tuple(name.strip() for name in background.split(",") if name.strip()),
            societies=options.societies,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise ScenarioError(f"--{first['loc'][0]}: {first['msg']}; got {first['input']!r}") from error
    return scenario, design


def _family(options: Options) -> int | None:
    """Return how many parents a family has; `None`: all of them.

    Raises:
        ScenarioError: families are described, and no newborns are asked.
    """
    for option, value in (("--family", options.family), ("--families", options.families), ("--levels", options.levels)):
        if value is not None and not options.children:
            raise ScenarioError(f"{option}: is about the parents of newborns; say with --children how many they have")
    if options.family is None and (options.families is not None or options.levels is not None):
        return 1
    return options.family


def _of_study(source: Path, options: Options) -> tuple[Scenario, tuple[Subject, ...], str]:
    if options.strategies:
        raise ScenarioError(
            f"--strategy: {source} is a study, whose agents have strategies; name a scenario file to probe a text under"
            " its rules"
        )
    if options.sets:
        raise ScenarioError(f"--set: {source} is a study, whose rules are those of its log; name a scenario file")
    if options.levels is not None:
        raise ScenarioError(f"--levels: {source} is a study, whose agents have strategies; use --families")
    source_run = of_run(source, run=options.run, generation=options.generation, name="probe", model=options.model)
    if not options.children:
        subjects = chosen(source_run, options.agents)
    elif (size := _family(options)) is None or options.agents:
        subjects = parents_of(source_run, options.agents)
    else:
        subjects = spread(source_run, size=size, n=FAMILIES if options.families is None else options.families)
    what = "children" if options.children else "-".join(options.agents)
    default = [source.resolve().name, source_run.run, f"g{source_run.generation}", what, _short(options.model)]
    scenario = _named(source_run.scenario, options.name, default)
    return scenario, subjects, f"{source.resolve().name}/{source_run.run}, generation {source_run.generation}"


def _of_scenario(source: Path | Scenario, options: Options) -> tuple[Scenario, tuple[Subject, ...], str]:
    file = source.name if isinstance(source, Scenario) else source
    for option, value in (("--run", options.run), ("--generation", options.generation), ("--agent", options.agents)):
        if value:
            raise ScenarioError(f"{option}: {file} is not a study's folder; name one, such as results/quickstart")
    if isinstance(source, Scenario):
        if options.sets or options.model:
            raise ScenarioError(f"{file}: sets and model change a scenario's file; this scenario is already loaded")
        scenario = source
    else:
        if not source.exists():
            raise ScenarioError(f"{source}: does not exist; name a scenario file, or the folder of a study")
        scenario = load_scenario(source, sets=options.sets, model=options.model)
    player = only_player(scenario.players)
    if isinstance(player, ModelPlayer):
        if not options.strategies and options.levels is None:
            raise ScenarioError(
                f"{file}: {player.model} has no strategy yet; state one with --strategy, or name the folder of a study"
            )
        if options.strategies and options.levels is not None:
            raise ScenarioError("--levels: states parents' strategies, as --strategy does; use one of them")
        if options.families is not None:
            raise ScenarioError(f"--families: chooses parents from a study, and {file} is none; use --levels")
        if len(set(scenario.personas)) > 1:
            raise ScenarioError(
                f"{file}: players.persona names several personas; name the one that is meant, with --set"
                ' "players.persona=..."'
            )
        texts = options.strategies
        if options.levels is not None:
            texts = of_levels(_shares("levels", options.levels, ()), scenario, size=_family(options) or 1)
        subjects = of_texts(
            texts,
            max_chars=scenario.transmission.max_chars,
            is_parent=bool(options.children),
            persona=scenario.personas[0],
        )
    elif options.strategies:
        raise ScenarioError(f"{player.model}: a scripted policy reads no --strategy; name a model with --model")
    else:
        subjects = (policy_of(scenario),)
    what = "children" if options.children else ""
    scenario = _named(scenario, options.name, [scenario.name, what, _short(options.model)])
    return scenario, subjects, f"scenario {source.name}"


def _named(scenario: Scenario, name: str | None, default: list[str]) -> Scenario:
    """Return the scenario under the probe's name."""
    if name is None:
        name = _name(["probe", *default]) or _name(["probe", *default[1:]])
        if name is None:
            told_apart = hashlib.sha256("/".join(default).encode()).hexdigest()[:8]
            name = f"{_slug(['probe', *default[1:]])[: MAX_NAME - 9]}-{told_apart}"
    data: dict[str, Any] = {**{field: getattr(scenario, field) for field in Scenario.model_fields}, "name": name}
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        raise ScenarioError(f"--name: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error


def _name(words: list[str]) -> str | None:
    """Return the words as the name of a folder, if it is short enough for one."""
    name = _slug(words)
    return name if len(name) <= MAX_NAME else None


def _slug(words: list[str]) -> str:
    name = re.sub(r"[^a-z0-9._-]+", "-", "-".join(filter(None, words)).lower())
    return re.sub(r"\.{2,}", ".", name).rstrip(".-")


def _short(model: str | None) -> str:
    return "" if model is None else model.rpartition("/")[2]


def _shares(name: str, text: str | None, default: tuple[float, ...]) -> tuple[float, ...]:
    if text is None:
        return default
    values = _numbers(name, text)
    if any(not 0 <= value <= 100 for value in values):
        raise ScenarioError(f"--{name} {text}: percentages are between 0 and 100, as 0,50,100")
    return tuple(value / 100 for value in values)


def _numbers(name: str, text: str) -> tuple[float, ...]:
    """Return the distinct numbers of a comma-separated text."""
    parts = text.split(",")
    if not all(re.fullmatch(r"\s*[0-9]{1,9}(\.[0-9]{1,6})?\s*", part) for part in parts):
        raise ScenarioError(f"--{name} {text}: cannot be read; write comma-separated numbers, as 0,50,100")
    values = tuple(dict.fromkeys(float(part) for part in parts))
    if name == "resources" and not all(values):
        raise ScenarioError(f"--{name} {text}: a donor with nothing cannot give; name amounts above 0")
    return values
