"""One game between named policies, move by move, as the engine of every study plays it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from agentsim.core.facts import (
    Acted,
    Encounter,
    Event,
    GameEnded,
    Missed,
    Moved,
    Punished,
    Settled,
    StrategyFormed,
    Talked,
)
from agentsim.core.games.matrix import TABLES
from agentsim.core.registry import REGISTRY
from agentsim.core.society import Society
from agentsim.errors import ScenarioError, did_you_mean, quote
from agentsim.experiments.contestants import of_settings
from agentsim.play.scripted import scripted_answer
from agentsim.scenario.conditions import Condition
from agentsim.scenario.loading import scenario_from
from agentsim.scenario.players import ModelPlayer
from agentsim.scenario.plugins import load_installed
from agentsim.scenario.runs import runs
from agentsim.scenario.yaml_source import read_value

__all__ = ["MOST_PLAYERS", "MatchResult", "Move", "match"]

MOST_PLAYERS: Final = 20


class Move(NamedTuple):
    """What one player did, and what everybody held after the encounter, if that was its last move."""

    game: int
    round: int
    player: str
    role: str
    stage: str
    did: str
    """The option, the amount, or what was said."""
    level: float | None
    """How cooperative the move was, in [0, 1]."""
    intended: str | None
    """What was meant, where it failed."""
    resources: Mapping[str, float] | None


NOBODY: Final = Move(0, 0, "", "", "", "nobody is asked", None, None, None)
"""Of an encounter in which there is nothing to decide, such as about a stock that is gone."""


class MatchResult(NamedTuple):
    """A game that was played."""

    condition: Condition
    """What was played, as a scenario says it."""
    seed: int
    policies: tuple[str, ...]
    """As they were named."""
    players: tuple[str, ...]
    """What each is called here."""
    moves: tuple[Move, ...]
    resources: Mapping[str, float]
    """What each player holds at the end of the last game."""
    n_errors: int
    """Moves that failed."""


def match(
    policies: Sequence[str],
    *,
    game: str | None = None,
    rounds: int | None = None,
    sets: Sequence[str] = (),
    seed: int = 0,
) -> MatchResult:
    """Play one game between policies.

    Args:
        policies: their names, with or without `scripted/`, and with settings as `constant-share:share=0.3`; the same
            may be named twice.
        game: the kind of game, with settings as `trust:multiplier=4`; or one of the tables of the matrix game, such as
            `prisoners-dilemma`. The donor game by default.
        rounds: how many encounters; by default as many as the game has.
        sets: further settings of a scenario, as `game.error=0.1`.
        seed: decides everything that is left to chance.

    Raises:
        ScenarioError: a policy, a game or a setting does not exist, or they do not fit together.
    """
    load_installed()
    if not 2 <= len(policies) <= MOST_PLAYERS:
        raise ScenarioError(f"a match is between 2 to {MOST_PLAYERS} policies, such as tit-for-tat all-keep")
    condition = _condition(policies, game=_game(game), rounds=rounds, sets=sets)
    society = Society(condition, labels=condition.labels, seed=seed)
    facts: list[Event] = []
    step = society.start()
    waiting = deque(step.asked)
    facts.extend(step.events)
    while waiting:
        request = waiting.popleft()
        player = condition.by_label[society.label_of(request.agent)]
        assert not isinstance(player, ModelPlayer)
        step = society.answer(request, scripted_answer(player, request, seed=seed))
        facts.extend(step.events)
        waiting.extend(step.asked)
    called = {label: str(player.name) for label, player in condition.by_label.items()}
    names = {fact.agent.id: called[fact.agent.label] for fact in facts if isinstance(fact, StrategyFormed)}
    moves = tuple(_moves(facts, names))
    [*_, last] = [fact for fact in facts if isinstance(fact, GameEnded)]
    return MatchResult(
        condition,
        seed,
        tuple(policies),
        tuple(called.values()),
        moves,
        {names[agent]: held for agent, held in sorted(last.resources.items())},
        sum(move.intended is not None for move in moves),
    )


def _condition(
    policies: Sequence[str], *, game: Mapping[str, Any], rounds: int | None, sets: Sequence[str]
) -> Condition:
    data: dict[str, Any] = {
        "name": "match",
        "agents": len(policies),
        "generations": 1,
        "game": dict(game),
        "seeds": [0],
    }
    if rounds is not None:
        data["game"]["rounds"] = rounds
    if game["kind"] == "donor":
        data["game"].setdefault("games", 1)
    else:
        data["pairing"] = {"kind": "repeated"}
        data["observation"] = {"kind": "memory"}
    members = REGISTRY.find("game", game["kind"])
    if members is not None and "group" in members.thing.model_fields:
        data["game"].setdefault("group", len(policies))
    data["players"] = list(_players(policies))
    scenario = scenario_from(data, sets=sets)
    specs = runs(scenario)
    if len(specs) != 1:
        raise ScenarioError("a match is one game: nothing may vary, and there is one --seed")
    condition = specs[0].condition
    if condition.generations != 1 or condition.agents != len(policies) or condition.model_players:
        raise ScenarioError("a match is one generation of the policies that it names; play a scenario for more")
    if condition.game.n_members not in (2, len(policies)) or (condition.game.n_members == 2 < len(policies)):
        raise ScenarioError(
            f"{condition.game.n_members} meet in an encounter of this game; name as many policies, not {len(policies)}"
        )
    return condition


def _players(policies: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the players as a scenario states them; those with the same policy are numbered."""
    players = []
    for word in policies:
        name, colon, settings = word.partition(":")
        player = of_settings(f"{name if '/' in name else f'scripted/{name}'}{colon}{settings}").player
        if isinstance(player, ModelPlayer):
            raise ScenarioError(f"{quote(word)} is a model; a match is between policies, and agentsim run asks models")
        players.append(player)
    n_named, numbers = Counter(player.model for player in players), Counter[str]()
    for player in players:
        numbers[player.model] += 1
        number = f" {numbers[player.model]}" if n_named[player.model] > 1 else ""
        name = f"{player.model.removeprefix('scripted/')}{number}"
        yield {
            **player.model_dump(mode="json", exclude_defaults=True),
            "model": player.model,
            "name": name,
            "agents": 1,
        }


def _game(word: str | None) -> dict[str, Any]:
    """Return a game as a scenario states it."""
    kind, _, settings = (word or "donor").partition(":")
    data: dict[str, Any] = {"kind": kind}
    if kind in TABLES:
        data = {"kind": "matrix", "table": kind}
    elif kind not in (known := REGISTRY.of("game")):
        near = did_you_mean(kind, [*known, *TABLES]) or ";"
        raise ScenarioError(f"--game {kind}: there is no such game{near} there are {', '.join([*known, *TABLES])}")
    for setting in filter(None, settings.split(",")):
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise ScenarioError(f"--game {word}: {quote(setting)} is not a setting; write it as in trust:multiplier=4")
        data[name] = read_value(value, source=f"--game {word}").plain()
    return data


# --- what happened -------------------------------------------------------------------------------------------------


def _moves(facts: Sequence[Event], names: Mapping[str, str]) -> Iterator[Move]:
    """Yield what was done, in the order in which it was done."""
    rounds: dict[tuple[int, int], list[Event]] = {}
    for fact in facts:
        if isinstance(fact, Encounter | Moved | Settled | Talked):
            rounds.setdefault((fact.game, fact.round), []).append(fact)
    for (game, round), of_round in sorted(rounds.items()):
        moves = [move for fact in of_round if (move := _move(fact, names)) is not None]
        held: dict[str, float] = {}
        for fact in of_round:
            if isinstance(fact, Settled):
                held |= {names[agent]: after for agent, after in zip(fact.members, fact.after, strict=True)}
            elif isinstance(fact, Encounter):
                held |= {names[fact.donor]: fact.donor_after, names[fact.recipient]: fact.recipient_after}
        for number, move in enumerate(moves or [NOBODY], 1):
            yield move._replace(game=game, round=round, resources=held if number >= len(moves) else None)


def _move(fact: Event, names: Mapping[str, str]) -> Move | None:
    def move(agent: str, role: str, stage: str, did: str, level: float | None, intended: str | None = None) -> Move:
        return Move(0, 0, names[agent], role, stage, did, level, intended, None)

    if isinstance(fact, Talked):
        return move(fact.author, "", "talk", str(fact.text), None)
    if isinstance(fact, Moved):
        aimed = ", ".join(f"{amount:g} at {names[agent]}" for agent, amount in fact.aimed.items() if amount)
        amount = "" if fact.amount is None else f"{fact.amount:g}"
        did = " ".join(filter(None, [fact.option, amount, aimed])) or "nothing"
        return move(fact.actor, fact.role, fact.stage, did, fact.level, fact.intended)
    if isinstance(fact, Punished):
        return move(fact.donor, "donor", "", f"punishes with {fact.amount:g}: {fact.removed:g} gone", None)
    if isinstance(fact, Acted):
        meant = None if fact.intended is None else f"{fact.intended:g}"
        return move(fact.donor, "donor", "", f"gives {fact.amount:g} of {fact.donor_before:g}", fact.fraction, meant)
    if isinstance(fact, Missed):
        return move(fact.donor, "donor", "", "nothing to give", None)
    return None
