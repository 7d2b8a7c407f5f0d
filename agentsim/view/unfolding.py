"""One society as it unfolds: its agents, what they did round by round, what is asked now, and what waits for whom."""

from __future__ import annotations

import itertools
import json
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from agentsim.analysis.foreign import one_line, verbatim
from agentsim.core.facts import born_and_index
from agentsim.core.keys import DecisionKey, StrategyKey, parse
from agentsim.errors import AgentsimError
from agentsim.log.files import LOG_NAME
from agentsim.log.records import RunStarted, record_of
from agentsim.scenario.conditions import Condition
from agentsim.view.tail import Line, Tail
from agentsim.view.tally import REPLY

__all__ = ["Unfolding"]

MAX_STRATEGY: Final = 4_000
"""The most characters of a strategy that the page of a society is sent; its question has all of it."""
MAX_TEXT: Final = 200_000
"""The most characters of one text that a browser is sent; the log has all of them."""
MAX_SHOWN: Final = 6_000
"""The most encounters of one generation that are drawn."""


class _Cell(NamedTuple):
    """What an agent did in a round."""

    key: str
    other: str
    level: float | None
    said: str
    is_lost: bool


class _Generation:
    def __init__(self) -> None:
        self.formed: dict[str, dict[str, Any]] = {}
        self.cells: dict[tuple[int, int, str], _Cell] = {}
        """By game, round and agent."""
        self.resources: dict[int, dict[str, float]] = {}
        self.ended: dict[str, Any] | None = None


class Unfolding:
    """What the log of one run says, for whoever watches that run."""

    def __init__(self, folder: Path) -> None:
        self.tail = Tail(folder / LOG_NAME)
        self._reset()

    def _reset(self) -> None:
        self.n_begun = self.tail.n_begun
        self.started: RunStarted | None = None
        self._condition: Condition | None = None
        self._generations: dict[int, _Generation] = {}
        self._replies: dict[str, list[int]] = {}
        """Where the replies to each question begin in the log."""
        self._facts: OrderedDict[str, int] = OrderedDict()
        """Where the facts that answer each question stand."""
        self._last: list[str] = []
        self._planned: dict[int, list[Any]] = {}
        self._is_finished = False

    def refresh(self) -> Iterator[None]:
        """Read what is new, a step at a time."""
        self.tail.look()
        while self.tail.is_behind:
            if self.n_begun != self.tail.n_begun:
                self._reset()
            for line in self.tail.step():
                with suppress(ValueError, LookupError, TypeError, AttributeError, AgentsimError):
                    self._take(line)
            yield

    def _take(self, line: Line) -> None:
        if line.text.startswith(b'{"type":"reply"'):
            head = REPLY.match(line.text)
            key = head[1].decode() if head else str(json.loads(line.text)["key"])
            self._replies.setdefault(key, []).append(line.at)
            return
        fact = json.loads(line.text)
        kind = fact["type"]
        if kind == "run_started":
            record = record_of(fact, where="its log")
            self.started = record if isinstance(record, RunStarted) else None
            with suppress(ValueError, AgentsimError, LookupError, TypeError):
                self._condition = Condition.model_validate(fact["condition"] if record is None else record.condition)  # type: ignore[union-attr]
            return
        if kind == "run_finished":
            self._is_finished = True
            return
        if "key" in fact:
            self._facts[str(fact["key"])] = line.at
            self._last = [*self._last[-11:], str(fact["key"])]
        if "generation" not in fact:
            return
        generation = self._generations.setdefault(int(fact["generation"]), _Generation())
        if kind == "strategy_formed":
            generation.formed[str(fact["agent"]["id"])] = fact["agent"]
        elif kind == "game_ended":
            generation.resources[int(fact["game"])] = fact["resources"]
        elif kind == "generation_ended":
            generation.ended = fact
        elif "donor" in fact or kind == "moved":
            self._act(generation, fact)
        elif kind == "settled":
            self._settle(generation, fact)

    def _act(self, generation: _Generation, fact: dict[str, Any]) -> None:
        kind, is_lost = fact["type"], fact.get("problem") is not None
        actor = str(fact.get("donor") or fact["actor"])
        place = int(fact["game"]), int(fact["round"]), actor
        if kind == "moved":
            level, said = fact["level"], one_line(fact["option"] or "nothing read", max_chars=40)
            if fact.get("amount") is not None:
                said += f" {fact['amount']:g}"
            other = ""
        elif kind == "missed":
            level, said, other = None, "nothing read", str(fact["recipient"])
        else:
            level, other = fact["fraction"], str(fact["recipient"])
            verb = "gives" if kind == "donated" else "spends on punishing"
            said = f"{verb} {fact['amount']:.4g} of {fact['donor_before']:.4g}"
            level = 0.0 if kind == "punished" else level
        if kind == "moved" and place in generation.cells:
            earlier = generation.cells[place]
            said, level = f"{earlier.said}, {said}", earlier.level if earlier.level is not None else level
        generation.cells[place] = _Cell(str(fact["key"]), other, level, said, is_lost)
        if "donor_after" in fact:
            held = generation.resources.setdefault(int(fact["game"]), {})
            held[actor], held[other] = fact["donor_after"], fact["recipient_after"]

    def _settle(self, generation: _Generation, fact: dict[str, Any]) -> None:
        held = generation.resources.setdefault(int(fact["game"]), {})
        held.update(zip(fact["members"], fact["after"], strict=False))
        for member in fact["members"]:
            place = int(fact["game"]), int(fact["round"]), member
            if place in generation.cells and not generation.cells[place].other:
                others = ", ".join(one for one in fact["members"] if one != member)
                generation.cells[place] = generation.cells[place]._replace(other=others)

    # --- what is sent -----------------------------------------------------------------------------------------------

    @property
    def _living(self) -> int:
        """The generation now living, or the last."""
        ended = [number for number, one in self._generations.items() if one.ended]
        last = max(self._generations, default=1)
        return max(last, max(ended, default=0) + (not self._is_finished))

    def message(self, generation: int | None) -> dict[str, Any]:
        """Return a generation of the society, by default the one now living."""
        number = generation or self._living
        here = self._generations.get(number, _Generation())
        names = self._names(number)
        condition = {} if self.started is None else self.started.condition
        return {
            "label": "" if self.started is None else one_line(" + ".join(self.started.players)),
            "seed": None if self.started is None else self.started.seed,
            "finished": self._is_finished,
            "generation": number,
            "living": self._living,
            "generations": int(condition.get("generations", 0)),
            "means": [
                [place, one.ended["mean_final_resources"]]
                for place, one in sorted(self._generations.items())
                if one.ended
            ],
            "agents": [self._agent(name, here) for name in names],
            "games": [self._game(game, names, number) for game in self._games(here, number)],
            "waits": list(self._waits(names, number)),
            "last": [[key, self._short(key)] for key in reversed(self._last)],
        }

    def cells(self, generation: int | None) -> dict[str, list[Any]]:
        """Return what agents did and are asked now, by `game/round/agent`: state, level, words, other, key."""
        number = generation or self._living
        here = self._generations.get(number, _Generation())
        found: dict[str, list[Any]] = {}
        for (game, round, agent), cell in list(here.cells.items())[:MAX_SHOWN]:
            state = "lost" if cell.is_lost else "done"
            level = None if cell.level is None else round_to(cell.level)
            found[f"{game}/{round}/{agent}"] = [state, level, cell.said, cell.other, cell.key]
        for game, round, agent, other, waits in self._open(number):
            if len(found) >= MAX_SHOWN:
                break
            key = str(DecisionKey(number, game, round, agent))
            n = len(self._replies.get(key, ()))
            said = f"waits for {', '.join(waits)}" if waits else f"is asked now, attempt {n + 1}"
            found.setdefault(f"{game}/{round}/{agent}", ["waits" if waits else "asked", None, said, other, key])
        return found

    def _names(self, number: int) -> list[str]:
        here, before = self._generations.get(number, _Generation()), self._generations.get(number - 1)
        names = set(here.formed)
        if before is not None and before.ended:
            names |= set(before.ended["survivors"])
        if here.ended:
            names |= set(here.ended["scores"])
        return sorted((name for name in names if _is_agent(name)), key=born_and_index)

    def _agent(self, name: str, here: _Generation) -> dict[str, Any]:
        born = next((one.formed[name] for one in self._known() if name in one.formed), {})
        born = here.formed.get(name, born)
        strategy = born.get("strategy")
        return {
            "id": one_line(name),
            "born": born.get("born"),
            "label": one_line(born.get("model", "")),
            "parents": [one_line(parent) for parent in born.get("parents", ())],
            "strategy": None if strategy is None else _cut(strategy, MAX_STRATEGY),
            "held": [here.resources[game].get(name) for game in sorted(here.resources)],
            "score": None if here.ended is None else here.ended["scores"].get(name),
            "survives": None if here.ended is None or not here.ended["survivors"] else name in here.ended["survivors"],
            "key": str(StrategyKey(int(born.get("born") or 1), name)),
        }

    def _known(self) -> list[_Generation]:
        return [self._generations[number] for number in sorted(self._generations, reverse=True)]

    def _games(self, here: _Generation, number: int) -> list[int]:
        planned = range(1, len(self._schedules(number)) + 1)
        return sorted({*(game for game, _, _ in here.cells), *here.resources, *planned})

    def _game(self, game: int, names: Sequence[str], number: int) -> dict[str, Any]:
        here = self._generations.get(number, _Generation())
        rounds = max((round for one, round, _ in here.cells if one == game), default=0)
        plan = self._schedules(number)
        return {"game": game, "rounds": max(rounds, len(plan[game - 1]) if game <= len(plan) else 0)}

    def _schedules(self, number: int) -> list[Any]:
        """Return who meets whom in each game, from the rules and the seed; empty while not all agents are known."""
        if number in self._planned:
            return self._planned[number]
        names = self._names(number)
        if self._condition is None or self.started is None or len(names) != self._condition.agents:
            return []
        condition, seed = self._condition, self.started.seed
        if condition.groups is not None or condition.game.before:
            return []  # who is in which group, the log says as games begin; whom agents choose or refuse, later still
        try:
            pairings = next(itertools.islice(condition.pairings(seed), number - 1, None))
            placed = self._places(number) if pairings[0].by_place else sorted(names)
            n_rounds = condition.game.n_rounds(seed, generation=number)
            plan = [
                condition.schedule(pairing, placed, n_rounds, seed=seed, generation=number, game=game)
                for game, pairing in enumerate(pairings, start=1)
            ]
        except (AgentsimError, ValueError, LookupError):
            plan = []
        self._planned[number] = plan
        return plan

    def _places(self, number: int) -> list[str]:
        """Return the agents of a generation by their places: newborns take those of the agents that left, in order."""
        if number == 1:
            return self._names(1)
        before, names = self._places(number - 1), self._names(number)
        newborns = iter(name for name in names if name not in before)
        heir = {gone: next(newborns) for gone in sorted(set(before) - set(names), key=born_and_index)}
        return [heir.get(name, name) for name in before]

    def _open(self, number: int) -> Iterator[tuple[int, int, str, str, list[str]]]:
        """Yield each encounter to come: game, round, who decides, the others, and for whom it waits (nobody: asked)."""
        here = self._generations.get(number, _Generation())
        if here.ended or self._condition is None:
            return
        is_donor_game = self._condition.game.kind == "donor"
        for game, plan in enumerate(self._schedules(number), start=1):
            busy: dict[str, int] = {}
            for round, groups in enumerate(plan, start=1):
                for members in groups:
                    actors = members[:1] if is_donor_game else members
                    missing = [one for one in actors if (game, round, one) not in here.cells]
                    waits = sorted({one for one in members if one in busy})
                    for actor in missing:
                        yield game, round, actor, ", ".join(one for one in members if one != actor), waits
                    if missing:
                        for member in members:
                            busy.setdefault(member, round)

    def _waits(self, names: Sequence[str], number: int) -> Iterator[str]:
        """Say what the society waits for."""
        here = self._generations.get(number, _Generation())
        if self._condition is None or here.ended or number != self._living or self._is_finished:
            return
        plan = self._schedules(number)
        if not plan:
            n = self._condition.agents - len(names)
            if not n:
                yield "Who meets whom next is not foreseen here: it is in the log as soon as it is known."
                return
            what = "1 strategy" if n == 1 else f"{n} strategies"
            yield f"Generation {number} waits for {what}; its games begin when all {self._condition.agents} are there."
            return
        ahead = list(self._open(number))
        asked = [one for one in ahead if not one[4]]
        if asked:
            who = ", ".join(f"{actor} (game {game}, round {round})" for game, round, actor, _, _ in asked[:8])
            more = f" and {len(asked) - 8} more" if len(asked) > 8 else ""
            yield f"Asked now: {who}{more}."
        if len(ahead) > len(asked):
            yield f"{len(ahead) - len(asked):,} decisions wait for earlier ones of the same agents."
        if ahead:
            yield f"Selection waits for all {len(ahead):,}."

    def _short(self, key: str) -> str:
        record = self._record(self._facts.get(key))
        if "agent" in record:
            return f"{record['agent']['id']} states its strategy"
        if "donor" in record:
            cell = self._generations[record["generation"]].cells[record["game"], record["round"], record["donor"]]
            return f"{record['donor']} to {record['recipient']}: {cell.said}"
        if record.get("type") == "moved":
            return f"{record['actor']}: {one_line(record['option'] or 'nothing read', max_chars=60)}"
        return one_line(key)

    def question(self, key: str) -> dict[str, Any] | None:
        """Return one question whole: prompt, thoughts, reply of each attempt, and what was read; `None` if unknown."""
        if key not in self._replies and key not in self._facts:
            return None
        fact = self._record(self._facts.get(key))
        attempts = []
        for at in self._replies.get(key, ()):
            reply = self._record(at)
            if not reply:
                continue
            completion, prompt = reply["completion"], reply["prompt"]
            attempts.append(
                {
                    "attempt": reply["attempt"],
                    "time": reply["time"],
                    "model": one_line(completion.get("model") or prompt["model"]),
                    "prompt": [[one_line(one["role"]), _cut(one["content"], MAX_TEXT)] for one in prompt["messages"]],
                    "sampling": {
                        one_line(name): one_line(json.dumps(value))
                        for name, value in prompt.get("sampling", {}).items()
                        if value not in (None, {})
                    },
                    "thoughts": _cut(completion["thoughts"], MAX_TEXT) if completion.get("thoughts") else None,
                    "text": _cut(completion["text"], MAX_TEXT),
                    "finish": one_line(completion.get("finish_detail") or completion["finish_reason"]),
                    "latency_s": completion["latency_s"],
                    "usage": {name: n for name, n in completion.get("usage", {}).items() if n is not None},
                }
            )
        neighbours = self._neighbours(key)
        return {
            "key": one_line(key),
            "said": self._reading(fact, n_attempts=len(attempts)),
            "facts": {
                one_line(name).replace("_", " "): _cut(value if isinstance(value, str) else json.dumps(value), 2_000)
                for name, value in fact.items()
                if name not in ("type", "key", "agent") and value is not None
            },
            "strategy": _cut(fact["agent"]["strategy"] or "", MAX_TEXT) if "agent" in fact else None,
            "text": _cut(fact["text"], MAX_TEXT) if isinstance(fact.get("text"), str) else None,
            "attempts": attempts,
            "before": neighbours[0],
            "after": neighbours[1],
        }

    def _reading(self, fact: dict[str, Any], *, n_attempts: int) -> str:
        """Say in one sentence how the last reply was read."""
        if not fact:
            return "No reply has been read yet: the question is open."
        problem = fact.get("problem")
        asked = "" if n_attempts else " Nobody was asked: a scripted policy, or the rules, decided."
        if problem is not None:
            return f"No answer could be read: {one_line(problem).replace('_', ' ')}, after {fact['attempts']} attempts."
        if "agent" in fact:
            return f"Read as the strategy of {fact['agent']['id']}.{asked}"
        if "donor" in fact:
            how = f", read as {one_line(fact['reading'])}" if fact.get("reading") else ""
            verb = "gives" if fact["type"] == "donated" else "spends on punishing"
            return (
                f"{fact['donor']} {verb} {fact['amount']:.4g} of {fact['donor_before']:.4g} units"
                f" ({fact['recipient']} is the recipient){how}.{asked}"
            )
        if fact.get("type") == "moved":
            units = "" if fact.get("amount") is None else f" with {fact['amount']:.4g} units"
            return f"{fact['actor']} chooses {one_line(fact['option'])}{units}.{asked}"
        return f"Read as it stands.{asked}"

    def _neighbours(self, key: str) -> tuple[str | None, str | None]:
        """Return the questions that the same agent was asked before and after."""
        who = _asked(key)
        mine = [one for one in self._facts if _asked(one) == who] if who else []
        if key not in mine:
            return (mine[-1] if mine else None), None
        place = mine.index(key)
        return (mine[place - 1] if place else None), (mine[place + 1] if place + 1 < len(mine) else None)

    def _record(self, at: int | None) -> dict[str, Any]:
        if at is None:
            return {}
        try:
            record = json.loads(self.tail.line_at(at))
        except ValueError:
            return {}
        return record if isinstance(record, dict) else {}


def round_to(level: float) -> float:
    return round(level, 3)


def _asked(key: str) -> str | None:
    with suppress(ValueError, AgentsimError):
        match parse(key):
            case StrategyKey(agent=agent):
                return agent
            case DecisionKey(donor=donor):
                return donor
    return None


def _is_agent(name: str) -> bool:
    born, _, index = name.partition("_")
    return born.isdecimal() and index.isdecimal()


def _cut(text: str, most: int) -> str:
    """Return foreign text without control characters, cut at a stated length."""
    more = len(text) - most
    return verbatim(text) if more <= 0 else f"{verbatim(text[:most])} […{more:,} more characters in the log]"
