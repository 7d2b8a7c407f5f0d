"""What a call costs. A price is stated by the scenario, known to genai-prices, or not known: never 0 instead."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from importlib import metadata
from typing import Final

from pydantic import Field

from agentsim.providers.base import Usage, Value

__all__ = ["Price", "StatedPrice", "cost_usd", "known_price"]

MILLION: Final = 1_000_000
PUBLISHERS: Final[Mapping[str, str]] = {"openai": "openai", "anthropic": "anthropic", "gemini": "google"}
"""Built-in accounts, and what genai-prices calls them; other servers are known to it by their address, if at all."""


class StatedPrice(Value):
    """A model's price as a scenario states it, in US dollars a million tokens."""

    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False)
    """Of all tokens of the answer, hidden reasoning included."""
    cached: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Of prompt tokens read from the provider's cache; default: as `input`."""


class Price(StatedPrice):
    """A price and where it is from."""

    source: str


def cost_usd(price: Price, usage: Usage) -> float | None:
    """Return what a call cost in US dollars; `None` where the provider did not say how many tokens it took.

    input x (input tokens - cached) + cached price x cached tokens + output x output tokens, each a million tokens.
    A provider that does not speak of its cache is taken to have charged the full price; more cached tokens than tokens
    are read as all of them.
    """
    if usage.input_tokens is None or usage.output_tokens is None:
        if price.input == price.output == 0:
            return 0.0
        return None
    cached = min(usage.cached_tokens or 0, usage.input_tokens)
    cached_price = price.input if price.cached is None else price.cached
    dollars = price.input * (usage.input_tokens - cached) + cached_price * cached + price.output * usage.output_tokens
    return dollars / MILLION if math.isfinite(dollars) else None


@cache
def known_price(account: str, model: str, base_url: str | None) -> Price | None:
    """Return the price that genai-prices lists for the model today, or `None`; nobody is asked over the network.

    Of prices that rise with the length of the prompt it is the first step's, which holds for all prompts of a society.
    """
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    place = {"provider_id": PUBLISHERS[account]} if account in PUBLISHERS else {"provider_api_url": base_url}
    try:
        found = [
            calc_price(tokens, model, **place).total_price
            for tokens in (
                Tokens(input_tokens=1000, output_tokens=0),
                Tokens(input_tokens=1000, cache_read_tokens=1000, output_tokens=0),
                Tokens(input_tokens=0, output_tokens=1000),
            )
        ]
    except LookupError:
        return None
    fresh, cached, output = (float(price * Decimal(1000)) for price in found)
    source = f"genai-prices {metadata.version('genai-prices')}, read on {date.today().isoformat()}"  # noqa: DTZ011
    return Price(input=fresh, cached=cached, output=output, source=source)
