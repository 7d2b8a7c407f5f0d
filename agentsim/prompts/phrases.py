"""Phrases of a prompt set's words, and the pattern that reads them. A phrase is plain words, never a pattern itself.

Spaces part its words; `a|b` is either word; what stands in `[square brackets]` may be missing; a word that ends in `…`
may go on; `NAME` is an agent's name, as 1_2, and `NUMBER` a counted number, as `#3`. Upper and lower case are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["MAX_CHARS", "checked", "compiled", "either", "shown"]

MAX_CHARS: Final = 200
"""Characters that a phrase may have."""
PLACES: Final = {"NAME": r"\d+_\d+", "NUMBER": r"#?\d+"}
GOES_ON: Final = "…"
_PART: Final = re.compile(r"\[([^\[\]]+)\]|([^\[\]\s]+)")


def checked(phrase: str) -> str:
    """Return a phrase with single spaces.

    Raises:
        ValueError: it is empty or too long, its brackets do not pair, or all of it may be missing.
    """
    phrase = " ".join(phrase.split())
    if not phrase:
        raise ValueError("a phrase is empty; write words")
    if len(phrase) > MAX_CHARS:
        raise ValueError(f"a phrase has {len(phrase)} characters; it may have {MAX_CHARS}")
    parts = _PART.findall(phrase)
    written = " ".join(f"[{optional}]" if optional else word for optional, word in parts)
    if re.sub(r" ?([\[\]]) ?", r"\1", written) != re.sub(r" ?([\[\]]) ?", r"\1", phrase):
        raise ValueError(f"{phrase!r} has a bracket without its other half; write what may be missing as [words]")
    if not any(word for _, word in parts):
        raise ValueError(f"{phrase!r} may be missing as a whole; leave a word outside the brackets")
    for optional, word in parts:
        if any(not one.strip(GOES_ON) for token in (optional or word).split() for one in token.split("|")):
            raise ValueError(f"{phrase!r} has nothing on one side of a |; write a word on both sides")
    return phrase


def shown(phrase: str) -> str:
    """Return the phrase as it is shown: its first words, without what may be missing."""
    words = (word for _, word in _PART.findall(phrase) if word)
    return " ".join(word.split("|")[0].rstrip(GOES_ON) for word in words)


def either(phrases: Iterable[str], *, whole_words: bool = False) -> str:
    """Return the pattern of any of the phrases, in one group; of none, a pattern that nothing fits.

    `whole_words`: a phrase ends where its last word does.
    """
    patterns = [_pattern(phrase, whole_words=whole_words) for phrase in phrases]
    return f"(?:{'|'.join(patterns)})" if patterns else r"(?!)"


def compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern of words, in upper or lower case."""
    return re.compile(pattern, re.IGNORECASE)


def _pattern(phrase: str, *, whole_words: bool) -> str:
    parts = _PART.findall(phrase)
    first = next(index for index, (_, word) in enumerate(parts) if word)
    pattern = ""
    for index, (optional, word) in enumerate(parts):
        words = " ".join(_word(token, is_whole=whole_words) for token in (optional or word).split())
        if index < first:
            pattern += f"(?:{words} )?"
        elif optional:
            pattern += f"(?: {words})?"
        else:
            pattern += f" {words}" if index > first else words
    return pattern


def _word(token: str, *, is_whole: bool) -> str:
    alternatives = []
    for one in token.split("|"):
        end = r"\b" if is_whole and re.match(r"\w", one[-1]) else ""
        alternatives.append((PLACES.get(one) or re.escape(one.rstrip(GOES_ON))) + end)
    return alternatives[0] if len(alternatives) == 1 else f"(?:{'|'.join(alternatives)})"
