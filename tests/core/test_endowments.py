"""Unequal endowments: dealt by a stream of their own, told to agents, and missing where a closed form needs one."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import agentsim
from agentsim.analysis.measures import efficiency, implied_share
from agentsim.core.facts import Encounter, GameEnded, GenerationEnded, Settled
from agentsim.core.policies import AllGive
from agentsim.core.probe_design import grid
from agentsim.core.requests import DecisionView
from agentsim.core.rules import SocietyRules
from agentsim.core.vectorised import play_many, without_twin
from agentsim.errors import ScenarioError
from agentsim.play.rehearsal import rehearse
from agentsim.play.replay import replay
from agentsim.prompts.sets import load_prompt_set
from agentsim.report import render
from agentsim.scenario.runs import runs
from tests.core.playing import constant, play
from tests.orchestrator.test_study import Fake, facts, log_of, scenario
from tests.orchestrator.test_study import play as play_run

UNEQUAL: dict[str, Any] = {"kind": "donor", "rounds": 4, "endowment": [5, 15]}


def rules_of(**changes: Any) -> SocietyRules:
    return SocietyRules.model_validate({"agents": 6, "generations": 3, "game": UNEQUAL, **changes})


def dealt(rules: SocietyRules, *, seed: int = 0) -> dict[tuple[int, int], dict[str, float]]:
    """Return what each agent held before its first encounter, by generation and game."""
    _, events = play(rules, constant(0.5), seed=seed)
    held: dict[tuple[int, int], dict[str, float]] = {}
    for event in events:
        if isinstance(event, Encounter):
            own = held.setdefault((event.generation, event.game), {})
            own.setdefault(event.donor, event.donor_before)
            own.setdefault(event.recipient, event.recipient_before)
    return held


def test_each_value_is_dealt_as_often_anew_in_each_generation_and_the_same_in_its_games() -> None:
    held = dealt(rules_of())
    assert {tuple(sorted(own.values())) for own in held.values()} == {(5, 5, 5, 15, 15, 15)}
    for generation in (1, 2, 3):
        assert held[generation, 1] == held[generation, 2]
    kept = [name for name in held[1, 1] if name in held[2, 1]]
    seeds = [dealt(rules_of(), seed=seed) for seed in range(8)]
    assert any(one[1, 1][name] != one[2, 1].get(name, one[1, 1][name]) for one in seeds for name in kept)
    of_first = Counter(one[1, 1]["1_1"] for one in seeds)
    assert set(of_first) == {5, 15}


def test_what_is_left_over_goes_to_the_first_of_the_list() -> None:
    held = dealt(rules_of(agents=5, pairing={"kind": "random"}, game={**UNEQUAL, "endowment": [20, 5, 10], "games": 1}))
    assert sorted(held[1, 1].values()) == [5, 5, 10, 20, 20]


def test_other_games_deal_them_too() -> None:
    game = {"kind": "public_goods", "group": 3, "rounds": 2, "endowment": [0, 30]}
    asked, events = play(rules_of(game=game, generations=1), _cooperate)
    before = [units for event in events if isinstance(event, Settled) and event.round == 1 for units in event.before]
    assert sorted(before) == [0, 0, 0, 30, 30, 30]
    assert {request.view.resources for request in asked if isinstance(request.view, DecisionView)} >= {0, 30}


def _cooperate(request: Any) -> Any:
    if not isinstance(request.view, DecisionView):
        return constant(1)(request)
    return request.view.rules.game.answer(request.spec, 1.0, stage=request.view.stage)


def test_pairings_do_not_depend_on_what_is_dealt() -> None:
    def met(rules: SocietyRules) -> list[tuple[str, ...]]:
        _, events = play(rules, constant(0))
        return [(one.key, one.recipient) for one in events if isinstance(one, Encounter) and one.generation == 1]

    assert met(rules_of()) == met(rules_of(game={**UNEQUAL, "endowment": 5}))


def test_agents_are_told_which_there_are_and_that_chance_decides() -> None:
    for game in (UNEQUAL, {"kind": "matrix", "endowment": [5, 15]}):
        text = load_prompt_set("default").rules_message(rules_of(game=game).told).content
        assert "an agent starts with 5 units or 15 units. Chance decides who starts with what, anew in each" in text
        assert "Each agent starts" not in text
    three = load_prompt_set("german").rules_message(rules_of(game={**UNEQUAL, "endowment": [9, 1, 3]}).told).content
    assert "mit 1 Einheit, 3 Einheiten oder 9 Einheiten. Wer womit beginnt, entscheidet der Zufall" in three


def test_a_set_of_ones_own_that_does_not_tell_them_is_refused(tmp_path: Path) -> None:
    default = Path(agentsim.__file__).parent / "prompts" / "default"
    folder = Path(shutil.copytree(default, tmp_path / "own", ignore=shutil.ignore_patterns("endowment.md")))
    text = (folder / "rules/game/donor.md").read_text()
    (folder / "rules/game/donor.md").write_text(text.replace("rule.one_endowment", "true"))
    own = load_prompt_set(folder)
    rehearse(runs(scenario())[0].condition, own)
    with pytest.raises(ScenarioError, match=r"endowment.md: is missing"):
        rehearse(runs(scenario(game=UNEQUAL))[0].condition, own)


def test_such_a_society_resumes_replays_and_has_no_measure_that_needs_one_endowment(tmp_path: Path) -> None:
    whole = play_run(tmp_path / "whole", Fake(), game=UNEQUAL)
    assert not play_run(tmp_path / "again", Fake(fail_at=9), game=UNEQUAL).is_complete
    assert facts(log_of(play_run(tmp_path / "again", Fake(), game=UNEQUAL))) == facts(log_of(whole))
    assert all(state.is_exact for state in replay(whole.folder))
    study = agentsim.load(whole.folder)
    assert study.runs[["endowment", "maximum"]].isna().all(axis=None) and study.generations["maximum"].isna().all()
    assert efficiency(study.generations, study.runs)["efficiency"].isna().all()
    shares = implied_share(study.generations, study.encounters, study.started)
    assert shares["implied_share"].isna().all() and "not all start with the same" in shares["problem"].iloc[0]
    ended = [record for record in log_of(whole) if isinstance(record, GameEnded)]
    means = [sum(one.resources.values()) / 4 for one in ended if one.generation == 1]
    assert study.generations["mean_final_resources"].iloc[0] == pytest.approx(sum(means) / 2)
    assert "it began with what it was dealt" in render(study)


def test_where_many_societies_are_played_they_are_named_and_played_one_after_the_other() -> None:
    rules = rules_of()
    assert without_twin(rules, [AllGive()]) == ["game.endowment: [5.0, 15.0]"]
    assert not without_twin(rules_of(game={**UNEQUAL, "endowment": 5}), [AllGive()])
    means = play_many(rules, AllGive(), seeds=[3]).mean_final_resources
    _, events = play(rules, constant(1), seed=3)
    ends = [event.mean_final_resources for event in events if isinstance(event, GenerationEnded)]
    assert means.tolist() == [pytest.approx(ends)]


def test_a_probe_asks_with_each_of_them() -> None:
    situations = grid(rules_of())
    assert (
        {each.resources for each in situations} == {each.resources for each in situations if each.round == 1} == {5, 15}
    )


@pytest.mark.parametrize(
    ("endowment", "what"),
    [
        ([5, 5], "all are the same; write 5"),
        ([1, 2, 3, 4, 5], "5 endowments for 4 agents; list 4 at the most"),
        ([], "game.endowment"),
        ([5, -1], "game.endowment"),
        ([5, "many"], "game.endowment"),
    ],
)
def test_what_cannot_be_dealt_is_refused(endowment: list[Any], what: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        scenario(game={**UNEQUAL, "endowment": endowment})
    assert what in str(caught.value)


def test_a_single_endowment_is_logged_as_before() -> None:
    assert rules_of(game={**UNEQUAL, "endowment": 5}).game.model_dump(mode="json")["endowment"] == 5
    rules = rules_of()
    assert SocietyRules.model_validate_json(rules.model_dump_json()) == rules
