"""Foreign text without the account's key: whole in any usual spelling, and in messages each longer part of it."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Final

__all__ = ["Secret", "scrub"]

HIDDEN: Final = "***"
SHORTEST_SECRET_PART: Final = 8
"""A key that is shorter is a placeholder, such as `none`, that may well be a word of the model's."""
MAX_BACKSLASHES: Final = 8
"""Before one character; each time a text is put into JSON doubles them."""


class Secret:
    """A key, which shows itself nowhere."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "Secret()"

    def hide(self, text: str) -> str:
        """Return a model's text with `***` where the whole key stands, plain, escaped or encoded."""
        if self._key is None or len(self._key) < SHORTEST_SECRET_PART:
            return text
        return self._pattern.sub(HIDDEN, text)

    def scrub(self, text: str) -> str:
        """Return text for a message, also without any part of the key of at least eight characters."""
        return scrub(self.hide(text), self._key)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        key = self._key or ""
        spelled = "".join(_spellings(len(found[1]), found[2]) for found in re.finditer(r"(\\*)([^\\]?)", key))
        encoded = list(_encoded(key.encode()))
        begins = "".join({re.escape(form[0]) for form in (key, *encoded)})
        return re.compile(
            rf"(?=[{begins}\\%&])(?:{'|'.join([spelled, *map(re.escape, encoded)])})"
        )  # most places: one look


def scrub(text: str, secret: str | None) -> str:
    """Return `text` with the secret, and each part of it of at least eight characters, replaced by `***`."""
    if not secret:
        return text
    shortest = min(len(secret), SHORTEST_SECRET_PART)
    clean, at = [], 0
    while at < len(text):
        end = at + shortest
        if end > len(text) or text[at:end] not in secret:
            clean.append(text[at])
            at += 1
            continue
        while end < len(text) and text[at : end + 1] in secret:
            end += 1
        clean.append(HIDDEN)
        at = end
    return "".join(clean)


def _spellings(n_backslashes: int, character: str) -> str:
    """Return a pattern for one character, behind backslashes of the key, as JSON, URLs, HTML and programs write it.

    Backslashes are taken all at once and never given back, so that no text makes the search slow.
    """
    if not n_backslashes + len(character):
        return ""
    most = MAX_BACKSLASHES * (n_backslashes + 1)
    backslashes = rf"(?>(?:\\(?:(?:u00|x)5[cC])?|%(?:25)*5[cC]|&#0*92;|&#[xX]0*5[cC];){{{n_backslashes},{most}}})"
    if not character:
        return backslashes
    code = ord(character)
    hexed = f"(?i:{code:02x})"
    forms = [re.escape(character), rf"(?:u00|x){hexed}", rf"%(?:25)*{hexed}", f"&#0*{code};", f"&#[xX]0*{hexed};"]
    if (named := html.escape(character)) != character:
        forms.append(re.escape(named))
    return backslashes + f"(?:{'|'.join(forms)})"


def _encoded(key: bytes) -> Iterator[str]:
    """Give the key in hexadecimal, and in base64 wherever it stands in what was encoded."""
    yield key.hex()
    yield key.hex().upper()
    for n_before in range(3):
        n_whole = (n_before + len(key)) // 3 * 4
        # Characters that also depend on what stands before or behind the key are no part of it.
        inner = slice((n_before * 8 + 5) // 6, n_whole)
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(b"\0" * n_before + key).decode()[inner]
