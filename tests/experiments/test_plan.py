"""Plans: what they say is what then happens."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import agentsim
from agentsim.cli.tables.plan import plan_table
from agentsim.experiments.plan import Range, plan
from agentsim.providers.base import Completion, Prompt, Usage, n_bytes
from agentsim.providers.ledger import most_usd
from agentsim.providers.prices import Price
from agentsim.testing import FunctionProvider
from tests.orchestrator.games import PUBLIC_GOODS, asked_for, played
from tests.orchestrator.test_study import scenario

ROOT = Path(__file__).parent.parent.parent
PLAYED = "local/qwen2.5-coder-1.5b"
"""The model of the finished study."""


def test_the_published_experiment_asks_1506_questions_a_run() -> None:
    scenario = agentsim.load_scenario(ROOT / "scenarios" / "donor-game.yaml", model="openai/gpt-4o-2024-08-06")
    [one] = plan(scenario)
    assert (one.n_runs, one.n_questions) == (5, 5 * 1506)
    assert one.calls.low == 5 * 1506 and one.usd is not None and 0 < one.usd.low < one.usd.high


def test_a_finished_study_lies_in_the_interval_that_was_planned_without_it() -> None:
    study = agentsim.load(ROOT / "results" / "example-model")
    [one] = plan(agentsim.load_scenario(ROOT / "scenarios" / "quickstart.yaml", model=PLAYED, seeds="0-1"))
    for name, interval in (
        ("n_replies", one.calls),
        ("input_tokens", one.input_tokens),
        ("output_tokens", one.output_tokens),
    ):
        assert interval.low <= study.runs[name].sum() <= interval.high, name


def test_a_pilot_narrows_it_and_still_holds() -> None:
    study = agentsim.load(ROOT / "results" / "example-model")
    scenario = agentsim.load_scenario(ROOT / "scenarios" / "quickstart.yaml", model=PLAYED, seeds="0-1")
    [wide], [narrow] = plan(scenario), plan(scenario, pilot=study)
    assert narrow.is_piloted and not wide.is_piloted
    for name, actual in (("calls", "n_replies"), ("output_tokens", "output_tokens"), ("input_tokens", "input_tokens")):
        interval: Range = getattr(narrow, name)
        assert interval.low <= study.runs[actual].sum() <= interval.high, name
    assert narrow.output_tokens.high - narrow.output_tokens.low < wide.output_tokens.high - wide.output_tokens.low


def metered(prompt: Prompt) -> Completion:
    """Reply as a model that plays games and says much, and state tokens: one for every four bytes."""
    text = played(prompt, unreadable=1 / 40)
    if asked_for(prompt) == "strategy":
        text += " And I shall do to each of the others as it has done to me, as far as I know." * 8
    elif asked_for(prompt) == "message":
        text += " I hope that all of us do so and nobody has to be punished for it."
    usage = Usage(input_tokens=n_bytes(prompt.messages) // 4, output_tokens=len(text) // 4 + 20)
    return Completion(text=text, model="m", finish_reason="stop", latency_s=2.0, usage=usage)


GAMES: list[dict[str, Any]] = [
    {"kind": "matrix", "rounds": 4, "talk": {"rounds": 2}},
    {"kind": "matrix", "rounds": 4, "order": "sequential"},
    PUBLIC_GOODS,
    {"kind": "commons", "group": 3, "rounds": 6},
    {"kind": "trust", "rounds": 8},
    {"kind": "dictator", "rounds": 4, "continuation": 0.5},
]


@pytest.mark.parametrize("game", GAMES, ids=lambda game: str(game["kind"]))
def test_every_game_takes_what_was_planned_with_a_pilot_and_without(tmp_path: Path, game: dict[str, Any]) -> None:
    changes = {"game": game, "agents": 6, "generations": 2, "pairing": {"kind": "repeated"}}
    pilot = agentsim.run(scenario(**changes), results=tmp_path, provider=FunctionProvider(metered))
    again = agentsim.run(
        scenario(**changes, seeds=[1, 2], name="other"), results=tmp_path, provider=FunctionProvider(metered)
    )
    study = agentsim.load(again.folder)
    assert again.is_complete
    n_questions = study.replies.drop_duplicates(["run", "key"]).shape[0]
    for one in plan(scenario(**changes, seeds=[1, 2])) + plan(
        scenario(**changes, seeds=[1, 2]), pilot=agentsim.load(pilot.folder)
    ):
        assert one.n_least <= n_questions <= one.n_questions
        for name, interval in (
            ("n_replies", one.calls),
            ("input_tokens", one.input_tokens),
            ("output_tokens", one.output_tokens),
        ):
            assert interval.low <= study.runs[name].sum() <= interval.high, name
        if one.is_piloted:
            longest = max(state.critical_path_s for state in again.runs)
            assert one.wall_s.low <= longest <= one.wall_s.high


def test_what_depends_on_the_moves_is_said_to_be_at_most() -> None:
    changes = {"agents": 4, "generations": 1, "transmission": {"kind": "none"}}
    [trust] = plan(scenario(**changes, game={"kind": "trust", "rounds": 5}))
    assert (trust.n_least, trust.n_questions) == (5 * 2, 5 * 2 * 2)  # no question to a trustee that was sent nothing
    assert trust.calls.low == 10 and trust.wall_s.low == pytest.approx(5 * 0.8)
    [commons] = plan(scenario(**changes, game={"kind": "commons", "group": 4, "rounds": 5}))
    assert (commons.n_least, commons.n_questions) == (4, 5 * 4)  # nothing is left after a collapse in the first round
    [donors] = plan(scenario(**changes))
    assert donors.n_least == donors.n_questions == 4 * 2 * 2
    for one, told in ((trust, "≤ 20"), (donors, "16")):
        console = Console(file=StringIO(), width=200)
        console.print(plan_table([one]))
        assert isinstance(console.file, StringIO)
        text = console.file.getvalue()
        assert told in text and ("at most" in text) == ("≤" in text) == (one is trust)


def test_a_strategy_that_is_copied_is_asked_for_once() -> None:
    [one] = plan(scenario(transmission={"kind": "copy"}))
    assert one.wall_s.low == pytest.approx((1 + 3 * 4) * 0.8)


def test_limits_bound_the_time() -> None:
    sets = ["providers.openai={requests_per_minute: 60}"]
    model = "openai/gpt-4o-2024-08-06"
    [paced] = plan(agentsim.load_scenario(ROOT / "scenarios" / "donor-game.yaml", sets=sets, model=model))
    assert paced.wall_s.low >= 5 * 1506  # a request a second


def test_scripted_players_cost_nothing_and_an_unknown_price_is_not_0() -> None:
    [one, *_] = plan(agentsim.load_scenario(ROOT / "scenarios" / "scripted-baselines.yaml"))
    assert one.usd == (0, 0) and one.calls == (0, 0)
    sets = ["providers.mine={base_url: 'http://localhost:1/v1'}"]
    [mine] = plan(agentsim.load_scenario(ROOT / "scenarios" / "donor-game.yaml", sets=sets, model="mine/x"))
    assert mine.usd is None


def test_no_call_of_the_example_could_have_cost_more_than_would_have_been_reserved() -> None:
    from agentsim.log.reading import read_log
    from agentsim.log.records import Reply

    price = Price(input=1, output=1, source="test")
    for folder in (ROOT / "results" / "example-model").glob("*-seed-*"):
        for record in read_log(folder).records:
            if isinstance(record, Reply):
                usage = record.completion.usage
                assert usage.input_tokens is not None and usage.output_tokens is not None
                actual = (usage.input_tokens + usage.output_tokens) / 1e6
                assert actual <= (most_usd(price, record.prompt) or 0)


def test_intervals_add_multiply_and_take_the_larger() -> None:
    one = Range(1, 2)
    assert one.plus(Range(1, 1)) == (2, 3)
    assert one.times(Range(2, 3)) == (2, 6) and one.times(2) == (2, 4)
    assert one.beside(Range(0, 3)) == (1, 3)
