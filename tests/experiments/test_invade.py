"""Invasions played: contestants as they are named, with logs and without, and what is known to come out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

import agentsim
from agentsim.analysis.invasions import Courses, Invasions, invasions
from agentsim.core.policies import AllGive, ConstantShare, Discriminator
from agentsim.errors import AgentsimError, LogError, ScenarioError
from agentsim.experiments.contestants import Contestant, contestants
from agentsim.experiments.invade import (
    Invasion,
    invasion,
    logged_courses,
    play_logged,
    play_unlogged,
    provenance,
    refuse_unlimited,
)
from agentsim.experiments.plan import plan
from agentsim.log.reading import read_log
from agentsim.log.records import Reply
from agentsim.play.replay import replay
from agentsim.scenario.loading import scenario_from
from agentsim.scenario.players import ModelPlayer
from agentsim.scenario.runs import runs
from tests.cli.test_cli import cli
from tests.orchestrator.test_study import Fake, facts, said

EXAMPLE = Path(agentsim.__file__).parent.parent / "results" / "example-model" / "qwen2.5-coder-1.5b--seed-0"
FAKE_ACCOUNT = 'providers={fake: {base_url: "http://127.0.0.1:9"}}'
POLICY = """
from typing import Literal

import agentsim
from agentsim.core.policies import ConstantShare


@agentsim.register
class Third(ConstantShare):
    \"\"\"Gives a third.\"\"\"

    model: Literal["scripted/workers-third"] = "scripted/workers-third"
    share: float = 1 / 3
"""
SMALL: dict[str, Any] = {"agents": 4, "sets": ["game.rounds=4", FAKE_ACCOUNT], "generations": 3, "seeds": "0-1"}


def scripted(*words: str, **options: Any) -> Invasion:
    return invasion(contestants([f"scripted/{word}" for word in words]), **options)


def outcomes(asked: Invasion) -> Invasions:
    return invasions(play_unlogged(asked))


def row(found: Invasions, *, resident: str, invader: str, is_neutral: bool = False) -> dict[Any, Any]:
    table = found.conditions
    own = table[(table["resident"] == resident) & (table["invader"] == invader) & (table["is_neutral"] == is_neutral)]
    assert len(own) == 1
    return own.to_dict("records")[0]


# --- what is known to come out -------------------------------------------------------------------------------------


def test_keepers_take_over_from_givers_and_givers_never_from_keepers() -> None:
    found = outcomes(scripted("all-keep", "all-give", seeds="0-59"))
    assert row(found, resident="all-give", invader="all-keep")["n_fixed"] == 60
    assert row(found, resident="all-keep", invader="all-give")["n_extinct"] == 60
    assert list(found.pairs["by_fixation"]) == list(found.pairs["by_fitness"]) == ["all-keep dominates"]


@pytest.mark.parametrize(
    ("resident", "meetings", "scores", "invades"),
    [
        # Eight agents, of whom each meets four others, with each `meetings` times; payoffs 5, 3, 1, 0 (T, R, P, S).
        ("all-give", 1, (72 / 7, 20), True),
        # Residents answer what was done to them: who keeps gets T once, then P; a pair of residents R each time.
        ("tit-for-tat", 1, ((4 * 9 + 3 * 12) / 7, 4 * 5), True),
        ("tit-for-tat", 2, ((4 * 19 + 3 * 24) / 7, 4 * (5 + 1)), True),
        # From here on R more often outweighs T once: m R > T + (m - 1) P for m > (T - P) / (R - P) = 2.
        ("tit-for-tat", 3, ((4 * 29 + 3 * 36) / 7, 4 * (5 + 2)), False),
    ],
)
def test_keepers_invade_givers_but_tit_for_tat_only_in_short_games(
    resident: str, meetings: int, scores: tuple[float, float], invades: bool
) -> None:
    rules = [
        f"game={{kind: matrix, table: prisoners-dilemma, rounds: {4 * meetings}}}",
        "pairing={kind: alternating}",
        "observation={kind: memory, depth: 4, of: partner}",
    ]
    courses = play_unlogged(scripted(resident, "all-keep", agents=8, sets=rules, seeds="0-11", control=False))
    assert courses.notes == (
        "game.kind: 'matrix', observation.kind: 'memory': societies were played one by one, which is slow",
    )
    [name] = courses.conditions.loc[courses.conditions["invader"] == "all-keep", "condition"]
    first = courses.courses[(courses.courses["condition"] == name) & (courses.courses["generation"] == 1)]
    assert len(first) == 12
    assert first["resident_score"].tolist() == pytest.approx([scores[0]] * 12)
    assert first["invader_score"].tolist() == pytest.approx([scores[1]] * 12)
    own = row(invasions(courses), resident=resident, invader="all-keep")
    assert own["n_fixed" if invades else "n_extinct"] == 12


def test_discriminators_and_keepers_hold_each_other_off() -> None:
    found = outcomes(scripted("all-keep", "discriminator", seeds="0-59"))
    for resident, invader in (("all-keep", "discriminator"), ("discriminator", "all-keep")):
        assert row(found, resident=resident, invader=invader)["verdict"] == "less"
    assert list(found.pairs["by_fixation"]) == ["each resists the other"]


@pytest.mark.parametrize("selection", ["top", "death_birth", "staggered", "proportional"])
def test_without_selection_k_of_n_fix(selection: str) -> None:
    options = {"selection": selection, "invaders": 2, "agents": 6, "generations": 100, "seeds": "0-199"}
    found = outcomes(scripted("all-keep", "all-give", sets=["game.rounds=4"], **options))
    assert found.conditions["is_neutral"].sum() == 2
    for resident, invader in (("all-keep", "all-give"), ("all-give", "all-keep")):
        control = row(found, resident=resident, invader=invader, is_neutral=True)
        assert control["n_censored"] <= 2 and control["neutral"] == pytest.approx(1 / 3)
        assert control["low"] < 1 / 3 < control["high"]
        assert row(found, resident=resident, invader=invader)["verdict"] == (
            "more" if invader == "all-keep" else "less"
        )


@pytest.mark.parametrize("selection", ["top", "death_birth"])
def test_twins_fix_as_often_as_chance_even_under_selection(selection: str) -> None:
    twins = [Contestant(ConstantShare(), "one"), Contestant(ConstantShare(), "other")]
    options = {"agents": 6, "generations": 100, "seeds": "0-399", "sets": ["game.rounds=4"]}
    found = outcomes(invasion(twins, selection=selection, control=False, **options))  # type: ignore[arg-type]
    assert len(found.conditions) == 2 and set(found.conditions["verdict"]) == {"cannot say"}
    for each in found.conditions.to_dict("records"):
        assert each["n_censored"] == 0 and binomtest(each["n_fixed"], each["n_runs"], 1 / 6).pvalue > 0.01


def test_what_is_not_decided_in_time_is_censored() -> None:
    found = outcomes(scripted("all-keep", "all-give", selection="death_birth", generations=3, seeds="0-19"))
    open_ = row(found, resident="all-give", invader="all-keep")
    assert open_["n_censored"] > 0 and open_["n_fixed"] == 0  # in two births one of 12 cannot become all
    assert open_["rate_high"] == pytest.approx(open_["n_censored"] / 20)
    ended = found.runs[found.runs["outcome"] == "censored"]
    assert (ended["generation"] == 3).all() and ended["n_invaders"].between(1, 11).all()


# --- with logs and without -----------------------------------------------------------------------------------------


def told(courses: Courses) -> tuple[pd.DataFrame, pd.DataFrame]:
    conditions = courses.conditions.drop(columns="rules").sort_values("condition", ignore_index=True)
    return conditions, courses.courses.sort_values(["condition", "seed", "generation"], ignore_index=True)


@pytest.mark.parametrize("selection", ["top", "death_birth"])
def test_societies_without_logs_are_those_of_the_logs(tmp_path: Path, selection: str) -> None:
    asked = scripted("all-keep", "discriminator", "random", selection=selection, agents=6, generations=9, seeds="0-1")
    logged = told(logged_courses(play_logged(asked, results=tmp_path)))
    unlogged = told(play_unlogged(asked))
    pd.testing.assert_frame_equal(logged[0], unlogged[0])
    pd.testing.assert_frame_equal(logged[1], unlogged[1], rtol=1e-12)


def test_provenance_is_enough_to_play_it_again() -> None:
    asked = scripted("all-keep", "all-give", seeds="0-2")
    kept = json.loads(json.dumps(provenance(asked)))
    again = scenario_from(kept["scenario"])
    assert again == asked.scenario() and again.seeds == (0, 1, 2)
    assert set(kept["digests"]) == set(play_unlogged(asked).conditions["condition"])
    assert {"agentsim", "numpy", "python"} <= set(kept["versions"])


def test_an_invasion_is_a_study_as_any_other(tmp_path: Path) -> None:
    result = play_logged(scripted("all-keep", "all-give", agents=4, generations=3, seeds="0-1"), results=tmp_path)
    assert all(state.is_exact for state in replay(result.folder))
    study = agentsim.load(result.folder)
    assert set(study.agents["model"]) == {
        f"scripted/{policy} ({role})" for policy in ("all-keep", "all-give") for role in ("resident", "invader")
    }
    assert {run.partition("--")[0] for run in study.runs["run"]} == {
        "all-keep-resident-all-give-invader",
        "all-give-resident-all-keep-invader",
    }


# --- frozen strategies ---------------------------------------------------------------------------------------------


def test_the_best_strategy_of_a_generation_is_frozen_or_a_named_one_or_all() -> None:
    study = agentsim.load(EXAMPLE.parent)
    own = study.agents[(study.agents["run"] == EXAMPLE.name) & (study.agents["generation"] == 3)]
    best = own.sort_values("score", ascending=False).iloc[0]
    found = contestants([f"{EXAMPLE}@last", "scripted/all-keep"])[0]
    assert isinstance(found.player, ModelPlayer) and found.player.strategy == best["strategy"]
    assert found.player.model == "local/qwen2.5-coder-1.5b" and found.player.max_tokens == 200
    assert found.name == f"qwen2.5-coder-1.5b seed-0-g3-{best['agent']}"
    agent = own["agent"].iloc[-1]
    named = contestants([f"{EXAMPLE}@3/{agent}", "scripted/all-keep"], model="fake/model")[0].player
    assert isinstance(named, ModelPlayer) and named.model == "fake/model"
    assert named.strategy == own["strategy"].iloc[-1]
    first = study.agents[(study.agents["run"] == EXAMPLE.name) & (study.agents["generation"] == 1)]
    every = [each.player for each in contestants([f"{EXAMPLE}@1/all"])]
    assert len(every) > 1 and [player.strategy for player in every if isinstance(player, ModelPlayer)] == list(
        first.sort_values("score", ascending=False)["strategy"].drop_duplicates()
    )


def test_frozen_strategies_are_followed_and_never_asked_for(tmp_path: Path) -> None:
    options = {**SMALL, "sets": [*SMALL["sets"], "on_invalid.attempts=1"]}
    asked = invasion(contestants([f"{EXAMPLE}@last", "scripted/all-keep"], model="fake/model"), **options)
    result = play_logged(asked, results=tmp_path, provider=Fake())
    assert result.is_complete and not asked.is_scripted
    study = agentsim.load(result.folder)
    model = study.agents[study.agents["model"].str.startswith("fake/")]
    player = asked.contestants[0].player
    assert isinstance(player, ModelPlayer) and set(model["strategy"]) == {player.strategy}
    assert not study.replies["key"].str.contains("/strategy/").any() and len(study.replies)
    found = invasions(logged_courses(result))
    assert set(found.conditions["is_neutral"]) == {False}  # what comes of it is known, so models are not asked
    assert (found.conditions["n_runs"] == 2).all() and (found.conditions["share_lost"] > 0).any()
    assert any("could not be read" in note for note in found.notes)


def test_killed_and_run_again_it_ends_as_if_nothing_had_been(tmp_path: Path) -> None:
    asked = invasion(contestants([f"{EXAMPLE}@last", "scripted/all-keep"], model="fake/model"), **SMALL)
    fake = Fake()
    whole = play_logged(asked, results=tmp_path / "whole", provider=fake)
    for fail_at in (1, fake.n_calls // 2, fake.n_calls):
        broken = play_logged(asked, results=tmp_path / str(fail_at), provider=Fake(fail_at=fail_at))
        assert not broken.is_complete
        resumed = play_logged(asked, results=tmp_path / str(fail_at), provider=Fake())
        assert resumed.is_complete
        for state in whole.runs:
            logs = [read_log(folder / state.run).records for folder in (whole.folder, resumed.folder)]
            assert facts(logs[0]) == facts(logs[1]) and said(logs[0]) == said(logs[1])
        pd.testing.assert_frame_equal(logged_courses(resumed).courses, logged_courses(whole).courses)


def test_runs_that_are_not_complete_are_left_out_and_named(tmp_path: Path) -> None:
    asked = invasion(contestants([f"{EXAMPLE}@last", "scripted/all-keep"], model="fake/model"), **SMALL)
    whole = Fake()
    play_logged(asked, results=tmp_path / "whole", provider=whole)
    broken = play_logged(asked, results=tmp_path / "broken", provider=Fake(fail_at=whole.n_calls))
    n_complete = sum(state.status == "complete" for state in broken.runs)
    assert 0 < n_complete < len(broken.runs)
    found = invasions(logged_courses(broken))
    assert found.conditions["n_runs"].sum() == n_complete
    assert any("left out, not complete" in note for note in found.notes)


def test_runs_of_other_invasions_in_the_folder_are_passed_over(tmp_path: Path) -> None:
    play_logged(scripted("all-keep", "all-give", agents=4, generations=3, seeds="0-1"), results=tmp_path)
    result = play_logged(scripted("all-keep", "random", agents=4, generations=3, seeds="0-1"), results=tmp_path)
    assert set(logged_courses(result).conditions["resident"]) == {"all-keep", "random"}


def test_hostile_strategies_are_only_words(tmp_path: Path) -> None:
    path = tmp_path / "players.yaml"
    hostile = 'strategy: "\\e[2J[red]{{ 1 }} $x$ \\u202E <script> Answer: 100%"'
    path.write_text(f"keen: {{model: fake/model, {hostile}}}\nplain: {{model: scripted/all-give}}\n")
    asked = invasion(contestants([str(path)]), **SMALL)
    assert [each.name for each in asked.contestants] == ["model keen", "all-give plain"]
    result = play_logged(asked, results=tmp_path, provider=Fake())
    replies = [
        record
        for state in result.runs
        for record in read_log(result.folder / state.run).records
        if isinstance(record, Reply)
    ]
    assert result.is_complete and any("{{ 1 }}" in reply.prompt.messages[-1].content for reply in replies)
    assert len(invasions(logged_courses(result)).conditions) == 2


# --- mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["scripted/all-kep", "scripted/all-give"], "did you mean 'scripted/all-keep'"),
        (["all-keep", "scripted/all-give"], "did you mean 'scripted/all-keep'"),
        (["scripted/all-keep"], "two contestants"),
        (["scripted/all-keep", "scripted/all-keep"], "takes part twice"),
        (["scripted/constant-share:shar=1", "scripted/all-give"], "did you mean 'share'"),
        (["scripted/constant-share:share=2", "scripted/all-give"], "from 0 to 1"),
        (["scripted/constant-share:share=0.2,", "scripted/all-give"], "not a setting"),
        (["scripted/all-keep:name=x", "scripted/all-give"], "decided by the invasion"),
        (["missing.yaml", "scripted/all-give"], "cannot be read"),
        ([f"{EXAMPLE}@9", "scripted/all-give"], "has 3 generations"),
        ([f"{EXAMPLE}@3/9_9", "scripted/all-give"], "no agent 9_9"),
        ([f"{EXAMPLE}x@3", "scripted/all-give"], "has no run"),
    ],
)
def test_a_wrong_contestant_is_told_in_one_sentence(words: list[str], message: str) -> None:
    with pytest.raises(AgentsimError, match=message):
        contestants(words)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"invaders": 12}, "1 to 11 can be invaders"),
        ({"invaders": 0}, "1 to 11 can be invaders"),
        ({"selection": "death_brith"}, "did you mean 'death_birth'"),
        ({"selection": "moran"}, "'moran' has another name now; write death_birth .* or birth_death"),
        ({"selection": "none"}, "nothing can invade"),
        ({"sets": ["transmission.kind=advice"]}, "decided by the invasion"),
        ({"seeds": "5-1"}, "not a range of seeds"),
        ({"sets": ["vary={pairing.kind: [random]}"], "rules": Path("scenarios/quickstart.yaml")}, "varies nothing"),
    ],
)
def test_wrong_options_are_told_in_one_sentence(
    options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(EXAMPLE.parent.parent.parent)
    with pytest.raises(ScenarioError, match=message):
        scripted("all-keep", "all-give", **options)


def test_strategies_are_taken_from_complete_runs_only(tmp_path: Path) -> None:
    data = scenario_from({"name": "short", "agents": 4, "generations": 3, "players": {"model": "scripted/random"}})
    folder = agentsim.run(data, results=tmp_path).folder / runs(data)[0].name
    log = (folder / "log.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "log.jsonl").write_bytes(b"".join(log[:40]))
    with pytest.raises(LogError, match="complete runs only"):
        contestants([f"{folder}@1", "scripted/all-give"])


def test_societies_that_cannot_be_played_at_once_are_played_one_by_one_and_that_is_said_once() -> None:
    asked = scripted("all-keep", "all-give", **{**SMALL, "sets": ["game.rounds=4", "observation={kind: gossip}"]})
    found = play_unlogged(asked)
    assert found.notes == ("observation.kind: 'gossip': societies were played one by one, which is slow",)
    assert found.notes[0] in invasions(found).notes
    shown = scripted("all-keep", "all-give", **{**SMALL, "sets": ["game.rounds=4"]})
    pd.testing.assert_frame_equal(found.courses, play_unlogged(shown).courses)
    assert not play_unlogged(shown).notes


def test_any_number_of_workers_finds_the_same_bit_for_bit_and_knows_the_users_own_policies(tmp_path: Path) -> None:
    own = tmp_path / "sharing_by_workers.py"
    own.write_text(POLICY)
    agentsim.load_plugin(own)
    asked = scripted("workers-third", "discriminator", agents=6, seeds="0-9", generations=4)
    alone, shared = play_unlogged(asked), play_unlogged(asked, workers=2)
    pd.testing.assert_frame_equal(alone.courses, shared.courses, check_exact=True)
    pd.testing.assert_frame_equal(alone.conditions, shared.conditions, check_exact=True)
    for condition, societies in alone.first.items():
        for one, other in zip(societies, shared.first[condition], strict=True):
            for part in ("values", "counts", "is_first"):
                assert np.array_equal(getattr(one, part), getattr(other, part))
    rules, players = asked.specs()[0].condition, {"all give": AllGive(), "discriminate": Discriminator()}
    found = agentsim.baselines(rules, players, seeds=range(1100))
    pd.testing.assert_frame_equal(
        found, agentsim.baselines(rules, players, seeds=range(1100), workers=2), check_exact=True
    )
    with pytest.raises(ScenarioError, match="workers=0: there must be at least 1"):
        play_unlogged(asked, workers=0)


def test_models_that_cost_money_need_a_cap() -> None:
    named = contestants(["openai/gpt-4o-2024-08-06", "scripted/all-keep"])
    asked = invasion(named, agents=4, generations=2, seeds="0")
    with pytest.raises(ScenarioError, match="--max-cost"):
        refuse_unlimited(plan(asked.scenario()), budget=None)
    refuse_unlimited(plan(asked.scenario()), budget=1.0)


def test_rules_come_from_a_scenario_and_settings_over_it(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(
        "name: rules\nagents: 8\ngenerations: 7\nplayers: {model: openai/gpt-4o, temperature: 0.3}\n"
        "selection: {kind: top, fraction: 0.25}\ngame: {multiplier: 3}\ntransmission: {kind: advice}\n"
    )
    asked = scripted("all-keep", "all-give", rules=path, sets=["game.rounds=4"])
    made = asked.scenario()
    assert (made.agents, made.generations, made.donor_game.multiplier, made.game.rounds) == (8, 7, 3, 4)
    assert made.transmission.kind == "copy" and made.transmission.model_from == "parent"
    selections = [spec.condition.selection for spec in asked.specs()]
    assert {(rule.kind, getattr(rule, "fraction", None)) for rule in selections} == {("top", 0.25), ("drift", 0.25)}


# --- the command ---------------------------------------------------------------------------------------------------


def test_the_command_tells_who_invades_whom_and_leaves_files(tmp_path: Path) -> None:
    words = ("scripted/all-keep", "scripted/all-give", "--agents", "6", "--seeds", "0-49")
    done = cli("invade", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "all-keep dominates" in done.stdout and "no logs were kept" in done.stdout
    folder = tmp_path / "results" / "invasion" / "invasion"
    assert {"invasions.csv", "matrix.svg", "matrix.png", "played.json"} <= {path.name for path in folder.iterdir()}
    logged = cli("invade", *words[:4], "--seeds", "0", "--log", "--name", "logged", cwd=tmp_path)
    assert logged.returncode == 0 and (tmp_path / "results" / "logged" / "study.json").exists()
    planned = cli("invade", "openai/gpt-4o-2024-08-06", "scripted/all-keep", "--agents", "4", "--plan", cwd=tmp_path)
    assert planned.returncode == 0 and "What it will take" in planned.stdout
    refused = cli("invade", "openai/gpt-4o-2024-08-06", "scripted/all-keep", "--agents", "4", cwd=tmp_path)
    assert refused.returncode == 2 and "--max-cost" in refused.stderr and "Traceback" not in refused.stderr
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["invasion", "logged"]
