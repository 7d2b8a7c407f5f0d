"""Numbers as models write them: digits of any script, separators, magnitudes, and short sums that are worked out.

A number is read in one way or not at all: `1.250` is nothing where it could be a quarter more than one, or 1250.
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Final, NamedTuple

from agentsim.prompts.phrases import compiled, either
from agentsim.prompts.words import Words

__all__ = ["NUMBER", "Number", "Sums", "number", "plain_characters"]

NUMBER: Final = r"(?:\d(?:[\d.,']*\d)?|\.\d+)(?:e[+-]?\d+)?"
"""A number as written, in the regular expressions of the grammar; `number` says what it is worth."""
_SIGNS: Final = {
    "：": ":", "﹕": ":", "∶": ":", "＝": "=", "﹦": "=", "％": "%", "﹪": "%", "٪": "%", "٫": ".", "٬": ",", "−": "-",
    "–": "-", "—": " — ", "‐": "-", "‑": "-", "’": "'", "‘": "'", "´": "'", "·": "×", "∙": "×", "⋅": "×", "✕": "×",
    "∗": "*", "∕": "/", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "…": "...", "\u2028": "\n", "\u2029": "\n",
}  # fmt: skip
_UNSEEN: Final = frozenset("\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u2060\ufe0e\ufe0f\ufeff")
"""Characters without a width or an effect on the order of what is shown."""


def plain_characters(text: str) -> str:
    """Return the text with digits of every script, full-width forms and typographic signs as their plain counterparts.

    A fraction or an exponent in one character (½, ²) stays as it is: next to a digit it would become part of a number.
    """
    return re.sub(r"[^\x00-\x7f]", lambda match: _plain(match[0]), text)


def _plain(character: str) -> str:
    if character in _SIGNS:
        return _SIGNS[character]
    if character in _UNSEEN:
        return ""
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.digit(character))
    if category in ("Lu", "Ll"):  # mathematical and full-width letters
        folded = unicodedata.normalize("NFKC", character)
        return folded if folded.isascii() else character
    if "！" <= character <= "～":
        return chr(ord(character) - 0xFEE0)
    return " " if category == "Zs" and character not in "\u00a0\u2009\u202f" else character


class Number(NamedTuple):
    """A number, and how exactly it was written."""

    value: float
    step: float
    """One unit in its last decimal place, within which it may have been rounded; 0 for a whole number."""


def number(written: str, *, scale: float = 1.0, high: float) -> Number | None:
    """Return the number written, or `None` where its separators can be read in two ways.

    `scale`: what one of it is worth, as 1000 for thousands; `high`: the most that it can be; a point before three
    digits is a decimal point where thousands would be more.
    """
    digits, _, exponent = written.lower().partition("e")
    if re.fullmatch(r"[1-9]\d{0,2}(?:'\d{3})+(?:\.\d+)?", digits):
        digits = digits.replace("'", "")
    elif re.fullmatch(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?", digits):
        digits = digits.replace(",", "")
    elif re.fullmatch(r"[1-9]\d{0,2}(?:\.\d{3})+,\d+|[1-9]\d{0,2}(?:\.\d{3}){2,}", digits):
        digits = digits.replace(".", "").replace(",", ".")
    elif re.fullmatch(r"\d+,\d{1,2}|0,\d+", digits):
        digits = digits.replace(",", ".")
    elif re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", digits) and (scale > 1 or float(digits) * 1000 <= high):
        return None  # 1.250 is a quarter more than one, or twelve hundred and fifty
    try:
        value = float(f"{digits}e{exponent}" if exponent else digits)
    except ValueError:
        return None
    n_decimals = len(digits.partition(".")[2])
    step = 10.0**-n_decimals * scale if n_decimals and not exponent else 0.0
    return Number(value * scale if scale > 1 else value, step)


MAX_OPERANDS: Final = 5


class Sums:
    """Reads sums in the words of a prompt set."""

    def __init__(self, words: Words) -> None:
        """Compile the words."""
        percent, behind = either(words.amounts.percent_in_sums), either(words.amounts.in_sums)
        self._operand = compiled(rf"({NUMBER}) ?(%|{percent}\b)?(?: ?{behind}\b)?")
        self._operator = compiled(rf" ?([-+*×/÷]|{either(words.amounts.times)}) ?")

    def worked_out(self, written: str, *, high: float) -> float | None:
        """Return the value of a sum such as `10 - 2 * 3` or `25% of 20`, or `None` if it is no such sum.

        At most `MAX_OPERANDS` numbers; products before sums; a percentage is its hundredth part.
        """
        terms: list[float] = []
        place, operator = 0, "+"
        for _ in range(MAX_OPERANDS):
            operand = self._operand.match(written, place)
            value = None if operand is None else number(operand[1], high=high)
            if operand is None or value is None:
                return None
            worth = value.value / 100 if operand[2] else value.value
            if operator in "+-":
                terms.append(-worth if operator == "-" else worth)
            elif operator in "/÷":
                if worth == 0:
                    return None
                terms[-1] /= worth
            else:
                terms[-1] *= worth
            place = operand.end()
            if place == len(written):
                return math.fsum(terms)
            match = self._operator.match(written, place)
            if match is None:
                return None
            place, operator = match.end(), match[1].lower()
        return None
