"""Networks: the graphs are those of the field, neighbours alone meet, and places outlive agents."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agentsim.core import graphs
from agentsim.core.answers import Answer
from agentsim.core.facts import Connected, Encounter, GenerationEnded, StrategyFormed
from agentsim.core.observation import OwnActs
from agentsim.core.pairing import Network
from agentsim.core.requests import DecisionView
from agentsim.core.rng import stream
from agentsim.core.rules import SocietyRules
from agentsim.core.selection import BirthDeath, DeathBirth, Nobody
from agentsim.core.transmission import Copy, Imitate
from agentsim.prompts.sets import SHIPPED, load_prompt_set
from agentsim.scenario.loading import load_scenario
from agentsim.scenario.runs import runs
from tests.core.playing import constant, play


def degrees(edges: list[graphs.Edge], n: int) -> list[int]:
    counts = Counter(place for edge in edges for place in edge)
    return [counts[place] for place in range(n)]


def test_rings_and_lattices_are_those_of_networkx() -> None:
    nx = pytest.importorskip("networkx")
    for n, degree in ((12, 2), (12, 4), (9, 8)):
        assert nx.utils.graphs_equal(nx.Graph(graphs.ring(n, degree=degree)), nx.watts_strogatz_graph(n, degree, 0))
    theirs = nx.convert_node_labels_to_integers(nx.grid_2d_graph(4, 5, periodic=True), ordering="sorted")
    assert {tuple(sorted(edge)) for edge in theirs.edges} == set(graphs.lattice(20, degree=4))
    assert set(degrees(graphs.lattice(20, degree=8), 20)) == {8}


def test_drawn_graphs_are_like_those_of_networkx() -> None:
    nx = pytest.importorskip("networkx")
    rng = Random(1)
    for n, degree in ((30, 4), (21, 6), (10, 3)):
        assert degrees(graphs.random_regular(n, degree=degree, rng=rng), n) == [degree] * n
    n, times = 60, 30

    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    ours = [nx.Graph(graphs.small_world(n, degree=4, rewired=0.2, rng=rng)) for _ in range(times)]
    theirs = [nx.watts_strogatz_graph(n, 4, 0.2, seed=seed) for seed in range(times)]
    clustering = [mean([nx.transitivity(graph) for graph in some]) for some in (ours, theirs)]
    assert clustering[0] == pytest.approx(clustering[1], abs=0.05) and all(g.size() == 2 * n for g in ours)
    ours = [nx.Graph(graphs.scale_free(n, degree=4, rng=rng)) for _ in range(times)]
    theirs = [nx.barabasi_albert_graph(n, 2, seed=seed) for seed in range(times)]
    assert {graph.size() for graph in ours} == {graph.size() for graph in theirs}
    highest = [mean([max(degree for _, degree in graph.degree) for graph in some]) for some in (ours, theirs)]
    assert highest[0] == pytest.approx(highest[1], rel=0.15) and highest[0] > 3 * 4
    # Of the four cubic graphs that are one ring and chords, networkx and these swaps find the same shares of triangles.
    ours = [nx.Graph(graphs.random_regular(8, degree=3, rng=rng)) for _ in range(400)]
    theirs = [nx.random_regular_graph(3, 8, seed=seed) for seed in range(400)]
    free = [mean([sum(nx.triangles(graph).values()) == 0 for graph in some]) for some in (ours, theirs)]
    assert free[0] == pytest.approx(free[1], abs=0.1)


@given(n=st.integers(4, 20), share=st.floats(0.1, 1), seed=st.integers(0, 999))
def test_turns_are_matchings_of_all_edges(n: int, share: float, seed: int) -> None:
    rng = Random(seed)
    edges = [(a, b) for a in range(n) for b in range(a + 1, n) if rng.random() < share]
    matchings = graphs.turns(edges, rng)
    assert sorted(edge for matching in matchings for edge in matching) == edges
    for matching in matchings:
        assert len({place for edge in matching for place in edge}) == 2 * len(matching) > 0
    most = max(degrees(edges, n))
    assert most <= len(matchings) <= 2 * most
    across = [edge for edge in edges if sum(edge) % 2]  # of two sides: no more are needed than a place has neighbours
    assert not across or len(graphs.turns(across, rng)) == max(degrees(across, n))


def society(**pairing: Any) -> SocietyRules:
    return SocietyRules.model_validate(
        {
            "agents": 12,
            "generations": 4,
            "game": {"rounds": 8, "games": 2},
            "pairing": {"kind": "network", **pairing},
            "selection": {"kind": "top"},
        }
    )


@pytest.mark.parametrize("meet", ["in_turn", "at_random"])
@pytest.mark.parametrize("graph", ["ring", "lattice", "small_world", "scale_free", "random_regular"])
def test_neighbours_alone_meet_and_newborns_take_places_over(graph: str, meet: str) -> None:
    rules = society(graph=graph, meet=meet)
    _, events = play(rules, constant(0.3), seed=5)
    known = {
        event.generation: {frozenset(edge) for edge in event.edges} for event in events if isinstance(event, Connected)
    }
    met = [event for event in events if isinstance(event, Encounter)]
    assert len(known) == 4 and len(met) == rules.n_encounters(5)
    assert all(frozenset((one.donor, one.recipient)) in known[one.generation] for one in met)
    for ended in (event for event in events if isinstance(event, GenerationEnded) and event.survivors):
        stay = {edge for edge in known[ended.generation] if edge <= set(ended.survivors)}
        assert stay == {edge for edge in known[ended.generation + 1] if edge <= set(ended.survivors)}
        assert len(known[ended.generation]) == len(known[ended.generation + 1])


def test_under_in_turn_all_neighbours_meet_equally_often_in_both_roles() -> None:
    rules = society(graph="lattice")
    _, events = play(rules, constant(0.3), seed=1)
    met = Counter(
        (one.donor, one.recipient)
        for one in events
        if isinstance(one, Encounter) and one.generation == 1 and one.game == 1
    )
    assert set(met.values()) == {1} and len(met) == 12 * 4  # 8 rounds: four turns, each there and back


def test_the_network_is_the_seed_s_and_the_same_in_all_generations() -> None:
    rules = society(graph="small_world")
    assert rules.drawn_pairing(1) == rules.drawn_pairing(1) != rules.drawn_pairing(2)
    in_order = Network(graph="ring", seats="in_order").drawn(4, stream(0, "network"))
    assert in_order.edges == ((1, 2), (1, 4), (2, 3), (3, 4))
    listed = society(graph="edges", edges=[[place, place % 12 + 1] for place in range(1, 13)], seats="in_order")
    assert listed.drawn_pairing(7).connected == tuple(graphs.ring(12, degree=2))


def test_the_dead_leave_their_place_to_the_newborn() -> None:
    rules = society(graph="ring", seats="in_order").model_copy(update={"selection": DeathBirth(replaced=1)})
    _, events = play(rules, constant(0.3), seed=3)
    [first, second, *_] = [event for event in events if isinstance(event, Connected)]
    [(gone, born)] = {
        (old, new)
        for edge, later in zip(first.edges, second.edges, strict=True)
        for old, new in zip(edge, later, strict=True)
        if old != new
    }
    assert gone.startswith("1_") and born == "2_1"


def test_edges_are_listed_in_a_scenario(tmp_path: Path) -> None:
    path = tmp_path / "listed.yaml"
    path.write_text(
        "name: listed\nagents: 3\ngenerations: 1\nplayers: {model: scripted/all-give}\n"
        "pairing: {kind: network, graph: edges, edges: [[1, 2], [3, 2]], seats: in_order}\n"
    )
    assert runs(load_scenario(path))[0].condition.drawn_pairing(0).connected == ((0, 1), (1, 2))


def test_newborns_learn_from_neighbours_alone() -> None:
    n_far = 0
    for learn in ("neighbours", "anywhere"):
        rules = society(graph="ring", learn=learn).model_copy(
            update={"selection": DeathBirth(), "transmission": Copy()}
        )
        for seed in range(5):
            _, events = play(rules, constant(0.3), seed=seed)
            edges = {event.generation: event.edges for event in events if isinstance(event, Connected)}
            for born in (event.agent for event in events if isinstance(event, StrategyFormed) and event.generation > 1):
                near = {name for edge in edges[born.born] if born.id in edge for name in edge}
                n_far += born.parents[0] not in near
        assert n_far == 0 if learn == "neighbours" else n_far > 5


@pytest.mark.parametrize(
    ("pairing", "words"),
    [
        ({"graph": "lattice", "agents": 14}, "14 agents make no lattice"),
        ({"graph": "lattice", "degree": 6}, "on a lattice it is 4 or 8"),
        ({"graph": "ring", "degree": 3}, "3 is odd"),
        ({"graph": "random_regular", "degree": 3, "agents": 13}, "an odd number of ends"),
        ({"graph": "scale_free", "degree": 12}, "12 neighbours among 12 agents"),
        ({"graph": "edges"}, "lists the places"),
        ({"edges": [[1, 2]]}, "lists the places"),
        ({"graph": "edges", "edges": [[1, 1]]}, "connects no two places"),
        ({"graph": "edges", "edges": [[1, 13]]}, "place 13 of 12 agents"),
        ({"graph": "edges", "edges": [[1, 2]]}, "place 3 has no neighbour"),
    ],
)
def test_what_is_no_network_is_refused(pairing: dict[str, Any], words: str) -> None:
    agents = pairing.pop("agents", 12)
    with pytest.raises(ValidationError, match=words):
        SocietyRules.model_validate({"agents": agents, "pairing": {"kind": "network", **pairing}})


def connections(events: list[Any]) -> dict[tuple[int, int | None], set[frozenset[str]]]:
    return {
        (event.generation, event.game): {frozenset(edge) for edge in event.edges}
        for event in events
        if isinstance(event, Connected)
    }


@pytest.mark.parametrize("keeps", ["one_end", "degrees"])
@pytest.mark.parametrize("graph", ["ring", "scale_free"])
def test_rewired_edges_are_as_many_and_leave_nobody_alone(graph: str, keeps: str) -> None:
    rng = Random(3)
    edges = graphs.scale_free(20, degree=4, rng=rng) if graph == "scale_free" else graphs.ring(20, degree=2)
    for probability in (0.2, 1.0):
        later = graphs.changed(edges, probability=probability, keeps=keeps, rng=rng)  # type: ignore[arg-type]
        assert len(set(later)) == len(later) == len(edges) and later != edges
        assert min(degrees(later, 20)) > 0
        assert (degrees(later, 20) == degrees(edges, 20)) == (keeps == "degrees")
    shares = [
        len(set(graphs.changed(edges, probability=0.3, keeps=keeps, rng=rng)) - set(edges)) / len(edges)  # type: ignore[arg-type]
        for _ in range(200)
    ]
    least, most = (0.25, 0.35) if keeps == "one_end" else (0.1, 0.6)  # a swap changes two edges, or is not possible
    assert least < sum(shares) / 200 < most


@pytest.mark.parametrize("before", ["generations", "games"])
def test_a_network_is_rewired_when_it_is_said_and_neighbours_alone_meet(before: str) -> None:
    rules = society(graph="ring", rewire={"probability": 0.5, "before": before}).model_copy(
        update={"game": society(graph="ring").game.model_copy(update={"games": 4}), "selection": Nobody()}
    )
    _, events = play(rules, constant(0.3), seed=5)
    known = connections(events)
    met = [event for event in events if isinstance(event, Encounter)]
    assert len(met) == rules.n_encounters(5)
    for one in met:
        game = one.game if before == "games" else None
        assert frozenset((one.donor, one.recipient)) in known[one.generation, game]
    if before == "games":
        assert known[1, 1] == known[1, 2] != known[1, 3] == known[1, 4]
        assert len({frozenset(edges) for edges in known.values()}) == 8
    else:
        assert len({frozenset(edges) for edges in known.values()}) == len(known) == 4
    again = connections(play(rules, constant(0.3), seed=5, order=Random(1))[1])
    assert again == known


def near(event: Connected, agent: str) -> set[str]:
    return {name for edge in event.edges if agent in edge for name in edge}


@pytest.mark.parametrize("reach", ["of_neighbours", "from_neighbours"])
@pytest.mark.parametrize("kind", ["history", "trace"])
def test_acts_become_known_along_edges_alone(reach: str, kind: str) -> None:
    def seen(reach: str) -> list[tuple[str, Any]]:
        rules = SocietyRules.model_validate(
            {
                "agents": 12,
                "generations": 1,
                "game": {"rounds": 10, "games": 1},
                "pairing": {"kind": "network", "graph": "ring", "meet": "anyone", "learn": "neighbours"}
                if reach != "everyone"
                else {"kind": "random"},
                "observation": {"kind": kind, "depth": 3, "reach": reach},
            }
        )
        asked, events = play(rules, constant(0.3), seed=4)
        beside.update({name: near(event, name) for event in events if isinstance(event, Connected) for name in names})
        views = [(one.view.name, one.view) for one in asked if isinstance(one.view, DecisionView)]
        return [(name, item) for name, view in views for item in view.trace]

    names = [f"1_{number}" for number in range(1, 13)]
    beside: dict[str, set[str]] = {}
    items = seen(reach)
    assert items
    for observer, item in items:
        known_by = item.donor if reach == "of_neighbours" else item.recipient
        assert observer in (item.donor, item.recipient) or known_by in beside[observer]
    assert len(seen("everyone")) > 1.5 * len(items)


def test_standings_are_judged_by_what_each_observer_can_know() -> None:
    """A ring of six, on which anyone meets: who keeps from a stranger is bad to its neighbours alone."""
    rules = SocietyRules.model_validate(
        {
            "agents": 6,
            "generations": 1,
            "game": {"rounds": 40, "games": 1},
            "pairing": {"kind": "network", "graph": "ring", "meet": "anyone", "seats": "in_order"},
            "observation": {"kind": "standing", "reach": "of_neighbours"},
        }
    )

    def keeps(request: Any) -> Answer:
        if not isinstance(request.view, DecisionView):
            return Answer(text="-")
        return Answer(act="give", amount=0.0 if request.agent == "1_1" else request.view.resources)

    said: set[tuple[str, bool, Any]] = set()
    for seed in range(4):
        asked, events = play(rules, keeps, seed=seed)
        victims = [(one.recipient, one.round) for one in events if isinstance(one, Encounter) and one.donor == "1_1"]
        first = min(round for _, round in victims)
        said |= {
            (view.name, any(name == view.name and round < view.round for name, round in victims), view.reputation.value)
            for view in (one.view for one in asked)
            if isinstance(view, DecisionView) and view.recipient == "1_1" and view.round > first and view.reputation
        }
    assert {standing for name, _, standing in said if name in ("1_2", "1_6")} == {"bad"}
    assert {(was_met, standing) for name, was_met, standing in said if name in ("1_3", "1_4", "1_5")} == {
        (False, "good"),
        (True, "bad"),
    }


def test_pairwise_comparison_follows_edges() -> None:
    rules = society(graph="ring", learn="neighbours").model_copy(
        update={"selection": BirthDeath(replaced=6), "transmission": Imitate(beta=0)}
    )
    _, events = play(rules, constant(0.3), seed=2)
    edges = {event.generation: event for event in events if isinstance(event, Connected)}
    born = [event.agent for event in events if isinstance(event, StrategyFormed) and event.generation > 1]
    n_others = 0
    for agent in born:
        before, now = edges[agent.born - 1], edges[agent.born]
        # The one that it replaced has its place: the same edges in the same order.
        place = next((i, side) for i, edge in enumerate(now.edges) for side in (0, 1) if edge[side] == agent.id)
        gone = before.edges[place[0]][place[1]]
        assert agent.parents[0] == gone or agent.parents[0] in near(before, gone)
        n_others += agent.parents[0] != gone
    assert n_others > 3


@pytest.mark.parametrize("prompts", SHIPPED)
def test_each_set_tells_what_the_network_does(prompts: str) -> None:
    def told(observation: dict[str, Any] | None = None, **pairing: Any) -> str:
        rules = society(**pairing).model_copy(
            update={"observation": OwnActs.model_validate({"kind": "history", **(observation or {})})}
        )
        return "\n".join(load_prompt_set(prompts).sentences(rules.told))

    texts = [
        told(),
        told(meet="anyone", learn="neighbours"),
        *(told(rewire={"probability": 0.1, "before": before}) for before in ("generations", "games")),
        told(rewire={"probability": 0.1, "keeps": "degrees"}),
        told(rewire={"probability": 0.2}),
        *(told({"reach": reach}) for reach in ("of_neighbours", "from_neighbours")),
    ]
    assert len(set(texts)) == len(texts)
    assert all("{" not in text and "None" not in text for text in texts)
    assert "does not change" not in told(rewire={"probability": 0.1})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"observation": {"kind": "history", "reach": "of_neighbours"}}, "reach: of_neighbours needs neighbours"),
        ({"pairing": {"kind": "network", "meet": "anyone"}}, "nothing follows the edges"),
        ({"pairing": {"kind": "network", "rewire": {"probability": 0.1}}, "generations": 1}, "nothing comes before"),
        ({"pairing": {"kind": "network", "graph": "file"}}, "file: names a graph's file"),
        ({"pairing": {"kind": "network", "graph": "file", "file": "a.csv"}}, "is read where a scenario is loaded"),
    ],
)
def test_edges_that_nothing_follows_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SocietyRules.model_validate({"agents": 12, **changes})
