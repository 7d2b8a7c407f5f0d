"""Several players in one society, from the scenario file to logs, dataframes and comparisons."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import agentsim
from agentsim.analysis.apart import players_apart
from agentsim.analysis.measures import by_model, with_records
from agentsim.errors import LogError, ScenarioError
from agentsim.experiments.plan import plan
from agentsim.log.reading import read_log
from agentsim.log.records import Reply, RunStarted
from agentsim.play.preview import shown
from agentsim.play.replay import replay
from agentsim.prompts.sets import READER
from agentsim.providers.base import Prompt
from agentsim.scenario.runs import runs
from tests.orchestrator.test_study import Fake, answer, facts, log_of, said, scenario
from tests.orchestrator.test_study import play as play_run

PLAYERS: list[dict[str, Any]] = [
    {"model": "fake/bright", "agents": 2},
    {"model": "fake/dim", "agents": 2, "temperature": 0.1, "strategy": "to keep {{ all }} \u2028 of it"},
    {"model": "scripted/constant-share", "share": 0.25, "agents": 2},
]
MIXED: dict[str, Any] = {"agents": 6, "players": PLAYERS, "generations": 3}


def test_a_mixed_society_plays_resumes_and_replays(tmp_path: Path) -> None:
    whole = play_run(tmp_path / "whole", Fake(), **MIXED)
    assert whole.is_complete
    for fail_at in (1, 5, 20, 40):
        folder = tmp_path / str(fail_at)
        assert not play_run(folder, Fake(fail_at=fail_at), **MIXED).is_complete
        resumed = play_run(folder, Fake(), **MIXED)
        assert resumed.is_complete
        assert facts(log_of(resumed)) == facts(log_of(whole)) and said(log_of(resumed)) == said(log_of(whole))
    assert all(state.is_exact for state in replay(whole.folder))


def test_each_is_asked_as_its_player_says(tmp_path: Path) -> None:
    seen: dict[str, set[float | None]] = {}

    def text(prompt: Prompt) -> str:
        seen.setdefault(prompt.model, set()).add(prompt.sampling.temperature)
        return answer(prompt)

    result = play_run(tmp_path, Fake(text=text), **MIXED)
    assert seen == {"bright": {0.8}, "dim": {0.1}}
    replies = [record for record in log_of(result) if isinstance(record, Reply)]
    assert {(reply.player, reply.prompt.model) for reply in replies} == {("fake/bright", "bright"), ("fake/dim", "dim")}
    assert not any("/strategy/1_3" in reply.key or "/strategy/1_4" in reply.key for reply in replies)


def test_frames_know_the_model_of_every_agent_and_encounter(tmp_path: Path) -> None:
    study = agentsim.load(play_run(tmp_path, Fake(), **MIXED).folder, cache=False)
    labels = {"fake/bright", "fake/dim", "scripted/constant-share"}
    assert set(study.runs["model"]) == {"fake/bright + fake/dim + scripted/constant-share"}
    assert set(study.agents["model"]) == labels == set(study.encounters["donor_model"])
    models = study.agents.drop_duplicates("agent").set_index("agent")["model"]
    for role in ("donor", "recipient"):
        assert (study.encounters[f"{role}_model"] == study.encounters[role].map(models)).all()
    assert set(study.replies["player"]) == {"fake/bright", "fake/dim"}
    own = study.encounters[study.encounters["donor_model"] == "scripted/constant-share"]
    assert (own["fraction"] == 0.25).all()


def test_measures_by_model_are_those_of_its_agents(tmp_path: Path) -> None:
    study = agentsim.load(play_run(tmp_path, Fake(), **MIXED).folder, cache=False)
    found = by_model(study.agents, study.encounters).set_index(["generation", "model"])
    assert (found.groupby("generation")["n_agents"].sum() == 6).all()
    scripted = found.xs("scripted/constant-share", level="model")
    assert (scripted["mean_fraction"] == 0.25).all() and (scripted["n_lost"] == 0).all()
    first = study.agents[(study.agents["generation"] == 1) & (study.agents["model"] == "fake/dim")]
    assert found.loc[(1, "fake/dim"), "mean_score"] == pytest.approx(first["score"].mean())
    assert found["n_survived"].isna().to_numpy().tolist() == [generation == 3 for generation, _ in found.index]
    dim = study.encounters[(study.encounters["donor_model"] == "fake/dim") & (study.encounters["generation"] == 1)]
    to_others = dim[(dim["recipient_model"] != "fake/dim") & (dim["act"] == "give")]["fraction"].mean()
    assert found.loc[(1, "fake/dim"), "to_others"] == pytest.approx(to_others)


def test_models_that_share_societies_are_compared_within_them(tmp_path: Path) -> None:
    result = play_run(tmp_path, Fake(), **{**MIXED, "seeds": list(range(6))})
    study = agentsim.load(result.folder, cache=False)
    apart = players_apart(study)
    assert len(apart.runs) == 18 and set(apart.runs["model"]) == set(study.agents["model"])
    last = study.agents[study.agents["generation"] == 3].groupby(["run", "model"])["score"].mean()
    for row in apart.runs.to_dict("records"):
        run, _, model = row["run"].partition(": ")
        assert row["mean_final_resources"] == pytest.approx(last[run, model])
    found = agentsim.compare(study, by="player")
    assert list(found.groups["group"]) == ["fake/bright", "fake/dim", "scripted/constant-share"]
    assert set(found.table["design"]) == {"within"} and set(found.table["n_first"]) == {6}


def test_every_measure_of_parts_is_one_by_model(tmp_path: Path) -> None:
    players = [
        {"model": "scripted/discriminator", "share": 0.6, "threshold": 0.5},
        {"model": "scripted/constant-share", "share": 0.2},
        {"model": "scripted/random"},
    ]
    result = play_run(tmp_path, Fake(), players=players, agents=12, game={"kind": "donor", "rounds": 20})
    study = agentsim.load(result.folder, cache=False)
    apart = agentsim.players_apart(study)
    found = {str(row["model"]): row for row in agentsim.summary(apart).to_dict("records")}
    assert len(found) == 3
    assert found["scripted/constant-share"]["mean_fraction"] == pytest.approx(0.2)
    assert found["scripted/constant-share"]["slope"] == pytest.approx(0, abs=1e-9)
    # What discriminators were shown is what all gave, not discriminators alone.
    assert found["scripted/discriminator"]["slope"] > 0.5
    whole = with_records(study.encounters)
    for (run, generation), own in apart.encounters.groupby(["run", "generation"]):
        there = (whole["donor_model"] == str(run).partition(": ")[2]) & (whole["generation"] == generation)
        assert own["recipient_record"].tolist() == whole[there]["recipient_record"].tolist()
    assert apart.resources["run"].nunique() == apart.agents["run"].nunique() == 3


def test_a_model_that_died_out_has_no_score_and_that_is_said(tmp_path: Path) -> None:
    players = [{"model": "scripted/all-keep"}, {"model": "scripted/all-give"}, {"model": "scripted/constant-share"}]
    changes = {"players": players, "agents": 6, "generations": 4, "transmission": {"kind": "copy"}}
    study = agentsim.load(play_run(tmp_path, Fake(), **{**changes, "seeds": list(range(6))}).folder, cache=False)
    apart = players_apart(study)
    gone = apart.runs[apart.runs["mean_final_resources"].isna()]
    assert len(gone) and not (apart.runs["mean_final_resources"] == 0).any()
    try:
        notes = agentsim.compare(study, by="player").notes
    except LogError as error:
        notes = (str(error),)
    assert any("died out" in note or "agents left at the end" in note for note in notes)


def test_the_log_says_which_account_answered_for_whom(tmp_path: Path) -> None:
    players = [{"model": "openai/gpt-4o-2024-08-06"}, {"model": "scripted/all-keep"}, {"model": "mine/model"}]
    data: dict[str, Any] = {
        "name": "accounts",
        "agents": 6,
        "players": players,
        "seeds": [0],
        "generations": 1,
        "providers": {"mine": {"base_url": "http://127.0.0.1:9/v1", "prices": {"model": {"input": 1, "output": 2}}}},
    }
    (one,) = plan(agentsim.scenario_from(data))
    assert one.usd is not None and one.usd.high > one.usd.low > 0 and one.calls.low == 4 + 2 * 12 * 2
    started = RunStarted(
        study="s",
        run="r",
        seed=0,
        digest="",
        settings={},
        prompts_digest="",
        versions={},
        condition={"players": players},
        reader=READER,
        accounts={"mine/model": {"dialect": "openai", "price": {"input": 1, "output": 2, "source": "stated"}}},
        time="",
    )
    assert started.is_paid and started.players == ["openai/gpt-4o-2024-08-06", "scripted/all-keep", "mine/model"]
    assert started.account_of("mine/model")["dialect"] == "openai" and started.account_of("scripted/all-keep") == {}


def test_parts_may_be_numbers_shares_or_nothing() -> None:
    def counts(*agents: float | None) -> list[int]:
        names = ["all-keep", "all-give", "random"]
        own = [
            {"model": f"scripted/{name}"} | ({} if part is None else {"agents": part})
            for name, part in zip(names, agents, strict=False)
        ]
        (spec,) = runs(scenario(agents=8, players=own))
        return [spec.condition.labels.count(label) for label in spec.condition.by_label]

    assert counts(6, 2) == [6, 2] and counts(0.75, 0.25) == [6, 2] and counts(None, None) == [4, 4]
    assert sorted(counts(None, None, None)) == [2, 3, 3] and counts(0.7, 0.3) == [6, 2]


def test_two_players_of_one_model_are_told_apart_by_what_differs_or_by_their_names() -> None:
    players = [{"model": "scripted/constant-share", "share": 0.2}, {"model": "scripted/constant-share", "share": 0.7}]
    assert list(runs(scenario(players=players))[0].condition.by_label) == [
        "scripted/constant-share (share 0.2)",
        "scripted/constant-share (share 0.7)",
    ]
    named = [{**player, "name": name} for player, name in zip(players, ("resident", "invader"), strict=True)]
    (spec,) = runs(scenario(players=named))
    assert list(spec.condition.by_label)[1] == "scripted/constant-share (invader)"
    assert spec.name == "constant-share-resident-constant-share-invader--seed-0"


def test_varied_societies_are_named_by_who_plays_and_how_many() -> None:
    keep, give = {"model": "scripted/all-keep"}, {"model": "scripted/all-give"}
    lists = [[{**keep, "agents": n}, {**give, "agents": 4 - n}] for n in (1, 3)]
    names = {spec.name for spec in runs(scenario(players=keep, vary={"players": [*lists, give]}))}
    assert names == {"all-keep-1-all-give-3--seed-0", "all-keep-3-all-give-1--seed-0", "all-give--seed-0"}


@pytest.mark.parametrize(
    ("players", "what"),
    [
        ([], "an empty list"),
        ([{"model": "scripted/all-keep", "agents": 3}, {"model": "scripted/all-give", "agents": 3}], "play 6 agents"),
        (
            [{"model": "scripted/all-keep", "agents": 0.5}, {"model": "scripted/all-give", "agents": 0.4}],
            "add up to 0.9",
        ),
        (
            [{"model": "scripted/all-keep", "agents": 2}, {"model": "scripted/all-give", "agents": 0.5}],
            "all as numbers",
        ),
        ([{"model": "scripted/all-keep", "agents": 2}, {"model": "scripted/all-give"}], "say for each player"),
        ([{"model": "scripted/all-keep", "agents": 0.99}, {"model": "scripted/all-give", "agents": 0.01}], "is nobody"),
        ([{"model": "scripted/all-keep"}, {"model": "scripted/all-keep"}], "is listed twice"),
        ({"model": "scripted/all-keep", "agents": 4}, "make `players` a list"),
        ([{"model": "fake/m"}, {"model": "fake/n", "answer_format": "json"}], "answer alike"),
        ([{"model": "fake/m"}, {"model": "scripted/all-kep"}], "did you mean 'scripted/all-keep'"),
        ([{"model": "fake/m"}, {"model": "nobody/m"}], "no provider is called 'nobody'"),
        ([{"model": "fake/m"}, {"model": "fake/n", "temperture": 1}], "did you mean 'temperature'"),
        ([{"model": "fake/m"}, {"model": "fake/n", "agents": -1}], "agents"),
        ([{"model": "fake/m", "name": "A\u202eb"}, {"model": "fake/n"}], "name"),
    ],
)
def test_what_no_society_can_be_is_refused_with_a_reason(players: object, what: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        scenario(players=players)
    assert what in str(caught.value)


def test_one_model_on_the_command_line_takes_the_place_of_all(tmp_path: Path) -> None:
    path = tmp_path / "mixed.yaml"
    path.write_text("name: m\nagents: 4\nplayers: [{model: scripted/all-keep}, {model: scripted/all-give}]\n")
    assert runs(agentsim.load_scenario(path, model="openai/gpt-5.1"))[0].condition.joint_label == "openai/gpt-5.1"
    assert (
        runs(agentsim.load_scenario(path))[0].condition.labels
        == ("scripted/all-keep",) * 2 + ("scripted/all-give",) * 2
    )


def test_what_a_survivor_reads_is_shown_before_it_is_paid_for_and_needs_its_template(tmp_path: Path) -> None:
    (spec,) = runs(scenario(transmission={"kind": "advice", "rewrite": True}))
    texts = {each.title: each.messages[-1].content for each in shown(spec.condition, generation=2, round=1)}
    (kept,) = [text for title, text in texts.items() if "survivor" in title]
    assert "Your strategy so far" in kept and "the other agent that lives on" in kept
    default = Path(agentsim.__file__).parent / "prompts" / "default"
    own = Path(shutil.copytree(default, tmp_path / "own", ignore=shutil.ignore_patterns("kept-strategy.md")))
    assert play_run(tmp_path, Fake(), prompts=str(own)).is_complete
    with pytest.raises(ScenarioError, match=r"kept-strategy\.md: is missing"):
        play_run(tmp_path / "2", Fake(), prompts=str(own), transmission={"kind": "advice", "rewrite": True})


def test_rewritten_strategies_are_those_of_their_generation_in_the_frames(tmp_path: Path) -> None:
    result = play_run(tmp_path, Fake(), transmission={"kind": "advice", "rewrite": True}, agents=6)
    study = agentsim.load(result.folder, cache=False)
    records = read_log(result.folder / result.runs[0].run).records
    formed = {
        (record.generation, record.agent.id): record.agent.strategy
        for record in records
        if record.type == "strategy_formed"
    }
    found = study.agents.set_index(["generation", "agent"])["strategy"]
    assert len(found) == len(formed) == 18
    assert all(
        (None if value is None else value) == (None if found.isna()[key] else found[key])
        for key, value in formed.items()
    )
    assert all(state.is_exact for state in replay(result.folder))
