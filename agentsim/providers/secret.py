"""Removes an account's API key from text: the whole key in any usual spelling; in messages, also longer parts of it."""

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
"""A shorter key is a placeholder, such as `none`, which may well be an ordinary word of the model's."""
MAX_BACKSLASHES: Final = 8
"""The most backslashes before one character; each encoding as JSON doubles them."""

MAX_SPELLED: Final = 128
"""The most characters of a key that are looked for in every spelling; what follows them is hidden up to white space.

A pattern of all characters of a token, which may have thousands, takes seconds to make.
"""


class Secret:
    """An API key, which its `repr` does not show."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "Secret()"

    def hide(self, text: str) -> str:
        """Return a model's text with `***` in place of the whole key, whether plain, escaped or encoded."""
        if self._key is None or len(self._key) < SHORTEST_SECRET_PART:
            return text
        return self._pattern.sub(HIDDEN, text)

    def scrub(self, text: str) -> str:
        """Return text for a message, with parts of the key of at least eight characters replaced too."""
        return scrub(self.hide(text), self._key)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        key = self._key or ""
        first = key if len(key) <= MAX_SPELLED else key[:MAX_SPELLED].rstrip("\\")
        spelled = "".join(_spellings(len(match[1]), match[2]) for match in re.finditer(r"(\\*)([^\\]?)", first))
        if len(first) < len(key):
            spelled += r"\S*"
        encoded = list(_encoded(key.encode()))
        begins = "".join({re.escape(form[0]) for form in (key, *encoded)})
        return re.compile(
            rf"(?=[{begins}\\%&])(?:{'|'.join([spelled, *map(re.escape, encoded)])})"
        )  # at most places in a text, the look-ahead alone decides


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
    """Return a pattern for one character of the key, after its backslashes, as JSON, URLs, HTML and programs write it.

    Backslashes are matched possessively (no backtracking), so that no text makes the search slow.
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
    """Yield the key in hexadecimal, and in base64 at every offset in the encoded text."""
    yield key.hex()
    yield key.hex().upper()
    for n_before in range(3):
        n_whole = (n_before + len(key)) // 3 * 4
        # Leave out characters that also depend on what precedes or follows the key.
        inner = slice((n_before * 8 + 5) // 6, n_whole)
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(b"\0" * n_before + key).decode()[inner]
