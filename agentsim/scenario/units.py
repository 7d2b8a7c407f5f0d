"""The unit of each setting that is a number, for the schema and the reference made from it."""

from __future__ import annotations

from typing import Final

__all__ = ["UNITS", "unit_of"]

PURE: Final = "–"
"""A number without a unit, such as a name or an exponent."""

UNITS: Final[dict[str, str]] = {
    "agents": "agents",
    "attempts": "attempts",
    "benefit": "units",
    "beta": "1/score",
    "budget": "US$",
    "cache_write": "US$ per million tokens",
    "cached": "US$ per million tokens",
    "capacity": "units",
    "collapse": "units",
    "concurrency": "calls",
    "context": "tokens",
    "continuation": "probability",
    "cost": "units",
    "degree": "agents",
    "delay": "rounds",
    "depth": "acts",
    "effect": "units",
    "endowment": "units",
    "error": "probability",
    "factor": "factor",
    "fraction": "share",
    "games": "games",
    "generations": "generations",
    "generosity": "probability",
    "group": "agents",
    "growth": "factor",
    "income": "units",
    "input": "US$ per million tokens",
    "instead": "units",
    "k": "score",
    "known": "probability",
    "last": "acts",
    "length": "rounds",
    "levels": "level",
    "max_chars": "characters",
    "max_outage_s": "seconds",
    "max_rounds": "rounds",
    "max_tokens": "tokens",
    "max_wait_s": "seconds",
    "meets_from": "level",
    "migration": "probability",
    "mixed": "probability",
    "most": "units",
    "multiplier": "factor",
    "mutation": "probability",
    "n": "agents",
    "noise": "probability",
    "number": "groups",
    "offered": "agents",
    "output": "US$ per million tokens",
    "payoffs": "units",
    "probability": "probability",
    "replaced": "agents",
    "requests_per_minute": "requests/min",
    "rewired": "probability",
    "rounds": "rounds",
    "rule": PURE,
    "second": "units",
    "seed": PURE,
    "seeds": PURE,
    "share": "share",
    "size": "agents",
    "step": "units",
    "stock": "units",
    "stop_after": "questions",
    "temperature": PURE,
    "threads": "threads",
    "threshold": "share",
    "timeout_s": "seconds",
    "tokens_per_minute": "tokens/min",
    "top_p": "probability",
    "weight": "share",
    "Gossip.depth": "notes",
    "Punishment.effect": "units for each unit spent",
    "RaiseTheStakes.step": "share",
    "Sanction.effect": "units for each unit spent",
}
"""By the setting's name, or by its class and name where one name has several units."""


def unit_of(owner: str, setting: str) -> str | None:
    """Return the unit of a setting of the class `owner`; `None` if none is stated, as for a plug-in's."""
    return UNITS.get(f"{owner}.{setting}", UNITS.get(setting))
