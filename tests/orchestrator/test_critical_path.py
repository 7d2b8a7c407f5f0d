"""The longest chain of calls, of all games: against a clock that only calls move, and against chains added by hand."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import pytest

import agentsim
from agentsim.core.facts import Moved, Settled, Talked
from agentsim.orchestrator.critical_path import CriticalPath
from agentsim.orchestrator.run_state import RunState
from agentsim.providers.base import PLAIN, Call, Completion, Prompt
from agentsim.testing.virtual import virtually
from tests.orchestrator.games import PUBLIC_GOODS, asked_for, played
from tests.orchestrator.test_study import scenario


class Timed:
    """Answers each question after a time of its own, on the clock of the loop."""

    def __init__(self, seconds: dict[str, float] | None, *, replies: dict[str, str] | None = None) -> None:
        """`seconds` are by what is asked for; without them they are drawn."""
        self._seconds = seconds
        self._replies = replies or {}
        self._draw = Random(0)
        self.asked: list[tuple[float, int]] = []
        """When each question was asked, and how long the chain is that was said to follow it."""

    async def complete(self, prompt: Prompt, call: Call = PLAIN) -> Completion:
        kind = asked_for(prompt)
        self.asked.append((asyncio.get_running_loop().time(), call.n_after))
        latency_s = self._draw.uniform(0.5, 5) if self._seconds is None else self._seconds[kind]
        await asyncio.sleep(latency_s)
        text = self._replies.get(kind) or played(prompt)
        return Completion(text=text, model="m", finish_reason="stop", latency_s=latency_s)

    async def aclose(self) -> None: ...


def timed(tmp_path: Path, timed: Timed, **changes: object) -> RunState:
    """Play one run, all of whose questions are asked as soon as they can be."""

    async def main() -> RunState:
        [state] = (await agentsim.run_async(scenario(**changes), results=tmp_path, provider=timed)).runs
        return state

    state = virtually(main())
    assert state.status == "complete"
    return state


SIMULTANEOUS = {"kind": "matrix", "rounds": 4}
SEQUENTIAL = {"kind": "matrix", "rounds": 4, "order": "sequential"}
TALK = {**PUBLIC_GOODS, "talk": {"rounds": 2}}
REPLIES = {
    "strategy": "My strategy will be to do as the others do.",
    "message": "My message: hello.",
    "cooperate": "Answer: cooperate",
    "NUMBER": "Answer: 5",
    "punish": "Answer: nothing",
}
SECONDS = {"strategy": 10.0, "message": 4.0, "cooperate": 1.0, "NUMBER": 2.0, "punish": 3.0}


@pytest.mark.parametrize(
    ("game", "agents", "seconds", "questions"),
    [
        (SIMULTANEOUS, 4, 2 * (10 + 4 * 1), 2 * (1 + 4)),
        (SEQUENTIAL, 4, 2 * (10 + 4 * (1 + 1)), 2 * (1 + 4 * 2)),
        ({"kind": "trust", "rounds": 4}, 4, 2 * (10 + 4 * (2 + 2)), 2 * (1 + 4 * 2)),
        (TALK, 6, 2 * (10 + 3 * (2 * 4 + 2 + 3)), 2 * (1 + 3 * 4)),
    ],
    ids=["simultaneous", "sequential", "trust", "talk and sanctions"],
)
def test_the_longest_chain_is_as_long_as_counted_by_hand(
    tmp_path: Path, game: dict[str, Any], agents: int, seconds: float, questions: int
) -> None:
    changes: dict[str, Any] = {"game": game, "agents": agents, "generations": 2, "pairing": {"kind": "random"}}
    state = timed(tmp_path / "1", Timed(SECONDS, replies=REPLIES), **changes)
    assert state.critical_path_s == pytest.approx(seconds) == pytest.approx(state.wall_s)
    steps = Timed(dict.fromkeys(SECONDS, 1.0), replies=REPLIES)
    assert timed(tmp_path / "2", steps, **changes).wall_s == questions
    assert {began + 1 + n_after for began, n_after in steps.asked} == {questions}


@pytest.mark.parametrize(
    "game", [SIMULTANEOUS, SEQUENTIAL, {"kind": "trust", "rounds": 6}, TALK, {"kind": "ultimatum"}]
)
@pytest.mark.parametrize("pairing", ["random", "repeated"])
def test_without_limits_a_run_takes_as_long_as_its_longest_chain(
    tmp_path: Path, game: dict[str, Any], pairing: str
) -> None:
    changes = {"game": game, "agents": 6, "generations": 2, "pairing": {"kind": pairing}}
    players = {"model": "fake/model", "max_tokens": 100}
    state = timed(tmp_path, Timed(None), **changes, players=players, on_invalid={"then": "zero"})
    assert state.critical_path_s == pytest.approx(state.wall_s)


def test_a_chain_is_followed_fact_by_fact() -> None:
    spent = {"a1": 5.0, "b1": 1.0, "a": 2.0, "b": 7.0, "c": 4.0, "d": 1.0, "a2": 1.0, "c2": 6.0}
    path = CriticalPath(dict(spent))
    at: dict[str, Any] = {"generation": 1, "game": 1}

    def moved(key: str, actor: str, round: int, stage: str = "decision") -> None:
        path.follow(Moved(**at, key=key, round=round, stage=stage, actor=actor, role="player", option="x", level=1))

    def settled(round: int, *members: str) -> None:
        path.follow(Settled(**at, round=round, members=members, before=(0, 0), after=(0, 0)))

    for key, author, to in (("a1", "1_1", "1_2"), ("b1", "1_2", "1_1")):
        path.follow(Talked(**at, key=key, round=1, turn=1, author=author, to=(to,), text="hello"))
    moved("a", "1_1", 1)
    moved("b", "1_2", 1)
    assert path.longest == 0  # the encounter is not over
    moved("c", "1_3", 1, "first")
    moved("d", "1_4", 1, "second")
    settled(1, "1_3", "1_4")
    assert path.longest == 4 + 1
    settled(1, "1_1", "1_2")
    assert path.longest == max(5, 1) + max(2, 7)
    moved("a2", "1_1", 2)
    moved("c2", "1_3", 2)
    settled(2, "1_1", "1_3")
    assert path.longest == max(12, 5) + max(1, 6)
