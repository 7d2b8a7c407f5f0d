"""YAML files, or plain data, to checked scenarios. Errors name file, line, column and key, and show the line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agentsim.errors import did_you_mean, quote
from agentsim.providers.dialects.registry import built_in
from agentsim.providers.settings import ProviderSettings, resolve, unsupported
from agentsim.scenario.conditions import MAX_RUNS, Condition, Scenario, identity
from agentsim.scenario.messages import translated
from agentsim.scenario.players import ModelPlayer, Player
from agentsim.scenario.plugins import load_installed
from agentsim.scenario.runs import condition_of, note_on
from agentsim.scenario.tree import cells, load_tree, placed, variations, with_model, with_setting
from agentsim.scenario.user_settings import KEY_COMMAND, NO_COMMAND, with_own
from agentsim.scenario.yaml_source import KeyPath, Mark, Node, node_from

__all__ = ["load_scenario", "scenario_from"]


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
    load_installed()
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
    load_installed()
    tree = node_from(data, source="scenario")
    if "extends" in data:
        raise tree.error(("extends",), "only files can extend files; merge the data, or use load_scenario")
    for text in sets:
        tree = with_setting(tree, text, folder=Path.cwd())
    return _checked(placed(tree, folder=Path.cwd(), is_confined=False))


def _checked(tree: Node) -> Scenario:
    vary = variations(tree)
    _check_varied_heads(tree, vary)
    # The scenario's own condition is the first cell, so that what varies need not be written twice.
    base = next(cells(tree, vary)).tree
    try:
        scenario = Scenario.model_validate(base.plain(), strict=True)
    except ValidationError as error:
        raise translated(error, base, schema=Scenario, also=("extends",)) from error
    n_runs = math.prod(len(values) for values in vary.values()) * len(scenario.seeds)
    if n_runs > MAX_RUNS:
        place = ("vary",) if vary else ("seeds",)
        raise tree.error(place, f"{n_runs} runs (conditions × seeds) are too many; {MAX_RUNS} are allowed")
    accounts = _accounts(tree, scenario)
    seen: set[str] = set()
    for cell in cells(base, vary):
        condition = condition_of(cell)
        for index, player in enumerate(condition.by_label.values()):
            _check_player(
                cell.tree,
                player,
                place=("players", index) if isinstance(condition.players, tuple) else ("players",),
                accounts=accounts,
                note=note_on(cell),
            )
        text = _canonical(identity(condition))
        if text in seen:
            raise tree.error(("vary",), f"two conditions are the same{note_on(cell)}; keep one of the two")
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


def _accounts(tree: Node, scenario: Scenario) -> Mapping[str, ProviderSettings]:
    """Return the settings of every account a player may name."""
    for name, settings in scenario.providers.items():
        if KEY_COMMAND in settings:
            raise tree.error(("providers", name, KEY_COMMAND), NO_COMMAND, at_key=True)
    providers = with_own(scenario.providers)
    others = [name for name in dict.fromkeys((*built_in(), *providers)) if name not in scenario.providers]
    checked = {name: resolve(name, providers.get(name)) for name in others}
    for name in scenario.providers:
        place = ("providers", name)
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name) or name == "scripted":
            what = "is taken by the scripted policies" if name == "scripted" else "cannot name an account"
            raise tree.error(place, f"{quote(name)} {what}; use a-z, 0-9, '_' and '-', as in vllm", at_key=True)
        try:
            checked[name] = resolve(name, providers[name])
        except ValidationError as error:
            raise translated(error, tree, schema=ProviderSettings, below=place) from error
    return checked


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


def _canonical(data: object) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
