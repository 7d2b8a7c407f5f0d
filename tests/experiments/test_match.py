"""A match: one game between policies, played by the engine itself, and told move by move."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import agentsim
from agentsim.cli.tables.match import match_table
from agentsim.core.facts import Donated, Moved
from agentsim.core.registry import REGISTRY
from agentsim.errors import ScenarioError
from agentsim.experiments.match import match
from agentsim.log.reading import read_log
from tests.cli.test_tables import drawn
from tests.commands import run_command
from tests.scenario.test_plugins import RULES


def test_tit_for_tat_answers_what_was_done_to_it_in_the_prisoners_dilemma() -> None:
    played = match(["tit-for-tat", "all-keep"], game="prisoners-dilemma", rounds=4)
    did = {name: [move.did for move in played.moves if move.player == name] for name in played.players}
    assert did == {"tit-for-tat": ["cooperate", "defect", "defect", "defect"], "all-keep": ["defect"] * 4}
    assert played.resources == {"tit-for-tat": 3, "all-keep": 8}


def test_a_gift_moves_units_as_the_donor_game_says() -> None:
    played = match(["constant-share:share=0.3", "all-give"], rounds=2, sets=["game.multiplier=3", "game.endowment=20"])
    held = {"constant-share": 20.0, "all-give": 20.0}
    for move in played.moves:
        other = next(name for name in held if name != move.player)
        given = held[move.player] * {"constant-share": 0.3, "all-give": 1.0}[move.player]
        held = {move.player: held[move.player] - given, other: held[other] + 3 * given}
        assert move.resources == pytest.approx(held) and move.did.startswith(f"gives {given:g} of ")
    assert {move.player for move in played.moves} == set(held) and played.resources == pytest.approx(held)


@pytest.mark.parametrize("game", ["donor", "trust", "public_goods", "commons"])
def test_a_match_is_the_game_that_a_study_of_the_same_rules_plays(game: str, tmp_path: Path) -> None:
    played = match(["random", "tit-for-tat"], game=game, rounds=5, seed=7)
    rules = played.condition.model_dump(mode="json", include={"game", "pairing", "observation", "players"})
    study = {**rules, "name": "same", "agents": 2, "generations": 1, "seeds": [7]}
    result = agentsim.run(agentsim.scenario_from(study), results=tmp_path)
    facts = read_log(result.folder / result.runs[0].run).records
    logged = sorted(
        (fact.round, fact.fraction if isinstance(fact, Donated) else fact.level)
        for fact in facts
        if isinstance(fact, Donated | Moved)
    )
    assert logged == sorted((move.round, move.level) for move in played.moves if move.player)


@pytest.mark.parametrize("game", REGISTRY.of("game"))
def test_every_game_can_be_played_and_fits_a_terminal(game: str) -> None:
    played = match(["random", "random"], game=game, rounds=3)
    assert {move.round for move in played.moves} == {1, 2, 3}
    for width in (80, 60):
        assert "random 1" in drawn(match_table(played), width)


def test_chance_depends_on_the_seed_alone_and_failed_moves_are_said() -> None:
    first, again, other = (
        match(["grim", "tit-for-tat"], game="chicken:error=0.4", rounds=9, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again and first.moves != other.moves
    failed = [move for move in first.moves if move.intended is not None]
    assert len(failed) == first.n_errors > 0 and all(move.did != move.intended for move in failed)
    assert f"moves that failed: {first.n_errors}" in drawn(match_table(first), 80)


@pytest.mark.parametrize(
    ("policies", "options", "sentence"),
    [
        (["tit-for-tat"], {}, "between 2 to 20 policies"),
        (["tit-for-tat", "all-kep"], {}, "did you mean 'scripted/all-keep'"),
        (["tit-for-tat", "openai/gpt-4o"], {}, "'openai/gpt-4o' is a model"),
        (["grim", "grim"], {"game": "chess"}, "there is no such game; there are donor, matrix"),
        (["grim", "grim"], {"game": "trust:multiplier"}, "'multiplier' is not a setting"),
        (["grim", "grim"], {"game": "trust:pace=4"}, "unknown key 'pace'"),
        (["grim", "grim", "grim", "grim"], {}, "2 meet in an encounter of this game"),
        (["grim", "grim"], {"sets": ["generations=3"]}, "one generation of the policies"),
        (["grim", "grim"], {"sets": ["seeds=0-3"]}, "there is one --seed"),
        (["constant-share:share=3", "grim"], {}, "share"),
    ],
)
def test_a_mistake_is_one_sentence(policies: list[str], options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ScenarioError, match=sentence):
        match(policies, **options)  # type: ignore[arg-type]


def test_a_policy_of_ones_own_plays(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(RULES)
    told = run_command("match", "miser", "all-keep", "--rounds", "2", "--plugin", "mine.py", "--json", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    moves = json.loads(told.stdout)["moves"]
    assert [move["level"] for move in moves if move["player"] == "miser"] == [0.01]
