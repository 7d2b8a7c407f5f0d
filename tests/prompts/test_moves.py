"""Replies to questions of games other than the donor game are read as the moves that they state."""

from __future__ import annotations

import pytest

from agentsim.core.answers import Answer, Move, MoveSpec, Option
from agentsim.prompts.parsing import parse
from agentsim.providers.base import Completion

HARVEST = MoveSpec((Option("harvest", high=20, step=1),))
CHOICE = MoveSpec((Option("cooperate"), Option("defect")))
LETTERS = MoveSpec((Option("b"), Option("c")))
SANCTION = MoveSpec((Option("punish", high=10, step=1, targets=("1_2", "1_3")), Option("nothing")), most_together=12)


def read(text: str, spec: MoveSpec) -> Answer:
    return parse(Completion(text=text, model="m", finish_reason="stop", latency_s=0), spec)


@pytest.mark.parametrize(
    ("text", "spec", "move"),
    [
        ("It is plenty.\nAnswer: 7", HARVEST, Move("harvest", 7)),
        ("Answer: 7 units", HARVEST, Move("harvest", 7)),
        ("Answer: harvest 7", HARVEST, Move("harvest", 7)),
        ("Answer: 0", HARVEST, Move("harvest", 0)),
        ("I trust it.\nAnswer: cooperate", CHOICE, Move("cooperate")),
        ("**Answer: Defect**", CHOICE, Move("defect")),
        ("Answer: c", LETTERS, Move("c")),
        ("Answer: punish 1_2 with 3, 1_3 with 4", SANCTION, Move("punish", aimed={"1_2": 3, "1_3": 4})),
        ("Answer: nothing", SANCTION, Move("nothing")),
    ],
)
def test_a_marked_line_is_read_as_the_move_it_states(text: str, spec: MoveSpec, move: Move) -> None:
    assert read(text, spec).move == move


@pytest.mark.parametrize(
    ("text", "spec", "problem"),
    [
        ("Answer: 21", HARVEST, "out_of_range"),
        ("Answer: 7.5", HARVEST, "out_of_range"),
        ("Answer: as much as the others", HARVEST, "unreadable"),
        ("Answer: wait", CHOICE, "unreadable"),
        ("Answer: cooperate\nAnswer: defect", CHOICE, "ambiguous"),
        ("Answer: punish 1_2 with 10, 1_3 with 10", SANCTION, "out_of_range"),
        ("Answer: punish 1_4 with 1", SANCTION, "out_of_range"),
    ],
)
def test_what_states_no_possible_move_is_asked_again(text: str, spec: MoveSpec, problem: str) -> None:
    answer = read(text, spec)
    assert (answer.move, answer.problem) == (None, problem)
