"""The JSON schema of scenario files: each field has the words of the docstring under it, and a number its unit.

pydantic can read these words as it builds a model (`use_attribute_docstrings`). That parses the source of each model
whenever it is imported, which would be a fifth of `agentsim check`. They are wanted in the schema alone.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from agentsim.providers.settings import ProviderSettings
from agentsim.scenario.conditions import Scenario
from agentsim.scenario.plugins import load_installed
from agentsim.scenario.units import unit_of

__all__ = ["described_schema", "field_words", "json_schema"]


def described_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the model's JSON schema, in which each field without a description has the docstring under it as one.

    A field that is a number has a `unit`, where `units` states one.
    """
    schema = model.model_json_schema()
    models = list(_subclasses(BaseModel))
    classes = {subclass.__name__: subclass for subclass in models}
    # Of two classes of one name pydantic writes the modules as well.
    classes |= {f"{subclass.__module__}.{subclass.__qualname__}".replace(".", "__"): subclass for subclass in models}
    for name, part in {**schema.get("$defs", {}), model.__name__: schema}.items():
        if name not in classes:
            continue
        words = field_words(classes[name])
        properties = part.get("properties", {})
        for field, value in properties.items():
            if field in words and "description" not in value:
                properties[field] = dict(sorted({**value, "description": words[field]}.items()))
            unit = unit_of(classes[name].__name__, field) if _is_number(value) else None
            if unit is not None:
                properties[field]["unit"] = unit
    return schema


def _is_number(value: dict[str, Any]) -> bool:
    """Whether a value of this schema is a number, or a list of some."""
    parts = [*value.get("anyOf", []), *value.get("oneOf", []), value.get("items")]
    return value.get("type") in ("integer", "number") or any(
        _is_number(part) for part in parts if isinstance(part, dict)
    )


def _subclasses(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for subclass in model.__subclasses__():
        if subclass.__module__.startswith("agentsim."):
            yield subclass
        yield from _subclasses(subclass)


def field_words(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstring under each field, by the field's name; a subclass's own stands for those it inherits."""
    words: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if not base.__module__.startswith("agentsim."):
            continue
        [tree] = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(tree, ast.ClassDef)
        for field, below in zip(tree.body, tree.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                words.pop(field.target.id, None)
                if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                    words[field.target.id] = inspect.cleandoc(str(below.value.value))
    return words


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of scenario files, for editors."""
    load_installed()
    schema = described_schema(Scenario)
    properties = schema["properties"]
    properties["extends"] = {
        "type": "string",
        "description": "A scenario file in this file's folder or below; its settings hold where this one is silent.",
    }
    text = {"type": "string", "pattern": r"^\s*\d+\s*(-\s*\d+\s*)?(,\s*\d+\s*(-\s*\d+\s*)?)*$"}
    said = {key: properties["seeds"].pop(key) for key in ("description", "unit")}
    properties["seeds"] = {"anyOf": [properties["seeds"], text, properties["seeds"]["items"]], **said}
    account = described_schema(ProviderSettings)
    schema["$defs"] |= account.pop("$defs", {})
    properties["providers"]["additionalProperties"] = account
    for key in ("vary", "providers"):
        description = properties[key].pop("description")
        properties[key] = {"anyOf": [properties[key], {"type": "null"}], "description": description}
    schema["required"] = ["name"]  # players may come from the file that is extended, or from `vary`
    return schema
