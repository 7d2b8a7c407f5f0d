"""Conditions as older logs state them: brought up to date when they are read, and compared with those of today.

A condition that an older agentsim could play has the same digest today: a setting newer than the first log format is
left out of a log where it has the value that means the old behaviour.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from agentsim.core.facts import rounded
from agentsim.core.rules import SocietyRules

__all__ = ["condition_up_to_date", "without_old_values"]

ADDED: Final[Mapping[str, Mapping[str, object]]] = {
    "game": {"error": 0.0, "continuation": 0.0, "max_rounds": 10_000, "gift": {"kind": "share"}},
    "observation": {"noise": 0.0, "delay": 0, "known": 1.0, "audience": "public", "shows_own": False},
    "transmission": {"rewrite": False, "model_from": "vacancy"},
    "players": {"system_prompt": "system", "answer_format": "text", "agents": None, "name": None, "strategy": None},
    "on_invalid": {"out_of_range": "ask_again"},
}
"""Settings newer than the first log format, each with the value that means the old behaviour."""
RENAMED_SELECTION: Final = {"moran": "death_birth"}
"""Kinds of selection that have another name now; what they do is the same."""


def without_old_values(content: dict[str, Any], rules: SocietyRules) -> dict[str, Any]:
    """Return a condition's content without newer settings that have the value of the old behaviour.

    Two settings are stated exactly where they matter, as the old behaviour is not today's default there: how pairs
    recur, and how half an agent is rounded.
    """
    content = dict(content)
    for part, rule, name, matters in (
        ("pairing", rules.pairing, "in_both_roles", _recurs_by_choice(rules.agents)),
        ("selection", rules.selection, "halves", _rounds_by_choice(rules.agents, content["selection"].get("fraction"))),
    ):
        content[part] = {key: value for key, value in content[part].items() if key != name}
        if matters and name in type(rule).model_fields:
            content[part][name] = getattr(rule, name)
    for part, settings in ADDED.items():
        values = content[part]
        content[part] = (
            [_without(one, settings) for one in values] if isinstance(values, list) else _without(values, settings)
        )
    return content


def _without(values: Mapping[str, Any], settings: Mapping[str, object]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in settings or value != settings[key]}


def condition_up_to_date(condition: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a logged condition as it would be logged today; the same object where nothing changes.

    Raises:
        LookupError, TypeError, AttributeError: it lacks a part, or a part is of another kind.
    """
    return _renamed(_with_its_halves(_with_its_pairing(condition)))


def _renamed(condition: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a selection rule the name that it has now."""
    selection = condition["selection"]
    name = RENAMED_SELECTION.get(selection.get("kind"))
    return condition if name is None else {**condition, "selection": {**selection, "kind": name}}


def _with_its_pairing(condition: Mapping[str, Any]) -> Mapping[str, Any]:
    """State how pairs of an alternating pairing recurred before there was a choice, where that matters."""
    pairing, agents = condition["pairing"], condition["agents"]
    if pairing.get("kind") != "alternating" or "in_both_roles" in pairing or not _recurs_by_choice(agents):
        return condition
    return {**condition, "pairing": {**pairing, "in_both_roles": True}}


def _with_its_halves(condition: Mapping[str, Any]) -> Mapping[str, Any]:
    """State how half an agent was rounded among survivors before there was a choice, where that matters."""
    selection = condition["selection"]
    if "halves" in selection or not _rounds_by_choice(condition["agents"], selection.get("fraction")):
        return condition
    return {**condition, "selection": {**selection, "halves": "to_even"}}


def _rounds_by_choice(n_agents: int, fraction: float | None) -> bool:
    """Return whether the number of survivors depends on how a half is rounded."""
    return fraction is not None and rounded(n_agents * fraction) != round(n_agents * fraction)


def _recurs_by_choice(n_agents: int) -> bool:
    """Return whether `alternating` can pair so many agents in two ways: half of them is an odd number, but not 1."""
    return n_agents % 4 == 2 and n_agents > 2
