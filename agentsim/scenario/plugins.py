"""Plug-ins: rules, games, policies, providers, measures and prompt sets of a user's own.

What installed packages offer by entry points is read once; a file when it is named; and a class or function of a script
when it is registered. A scenario only ever names what was added so; it never names code.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import linecache
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib import metadata
from importlib.abc import SourceLoader
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel

from agentsim.core.facts import Frozen
from agentsim.core.games import Game
from agentsim.core.observation import Observation
from agentsim.core.pairing import Pairing
from agentsim.core.policies import Policy
from agentsim.core.registry import REGISTRY, Member, Plugin, kind_of
from agentsim.core.selection import Selection
from agentsim.core.transmission import Transmission
from agentsim.errors import PluginError
from agentsim.providers.dialects.dialect import Dialect
from agentsim.providers.dialects.registry import add_dialect

__all__ = [
    "GROUPS",
    "UsedPlugin",
    "load_installed",
    "load_plugin",
    "loaded_files",
    "register",
    "used",
    "what_has_changed",
    "what_is_missing",
]

GROUPS: Final = tuple(f"agentsim.{name}" for name in ("rules", "games", "policies", "providers", "prompts", "measures"))
"""The groups of entry points that packages offer their members in."""
BASES: Final[Mapping[str, type[BaseModel]]] = {
    "game": Game,
    "pairing": Pairing,
    "observation": Observation,
    "selection": Selection,
    "transmission": Transmission,
    "policy": Policy,
}
"""What the classes of each part are made from."""
FILE: Final = "agentsim_plugin_"
"""How the names of modules begin that are read from a file."""

Thing = TypeVar("Thing")


class UsedPlugin(Frozen):
    """A plug-in of which a run uses something, as its log states it."""

    name: str
    version: str | None
    digest: str
    """SHA-256 of its source and its sentences."""
    source: Literal["file", "package", "code"]
    gives: tuple[str, ...]
    """What the run uses of it, as `pairing neighbours`."""


# --- adding --------------------------------------------------------------------------------------------------------


def register(thing: Thing, *, name: str | None = None) -> Thing:
    """Let scenarios name a class of your own, or another thing, and return it; works as a decorator.

    Args:
        thing: a rule, game or policy (a class with a `kind` or `model` of its own); a `Dialect` of a provider; a
            measure (a function from a study to a dataframe with a row a run); or the folder of a prompt set.
        name: of a measure or prompt set, if not that of the function or folder.

    Raises:
        PluginError: it is nothing that can be added, or its name is taken.
    """
    _add(thing, name=name)
    return thing


def _add(thing: Any, *, name: str | None, module: str | None = None) -> None:
    if isinstance(thing, type) and issubclass(thing, BaseModel):
        part = next((part for part, base in BASES.items() if issubclass(thing, base)), None)
        if part is None:
            bases = ", ".join(base.__name__ for base in BASES.values())
            raise PluginError(f"{thing.__name__}: is no rule, game or policy; make it from one of {bases}")
        kind = kind_of(thing, tag="model" if part == "policy" else "kind")
        member = Member(part, kind, thing, sentences=_sentences(thing, part, kind))
    elif isinstance(thing, Dialect):
        member = Member("provider", thing.name, thing)
    elif isinstance(thing, str | Path):
        folder = Path(thing).resolve()
        if not folder.is_dir():
            raise PluginError(f"{folder}: is no folder of a prompt set")
        member = Member("prompts", name or folder.name, folder)
    elif callable(thing) and not isinstance(thing, type):
        member = Member("measure", name or thing.__name__, thing)
    else:
        raise PluginError(
            f"{thing!r} cannot be added; register a class made from a rule, game or policy, a Dialect, a function that"
            " measures, or the folder of a prompt set"
        )
    REGISTRY.add(replace(member, plugin=_of_module(module or _module_of(thing), thing)))
    if isinstance(thing, Dialect):
        add_dialect(thing)


class _Read(SourceLoader):
    """Loads a module from bytes that were read already: those whose digest the log will state."""

    def __init__(self, path: Path, source: bytes) -> None:
        """`source` is what stood in the file."""
        self._path = path
        self._source = source

    def get_filename(self, fullname: str) -> str:
        """Return the file's path."""
        return str(self._path)

    def get_data(self, path: str | bytes) -> bytes:
        """Return what was read."""
        return self._source


def load_plugin(path: str | Path) -> None:
    """Run a file of a user's own, which registers what it defines.

    Raises:
        PluginError: it cannot be read or run, or registers nothing.
    """
    path = Path(path).resolve()
    try:
        source = path.read_bytes()
    except OSError as error:
        raise PluginError(f"{path}: cannot be read ({error.strerror}); name a Python file of your own") from error
    module = sys.modules.get(FILE + path.stem)
    if module is not None and module.__file__ != str(path):
        raise PluginError(f"{path}: {module.__file__} has the same name; rename one of the two")
    if module is not None and module.__dict__["__source__"] == source:
        return
    loader = _Read(path, source)
    module = module_from_spec(ModuleSpec(FILE + path.stem, loader, origin=str(path)))
    module.__file__ = str(path)
    module.__dict__["__source__"] = source
    linecache.checkcache(str(path))
    sys.modules[module.__name__] = module
    before = len(_members_of(module.__name__))
    try:
        loader.exec_module(module)
    except PluginError:
        del sys.modules[module.__name__]
        raise
    except Exception as error:
        del sys.modules[module.__name__]
        raise PluginError(f"{path}{_line_in(error, path)}: {type(error).__name__}: {error}") from error
    if not before and not _members_of(module.__name__):
        raise PluginError(f"{path}: registers nothing; write @agentsim.register above each class of your own")


def loaded_files() -> tuple[Path, ...]:
    """Return the files that were loaded as plug-ins, for other processes to load."""
    modules = [module for name, module in sys.modules.items() if name.startswith(FILE)]
    return tuple(Path(str(module.__file__)) for module in modules)


@cache
def load_installed() -> None:
    """Add what installed packages offer, once in a process.

    Raises:
        PluginError: a package's offer cannot be read or added.
    """
    for point in _entry_points():
        where = f"the installed package {point.dist.name if point.dist else point.value!r}"
        try:
            thing = point.load()
        except Exception as error:
            raise PluginError(
                f"{where} cannot be read ({type(error).__name__}: {error}); mend it, or uninstall it"
            ) from error
        if not isinstance(thing, ModuleType):  # a module has registered what it defines
            _add(thing, name=point.name, module=point.module)


def _entry_points() -> Iterable[metadata.EntryPoint]:
    offered = metadata.entry_points()  # reads the metadata of all packages: once, not for each group
    return [point for group in GROUPS for point in offered.select(group=group)]


def _line_in(error: Exception, path: Path) -> str:
    """Return `:12` for the last line of a file that an error came through."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f":{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f":{lines[-1]}" if lines else ""


def _members_of(module: str) -> list[Member]:
    return [member for member in REGISTRY if _module_of(member.thing) == module]


# --- who it is of --------------------------------------------------------------------------------------------------


def _module_of(thing: Any) -> str:
    """Return the name of the module that a thing is from; a dialect is from where it is opened."""
    made = thing.open if isinstance(thing, Dialect) else thing
    return "__main__" if isinstance(thing, str | Path) else str(getattr(made, "__module__", "__main__"))


def _of_module(name: str, thing: Any) -> Plugin:
    module = sys.modules.get(name)
    top = name.partition(".")[0]
    if top == "agentsim":
        raise PluginError(f"{thing!r} ships with agentsim; there is nothing to register")
    if name == "__main__" or module is None:
        return Plugin(getattr(thing, "__name__", str(thing)), None, _digest({"": _source_of(thing)}), "code")
    file = Path(str(module.__file__))
    if name.startswith(FILE):
        version = getattr(module, "__version__", None)
        return Plugin(file.stem, version, _digest({"": module.__dict__["__source__"]}), "file")
    package = Path(str(sys.modules[top].__file__)) if sys.modules.get(top) else file
    for point in _entry_points():
        if point.dist is not None and point.module.partition(".")[0] == top:
            return Plugin(point.dist.name, point.dist.version, _of_package(package), "package")
    return Plugin(
        name.rpartition(".")[2], getattr(module, "__version__", None), _digest({"": file.read_bytes()}), "file"
    )


@cache
def _of_package(file: Path) -> str:
    """Return the digest of all source files of a package, or of a module that is its own package."""
    if file.name != "__init__.py":
        return _digest({"": file.read_bytes()})
    folder = file.parent
    return _digest({path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.py"))})


def _digest(files: Mapping[str, bytes]) -> str:
    hasher = hashlib.sha256()
    for name, content in files.items():
        hasher.update(f"{name}\n".encode() + content + b"\n")
    return hasher.hexdigest()


def _source_of(thing: Any) -> bytes:
    """Return the source of a class or function of a script or notebook; of a folder, its files."""
    if isinstance(thing, str | Path):
        return b"".join(path.read_bytes() for path in sorted(Path(thing).rglob("*.md")))
    made: Any = thing.open if isinstance(thing, Dialect) else thing
    with suppress(OSError, TypeError):
        return inspect.getsource(made).encode()
    with suppress(OSError, TypeError):  # of a notebook's class, only its functions have lines that can be read
        functions = filter(inspect.isfunction, vars(made).values())
        if texts := [inspect.getsource(function) for function in functions]:
            return "\n".join([*texts, json.dumps(made.model_json_schema())]).encode()
    raise PluginError(f"{made!r}: its source cannot be read; write it into a file, and name that with --plugin")


# --- its sentences -------------------------------------------------------------------------------------------------


def _sentences(thing: type[BaseModel], part: str, kind: str) -> dict[str, dict[str, str]]:
    """Return what tells a rule to agents: prompt set -> name of the file -> text.

    It is the class's own `sentence`, for the default set, or files beside its module, as
    `prompts/default/rules/pairing/neighbours.md`.
    """
    texts_by_set: dict[str, dict[str, str]] = {}
    sentence = getattr(thing, "sentence", None)
    if isinstance(sentence, str):
        texts_by_set["default"] = {f"rules/{part}/{kind}.md": sentence}
    module = sys.modules.get(thing.__module__)
    if module is not None and getattr(module, "__file__", None):
        folder = Path(str(module.__file__)).parent / "prompts"
        for path in _files_of(thing, part, kind, folder):
            name, file = path.relative_to(folder).as_posix().split("/", 1)
            texts_by_set.setdefault(name, {})[file] = path.read_text(encoding="utf-8")
    return texts_by_set


def _files_of(thing: type[BaseModel], part: str, kind: str, folder: Path) -> Iterator[Path]:
    names = [f"rules/{part}/{name}" for name in (kind, *thing.model_fields)]
    for name in (*names, f"rules/shown/{kind}"):
        yield from sorted(folder.glob(f"*/{name}.md"))
        yield from sorted(folder.glob(f"*/{name}.any-game.md"))
    if part == "game":  # and one template for each stage
        yield from sorted(folder.glob(f"*/games/{kind}/*.md"))


# --- in logs -------------------------------------------------------------------------------------------------------


def used(names: Iterable[tuple[str, str]]) -> tuple[UsedPlugin, ...]:
    """Return the plug-ins that bring any of these members, given as part and kind, by name."""
    gives: dict[Plugin, list[str]] = {}
    for part, kind in names:
        member = REGISTRY.find(part, kind)
        if member is not None and member.plugin is not None:
            gives.setdefault(member.plugin, []).append(f"{part} {kind}")
    return tuple(
        UsedPlugin(
            name=plugin.name,
            version=plugin.version,
            digest=_digest_of(plugin),
            source=plugin.source,
            gives=tuple(sorted(set(given))),
        )
        for plugin, given in sorted(gives.items(), key=lambda item: item[0].name)
    )


def _digest_of(plugin: Plugin) -> str:
    """Return the digest of a plug-in's source and of all its sentences."""
    members = [member for member in REGISTRY if member.plugin == plugin]
    said = sorted((member.part, member.kind, json.dumps(member.sentences, sort_keys=True)) for member in members)
    return _digest({"": plugin.digest.encode(), "sentences": json.dumps(said).encode()})


def what_is_missing(plugins: Iterable[UsedPlugin]) -> str | None:
    """Return in a sentence or more which plug-ins of a log are not here, and how to bring them back; `None`: all are.

    What answered, and the words that were asked with, are in the log itself.
    """
    load_installed()
    words = []
    for plugin in plugins:
        given = [(part, kind) for part, _, kind in (name.partition(" ") for name in plugin.gives) if part in BASES]
        if gone := [f"{part} {kind!r}" for part, kind in given if REGISTRY.find(part, kind) is None]:
            version = f" {plugin.version}" if plugin.version else ""
            what = f"{', '.join(gone)} of the plug-in {plugin.name!r}{version}"
            words.append(f"it was played with {what}, which is not here; {_remedy(plugin)}")
    return "; ".join(words) or None


def what_has_changed(plugins: Iterable[UsedPlugin]) -> str | None:
    """Return in one sentence which plug-ins of a log have changed since; `None`: none has."""
    names = [given.partition(" ") for plugin in plugins for given in plugin.gives]
    now = {plugin.name: plugin.digest for plugin in used((part, kind) for part, _, kind in names)}
    other = [repr(plugin.name) for plugin in plugins if plugin.name in now and now[plugin.name] != plugin.digest]
    return f"the plug-in {' and '.join(other)} has changed since it was played" if other else None


def _remedy(plugin: UsedPlugin) -> str:
    if plugin.source == "package":
        return f"install the package {plugin.name}"
    if plugin.source == "file":
        return f"add --plugin {plugin.name}.py, or in Python agentsim.load_plugin('{plugin.name}.py')"
    return "call agentsim.register with it first"
