"""Who meets whom, in which role. A new rule is one class here and one name in `PairingRule`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from agentsim.core import graphs
from agentsim.core.facts import Frozen
from agentsim.core.registry import among
from agentsim.core.rng import shuffled, stream

__all__ = [
    "Alternating",
    "Network",
    "Pairing",
    "PairingRule",
    "RandomMatching",
    "Released",
    "Repeated",
    "Rewiring",
    "Schedule",
    "n_reversed",
    "swapped",
]

N_EXCHANGES: Final = 10
"""How often, for each pair, two pairs exchange partners before a pairing across groups counts as random."""
Schedule = tuple[tuple[tuple[str, ...], ...], ...]
"""For each round its encounters as members in the order of the game's roles, such as (donor, recipient). Every agent is
in one encounter a round at most; where the numbers do not divide, some sit out."""


class Pairing(Frozen):
    """The interface of every pairing rule: who meets whom, and what others need to know about that."""

    if TYPE_CHECKING:
        kind: str

    takes_odd: ClassVar[bool] = False
    """Whether agents may be left over, who sit out the round."""
    takes_groups: ClassVar[bool] = False
    """Whether encounters of other than two members can be formed."""
    crosses_groups: ClassVar[bool] = False
    """Whether it can pair agents of different groups alone (`across`)."""
    keeps_roles: ClassVar[bool] = False
    """Whether two agents are meant never to meet in both roles in a game; two alone cannot avoid it."""
    leaves_out: ClassVar[bool] = False
    """Whether agents may sit out a round although their number divides."""
    by_place: ClassVar[bool] = False
    """Whether agents are given in the order of their places, which newborns take over, and not of their names."""

    def fits(self, agents: int) -> str | None:
        """Return why so many agents cannot meet by the rule, as `field: reason`; `None`: they can."""
        return None

    def drawn(self, agents: int, rng: Random) -> Pairing:
        """Return the rule of one society, with what is drawn once for all generations, such as a network's edges."""
        return self

    def before(self, generation: int, game: int, *, seed: int) -> Pairing:
        """Return the drawn rule as it is from a game on, given as it was in the game before: a network may change."""
        return self

    @property
    def changes(self) -> Literal["never", "generations", "games"]:
        """Before what the drawn rule may become another: before generations, before games too, or never."""
        return "never"

    @property
    def connected(self) -> tuple[tuple[int, int], ...]:
        """The places that are neighbours, counted from 0, where the rule has been drawn and knows any."""
        return ()

    @property
    def learns_nearby(self) -> bool:
        """Whether newborns learn from neighbours alone, as far as there are any that they could learn from."""
        return False

    @property
    def keeps_groups(self) -> bool:
        """Whether the members of an encounter stay together through a whole game."""
        return False

    @abstractmethod
    def schedule(self, agents: Sequence[str], rounds: int, rng: Random, *, size: int = 2) -> Schedule:
        """Return `rounds` rounds over the agents, in encounters of `size` members.

        The agents' number is a multiple of `size` unless the rule `takes_odd`; `size` is 2 unless it `takes_groups`.
        """

    def across(self, groups: Sequence[Sequence[str]], rounds: int, rng: Random) -> Schedule:
        """Return `rounds` rounds of pairs of agents of different groups, if the rule `crosses_groups`."""
        raise NotImplementedError(f"{type(self).__name__} pairs across no groups")


class Alternating(Pairing):
    """Roles alternate strictly; two agents never meet in both roles in a game, and meet again as late as possible.

    Strict alternation splits the agents into two halves that meet only across: a bipartite round robin whose donor
    half toggles each round. The n/2 ways to match the halves are divided among the odd and the even rounds, so that a
    pair always meets in the same roles. Where n/2 is even, a pair meets again n/2 rounds later; where it is odd, it is
    n/2 + 1 rounds in odd rounds and n/2 - 1 in even ones: no schedule has longer gaps. Two agents have only each other:
    they meet in each round.
    """

    kind: Literal["alternating"] = "alternating"
    keeps_roles: ClassVar[bool] = True
    in_both_roles: bool = Field(default=False, exclude_if=lambda is_so: not is_so)
    """Whether pairs recur in the order of the round robin where n/2 is odd: n/2 rounds later, and so with roles
    reversed, as in the first logs. Where n/2 is even, it changes nothing."""

    def is_reversing(self, n_agents: int) -> bool:
        """Return whether two of so many agents that meet again do so with roles reversed; otherwise they never do."""
        return n_agents == 2 or (self.in_both_roles and n_agents % 4 == 2)

    def schedule(self, agents: Sequence[str], rounds: int, rng: Random, *, size: int = 2) -> Schedule:
        """Return `rounds` rounds over an even number of agents."""
        half = len(agents) // 2
        if self.is_reversing(len(agents)):
            shifts = [index % half for index in range(rounds)]
        else:
            n_ways = ((half + 1) // 2, half // 2)  # ways to match the halves in odd rounds, and in even ones
            shifts = [2 * (index // 2 % n_ways[index % 2]) + index % 2 for index in range(rounds)]
        return _bipartite(agents, shifts, [index % 2 == 0 for index in range(rounds)], rng)


class Released(Pairing):
    """The pairing of the published notebook: n/2 rounds of round robin, then the same pairings with roles swapped.

    Where n/2 is even (12 agents), alternation breaks between rounds n/2 and n/2 + 1. (Vallinder & Hughes 2024, code)
    """

    kind: Literal["released"] = "released"

    def schedule(self, agents: Sequence[str], rounds: int, rng: Random, *, size: int = 2) -> Schedule:
        """Return `rounds` rounds over an even number of agents."""
        half = len(agents) // 2
        cycles = [divmod(index, half) for index in range(rounds)]
        return _bipartite(agents, [shift for _, shift in cycles], [sum(cycle) % 2 == 0 for cycle in cycles], rng)


class RandomMatching(Pairing):
    """A fresh, uniformly random partition into groups with random roles in each round.

    Where the number of agents does not divide, those left over, drawn at random, sit out the round.
    """

    kind: Literal["random"] = "random"
    crosses_groups: ClassVar[bool] = True
    takes_odd: ClassVar[bool] = True
    takes_groups: ClassVar[bool] = True

    def schedule(self, agents: Sequence[str], rounds: int, rng: Random, *, size: int = 2) -> Schedule:
        """Return `rounds` rounds over any number of agents."""
        return tuple(_in_groups(shuffled(agents, rng), size) for _ in range(rounds))

    def across(self, groups: Sequence[Sequence[str]], rounds: int, rng: Random) -> Schedule:
        """Return `rounds` rounds of pairs of agents of different groups."""
        return tuple(_crossed(groups, rng) for _ in range(rounds))


class Repeated(Pairing):
    """The same agents meet again and again: groups drawn once a game, or anew after each `length` rounds.

    Of two, this is direct reciprocity (the repeated games of Axelrod & Hamilton 1981, Science 211); of more, the
    partners of Andreoni 1988, J. Public Econ. 37. Where members have different roles, the roles rotate from round to
    round.
    """

    kind: Literal["repeated"] = "repeated"
    length: int | None = Field(default=None, ge=1, le=10_000)
    """Rounds that a group stays together; `null`: all rounds of the game."""
    crosses_groups: ClassVar[bool] = True
    takes_groups: ClassVar[bool] = True

    @property
    def keeps_groups(self) -> bool:
        """Whether the groups stay together through a whole game."""
        return self.length is None

    def schedule(self, agents: Sequence[str], rounds: int, rng: Random, *, size: int = 2) -> Schedule:
        """Return `rounds` rounds over a number of agents that `size` divides."""
        return self._again(lambda: _in_groups(shuffled(agents, rng), size), rounds, size=size)

    def across(self, groups: Sequence[Sequence[str]], rounds: int, rng: Random) -> Schedule:
        """Return `rounds` rounds of pairs of agents of different groups."""
        return self._again(lambda: _crossed(groups, rng), rounds, size=2)

    def _again(self, drawn: Callable[[], tuple[tuple[str, ...], ...]], rounds: int, *, size: int) -> Schedule:
        schedule = []
        groups: tuple[tuple[str, ...], ...] = ()
        for index in range(rounds):
            if index % (self.length or rounds) == 0:
                groups = drawn()
            shift = index % size
            schedule.append(tuple(group[shift:] + group[:shift] for group in groups))
        return tuple(schedule)


class Rewiring(Frozen):
    """Edges of a network get other ends by chance, from time to time, whatever agents do.

    (Santos, Pacheco & Lenaerts 2006, PLoS Comput. Biol. 2, and Rand, Arbesman & Christakis 2011, PNAS 108, compare
    networks that agents change with such as change at random.)
    """

    probability: float = Field(gt=0, le=1)
    """The chance of each edge, each time, to be rewired in the way that `keeps` says."""
    before: Literal["generations", "games"] = "generations"
    """Before each generation but the first; or before each game but the first, other than those that repeat the one
    before them with roles swapped."""
    keeps: Literal["one_end", "degrees"] = "one_end"
    """`one_end`: one end of the edge, drawn, stays, and the other becomes any place that is no neighbour yet; no agent
    loses its last neighbour. `degrees`: the edge exchanges ends with another one, so that each place keeps its number
    of neighbours."""


class Network(Pairing):
    """Agents have places in a network and meet their neighbours alone; newborns take over places of those who leave.

    The network is drawn once for a society, from its seed. (Nowak & May 1992, Nature 359; Lieberman, Hauert & Nowak
    2005, Nature 433; Ohtsuki, Hauert, Lieberman & Nowak 2006, Nature 441)
    """

    kind: Literal["network"] = "network"
    takes_odd: ClassVar[bool] = True
    leaves_out: ClassVar[bool] = True
    by_place: ClassVar[bool] = True

    graph: Literal["ring", "lattice", "small_world", "scale_free", "random_regular", "edges", "file"] = "ring"
    """`ring`; `lattice`: square, without borders; `small_world`: a ring with some edges rewired (Watts & Strogatz
    1998); `scale_free`: grown by preferential attachment (Barabási & Albert 1999); `random_regular`; the `edges`
    that are listed; or those of a `file`."""
    degree: int | None = Field(default=None, ge=1, le=10_000)
    """Neighbours of an agent: of a ring an even number (2), of a lattice 4 or 8 (4), of a small world or scale-free
    graph an even number, on average (4), of a random regular graph any (4)."""
    rewired: float = Field(default=0.1, ge=0, le=1)
    """Of a small world, the chance of each edge to get another end."""
    edges: tuple[tuple[int, int], ...] | None = None
    """The places that are connected, counted from 1, where `graph` is `edges`: `[[1, 2], [2, 3]]`. Those of a file are
    read from it as the scenario is loaded."""
    file: str | None = Field(default=None, exclude_if=lambda name: name is None)
    """Where `graph` is `file`: a list of edges (`.csv`, `.tsv`, `.txt`, `.edges`) or GraphML (`.graphml`), in the
    scenario's folder."""
    digest: str | None = Field(default=None, exclude_if=lambda digest: digest is None)
    """The SHA-256 of the file, which is read from it as the scenario is loaded."""
    meet: Literal["in_turn", "at_random", "anyone"] = "in_turn"
    """`in_turn`: the edges are divided into as few sets as possible in which no agent is twice, and these are met one
    after the other, so that all neighbours meet equally often; roles alternate. `at_random`: in each round as many
    neighbours meet as a random order allows, with random roles. `anyone`: all agents are paired at random in each
    round, and only what is known of others, or learning, follows the edges."""
    learn: Literal["anywhere", "neighbours"] = "anywhere"
    """From whom newborns learn: from all that the selection rule allows, or of these from the neighbours of the place
    that they take, if there are any."""
    seats: Literal["at_random", "in_order"] = "at_random"
    """Which places the first agents have: drawn, or in the order of their numbers, and so of their players."""
    rewire: Rewiring | None = Field(default=None, exclude_if=lambda rewire: rewire is None)
    """Whether edges get other ends from time to time; `null`: the network stays as it is."""

    @field_validator("edges", mode="before")
    @classmethod
    def _has_tuples(cls, edges: object) -> object:
        """Take lists as tuples, as which edges are kept, because they may not change."""
        if not isinstance(edges, list):
            return edges
        return tuple(tuple(edge) if isinstance(edge, list) else edge for edge in edges)

    @model_validator(mode="after")
    def _is_a_graph(self) -> Self:
        if (self.graph == "file") != (self.file is not None):
            raise ValueError("file: names a graph's file where graph is file; give both, or neither")
        if self.graph == "file" and (self.edges is None or self.digest is None):
            raise ValueError("file: is read where a scenario is loaded from a file or by agentsim.scenario_from")
        if (self.graph in ("edges", "file")) != (self.edges is not None):
            raise ValueError("edges: lists the places that are connected where graph is edges; give both, or neither")
        degree = self.n_neighbours
        if self.graph in ("ring", "small_world", "scale_free") and degree % 2:
            raise ValueError(f"degree: {degree} is odd; a {self.graph} has an even number of neighbours on average")
        if self.graph == "lattice" and degree not in (4, 8):
            raise ValueError(f"degree: {degree}; on a lattice it is 4 or 8")
        for edge in self.edges or ():
            if min(edge) < 1 or edge[0] == edge[1]:
                raise ValueError(f"edges: {list(edge)} connects no two places; places count from 1")
        return self

    @property
    def n_neighbours(self) -> int:
        """The neighbours of an agent, on average; of listed edges 0, as each agent may have another number."""
        if self.graph in ("edges", "file"):
            return 0
        return self.degree or (2 if self.graph == "ring" else 4)

    @property
    def is_regular(self) -> bool:
        """Whether all agents have the same number of neighbours: `n_neighbours`, or all others if these are fewer."""
        stays = self.rewire is None or self.rewire.keeps == "degrees"
        return self.graph in ("ring", "lattice", "random_regular") and stays

    def fits(self, agents: int) -> str | None:
        """Return why so many agents have no such network."""
        degree = self.n_neighbours
        if self.edges is not None:
            missing = sorted(set(range(1, agents + 1)) - {place for edge in self.edges for place in edge})
            highest = max((place for edge in self.edges for place in edge), default=0)
            if self.file is not None and (missing or highest != agents):
                return (
                    f"file: {self.file} connects {highest} nodes, and there are {agents} agents; use agents: {highest},"
                    " or another file"
                )
            if highest > agents:
                return f"edges: place {highest} of {agents} agents; places count from 1 to {agents}"
            return (
                f"edges: place {missing[0]} has no neighbour; connect each of the {agents} places" if missing else None
            )
        if self.graph == "lattice" and graphs.sides_of(agents) is None:
            return f"graph: {agents} agents make no lattice; its sides are at least 3, as of 9, 12, 16, 20 or 25 agents"
        if self.graph == "random_regular" and agents * degree % 2:
            return f"degree: {degree} neighbours of {agents} agents each are an odd number of ends; change one by 1"
        if self.graph in ("small_world", "scale_free", "random_regular") and degree >= agents:
            return f"degree: {degree} neighbours among {agents} agents; use a lower degree"
        return None

    def drawn(self, agents: int, rng: Random) -> Network:
        """Return the network with its edges listed, and the first agents in their places."""
        edges = self._drawn(agents, rng)
        places = shuffled(range(agents), rng) if self.seats == "at_random" else list(range(agents))
        seated = sorted(tuple(sorted((places[a], places[b]))) for a, b in edges)
        listed = tuple((a + 1, b + 1) for a, b in seated)
        return self.model_copy(update={"graph": "edges", "edges": listed, "seats": "in_order"})

    @property
    def connected(self) -> tuple[tuple[int, int], ...]:
        """The places that are neighbours, counted from 0."""
        return tuple((a - 1, b - 1) for a, b in self.edges or ())

    @property
    def changes(self) -> Literal["never", "generations", "games"]:
        """Return before what edges are rewired."""
        return "never" if self.rewire is None else self.rewire.before

    def before(self, generation: int, game: int, *, seed: int) -> Network:
        """Return the network from a game on, given as it was in the game before."""
        rewire = self.rewire
        is_first = (generation, game) == (1, 1) or (game > 1 and (self.changes == "generations" or game % 2 == 0))
        if rewire is None or is_first:
            return self
        rng = stream(seed, "rewire", generation, game)
        edges = graphs.changed(self.connected, probability=rewire.probability, keeps=rewire.keeps, rng=rng)
        return self.model_copy(update={"edges": tuple((a + 1, b + 1) for a, b in edges)})

    @property
    def learns_nearby(self) -> bool:
        """Whether newborns learn from neighbours alone."""
        return self.learn == "neighbours"

    def _drawn(self, n: int, rng: Random) -> list[graphs.Edge]:
        degree = self.n_neighbours
        match self.graph:
            case "ring":
                return graphs.ring(n, degree=degree)
            case "lattice":
                return graphs.lattice(n, degree=degree)
            case "small_world":
                return graphs.small_world(n, degree=degree, rewired=self.rewired, rng=rng)
            case "scale_free":
                return graphs.scale_free(n, degree=degree, rng=rng)
            case "random_regular":
                return graphs.random_regular(n, degree=degree, rng=rng)
            case "edges" | "file":
                return sorted({(min(edge), max(edge)) for edge in self.connected})

    def schedule(self, agents: Sequence[str], rounds: int, rng: Random, *, size: int = 2) -> Schedule:
        """Return `rounds` rounds over agents in the order of their places; a network that is not drawn is, first."""
        if self.meet == "anyone":
            return RandomMatching().schedule(agents, rounds, rng)
        network = self if self.edges is not None and self.seats == "in_order" else self.drawn(len(agents), rng)
        if self.meet == "at_random":
            met = [graphs.matched(network.connected, rng) for _ in range(rounds)]
            return tuple(tuple(_named(agents, edge, rng.random() < 0.5) for edge in edges) for edges in met)
        matchings = graphs.turns(network.connected, rng)
        is_turned = {edge: rng.random() < 0.5 for edge in network.connected}
        return tuple(
            tuple(
                _named(agents, edge, is_turned[edge] ^ (index // len(matchings) % 2 == 1))
                for edge in matchings[index % len(matchings)]
            )
            for index in range(rounds)
        )


PairingRule = Annotated[Pairing, among("pairing", Alternating, Released, RandomMatching, Repeated, Network)]


def _named(agents: Sequence[str], edge: graphs.Edge, is_turned: bool) -> tuple[str, ...]:
    a, b = edge
    return (agents[b], agents[a]) if is_turned else (agents[a], agents[b])


def _in_groups(order: Sequence[str], size: int) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(order[place : place + size]) for place in range(0, len(order) // size * size, size))


def _crossed(groups: Sequence[Sequence[str]], rng: Random) -> tuple[tuple[str, str], ...]:
    """Return pairs of agents of different groups with random roles; of an odd number, one agent, drawn, is left out.

    The groups are equal. Pairs that are found by halving exchange partners many times, which reaches all such pairings
    and prefers none.
    """
    group_of = {agent: number for number, group in enumerate(groups) for agent in group}
    order = [agent for group in shuffled(groups, rng) for agent in shuffled(group, rng)]
    if len(order) % 2:
        del order[int(rng.random() * len(order))]
    half = len(order) // 2  # no group has more agents, so that none of them is half the agents behind another
    pairs = list(zip(order[:half], order[half:], strict=True))
    for _ in range(N_EXCHANGES * half):
        one, other = (int(rng.random() * half) for _ in range(2))
        (a, b), (c, d) = pairs[one], pairs[other][:: 1 if rng.random() < 0.5 else -1]
        if one != other and group_of[a] != group_of[d] and group_of[c] != group_of[b]:
            pairs[one], pairs[other] = (a, d), (c, b)
    return tuple((b, a) if rng.random() < 0.5 else (a, b) for a, b in pairs)


def swapped(schedule: Schedule) -> Schedule:
    """Return the schedule with the roles of each encounter in reverse order: donor and recipient exchanged."""
    return tuple(tuple(tuple(reversed(members)) for members in groups) for groups in schedule)


def n_reversed(schedule: Schedule) -> int:
    """Return the number of encounters of two in which a donor meets one that has been its donor before in the game."""
    met: set[tuple[str, ...]] = set()
    n_found = 0
    for pairs in schedule:
        n_found += sum((recipient, donor) in met for donor, recipient in pairs)
        met.update(pairs)
    return n_found


def _bipartite(agents: Sequence[str], shifts: Sequence[int], is_first_donor: Sequence[bool], rng: Random) -> Schedule:
    """Return rounds between two random halves, the second shifted by so many places, the first giving or receiving."""
    order = shuffled(agents, rng)
    half = len(order) // 2
    first, second = order[:half], order[half:]
    schedule = []
    for shift, is_donor in zip(shifts, is_first_donor, strict=True):
        pairs = [(agent, second[(place + shift) % half]) for place, agent in enumerate(first)]
        schedule.append(tuple(pairs if is_donor else [(b, a) for a, b in pairs]))
    return tuple(schedule)
