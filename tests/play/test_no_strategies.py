"""Societies in which nobody has a strategy: agents are asked for decisions alone."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import agentsim
from agentsim.cli.tables.study import study_tables
from agentsim.core.facts import GenerationEnded, StrategyFormed
from agentsim.core.policies import ConstantShare
from agentsim.core.rules import SocietyRules
from agentsim.core.society import Society
from agentsim.core.transmission import NoStrategy
from agentsim.errors import ScenarioError
from agentsim.experiments.plan import plan
from agentsim.log.records import Reply
from agentsim.play.course import Course
from agentsim.play.preview import shown
from agentsim.play.rehearsal import prompt_set, rehearse
from agentsim.play.replay import replay
from agentsim.play.scripted import scripted_answer
from agentsim.prompts.sets import SHIPPED, load_prompt_set
from agentsim.providers.base import Completion, Prompt
from agentsim.report import render
from agentsim.scenario.runs import runs
from tests.core.playing import constant, play
from tests.orchestrator.test_study import Fake, answer, facts, log_of, said, scenario
from tests.orchestrator.test_study import play as play_run

NONE: dict[str, Any] = {"transmission": {"kind": "none"}}
HAVE = r"strateg(y|ies)|Strategie|\bplan\b|words on how you play"
"""How prompt sets speak of strategies."""
SETS = Path(agentsim.__file__).parent / "prompts"
OBSERVED: list[dict[str, Any]] = [{"kind": "trace"}, {"kind": "gossip"}]
DONOR_GAMES: list[dict[str, Any]] = [
    {"kind": "donor", "rounds": 2, "gift": gift, "punishment": punishment}
    for gift in ("share", {"kind": "fixed", "cost": 1, "benefit": 2}, {"kind": "units", "step": 1})
    for punishment in (None, {"cost": 1, "effect": 2})
]


def replied(prompt: Prompt) -> str:
    """Answers any question, of notes as well."""
    return (
        f"My note: {len(prompt.messages[-1].content)} letters"
        if "My note:" in prompt.messages[-1].content
        else answer(prompt)
    )


def test_strategy_none_means_the_same() -> None:
    assert SocietyRules.model_validate({"strategy": "none"}) == SocietyRules(transmission=NoStrategy())
    both = {"strategy": "none", "transmission": {"kind": "none", "persona_from": "parent"}}
    assert SocietyRules.model_validate(both) == SocietyRules(transmission=NoStrategy(persona_from="parent"))
    for wrong in ({"strategy": "some"}, {"strategy": "none", "transmission": {"kind": "copy"}}):
        with pytest.raises(ValueError, match="strategy: "):
            SocietyRules.model_validate(wrong)


def test_nobody_is_asked_for_a_strategy_and_each_agent_has_one_fact_without_one() -> None:
    rules = SocietyRules(agents=6, generations=3, transmission=NoStrategy())
    asked, events = play(rules, constant(0.3))
    assert len(asked) == rules.n_requests(0) == rules.n_encounters(0)
    formed = [event for event in events if isinstance(event, StrategyFormed)]
    assert [event.agent.id for event in formed] == [f"1_{n}" for n in range(1, 7)] + [
        f"{generation}_{n}" for generation in (2, 3) for n in (1, 2, 3)
    ]
    assert {(one.agent.strategy, one.agent.parents, one.attempts, one.problem) for one in formed} == {
        (None, (), 0, None)
    }


def test_a_player_spreads_by_parents_though_nobody_learns() -> None:
    learning = NoStrategy(model_from="parent", chances="by_score")
    society = Society(SocietyRules(agents=4, generations=2, transmission=learning), labels=["a", "b"] * 2, seed=1)
    (events, waiting) = society.start()
    while waiting:
        request = waiting.pop()
        step = society.answer(request, constant(0.5 if society.label_of(request.agent) == "a" else 0)(request))
        events, waiting = events + step.events, waiting + step.asked
    agents = {event.agent.id: event.agent for event in events if isinstance(event, StrategyFormed)}
    [ended] = [event for event in events if isinstance(event, GenerationEnded)][:1]
    for newborn in (agents["2_1"], agents["2_2"]):
        [parent] = newborn.parents
        assert parent in ended.survivors and newborn.label == agents[parent].label and newborn.strategy is None


@pytest.mark.parametrize("generations", [1, 3])
def test_such_a_society_plays_resumes_and_replays(tmp_path: Path, generations: int) -> None:
    prompts: list[str] = []

    def text(prompt: Prompt) -> str:
        prompts.append("\n".join(message.content for message in prompt.messages))
        return replied(prompt)

    settings = {**NONE, "generations": generations, "observation": {"kind": "gossip"}}
    whole = play_run(tmp_path / "whole", Fake(text=text), **settings)
    assert whole.is_complete and prompts and not [one for one in prompts if re.search(HAVE, one, re.IGNORECASE)]
    told = any("It is told nothing about what happened before it joined." in one for one in prompts)
    assert told == (generations > 1)
    replies = [record for record in log_of(whole) if isinstance(record, Reply)]
    assert not [reply for reply in replies if "strategy" in reply.key]
    for fail_at in (1, 9):
        assert not play_run(tmp_path / str(fail_at), Fake(text=replied, fail_at=fail_at), **settings).is_complete
        resumed = play_run(tmp_path / str(fail_at), Fake(text=replied), **settings)
        assert facts(log_of(resumed)) == facts(log_of(whole)) and said(log_of(resumed)) == said(log_of(whole))
    assert all(state.is_exact for state in replay(whole.folder))


def test_all_that_reads_a_study_says_nothing_of_strategies_that_nobody_has(tmp_path: Path) -> None:
    result = play_run(tmp_path, Fake(), **NONE)
    study = agentsim.load(result.folder)
    assert len(study.agents) == 3 * 4 and study.agents["strategy"].isna().all()
    assert study.with_strategies(study.agents).empty
    assert not [table for table in study_tables(study) if "Strategies" in str(table.title)]
    assert "no strategy that could be read" not in render(study)
    stated = agentsim.load(play_run(tmp_path, Fake(), name="stated").folder)
    assert [table for table in study_tables(stated) if "Strategies" in str(table.title)]


def test_plan_and_preview_count_and_show_what_is_asked(tmp_path: Path) -> None:
    [estimate] = plan(scenario(**NONE))
    condition = runs(scenario(**NONE))[0].condition
    assert estimate.n_questions == condition.n_requests(0) == condition.n_encounters(0)
    titles = [each.title for each in shown(condition)]
    assert titles[0].startswith("a donor's decision in generation 2") and "strategy" not in " ".join(titles)
    course = Course(condition, seed=0, prompts=prompt_set(condition))
    waiting, chain = course.start().asked, 0
    assert {course.n_after(question) for question in waiting} == {3 * 4 - 1}
    while waiting:
        question = waiting.pop(0)
        chain = course.n_after(question)
        completion = Completion(text="Answer: 1", model=None, finish_reason="stop", latency_s=0)
        waiting += course.receive(question.request.key, completion).asked
    assert chain == 0 and course.is_finished


@pytest.mark.parametrize("answer_format", ["text", "json"])
@pytest.mark.parametrize("name", SHIPPED)
def test_no_shipped_set_speaks_of_a_strategy_that_nobody_has(name: str, answer_format: str) -> None:
    prompts = load_prompt_set(name, answer_format=answer_format)
    games = [
        {"game": game, "observation": observed}
        for game in DONOR_GAMES
        for observed in OBSERVED
        if observed["kind"] != "gossip" or game["gift"] == "share"
    ]
    games += [{"game": {"kind": "matrix", "rounds": 2}}, {"game": {"kind": "public_goods", "group": 2, "rounds": 2}}]
    games += [{"game": {"kind": "donor", "rounds": 2, "talk": {"rounds": 1}}}]
    has_games = (SETS / name / "rules" / "game" / "matrix.md").is_file()
    for game in games:
        if game["game"]["kind"] != "donor" and not has_games:
            continue
        texts = {}
        for kind in ("none", "advice"):
            rules = SocietyRules.model_validate({"agents": 4, "generations": 2, "transmission": {"kind": kind}, **game})
            asked, _ = play(rules, _anything)
            asked = [request for request in asked if "strategy" not in request.key]
            texts[kind] = ["\n".join(one.content for one in prompts.messages(request)) for request in asked]
            texts[kind] += [prompts.ask_again(request, "unreadable").content for request in asked]
        assert not [text for text in texts["none"] if re.search(HAVE, text, re.IGNORECASE)]
        assert [text for text in texts["advice"] if re.search(HAVE, text, re.IGNORECASE)]


def _anything(request: Any) -> Any:
    return scripted_answer(ConstantShare(), request, seed=0)


def test_a_set_of_ones_own_that_always_speaks_of_strategies_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    shutil.copytree(SETS / "default", folder)
    text = (folder / "decision.md").read_text()
    (folder / "decision.md").write_text(text.replace("has_strategies", "true"))
    own = load_prompt_set(folder)
    rehearse(runs(scenario())[0].condition, own)
    with pytest.raises(ScenarioError, match=r"decision.md: does not speak of `has_strategies`"):
        rehearse(runs(scenario(**NONE))[0].condition, own)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        (
            {"players": {"model": "fake/model", "strategy": "to give"}},
            "under transmission.kind none nobody has a strat",
        ),
        ({"transmission": {"kind": "none", "rewrite": True}}, "transmission.rewrite"),
    ],
)
def test_what_only_a_strategy_can_have_is_refused(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(ScenarioError, match=what):
        scenario(**{**NONE, **changes})
