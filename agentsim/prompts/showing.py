"""How templates show texts, amounts and shares: the filters of a prompt set, in its words."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable

from agentsim.prompts.words import Words

__all__ = ["filters", "percent", "quoted", "units"]


def filters(words: Words) -> dict[str, Callable[..., str]]:
    """Return the filters that templates may use in addition to Jinja's harmless ones."""
    nouns = words.units

    def local(number: str) -> str:
        return number.replace(".", nouns.decimal)

    def with_noun(number: str) -> str:
        return f"{local(number)} {nouns.one if number == '1' else nouns.many}"

    def shown_units(amount: float) -> str:
        return local(units(amount))

    def amount(value: float) -> str:
        """Return an amount that somebody holds or moved, as `units` shows it, with its noun: `1 unit`."""
        return with_noun(units(value))

    def exactly(value: float) -> str:
        """Return an amount that a rule sets, with up to six digits behind the point, and its noun: `0.333333 units`."""
        shown = f"{value:.6f}".rstrip("0").rstrip(".")
        return with_noun(shown if shown != "0" else f"{value:.3g}")

    def shown_percent(fraction: float) -> str:
        return local(percent(fraction))

    def chance(fraction: float) -> str:
        """Return a setting in [0, 1], a probability or share, as a percentage without rounding it, as `0.05%`."""
        return local(f"{fraction * 100:.10g}%")

    def number(value: float) -> str:
        """Return a factor that a rule sets: `1.6`."""
        return local(f"{value:.10g}")

    return {
        "quoted": quoted,
        "units": shown_units,
        "amount": amount,
        "exactly": exactly,
        "percent": shown_percent,
        "chance": chance,
        "number": number,
        "word": words.word,
    }


def quoted(text: str) -> str:
    """Return foreign text on one line between quotation marks that it cannot close.

    Control and format characters (line breaks, escapes, direction marks) become spaces; quotes and backslashes are
    escaped.
    """
    visible = text
    if not text.isprintable():  # no such character is
        visible = "".join(" " if unicodedata.category(character)[0] == "C" else character for character in text)
    return json.dumps(re.sub(r"\s+", " ", visible).strip(), ensure_ascii=False)


def units(amount: float) -> str:
    """Return an amount with at most two decimals, rounded down so that what is shown can be given."""
    shown = math.floor(amount * 100 + 1e-6) / 100
    return f"{shown:.2f}".rstrip("0").rstrip(".")


def percent(fraction: float) -> str:
    """Return a fraction in [0, 1] as a percentage with at most one decimal, as `50%`."""
    return f"{fraction * 100:.1f}".removesuffix(".0") + "%"
