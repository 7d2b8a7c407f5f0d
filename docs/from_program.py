"""The parts of the site that the program itself states, put in as the site is built: no copy can be out of date.

A page holds a mark such as `<!-- from the program: settings -->`, and what the function of that name below returns
stands there on the site. Each returns Markdown, and none needs Sphinx.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType, UnionType
from typing import Any, Final, Literal, get_args, get_origin
from unittest.mock import patch

__all__ = ["MARK", "PARTS", "filled", "setup"]

MARK: Final = re.compile(r"^<!-- from the program: ([a-z ]+) -->$", re.MULTILINE)
ROOT: Final = Path(__file__).parent.parent
Schema = Mapping[str, Any]


# --- settings ------------------------------------------------------------------------------------------------------


def settings() -> str:
    """Return each setting of a scenario file: its values, default, unit and meaning."""
    from agentsim.scenario.schema import json_schema

    schema = json_schema()
    defs, properties = schema["$defs"], schema["properties"]
    whole = {name: value for name, value in properties.items() if not _models(value, defs)}
    lines = ["## The file itself", "", *_table(whole, "", defs, schema["required"])]
    account = properties["providers"]["anyOf"][0]["additionalProperties"]
    for name, value in properties.items():
        if name == "providers":
            lines += [
                "",
                "## providers",
                "",
                "The settings of one account, as in `providers: {openai: {concurrency: 64}}`.",
                "",
            ]
            lines += _table(account["properties"], "providers.*.", defs)
            continue
        models = _models(value, defs)
        if not models:
            continue
        lines += ["", f"## {name}", "", _words(value), ""]
        if _is_chosen(models, defs):
            lines += _kinds(name, models, defs)
        else:
            [model] = models
            lines += [
                _words(defs[model]),
                "",
                *_table(defs[model]["properties"], f"{name}.", defs, defs[model].get("required")),
            ]
    return "\n".join(lines)


def _kinds(name: str, models: list[str], defs: Mapping[str, Schema]) -> Iterator[str]:
    """Yield a section for each kind of a rule, or for each player; settings that all players share stand once."""
    of = {model: dict(defs[model]["properties"]) for model in models}
    shared = {
        key
        for key in of[models[0]]
        if len(models) > 3 and all(each.get(key) == of[models[0]][key] for each in of.values())
    }
    if shared:
        yield from (
            f"### every {name.removesuffix('s')}",
            "",
            *_table({key: of[models[0]][key] for key in of[models[0]] if key in shared}, f"{name}.", defs),
        )
    for model in models:
        key = _tag(defs[model])
        value = defs[model]["properties"][key]
        is_named = "const" in value
        title = f"{key}: {value['const']}" if is_named else f"a {name.removesuffix('s')} of your choice"
        yield from ("", f"### {title}", "", _words(defs[model]), "")
        own = {
            field: part for field, part in of[model].items() if field not in shared and not (field == key and is_named)
        }
        yield from _table(own, f"{name}.", defs, defs[model].get("required"))


def _table(
    properties: Mapping[str, Schema], prefix: str, defs: Mapping[str, Schema], required: Sequence[str] | None = None
) -> list[str]:
    rows = list(_rows(properties, prefix, defs, required or ()))
    if not rows:
        return ["It has no settings of its own."]
    head = ["| setting | values | default | unit | what it says |", "|---|---|---|---|---|"]
    return [":::{container} settings", *head, *rows, ":::"]


def _rows(
    properties: Mapping[str, Schema], prefix: str, defs: Mapping[str, Schema], required: Sequence[str], when: str = ""
) -> Iterator[str]:
    for name, value in properties.items():
        stated = next((part["default"] for part in (value, *value.get("anyOf", ())) if "default" in part), ...)
        default = "*must be stated*" if name in required else "" if stated is ... else _code(stated)
        said = when + _words(value, is_cell=True)
        yield f"| `{prefix}{name}` | {_values(value, defs)} | {default} | {value.get('unit', '')} | {said} |"
        models = _models(value, defs)
        if value.get("type") == "array" and _is_chosen(models, defs):
            continue  # each kind has a section
        for model in models:
            key, below = _tag(defs[model]), dict(defs[model]["properties"])
            is_one = key and "const" in below[key] and len(models) > 1
            of = f"(`{key}: {below.pop(key)['const']}`) " if is_one else ""
            yield from _rows(below, f"{prefix}{name}.", defs, defs[model].get("required", ()), of)


def _models(value: Schema, defs: Mapping[str, Schema]) -> list[str]:
    """Return the names of the objects that a value may be, also as members of a list."""
    found = [value["$ref"].rpartition("/")[2]] if "$ref" in value else []
    parts = [*value.get("anyOf", []), *value.get("oneOf", [])]
    parts += [part for part in (value.get("items"), value.get("additionalProperties")) if isinstance(part, dict)]
    for part in parts:
        found += _models(part, defs)
    return [name for name in dict.fromkeys(found) if "properties" in defs[name]]


def _is_chosen(models: list[str], defs: Mapping[str, Schema]) -> bool:
    return len(models) > 1 and all(_tag(defs[model]) for model in models)


def _tag(model: Schema) -> str:
    """Return the field that says which of several kinds an object is; empty if there is none."""
    return next((key for key in ("kind", "model") if key in model["properties"]), "")


def _values(value: Schema, defs: Mapping[str, Schema]) -> str:
    """Say in words which values a schema allows."""
    if "enum" in value:
        return ", ".join(_code(each) for each in value["enum"])
    if "const" in value:
        return _code(value["const"])
    parts = value.get("anyOf", value.get("oneOf"))
    if parts is not None:
        return " or ".join(dict.fromkeys(_values(part, defs) for part in parts))
    if "$ref" in value:
        model = defs[value["$ref"].rpartition("/")[2]]
        if "properties" not in model:
            return _values(model, defs)
        key = _tag(model)
        return (
            _code(model["properties"][key]["const"])
            if key and "const" in model["properties"][key]
            else "the settings below"
        )
    match value.get("type"):
        case "integer" | "number" as kind:
            return f"{'whole number' if kind == 'integer' else 'number'}{_bounds(value)}"
        case "array":
            items = value.get("items")
            return "list of " + (_values(items, defs) if isinstance(items, dict) and items else "values")
        case "object":
            return "mapping"
        case "string":
            return "text"
        case "boolean":
            return "`true`, `false`"
        case "null":
            return "`null`"
    return "any value"


def _bounds(value: Schema) -> str:
    bounds = {
        key: f"{value[key]:,}" for key in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum") if key in value
    }
    if value.get("maximum", 0) >= 2**31 - 1:
        del bounds["maximum"]  # what a format can hold
    if {"minimum", "maximum"} <= bounds.keys():
        return f" from {bounds['minimum']} to {bounds['maximum']}"
    words = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return "".join(f" {words[key]} {bound}" for key, bound in bounds.items())


def _words(value: Schema, *, is_cell: bool = False) -> str:
    text = re.sub(r"\bdocs/(\w+)\.md\b", r"[\1](/\1.md)", value.get("description", ""))
    return " ".join(text.split()).replace("|", "\\|") if is_cell else text


def _code(value: Any) -> str:
    """Write a value as in a scenario file; of a mapping of defaults, its kind says it all."""
    if isinstance(value, dict):
        return f"`{{kind: {value['kind']}}}`" if "kind" in value else "`{}`" if not value else "as below"
    return f"`{value}`" if isinstance(value, str) and value else f"`{json.dumps(value)}`"


# --- commands ------------------------------------------------------------------------------------------------------


def commands() -> str:
    """Return each command of the command line: what it does, takes and gives."""
    import typer

    from agentsim.cli import app

    lines = []
    for words, command in _commands(typer.main.get_command(app)):
        name = "agentsim " + " ".join(words)
        context = command.make_context(name, [], resilient_parsing=True)
        usage = " ".join([name, *command.collect_usage_pieces(context)])
        usage = re.sub(r"\{(\w+)\}|\[([a-z]+)\]", lambda part: part[0].strip("{}").upper(), usage)
        _, *examples, codes = command.epilog.split("\n\n")
        lines += [f"## {name}", "", _told(command.help), "", f"Usage: `{usage}`", ""]
        lines += ["| argument or option | default | what it does |", "|---|---|---|"]
        lines += [
            _option(parameter, context) for parameter in command.params if not getattr(parameter, "hidden", False)
        ]
        lines += ["", "```console", *(f"$ {example}".replace(r"\[", "[") for example in examples), "```", "", codes, ""]
    return "\n".join(lines)


def _commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from _commands(command, (*words, name))
        else:
            yield (*words, name), command


def _option(parameter: Any, context: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    if parameter.param_type_name == "argument":
        names = f"`{parameter.name.upper()}`"
    default = parameter.get_default(context)
    is_shown = default is not None and default is not False and default != () and not callable(default)
    said = _told(getattr(parameter, "help", None) or "").replace("|", "\\|")
    return f"| {names} | {f'`{default}`' if is_shown else ''} | {said} |"


def _told(text: str) -> str:
    """Undo what help texts escape for the terminal; single line breaks are spaces."""
    return re.sub(r"docs/(\w+)\.md", r"[\1](/\1.md)", " ".join(text.replace(r"\[", "[").split()))


# --- what can be named ---------------------------------------------------------------------------------------------


def names() -> str:
    """Return what scenarios can name, as `agentsim list` prints it."""
    lines = []
    for what in _listed():
        things = _printed("list", what, "--json")["things"]
        lines += [f"## {what}", "", "| name | settings | what it is |", "|---|---|---|"]
        for thing in things:
            line = thing["line"].replace(str(ROOT) + "/", "")
            cells = (f"`{thing['name']}`", f"`{thing['settings']}`" if thing["settings"] else "", line)
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)


def _listed() -> list[str]:
    from agentsim.cli.commands.list import Things

    return [thing.value for thing in Things]


def _printed(*arguments: str) -> Any:
    """Run a command in this process and return the document that it prints."""
    from agentsim.cli import app

    out = io.StringIO()
    with contextlib.redirect_stdout(out), patch.object(sys, "argv", ["agentsim", *arguments]):
        app(list(arguments), standalone_mode=False)
    return json.loads(out.getvalue())


# --- the log -------------------------------------------------------------------------------------------------------


def records() -> str:
    """Return each kind of line of a log, with its fields."""
    from agentsim.log.records import Record
    from agentsim.scenario.schema import described_schema

    lines, below = [], {}
    for model in _members(Record):
        schema = described_schema(model)
        defs = schema.get("$defs", {})
        name = schema["properties"]["type"]["const"]
        lines += [f"## {name}", "", _words(schema), "", *_fields(schema, defs), ""]
        below |= {key: part for key, part in defs.items() if "properties" in part}
    lines += ["## What stands in them", ""]
    for name, part in sorted(below.items()):
        lines += [f"### {name}", "", _words(part), "", *_fields(part, below), ""]
    return "\n".join(lines)


def _members(union: Any) -> list[Any]:
    """Return the members of a union of unions, in their order."""
    if get_origin(union) is None:
        return [union]
    parts = get_args(union) if isinstance(union, UnionType) or get_origin(union) is not Literal else ()
    if hasattr(union, "__metadata__"):
        parts = parts[:1]
    return [member for part in parts for member in _members(part)]


def _fields(schema: Schema, defs: Mapping[str, Schema]) -> list[str]:
    rows = ["| field | value | what it says |", "|---|---|---|"]
    for name, value in schema["properties"].items():
        if name != "type":
            kinds = _models(value, defs)
            links = ", ".join(f"[{kind}](#{kind.lower()})" for kind in kinds)
            rows.append(f"| `{name}` | {links or _values(value, defs)} | {_words(value, is_cell=True)} |")
    return rows


# --- Python --------------------------------------------------------------------------------------------------------


def python() -> str:
    """Return the public names as directives of autodoc: classes and functions, then modules with what they offer."""
    import agentsim

    lines, modules, seen = ["```{eval-rst}"], [], []
    for name in sorted(agentsim.__all__, key=str.lower):
        value = getattr(agentsim, name)
        if isinstance(value, ModuleType):
            modules.append(name)
        elif callable(value):
            lines += _documented(f"agentsim.{name}", value, seen)
    lines += ["```", ""]
    for name in modules:
        module = getattr(agentsim, name)
        lines += [f"## agentsim.{name}", "", inspect.getdoc(module) or "", "", "```{eval-rst}"]
        for each in sorted(module.__all__, key=str.lower):
            lines += _documented(f"agentsim.{name}.{each}", getattr(module, each), seen)
        lines += ["```", ""]
    return "\n".join(lines)


def _documented(name: str, value: Any, seen: list[Any]) -> list[str]:
    """Return the directive of autodoc for a class or function; nothing for a type's short name or a constant.

    Links lead to the first of several places that offer the same class.
    """
    if inspect.isclass(value):
        again = ["   :no-index:"] if value in seen else []
        seen.append(value)
        return [f".. autoclass:: {name}", "   :members:", *again, ""]
    return [f".. autofunction:: {name}", ""] if inspect.isroutine(value) else []


def restructured(lines: list[str]) -> None:
    """Write a docstring's lines, in which `code` stands between single backticks, as autodoc reads them."""
    for number, line in enumerate(lines):
        parts = re.split(r"``?([^`]+)``?", line)
        parts[::2] = [part.replace("|", "\\|") for part in parts[::2]]
        parts[1::2] = [f"\\ ``{part}``\\ " for part in parts[1::2]]
        lines[number] = re.sub(r"^(\s*)\\ ``", r"\1``", "".join(parts))


# --- the blocks of the pages -----------------------------------------------------------------------------------------


def counts() -> str:
    """Say how many blocks of code stand on the pages, and how many of them the tests run."""
    pages = [page.read_text("utf-8") for page in sorted(ROOT.glob("docs/**/*.md"))]
    opened = [line for page in pages for line in re.findall(r"^```([\w-].*)$", page, re.MULTILINE)]
    n_run = sum(line in ("console", "python", "pycon", "yaml") for line in opened)
    n_not_run = sum(" not-run" in line for line in opened)
    return (
        f"These pages have {n_run + n_not_run} blocks of code. The tests run {n_run} of them as they stand here; the"
        " others need a key, another machine or minutes of a model, and are marked in the pages' sources."
    )


def changes() -> str:
    """Return the changelog."""
    return (ROOT / "CHANGELOG.md").read_text("utf-8").partition("\n")[2]


PARTS: Final[dict[str, Callable[[], str]]] = {
    part.__name__: part for part in (settings, commands, names, records, python, counts, changes)
}


def filled(text: str) -> str:
    """Return a page's text with what its marks stand for."""
    return MARK.sub(lambda mark: PARTS[mark[1]](), text)


def setup(app: Any) -> dict[str, bool]:
    """Fill each page as Sphinx reads it; links whose text is a file's name have the page's title instead."""

    def read(_: Any, name: str, source: list[str]) -> None:
        text = filled(source[0])
        text = re.sub(r"\[[\w/-]+\.md\]\(((?:[\w./-]+)\.md)\)", r"[](\1)", text)
        source[0] = re.sub(r"`docs/([\w/-]+\.md)`", r"[](/\1)", text)

    def outdated(app: Any, env: Any, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
        return [name for name in env.found_docs if MARK.search(Path(env.doc2path(name)).read_text("utf-8"))]

    def said(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
        restructured(lines)

    app.connect("source-read", read)
    app.connect("autodoc-process-docstring", said, priority=600)  # after napoleon
    app.connect("env-get-outdated", outdated)
    return {"parallel_read_safe": True}
