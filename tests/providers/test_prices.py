"""What calls cost, and that nobody's price is ever 0 for want of knowledge."""

from __future__ import annotations

import pytest

import agentsim
from agentsim.errors import ScenarioError
from agentsim.providers.base import Usage
from agentsim.providers.catalogue import Catalogue
from agentsim.providers.prices import Price, cost_usd

PRICE = Price(input=2.0, cached=0.5, output=8.0, source="a test")


def test_a_cost_is_that_of_fresh_cached_and_answered_tokens() -> None:
    usage = Usage(input_tokens=1_000_000, cached_tokens=400_000, output_tokens=500_000, reasoning_tokens=100_000)
    assert cost_usd(PRICE, usage) == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 0.5 * 8)
    assert cost_usd(PRICE.model_copy(update={"cached": None}), usage) == pytest.approx(2 + 4)


def test_tokens_written_to_a_cache_cost_what_the_list_says() -> None:
    usage = Usage(input_tokens=1_000_000, cached_tokens=400_000, cache_write_tokens=500_000, output_tokens=0)
    own = PRICE.model_copy(update={"cache_write": 2.5})
    assert cost_usd(own, usage) == pytest.approx(0.1 * 2 + 0.4 * 0.5 + 0.5 * 2.5)
    assert cost_usd(PRICE, usage) == pytest.approx(0.6 * 2 + 0.4 * 0.5)
    assert own.dearest_input == 2.5  # a call is booked at the most that it can cost
    listed = accounts().price("anthropic/claude-3-5-sonnet-20241022")
    assert listed is not None and listed.cache_write == pytest.approx(1.25 * listed.input)


@pytest.mark.parametrize("usage", [Usage(), Usage(input_tokens=3), Usage(output_tokens=3)])
def test_tokens_not_told_are_no_cost_of_0(usage: Usage) -> None:
    assert cost_usd(PRICE, usage) is None


def accounts(**overrides: dict[str, object]) -> Catalogue:
    return Catalogue(overrides, environ={})


def test_known_models_have_the_prices_of_their_publishers() -> None:
    price = accounts().price("openai/gpt-4o-2024-08-06")
    assert price is not None and (price.input, price.cached, price.output) == (2.5, 1.25, 10.0)
    assert price.source.startswith("genai-prices ")
    assert accounts().price("anthropic/claude-3-5-sonnet-20241022") is not None
    assert accounts().price("gemini/gemini-1.5-flash") is not None


def test_unknown_models_and_servers_have_no_price_and_local_ones_cost_nothing() -> None:
    assert accounts().price("openai/nobody-1") is None
    assert accounts(mine={"base_url": "http://localhost:11434/v1"}).price("mine/llama3.1") is None
    local = accounts().price("local/smollm2-135m")
    assert local is not None and cost_usd(local, Usage()) == 0


def test_a_stated_price_comes_first_and_is_described_with_its_source() -> None:
    mine = accounts(openai={"prices": {"gpt-4o": {"input": 1, "output": 2}}})
    assert mine.describe("openai/gpt-4o")["price"] == {
        "input": 1.0,
        "output": 2.0,
        "cached": None,
        "source": "stated in the scenario",
    }
    assert mine.describe("openai/nobody-1")["price"] is None


def test_a_wrong_price_is_named_with_its_place() -> None:
    with pytest.raises(ScenarioError, match=r"providers\.openai\.prices\.gpt-4o\.input: -1"):
        agentsim.scenario_from(
            {
                "name": "priced",
                "players": {"model": "openai/gpt-4o"},
                "providers": {"openai": {"prices": {"gpt-4o": {"input": -1, "output": 1}}}},
            }
        )
