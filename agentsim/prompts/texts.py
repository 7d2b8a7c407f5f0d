"""What an agent states in words: a strategy or a note, from behind its marker to where it ends.

It is one paragraph, as it was asked for, or a list or a table with what leads to it; a remark behind them is not part
of it.
"""

from __future__ import annotations

import re
from typing import Final

from agentsim.core.answers import Answer, TextSpec

__all__ = ["MARKERS", "STRATEGY_MARKER", "begins_sentence", "cut", "read_text"]

STRATEGY_MARKER = "My strategy will be"
"""What an agent is asked to write before its strategy."""
MARKERS: Final = {"strategy": STRATEGY_MARKER, "note": "My note:"}
"""What an agent is asked to write before a text, by what the text is."""

_MARKED: Final = {
    "strategy": re.compile(r"my\s+strategy\s+will\s+be", re.IGNORECASE),
    "note": re.compile(r"\bmy\s+note[*_`]*\s*:", re.IGNORECASE),
}
_NOTHING_BETWEEN: Final = re.compile(
    r"(?:(?:so|thus|therefore|hence|then|and|finally|overall),?[ *_`]+)*$", re.IGNORECASE
)
_INLINE: Final = " \t:,;.*`_\"'“”‘’«»<>[]-–—…"
_LISTED: Final = re.compile(
    r"[ \t]*(?:[-*+•–—◦▪‣]\s|\(?\d{1,3}[.):]\s|\(?[a-z][.)]\s|\(?[ivx]{1,4}[.)]\s|\||```|~~~"
    r"|(?:step|rule|phase|round|rounds|case|stage|principle)\s+\w+(?:\+|[-–]\w+)?\s?[:.)–—-]"
    r"|first(?:ly)?[,:]|#{1,6}\s|<(?:ol|ul|li|table|tr)\b)",
    re.IGNORECASE,
)
"""How a line of a list or of a table begins."""
_GOES_ON: Final = re.compile(
    r"\*\*|__|#{1,6}\s|>|\t|\ {2,}|(?:first|second|third|fourth|fifth|last)(?:ly)?\b"
    r"|(?:then|next|finally|otherwise|else|if|when)\b",
    re.IGNORECASE,
)
"""How a further paragraph of a list may begin, other than as a list item."""
_ANNOUNCES: Final = re.compile(
    r"(?:as follows|(?:as )?(?:described|stated|outlined|explained|given|listed|detailed|shown) (?:below|here)"
    r"|the following(?: (?:one|strategy|rules|steps|list|table))?)[ .:!]*",
    re.IGNORECASE,
)
"""What only leads to a strategy below."""
_STATES_NOTHING: Final = re.compile(
    r"(?:as )?(?:(?:described|stated|outlined|explained|given|listed|detailed|shown) )?above"
    r"|(?:this|that|it|the same|n/a|none)"
    r"|(?:insert|your|state|write)\b.{0,40}\bstrategy(?: here)?|strategy here",
    re.IGNORECASE,
)
"""What stands for a strategy without being one."""
_CLOSING_TAG: Final = re.compile(r"\s*</([a-z_]{1,30})>\s*$", re.IGNORECASE)
_PARAGRAPH_END: Final = re.compile(r"\n(?:[ \t\r]*\n)+")
_FENCE: Final = re.compile(r"^[ \t]*(?:```|~~~)[\w-]*[ \t]*$", re.MULTILINE)


def read_text(text: str, spec: TextSpec, *, is_whole: bool) -> Answer:
    """Return the text behind the last marker; `is_whole`: the model stopped of its own accord."""
    # The last marker counts, as models tend to repeat the instruction first; one that begins a sentence before others.
    found = list(_MARKED[spec.what].finditer(text))
    found = [marker for marker in found if begins_sentence(text, marker.start(), between=_NOTHING_BETWEEN)] or found
    if not found or not (is_whole or not text[: found[0].start()].strip(" \t\r\n*_`#>\"'-")):
        return Answer(problem="unreadable" if is_whole else "cut_off")
    words, has_ended = _statement(text[found[-1].end() :])
    if not words:
        return Answer(problem="unreadable")
    return cut(words, spec) if is_whole or has_ended else Answer(problem="cut_off")


def cut(words: str, spec: TextSpec) -> Answer:
    """Return the text, cut at its stated length and marked so."""
    return Answer(text=words[: spec.max_chars], is_cut=len(words) > spec.max_chars)


def begins_sentence(text: str, place: int, *, between: re.Pattern[str]) -> bool:
    """Return whether `place` is where a line or a sentence begins, but for words that `between` matches to its end."""
    start = max(0, place - 80)
    before = text[start:place]
    line = before[max(before.rfind(sign) for sign in "\n\r\x0b\x0c\x85") + 1 :]
    if len(line) == len(before) and start > 0:
        line = "x" + line  # the line began further back
    left = between.sub("", line).rstrip(" \t*_`#\"'“‘(«[{<$\\")
    return not left.strip(" \t>-•–—+") or left[-1] in ".!?:;…)]}>|»”—–" or left.endswith(" -")


def _statement(text: str) -> tuple[str, bool]:
    """Return what is stated at the beginning of `text`, and whether anything stands behind it."""
    paragraphs = _PARAGRAPH_END.split(_behind_punctuation(text))
    kept, is_list = paragraphs[:1], _has_list(paragraphs[0])
    is_fenced = len(_FENCE.findall(kept[0])) % 2 == 1
    for paragraph in paragraphs[1:]:
        leads_on = is_fenced or _leads_on(kept[-1])
        if not (leads_on or _LISTED.match(paragraph) or (is_list and _GOES_ON.match(paragraph))):
            break
        kept.append(paragraph)
        is_list = True
        is_fenced ^= len(_FENCE.findall(paragraph)) % 2 == 1
    words = _FENCE.sub("", "\n\n".join(kept)).strip()
    while (tag := _CLOSING_TAG.search(words[-100:])) is not None and f"<{tag[1]}" not in words:
        words = words.removesuffix(tag[0])
    words = words.rstrip("*`\"'”’» ").rstrip()
    if (_leads_on(words) and "\n" not in words) or _STATES_NOTHING.fullmatch(words.strip(" .!:[]<>()")):
        return "", False  # what it leads to is missing
    return words, len(kept) < len(paragraphs)


def _behind_punctuation(text: str) -> str:
    """Return the text without the punctuation behind the marker, but with the sign of a list's first item."""
    on_the_line = text.lstrip(_INLINE)
    if not on_the_line.startswith(("\n", "\r")):
        return on_the_line
    below = on_the_line.lstrip("\r\n \t")
    return below if _LISTED.match(below) else below.lstrip(_INLINE + "\r\n")


def _has_list(paragraph: str) -> bool:
    return any(_LISTED.match(line) for line in paragraph.splitlines())


def _leads_on(paragraph: str) -> bool:
    return paragraph.rstrip(" \t\r*_`").endswith((":", "：")) or _ANNOUNCES.fullmatch(paragraph.strip()) is not None
