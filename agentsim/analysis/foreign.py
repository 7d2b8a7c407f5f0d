"""Making untrusted text, such as a model's, safe to show in terminals, figures, pages and spreadsheets."""

from __future__ import annotations

import unicodedata
from typing import Final

__all__ = ["cell_text", "one_line", "verbatim"]

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""Spreadsheets treat a cell that begins with one of these as a formula; the last four are full-width."""
MARK: Final = "'"
"""Put before such a cell, and before one that begins with this mark, so that the text can be recovered."""


def one_line(text: object, *, max_chars: int = 300) -> str:
    """Return untrusted text in one line, without control or direction characters, truncated at `max_chars`."""
    visible = "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in str(text))
    line = " ".join(visible.split())
    return line if len(line) <= max_chars else line[: max_chars - 1] + "…"


def verbatim(text: str) -> str:
    """Return untrusted text with its line breaks but without other control or direction characters."""
    return "".join(c if c == "\n" or unicodedata.category(c)[0] != "C" else "\ufffd" for c in text)


def cell_text(text: str | None) -> str | None:
    """Return text for a CSV cell: without control characters, and never a formula for a spreadsheet."""
    if text is None:
        return None
    plain = "".join("\ufffd" if _is_control(character) else character for character in text)
    return MARK + plain if plain.startswith((*FORMULA_STARTS, MARK)) else plain


def _is_control(character: str) -> bool:
    """Return whether it is a control, direction or line-separating character, except tab, line breaks and joiners."""
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in "\t\r\n\u200c\u200d"
