"""`agentsim list`: what scenarios can name, and where it comes from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, Optional

import typer
from rich.console import Console
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
    TABLES = "tables"
    PAIRINGS = "pairings"
    OBSERVATIONS = "observations"
    SELECTIONS = "selections"
    TRANSMISSIONS = "transmissions"
    POLICIES = "policies"
    PROVIDERS = "providers"
    PROMPTS = "prompts"
    MEASURES = "measures"


LINES: Final = {
    Things.RULES: "pairings, observations, selections and transmissions together",
    Things.GAMES: "what is played: game.kind",
    Things.TABLES: "named payoffs of the matrix game: game.table",
    Things.PAIRINGS: "who meets whom: pairing.kind",
    Things.OBSERVATIONS: "what is known of others: observation.kind",
    Things.SELECTIONS: "who survives a generation: selection.kind",
    Things.TRANSMISSIONS: "how newborns come to a strategy: transmission.kind",
    Things.POLICIES: "players without a model: players.model, as scripted/tit-for-tat",
    Things.PROVIDERS: "accounts that models are asked through: players.model, as openai/gpt-4o",
    Things.PROMPTS: "sets of prompts: prompts",
    Things.MEASURES: "what can be computed of a study, in agentsim.measures",
}
PARTS: Final = {
    Things.RULES: ("pairing", "observation", "selection", "transmission"),
    Things.GAMES: ("game",),
    Things.PAIRINGS: ("pairing",),
    Things.OBSERVATIONS: ("observation",),
    Things.SELECTIONS: ("selection",),
    Things.TRANSMISSIONS: ("transmission",),
    Things.POLICIES: ("policy",),
}


PROMPT_SETS: Final = {
    "default": "The wording of the published experiment, mended",
    "default-json": "The same, for answers that follow a JSON schema",
    "german": "German, with a decimal comma",
    "neutral": "No name of the game, and options by letters",
    "paraphrase-1": "The same roles, other sentences",
    "paraphrase-2": "Players at a table, who send points",
    "paraphrase-3": "Questions and answers, between benefactor and beneficiary",
}


class Setting(NamedTuple):
    """A setting of a thing."""

    name: str
    default: Any
    """As a scenario says it; `None` also where it must be given."""
    is_required: bool
    line: str
    """What it is, in a sentence or two."""


class Row(NamedTuple):
    """One thing of the list."""

    name: str
    settings: str
    origin: str
    line: str
    """The first sentence of what it says of itself."""
    parameters: tuple[Setting, ...] = ()


@command("list", examples=["list", "list policies", "list pairings --json", "list games --plugin my_rules.py"])
def list_things(
    what: Annotated[
        Optional[Things],  # noqa: UP045 - typer reads it
        typer.Argument(help="What to list; without it, what there is to list.", show_default=False),
    ] = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """List what scenarios can name, with settings and defaults: what ships, and what plug-ins bring."""
    from agentsim.cli.tables.cells import called, titled
    from agentsim.scenario.plugins import load_installed

    load_installed()
    found = list(rows(what)) if what is not None else [Row(one, "", "", line) for one, line in LINES.items()]
    if as_json:
        print_document("list", what=what, things=found)
        return
    if what is None:
        table = titled("What there is", caption="agentsim list NAME")
        for name in ("name", "what it is"):
            table.add_column(name)
        for row in found:
            table.add_row(called(row.name), row.line)
    else:
        table = titled(what.capitalize(), caption=LINES[what])
        for name in ("name", "settings", "from", "what it is"):
            table.add_column(name, overflow="fold")
        for row in found:
            table.add_row(called(row.name), *(Text(cell) for cell in (row.settings, row.origin, row.line)))
    Console().print(table)


def rows(what: Things) -> Iterator[Row]:
    """Yield a row for each thing there is."""
    from agentsim.core.registry import REGISTRY

    for part in PARTS.get(what, ()):
        for kind, member in REGISTRY.of(part).items():
            name = f"{part}: {kind}" if what is Things.RULES else kind
            settings = _settings(member.thing)
            said = ", ".join(one.name if one.is_required else f"{one.name}={_value(one.default)}" for one in settings)
            yield Row(name, said, _origin(member.plugin), _line(member.thing), settings)
    if what is Things.TABLES:
        yield from _tables()
    elif what is Things.PROVIDERS:
        yield from _providers()
    elif what is Things.PROMPTS:
        yield from _prompts()
    elif what is Things.MEASURES:
        yield from _measures()


def _tables() -> Iterator[Row]:
    from agentsim.core.games.matrix import TABLES

    for name, table in TABLES.items():
        first = "; ".join(" ".join(f"{one:g}" for one in row) for row in table.payoffs)
        yield Row(
            name,
            f"options={', '.join(table.options)}",
            _origin(None),
            f"payoffs to the first player, a row for each of its options: {first}",
        )


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
        yield Row(name, "", _origin(None), f"{PROMPT_SETS[name]}; {Path(sets.__file__).parent / name}")
    for name, member in REGISTRY.of("prompts").items():
        yield Row(name, "", _origin(member.plugin), str(member.thing))


def _measures() -> Iterator[Row]:
    from agentsim.analysis import measures
    from agentsim.core.registry import REGISTRY

    for name in measures.__all__:
        yield Row(name, "", _origin(None), _line(getattr(measures, name)))
    for name, member in REGISTRY.of("measure").items():
        yield Row(name, "", _origin(member.plugin), _line(member.thing))


def _settings(thing: type[BaseModel]) -> tuple[Setting, ...]:
    """Return a class's settings with their defaults; not those that have one value only, nor a player's place."""
    from pydantic import BaseModel

    from agentsim.core.policies import PlayerSettings
    from agentsim.prompts.sentences import settings_of
    from agentsim.scenario.schema import field_words

    words = field_words(thing)
    settings = []
    for name in settings_of(thing):
        if name in PlayerSettings.model_fields:
            continue
        field = thing.model_fields[name]
        default: Any = None if field.is_required() else field.get_default(call_default_factory=True)
        plain = default.model_dump(mode="json") if isinstance(default, BaseModel) else default
        settings.append(Setting(name, plain, field.is_required(), " ".join((words.get(name) or "").split())))
    return tuple(settings)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("kind", "{...}"))
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _origin(plugin: Plugin | None) -> str:
    if plugin is None:
        return "agentsim"
    name = f"{plugin.name}.py" if plugin.source == "file" else plugin.name
    return f"{name} {plugin.version}" if plugin.version else name


def _line(thing: Any) -> str:
    """Return the first sentence of a docstring."""
    paragraph = " ".join((thing.__doc__ or "").strip().partition("\n\n")[0].split())
    return re.split(r"(?<=[.:]) (?=[A-Z])", paragraph, maxsplit=1)[0]
