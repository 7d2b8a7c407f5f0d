"""`agentsim list`: what scenarios can name, and where it comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agentsim.cli.declaring import command
from agentsim.cli.json_output import print_document
from agentsim.cli.options import Json, Plugins

if TYPE_CHECKING:
    from pydantic import BaseModel

    from agentsim.core.registry import Plugin

__all__ = ["Row", "rows"]


class Things(StrEnum):
    """What can be listed."""

    RULES = "rules"
    GAMES = "games"
    POLICIES = "policies"
    PROVIDERS = "providers"
    PROMPTS = "prompts"
    MEASURES = "measures"


PARTS: Final = {
    Things.RULES: ("pairing", "observation", "selection", "transmission"),
    Things.GAMES: ("game",),
    Things.POLICIES: ("policy",),
}


class Row(NamedTuple):
    """One thing of the list."""

    name: str
    settings: str
    origin: str
    line: str
    """The first line of what it says of itself."""


@command("list", examples=["list rules", "list policies", "list games --plugin my_rules.py"])
def list_things(
    what: Annotated[Things, typer.Argument(help="What to list.", show_default=False)],
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """List what scenarios can name: what ships, and what plug-ins bring."""
    from agentsim.scenario.plugins import load_installed

    load_installed()
    if as_json:
        print_document("list", what=what, things=list(rows(what)))
        return
    table = Table("name", "settings", "from", "what it is", box=SIMPLE_HEAD)
    for row in rows(what):
        table.add_row(*(Text(cell, overflow="fold") for cell in row))
    Console().print(table)


def rows(what: Things) -> Iterator[Row]:
    """Yield a row for each thing there is."""
    from agentsim.core.registry import REGISTRY

    for part in PARTS.get(what, ()):
        for kind, member in REGISTRY.of(part).items():
            name = f"{part}: {kind}" if what is Things.RULES else kind
            yield Row(name, _settings(member.thing), _origin(member.plugin), _line(member.thing))
    if what is Things.PROVIDERS:
        yield from _providers()
    elif what is Things.PROMPTS:
        yield from _prompts()
    elif what is Things.MEASURES:
        yield from _measures()


def _providers() -> Iterator[Row]:
    from agentsim.core.registry import REGISTRY
    from agentsim.providers.dialects.registry import dialects

    for name, dialect in dialects().items():
        member = REGISTRY.find("provider", name)
        for account, settings in dialect.accounts.items():
            said = ", ".join(f"{key}={value}" for key, value in settings.items())
            where = "on this machine" if dialect.serves_here else "over the network"
            yield Row(account, said, _origin(member.plugin if member else None), f"dialect {name}, {where}")


def _prompts() -> Iterator[Row]:
    from agentsim.core.registry import REGISTRY
    from agentsim.prompts import sets
    from agentsim.scenario.tree import SHIPPED_PROMPTS

    for name in SHIPPED_PROMPTS:
        yield Row(name, "", _origin(None), str(Path(sets.__file__).parent / name))
    for name, member in REGISTRY.of("prompts").items():
        yield Row(name, "", _origin(member.plugin), str(member.thing))


def _measures() -> Iterator[Row]:
    from agentsim.analysis import measures
    from agentsim.core.registry import REGISTRY

    for name in measures.__all__:
        yield Row(name, "", _origin(None), _line(getattr(measures, name)))
    for name, member in REGISTRY.of("measure").items():
        yield Row(name, "", _origin(member.plugin), _line(member.thing))


def _settings(thing: type[BaseModel]) -> str:
    """Return a class's settings with their defaults; not those that have one value only, nor a player's place."""
    from agentsim.core.policies import PlayerSettings
    from agentsim.prompts.sentences import settings_of

    settings = []
    for name in settings_of(thing):
        if name in PlayerSettings.model_fields:
            continue
        field = thing.model_fields[name]
        settings.append(
            name if field.is_required() else f"{name}={_value(field.get_default(call_default_factory=True))}"
        )
    return ", ".join(settings)


def _value(value: Any) -> str:
    dumped = value.model_dump(mode="json") if hasattr(value, "model_dump") else value
    if isinstance(dumped, dict):
        return str(dumped.get("kind", "{...}"))
    return dumped if isinstance(dumped, str) else json.dumps(dumped, default=str)


def _origin(plugin: Plugin | None) -> str:
    if plugin is None:
        return "agentsim"
    name = f"{plugin.name}.py" if plugin.source == "file" else plugin.name
    return f"{name} {plugin.version}" if plugin.version else name


def _line(thing: Any) -> str:
    return (thing.__doc__ or "").strip().partition("\n")[0]
