"""A user's own accounts and limits, under those of every scenario."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentsim.errors import ScenarioError
from agentsim.scenario.conditions import digest
from agentsim.scenario.loading import scenario_from
from agentsim.scenario.runs import runs
from agentsim.scenario.user_settings import settings_file, with_own
from tests.orchestrator.test_study import SMALL


def own(tmp_path: Path, text: str) -> dict[str, str]:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return {"AGENTSIM_CONFIG": str(path)}


def test_the_scenarios_settings_go_over_the_users(tmp_path: Path) -> None:
    environ = own(tmp_path, "providers: {openai: {requests_per_minute: 500, concurrency: 8}}")
    found = with_own({"openai": {"concurrency": 4}, "vllm": {"base_url": "http://127.0.0.1:1/v1"}}, environ=environ)
    assert found["openai"] == {"requests_per_minute": 500, "concurrency": 4}
    assert found["vllm"] == {"base_url": "http://127.0.0.1:1/v1"}


def test_without_a_file_nothing_is_added(tmp_path: Path) -> None:
    assert with_own({"a": {"concurrency": 1}}, environ={"XDG_CONFIG_HOME": str(tmp_path)}) == {"a": {"concurrency": 1}}


def test_an_account_of_the_users_can_play_and_changes_no_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {key: value for key, value in SMALL.items() if key != "providers"}
    with pytest.raises(ScenarioError, match="no provider is called 'fake'"):
        scenario_from(data)
    path = own(tmp_path, "providers: {fake: {base_url: 'http://127.0.0.1:9'}}")["AGENTSIM_CONFIG"]
    monkeypatch.setenv("AGENTSIM_CONFIG", path)
    mine, stated = (runs(scenario_from(what))[0] for what in (data, SMALL))
    assert digest(mine.condition, seed=0) == digest(stated.condition, seed=0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("provider: {}", r"config\.yaml:1:1.*'provider' is no setting of yours"),
        ("providers: [openai]", "must hold accounts"),
        ("providers: {openai: 5}", "must hold settings"),
        ("providers: {openai: {requests_per_minute: 0}}", r"requests_per_minute"),
        ("providers: {openai: {concurency: 3}}", r"concurency"),
        ("providers: {mine: {concurrency: 3}}", r"base_url is missing"),
        ("providers: {openai: {hedge: {after: p100}}}", r"write one of p50 to p99"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ScenarioError, match=sentence):
        with_own({}, environ=own(tmp_path, text))


def test_a_file_that_was_named_and_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="cannot be read"):
        with_own({}, environ={"AGENTSIM_CONFIG": str(tmp_path / "none.yaml")})


def test_where_the_file_is() -> None:
    assert settings_file({"AGENTSIM_CONFIG": "/a.yaml"}) == Path("/a.yaml")
    assert settings_file({"XDG_CONFIG_HOME": "/x"}) == Path("/x/agentsim/config.yaml")
    assert settings_file({}) == Path.home() / ".config/agentsim/config.yaml"
