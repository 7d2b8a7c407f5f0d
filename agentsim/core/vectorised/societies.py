"""Many societies from their first generation to their last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agentsim.core.games import DonorGame
from agentsim.core.policies import ScriptedPlayer
from agentsim.core.rng import uniforms
from agentsim.core.rules import SocietyRules
from agentsim.core.selection import Selection
from agentsim.core.transmission import Imitate, Transmission
from agentsim.core.vectorised import observation
from agentsim.core.vectorised.games import play_games
from agentsim.core.vectorised.generations import Generation, Names, as_places, born_after, first, scored, survivors
from agentsim.core.vectorised.matching import matches
from agentsim.core.vectorised.one_by_one import played
from agentsim.errors import ScenarioError

__all__ = ["ManySocieties", "play_many", "without_twin"]

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]

BLOCK: Final = 8192 * 144
"""About how many agents × rounds × societies are played together: enough that a step costs little for each, and few
enough that their arrays stay in the processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class ManySocieties:
    """The courses of many societies under the same rules; arrays begin with (society, generation).

    Agents are identified by *slot*: their place among the names of their generation, sorted as text.
    """

    seeds: tuple[int, ...]
    """One a society."""
    n_rounds: Ints
    """(society, generation): rounds of each of the generation's games."""
    players: tuple[ScriptedPlayer, ...]
    """The different players, in the order in which they first stood among those of the first generation."""
    born: Ints
    """(…, agent): the generation an agent was born in; with `index` its name, `<born>_<index>`."""
    index: Ints
    """(…, agent): its number among those born then."""
    player: Ints
    """(…, agent): its player, as a place in `players`."""
    parent: Ints
    """(…, agent): the slot, in the generation before, of a survivor itself or of whom a newborn copied; -1: none."""
    resources: Floats
    """(…, game, agent): final resources."""
    scores: Floats
    """(…, agent): what selection saw."""
    survivors: Ints
    """(society, generation but the last, survivor): slots, best first."""
    given: Floats
    """(…, agent): sum of the levels of its moves in the generation's games that have a level and did not fail; in the
    donor game of the fractions it gave, where it had anything."""
    n_gifts: Ints
    """(…, agent): how many moves these were."""
    encounters: Mapping[str, NDArray[Any]]
    """(…, game, round, pair) by name: `donor` and `recipient` as slots, `donor_before`, `recipient_before`, `amount`,
    `fraction` (NaN where the donor had nothing). Rounds beyond a society's last are -1 and NaN. Empty where encounters
    were not to be kept."""

    @property
    def mean_final_resources(self) -> Floats:
        """(society, generation): the reported score, mean final resources over agents and games."""
        return np.asarray(self.resources.mean(axis=(2, 3)))

    @property
    def mean_fraction(self) -> Floats:
        """(society, generation): mean level of moves that have one and did not fail, in the donor game mean fraction
        given, where donors had anything; NaN if none."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.given.sum(axis=2) / self.n_gifts.sum(axis=2))

    def share_of(self, player: int) -> Floats:
        """(society, generation): the share of agents that are played by the player at that place in `players`."""
        return np.asarray((self.player == player).mean(axis=2))


def play_many(
    rules: SocietyRules,
    players: ScriptedPlayer | Sequence[ScriptedPlayer],
    *,
    seeds: Sequence[int],
    keeps_encounters: bool = False,
) -> ManySocieties:
    """Play one society a seed.

    A result takes some 50 bytes an agent, generation and society (and 60 more an encounter, where they are kept); play
    more than fit into memory in parts. Under rules, games or policies that have no vectorised twin (`without_twin`),
    each society is played by itself: the result is the same, thousands of times slower.

    Args:
        players: one for all agents, or one for each of the first generation, in the order of their numbers.

    Raises:
        ScenarioError: the players are not as many as the agents, or encounters are to be kept of another game than the
            donor game.
    """
    if keeps_encounters and not isinstance(rules.game, DonorGame):
        raise ScenarioError(
            f"game.kind: {rules.game.kind!r}: encounters are kept of the donor game alone; play the runs of a scenario,"
            " whose table moves has them"
        )
    by_agent = list(players) if isinstance(players, Sequence) else [players] * rules.agents
    if len(by_agent) != rules.agents:
        raise ScenarioError(f"players: {len(by_agent)} for {rules.agents} agents; give one, or one for each agent")
    different = list(dict.fromkeys(by_agent))
    first_players = np.array([different.index(player) for player in by_agent])
    is_at_once = not without_twin(rules, different)
    n = len(seeds)
    n_rounds = _n_rounds(rules, seeds)
    longest = int(n_rounds.max(initial=rules.game.rounds))
    kept = _Kept(rules, n_rounds, longest)
    parts = max(min(n, 1), round(n * rules.agents * longest / BLOCK)) if is_at_once else n
    for start, end in pairwise(np.linspace(0, n, parts + 1).astype(int).tolist()):
        block = slice(start, end)
        block_seeds = tuple(int(seed) for seed in seeds[block])
        if not is_at_once:
            for result in played(rules, different, first_players, seed=block_seeds[0], longest=longest):
                kept.take(block, result, keeps_encounters=keeps_encounters)
            continue
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # looked at when a game is over
            for result in _generations(
                rules,
                different,
                first_players,
                seeds=block_seeds,
                n_rounds=n_rounds[:, block],
                keeps_encounters=keeps_encounters,
            ):
                kept.take(block, result)
    return kept.result(tuple(int(seed) for seed in seeds), tuple(different))


KNOWN: Final[Mapping[str, tuple[frozenset[str] | None, frozenset[str]]]] = {
    "game": (
        frozenset({"donor"}),
        frozenset(
            {
                "rounds",
                "endowment",
                "multiplier",
                "gift",
                "games",
                "punishment",
                "error",
                "continuation",
                "max_rounds",
                "length",
            }
        ),
    ),
    "pairing": (frozenset({"alternating", "released", "random"}), frozenset({"in_both_roles"})),
    "observation": (
        frozenset(observation.TWINS),
        frozenset(
            {"depth", "threshold", "assessment", "of_bad_donors", "noise", "delay", "known", "audience", "shows_own"}
        ),
    ),
    "selection": (None, frozenset({"fraction", "halves", "score", "size", "replaced"})),
    "transmission": (
        None,
        frozenset({"scores", "max_chars", "n", "chances", "model_from", "persona_from", "rewrite", "beta", "mutation"}),
    ),
}
"""The kinds (None: any) and settings of rules that are played many societies at once. Under any other each society is
played by itself."""


def without_twin(rules: SocietyRules, players: Iterable[ScriptedPlayer]) -> list[str]:
    """Return the rules, settings and policies that can only be played one society after the other, as `part.kind`."""
    parts, untwinned = dict(rules), []
    for part, (kinds, settings) in KNOWN.items():
        rule = parts[part]
        if kinds is not None and rule.kind not in kinds:
            untwinned.append(f"{part}.kind: {rule.kind!r}")
            continue
        new = (name for name in type(rule).model_fields if name not in settings | {"kind"})
        changed = [name for name in new if getattr(rule, name) != type(rule).model_fields[name].default]
        untwinned += [f"{part}.{name}: {getattr(rule, name)!r}" for name in changed]
    if rules.groups is not None:
        untwinned.append(f"groups.number: {rules.groups.number}")
    if rules.game.one_endowment is None:
        untwinned.append(f"game.endowment: {list(rules.game.endowments)}")
    if type(rules.transmission).adopted not in (Transmission.adopted, Imitate.adopted):
        untwinned.append(f"transmission.kind: {rules.transmission.kind!r}")
    if type(rules.selection).scores is not Selection.scores:
        untwinned.append(f"selection.kind: {rules.selection.kind!r}")
    models = dict.fromkeys(player.model for player in players if not player.decides_many)
    return [*untwinned, *(f"players.model: {model!r}" for model in models)]


def _n_rounds(rules: SocietyRules, seeds: Sequence[int]) -> NDArray[np.intp]:
    """Return what `game.n_rounds` says, as (generations, societies)."""
    game, generations = rules.game, np.arange(1, rules.generations + 1)
    n_rounds = np.full((len(generations), len(seeds)), game.rounds)
    chance = game.continuation
    numbers = uniforms("rounds", as_places(seeds), generations[:, None]) if chance else np.ones(n_rounds.shape)
    for _ in range(game.max_rounds - game.rounds):
        goes_on = numbers < chance
        if not goes_on.any():
            break
        n_rounds += goes_on
        chance *= game.continuation
    return n_rounds


def _generations(
    rules: SocietyRules,
    players: Sequence[ScriptedPlayer],
    first_players: NDArray[np.intp],
    *,
    seeds: tuple[int, ...],
    n_rounds: NDArray[np.intp],
    keeps_encounters: bool,
) -> Iterator[Generation]:
    """Play a block of societies, one generation after the other."""
    names = Names(generations=rules.generations, agents=rules.agents)
    living = first(seeds, first_players)
    parent = np.full(living.born.shape, -1)
    for generation in range(1, rules.generations + 1):
        lengths = n_rounds[generation - 1]
        outcomes = play_games(
            rules.donor_game,
            rules.observation,
            matches(rules, seeds=seeds, generation=generation, rounds=int(lengths.max())),
            players,
            living,
            n_rounds=lengths,
            keeps_encounters=keeps_encounters,
        )
        resources = [outcome.resources for outcome in outcomes]
        scores = scored(rules.selection, resources)
        is_last = generation == rules.generations
        kept = None if is_last else survivors(rules.selection, scores, living, seeds=seeds)
        yield Generation(
            living,
            parent,
            resources,
            scores,
            np.sum([outcome.given for outcome in outcomes], axis=0),
            np.sum([outcome.n_gifts for outcome in outcomes], axis=0),
            kept,
            [outcome.encounters for outcome in outcomes],
        )
        if kept is not None:
            living, parent = born_after(rules, living, kept, scores, seeds=seeds, players=first_players, names=names)


class _Kept:
    """The results of all societies, filled block by block; societies come last here, first in what is returned."""

    def __init__(self, rules: SocietyRules, n_rounds: NDArray[np.intp], longest: int) -> None:
        n, games = rules.agents, rules.game.games
        generations, n_societies = n_rounds.shape
        self._n_rounds = n_rounds.astype(np.int32)
        shape = (generations, n, n_societies)
        self._counts = {name: np.empty(shape, dtype=np.int32) for name in ("born", "index", "player", "parent")}
        self._counts["n_gifts"] = np.empty(shape, dtype=np.int32)
        self._sums = {name: np.empty(shape) for name in ("scores", "given")}
        self._resources = np.empty((generations, games, n, n_societies))
        n_survivors = rules.selection.n_survivors(n)
        self._survivors = np.empty((generations - 1, n_survivors, n_societies), dtype=np.int32)
        self._encounters: dict[str, NDArray[Any]] = {}
        self._shape = (generations, games, longest, n // 2, n_societies)

    def take(self, block: slice, generation: Generation, *, keeps_encounters: bool = True) -> None:
        """Take up one generation of the societies in the block."""
        living, row = generation.living, generation.living.generation - 1
        for name in ("born", "index", "player"):
            self._counts[name][row, :, block] = getattr(living, name)
        for name in ("parent", "n_gifts"):
            self._counts[name][row, :, block] = getattr(generation, name)
        for name in self._sums:
            self._sums[name][row, :, block] = getattr(generation, name)
        for game, resources in enumerate(generation.resources):
            self._resources[row, game, :, block] = resources
        if generation.survivors is not None:
            self._survivors[row, :, block] = generation.survivors
        for game, encounters in enumerate(generation.encounters if keeps_encounters else ()):
            for name, values in encounters.items():
                if name not in self._encounters:
                    self._encounters[name] = np.full(
                        self._shape, -1 if values.dtype.kind == "i" else np.nan, dtype=values.dtype
                    )
                self._encounters[name][row, game, : len(values), :, block] = values

    def result(self, seeds: tuple[int, ...], players: tuple[ScriptedPlayer, ...]) -> ManySocieties:
        """Return all of it, with societies first."""
        return ManySocieties(
            seeds,
            players=players,
            n_rounds=_societies_first(self._n_rounds),
            resources=_societies_first(self._resources),
            survivors=_societies_first(self._survivors),
            encounters={name: _societies_first(values) for name, values in self._encounters.items()},
            **{name: _societies_first(values) for name, values in (self._counts | self._sums).items()},
        )


def _societies_first(array: NDArray[Any]) -> NDArray[Any]:
    return np.moveaxis(array, -1, 0)
