"""Text from a model is foreign: shown in one line, cut, and inert in terminals, figures, pages and spreadsheets."""

from __future__ import annotations

import unicodedata
from typing import Final

__all__ = ["cell_text", "one_line", "verbatim"]

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""Spreadsheets take a cell that begins with one of these for a formula; the last four are full-width."""
MARK: Final = "'"
"""Put before such a cell, and before one that begins with it itself, so that the text can be had back."""


def one_line(text: object, *, max_chars: int = 300) -> str:
    """Return foreign text in one line, without control or direction characters, cut at `max_chars`."""
    visible = "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in str(text))
    line = " ".join(visible.split())
    return line if len(line) <= max_chars else line[: max_chars - 1] + "…"


def verbatim(text: str) -> str:
    """Return foreign text with its lines, without other control or direction characters."""
    return "".join(c if c == "\n" or unicodedata.category(c)[0] != "C" else "\ufffd" for c in text)


def cell_text(text: str | None) -> str | None:
    """Return text for a CSV cell: nothing that steers a terminal, nothing that a spreadsheet takes for a formula."""
    if text is None:
        return None
    plain = "".join("\ufffd" if _is_control(character) else character for character in text)
    return MARK + plain if plain.startswith((*FORMULA_STARTS, MARK)) else plain


def _is_control(character: str) -> bool:
    """Whether it is a control, direction or line-separating character; tab, line breaks and joiners are none."""
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in "\t\r\n\u200c\u200d"
