"""Which sentence files tell agents the rules that are played, and whether they leave a setting unsaid.

A rule is told by the file named after its part of the scenario and its kind, as `rules/selection/top.md`; a setting of
it, if the rule's own file does not speak of it, by `rules/selection/score.md`. Each line of a file is a sentence or a
few. A file speaks of a setting where it says `rule.<setting>`, in a comment if agents are not to be told of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, get_args, get_origin

from agentsim.core.facts import Frozen
from agentsim.core.rules import SocietyRules
from agentsim.errors import ScenarioError

__all__ = ["FOLDER", "PARTS", "files_of", "settings_of", "told"]

FOLDER: Final = "rules"
"""Where the sentence files lie in a prompt set."""
PARTS: Final = ("game", "pairing", "observation", "selection", "transmission")
"""The parts of a scenario that are told, in the order in which they are."""


def told(rules: SocietyRules, sources: Mapping[str, str], *, folder: Path) -> list[tuple[str, Frozen]]:
    """Return the names of the files that tell the rules, as they stand in `sources`, in order, each with its rule.

    What is never played is not told: selection where there is one generation, newborns' learning where nobody leaves.

    Raises:
        ScenarioError: a file is missing, or leaves a setting unsaid; `folder` is where it should be.
    """
    found: list[tuple[str, Frozen]] = []
    values = dict(rules)
    for part in PARTS:
        if part in ("selection", "transmission") and rules.generations == 1:
            continue
        rule = values[part]
        own, *others = files_of(part, rule, sources, folder=folder)
        if part != "transmission" or rules.n_newborns:
            found.append((own, rule))
        if part != "observation" or rules.observation.shows_anything:
            found += [(name, rule) for name in others]
    return found


def files_of(part: str, rule: Frozen, sources: Mapping[str, str], *, folder: Path) -> list[str]:
    """Return the names of a rule's files: its own first, then those of its settings, as far as they are there.

    Raises:
        ScenarioError: its own is missing, or none of them speaks of one of its settings.
    """
    kind = dict(rule)["kind"]
    own = f"{FOLDER}/{part}/{kind}.md"
    if own not in sources:
        raise ScenarioError(
            f"{folder / own}: is missing, so agents would not be told of {part}: {{kind: {kind}}}; write there in a"
            f" sentence what the rule does (agentsim/prompts/default/{FOLDER}/{part} has examples)"
        )
    names = [own, *(name for setting in settings_of(rule) if (name := f"{FOLDER}/{part}/{setting}.md") in sources)]
    said = {setting for name in names for setting in _spoken_of(sources[name])}
    for setting in settings_of(rule):
        if setting in rule.told_if_changed and dict(rule)[setting] == type(rule).model_fields[setting].default:
            continue
        if setting not in said and f"{FOLDER}/{part}/{setting}.md" not in names:
            raise ScenarioError(
                f"{folder / own}: does not speak of `rule.{setting}`, so agents would not be told of"
                f" {part}.{setting}; say it there, or in {FOLDER}/{part}/{setting}.md, or name it in a comment,"
                f" {{# rule.{setting} #}}, if agents are not to know it"
            )
    return names


def settings_of(rule: Frozen) -> Iterator[str]:
    """Yield the names of a rule's settings, but not of those that have one value only, such as its kind."""
    for name, field in type(rule).model_fields.items():
        if get_origin(field.annotation) is not Literal or len(get_args(field.annotation)) > 1:
            yield name


def _spoken_of(source: str) -> set[str]:
    return set(re.findall(r"\brule\.(\w+)", source))
