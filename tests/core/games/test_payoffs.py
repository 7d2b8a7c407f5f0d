"""What each game pays, against closed forms, published numbers and payoffs worked out by hand."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import pytest

from agentsim.core.answers import Move, MoveSpec
from agentsim.core.games import (
    CommonsGame,
    DictatorGame,
    Encounter,
    Game,
    MatrixGame,
    Outcome,
    PublicGoodsGame,
    Stage,
    TrustGame,
    UltimatumGame,
)
from agentsim.core.games.matrix import TABLES
from agentsim.core.rules import SocietyRules


def outcome(game: Game, *stages: tuple[Move, ...], state: float | None = None) -> Outcome:
    """Return what an encounter comes to, in which those moves are made in each stage by those who are asked."""
    members = tuple(f"1_{number}" for number in range(1, game.n_members + 1))
    encounter = Encounter(
        1, members, (100.0,) * len(members), game.first_state(len(members)) if state is None else state
    )
    moves: dict[str, dict[str, Move | None]] = {}
    for made in stages:
        stage = game.after(encounter, moves)
        assert isinstance(stage, Stage)
        for (_, spec), move in zip(stage.asked, made, strict=True):
            assert isinstance(spec, MoveSpec) and spec.allows(move)
        moves[stage.name] = {member: move for (member, _), move in zip(stage.asked, made, strict=True)}
    result = game.after(encounter, moves)
    assert isinstance(result, Outcome)
    return result


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
@pytest.mark.parametrize("name", TABLES)
def test_a_table_pays_what_it_says(name: str, order: str) -> None:
    game = MatrixGame.model_validate({"table": name, "order": order})
    for one, other in product(game.table.options, repeat=2):
        made = [(Move(one), Move(other))] if order == "simultaneous" else [(Move(one),), (Move(other),)]
        assert outcome(game, *made).changes == game.table.units(one, other)
        assert game.table.units(one, other) == game.table.units(other, one)[::-1]


def test_the_tables_by_name_are_the_games_of_that_name() -> None:
    (r, s), (t, p) = TABLES["prisoners-dilemma"].payoffs
    assert t > r > p > s and 2 * r > t + s
    (r, s), (t, p) = TABLES["stag-hunt"].payoffs
    assert r > t >= p > s
    (r, s), (t, p) = TABLES["chicken"].payoffs
    assert t > r > s > p
    (r, s), (t, p) = TABLES["coordination"].payoffs
    assert r == p > t == s


def test_a_table_of_ones_own_may_be_larger_and_not_symmetric() -> None:
    table = {
        "options": ["rock", "paper", "scissors"],
        "payoffs": [[0, -1, 1], [1, 0, -1], [-1, 1, 0]],
        "levels": [0.5, 0.5, 0.5],
    }
    game = MatrixGame.model_validate({"table": table})
    assert outcome(game, (Move("rock"), Move("paper"))).changes == (-1.0, 1.0)
    assert game.roles == ("player", "player") and game.payoffs == (-1, 1)
    mine = {"options": ["stay", "go"], "payoffs": [[2, 0], [3, 1]], "second": [[1, 4], [0, 2]]}
    game = MatrixGame.model_validate({"table": mine})
    assert game.roles == ("first", "second")
    assert outcome(game, (Move("stay"), Move("go"))).changes == (0.0, 4.0)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"options": ["a", "b"], "payoffs": [[1, 2]]}, "needs 2 rows of 2 numbers"),
        ({"options": ["a", "a"], "payoffs": [[1, 2], [3, 4]]}, "stands there twice"),
        ({"options": ["A b", "c"], "payoffs": [[1, 2], [3, 4]]}, "is no name"),
        ({"options": ["a", "b"], "payoffs": [[1, 2], [3, 4]], "levels": [1]}, "levels: needs 2 numbers"),
        ("prisoner", "is no table; name prisoners-dilemma"),
    ],
)
def test_what_is_no_table_is_refused(table: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MatrixGame.model_validate({"table": table})


def test_public_goods_pay_as_in_the_published_experiment() -> None:
    # Fehr & Gächter 2002: each of four gets 20, and each unit contributed brings every member 0.4.
    game = PublicGoodsGame()
    assert outcome(game, (Move("contribute", 20),) * 4).changes == (32.0,) * 4
    assert outcome(game, (Move("contribute", 0),) * 4).changes == (20.0,) * 4
    alone = outcome(game, (Move("contribute", 20), *(Move("contribute", 0),) * 3)).changes
    assert alone == (8.0, 28.0, 28.0, 28.0)
    assert game.payoffs == (8.0, 44.0)


def test_a_unit_of_punishment_costs_one_and_takes_three() -> None:
    game = PublicGoodsGame.model_validate({"punishment": {}, "reward": {"effect": 2, "most": 5}})
    contributed = tuple(Move("contribute", amount) for amount in (20, 20, 20, 0))
    sanctions = (
        Move("punish", aimed={"1_4": 3.0}),
        Move("punish", aimed={"1_4": 2.0, "1_3": 1.0}),
        Move("nothing"),
        Move("reward", aimed={"1_1": 5.0}),
    )
    changes = outcome(game, contributed, sanctions).changes
    share = 0.4 * 60
    assert changes == pytest.approx((share - 3 + 10, share - 3, share - 3, 20 + share - 15 - 5))


def test_a_commons_grows_as_published_and_collapses_below_five() -> None:
    # GovSim: the stock doubles up to 100, and collapses where less than 5 is left.
    game = CommonsGame()

    def after(amount: float, state: float) -> float | None:
        return outcome(game, (Move("harvest", amount),) * 5, state=state).state

    assert after(10, 100) == 100.0 and after(12, 100) == 80.0 and after(0, 30) == 60.0
    assert after(19, 100) == 10.0 and after(20, 100) == 0.0
    over = outcome(game, tuple(Move("harvest", amount) for amount in (100, 50, 50, 0, 0)), state=100.0)
    assert over.changes == (50.0, 25.0, 25.0, 0.0, 0.0) and over.state == 0.0
    nobody = game.after(Encounter(3, ("a", "b", "c", "d", "e"), (0.0,) * 5, 0.0), {})
    assert nobody == Outcome((0.0,) * 5, state=0.0)


def test_half_of_an_equal_share_can_be_harvested_for_ever() -> None:
    game = CommonsGame(limit="share", step=None)
    stage = game.after(Encounter(1, tuple("abcde"), (0.0,) * 5, 100.0), {})
    assert isinstance(stage, Stage)
    move = game.answer(stage.asked[0][1], 0.5, stage="harvest").move
    assert move == Move("harvest", 10.0)
    assert outcome(game, (move,) * 5).state == 100.0


@pytest.mark.parametrize(("sent", "back"), [(0, None), (5, 0), (5, 15), (10, 30), (10, 15)])
def test_the_trust_game_pays_what_is_sent_three_times(sent: float, back: float | None) -> None:
    made = [(Move("send", sent),)] + ([] if back is None else [(Move("return", back),)])
    first, second = outcome(TrustGame(), *made).changes
    assert first == 10 - sent + (back or 0) and second == 10 + 3 * sent - (back or 0)


def test_a_rejected_offer_leaves_both_with_nothing() -> None:
    game = UltimatumGame()
    assert outcome(game, (Move("offer", 3),), (Move("accept"),)).changes == (7.0, 3.0)
    assert outcome(game, (Move("offer", 3),), (Move("reject"),)).changes == (0.0, 0.0)


def test_a_dictator_divides_as_it_likes() -> None:
    assert outcome(DictatorGame(), (Move("give", 4),)).changes == (6.0, 4.0)


@pytest.mark.parametrize(
    "game",
    [
        MatrixGame(),
        MatrixGame.model_validate({"table": {"options": ["a", "b", "c"], "payoffs": [[1, 1, 1]] * 3}}),
        PublicGoodsGame(),
        CommonsGame(),
        TrustGame(),
        UltimatumGame(),
        DictatorGame(),
    ],
    ids=lambda game: game.kind,
)
def test_a_move_at_a_higher_level_is_more_cooperative(game: Game) -> None:
    members = tuple(f"1_{number}" for number in range(1, game.n_members + 1))
    stage = game.after(Encounter(1, members, (0.0,) * len(members), game.first_state(len(members))), {})
    assert isinstance(stage, Stage)
    _, spec = stage.asked[0]
    levels = []
    for level in (0.0, 0.25, 0.5, 0.75, 1.0):
        move = game.answer(spec, level, stage=stage.name).move
        assert move is not None
        levels.append(game.level(move, spec, stage=stage.name))  # type: ignore[arg-type]
    assert levels[0] == 0.0 and levels[-1] == 1.0
    assert all(low is not None and high is not None and low <= high for low, high in pairwise(levels))


@pytest.mark.parametrize(
    ("game", "least", "most"),
    [
        (MatrixGame(), 2.0, 6.0),
        (MatrixGame.model_validate({"order": "sequential"}), 2.0, 6.0),
        (PublicGoodsGame(), 80.0, 128.0),
        (PublicGoodsGame.model_validate({"punishment": {}}), 80.0, 128.0),
        (TrustGame(), 20.0, 40.0),
        (UltimatumGame(), 0.0, 10.0),
        (DictatorGame(), 10.0, 10.0),
        (CommonsGame(), None, None),
    ],
)
def test_what_an_encounter_adds_at_the_least_and_the_most_cooperative(game: Game, least: Any, most: Any) -> None:
    assert (game.total_at(0.0), game.total_at(1.0)) == (least, most)


def test_a_choice_may_fail_and_is_then_another_option() -> None:
    game = MatrixGame.model_validate({"error": 0.2})
    spec = game.after(Encounter(1, ("a", "b"), (0.0, 0.0)), {}).asked[0][1]  # type: ignore[union-attr]
    assert game.failed(Move("cooperate"), spec, 0.19) == Move("defect")
    assert game.failed(Move("cooperate"), spec, 0.2) is None


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"agents": 6, "game": {"kind": "public_goods"}, "pairing": {"kind": "alternating"}}, "makes pairs"),
        ({"agents": 6, "game": {"kind": "commons"}}, "cannot be divided into groups of 5"),
        ({"agents": 10, "game": {"kind": "commons"}, "pairing": {"kind": "random"}}, "share a stock"),
        ({"agents": 3, "game": {"kind": "public_goods"}}, "cannot be divided into groups of 4"),
        ({"agents": 6, "game": {"kind": "trust"}, "observation": {"kind": "gossip"}}, "gossip is written about donors"),
        ({"agents": 6, "game": {"kind": "trust"}, "observation": {"kind": "trace", "noise": 0.1}}, "random gift"),
        ({"agents": 6, "observation": [{"kind": "trace"}, {"kind": "history"}]}, "each rule must show something"),
    ],
)
def test_what_cannot_be_played_is_refused_before_it_is(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SocietyRules.model_validate(rules)
