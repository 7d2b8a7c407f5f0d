"""A scenario's values: one condition, and the study that varies it over a grid and seeds."""

from __future__ import annotations

import re
import weakref
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, field_validator, model_validator

from agentsim.core.facts import Frozen
from agentsim.core.registry import REGISTRY
from agentsim.core.rules import SocietyRules
from agentsim.errors import quote
from agentsim.scenario.digests import canonical, digest_of
from agentsim.scenario.old_conditions import without_old_values
from agentsim.scenario.players import ModelPlayer, Player, Players, labels_of, parts

__all__ = ["MAX_RUNS", "Condition", "OnInvalid", "Scenario", "digest", "identity", "named_in"]

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
    """A readable amount above what the donor has is asked again like any invalid reply, or lowered to all it has and
    marked as `clamped`; or nothing moves and it counts as missing at once (as with a negative amount)."""
    stop_after: int | None = Field(default=60, ge=1)
    """The number of questions in a row without a readable reply that stops the run; `null`: never. A stopped run can be
    resumed for as many more. It is not part of the experiment: a run may go on under another number."""


class Condition(SocietyRules):
    """One cell of a scenario's grid: everything that, with a seed, decides what is asked."""

    players: Players
    """Who plays: one player for all agents, or a list of players for a mixed society."""
    prompts: str = Field(default="default", min_length=1)
    """The name of a shipped set, such as `default` or `german` (docs/prompts.md), or a folder of templates: an absolute
    path. `default-json` is `default` in its words for `answer_format: json`."""
    on_invalid: OnInvalid = OnInvalid()
    """What happens when a reply cannot be read."""

    @field_validator("players", mode="before")
    @classmethod
    def _has_a_tuple(cls, players: object) -> object:
        return tuple(players) if isinstance(players, list) else players

    @model_validator(mode="after")
    def _has_a_player_each(self) -> Self:
        parts(self.players, n_agents=self.agents)
        if self.given_strategies and not self.transmission.has_strategies:
            raise ValueError(
                f"players.strategy: under transmission.kind {self.transmission.kind} nobody has a strategy; remove it,"
                " or use another transmission.kind"
            )
        self._has_its_personas()
        return self

    def _has_its_personas(self) -> None:
        counts = parts(self.players, n_agents=self.agents)
        for (label, player), n in zip(self.by_label.items(), counts, strict=True):
            persona = player.persona if isinstance(player, ModelPlayer) else None
            if isinstance(persona, tuple) and len(persona) > n:
                raise ValueError(
                    f"players.persona: {len(persona)} personas for the {n} agents of {label}; name {n} at the most"
                )
        learning = self.transmission
        sources = learning.model_from, learning.persona_from
        is_mixed = len(self.by_label) > 1 and any(self.personas) and self.generations > 1
        if is_mixed and sources not in (("vacancy", "place"), ("parent", "parent")):
            raise ValueError(
                f"transmission.persona_from: {learning.persona_from} beside model_from {learning.model_from} would give"
                " newborns the persona of one player and the model of another; use place beside vacancy, or parent"
                " beside parent"
            )

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
    def personas(self) -> tuple[str | None, ...]:
        """The persona of each agent of the first generation."""
        counts = parts(self.players, n_agents=self.agents)
        dealt = (
            player.personas(n) if isinstance(player, ModelPlayer) else (None,) * n
            for player, n in zip(self.by_label.values(), counts, strict=True)
        )
        return tuple(persona for players_personas in dealt for persona in players_personas)

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
    """Words for readers; they change nothing."""
    seeds: tuple[Annotated[int, Field(ge=0, le=MAX_SEED)], ...] = (0, 1, 2, 3, 4)
    """One run each; in YAML a list, one number, or ranges in a text, as `0-4`."""
    vary: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    """Dotted path -> its values; every combination is a condition."""
    providers: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Account -> settings that differ from the built-in ones, or a whole account of the user's own."""

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


def named_in(condition: Condition) -> list[tuple[str, str]]:
    """Return what a condition names of what plug-ins may bring: part and kind of its rules, policies and prompt set."""
    values = dict(condition)
    rules = [(part, values[part].kind) for part in SocietyRules.model_fields if hasattr(values[part], "kind")]
    rules += [("observation", rule.kind) for rule in condition.observation.told]
    policies = [("policy", player.model) for player in condition.by_label.values()]
    folders = {str(member.thing): kind for kind, member in REGISTRY.of("prompts").items()}
    prompts = [("prompts", folders[condition.prompts])] if condition.prompts in folders else []
    return [*rules, *policies, *prompts]


def identity(condition: Condition) -> dict[str, Any]:
    """Return everything that decides the facts, as JSON-able data from which `Condition` can be made again.

    It is made once for each condition, whose runs may be thousands: do not change it.
    """
    return _known(condition).content


class _Identity(NamedTuple):
    of: weakref.ref[Condition]
    content: dict[str, Any]
    text: str
    """The same, as digests are made of it."""


def _known(condition: Condition) -> _Identity:
    place = id(condition)
    known = _IDENTITIES.get(place)
    if known is None or known.of() is not condition:
        content = without_old_values(
            condition.model_dump(mode="json", exclude={"on_invalid": {"stop_after"}}), condition
        )
        of_it = weakref.ref(condition, lambda _: _IDENTITIES.pop(place, None))
        known = _IDENTITIES[place] = _Identity(of_it, content, canonical(content))
    return known


_IDENTITIES: dict[int, _Identity] = {}
"""By the `id` of a condition that lives."""


def digest(condition: Condition, *, seed: int, probe: Mapping[str, Any] | None = None) -> str:
    """Return the SHA-256, in hex, of the condition, the seed and, if there is one, a probe's design, in canonical JSON.

    Of the prompt set only the folder's name counts, not where it lies: its content has a digest of its own
    (`PromptSet.digest`). Accounts and limits do not count, so a run may be resumed under others.
    """
    return digest_of(_known(condition).text, seed=seed, probe=probe)


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
