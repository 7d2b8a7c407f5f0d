"""YAML text as a tree of values that know where they were written.

Scalars follow the core schema of YAML 1.2 (`no` and `on` are strings, `1e-3` is a number, `0777` is 777), unlike
PyYAML's own 1.1. Whatever a scenario does not need is refused: tags, anchors, several documents, duplicate keys.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from agentsim.errors import ScenarioError, quote

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_VALUES",
    "KeyPath",
    "Mark",
    "Node",
    "dotted",
    "dump",
    "node_from",
    "read_file",
    "read_text",
    "read_value",
]

MAX_BYTES = 1_000_000
"""The largest file that is read."""
MAX_DEPTH = 32
"""The deepest nesting of lists and mappings."""
MAX_VALUES = 50_000
"""The most keys and values of one file."""

MAX_NUMBER_CHARS = 100
MAX_LINE_CHARS = 100

KeyPath: TypeAlias = tuple[str | int, ...]
"""Keys and list indices from the top of a file down to a value."""
Scalar: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something was written."""

    source: str
    """A file's path, or the command-line option."""
    line: int | None = None
    """From 1; `None` where the source has no lines."""
    column: int | None = None
    """In characters, from 1."""
    text: str = ""
    """The whole source line."""

    def error(self, path: KeyPath, message: str) -> ScenarioError:
        """Return an error that names this place and the key, and shows the line with a caret under the place."""
        where = self.source if self.line is None else f"{self.source}:{self.line}:{self.column}"
        key = f"{dotted(path)}: " if path else ""
        return ScenarioError(f"{where}: {key}{message}{self._excerpt()}")

    def _excerpt(self) -> str:
        if self.line is None or self.column is None:
            return ""
        start = max(0, self.column - 1 - MAX_LINE_CHARS // 2)
        shown = self.text[start : start + MAX_LINE_CHARS]
        shown = "".join(char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}" for char in shown)
        caret = "".join("\t" if char == "\t" else " " for char in shown[: self.column - 1 - start])
        return f"\n    {shown}\n    {caret}^"


@dataclass(frozen=True, slots=True)
class Node:
    """A value, and where it and its key were written."""

    value: Scalar | list[Node] | dict[str, Node]
    mark: Mark
    key: Mark | None = None
    """Where the key before the value stands; `None` in lists and at the top."""

    def plain(self) -> Any:
        """Return the value as plain Python data."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def find(self, path: KeyPath) -> Node | None:
        """Return the node at `path`, or `None` if there is none."""
        node = self
        for part in path:
            if isinstance(node.value, dict) and part in node.value:
                node = node.value[str(part)]
            elif isinstance(node.value, list) and isinstance(part, int) and 0 <= part < len(node.value):
                node = node.value[part]
            else:
                return None
        return node

    def error(self, path: KeyPath, message: str, *, at_key: bool = False) -> ScenarioError:
        """Return an error placed at the value at `path` below this node, or at the closest place above that exists."""
        for length in range(len(path), -1, -1):
            node = self.find(path[:length])
            if node is not None:
                # A missing key is reported where the mapping that lacks it begins.
                use_key = at_key or length < len(path)
                return (node.key if use_key and node.key else node.mark).error(path, message)
        raise AssertionError("the empty path always exists")


def read_file(path: Path) -> Node:
    """Read a YAML file whose top level is a mapping.

    Raises:
        ScenarioError: it cannot be read, is too large or no YAML that a scenario may use.
    """
    try:
        if path.is_dir():
            raise ScenarioError(f"{path}: is a folder; name a scenario file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ScenarioError(f"{path}: cannot be read ({reason}); name a scenario file") from error
    if len(data) > MAX_BYTES:
        raise ScenarioError(f"{path}: is larger than {MAX_BYTES} bytes; a scenario file may have as many at most")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = len(data[data.rfind(b"\n", 0, error.start) + 1 : error.start].decode(errors="replace")) + 1
        raise ScenarioError(
            f"{path}:{line}:{column}: byte {data[error.start]:#04x} is not UTF-8; save the file as UTF-8"
        ) from error
    return read_text(text, source=str(path))


def read_text(text: str, *, source: str) -> Node:
    """Read YAML text whose top level is a mapping; `source` names it in errors.

    Raises:
        ScenarioError: it is no YAML that a scenario may use.
    """
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise ScenarioError(f"{source}: is larger than {MAX_BYTES} bytes; a scenario may have as many at most")
    node = _Builder(text, source=source, has_lines=True).document()
    if node is None:
        raise ScenarioError(f"{source}: is empty; write at least `name:` and `players:`")
    if not isinstance(node.value, dict):
        what = "a list" if isinstance(node.value, list) else quote(node.value)
        raise node.mark.error((), f"the top level is {what}; it must be a mapping, as `name: my-study`")
    return node


def read_value(text: str, *, source: str) -> Node:
    """Read one YAML value from an option; errors name the option only. Empty text is null."""
    node = _Builder(text, source=source, has_lines=False).document()
    return node or Node(None, Mark(source))


def node_from(data: object, *, source: str) -> Node:
    """Wrap plain Python data (mappings, lists, tuples, scalars) as nodes that all stand at `source`.

    Raises:
        ScenarioError: data of another kind, a key that is no string, or nesting deeper than `MAX_DEPTH`.
    """
    return _wrap(data, mark=Mark(source), path=())


def dump(data: Mapping[str, Any]) -> str:
    """Return plain data as YAML text that `read_text` reads back as the same data."""
    text = yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return str(text)


def dotted(path: KeyPath) -> str:
    """Return a path as users write it: `game.rounds`, `seeds.0`."""
    return ".".join(str(part) for part in path)


# --- reading -------------------------------------------------------------------------------------------------------

# The printable characters of YAML, as PyYAML has them; checked first because its own error has no line.
_NOT_PRINTABLE = re.compile("[^\x09\x0a\x0d\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# The line breaks that PyYAML counts.
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")

_NULL = frozenset(["", "~", "null", "Null", "NULL"])
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"([-+]?)\.(inf|Inf|INF)")
_NAN = frozenset([".nan", ".NaN", ".NAN"])


def _resolve(text: str) -> Scalar:
    """Return what a plain scalar means in the core schema of YAML 1.2.

    Raises:
        ValueError: a number too long to be meant.
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if text in _NAN:
        return math.nan
    if match := _INFINITE.fullmatch(text):
        return -math.inf if match[1] == "-" else math.inf
    if not _FLOAT.fullmatch(text) and not _INT.fullmatch(text):
        return text
    if len(text) > MAX_NUMBER_CHARS:
        raise ValueError(f"a number of {len(text)} characters; {MAX_NUMBER_CHARS} are allowed")
    if _INT.fullmatch(text):
        return int(text[2:], {"o": 8, "x": 16}[text[1]]) if text[1:2] in {"o", "x"} else int(text)
    return float(text)


class _Builder:
    """Builds nodes from PyYAML's events, which come one by one: whatever is refused is refused before more is read."""

    def __init__(self, text: str, *, source: str, has_lines: bool) -> None:
        self._text = text
        self._source = source
        self._has_lines = has_lines
        self._lines = _LINE_BREAK.split(text) if has_lines else []
        self._n_values = 0

    def document(self) -> Node | None:
        """Return the top node of the only document, or `None` if there is no document."""
        if match := _NOT_PRINTABLE.search(self._text):
            start = match.start()
            line = len(_LINE_BREAK.split(self._text[:start])) - 1
            column = start - max(
                (line_break.end() for line_break in _LINE_BREAK.finditer(self._text, 0, start)), default=0
            )
            raise self._mark(line, column).error((), f"character {match[0]!r} is not allowed; remove it")
        events = yaml.parse(self._text, Loader=yaml.SafeLoader)
        try:
            return self._document(events)
        except yaml.MarkedYAMLError as error:
            at = error.problem_mark or error.context_mark
            mark = self._mark(at.line, at.column) if at else Mark(self._source)
            raise mark.error((), _plain_problem(error)) from error
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            # The last two: PyYAML on escapes beyond Unicode, as "\UFFFFFFFF".
            raise Mark(self._source).error((), f"is not valid YAML ({error})") from error

    def _document(self, events: Iterator[yaml.Event]) -> Node | None:
        next(events)  # the stream's start
        if isinstance(next(events), yaml.StreamEndEvent):
            return None
        node = self._node(next(events), events, path=(), key=None)
        next(events)  # the document's end
        after = next(events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise self._mark_of(after).error((), "a second document begins here; write one a file")
        # A file of comments alone reads as an empty scalar.
        return None if node.value is None and self._has_lines else node

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], *, path: KeyPath, key: Mark | None) -> Node:
        mark = self._mark_of(event)
        self._n_values += 1
        if self._n_values > MAX_VALUES:
            raise mark.error(path, f"more than {MAX_VALUES} keys and values; a scenario may have as many at most")
        if isinstance(event, yaml.AliasEvent) or (isinstance(event, yaml.NodeEvent) and event.anchor is not None):
            sign = "alias *" if isinstance(event, yaml.AliasEvent) else "anchor &"
            message = f"{sign}{event.anchor} is not allowed; write the value out, or share it by `extends: other.yaml`"
            raise mark.error(path, message)
        if (tag := getattr(event, "tag", None)) is not None:
            raise mark.error(path, f"tag {quote(tag)} is not allowed; write the plain value")
        if isinstance(event, yaml.ScalarEvent):
            return Node(self._scalar(event, mark=mark, path=path), mark, key)
        if len(path) >= MAX_DEPTH:
            raise mark.error(path[:3], f"nested deeper than {MAX_DEPTH}; a scenario needs no more")
        if isinstance(event, yaml.SequenceStartEvent):
            return Node(self._sequence(events, path=path), mark, key)
        return Node(self._mapping(events, path=path), mark, key)

    def _scalar(self, event: yaml.ScalarEvent, *, mark: Mark, path: KeyPath) -> Scalar:
        if not event.value.isascii() and any("\ud800" <= char <= "\udfff" for char in event.value):
            raise mark.error(path, f"{quote(event.value)} holds half a character; write the whole one")
        if event.style:
            return str(event.value)
        try:
            return _resolve(event.value)
        except ValueError as error:
            raise mark.error(path, str(error)) from error

    def _sequence(self, events: Iterator[yaml.Event], *, path: KeyPath) -> list[Node]:
        items: list[Node] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self._node(event, events, path=(*path, len(items)), key=None))
        return items

    def _mapping(self, events: Iterator[yaml.Event], *, path: KeyPath) -> dict[str, Node]:
        items: dict[str, Node] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            name = self._key(event, events, path=path)
            mark = self._mark_of(event)
            if name in items:
                first = items[name].key
                where = f" in line {first.line}" if first and first.line else ""
                raise mark.error((*path, name), f"key {quote(name)} is already set{where}; keep one of the two")
            items[name] = self._node(next(events), events, path=(*path, name), key=mark)
        return items

    def _key(self, event: yaml.Event, events: Iterator[yaml.Event], *, path: KeyPath) -> str:
        mark = self._mark_of(event)
        if not isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
            raise mark.error(path, "a list or mapping cannot be a key; keys are strings")
        node = self._node(event, events, path=path, key=None)
        if not isinstance(node.value, str):
            raise mark.error(path, f"key {quote(node.value)} is not a string; put it in quotes if it is meant")
        if node.value == "<<" and not getattr(event, "style", None):
            raise mark.error(path, "merge key << is not allowed; share settings by `extends: other.yaml`")
        return node.value

    def _mark_of(self, event: yaml.Event) -> Mark:
        start = event.start_mark
        return self._mark(start.line, start.column) if start else Mark(self._source)

    def _mark(self, line: int, column: int) -> Mark:
        if not self._has_lines:
            return Mark(self._source)
        text = self._lines[line] if line < len(self._lines) else ""
        return Mark(self._source, line + 1, column + 1, text)


_TAB = re.compile(r"found character '\\t' that cannot start any token")


def _plain_problem(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem or error.context)
    if _TAB.search(problem):
        return "a tab cannot indent YAML; use spaces"
    context = f"{error.context}: " if error.context and error.problem else ""
    return f"is not valid YAML ({context}{problem}); mend the syntax, and quote texts with special characters"


# --- wrapping and writing ------------------------------------------------------------------------------------------


def _wrap(data: object, *, mark: Mark, path: KeyPath) -> Node:
    if len(path) > MAX_DEPTH:
        raise mark.error(path[:3], f"nested deeper than {MAX_DEPTH}; a scenario needs no more")
    if isinstance(data, Mapping):
        for key in data:
            if not isinstance(key, str):
                raise mark.error(path, f"key {quote(key)} is not a string")
        return Node({key: _wrap(item, mark=mark, path=(*path, key)) for key, item in data.items()}, mark, mark)
    if isinstance(data, list | tuple):
        items = [_wrap(item, mark=mark, path=(*path, index)) for index, item in enumerate(data)]
        return Node(items, mark, mark)
    if data is None or isinstance(data, str | int | float):
        return Node(data, mark, mark)
    raise mark.error(path, f"{type(data).__name__} cannot be written as YAML; use mappings, lists, strings and numbers")


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        """Write shared values out each time."""
        return True


def _represent_str(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """Quote what this module would not read back as a string, though PyYAML would."""
    try:
        is_string = isinstance(_resolve(text), str)
    except ValueError:
        is_string = False
    if is_string and text != "<<" and text.replace("\n", "").isprintable():
        return dumper.represent_scalar("tag:yaml.org,2002:str", text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_Dumper.add_representer(str, _represent_str)
