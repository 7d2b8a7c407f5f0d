"""Moves in games other than the donor game are read as they are meant, or not at all."""

from __future__ import annotations

from itertools import product

import pytest

from agentsim.core.answers import Move, MoveSpec, Option
from agentsim.prompts.parsing import parse
from agentsim.prompts.structured import schema_of
from agentsim.providers.base import Completion

CHOICE = MoveSpec((Option("cooperate"), Option("defect")))
SHARE = MoveSpec((Option("contribute", high=20.0, step=1.0),))
HARVEST = MoveSpec((Option("harvest", high=100.0, step=1.0),))
OFFER = MoveSpec((Option("accept"), Option("reject")))
SANCTION = MoveSpec(
    (
        Option("punish", high=10.0, step=1.0, targets=("1_2", "1_3", "1_4")),
        Option("reward", high=10.0, step=1.0, targets=("1_2", "1_3", "1_4")),
        Option("nothing"),
    ),
    most_together=12.0,
)


def read(text: str, spec: MoveSpec, *, is_structured: bool = False, clamps: bool = False) -> Move | str | None:
    completion = Completion(text=text, model="x", finish_reason="stop", latency_s=0.1)
    answer = parse(completion, spec, is_structured=is_structured, clamps=clamps)
    assert (answer.move is None) == (answer.problem is not None)
    return answer.problem or answer.move


@pytest.mark.parametrize(
    ("text", "move"),
    [
        ("Answer: cooperate", Move("cooperate")),
        ("I trust them.\nAnswer: Defect.", Move("defect")),
        ("**Answer:** `cooperate`", Move("cooperate")),
        ("My answer: I will cooperate", Move("cooperate")),
        ("Answer: I choose to defect", Move("defect")),
        ("Answer: I choose cooperate", Move("cooperate")),
        ("Answer: option defect", Move("defect")),
        ("Answer: cooperate with 1_3", Move("cooperate")),
        ("cooperate", Move("cooperate")),
        ("They were kind.\nI cooperate.", Move("cooperate")),
        ("Answer: defect\nThis protects me.", Move("defect")),
    ],
)
def test_a_choice_is_read(text: str, move: Move) -> None:
    assert read(text, CHOICE) == move


@pytest.mark.parametrize(
    "text",
    [
        "Answer: not cooperate",
        "Answer: I will not cooperate",
        "Answer: I refuse to cooperate",
        "Answer: cooperate or defect",
        "Answer: cooperate unless they defect",
        "Answer: cooperate 5",
        "Answer: both cooperate",
        "Answer: cooperate\nAnswer: defect",
        "Answer: cooperate\nNo, wait. I defect.",
        "Answer: they will cooperate",
        "Answer: never defect",
        "Answer: yes",
        "I would rather cooperate if they did.",
        "He cooperates, so he is nice.",
        "Answer:",
    ],
)
def test_what_is_no_clear_choice_is_not_read(text: str) -> None:
    assert read(text, CHOICE) in ("unreadable", "ambiguous")


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("Answer: 5", 5.0),
        ("Answer: I contribute 5 units", 5.0),
        ("Answer: contribute 5 units to the group.", 5.0),
        ("Answer: 50%", 10.0),
        ("Answer: all 20 units", 20.0),
        ("Answer: nothing", 0.0),
        ("Answer: 0", 0.0),
        ("I will contribute 12 units.", 12.0),
        ("Answer: 2 + 3 = 5", 5.0),
    ],
)
def test_an_amount_is_read(text: str, amount: float) -> None:
    if text.endswith("group."):
        assert read(text, SHARE) in (Move("contribute", amount), "unreadable")
        return
    assert read(text, SHARE) == Move("contribute", amount)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Answer: I keep 5 units", "unreadable"),
        ("Answer: keep 15, contribute 5", "ambiguous"),
        ("Answer: 25", "out_of_range"),
        ("Answer: 2.5", "out_of_range"),
        ("Answer: -1", "out_of_range"),
        ("Answer: withhold 5", "unreadable"),
        ("Answer: I do not contribute 5", "ambiguous"),
        ("Answer: between 5 and 10", "ambiguous"),
        ("Answer: punish 1_2 with 2", None),
        ("Answer: harvest 5", None),
    ],
)
def test_what_is_no_clear_amount_is_not_read(text: str, problem: str | None) -> None:
    found = read(text, SHARE)
    assert isinstance(found, str)
    assert found == problem or found in ("unreadable", "ambiguous")


def test_leaving_is_not_harvesting() -> None:
    assert read("Answer: harvest 10", HARVEST) == Move("harvest", 10.0)
    assert read("Answer: I take 10 units", HARVEST) == Move("harvest", 10.0)
    for text in ("Answer: leave 10", "Answer: I leave 10 units in the stock", "Answer: save 10"):
        assert isinstance(read(text, HARVEST), str)


def test_too_much_is_the_most_where_the_scenario_says_so() -> None:
    assert read("Answer: 25", SHARE, clamps=True) == Move("contribute", 20.0)


@pytest.mark.parametrize(
    ("text", "move"),
    [
        ("Answer: nothing", Move("nothing")),
        ("Answer: punish 1_2 with 3", Move("punish", aimed={"1_2": 3.0})),
        ("Answer: punish 1_2 with 3, 1_4 with 1", Move("punish", aimed={"1_2": 3.0, "1_4": 1.0})),
        ("Answer: I punish 1_2 with 3 units and 1_4 with 1 unit.", Move("punish", aimed={"1_2": 3.0, "1_4": 1.0})),
        ("Answer: punish 1_2: 3; 1_3: 2", Move("punish", aimed={"1_2": 3.0, "1_3": 2.0})),
        ("Answer: reward agent 1_3 with 10", Move("reward", aimed={"1_3": 10.0})),
        ("Answer: punish 1_2 with 0", Move("nothing")),
    ],
)
def test_sanctions_of_named_members_are_read(text: str, move: Move) -> None:
    assert read(text, SANCTION) == move


@pytest.mark.parametrize(
    "text",
    [
        "Answer: punish 1_2",
        "Answer: punish everybody with 1",
        "Answer: punish 1_2 with 3, 1_2 with 4",
        "Answer: punish 1_9 with 1",
        "Answer: punish 1_2 with 11",
        "Answer: punish 1_2 with 8, 1_3 with 8",
        "Answer: punish 1_2 with 1.5",
        "Answer: punish 1_2 with all",
        "Answer: do not punish 1_2 with 3",
        "Answer: punish 1_2 with 3, reward 1_3 with 2",
    ],
)
def test_what_names_nobody_or_too_much_is_not_read(text: str) -> None:
    assert isinstance(read(text, SANCTION), str)


@pytest.mark.parametrize(
    ("text", "spec", "move"),
    [
        ('{"reasoning": "", "act": "defect"}', CHOICE, Move("defect")),
        ('```json\n{"reasoning": "x", "act": "Cooperate"}\n```', CHOICE, Move("cooperate")),
        ('{"reasoning": "", "act": "both"}', CHOICE, "unreadable"),
        ('{"reasoning": "", "units": 7}', SHARE, Move("contribute", 7.0)),
        ('{"reasoning": "", "units": "7"}', SHARE, Move("contribute", 7.0)),
        ('{"reasoning": "", "units": true}', SHARE, "unreadable"),
        ('{"reasoning": "", "units": 1e999}', SHARE, "unreadable"),
        ('{"reasoning": "", "units": 21}', SHARE, "out_of_range"),
        (
            '{"reasoning": "", "act": "punish", "units": {"1_2": 3, "1_3": 0, "1_4": 0}}',
            SANCTION,
            Move("punish", aimed={"1_2": 3.0}),
        ),
        ('{"reasoning": "", "act": "nothing", "units": {"1_2": 0, "1_3": 0, "1_4": 0}}', SANCTION, Move("nothing")),
        ('{"reasoning": "", "act": "punish", "units": 3}', SANCTION, "unreadable"),
    ],
)
def test_moves_in_json_are_read(text: str, spec: MoveSpec, move: Move | str) -> None:
    assert read(text, spec, is_structured=True) == move


def test_the_schema_of_a_move_holds_what_may_be_said() -> None:
    assert schema_of(CHOICE)["properties"]["act"] == {"type": "string", "enum": ["cooperate", "defect"]}
    assert list(schema_of(SHARE)["properties"]) == ["reasoning", "units"]
    units = schema_of(SANCTION)["properties"]["units"]
    assert units["type"] == "object" and list(units["properties"]) == ["1_2", "1_3", "1_4"]


def test_options_may_be_letters_of_a_table_of_ones_own() -> None:
    letters = MoveSpec((Option("b"), Option("c")))
    assert read("Answer: c", letters) == Move("c") and read("Answer: B.", letters) == Move("b")
    assert read("Answer: wait", letters) == "unreadable" and read("Answer: be", letters) == "unreadable"


def test_composed_replies_are_never_read_as_another_move() -> None:
    """Compose openings, denials, options and endings; what is read is the one option that is named and not denied."""
    openings = ["Answer: ", "My answer: ", "Answer: I will ", "Answer: I ", "Answer: so, I "]
    denials = ["", "not ", "never ", "refuse to ", "rather than defect, ", "if asked, "]
    endings = ["", ".", " today.", " with 1_2", " but not with 1_2", " or not", ", maybe", " 3 times"]
    n_read = 0
    for opening, denial, option, ending in product(openings, denials, ("cooperate", "defect"), endings):
        found = read(opening + denial + option + ending, CHOICE)
        if not isinstance(found, str):
            assert found == Move(option) and not denial, (opening, denial, option, ending)
            assert ending in ("", ".", " with 1_2"), ending
            n_read += 1
    assert n_read >= 0.95 * len(openings) * 2 * 3
