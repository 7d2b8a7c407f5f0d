"""What is to be run: YAML files to frozen, checked values, and a grid of variations × seeds to runs.

The only place that parses configuration. Errors name file, line, column and key, and show the line.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from agentsim.core.facts import Frozen
from agentsim.core.rules import SocietyRules
from agentsim.errors import ScenarioError, quote
from agentsim.providers.settings import BUILT_IN, ProviderSettings, resolve, unsupported
from agentsim.scenario.digests import content_digest
from agentsim.scenario.messages import did_you_mean, translated
from agentsim.scenario.names import run_name, run_names
from agentsim.scenario.old_conditions import without_old_values
from agentsim.scenario.players import ModelPlayer, Player, Players, labels_of, parts
from agentsim.scenario.schema_docs import described_schema
from agentsim.scenario.tree import Cell, cells, load_tree, placed_prompts, variations, with_model, with_setting
from agentsim.scenario.user_settings import with_own
from agentsim.scenario.yaml_source import KeyPath, Mark, Node, dump, node_from

__all__ = [
    "MAX_RUNS",
    "Condition",
    "ModelPlayer",
    "OnInvalid",
    "RunSpec",
    "Scenario",
    "Summary",
    "describe",
    "digest",
    "identity",
    "json_schema",
    "load_scenario",
    "runs",
    "scenario_from",
]

MAX_RUNS = 10_000
"""The most runs of one scenario."""
MAX_SEED = 2**53 - 1
"""The greatest seed: the greatest whole number that every JSON reader keeps."""


class OnInvalid(Frozen):
    """What happens when a reply cannot be read as an answer."""

    attempts: int = Field(default=3, ge=1, le=100)
    """How often an agent is asked one question."""
    then: Literal["pass", "zero", "stop"] = "pass"
    """After the last attempt: nothing moves and it counts as missing, a marked gift of 0, or the run stops."""
    out_of_range: Literal["ask_again", "clamp", "pass"] = "ask_again"
    """A readable amount that is more than the donor has is asked again as any other invalid reply, lowered to all it
    has and marked as `clamped`, or moves nothing and counts as missing, at once (as does a negative one)."""
    stop_after: int | None = Field(default=60, ge=1)
    """So many questions in a row without a readable reply stop the run, which can go on for as many more; null: never.

    No part of the experiment: a run may go on under another number.
    """


class Condition(SocietyRules):
    """One cell of a scenario's grid: everything that, with a seed, decides what is asked."""

    players: Players
    """Who plays: one for all agents, or a list of those of a mixed society."""
    prompts: str = Field(default="default", min_length=1)
    """`default`, its words for `answer_format: json` as `default-json`, or a folder of templates: an absolute path."""
    on_invalid: OnInvalid = OnInvalid()

    @field_validator("players", mode="before")
    @classmethod
    def _has_a_tuple(cls, players: object) -> object:
        return tuple(players) if isinstance(players, list) else players

    @model_validator(mode="after")
    def _has_a_player_each(self) -> Self:
        parts(self.players, n_agents=self.agents)
        return self

    @property
    def by_label(self) -> dict[str, Player]:
        """The players by label: the model's or policy's name, with a name or settings where several have the same."""
        players = self.players if isinstance(self.players, tuple) else (self.players,)
        return dict(zip(labels_of(players), players, strict=True))

    @property
    def labels(self) -> tuple[str, ...]:
        """The label of each agent's player in the first generation."""
        counts = parts(self.players, n_agents=self.agents)
        return tuple(label for label, n in zip(self.by_label, counts, strict=True) for _ in range(n))

    @property
    def joint_label(self) -> str:
        """All labels as one text, joined by ` + `."""
        return " + ".join(self.by_label)

    @property
    def given_strategies(self) -> dict[str, str]:
        """The strategies that the scenario gives to agents of the first generation, by label."""
        given = {label: player.strategy for label, player in self.model_players.items()}
        return {label: text for label, text in given.items() if text is not None}

    @property
    def model_players(self) -> dict[str, ModelPlayer]:
        """The language models among the players, by label."""
        return {label: player for label, player in self.by_label.items() if isinstance(player, ModelPlayer)}

    def n_requests(self, seed: int) -> int:
        """Return how many questions one run asks when every answer is readable at once."""
        given = self.given_strategies
        return super().n_requests(seed) - sum(label in given for label in self.labels)


class Scenario(Condition):
    """One study: a condition, what varies about it, the seeds, and the accounts to use."""

    name: str
    """Names the study's folder of results."""
    description: str = ""
    seeds: tuple[Annotated[int, Field(ge=0, le=MAX_SEED)], ...] = (0, 1, 2, 3, 4)
    """One run each; in YAML a list, one number, or ranges in a text, as `0-4`."""
    vary: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    """Dotted path -> its values; every combination is a condition."""
    providers: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Account -> settings that differ from the built-in ones, or a whole account of the user's."""

    budget: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """The most that all runs may cost together, in US dollars, over all sittings; `null`: no cap."""

    @field_validator("name")
    @classmethod
    def _is_folder_name(cls, name: str) -> str:
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name) or ".." in name or name.endswith("."):
            raise ValueError(
                f"{quote(name)} cannot name a folder; use up to 64 of a-z, 0-9, '.', '_', '-', a letter or digit first"
            )
        return name

    @field_validator("seeds", mode="before")
    @classmethod
    def _listed(cls, seeds: object) -> object:
        if isinstance(seeds, str):
            return _seeds(seeds)
        if isinstance(seeds, int) and not isinstance(seeds, bool):
            return (seeds,)
        if not isinstance(seeds, list | tuple) or not seeds:
            raise ValueError(f"{quote(seeds)} is not allowed; write a list, as [0, 1, 2], or a range, as 0-4")
        return tuple(seeds)

    @field_validator("seeds")
    @classmethod
    def _are_distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            twice = next(seed for index, seed in enumerate(seeds) if seed in seeds[:index])
            raise ValueError(f"seed {twice} is listed twice; keep one of the two")
        return seeds

    @field_validator("vary", "providers", mode="before")
    @classmethod
    def _may_be_null(cls, value: object) -> object:
        return {} if value is None else value

    @field_validator("vary", mode="before")
    @classmethod
    def _has_tuples(cls, vary: object) -> object:
        if not isinstance(vary, Mapping):
            return vary
        return {path: tuple(values) if isinstance(values, list) else values for path, values in vary.items()}


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One run of a study: one condition under one seed."""

    name: str
    """Reads like the condition, as `gpt-4o--depth-3--seed-0`; unique in the study and safe as a folder's name."""
    condition: Condition
    seed: int
    settings: dict[str, Any]
    """The condition's values of what the study varies: path -> value."""


class Summary(NamedTuple):
    """What a scenario comes to."""

    yaml: str
    """The whole scenario as resolved, as YAML."""
    runs: list[RunSpec]
    n_requests: int
    """Questions over all runs, if every answer is readable at once."""


# --- reading -------------------------------------------------------------------------------------------------------


def load_scenario(
    path: str | Path, *, sets: Sequence[str] = (), model: str | None = None, seeds: str | None = None
) -> Scenario:
    """Read a scenario file and what it extends, apply settings, and check every condition of its grid.

    Args:
        path: the YAML file.
        sets: settings as `game.rounds=6`, applied in order; values are read as YAML.
        model: plays in place of the file's players; sampling settings stay if a model played before.
        seeds: replaces the file's seeds, as `0-4` or `0,3,7`.

    Raises:
        ScenarioError: something is wrong; the message says where, what, and what is allowed.
    """
    path = Path(path)
    tree = load_tree(path)
    for text in sets:
        tree = with_setting(tree, text, folder=path.parent)
    if model is not None:
        tree = with_model(tree, model)
    if seeds is not None:
        assert isinstance(tree.value, dict)
        tree = Node({**tree.value, "seeds": Node(seeds, Mark(f"--seeds {seeds}"))}, tree.mark)
    return _checked(tree)


def scenario_from(data: Mapping[str, Any], *, sets: Sequence[str] = ()) -> Scenario:
    """Check a scenario given as plain data with the keys of a YAML file; folders are relative to the working folder.

    Args:
        data: the scenario.
        sets: settings over it, as for `load_scenario`.

    Raises:
        ScenarioError: something is wrong.
    """
    tree = node_from(data, source="scenario")
    if "extends" in data:
        raise tree.error(("extends",), "only files can extend files; merge the data, or use load_scenario")
    for text in sets:
        tree = with_setting(tree, text, folder=Path.cwd())
    return _checked(placed_prompts(tree, folder=Path.cwd(), is_confined=False))


def _checked(tree: Node) -> Scenario:
    vary = variations(tree)
    _check_varied_heads(tree, vary)
    # The scenario's own condition is the first cell, so that what varies need not be written twice.
    base = next(cells(tree, vary)).tree
    try:
        scenario = Scenario.model_validate(base.plain(), strict=True)
    except ValidationError as error:
        raise translated(error, base, model=Scenario, also=("extends",)) from error
    n_runs = math.prod(len(values) for values in vary.values()) * len(scenario.seeds)
    if n_runs > MAX_RUNS:
        place = ("vary",) if vary else ("seeds",)
        raise tree.error(place, f"{n_runs} runs (conditions × seeds) are too many; {MAX_RUNS} are allowed")
    accounts = _accounts(tree, scenario)
    seen: set[str] = set()
    for cell in cells(base, vary):
        condition = _condition(cell)
        for index, player in enumerate(condition.by_label.values()):
            _check_player(
                cell.tree,
                player,
                place=("players", index) if isinstance(condition.players, tuple) else ("players",),
                accounts=accounts,
                note=_note(cell),
            )
        text = _canonical(identity(condition))
        if text in seen:
            raise tree.error(("vary",), f"two conditions are the same{_note(cell)}; keep one of the two")
        seen.add(text)
    return scenario


def _check_varied_heads(tree: Node, vary: Mapping[str, object]) -> None:
    allowed = list(Condition.model_fields)
    for path in vary:
        head = path.split(".")[0]
        if head not in allowed:
            what = "cannot be varied" if head in Scenario.model_fields else "does not exist"
            near = did_you_mean(head, allowed)
            message = f"{quote(head)} {what}{near or ';'} paths begin with {', '.join(allowed)}"
            raise tree.error(("vary", path), message, at_key=True)


def _condition(cell: Cell) -> Condition:
    assert isinstance(cell.tree.value, dict)
    own = {key: node for key, node in cell.tree.value.items() if key in Condition.model_fields}
    tree = Node(own, cell.tree.mark)
    try:
        return Condition.model_validate(tree.plain(), strict=True)
    except ValidationError as error:
        raise translated(error, tree, model=Condition, note=_note(cell)) from error


def _note(cell: Cell) -> str:
    settings = ", ".join(f"{path}={json.dumps(node.plain())}" for path, node in cell.settings.items())
    return f" (where {settings})" if settings else ""


def _accounts(tree: Node, scenario: Scenario) -> dict[str, ProviderSettings]:
    """Return the settings of every account a player may name."""
    providers = with_own(scenario.providers)
    others = [name for name in dict.fromkeys((*BUILT_IN, *providers)) if name not in scenario.providers]
    found = {name: resolve(name, providers.get(name)) for name in others}
    for name in scenario.providers:
        place = ("providers", name)
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name) or name == "scripted":
            what = "is taken by the scripted policies" if name == "scripted" else "cannot name an account"
            raise tree.error(place, f"{quote(name)} {what}; use a-z, 0-9, '_' and '-', as in vllm", at_key=True)
        try:
            found[name] = resolve(name, providers[name])
        except ValidationError as error:
            raise translated(error, tree, model=ProviderSettings, below=place) from error
    return found


def _check_player(
    tree: Node, player: Player, *, place: KeyPath, accounts: Mapping[str, ProviderSettings], note: str
) -> None:
    """Refuse accounts that do not exist, and settings that an account's API has no parameter for."""
    if not isinstance(player, ModelPlayer):
        return
    if player.account not in accounts:
        near = did_you_mean(player.account, [*accounts, "scripted"]) or ";"
        what = f"no provider is called {quote(player.account)}{near} known: {', '.join(accounts)}, scripted"
        raise tree.error((*place, "model"), f"{what}; add your own under `providers:`, with its base_url{note}")
    for name in unsupported(accounts[player.account], player.sampling(derived=0)):
        what = f"{quote(player.account)} has no such parameter; remove it"
        raise tree.error((*place, *name.split(".", 1)), f"{what}{note}", at_key=True)


def _seeds(text: str) -> tuple[int, ...]:
    """Return the seeds of a text such as `0-4`, `7` or `0-2,5`."""
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,16})\s*(?:-\s*([0-9]{1,16})\s*)?", part)
        if not match or (match[2] and int(match[2]) < int(match[1])):
            raise ValueError(f"{quote(text)} is not a range of seeds; write it as 0-4, or as 0,3,7")
        low, high = int(match[1]), int(match[2] or match[1])
        if len(seeds) + high - low >= MAX_RUNS:
            raise ValueError(f"{quote(text)} are too many seeds; {MAX_RUNS} are allowed")
        seeds.extend(range(low, high + 1))
    return tuple(seeds)


# --- runs ----------------------------------------------------------------------------------------------------------


def runs(scenario: Scenario) -> list[RunSpec]:
    """Return the scenario's runs, condition by condition, each under all seeds."""
    base = node_from(scenario.model_dump(include=set(Condition.model_fields)), source=scenario.name)
    vary = variations(node_from({"vary": scenario.vary}, source=scenario.name))
    grid = [
        (_condition(cell), {path: node.plain() for path, node in cell.settings.items()}) for cell in cells(base, vary)
    ]
    names = run_names([(condition.joint_label, settings) for condition, settings in grid])
    specs = [
        RunSpec(run_name(name, seed=seed), condition, seed, settings)
        for name, (condition, settings) in zip(names, grid, strict=True)
        for seed in scenario.seeds
    ]
    for spec in specs:
        _refuse_overflow(spec)
    return specs


def _refuse_overflow(spec: RunSpec) -> None:
    """Raise `ScenarioError` where what agents can come to hold is more than a number here can say."""
    condition, game = spec.condition, spec.condition.game
    numbers = range(1, condition.generations + 1 if game.continuation else 2)
    n_rounds = max(game.n_rounds(spec.seed, generation=number) for number in numbers)
    most = game.log10_most(condition.agents, n_rounds)
    if most > sys.float_info.max_10_exp:
        raise ScenarioError(
            f"{spec.name}: {n_rounds:,} rounds with game.multiplier {game.multiplier:g} and game.endowment"
            f" {game.endowment:g} can come to 10^{most:,.0f} units, more than can be counted"
            f" (10^{sys.float_info.max_10_exp}); use fewer game.rounds, or a smaller multiplier or endowment"
        )


def identity(condition: Condition) -> dict[str, Any]:
    """Return everything that decides the facts, as JSON-able data from which `Condition` can be made again."""
    content = condition.model_dump(mode="json", exclude={"on_invalid": {"stop_after"}})
    return without_old_values(content, condition)


def digest(condition: Condition, *, seed: int, probe: Mapping[str, Any] | None = None) -> str:
    """Return the SHA-256, in hex, of the condition, the seed and, if there is one, a probe's design, in canonical JSON.

    Of the prompt set only the folder's name counts, not where it lies: its content has a digest of its own
    (`PromptSet.digest`). Accounts and limits do not count, so a run may be resumed under others.
    """
    return content_digest(identity(condition), seed=seed, probe=probe)


def _canonical(data: object) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def describe(scenario: Scenario) -> Summary:
    """Return what the scenario comes to: as resolved, its runs, the number of questions."""
    specs = runs(scenario)
    data = scenario.model_dump(mode="json")
    ordered = {key: data[key] for key in ("name", "description")} | data
    return Summary(dump(ordered), specs, sum(spec.condition.n_requests(spec.seed) for spec in specs))


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of scenario files, for editors."""
    schema = described_schema(Scenario)
    properties = schema["properties"]
    properties["extends"] = {
        "type": "string",
        "description": "A scenario file in this file's folder or below; its settings hold where this one is silent.",
    }
    text = {"type": "string", "pattern": r"^\s*\d+\s*(-\s*\d+\s*)?(,\s*\d+\s*(-\s*\d+\s*)?)*$"}
    description = properties["seeds"].pop("description", "")
    one = properties["seeds"]["items"]
    properties["seeds"] = {"anyOf": [properties["seeds"], text, one], "description": description}
    properties["providers"]["additionalProperties"] = ProviderSettings.model_json_schema()
    for key in ("vary", "providers"):
        properties[key] = {"anyOf": [properties[key], {"type": "null"}]}
    schema["required"] = ["name"]  # players may come from the file that is extended, or from `vary`
    return schema
