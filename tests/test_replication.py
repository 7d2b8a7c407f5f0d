"""The replication pack: two modes that differ in named settings, the paper's conditions, and what the docs say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Literal

import pytest

import agentsim
from agentsim.analysis.published import curves
from agentsim.core.answers import Answer
from agentsim.core.facts import GameEnded, GenerationEnded
from agentsim.core.pairing import Alternating, PairingRule, Released
from agentsim.core.policies import Discriminator
from agentsim.core.requests import DecisionView, Request
from agentsim.core.rng import stream
from agentsim.core.rules import SocietyRules
from agentsim.core.selection import Top
from agentsim.experiments.plan import plan
from agentsim.scenario.conditions import Scenario
from agentsim.scenario.loading import load_scenario
from agentsim.scenario.runs import runs
from tests.core.playing import play

ROOT = Path(agentsim.__file__).parent.parent
PACK = ROOT / "scenarios" / "vallinder-hughes-2024"
DOCS = (ROOT / "docs" / "replication.md").read_text()
N_SOCIETIES = 200

Policy = Callable[[DecisionView, Random], Answer]


def pack(name: str) -> Scenario:
    return load_scenario(PACK / f"{name}.yaml")


def flat(value: object, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {path: value}
    return {
        inner: leaf
        for key, below in value.items()
        for inner, leaf in flat(below, f"{path}.{key}" if path else key).items()
    }


def differences(one: Scenario, other: Scenario) -> dict[str, tuple[object, object]]:
    a, b = (flat(scenario.model_dump(mode="json")) for scenario in (one, other))
    return {path: (a.get(path), b.get(path)) for path in sorted({*a, *b}) if a.get(path) != b.get(path)}


def test_the_two_modes_differ_in_the_documented_settings_and_in_nothing_else() -> None:
    found = differences(pack("paper"), pack("as-released"))
    assert found.keys() - {"name", "description"} == {
        "pairing.kind",
        "selection.score",
        "transmission.scores",
        "on_invalid.attempts",
        "on_invalid.then",
        "on_invalid.out_of_range",
    }
    for path in (*found.keys() - {"name", "description"}, "players.temperature", "players.system_prompt"):
        assert f"`{path}`" in DOCS, path


@pytest.mark.parametrize("path", ["pairing.kind", "selection.score", "transmission.scores", "on_invalid.then"])
def test_each_difference_can_be_set_alone(path: str) -> None:
    found = differences(pack("paper"), pack("as-released"))
    alone = load_scenario(PACK / "paper.yaml", sets=[f"{path}={found[path][1]}".replace("False", "false")])
    assert differences(pack("paper"), alone) == {path: found[path]}


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("punishment", {"game.punishment.cost": 1, "game.punishment.effect": 2}),
        ("trace-depth-1", {"observation.depth": 1}),
        ("trace-depth-2", {"observation.depth": 2}),
        ("multiplier-1.5", {"game.multiplier": 1.5}),
        ("multiplier-3", {"game.multiplier": 3}),
    ],
)
def test_every_condition_of_the_paper_has_its_file(name: str, changed: dict[str, float]) -> None:
    found = differences(pack("paper"), pack(name))
    assert {path: now for path, (_, now) in found.items() if now is not None} == {
        **changed,
        "name": f"vallinder-hughes-2024-{name}",
        "description": pack(name).description,
    }
    assert len(runs(pack(name))) == 15


def test_the_ten_further_runs_are_of_claude_under_other_seeds() -> None:
    specs = runs(pack("claude-ten-more"))
    assert {spec.condition.joint_label for spec in specs} == {"anthropic/claude-3-5-sonnet-20240620"}
    assert [spec.seed for spec in specs] == list(range(5, 15))


def test_the_base_set_is_of_the_published_models_with_1506_calls_a_run() -> None:
    plans = plan(pack("paper"))
    assert {one.model.partition("/")[2] for one in plans} == set(curves()["model"])
    assert {one.n_questions / one.n_runs for one in plans} == {1506}


def test_todays_model_takes_the_place_of_the_published_ones() -> None:
    scenario = load_scenario(PACK / "paper.yaml", model="openai/gpt-5.1")
    assert {spec.condition.joint_label for spec in runs(scenario)} == {"openai/gpt-5.1"}


# --- what each difference does, as docs/replication.md says -------------------------------------------------------


def played(rules: SocietyRules, policy: Policy, *, seed: int) -> list[GenerationEnded | GameEnded]:
    def answer(request: Request) -> Answer:
        if not isinstance(request.view, DecisionView):
            return Answer(text="-")
        return policy(request.view, stream(seed, "act", request.key))

    _, events = play(rules, answer, seed=seed)
    return [event for event in events if isinstance(event, GenerationEnded | GameEnded)]


def constant(share: float) -> Policy:
    return lambda view, rng: Answer(act="give", amount=share * view.resources)


def mean(rules: SocietyRules, policy: Policy, *, n: int = 1) -> float:
    scores = [
        event.mean_final_resources
        for seed in range(n)
        for event in played(rules, policy, seed=seed)
        if isinstance(event, GenerationEnded)
    ]
    return sum(scores) / len(scores)


def of(pairing: PairingRule, **changes: Any) -> SocietyRules:
    return SocietyRules(pairing=pairing, generations=1, **changes)


def test_the_schedule_halves_what_is_possible() -> None:
    figures = [f"{mean(of(rule), constant(share)):,.0f}" for share in (0.5, 1) for rule in (Alternating(), Released())]
    assert figures == ["394", "341", "30,720", "15,360"]
    assert "394 units, released 341" in DOCS and "30,720, released 15,360" in DOCS


def test_one_game_alone_selects_by_the_half_an_agent_sat_in() -> None:
    """Agents that give a fixed share each: how many of six survivors the mean of both games would have kept too."""

    def of_its_own(view: DecisionView, rng: Random) -> Answer:
        share = Random(f"{view.rules.game.endowment}/{view.name}/{seed}").random()
        return Answer(act="give", amount=share * view.resources)

    n_kept = 0
    for seed in range(N_SOCIETIES):
        ended = played(of(Released()), of_its_own, seed=seed)
        games = [event.resources for event in ended if isinstance(event, GameEnded)]
        kept = [
            set(Top(score=score).survivors(Top(score=score).scores(games), Random(seed)))
            for score in ("mean_of_games", "last_game")
        ]
        n_kept += len(kept[0] & kept[1])
    assert f"{n_kept / N_SOCIETIES:.1f} of the six" in DOCS, n_kept / N_SOCIETIES


def test_amounts_that_do_not_move_cost_what_the_docs_say() -> None:
    def over(view: DecisionView, rng: Random) -> Answer:
        if rng.random() < 0.156:
            return Answer(problem="out_of_range", replaced_by="pass")
        return Answer(act="give", amount=view.resources / 2)

    without, with_ = mean(of(Released()), constant(0.5)), mean(of(Released()), over, n=N_SOCIETIES)
    assert f"from {without:.0f} to {with_:.0f} units" in DOCS, (without, with_)


def test_a_made_up_zero_is_answered_by_others() -> None:
    donor = Discriminator(share=0.5, threshold=0.25)

    def unread(replaced_by: Literal["pass", "zero"]) -> Policy:
        def policy(view: DecisionView, rng: Random) -> Answer:
            if rng.random() < 0.05:
                return Answer(problem="unreadable", replaced_by=replaced_by)
            return Answer(act="give", amount=donor.decide(view, rng.random) * view.resources)

        return policy

    passed = mean(of(Released()), unread("pass"), n=N_SOCIETIES)
    zero = mean(of(Released()), unread("zero"), n=N_SOCIETIES)
    assert f"{passed:.0f} final units with `pass`, {zero:.0f} with `zero`" in DOCS, (passed, zero)
