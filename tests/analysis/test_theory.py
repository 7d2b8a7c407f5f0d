from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import agentsim
from agentsim.analysis.theory import baselines
from agentsim.core.observation import Gossip
from agentsim.core.policies import AllGive, AllKeep, Discriminator, RandomShare, ScriptedPlayer
from agentsim.core.rules import SocietyRules
from agentsim.core.transmission import Copy
from agentsim.errors import ScenarioError
from agentsim.scenario.loading import scenario_from

SCENARIO = {
    "name": "small",
    "agents": 6,
    "generations": 3,
    "players": {"model": "scripted/discriminator"},
    "seeds": [0, 4],
}


def test_baselines_are_the_societies_that_are_run(tmp_path: Path) -> None:
    scenario = scenario_from(SCENARIO)
    study = agentsim.load(agentsim.run(scenario, results=tmp_path).folder)
    run = study.generations.merge(study.runs[["run", "seed"]], on="run").sort_values(["seed", "generation"])
    found = agentsim.baselines(scenario, {"own": Discriminator()}, seeds=[0, 4])
    assert found[["seed", "generation"]].values.tolist() == run[["seed", "generation"]].values.tolist()
    assert found["mean_final_resources"].tolist() == pytest.approx(run["mean_final_resources"].tolist(), rel=1e-12)
    assert found["players"].unique().tolist() == ["own"] and (found["share"] == 1).all()


def test_acts_that_fail_count_in_no_mean_of_giving_as_in_the_frames_of_a_run(tmp_path: Path) -> None:
    scenario = scenario_from({**SCENARIO, "game": {"kind": "donor", "rounds": 8, "error": 0.3}})
    study = agentsim.load(agentsim.run(scenario, results=tmp_path).folder)
    run = study.generations.merge(study.runs[["run", "seed"]], on="run").sort_values(["seed", "generation"])
    found = agentsim.baselines(scenario, {"own": Discriminator()}, seeds=[0, 4])
    assert found["mean_fraction"].tolist() == pytest.approx(run["mean_fraction"].tolist(), rel=1e-12)
    givers = agentsim.baselines(scenario, {"all": AllGive()}, seeds=range(5))
    assert givers["mean_fraction"].tolist() == pytest.approx([1.0] * 15)


GAMES = [
    {"game": {"kind": "matrix", "rounds": 8, "error": 0.2, "talk": {"rounds": 2}}},
    {"game": {"kind": "public_goods", "group": 3, "rounds": 4, "punishment": {"effect": 3}, "games": 2}},
    {"game": {"kind": "commons", "group": 3, "rounds": 4}},
    {"game": {"kind": "trust", "rounds": 6, "continuation": 0.5}},
    {"game": {"kind": "ultimatum", "rounds": 6}},
    {"game": {"kind": "dictator", "rounds": 6}, "transmission": {"kind": "none"}},
    {"game": {"kind": "donor", "rounds": 6, "talk": {}}},
]


@pytest.mark.parametrize("changes", GAMES, ids=lambda changes: str(changes["game"]["kind"]))
def test_every_game_is_played_as_it_is_run(tmp_path: Path, changes: dict[str, Any]) -> None:
    players = {"discriminator": Discriminator(), "random": RandomShare()}
    with pytest.warns(UserWarning, match="one by one") as told:
        found = agentsim.baselines(scenario_from({**SCENARIO, **changes}), players, seeds=[0, 4])
    assert len(told) == 1
    for name in players:
        scenario = scenario_from({**SCENARIO, **changes, "players": {"model": f"scripted/{name}"}})
        study = agentsim.load(agentsim.run(scenario, results=tmp_path / name).folder)
        run = study.generations.merge(study.runs[["run", "seed"]], on="run").sort_values(["seed", "generation"])
        own = found[found["players"] == name]
        assert own["mean_final_resources"].tolist() == pytest.approx(run["mean_final_resources"].tolist(), rel=1e-12)
        assert own["mean_fraction"].tolist() == pytest.approx(run["mean_level"].tolist(), rel=1e-12)


def test_the_yardsticks_are_played_by_default_and_bound_the_scores() -> None:
    found = baselines(scenario_from(SCENARIO), seeds=range(3))
    assert len(found) == 4 * 3 * 3
    means = found.groupby("players")["mean_final_resources"].mean()
    assert means["all keep"] == 10 and means["all give all"] == found["mean_final_resources"].max()
    assert found[found["players"] == "all give half"]["mean_fraction"].tolist() == pytest.approx([0.5] * 9)


def test_a_mixed_society_says_how_many_are_still_the_first_ones() -> None:
    rules = scenario_from(SCENARIO).model_copy(update={"transmission": Copy(), "generations": 12})
    mixed: list[ScriptedPlayer] = [AllGive(), AllKeep(), AllKeep(), AllGive(), AllKeep(), AllKeep()]
    found = baselines(rules, {"givers": mixed}, seeds=range(30))
    first, last = (found[found["generation"] == generation]["share"] for generation in (1, 12))
    assert first.tolist() == pytest.approx([1 / 3] * 30)
    assert last.mean() < 1 / 3 and set(last) <= {0, 1}
    with pytest.raises(ScenarioError, match="5 for 6 agents"):
        baselines(rules, {"few": mixed[:5]})


def test_what_is_played_one_by_one_is_said_once() -> None:
    rules = SocietyRules(agents=4, generations=2, observation=Gossip())
    with pytest.warns(UserWarning, match=r"observation.kind: 'gossip': societies are played one by one") as said:
        found = baselines(rules, {"a": AllGive(), "b": AllKeep()}, seeds=range(2))
    assert len(said) == 1 and len(found) == 8
    assert (found.loc[found["players"] == "b", "mean_final_resources"] == 10).all()
