"""Plans: what they say is what then happens."""

from __future__ import annotations

from pathlib import Path

import agentsim
from agentsim.experiments.plan import Range, plan
from agentsim.providers.ledger import most_usd
from agentsim.providers.prices import Price

ROOT = Path(__file__).parent.parent.parent


def test_the_published_experiment_asks_1506_questions_a_run() -> None:
    scenario = agentsim.load_scenario(ROOT / "scenarios" / "donor-game.yaml", model="openai/gpt-4o-2024-08-06")
    [one] = plan(scenario)
    assert (one.n_runs, one.n_questions) == (5, 5 * 1506)
    assert one.calls.low == 5 * 1506 and one.usd is not None and 0 < one.usd.low < one.usd.high


def test_a_finished_study_lies_in_the_interval_that_was_planned_without_it() -> None:
    study = agentsim.load(ROOT / "results" / "example-model")
    [one] = plan(agentsim.load_scenario(ROOT / "scenarios" / "quickstart.yaml", seeds="0-1"))
    for name, interval in (
        ("n_replies", one.calls),
        ("input_tokens", one.input_tokens),
        ("output_tokens", one.output_tokens),
    ):
        assert interval.low <= study.runs[name].sum() <= interval.high, name


def test_a_pilot_narrows_it_and_still_holds() -> None:
    study = agentsim.load(ROOT / "results" / "example-model")
    scenario = agentsim.load_scenario(ROOT / "scenarios" / "quickstart.yaml", seeds="0-1")
    [wide], [narrow] = plan(scenario), plan(scenario, pilot=study)
    assert narrow.is_piloted and not wide.is_piloted
    for name, actual in (("calls", "n_replies"), ("output_tokens", "output_tokens"), ("input_tokens", "input_tokens")):
        interval: Range = getattr(narrow, name)
        assert interval.low <= study.runs[actual].sum() <= interval.high, name
    assert narrow.output_tokens.high - narrow.output_tokens.low < wide.output_tokens.high - wide.output_tokens.low


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
