"""The rules of a society: everything that decides its course, except who plays."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from agentsim.core.facts import Frozen
from agentsim.core.games import AnyGame, DonorGame
from agentsim.core.groups import Groups
from agentsim.core.observation import ObservationRule, Trace
from agentsim.core.pairing import Alternating, Network, Pairing, PairingRule, Schedule, swapped
from agentsim.core.registry import REGISTRY
from agentsim.core.rng import stream, uniform
from agentsim.core.selection import SelectionRule, Top
from agentsim.core.transmission import Advice, TransmissionRule
from agentsim.errors import LogError, ScenarioError

__all__ = ["SocietyRules", "logged_observation", "logged_selection"]


class SocietyRules(Frozen):
    """Everything that decides the course of a society, except who plays."""

    agents: int = Field(default=12, ge=2, le=10_000)
    """The number of agents in each generation: a multiple of those that meet in an encounter, such as an even number,
    unless the pairing rule lets some agents sit out each round."""
    generations: int = Field(default=10, ge=1, le=10_000)
    """The number of generations."""
    game: AnyGame = DonorGame()
    """What is played in an encounter, for how many rounds, and with what payoffs."""
    pairing: PairingRule = Alternating()
    """Who meets whom. Where none is named, what suits the game: `alternating` for the donor game."""
    observation: ObservationRule = Trace()
    """What agents are shown of the past of those they meet: one rule, or a list of rules side by side."""
    selection: SelectionRule = Top()
    """Who stays at the end of a generation."""
    transmission: TransmissionRule = Advice()
    """How newborns come to their strategies."""
    groups: Groups | None = Field(default=None, exclude_if=lambda groups: groups is None)
    """Groups whose agents meet each other, and among which there may be selection; `null`: there are none."""

    @model_validator(mode="before")
    @classmethod
    def _asked_for_decisions_alone(cls, data: Any) -> Any:
        """Take `strategy: none` as the transmission rule that it means."""
        if not isinstance(data, Mapping) or "strategy" not in data:
            return data
        rest = {name: value for name, value in data.items() if name != "strategy"}
        if data["strategy"] != "none":
            raise ValueError(
                "strategy: is none, where agents are asked for decisions alone; remove it where they state strategies"
            )
        learning = rest.get("transmission", {"kind": "none"})
        kind = learning.get("kind") if isinstance(learning, Mapping) else getattr(learning, "kind", None)
        if kind != "none":
            raise ValueError("strategy: none and transmission say different things; remove one of them")
        return {**rest, "transmission": learning}

    @model_validator(mode="before")
    @classmethod
    def _paired_as_suits_the_game(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or "pairing" in data or "game" not in data:
            return data
        game = data["game"]
        kind = game.get("kind", "donor") if isinstance(game, Mapping) else getattr(game, "kind", None)
        member = REGISTRY.find("game", kind)
        if member is None or kind == "donor":  # an unknown game is said to be one by its own field
            return data
        return {**data, "pairing": {"kind": member.thing.default_pairing}}

    @model_validator(mode="after")
    def _can_be_played(self) -> Self:
        self._can_be_grouped()
        self._can_be_chosen()
        self._can_meet()
        self._can_be_known_along_edges()
        self._can_be_endowed()
        if isinstance(self.game, DonorGame):
            self._can_be_seen(self.game)
        elif self.observation.reports_random_gifts:
            raise ValueError(
                "observation.noise: an act would be reported as a random gift, and there are none in the game"
                f" {self.game.kind}; use observation.kind standing or image_score, which report the opposite, or no"
                " noise"
            )
        elif self.observation.max_note_chars is not None:
            raise ValueError(
                "observation.kind: gossip is written about donors, by the agents that received from them;"
                f" in the game {self.game.kind}, use talk, or another kind of observation"
            )
        if self.transmission.mutation and not self.transmission.copies:
            raise ValueError(
                f"transmission.mutation: newborns under {self.transmission.kind} take over no strategy unchanged; use"
                " copy or imitate, or no mutation"
            )
        survivors, most = self.n_survivors, self.agents if self.selection.may_keep_all else self.agents - 1
        if not 0 < survivors <= most:
            name = self.selection.sized_by
            raise ValueError(
                f"selection.{name}: {self.selection.model_dump()[name]} of {self.agents} agents leaves {survivors}"
                f" survivors; between 1 and {most} must survive"
            )
        return self

    def _can_be_known_along_edges(self) -> None:
        follows = [rule for rule in self.observation.told if rule.follows_edges]
        if follows and not isinstance(self.pairing, Network):
            raise ValueError(
                f"observation.reach: {dict(follows[0])['reach']} needs neighbours, which pairing.kind network gives"
                " agents; use it, or everyone"
            )
        learns_nearby = self.pairing.learns_nearby and self.generations > 1
        if isinstance(self.pairing, Network) and self.pairing.meet == "anyone" and not follows and not learns_nearby:
            raise ValueError(
                "pairing.meet: with anyone, nothing follows the edges; set observation.reach or pairing.learn, or use"
                " pairing: {kind: random}"
            )
        changes = self.pairing.changes
        if changes != "never" and self.generations == 1 and (changes == "generations" or self.game.games < 3):
            raise ValueError(
                f"pairing.rewire: in one generation, nothing comes before {changes} but the first; use more of them, or"
                " remove it"
            )

    def _can_be_endowed(self) -> None:
        endowment = self.game.endowment
        if isinstance(endowment, tuple) and len(endowment) > self.agents:
            raise ValueError(
                f"game.endowment: {len(endowment)} endowments for {self.agents} agents; list {self.agents} at the most"
            )

    def _can_be_grouped(self) -> None:
        groups = self.groups
        if groups is None:
            return
        if self.agents % groups.number or self.agents < 2 * groups.number:
            raise ValueError(
                f"groups.number: {groups.number} groups of {self.agents} agents; use a number that divides it into"
                " groups of two or more"
            )
        if self.pairing.by_place:
            raise ValueError(f"pairing.kind: {self.pairing.kind} says who meets whom, as groups do; remove one of them")
        if groups.meet == "across" and (self.game.set_size != 2 or not self.pairing.crosses_groups):
            raise ValueError(
                "groups.meet: across makes pairs, drawn anew or kept; use a game of two with pairing: {kind: random} or"
                " {kind: repeated}, or within"
            )
        if groups.share_mixed and not self.pairing.takes_odd:
            raise ValueError(
                f"groups.mixed: under {self.pairing.kind}, who meets whom follows from the rounds before, which mixed"
                " rounds would break; use pairing: {kind: random}, or 0"
            )
        if groups.weight and not groups.told and getattr(self.transmission, "chances", "equal") != "equal":
            raise ValueError(
                "groups.told: false would leave agents told that units decide whose strategy is learned, and groups do;"
                " use true, or transmission.chances: equal"
            )

    @property
    def group_size(self) -> int:
        """Agents of a group; without groups, all agents."""
        return self.agents if self.groups is None else self.agents // self.groups.number

    @property
    def meets_within_groups(self) -> bool:
        """Whether as many agents as a group has are paired, in all rounds, or in some in which agents are left over."""
        if self.groups is None or self.groups.meet == "across":
            return False
        leaves_out = self.groups.share_mixed < 1 and self.group_size % self.game.set_size > 0
        return self.groups.share_mixed == 0 or leaves_out

    def _can_meet(self) -> None:
        size, kind = self.game.set_size, self.pairing.kind
        if (problem := self.pairing.fits(self.agents)) is not None:
            raise ValueError(f"pairing.{problem}")
        if size != 2 and not self.pairing.takes_groups:
            raise ValueError(
                f"pairing.kind: {kind} makes pairs, and {size} agents {self._drawn_together}; use random or repeated"
            )
        if self.game.whole_group and not self.pairing.keeps_groups:
            raise ValueError(
                f"pairing.kind: the members of the game {self.game.kind} share a stock through a whole game; use"
                " repeated, without a length"
            )
        if self.meets_within_groups and (
            self.group_size < size or (self.group_size % size and not self.pairing.takes_odd)
        ):
            number = self.agents // self.group_size
            raise ValueError(
                f"groups.number: {number} groups of {self.group_size} agents, who cannot meet in sets of"
                f" {size}; use a number that makes groups of a multiple of {size}, or pairing: {{kind: random}}, where"
                f" some sit out, and groups of {size} or more"
            )
        if self.agents < size or (self.agents % size and not self.pairing.takes_odd):
            if size == 2:
                raise ValueError(
                    f"agents: {self.agents} cannot be paired; use an even number, or pairing: {{kind: random}}, where"
                    " one agent sits out each round"
                )
            instead = (
                "or another game.group"
                if self.game.whole_group
                else "or pairing: {kind: random}, where those left over sit out"
            )
            raise ValueError(
                f"agents: {self.agents} cannot be divided into groups of {size}; use a multiple of {size}, {instead}"
            )

    @property
    def _drawn_together(self) -> str:
        """What more than two agents do that are drawn together."""
        return f"meet in the game {self.game.kind}" if self.game.choice is None else "are offered each other"

    def _can_be_chosen(self) -> None:
        game = self.game
        if game.choice is not None and game.n_members != 2:
            raise ValueError(
                f"game.choice: agents choose the one that they meet, and {game.n_members} meet in the game {game.kind};"
                " use a game of two"
            )
        if game.ostracism is not None and not (game.takes_fewer and game.n_members > 2):
            raise ValueError(
                f"game.ostracism: the game {game.kind} of {game.n_members} cannot be played without one of them; use"
                " public_goods with a group of three or more"
            )
        if game.refusal is not None and game.whole_group:
            raise ValueError(f"game.refusal: the members of the game {game.kind} share a stock; use another game")
        if game.refusal is not None and game.refusal.ends == "game" and game.set_size != 2:
            raise ValueError(
                "game.refusal.ends: game parts two for good; use encounter, or a game of two without choice"
            )
        if game.before and self.observation.max_note_chars is not None:
            raise ValueError(
                "observation.kind: notes are written about encounters that took place; with game.choice or"
                " game.refusal, use another kind of observation"
            )

    def _can_be_seen(self, game: DonorGame) -> None:
        if game.gift.yes is None:
            return
        if self.observation.reports_random_gifts:
            raise ValueError(
                "observation.noise: an act would be reported as a gift of a random share, and game.gift allows one"
                " gift only; use observation.kind standing or image_score, which report the opposite, or no noise"
            )
        if self.observation.judges_from == 0:
            raise ValueError(
                "observation.threshold: 0 counts a refusal as giving where game.gift is fixed; use one above 0"
            )

    @classmethod
    def logged(cls, condition: Mapping[str, Any]) -> SocietyRules:
        """Return the rules that a log's condition states beside other settings.

        Raises:
            ValidationError: they are of another version, or of a plug-in that is not here.
        """
        return SocietyRules.model_validate(
            {key: condition[key] for key in SocietyRules.model_fields if key in condition}
        )

    @property
    def told(self) -> SocietyRules:
        """The rules without the players: what prompts tell agents, who are not told who plays."""
        values = dict(self)
        return SocietyRules.model_construct(**{name: values[name] for name in SocietyRules.model_fields})

    @property
    def donor_game(self) -> DonorGame:
        """The game, where it is the donor game.

        Raises:
            ScenarioError: it is another.
        """
        if not isinstance(self.game, DonorGame):
            raise ScenarioError(f"game.kind: {self.game.kind} is played in runs; this knows the donor game alone")
        return self.game

    @property
    def n_survivors(self) -> int:
        """Agents that live on after a generation."""
        return self.selection.n_survivors(self.agents)

    @property
    def n_newborns(self) -> int:
        """Agents that take the places of those who leave after a generation."""
        return self.agents - self.n_survivors

    def mutates(self, seed: int, *, generation: int, index: int) -> bool:
        """Return whether the newborn with that number in that generation takes over nobody's strategy."""
        chance = self.transmission.mutation
        return chance > 0 and uniform("mutates", seed, generation, index) < chance

    @property
    def learns_from_everyone(self) -> bool:
        """Whether newborns may learn from all agents of the generation before, or only from the survivors."""
        return self.selection.learns_from_everyone

    @property
    def n_strategies(self) -> int:
        """Questions for a strategy that an agent is asked, at the most, before a generation's games."""
        return 1 if self.transmission.has_strategies else 0

    def n_encounters(self, seed: int) -> int:
        """Return how many encounters one run has."""
        if self.pairing.leaves_out or self.groups is not None:
            return self._n_scheduled(seed)
        n_rounds = sum(self.game.n_rounds(seed, generation=number) for number in range(1, self.generations + 1))
        return n_rounds * self.game.games * (self.agents // self.game.set_size) * self._n_of_a_set

    @property
    def _n_of_a_set(self) -> int:
        """Encounters of agents that are drawn together, if nobody refuses."""
        return self.game.set_size // self.game.n_members

    def _n_scheduled(self, seed: int) -> int:
        """Return how many encounters there are in the schedules, which depend on places and not on who has them."""
        places = [str(place) for place in range(self.agents)]
        lengths = [self.game.n_rounds(seed, generation=number) for number in range(1, self.generations + 1)]
        return self._n_of_a_set * sum(
            len(groups)
            for generation, (n_rounds, pairings) in enumerate(zip(lengths, self.pairings(seed), strict=False), start=1)
            for game, pairing in enumerate(pairings, start=1)
            for groups in self.schedule(pairing, places, n_rounds, seed=seed, generation=generation, game=game)
        )

    def drawn_pairing(self, seed: int) -> Pairing:
        """Return the pairing rule with what is drawn once for the society of that seed."""
        return self.pairing.drawn(self.agents, stream(seed, "network"))

    def pairings(self, seed: int) -> Iterator[tuple[Pairing, ...]]:
        """Yield, for each generation, the drawn pairing rule of each of its games."""
        pairing = self.drawn_pairing(seed)
        for generation in itertools.count(1):
            of_games = []
            for game in range(1, self.game.games + 1):
                pairing = pairing.before(generation, game, seed=seed)
                of_games.append(pairing)
            yield tuple(of_games)

    def schedule(
        self, pairing: Pairing, agents: Sequence[str], n_rounds: int, *, seed: int, generation: int, game: int
    ) -> Schedule:
        """Return who meets whom in one game by a drawn rule; even games repeat the one before, with roles swapped."""
        place = generation, (game + 1) // 2
        size = self.game.set_size
        schedule: Schedule = ()
        if self.groups is None or self.groups.share_mixed:
            schedule = pairing.schedule(agents, n_rounds, stream(seed, "pairing", *place), size=size)
        if self.groups is not None:
            schedule = self._by_group(pairing, agents, n_rounds, seed=seed, place=place, mixed=schedule)
        return swapped(schedule) if game % 2 == 0 else schedule

    def _by_group(
        self,
        pairing: Pairing,
        agents: Sequence[str],
        n_rounds: int,
        *,
        seed: int,
        place: tuple[int, int],
        mixed: Schedule,
    ) -> Schedule:
        """Return rounds within or across groups, in whose order agents are given, but some of `mixed` instead."""
        assert self.groups is not None
        share, n = self.groups.share_mixed, self.group_size
        if self.groups.meet == "mixed":
            return mixed
        of_groups = [agents[number * n : (number + 1) * n] for number in range(self.groups.number)]
        if self.groups.meet == "across":
            rounds = list(pairing.across(of_groups, n_rounds, stream(seed, "pairing", *place, "across")))
        else:
            within = [
                pairing.schedule(
                    members,
                    n_rounds,
                    stream(seed, "pairing", *place, "group", number),
                    size=self.game.set_size,
                )
                for number, members in enumerate(of_groups, start=1)
            ]
            rounds = [tuple(members for group in groups for members in group) for groups in zip(*within, strict=True)]
        rng = stream(seed, "mixed", *place)
        return tuple(mixed[index] if share and rng.random() < share else groups for index, groups in enumerate(rounds))

    def n_requests(self, seed: int) -> int:
        """Return how many questions one run asks when every answer is readable at once."""
        learning, survivors = self.transmission, self.n_survivors
        first = self.agents if learning.has_strategies else 0
        asked = self.agents - survivors if learning.asks_newborns else 0
        asked += survivors if learning.rewrite else 0
        mutants = sum(
            self.mutates(seed, generation=generation, index=index)
            for generation in range(2, self.generations + 1)
            for index in range(1, self.n_newborns + 1)
        )
        return first + (self.generations - 1) * asked + mutants + self.n_encounters(seed) * self._n_questions

    @property
    def _n_questions(self) -> int:
        """The most questions that one encounter asks: messages, decisions, and under some rules a note."""
        game = self.game
        notes = 0 if self.observation.max_note_chars is None else 1
        return (len(game.before) + game.n_talks) * game.n_members + game.n_questions + notes

    def chains(self, seed: int) -> list[int]:
        """Return, for each generation of a run, the most questions that must wait for each other."""
        learning = self.transmission
        is_asked_later = (learning.asks_newborns or learning.mutation) and self.n_newborns > 0
        is_asked_later = is_asked_later or learning.rewrite
        return [
            (self.n_strategies if number == 1 or is_asked_later else 0)
            + self.n_in_a_row * self.game.n_rounds(seed, generation=number)
            for number in range(1, self.generations + 1)
        ]

    @property
    def n_in_a_row(self) -> int:
        """Questions that each encounter asks in a row: messages, decisions, and under some rules a note."""
        return self.game.n_in_a_row + (0 if self.observation.max_note_chars is None else 1)


def logged_observation(condition: Mapping[str, Any]) -> ObservationRule:
    """Return the observation rule of a logged condition, with today's defaults for what was not logged.

    Raises:
        LogError: this agentsim does not know the rule.
    """
    rule: ObservationRule = _logged(_OBSERVATION, condition, "observation")
    return rule


def logged_selection(condition: Mapping[str, Any]) -> SelectionRule:
    """Return the selection rule of a logged condition, with today's defaults for what was not logged.

    Raises:
        LogError: this agentsim does not know the rule.
    """
    rule: SelectionRule = _logged(_SELECTION, condition, "selection")
    return rule


_OBSERVATION: TypeAdapter[Any] = TypeAdapter(ObservationRule)
_SELECTION: TypeAdapter[Any] = TypeAdapter(SelectionRule)


def _logged(adapter: TypeAdapter[Any], condition: Mapping[str, Any], part: str) -> Any:
    try:
        return adapter.validate_python(condition.get(part, {}))
    except ValidationError as error:
        raise LogError(
            f"{part}: {condition[part]!r} is a rule that this agentsim does not know; read the log with the version"
            " that wrote it"
        ) from error
