"""Graphs from files: what networkx writes is read, edges are facts of the scenario, and hostile files are refused."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from random import Random

import pytest

import agentsim
from agentsim.core import graphs
from agentsim.core.pairing import Network
from agentsim.errors import ScenarioError
from agentsim.play.replay import replay
from agentsim.scenario.graph_files import read_graph
from agentsim.scenario.loading import load_scenario
from agentsim.scenario.runs import describe, runs

NAME = "network"


def scenario(folder: Path, file: str, *, agents: int = 12, more: str = "") -> Path:
    path = folder / f"{NAME}.yaml"
    path.write_text(
        f"name: {NAME}\nagents: {agents}\ngenerations: 2\ngame: {{rounds: 4, games: 1}}\n"
        f"players: {{model: scripted/constant-share}}\nseeds: [0]\n{more}"
        f"pairing: {{kind: network, graph: file, file: {file}, seats: in_order}}\n"
    )
    return path


def ring(folder: Path, name: str = "ring.csv", n: int = 12) -> Path:
    path = folder / name
    path.write_text("# a ring\n" + "".join(f"{place},{place % n + 1}\n" for place in range(1, n + 1)))
    return path


def test_what_networkx_writes_is_read(tmp_path: Path) -> None:
    nx = pytest.importorskip("networkx")
    edges = graphs.scale_free(30, degree=4, rng=Random(1))
    graph = nx.Graph(edges)
    nx.write_graphml(graph, tmp_path / "a.graphml")
    nx.write_edgelist(graph, tmp_path / "a.edgelist")
    nx.write_edgelist(graph, tmp_path / "a.csv", delimiter=",", data=False)
    expected = tuple((a + 1, b + 1) for a, b in edges)
    for name in ("a.graphml", "a.edgelist", "a.csv"):
        assert read_graph(tmp_path / name).edges == expected
    named = nx.relabel_nodes(graph, {place: f"agent {place:02}" for place in graph})
    nx.write_graphml(named, tmp_path / "named.graphml")
    assert read_graph(tmp_path / "named.graphml").edges == expected


def test_edges_and_digest_are_part_of_the_condition(tmp_path: Path) -> None:
    file = ring(tmp_path)
    loaded = load_scenario(scenario(tmp_path, "ring.csv"))
    pairing = runs(loaded)[0].condition.pairing
    assert isinstance(pairing, Network)
    assert pairing.digest == hashlib.sha256(file.read_bytes()).hexdigest()
    assert pairing.drawn(12, Random(0)).connected == tuple(graphs.ring(12, degree=2))
    (tmp_path / "again.yaml").write_text(describe(loaded).yaml)  # as check prints it
    assert runs(load_scenario(tmp_path / "again.yaml"))[0].condition == runs(loaded)[0].condition


def test_a_run_is_replayed_without_the_file_and_not_continued_with_another(tmp_path: Path) -> None:
    file = ring(tmp_path)
    path = scenario(tmp_path, "ring.csv")
    result = agentsim.run(path, results=tmp_path / "results")
    assert result.is_complete
    changed = runs(load_scenario(path))[0].condition
    assert changed != runs(load_scenario(path, sets=["agents=12"]))[0].condition or changed.pairing.connected
    file.unlink()
    assert all(state.is_exact and state.note is None for state in replay(result.folder))


def test_another_file_is_another_condition(tmp_path: Path) -> None:
    ring(tmp_path)
    ring(tmp_path, "small.csv", n=6)
    path = scenario(tmp_path, "ring.csv")
    smaller = load_scenario(path, sets=["pairing.file=small.csv", "agents=6"])
    assert len(runs(smaller)[0].condition.drawn_pairing(0).connected) == 6
    both = "[{kind: network, graph: file, file: ring.csv}, {kind: network}]"
    varied = load_scenario(path, sets=[f"vary={{pairing: {both}}}"])
    assert [len(spec.condition.drawn_pairing(0).connected) for spec in runs(varied)] == [12, 12]
    (tmp_path / "child.yaml").write_text(
        f"extends: {NAME}.yaml\nname: child\nagents: 6\npairing: {{file: small.csv}}\n"
    )
    assert len(runs(load_scenario(tmp_path / "child.yaml"))[0].condition.drawn_pairing(0).connected) == 6
    with pytest.raises(ScenarioError, match="cannot be varied alone"):
        load_scenario(path, sets=["vary={pairing.file: [ring.csv, small.csv]}"])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "1,2\n2,3\n", "connects 3 nodes, and there are 12 agents; use agents: 3"),
        ("a.csv", "", "has no edges"),
        ("a.csv", "1,1\n", "connects '1' to itself"),
        ("a.csv", "1,2,0.5\n", "a.csv:1: '1,2,0.5' is no edge; write two names a line"),
        ("a.txt", "1 2 {'weight': 3}\n", "is no edge"),
        ("a.csv", "1,2\n" + "x" * 200 + ",2\n", "a.csv:2"),
        ("a.csv", b"\xff\xfe1,2", "is not UTF-8"),
        ("a.csv", "".join(f"{n},{n + 1}\n" for n in range(20_000)), "10,000 are allowed"),
        ("a.csv", b"1,2\n" * 2_600_000, "is larger than"),
        ("a.gml", "graph [ ]", "'.gml' is no graph"),
        ("a.graphml", "<graphml>", "is no GraphML"),
        ("a.graphml", "\0\0", "is no GraphML"),
        ("a.graphml", '<!DOCTYPE g [<!ENTITY a "aa">]><graphml/>', "declares a document type"),
        ("a.graphml", '<graphml><graph edgedefault="directed"/></graphml>', "is directed"),
        ("a.graphml", "<graphml><graph/><graph/></graphml>", "several graphs"),
        ("a.graphml", '<graphml><graph><edge source="1" target="2"/></graph></graphml>', "'1', which is no node"),
        ("a.graphml", '<graphml><graph><node id="1"/><edge source="1"/></graph></graphml>', "without target"),
        (
            "a.graphml",
            '<graphml><graph><node id="1"/><node id="2"/><node id="3"/><edge source="1" target="2"/></graph></graphml>',
            "'3' has no neighbour",
        ),
    ],
)
def test_what_is_no_graph_is_refused_in_one_sentence(
    tmp_path: Path, name: str, content: str | bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ScenarioError) as error:
        load_scenario(scenario(tmp_path, name))
    assert words in str(error.value) and f"{NAME}.yaml:7:" in str(error.value)
    assert len(str(error.value).splitlines()[0]) < 400


def test_pipes_folders_and_what_lies_elsewhere_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    ring(tmp_path, "outside.csv")
    (folder / "link.csv").symlink_to(tmp_path / "outside.csv")
    (folder / "folder.csv").mkdir()
    os.mkfifo(folder / "pipe.csv")
    for name, words in (
        ("../outside.csv", "leads out of"),
        ("link.csv", "leads out of"),
        ("folder.csv", "is no file"),
        ("pipe.csv", "is no file"),
        ("none.csv", "is no file"),
        ("[1]", "is not a path"),
    ):
        with pytest.raises(ScenarioError, match=words):
            load_scenario(scenario(folder, name))


def test_edges_beside_a_file_must_be_its_own(tmp_path: Path) -> None:
    ring(tmp_path)
    path = scenario(tmp_path, "ring.csv, edges: [[1, 2]]")
    with pytest.raises(ScenarioError, match="is not that of"):
        load_scenario(path)
