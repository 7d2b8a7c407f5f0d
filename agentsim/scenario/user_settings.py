"""A user's own settings, for every scenario on this machine: their accounts' limits and addresses, and engines.

Nothing in them is part of an experiment: what a society is asked depends on its scenario alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from agentsim.errors import ScenarioError, quote
from agentsim.providers.settings import AccountSettings, resolve
from agentsim.scenario.messages import translated
from agentsim.scenario.yaml_source import Mark, Node, read_file

__all__ = ["KEY_COMMAND", "NO_COMMAND", "own_engine", "settings_file", "with_own"]

KEYS: Final = ("providers", "engines")
"""What the user's file may hold."""
KEY_COMMAND: Final = "api_key_command"
NO_COMMAND: Final = (
    "a scenario cannot name a command to be run, because others may have written it; write it into your own settings,"
    " ~/.config/agentsim/config.yaml, as `providers: {NAME: {api_key_command: ...}}`"
)


def settings_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return `$AGENTSIM_CONFIG`, `$XDG_CONFIG_HOME/agentsim/config.yaml` or `~/.config/agentsim/config.yaml`.

    `None` where none of them is set and the user has no home directory.

    Raises:
        ScenarioError: `AGENTSIM_CONFIG` begins with a `~` that is nobody's home directory.
    """
    if config_path := environ.get("AGENTSIM_CONFIG"):
        try:
            return Path(config_path).expanduser()
        except RuntimeError as error:
            raise ScenarioError(
                f"AGENTSIM_CONFIG={quote(config_path)}: there is no such home directory; write the whole path"
            ) from error
    if xdg := environ.get("XDG_CONFIG_HOME"):
        return Path(xdg) / "agentsim" / "config.yaml"
    try:
        return Path.home() / ".config" / "agentsim" / "config.yaml"
    except RuntimeError:
        return None


def with_own(
    providers: Mapping[str, Mapping[str, Any]], *, environ: Mapping[str, str] = os.environ
) -> dict[str, dict[str, Any]]:
    """Return a scenario's `providers` with the user's own settings under them.

    Raises:
        ScenarioError: the user's file is wrong, or the one that `AGENTSIM_CONFIG` names is not there; or a scenario
            names a command, or an address to which the key of the user's command would be sent.
    """
    for name, settings in providers.items():
        if KEY_COMMAND in settings:
            raise ScenarioError(f"providers.{name}.{KEY_COMMAND}: {NO_COMMAND}")
    path = settings_file(environ)
    if path is None or (not path.exists() and "AGENTSIM_CONFIG" not in environ):
        return {name: dict(settings) for name, settings in providers.items()}
    user_providers = _read(read_file(path))
    return {
        name: _merged(name, user_providers.get(name, {}), providers.get(name, {}))
        for name in {**user_providers, **providers}
    }


def _merged(name: str, own: Mapping[str, Any], stated: Mapping[str, Any]) -> dict[str, Any]:
    """Return a scenario's settings of an account over the user's own."""
    if KEY_COMMAND not in own:
        return {**own, **stated}
    if "api_key_env" in stated:
        own = {key: value for key, value in own.items() if key != KEY_COMMAND}
    elif "base_url" in stated and stated["base_url"] != resolve(name, own).base_url:
        raise ScenarioError(
            f"providers.{name}.base_url: the scenario names another server than your settings, and the key that their"
            f" {KEY_COMMAND} prints is for that one alone; write the same address in both, or give the account in the"
            " scenario another name"
        )
    return {**own, **stated}


def own_engine(kind: str, *, environ: Mapping[str, str] = os.environ) -> Node:
    """Return the user's settings of an engine that plays studies elsewhere, such as `slurm`; they are not checked yet.

    Raises:
        ScenarioError: the user's file is wrong, or the one that `AGENTSIM_CONFIG` names is not there.
    """
    path = settings_file(environ)
    if path is None or (not path.exists() and "AGENTSIM_CONFIG" not in environ):
        return Node({}, Mark("your settings"))
    tree = read_file(path)
    _check(tree)
    engines = tree.find(("engines",))
    if engines is not None and not isinstance(engines.value, dict):
        raise tree.error(("engines",), "must hold engines, as `slurm: {partition: main}`")
    found = tree.find(("engines", kind)) or Node({}, Mark(str(path)))
    if not isinstance(found.value, dict):
        raise tree.error(("engines", kind), "must hold settings, as `{partition: main}`")
    return found


def _check(tree: Node) -> None:
    assert isinstance(tree.value, dict)
    for key in tree.value:
        if key not in KEYS:
            raise tree.error(
                (key,), f"{quote(key)} is no setting of yours; only `providers:` and `engines:` are", at_key=True
            )


def _read(tree: Node) -> dict[str, dict[str, Any]]:
    _check(tree)
    accounts = found.plain() if (found := tree.find(("providers",))) else {}
    if not isinstance(accounts, dict):
        raise tree.error(("providers",), "must hold accounts, as `openai: {requests_per_minute: 500}`")
    for name, settings in accounts.items():
        if not isinstance(settings, dict):
            raise tree.error(("providers", name), "must hold settings, as `{requests_per_minute: 500}`")
        try:
            resolve(name, settings)
        except ValidationError as error:
            raise translated(error, tree, schema=AccountSettings, below=("providers", name)) from error
        except ScenarioError as error:
            raise tree.error(("providers", name), str(error)) from error
    return accounts
