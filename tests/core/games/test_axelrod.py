"""Policies of direct reciprocity play, move for move, what the Axelrod library plays."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agentsim.core.answers import Answer
from agentsim.core.facts import GameEnded, Moved
from agentsim.core.games.matrix import TABLES
from agentsim.core.policies import (
    AllGive,
    AllKeep,
    GenerousTitForTat,
    Grim,
    Policy,
    SuspiciousTitForTat,
    TitForTat,
    TitForTwoTats,
    WinStayLoseShift,
)
from agentsim.core.requests import Request
from agentsim.core.rules import SocietyRules
from agentsim.play.scripted import scripted_answer
from tests.core.playing import play

PUBLISHED: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "axelrod.json").read_text())
POLICIES: dict[str, Policy] = {
    "tit-for-tat": TitForTat(),
    "tit-for-two-tats": TitForTwoTats(),
    "grim": Grim(),
    "win-stay-lose-shift": WinStayLoseShift(),
    "suspicious-tit-for-tat": SuspiciousTitForTat(),
    "cooperator": AllGive(),
    "defector": AllKeep(),
    "never-generous": GenerousTitForTat(generosity=0),
    "always-generous": GenerousTitForTat(generosity=1),
}
LETTERS = {"cooperate": "C", "defect": "D"}
SEED = 44
"""Under which, with an error of 0.2, choices fail in the turns of the file."""


def match(first: str, second: str, *, error: float = 0) -> tuple[list[Moved], list[float]]:
    """Return the moves of two agents that meet again and again, and their scores."""
    turns = PUBLISHED["turns"]
    rules = SocietyRules.model_validate(
        {
            "agents": 2,
            "generations": 1,
            "game": {"kind": "matrix", "rounds": turns, "error": error},
            "pairing": {"kind": "repeated"},
            "observation": {"kind": "memory", "depth": turns},
        }
    )
    players = {"1_1": POLICIES[first], "1_2": POLICIES[second]}

    def answer(request: Request) -> Answer:
        return scripted_answer(players[request.agent], request, seed=SEED)

    _, events = play(rules, answer, seed=SEED)
    [ended] = [event for event in events if isinstance(event, GameEnded)]
    moved = sorted((event for event in events if isinstance(event, Moved)), key=lambda event: event.round)
    return moved, [ended.resources[name] for name in players]


def letters(moved: list[Moved], *, chosen: bool = False) -> list[str]:
    """Return each agent's moves as in the file: what happened, or what was chosen."""
    found = []
    for name in ("1_1", "1_2"):
        options = [(one.intended if chosen else None) or one.option for one in moved if one.actor == name]
        found.append("".join(LETTERS[str(option)] for option in options))
    return found


def ids(one: dict[str, Any]) -> str:
    return "-".join(one["players"])


def test_the_payoffs_are_the_same() -> None:
    (r, s), (t, p) = TABLES["prisoners-dilemma"].payoffs
    assert {"R": r, "P": p, "S": s, "T": t} == PUBLISHED["payoffs"]


@pytest.mark.parametrize("published", PUBLISHED["matches"], ids=ids)
def test_a_match_is_played_as_published_move_for_move(published: dict[str, Any]) -> None:
    moved, scores = match(*published["players"])
    assert letters(moved) == published["moves"]
    assert scores == published["scores"]


@pytest.mark.parametrize("published", PUBLISHED["with_mistakes"], ids=ids)
def test_what_happened_is_answered_where_choices_fail(published: dict[str, Any]) -> None:
    moved, _ = match(*published["players"], error=0.2)
    failed = [[one.round for one in moved if one.actor == name and one.intended] for name in ("1_1", "1_2")]
    assert failed == PUBLISHED["mistakes"]
    assert letters(moved, chosen=True) == published["chosen"]
    assert letters(moved) == published["moves"]


def test_a_round_robin_ends_with_the_published_scores() -> None:
    total: Counter[str] = Counter()
    for published in PUBLISHED["matches"]:
        first, second = published["players"]
        if first != second:
            _, scores = match(first, second)
            total.update({first: int(scores[0]), second: int(scores[1])})
    assert total == PUBLISHED["round_robin"]
    assert {name for name, _ in total.most_common(1)} == {"tit-for-two-tats"}
