"""Personas: who agents are, in the scenario's words, from the file to prompts, logs and dataframes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import agentsim
from agentsim.core.facts import GenerationEnded, StrategyFormed
from agentsim.errors import ScenarioError
from agentsim.experiments.plan import plan
from agentsim.experiments.probe import probe
from agentsim.experiments.probe_options import Options, designed
from agentsim.log.records import Reply, RunStarted
from agentsim.play.preview import shown
from agentsim.play.replay import replay
from agentsim.providers.base import Prompt
from agentsim.report import render
from agentsim.scenario.conditions import digest, identity
from agentsim.scenario.runs import runs
from tests.orchestrator.test_study import Fake, answer, facts, log_of, said, scenario
from tests.orchestrator.test_study import play as play_run

FARMER, TRADER = "You are a cautious farmer.", "You are a merchant.\nYou like a bargain."
BOTH: dict[str, Any] = {"players": {"model": "fake/model", "persona": [FARMER, TRADER]}}


def agents(result: Any) -> dict[str, StrategyFormed]:
    return {record.agent.id: record for record in log_of(result) if isinstance(record, StrategyFormed)}


def test_each_agent_reads_its_own_persona_first_and_the_log_has_it(tmp_path: Path) -> None:
    whole = play_run(tmp_path / "whole", Fake(), **BOTH)
    persona = {name: formed.agent.persona for name, formed in agents(whole).items()}
    assert [persona[f"1_{n}"] for n in (1, 2, 3, 4)] == [FARMER, TRADER, FARMER, TRADER]
    replies = [record for record in log_of(whole) if isinstance(record, Reply)]
    for reply in replies:
        first = reply.prompt.messages[0]
        assert first.role == "system" and first.content.startswith(
            f"{persona[reply.key.rsplit('/', 1)[1]]}\n\nYou are one agent"
        )
    assert not play_run(tmp_path / "again", Fake(fail_at=7), **BOTH).is_complete
    resumed = play_run(tmp_path / "again", Fake(), **BOTH)
    assert facts(log_of(resumed)) == facts(log_of(whole)) and said(log_of(resumed)) == said(log_of(whole))
    assert all(state.is_exact for state in replay(whole.folder))
    study = agentsim.load(whole.folder)
    assert dict(zip(study.agents["agent"], study.agents["persona"], strict=True)) == persona
    assert "You are a cautious farmer." in render(study)


@pytest.mark.parametrize(("place", "n"), [("user", 1), ("none", 1), ("system", 2)])
def test_it_stands_at_the_start_wherever_the_rules_are_told(tmp_path: Path, place: str, n: int) -> None:
    seen: list[Prompt] = []

    def text(prompt: Prompt) -> str:
        seen.append(prompt)
        return answer(prompt)

    player = {"model": "fake/model", "system_prompt": place, "persona": FARMER}
    play_run(tmp_path, Fake(text=text), players=player, generations=1)
    assert {prompt.messages[0].role for prompt in seen} == {"system" if place == "system" else "user"}
    assert all(prompt.messages[0].content.startswith(f"{FARMER}\n\nYou are ") for prompt in seen)
    assert all(sum(FARMER in message.content for message in prompt.messages) == 1 for prompt in seen)
    assert min(len(prompt.messages) for prompt in seen) == n


@pytest.mark.parametrize("kind", ["advice", "one_parent", "copy", "none"])
@pytest.mark.parametrize("source", ["place", "parent"])
def test_a_newborn_has_the_persona_of_its_place_or_of_a_parent(tmp_path: Path, kind: str, source: str) -> None:
    transmission = {"kind": kind, "persona_from": source}
    result = play_run(tmp_path, Fake(), **BOTH, transmission=transmission, agents=6, generations=4)
    formed, n_of_parent = agents(result), 0
    living = [f"1_{n}" for n in range(1, 7)]
    for end in [record for record in log_of(result) if isinstance(record, GenerationEnded)][:-1]:
        left = sorted(set(living) - set(end.survivors))
        born = [name for name in formed if formed[name].generation == end.generation + 1]
        for vacancy, name in zip(left, sorted(born), strict=True):
            agent = formed[name].agent
            if source == "place":
                assert agent.persona == formed[vacancy].agent.persona
            else:
                of_parents = {formed[parent].agent.persona for parent in agent.parents}
                assert agent.persona in of_parents
                n_of_parent += agent.persona != formed[vacancy].agent.persona
        living = [*end.survivors, *born]
    assert (n_of_parent > 0) == (source == "parent")


def test_model_and_persona_come_from_one_parent(tmp_path: Path) -> None:
    players = [{"model": "fake/a", "persona": FARMER}, {"model": "fake/b", "persona": TRADER}]
    transmission = {"kind": "advice", "model_from": "parent", "persona_from": "parent"}
    result = play_run(tmp_path, Fake(), players=players, transmission=transmission, agents=8, generations=5)
    pairs = {(formed.agent.label, formed.agent.persona) for formed in agents(result).values()}
    assert pairs == {("fake/a", FARMER), ("fake/b", TRADER)}


def test_what_is_shown_and_planned_has_the_personas() -> None:
    condition = runs(scenario(**BOTH))[0].condition
    texts = {each.title: each.messages[0].content for each in shown(condition)}
    assert all(text.startswith((FARMER, TRADER)) for title, text in texts.items() if not title.startswith("after"))
    long = {"players": {"model": "fake/model", "persona": "farmer " * 300}}
    (bare,), (longer,) = plan(scenario()), plan(scenario(**long))
    assert (longer.input_tokens.low - bare.input_tokens.low) * 5 == pytest.approx(56 * 2101)  # with an empty line


def test_personas_vary_and_tell_players_apart_and_without_one_nothing_is_logged() -> None:
    varied = runs(scenario(vary={"players.persona": [None, FARMER, TRADER]}))
    assert len({spec.name for spec in varied}) == 3
    players = [{"model": "fake/a", "persona": TRADER}, {"model": "fake/a"}]
    assert (
        runs(scenario(players=players))[0].condition.labels[0]
        == "fake/a (persona You are a merchant. You like a bargain.)"
    )
    plain = runs(scenario())[0].condition
    assert "persona" not in str(identity(plain)) and digest(plain, seed=0) != digest(varied[1].condition, seed=0)


def test_the_log_states_the_personas_as_the_scenario_does(tmp_path: Path) -> None:
    result = play_run(tmp_path, Fake(), **BOTH)
    started = next(record for record in log_of(result) if isinstance(record, RunStarted))
    assert started.condition["players"]["persona"] == [FARMER, TRADER]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"players": {"model": "fake/m", "persona": []}}, "an empty list"),
        ({"players": {"model": "fake/m", "persona": " \x07 "}}, "a persona of 0 characters"),
        ({"players": {"model": "fake/m", "persona": "x" * 4001}}, "a persona of 4,001 characters"),
        ({"players": {"model": "fake/m", "persona": ["a", "b", "c", "d", "e"]}}, "5 personas for the 4 agents"),
        ({"players": {"model": "fake/m", "persona": 3}}, "players.persona"),
        ({"players": {"model": "scripted/all-keep", "persona": "a"}}, "persona"),
        (
            {
                "players": [{"model": "fake/m", "persona": "a"}, {"model": "fake/n"}],
                "transmission": {"kind": "copy"},
            },
            "the persona of one player and the model of another",
        ),
    ],
)
def test_what_cannot_be_a_persona_is_refused(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(ScenarioError, match=what):
        scenario(**changes)


def test_characters_that_nobody_sees_are_left_out() -> None:
    player = {"model": "fake/m", "persona": "  You are\u202e a \x1b[2Jfarmer.\n\nAnd old.\u2028 "}
    assert runs(scenario(players=player))[0].condition.personas[0] == "You are a [2Jfarmer.\n\nAnd old."


def test_a_probe_asks_each_strategy_as_the_persona_that_follows_it(tmp_path: Path) -> None:
    result = play_run(tmp_path, Fake(), **BOTH)
    own, design = designed(result.folder, Options(n=1, background="all-give"))
    persona = {subject.name: subject.persona for subject in design.subjects}
    assert set(persona.values()) == {FARMER, TRADER}
    found = probe(own, design, results=tmp_path, provider=Fake())
    replies = [record for record in log_of(found) if isinstance(record, Reply)]
    assert {reply.key.split("/")[0] for reply in replies} == {"probe", "score"}
    for reply in replies:
        assert reply.prompt.messages[0].content.startswith(f"{persona[reply.key.split('/')[1]]}\n\nYou are one agent")
    with pytest.raises(ScenarioError, match="none of several personas is theirs"):
        probe(*designed(result.folder, Options(children=1, name="born")), results=tmp_path, provider=Fake())
    with pytest.raises(ScenarioError, match="names several personas"):
        designed(scenario(**BOTH), Options(strategies=("to give",)))
    farmers = scenario(players={"model": "fake/model", "persona": FARMER}, name="farmers")
    _, stated = designed(farmers, Options(strategies=("to give",)))
    assert stated.subjects[0].persona == FARMER
