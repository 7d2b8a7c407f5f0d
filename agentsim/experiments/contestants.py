"""Who takes part in an invasion: policies, models and frozen strategies, as they are named on a command line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd
from pydantic import BaseModel, ValidationError

from agentsim.analysis.frames.study import load
from agentsim.analysis.invasions import Role, contestant_name
from agentsim.core.registry import REGISTRY
from agentsim.errors import LogError, ScenarioError, did_you_mean, quote
from agentsim.scenario.conditions import Condition
from agentsim.scenario.messages import translated
from agentsim.scenario.names import by_stem, seed_of
from agentsim.scenario.players import ModelPlayer, Player
from agentsim.scenario.plugins import load_installed
from agentsim.scenario.yaml_source import Node, node_from, read_file, read_value

__all__ = ["Contestant", "contestants", "of_settings"]

MAX_SUFFIX_CHARS: Final = 28
"""The longest addition to a player's name; with the role and a number it still fits what a scenario allows."""
OF_A_RUN: Final = re.compile(r"(?P<run>.+)@(?P<generation>[1-9][0-9]{0,4}|last)(?:/(?P<agent>[0-9]+_[0-9]+|all))?")
SETTINGS: Final = re.compile(r"(?P<model>.+?):(?P<settings>[a-z_]+=.*)", re.DOTALL)


class Contestant(NamedTuple):
    """A player that invades the others and is invaded by them."""

    player: Player
    suffix: str = ""
    """What distinguishes it from other contestants with the same model."""

    @property
    def name(self) -> str:
        """Its name in tables."""
        return contestant_name(self.playing("resident", agents=1))

    def playing(self, role: Role, *, agents: int) -> dict[str, Any]:
        """Return the player as a scenario states it, in its role."""
        settings = self.player.model_dump(mode="json", exclude_defaults=True)
        return {
            **settings,
            "model": self.player.model,
            "name": f"{role} {self.suffix}".strip(),
            "agents": agents,
        }


def contestants(words: Sequence[str], *, model: str | None = None) -> list[Contestant]:
    """Return the contestants that the words name.

    Args:
        words: each is one of: `provider/model` or `scripted/policy`, with settings as in
            `scripted/constant-share:share=0.3`; `STUDY/RUN@GENERATION`, the strategy of the best agent in a generation
            (a number, or `last`) of a complete run; `STUDY/RUN@GENERATION/2_1`, that of agent 2_1; the same with
            `/all`, those of all its agents; or a YAML file of players by name.
        model: plays the strategies of runs, instead of the model that stated them.

    Raises:
        ScenarioError: a word names nothing that can play, a contestant is named twice, or there are fewer than two.
        LogError: a run cannot be read, is not complete, or has no such generation or agent.
    """
    load_installed()
    candidates = [candidate for word in words for candidate in _named(word, model)]
    if twice := next(
        (candidate for index, candidate in enumerate(candidates) if candidate in candidates[:index]), None
    ):
        raise ScenarioError(f"{quote(twice.name)} takes part twice; name each contestant once")
    names, numbers = Counter(candidate.name for candidate in candidates), Counter[str]()
    distinct: list[Contestant] = []
    for candidate in candidates:
        numbers[candidate.name] += 1
        # Several contestants have one name where names were cut, or where their providers differ.
        number = f"-{numbers[candidate.name]}" if names[candidate.name] > 1 else ""
        distinct.append(candidate._replace(suffix=f"{candidate.suffix}{number}".strip("-")))
    if len(distinct) < 2:
        raise ScenarioError("an invasion needs at least two contestants, such as scripted/all-give scripted/all-keep")
    return distinct


def _named(word: str, model: str | None) -> Iterator[Contestant]:
    if word.endswith((".yaml", ".yml")):
        yield from _of_file(Path(word))
    elif match := OF_A_RUN.fullmatch(word):
        yield from _of_run(word, match, model)
    else:
        yield of_settings(word)


class _Named(BaseModel):
    """Wraps a player so that its settings can be validated."""

    player: Player


def _player(tree: Node) -> Player:
    try:
        player = _Named.model_validate({"player": tree.plain()}, strict=True).player
    except ValidationError as error:
        raise translated(error, Node({"player": tree}, tree.mark), schema=_Named) from error
    for setting in ("agents", "name"):
        if getattr(player, setting) is not None:
            raise tree.error((setting,), "is decided by the invasion; remove it", at_key=True)
    return player


def of_settings(word: str) -> Contestant:
    """Return the contestant that `provider/model` or `scripted/policy` names, with settings as `:share=0.3`.

    Raises:
        ScenarioError: there is no such policy, or a setting is wrong.
    """
    match = SETTINGS.fullmatch(word)
    model = match["model"] if match else word
    if "/" not in model:
        near = did_you_mean(f"scripted/{model}", REGISTRY.of("policy")) or ";"
        raise ScenarioError(
            f"{quote(word)} is not a contestant{near} write scripted/policy, provider/model, STUDY/RUN@GENERATION or a"
            " YAML file of players"
        )
    settings: dict[str, Any] = {"model": model}
    for setting in match["settings"].split(",") if match else []:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise ScenarioError(
                f"{word}: {quote(setting)} is not a setting; write name=value, as in scripted/constant-share:share=0.3,"
                " or name a YAML file of players"
            )
        settings[name] = read_value(value, source=word).plain()
    told = "-".join(f"{name}-{value}" for name, value in settings.items() if name != "model")
    return Contestant(_player(node_from(settings, source=word)), _suffix(told))


def _of_file(path: Path) -> Iterator[Contestant]:
    tree = read_file(path)
    assert isinstance(tree.value, dict)
    for name, player in tree.value.items():
        suffix = _suffix(name)
        if not suffix:
            raise tree.error((name,), f"{quote(name)} cannot name a player; use a-z, 0-9, '.', '_', '-'", at_key=True)
        yield Contestant(_player(player), suffix)


def _suffix(text: str) -> str:
    return re.sub(r"[^a-z0-9._]+", "-", text.lower())[:MAX_SUFFIX_CHARS].strip("-._")


# --- frozen strategies ---------------------------------------------------------------------------------------------


def _of_run(word: str, match: Mapping[str, str] | re.Match[str], model: str | None) -> Iterator[Contestant]:
    """Yield agents of a finished run as contestants."""
    folder, wanted = Path(match["run"]), match["generation"]
    study = load(folder.parent, cache=False)
    run = study.runs[study.runs["run"] == folder.name]
    if run.empty:
        names = ", ".join(study.runs["run"].head(5))
        raise LogError(f"{word}: {folder.parent} has no run {quote(folder.name)}; it has {names}")
    row = run.to_dict("records")[0]
    if row["status"] != "complete":
        raise LogError(f"{word}: the run is {row['status']}; strategies are taken from complete runs only")
    n = int(row["n_generations"])
    if wanted != "last" and int(wanted) > n:
        raise LogError(f"{word}: the run has {n} generations; name one of them, or `last`")
    generation = n if wanted == "last" else int(wanted)
    living = study.agents[(study.agents["run"] == folder.name) & (study.agents["generation"] == generation)]
    by_label = Condition.model_validate(study.started[study.name, folder.name].condition).by_label
    by_label = {by_stem(label): player for label, player in by_label.items()} | by_label  # as the frames call them
    for agent in _chosen(word, living, match["agent"]).to_dict("records"):
        yield _frozen(word, folder.name, generation, agent, by_label[agent["model"]], model)


def _chosen(word: str, living: pd.DataFrame, agent: str | None) -> pd.DataFrame:
    """Return the best agent, the named one, or one agent for each strategy, best first."""
    ranked = living.sort_values("score", ascending=False, kind="stable")
    if agent is None:
        return ranked.head(1)
    if agent == "all":
        return ranked.drop_duplicates(["model", "strategy"])
    if agent not in set(ranked["agent"]):
        raise LogError(f"{word}: no agent {agent} is in that generation; it has {', '.join(living['agent'])}")
    return ranked[ranked["agent"] == agent]


def _frozen(
    word: str, run: str, generation: int, agent: Mapping[Any, Any], player: Player, model: str | None
) -> Contestant:
    plain = player.model_copy(update={"agents": None, "name": None})
    if not isinstance(plain, ModelPlayer):
        settings = plain.model_dump(exclude_defaults=True)
        return Contestant(plain, _suffix("-".join(f"{name}-{value}" for name, value in settings.items())))
    if pd.isna(agent["strategy"]):
        raise LogError(f"{word}: agent {agent['agent']} has no strategy that could be read; name another one")
    changes = {"strategy": agent["strategy"], **({} if model is None else {"model": model})}
    settings = {**plain.model_dump(mode="json", exclude_defaults=True), **changes}
    suffix = _suffix(f"{seed_of(run)}-g{generation}-{agent['agent']}")
    return Contestant(_player(node_from(settings, source=word)), suffix)
