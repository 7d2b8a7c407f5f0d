"""Graphs in files: a list of edges, or GraphML as networkx, Gephi and igraph write it.

Only who is connected counts: weights, names and other attributes are not read. Nodes become places in the order of
their names: as numbers where all of them are whole numbers, else as text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple
from xml.parsers import expat

from agentsim.errors import ScenarioError, quote

__all__ = ["Graph", "read_graph"]

MAX_BYTES: Final = 10_000_000
MAX_NODES: Final = 10_000
MAX_EDGES: Final = 200_000
LISTS: Final = (".csv", ".tsv", ".txt", ".edges", ".edgelist")
GRAPHML: Final = ".graphml"
NAMESPACE: Final = "http://graphml.graphdrawing.org/xmlns"


class Graph(NamedTuple):
    """A graph as a scenario has it."""

    edges: tuple[tuple[int, int], ...]
    """Places, counted from 1, that are connected; the lower first, in order."""
    digest: str
    """The SHA-256 of the file, in hex."""


def read_graph(path: Path) -> Graph:
    """Read a graph; which format it is of, the end of its name says.

    Raises:
        ScenarioError: it is no such file, is too large, or holds no plain graph.
    """
    kind = path.suffix.lower()
    if kind not in (*LISTS, GRAPHML):
        raise ScenarioError(
            f"{path.name}: {quote(kind)} is no graph; use {', '.join(LISTS)} for a list of edges, or {GRAPHML}"
        )
    data = _read(path)
    nodes, pairs = _graphml(data, path.name) if kind == GRAPHML else ((), _listed(data, path.name))
    edges: set[tuple[str, str]] = set()
    for a, b in pairs:
        if a == b:
            raise ScenarioError(f"{path.name}: connects {quote(a)} to itself; remove that edge")
        edges.add((a, b) if a < b else (b, a))
        if len(edges) > MAX_EDGES:
            raise ScenarioError(f"{path.name}: has more than {MAX_EDGES:,} edges")
    if not edges:
        raise ScenarioError(f"{path.name}: has no edges; write two names a line, as `1 2`")
    lonely = set(nodes) - {name for edge in edges for name in edge}
    if lonely:
        raise ScenarioError(f"{path.name}: {quote(min(lonely))} has no neighbour; connect it, or remove it")
    names = _in_order({name for edge in edges for name in edge})
    if len(names) > MAX_NODES:
        raise ScenarioError(f"{path.name}: has {len(names):,} nodes; {MAX_NODES:,} are allowed")
    place = {name: number for number, name in enumerate(names, start=1)}
    placed = sorted((min(place[a], place[b]), max(place[a], place[b])) for a, b in edges)
    return Graph(tuple(placed), hashlib.sha256(data).hexdigest())


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():  # a pipe or a device would never end
            raise ScenarioError(f"{path.name}: is no file; name one beside the scenario")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ScenarioError(f"{path.name}: cannot be read ({error})") from error
    if len(data) > MAX_BYTES:
        raise ScenarioError(f"{path.name}: is larger than {MAX_BYTES:,} bytes")
    return data


def _in_order(names: Iterable[str]) -> list[str]:
    known = list(names)
    if all(re.fullmatch(r"-?[0-9]{1,18}", name) for name in known):
        return sorted(known, key=lambda name: (int(name), name))
    return sorted(known)


def _listed(data: bytes, name: str) -> Iterator[tuple[str, str]]:
    """Yield the edges of a list: two names a line, with a comma, a tab or spaces between them; `#` begins a comment."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{name}: is not UTF-8 at byte {error.start}; save it as UTF-8") from error
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.partition("#")[0].strip()
        if not content:
            continue
        content = re.sub(r"\s*\{\s*\}$", "", content)  # as networkx ends lines of edges without attributes
        names = [part.strip() for part in re.split(r"[,;\t]" if re.search(r"[,;\t]", content) else r"\s+", content)]
        if len(names) != 2 or not all(part and len(part) <= 100 and part.isprintable() for part in names):
            raise ScenarioError(
                f"{name}:{number}: {quote(content)} is no edge; write two names a line, as `1 2`, and no weights"
            )
        yield names[0], names[1]


class _Reading:
    """What stands in a GraphML file."""

    def __init__(self, name: str) -> None:
        self.nodes: dict[str, None] = {}
        self.edges: list[tuple[str, str]] = []
        self._name = name
        self._n_graphs = 0

    def doctype(self, *_: object) -> None:
        raise ScenarioError(f"{self._name}: declares a document type, which could define entities; remove it")

    def begin(self, element: str, attributes: dict[str, str]) -> None:
        kind = element.removeprefix(f"{NAMESPACE} ")
        if kind == "graph":
            self._n_graphs += 1
            if self._n_graphs > 1:
                raise ScenarioError(f"{self._name}: holds several graphs; keep one")
            if attributes.get("edgedefault") == "directed":
                raise ScenarioError(f"{self._name}: is directed; meeting goes both ways, so save it as undirected")
        elif kind == "node":
            self.nodes[self._named(attributes, "id")] = None
            if len(self.nodes) > MAX_NODES:
                raise ScenarioError(f"{self._name}: has more than {MAX_NODES:,} nodes")
        elif kind == "edge":
            if attributes.get("directed") == "true":
                raise ScenarioError(f"{self._name}: has a directed edge; meeting goes both ways, so save it undirected")
            self.edges.append((self._named(attributes, "source"), self._named(attributes, "target")))
            if len(self.edges) > 2 * MAX_EDGES:
                raise ScenarioError(f"{self._name}: has more than {MAX_EDGES:,} edges")
        elif kind == "hyperedge":
            raise ScenarioError(f"{self._name}: has an edge of more than two nodes; use edges of two")

    def _named(self, attributes: dict[str, str], what: str) -> str:
        if not attributes.get(what):
            raise ScenarioError(f"{self._name}: has a node or an edge without {what}")
        return attributes[what]


def _graphml(data: bytes, name: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the nodes and the edges of GraphML."""
    reading = _Reading(name)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = reading.doctype
    parser.StartElementHandler = reading.begin
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError) as error:
        raise ScenarioError(f"{name}: is no GraphML ({error}); save it again, or write a list of edges") from error
    unknown = {end for edge in reading.edges for end in edge} - set(reading.nodes)
    if unknown:
        raise ScenarioError(f"{name}: connects {quote(min(unknown))}, which is no node of it; add the node")
    return list(reading.nodes), reading.edges
