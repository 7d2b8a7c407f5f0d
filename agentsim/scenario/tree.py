"""Scenario files before they are checked: `extends:`, settings of the command line, variations; on marked trees."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from agentsim.core.registry import REGISTRY
from agentsim.errors import ScenarioError, quote
from agentsim.scenario.graph_files import read_graph
from agentsim.scenario.yaml_source import KeyPath, Mark, Node, dotted, node_from, read_file, read_value

__all__ = [
    "Cell",
    "assigned",
    "cells",
    "load_tree",
    "placed",
    "setting_of",
    "variations",
    "with_model",
    "with_setting",
]

NOT_INHERITED = ("name", "description")
"""Keys of a parent file that say what that file is; its children write their own."""
SHIPPED_PROMPTS = ("default", "default-json", "german", "neutral", "paraphrase-1", "paraphrase-2", "paraphrase-3")
"""Prompt sets that come with agentsim; `default-json` is what `default` is where answers are JSON."""
NOT_RULES = ("vary", "providers")
"""Top-level mappings whose keys are the user's, so that `kind` and `model` mean nothing in them."""


# --- files ---------------------------------------------------------------------------------------------------------


def load_tree(path: Path) -> Node:
    """Read a scenario file and all it extends; folders of prompts become absolute.

    Raises:
        ScenarioError: a file is wrong, lies outside the folder of the file that names it, or extends itself.
    """
    return _load(path, chain=())


def _load(path: Path, *, chain: tuple[Path, ...]) -> Node:
    tree = placed(read_file(path), folder=path.parent, is_confined=True)
    assert isinstance(tree.value, dict)
    extends = tree.value.get("extends")
    if extends is None:
        return tree
    stated = Node({key: node for key, node in tree.value.items() if key != "extends"}, tree.mark)
    target = _inside(extends, folder=path.parent, path=("extends",))
    chain = (*chain, path.resolve())
    if target in chain:
        names = " → ".join(file.name for file in (*chain[chain.index(target) :], target))
        raise extends.mark.error(("extends",), f"the files extend each other: {names}; break the circle")
    if not target.is_file():
        raise extends.mark.error(("extends",), f"{quote(extends.value)} is no file; name a scenario beside this one")
    parent = _load(target, chain=chain)
    assert isinstance(parent.value, dict)
    inherited = {key: node for key, node in parent.value.items() if key not in NOT_INHERITED}
    return _merged(Node(inherited, parent.mark), stated, path=())


def _inside(node: Node, *, folder: Path, path: KeyPath) -> Path:
    """Resolve the relative path in `node`; it must stay inside `folder`, symbolic links followed."""
    if not isinstance(node.value, str) or not node.value:
        raise node.mark.error(path, f"{quote(node.plain())} is not a path; write one relative to this file")
    try:
        target = (folder / node.value).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise node.mark.error(path, f"{quote(node.value)} cannot be followed ({error})") from error
    if not target.is_relative_to(folder.resolve()):
        raise node.mark.error(
            path, f"{quote(node.value)} leads out of the file's folder; move what it names into that folder"
        )
    return target


def placed(tree: Node, *, folder: Path, is_confined: bool) -> Node:
    """Read the files that a scenario names beside itself, and make its folders of prompts absolute.

    Raises:
        ScenarioError: one of them is not there, or is wrong.
    """
    tree = _placed_prompts(tree, folder=folder, is_confined=is_confined)
    return _placed_graphs(tree, folder=folder, is_confined=is_confined)


def _placed_graphs(tree: Node, *, folder: Path, is_confined: bool) -> Node:
    """Read the graphs of `pairing` and of `vary: {pairing: [...]}`: their edges become part of the scenario."""

    def with_graph(node: Node, path: KeyPath) -> Node:
        name = node.find(("file",))
        if name is None or not isinstance(node.value, dict) or name.value is None:
            return node
        place = (*path, "file")
        target = _inside(name, folder=folder, path=place) if is_confined else _followed(name, folder, path=place)
        try:
            graph = read_graph(target)
        except ScenarioError as error:
            raise name.mark.error(place, str(error)) from error
        read = {"edges": [list(edge) for edge in graph.edges], "digest": graph.digest}
        for key, value in read.items():
            stated = node.find((key,))
            if stated is not None and stated.plain() != value:
                raise stated.mark.error(
                    (*path, key), f"is not that of {quote(name.value)}; remove it: it is read there"
                )
        found = node_from(read, source=f"{name.mark.source}: {target.name}").value
        assert isinstance(found, dict)
        return replace(node, value={**node.value, **found})

    if (single := tree.find(("pairing",))) is not None:
        tree = assigned(tree, ("pairing",), with_graph(single, ("pairing",)))
    vary = tree.find(("vary",))
    if vary is None or not isinstance(vary.value, dict):
        return tree
    if (file := vary.find(("pairing.file",))) is not None:
        raise file.error((), "cannot be varied alone; vary pairing: [{kind: network, graph: file, file: …}, …]")
    varied = vary.find(("pairing",))
    if varied is not None and isinstance(varied.value, list):
        items = [with_graph(item, ("vary", "pairing", index)) for index, item in enumerate(varied.value)]
        tree = assigned(tree, ("vary", "pairing"), replace(varied, value=items))
    return tree


def _followed(node: Node, folder: Path, *, path: KeyPath) -> Path:
    """Resolve the path in `node`, which may lead anywhere."""
    if not isinstance(node.value, str) or not node.value or "\0" in node.value:
        raise node.mark.error(path, f"{quote(node.plain())} is not a path")
    return (folder / node.value).resolve()


def _placed_prompts(tree: Node, *, folder: Path, is_confined: bool) -> Node:
    """Make the folders named in `prompts` and in `vary: {prompts: [...]}` absolute, and check that they exist."""

    def absolute(node: Node, path: KeyPath) -> Node:
        if not isinstance(node.value, str) or node.value in SHIPPED_PROMPTS:
            return node
        if (member := REGISTRY.find("prompts", node.value)) is not None:
            return replace(node, value=str(member.thing))
        target = _inside(node, folder=folder, path=path) if is_confined else (folder / node.value).resolve()
        if not target.is_dir():
            raise node.mark.error(
                path, f"{quote(node.value)} is no folder; write {', '.join(SHIPPED_PROMPTS)}, or a folder of templates"
            )
        return replace(node, value=str(target))

    if (single := tree.find(("prompts",))) is not None:
        tree = assigned(tree, ("prompts",), absolute(single, ("prompts",)))
    varied = tree.find(("vary", "prompts"))
    if varied is not None and isinstance(varied.value, list):
        items = [absolute(item, ("vary", "prompts", index)) for index, item in enumerate(varied.value)]
        tree = assigned(tree, ("vary", "prompts"), replace(varied, value=items))
    return tree


def _merged(parent: Node, child: Node, *, path: KeyPath) -> Node:
    """Return the child over the parent: mappings are merged key by key, everything else is replaced."""
    if not isinstance(parent.value, dict) or not isinstance(child.value, dict):
        return child
    if is_other_rule(parent, child, path=path):
        return child
    items = dict(parent.value)
    for key, node in child.value.items():
        items[key] = _merged(items[key], node, path=(*path, key)) if key in items else node
    return replace(child, value=items)


def is_other_rule(old: Node, new: Node, *, path: KeyPath) -> bool:
    """Whether `new` names another rule or policy than `old`, so that the options of `old` mean nothing to it.

    From one model to another the sampling settings stay; to or from a scripted policy nothing does.
    """
    if len(path) != 1 or path[0] in NOT_RULES:
        return False
    for tag in ("kind", "model"):
        before, after = old.find((tag,)), new.find((tag,))
        if before is None or after is None or before.value == after.value:
            continue
        if tag == "kind" or any(str(node.value).startswith("scripted/") for node in (before, after)):
            return True
    return False


# --- settings ------------------------------------------------------------------------------------------------------


def with_setting(tree: Node, text: str, *, folder: Path) -> Node:
    """Apply one `--set key.path=value`, its value read as YAML."""
    source = f"--set {text}"
    parts, value = setting_of(text, source=source, example="game.rounds=6")
    # The keys under `vary` are dotted paths themselves.
    path = ("vary", ".".join(parts[1:])) if parts[0] == "vary" and len(parts) > 1 else tuple(parts)
    if path == ("extends",):
        raise ScenarioError(f"{source}: a parent file cannot be set here; write `extends:` in the scenario file")
    if path == ("pairing", "file") and (pairing := tree.find(("pairing",))) and isinstance(pairing.value, dict):
        kept = {key: node for key, node in pairing.value.items() if key not in {"edges", "digest"}}
        tree = assigned(tree, ("pairing",), replace(pairing, value=kept))
    tree = assigned(tree, path, value)
    names_files = path[0] in {"prompts", "pairing"} or path[:2] in {("vary",), ("vary", "prompts"), ("vary", "pairing")}
    return placed(tree, folder=folder, is_confined=True) if names_files else tree


def setting_of(text: str, *, source: str, example: str) -> tuple[list[str], Node]:
    """Return the path and the value, read as YAML, of a setting on the command line, `key.path=value`.

    Raises:
        ScenarioError: it is none; `source` says where it was written, and `example` how it is done.
    """
    name, equals, value = text.partition("=")
    parts = name.strip().split(".")
    if not equals or not all(parts):
        raise ScenarioError(f"{source}: is not a setting; write it as key.path=value, as in {example}")
    return parts, read_value(value, source=source)


def with_model(tree: Node, model: str) -> Node:
    """Let `model` play, in every condition; sampling settings stay if a model played before."""
    value = Node(model, Mark(f"--model {model}"))
    players = tree.find(("players",))
    if players is not None and isinstance(players.value, list):  # one plays in place of them all
        tree = assigned(tree, ("players",), Node({}, value.mark))
    tree = assigned(tree, ("players", "model"), value)
    vary = tree.find(("vary",))
    if vary is not None and isinstance(vary.value, dict):
        kept = {path: node for path, node in vary.value.items() if path not in {"players", "players.model"}}
        tree = assigned(tree, ("vary",), replace(vary, value=kept))
    return tree


def assigned(tree: Node, path: KeyPath, value: Node) -> Node:
    """Return the tree with `value` at `path`; mappings on the way are made where there are none.

    Raises:
        ScenarioError: something on the way is neither a mapping nor a list with that index.
    """
    return _assigned(tree, path, value, done=())


def _assigned(node: Node, rest: KeyPath, value: Node, *, done: KeyPath) -> Node:
    if not rest:
        return replace(value, key=value.key or value.mark)
    head, tail = rest[0], rest[1:]
    if isinstance(node.value, list):
        if not (isinstance(head, int) or head.isdecimal()) or int(head) >= len(node.value):
            what = f"{quote(head)} is no index of this list of {len(node.value)}"
            raise value.mark.error((*done, head), f"{what}; indices count from 0")
        items = list(node.value)
        items[int(head)] = _assigned(items[int(head)], tail, value, done=(*done, int(head)))
        return replace(node, value=items)
    if node.value is not None and not isinstance(node.value, dict):
        raise value.mark.error((*done, head), f"{dotted(done)} is {quote(node.value)}, which has no key {quote(head)}")
    old = dict(node.value or {})
    head = str(head)
    below = old.get(head) or Node(None, value.mark, value.key or value.mark)
    new = {head: _assigned(below, tail, value, done=(*done, head))}
    changed = Node({**old, **new}, node.mark, node.key)
    if not tail and is_other_rule(node, changed, path=done):
        changed = replace(changed, value=dict(new))
    return changed


# --- variations ----------------------------------------------------------------------------------------------------


class Cell(NamedTuple):
    """One cell of the grid: a tree in which every varied path has one of its values."""

    tree: Node
    settings: dict[str, Node]


def variations(tree: Node) -> dict[str, list[Node]]:
    """Return what `vary` says, path -> values.

    Raises:
        ScenarioError: it is no mapping of paths to lists of distinct values, or two paths overlap.
    """
    vary = tree.find(("vary",))
    if vary is None or vary.value is None:
        return {}
    if not isinstance(vary.value, dict):
        what = f"{quote(vary.plain())} is not a mapping"
        raise vary.mark.error(("vary",), f"{what}; write paths and their values, as in `game.multiplier: [1.5, 2, 3]`")
    values_by_path: dict[str, list[Node]] = {}
    for path, node in vary.value.items():
        place: KeyPath = ("vary", path)
        if not isinstance(node.value, list) or not node.value:
            what = "an empty list" if isinstance(node.value, list) else quote(node.plain())
            raise node.mark.error(place, f"{what} is not allowed; write a list of at least one value")
        seen: set[str] = set()
        for index, item in enumerate(node.value):
            text = json.dumps(item.plain(), sort_keys=True)
            if text in seen:
                raise item.mark.error((*place, index), f"{quote(item.plain())} is listed twice; keep one of the two")
            seen.add(text)
        for other in values_by_path:
            if f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}."):
                raise (node.key or node.mark).error(place, f"overlaps with {quote(other)}; vary one of the two")
        if not all(path.split(".")):
            raise (node.key or node.mark).error(place, "is not a path; write one as `game.rounds`")
        values_by_path[path] = node.value
    return values_by_path


def cells(base: Node, vary: Mapping[str, Sequence[Node]]) -> Iterator[Cell]:
    """Yield the grid's cells, the last varied path changing fastest; without variations the base alone."""
    keys = base.find(("vary",))
    for values in itertools.product(*vary.values()):
        tree, settings = base, dict(zip(vary, values, strict=True))
        for path, value in settings.items():
            varied = keys.find((path,)) if keys else None
            tree = assigned(tree, tuple(path.split(".")), replace(value, key=varied.key if varied else value.mark))
        yield Cell(tree, settings)
