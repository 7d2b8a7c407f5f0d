"""What a call costs. A price is stated in the scenario, listed by genai-prices, or unknown; unknown is never 0."""

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
"""Built-in accounts -> their names in genai-prices, which finds other servers by their address, if at all."""


class StatedPrice(Value):
    """A model's price as a scenario states it, in US dollars a million tokens."""

    input: float = Field(ge=0, allow_inf_nan=False)
    """For tokens of prompts."""
    output: float = Field(ge=0, allow_inf_nan=False)
    """For all tokens of the answer, including hidden reasoning."""
    cached: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """For prompt tokens read from the provider's cache; default: the same as `input`."""
    cache_write: float | None = Field(default=None, ge=0, allow_inf_nan=False, exclude_if=lambda price: price is None)
    """For prompt tokens written to it, where the provider counts them apart; default: the same as `input`."""

    @property
    def dearest_input(self) -> float:
        """What a token of a prompt costs at most."""
        return max(self.input, self.cached or 0.0, self.cache_write or 0.0)


class Price(StatedPrice):
    """A price and its source."""

    source: str


def cost_usd(price: Price, usage: Usage) -> float | None:
    """Return what a call cost in US dollars; `None` if the provider did not report its tokens.

    input x (input tokens - cached - written) + cached price x cached tokens + write price x written tokens + output x
    output tokens, prices per million tokens. If the provider reports no cached tokens, the full price counts; if it
    reports more cached tokens than input tokens, all of them count as cached.
    """
    if usage.input_tokens is None or usage.output_tokens is None:
        if price.input == price.output == 0:
            return 0.0
        return None
    cached = min(usage.cached_tokens or 0, usage.input_tokens)
    cached_price = price.input if price.cached is None else price.cached
    written = min(usage.cache_write_tokens or 0, usage.input_tokens - cached)
    write_price = price.input if price.cache_write is None else price.cache_write
    dollars = price.input * (usage.input_tokens - cached - written) + cached_price * cached + write_price * written
    dollars += price.output * usage.output_tokens
    return dollars / MILLION if math.isfinite(dollars) else None


@cache
def known_price(account: str, model: str, base_url: str | None) -> Price | None:
    """Return the price that genai-prices lists for the model today, or `None`; makes no network call.

    If the price rises with the length of the prompt, it is that of the shortest prompts, which covers all prompts of a
    society.
    """
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    place = {"provider_id": PUBLISHERS[account]} if account in PUBLISHERS else {"provider_api_url": base_url}
    try:
        totals = [
            calc_price(tokens, model, **place).total_price
            for tokens in (
                Tokens(input_tokens=1000, output_tokens=0),
                Tokens(input_tokens=1000, cache_read_tokens=1000, output_tokens=0),
                Tokens(input_tokens=1000, cache_write_tokens=1000, output_tokens=0),
                Tokens(input_tokens=0, output_tokens=1000),
            )
        ]
    except LookupError:
        return None
    fresh, cached, written, output = (float(price * Decimal(1000)) for price in totals)
    source = f"genai-prices {metadata.version('genai-prices')}, read on {date.today().isoformat()}"  # noqa: DTZ011
    own_price = written if written not in (0.0, fresh) else None  # a list that names none has it at 0 or as any other
    return Price(input=fresh, cached=cached, cache_write=own_price, output=output, source=source)
