"""Who plays: a language model, a scripted policy, or several players in one society."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag, TypeAdapter, ValidationError, field_validator

from agentsim.core.policies import PlayerSettings, ScriptedPlayer
from agentsim.errors import ScenarioError, quote
from agentsim.providers.base import Sampling

__all__ = ["ModelPlayer", "Player", "Players", "labels_in", "labels_of", "only_player", "parts", "settings_in"]

MAX_PERSONA_CHARS: Final = 4000
MAX_LABEL_CHARS: Final = 40
"""Of a setting's value in a player's label."""


class ModelPlayer(PlayerSettings):
    """A language model plays. A setting of `null` is not sent, so the provider's default applies."""

    model: str = Field(examples=["openai/gpt-4o-2024-08-06"], max_length=300)
    """`provider/name`: an account, built in or of `providers`, and the model's name there."""
    temperature: float | None = Field(default=0.8, ge=0, le=2)
    """The sampling temperature, as the provider understands it."""
    max_tokens: int | None = Field(default=512, ge=1)
    """The most tokens of one answer."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Each token is sampled from the likeliest ones that together have this probability."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | Literal["derived"] | None = None
    """The provider's sampling seed; `derived`: one for each question, from the run's seed and the question's key."""
    reasoning_effort: str | None = None
    """How long the model thinks, in the provider's own words, such as `low`."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """Further parameters of the provider's API, sent as they are in the request's body."""
    system_prompt: Literal["system", "user", "none"] = "system"
    """Where the rules are told: in a system message, at the start of the question, or nowhere (untold)."""
    answer_format: Literal["text", "json"] = "text"
    """`json`: the provider is given a JSON schema for the answer. This alone changes what models do."""
    strategy: str | None = Field(default=None, min_length=1, max_length=100_000)
    """The strategy of its agents in the first generation, who are then not asked for one."""
    persona: str | tuple[str, ...] | None = Field(default=None, exclude_if=lambda persona: persona is None)
    """Who its agents are, in the scenario's words, which they read before all else; or a list, dealt in turn to its
    agents of the first generation. Whose persona a newborn has, `transmission.persona_from` says."""

    @field_validator("model")
    @classmethod
    def _names_provider_and_model(cls, model: str) -> str:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*/[^\s\x00-\x1f]+", model):
            raise ValueError(f"{quote(model)} names no model; write provider/name, as openai/gpt-4o-2024-08-06")
        return model

    @field_validator("extra")
    @classmethod
    def _is_json(cls, extra: dict[str, Any]) -> dict[str, Any]:
        try:
            json.dumps(extra, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError("holds what JSON cannot, as .nan or .inf; use plain texts, lists and numbers") from error
        return extra

    @field_validator("persona", mode="before")
    @classmethod
    def _can_be_read(cls, persona: object) -> object:
        if isinstance(persona, list | tuple):
            if not persona:
                raise ValueError("an empty list; name at least one persona, or leave it out")
            return tuple(_shown_persona(one) for one in persona)
        return None if persona is None else _shown_persona(persona)

    def personas(self, n_agents: int) -> tuple[str | None, ...]:
        """Return the persona of each of the player's agents, of which there are so many."""
        every = self.persona if isinstance(self.persona, tuple) else (self.persona,)
        return tuple(every[index % len(every)] for index in range(n_agents))

    @property
    def account(self) -> str:
        """The provider's part of `model`."""
        return self.model.partition("/")[0]

    @property
    def model_name(self) -> str:
        """The name the provider knows the model by; it may hold slashes itself."""
        return self.model.partition("/")[2]

    def sampling(self, *, derived: int) -> Sampling:
        """Return the sampling settings sent to a provider; `derived` is the seed where the settings say `derived`."""
        return Sampling(
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            top_p=self.top_p,
            seed=derived if self.seed == "derived" else self.seed,
            reasoning_effort=self.reasoning_effort,
            extra=self.extra,
        )


def _shown_persona(text: object) -> object:
    """Return a persona without the characters that nobody sees, other than line breaks."""
    if not isinstance(text, str):
        return text
    shown = "".join(one for one in text if one == "\n" or unicodedata.category(one)[0] != "C").strip()
    if not 0 < len(shown) <= MAX_PERSONA_CHARS:
        raise ValueError(f"a persona of {len(shown):,} characters; write one of 1 to {MAX_PERSONA_CHARS:,}")
    return shown


def _player_kind(player: object) -> str:
    if isinstance(player, list | tuple):
        return "players"
    model = player.get("model") if isinstance(player, Mapping) else getattr(player, "model", None)
    return "scripted player" if isinstance(model, str) and model.startswith("scripted/") else "model player"


Player: TypeAlias = Annotated[
    Annotated[ModelPlayer, Tag("model player")] | Annotated[ScriptedPlayer, Tag("scripted player")],
    Discriminator(_player_kind),
]
"""A language model, or a scripted policy where the model's name begins with `scripted/`."""

Players: TypeAlias = Annotated[
    Annotated[ModelPlayer, Tag("model player")]
    | Annotated[ScriptedPlayer, Tag("scripted player")]
    | Annotated[tuple[Player, ...], Tag("players")],
    Discriminator(_player_kind),
]
"""The player of all agents, or those of a mixed society, each with its part of the first generation."""


def labels_of(players: Sequence[Player]) -> list[str]:
    """Return a label for each player: its model, and in brackets its name or what tells it from its like."""
    labels = []
    for player in players:
        settings, others = _settings(player), [_settings(other) for other in players if other.model == player.model]
        told = [name for name, value in settings.items() if any(other.get(name) != value for other in others)]
        if isinstance(settings.get("persona"), str):
            settings["persona"] = " ".join(settings["persona"].split())  # a label is one line
        words = player.name or ", ".join(f"{name} {_short(settings[name])}" for name in told)
        labels.append(player.model + (f" ({words})" if words else ""))
    return labels


def only_player(players: Players) -> Player:
    """Return the one player there is.

    Raises:
        ScenarioError: there are several.
    """
    if isinstance(players, tuple):
        raise ScenarioError(f"players: {', '.join(labels_of(players))} play; name the one that is meant with --model")
    return players


def labels_in(condition: Mapping[str, Any]) -> list[str]:
    """Return the labels of a logged condition's players; of players this agentsim does not know, their models."""
    logged = condition["players"]
    if isinstance(logged, Mapping):
        return [str(logged["model"])]
    try:
        return labels_of(_PLAYERS.validate_python(tuple(logged)))  # type: ignore[arg-type]  # a tuple gives a tuple
    except ValidationError:
        return [str(player.get("model")) for player in logged]


def settings_in(condition: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return all settings of a logged condition's players, by label, with today's defaults for what was not logged.

    Names are left out: they tell players apart and change nothing. `agents` is how many the player plays. Settings of
    players that this agentsim does not know are as logged.
    """
    logged = condition["players"]
    every = [logged] if isinstance(logged, Mapping) else list(logged)
    try:
        players = _PLAYERS.validate_python(tuple(every))
        if not isinstance(players, tuple):  # a tuple gives a tuple
            players = (players,)
        n_agents = parts(players if len(players) > 1 else players[0], n_agents=condition["agents"])
        settings = [{**_settings(player), "agents": n} for player, n in zip(players, n_agents, strict=True)]
    except (ValidationError, ValueError):
        settings = [{key: value for key, value in player.items() if key != "name"} for player in every]
    if len(settings) == 1:
        settings[0].pop("agents", None)
    return dict(zip(labels_in(condition), settings, strict=True))


_PLAYERS: Final[TypeAdapter[Players]] = TypeAdapter(Players)


def _settings(player: Player) -> dict[str, Any]:
    return player.model_dump(mode="json", exclude={"agents", "name"})


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= MAX_LABEL_CHARS else f"{text[: MAX_LABEL_CHARS - 1]}…"


def parts(players: Players, *, n_agents: int) -> list[int]:
    """Return how many agents of the first generation each player plays.

    Raises:
        ValueError: they do not add up to all agents, or two players cannot be told apart.
    """
    if not isinstance(players, tuple):
        if players.agents is not None:
            raise ValueError("players.agents: is for mixed societies; make `players` a list, or remove it")
        return [n_agents]
    if not players:
        raise ValueError("players: an empty list; name at least one player")
    labels = labels_of(players)
    if twice := next((label for index, label in enumerate(labels) if label in labels[:index]), None):
        raise ValueError(f"players: {quote(twice)} is listed twice; give each a `name` of its own")
    formats = {player.answer_format for player in players if isinstance(player, ModelPlayer)}
    if len(formats) > 1:
        raise ValueError("players: one has answer_format text and another json; let all of a society answer alike")
    stated = [player.agents for player in players]
    counts = [part for part in stated if isinstance(part, int)]
    shares = [part for part in stated if isinstance(part, float)]
    if not counts and not shares:
        shares = [1 / len(players)] * len(players)
    if len(players) not in (len(counts), len(shares)):
        raise ValueError("players: say for each player how many `agents` it plays, all as numbers or all as shares")
    if counts:
        if sum(counts) != n_agents:
            raise ValueError(f"players: they play {sum(counts)} agents, but there are {n_agents}")
        return counts
    if not math.isclose(sum(shares), 1, abs_tol=1e-6):
        raise ValueError(f"players: their shares add up to {sum(shares):g}, not to 1")
    return _rounded([share * n_agents for share in shares])


def _rounded(exact: Sequence[float]) -> list[int]:
    """Return whole numbers with the same sum: the largest remainders get what rounding down leaves.

    Of equal remainders, those listed first get it: two halves of 5 agents are 3 and 2.
    """
    rounded = [math.floor(part + 1e-9) for part in exact]
    n_left = round(sum(exact)) - sum(rounded)
    for index in sorted(range(len(exact)), key=lambda i: round(rounded[i] - exact[i], 9))[:n_left]:
        rounded[index] += 1
    if 0 in rounded:
        raise ValueError(
            f"players: a share of {exact[rounded.index(0)]:g} agents is nobody; use more agents, or numbers"
        )
    return rounded
