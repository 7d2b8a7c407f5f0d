"""Pydantic's errors as messages for the author of a scenario: where it stands, what is wrong, what is allowed."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from agentsim.core.registry import Among
from agentsim.core.selection import RENAMED
from agentsim.errors import ScenarioError, did_you_mean, quote
from agentsim.scenario.yaml_source import KeyPath, Node

__all__ = ["joined", "translated"]

MAX_REPORTED = 5
TAGS = ("kind", "model")
"""The keys that say which class of a union a mapping is."""


def translated(
    error: ValidationError,
    tree: Node,
    *,
    schema: type[BaseModel],
    note: str = "",
    also: Sequence[str] = (),
    below: KeyPath = (),
) -> ScenarioError:
    """Return the error of validating what `tree` holds at `below` as `schema`, placed in the file.

    `note` ends each message; `also` are keys at the top of `schema` that it does not have itself.
    """
    top, tree = tree, tree.find(below) or tree
    errors_by_path: dict[KeyPath, tuple[tuple[int, int], ScenarioError]] = {}
    for details in error.errors(include_url=False):
        path = _place(details["loc"], tree, is_missing=details["type"] == "missing")
        path, message, is_key = _message(details, path, tree=tree, schema=schema, also=also)
        if path in errors_by_path:
            continue  # a union reports one error for each of its members
        placed = top.error((*below, *path), message + note, at_key=is_key)
        node = next(node for n in range(len(path), -1, -1) if (node := tree.find(path[:n])) is not None)
        errors_by_path[path] = ((node.mark.line or 0, node.mark.column or 0), placed)
    return joined([placed for _, placed in sorted(errors_by_path.values(), key=lambda item: item[0])])


def joined(errors: list[ScenarioError]) -> ScenarioError:
    """Return one error that says them all, or the first few of very many."""
    lines = [str(error) for error in errors[:MAX_REPORTED]]
    if len(errors) > MAX_REPORTED:
        lines.append(f"(and {len(errors) - MAX_REPORTED} more)")
    return ScenarioError("\n".join(lines))


def _place(loc: tuple[int | str, ...], tree: Node, *, is_missing: bool) -> KeyPath:
    """Return the path in the file of pydantic's `loc`, which names union members between the keys."""
    path: list[int | str] = []
    node: Node | None = tree
    for index, part in enumerate(loc):
        below = node.find((part,)) if node else None
        if below is not None:
            path.append(part)
            node = below
        elif is_missing and index == len(loc) - 1:
            path.append(part)
    return tuple(path)


def _message(
    details: ErrorDetails, path: KeyPath, *, tree: Node, schema: type[BaseModel], also: Sequence[str]
) -> tuple[KeyPath, str, bool]:
    """Return the path, what is wrong and what is allowed, and whether the key itself is wrong."""
    kind, context = details["type"], details.get("ctx", {})
    node = tree.find(path)
    if kind == "extra_forbidden":
        owner = _class_at(path[:-1], tree=tree, schema=schema)
        allowed = [*(owner.model_fields if owner else []), *(also if len(path) == 1 else [])]
        near = did_you_mean(str(path[-1]), allowed)
        return path, f"unknown key {quote(path[-1])}{near or ';'} allowed: {', '.join(allowed) or 'none'}", True
    if kind == "missing":
        field = _field_at(path, tree=tree, schema=schema)
        example = f", for instance `{path[-1]}: {field.examples[0]}`" if field and field.examples else ""
        return path, f"is missing; write {_describe(field) or 'a value'}{example}", True
    if kind in {"union_tag_invalid", "union_tag_not_found"} and node and isinstance(node.value, dict):
        named = str(context.get("discriminator", "")).strip("'")
        tag = named if named in TAGS else "kind"  # of a union that has a default, pydantic names a function
        expected = _expected(path, tree=tree, schema=schema, tag=tag)
        path = (*path, tag)
        if kind == "union_tag_not_found":
            return path, f"is missing; allowed: {', '.join(expected)}", True
        value = str(context.get("tag"))
        if value in RENAMED:
            return path, f"{quote(value)} has another name now; {RENAMED[value]}", False
        near = did_you_mean(value, expected) or ";"
        is_open = near == ";" and _is_open(path[:-1], tree=tree, schema=schema)
        more = ", or one that --plugin FILE or an installed package brings" if is_open else ""
        return path, f"{quote(value)} is unknown{near} allowed: {', '.join(expected)}{more}", False
    if kind in {"value_error", "assertion_error"}:
        message = str(context.get("error", details["msg"]))
        # Checks across fields begin with the key they are about.
        match = re.match(r"([a-z_]+(?:\.[a-z_]+)*): ", message)
        if match and _field_at((*path, *match[1].split(".")), tree=tree, schema=schema):
            return (*path, *match[1].split(".")), message[match.end() :], False
        return path, message, False
    allowed_text = _describe(_field_at(path, tree=tree, schema=schema))
    value = quote(node.plain()) if node else quote(details["input"])
    if not allowed_text:
        reason = details["msg"].replace("Input should", "it should").replace("dictionary", "mapping")
        return path, f"{value} is not allowed; {reason}", False
    near = did_you_mean(str(details["input"]), _literals(_field_at(path, tree=tree, schema=schema)))
    return path, f"{value} is not allowed{near or ';'} it must be {allowed_text}", False


# --- what a place in a file may hold -------------------------------------------------------------------------------


def _classes(annotation: Any) -> list[type[BaseModel]]:
    if (mark := _mark(annotation)) is not None:
        return mark.classes
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model_class for part in get_args(annotation) for model_class in _classes(part)]


def _mark(annotation: Any) -> Among | None:
    """Return what says that any member of a part may stand there."""
    marks = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    return next((mark for mark in marks if isinstance(mark, Among)), None)


def _is_open(path: KeyPath, *, tree: Node, schema: type[BaseModel]) -> bool:
    """Whether plug-ins may bring what stands there."""

    def is_marked(annotation: Any) -> bool:
        return _mark(annotation) is not None or any(map(is_marked, get_args(annotation)))

    field = _field_at(path, tree=tree, schema=schema)
    return field is not None and is_marked(_annotation(field))


def _annotation(field: FieldInfo) -> Any:
    """Return a field's annotation with its metadata, which pydantic takes apart."""
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def _is_literal(owner: type[BaseModel], tag: str) -> bool:
    field = owner.model_fields.get(tag)
    return field is not None and get_origin(field.annotation) is Literal


def _chosen(owners: list[type[BaseModel]], data: Any) -> type[BaseModel] | None:
    """Return the member of a union that the data's `kind` or `model` names."""
    if not isinstance(data, Mapping):
        return owners[0] if len(owners) == 1 else None
    for tag in TAGS:
        for owner in owners:
            if _is_literal(owner, tag) and data.get(tag) in get_args(owner.model_fields[tag].annotation):
                return owner
    open_ones = [owner for owner in owners if not any(_is_literal(owner, tag) for tag in TAGS)]
    if open_ones:
        return open_ones[0]
    # Without a tag the first member is meant (see `core.registry.Among` and `core.facts.by_kind`).
    is_default = bool(owners) and not any(tag in data for tag in TAGS)
    return owners[0] if is_default or len(owners) == 1 else None


def _class_at(path: KeyPath, *, tree: Node, schema: type[BaseModel]) -> type[BaseModel] | None:
    if not path:
        return schema
    field = _field_at(path, tree=tree, schema=schema)
    node = tree.find(path)
    return _chosen(_classes(_annotation(field)), node.plain() if node else None) if field else None


def _field_at(path: KeyPath, *, tree: Node, schema: type[BaseModel]) -> FieldInfo | None:
    if not path:
        return None
    if isinstance(path[-1], int):  # an item is what the list's field takes
        field = _field_at(path[:-1], tree=tree, schema=schema)
        return field if field and _classes(_annotation(field)) else None
    owner = _class_at(path[:-1], tree=tree, schema=schema)
    return owner.model_fields.get(str(path[-1])) if owner else None


def _expected(path: KeyPath, *, tree: Node, schema: type[BaseModel], tag: str) -> list[str]:
    field = _field_at(path, tree=tree, schema=schema)
    owners = _classes(_annotation(field)) if field else []
    tagged = [owner.model_fields[tag] for owner in owners if _is_literal(owner, tag)]
    return list(dict.fromkeys(str(name) for one in tagged for name in get_args(one.annotation)))


def _literals(field: FieldInfo | None) -> list[str]:
    if field is None:
        return []
    parts = [field.annotation, *get_args(field.annotation)]
    return [str(name) for part in parts if get_origin(part) is Literal for name in get_args(part)]


def _describe(field: FieldInfo | None) -> str:
    """Return in words what a field takes, as `a whole number from 1 to 100`."""
    if field is None:
        return ""
    return " or ".join(_words(_annotation(field), bounds=_bounds(field.metadata)))


def _words(annotation: Any, *, bounds: str) -> list[str]:
    origin = get_origin(annotation)
    if origin is Annotated and _mark(annotation) is None:
        base, *marks = get_args(annotation)
        metadata = [item for mark in marks for item in (mark.metadata if isinstance(mark, FieldInfo) else [mark])]
        return _words(base, bounds=_bounds(metadata) or bounds)
    if origin is Literal:
        names = ", ".join(repr(name) for name in get_args(annotation))
        return [f"one of {names}" if len(get_args(annotation)) > 1 else names]
    if owners := _classes(annotation):
        words = [_example(owners)]
        return [*words, "null"] if type(None) in get_args(annotation) else words
    if origin in {Union, types.UnionType}:
        return [word for part in get_args(annotation) for word in _words(part, bounds=bounds)]
    plain = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", type(None): "null"}
    if annotation in {int, float}:
        return [plain[annotation] + bounds]
    if origin in {tuple, list}:
        return ["a list"]
    return [plain.get(annotation, "a mapping")]


def _example(owners: list[type[BaseModel]]) -> str:
    for owner in owners:
        for tag in TAGS:
            if tag in owner.model_fields:
                field = owner.model_fields[tag]
                return f"a mapping, as {{{tag}: {field.examples[0] if field.examples else field.default}}}"
    return f"a mapping of {', '.join(owners[0].model_fields)}"


def _bounds(metadata: Iterable[Any]) -> str:
    low = high = ""
    for item in metadata:
        if (bound := getattr(item, "ge", None)) is not None:
            low = f"at least {bound}"
        elif (bound := getattr(item, "gt", None)) is not None:
            low = f"greater than {bound}"
        if (bound := getattr(item, "le", None)) is not None:
            high = f"at most {bound}"
        elif (bound := getattr(item, "lt", None)) is not None:
            high = f"less than {bound}"
    if low.startswith("at least") and high.startswith("at most"):
        return f" from {low.removeprefix('at least ')} to {high.removeprefix('at most ')}"
    return f" {' and '.join(part for part in (low, high) if part)}" if low or high else ""
