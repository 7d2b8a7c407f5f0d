"""Which sentence files tell agents the rules that are played, and whether they leave a setting unsaid.

A rule is told by the file named after its part of the scenario and its kind, as `rules/selection/top.md`; a setting of
it, if the rule's own file does not speak of it, by `rules/selection/score.md`. Each line of a file is a sentence or a
few. A file speaks of a setting where it says `rule.<setting>`, in a comment if agents are not to be told of it.

Files on pairing and observation speak of donors and recipients. In other games those take their place whose names end
in `.any-game`, as `rules/observation/trace.any-game.md`. A file that asks for `rules.game.kind` tells all games, and
needs no second one; in a comment it says that its words fit all. A setting of one game alone is told in the game's own
file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, get_args, get_origin

from pydantic import BaseModel

from agentsim.core.facts import Frozen
from agentsim.core.games import DonorGame, Game
from agentsim.core.registry import REGISTRY
from agentsim.core.rules import SocietyRules
from agentsim.errors import ScenarioError

__all__ = ["FOLDER", "PARTS", "brought", "files_of", "settings_of", "told"]

FOLDER: Final = "rules"
"""Where the sentence files lie in a prompt set."""
ANY_GAME: Final = ".any-game"
"""What the names of files end in that speak of no donors, for games other than the donor game."""
SPEAK_OF_DONORS: Final = ("pairing", "observation")
"""The parts whose other files speak of donors and recipients."""
GROUPS: Final = "groups"
"""The folder of the files that tell of groups."""
OF_GROUPS: Final = {"game": "meeting", "selection": "selection", "transmission": "learning"}
"""The names of these files, by the part of the scenario after which they are told."""
PARTS: Final = ("game", "pairing", "observation", "selection", "transmission")
"""The parts of a scenario that are told, in the order in which they are."""


def brought(name: str) -> dict[str, str]:
    """Return the sentence files that plug-ins bring for a prompt set: name -> text."""
    name = "default" if name == "default-json" else name
    return {file: text for member in REGISTRY for file, text in member.sentences.get(name, {}).items()}


def told(rules: SocietyRules, sources: Mapping[str, str], *, folder: Path) -> list[tuple[str, Frozen]]:
    """Return the names of the files that tell the rules, as they stand in `sources`, in order, each with its rule.

    What is never played is not told: selection where there is one generation, newborns' learning where nobody leaves.

    Raises:
        ScenarioError: a file is missing, or leaves a setting unsaid; `folder` is where it should be.
    """
    named: list[tuple[str, Frozen]] = []
    values = dict(rules)
    files_of_groups = _files_of_groups(rules, sources, folder=folder)
    for part in PARTS:
        if part in ("selection", "transmission") and rules.generations == 1:
            continue
        if part == "pairing" and rules.game.choice is not None:  # whom agents are offered, choice.md says
            continue
        if part == "selection" and rules.groups is not None and rules.groups.weight and not rules.groups.told:
            continue
        for rule in rules.observation.told if part == "observation" else [values[part]]:
            rule_file, *others = files_of(part, rule, sources, folder=folder, game=rules.game)
            if part != "transmission" or rules.n_newborns:
                named.append((rule_file, rule))
            if part != "observation" or rules.observation.shows_anything:
                named += [(name, rule) for name in others]
        if rules.groups is not None and part in files_of_groups:
            named.append((files_of_groups[part], rules.groups))
    return named


def _files_of_groups(rules: SocietyRules, sources: Mapping[str, str], *, folder: Path) -> dict[str, str]:
    """Return the files that tell of groups, by the part after which they do.

    Raises:
        ScenarioError: one is missing, or none of them speaks of a setting.
    """
    if rules.groups is None:
        return {}
    files = {part: f"{FOLDER}/{GROUPS}/{name}.md" for part, name in OF_GROUPS.items()}
    for name in files.values():
        if name not in sources:
            raise ScenarioError(
                f"{folder / name}: is missing, so agents would not be told of groups; write it as"
                f" agentsim/prompts/default/{name}"
            )
    said = {setting for name in files.values() for setting in _spoken_of(sources[name])}
    for setting in settings_of(type(rules.groups)):
        if setting not in said:
            raise ScenarioError(
                f"{folder / FOLDER / GROUPS}: no file there speaks of `rule.{setting}`, so agents would not be told of"
                f" groups.{setting}; say it, or name it in a comment, {{# rule.{setting} #}}"
            )
    return files


def files_of(
    part: str, rule: Frozen, sources: Mapping[str, str], *, folder: Path, game: Game | None = None
) -> list[str]:
    """Return the names of a rule's files: its own first, then those of its settings, as far as they are there.

    `game`: what is played; without one, the donor game.

    Raises:
        ScenarioError: its own is missing, or none of them speaks of one of its settings.
    """
    kind = dict(rule)["kind"]
    of_any = ANY_GAME if part in SPEAK_OF_DONORS and game is not None and not isinstance(game, DonorGame) else ""
    rule_file = _file(f"{FOLDER}/{part}/{kind}", of_any, sources)
    if rule_file not in sources:
        raise ScenarioError(
            f"{folder / rule_file}: is missing, so agents would not be told of {part}: {{kind: {kind}}}; write there in"
            f" a sentence what the rule does (agentsim/prompts/default/{FOLDER}/{part} has examples)"
            + (f"; or ask for `rules.game.kind` in {kind}.md, which then tells all games" if of_any else "")
            + _or(part, kind, folder.name)
        )
    settings = list(settings_of(type(rule)))
    is_shared = isinstance(rule, Game) and not isinstance(rule, DonorGame)
    files = {
        setting: _file(f"{FOLDER}/{part}/{setting}", of_any, sources)
        for setting in settings
        if not is_shared or setting in Game.model_fields
    }
    names = [rule_file, *(name for name in files.values() if name in sources)]
    said = {setting for name in names for setting in _spoken_of(sources[name])}
    for setting in settings:
        if setting in rule.told_if_changed and dict(rule)[setting] == type(rule).model_fields[setting].default:
            continue
        if setting not in said and files.get(setting) not in names:
            raise ScenarioError(
                f"{folder / rule_file}: does not speak of `rule.{setting}`, so agents would not be told of"
                f" {part}.{setting}; say it there, or in {FOLDER}/{part}/{setting}.md, or name it in a comment,"
                f" {{# rule.{setting} #}}, if agents are not to know it"
            )
    return names


def _file(name: str, of_any: str, sources: Mapping[str, str]) -> str:
    """Return the file that speaks of the game that is played: the one for all games but the donor game, if need be."""
    special, general = f"{name}{of_any}.md", f"{name}.md"
    if not of_any:
        return general
    tells_all = re.search(r"\brules\.game\.kind\b", sources.get(general, ""))
    return general if tells_all and special not in sources else special


def _or(part: str, kind: str, name: str) -> str:
    """Return where else the author of a plug-in may write the sentence for a prompt set of that name."""
    member = REGISTRY.find(part, kind)
    if member is None or member.plugin is None:
        return ""
    if name in ("default", "default-json"):
        return f", or as `sentence` in the class {member.thing.__name__}"
    return f", or beside the plug-in, as prompts/{name}/{FOLDER}/{part}/{kind}.md"


def settings_of(rule: type[BaseModel]) -> Iterator[str]:
    """Yield the names of a rule's settings, but not of those that have one value only, such as its kind."""
    for name, field in rule.model_fields.items():
        if get_origin(field.annotation) is not Literal or len(get_args(field.annotation)) > 1:
            yield name


@lru_cache(maxsize=1000)
def _spoken_of(source: str) -> frozenset[str]:
    return frozenset(re.findall(r"\brule\.(\w+)", source))
