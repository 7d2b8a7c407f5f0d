"""What an agent states in words: a strategy or a note, from behind its marker to where it ends.

It is one paragraph, as it was asked for, or a list or a table with what leads to it; a remark behind them is not part
of it.
"""

from __future__ import annotations

import re
from typing import Final

from agentsim.core.answers import Answer, TextSpec
from agentsim.prompts.phrases import compiled, either
from agentsim.prompts.words import Words

__all__ = ["Texts", "begins_sentence", "cut"]

_INLINE: Final = " \t:,;.*`_\"'“”‘’«»<>[]-–—…"
_CLOSING_TAG: Final = re.compile(r"\s*</([a-z_]{1,30})>\s*$", re.IGNORECASE)
_PARAGRAPH_END: Final = re.compile(r"\n(?:[ \t\r]*\n)+")
_FENCE: Final = re.compile(r"^[ \t]*(?:```|~~~)[\w-]*[ \t]*$", re.MULTILINE)


class Texts:
    """Reads strategies and notes in the words of a prompt set."""

    def __init__(self, words: Words) -> None:
        """Compile the words."""
        said = words.texts
        markers = {
            "strategy": words.markers.strategy,
            "note": words.markers.note,
            "message": words.markers.message,
        }
        self._marked = {what: _marker(phrases) for what, phrases in markers.items()}
        self._between = compiled(rf"(?:{either(words.markers.leads_to_text)},?[ *_`]+)*$")
        self._listed = compiled(
            r"[ \t]*(?:[-*+•–—◦▪‣]\s|\(?\d{1,3}[.):]\s|\(?[a-z][.)]\s|\(?[ivx]{1,4}[.)]\s|\||```|~~~"
            rf"|{either(said.listed)}\s+\w+(?:\+|[-–]\w+)?\s?[:.)–—-]"
            rf"|{either(said.first)}[,:]|#{{1,6}}\s|<(?:ol|ul|li|table|tr)\b)"
        )
        """How a line of a list or of a table begins."""
        self._goes_on = compiled(rf"\*\*|__|#{{1,6}}\s|>|\t|\ {{2,}}|{either(said.goes_on, whole_words=True)}")
        """How a further paragraph of a list may begin, other than as a list item."""
        self._announces = compiled(rf"{either(said.announces)}[ .:!]*")
        """What only leads to a strategy below."""
        self._says_nothing = compiled(
            rf"{either(said.says_nothing)}|{either(said.insert)}\b.{{0,40}}\b{either(said.inserted)}"
        )
        """What stands for a strategy without being one."""

    def read(self, text: str, spec: TextSpec, *, is_whole: bool) -> Answer:
        """Return the text behind the last marker; `is_whole`: the model stopped of its own accord."""
        # The last marker counts, as models tend to repeat the instruction first; one that begins a sentence before
        # others.
        markers = list(self._marked[spec.what].finditer(text))
        markers = [one for one in markers if begins_sentence(text, one.start(), between=self._between)] or markers
        if not markers or not (is_whole or not text[: markers[0].start()].strip(" \t\r\n*_`#>\"'-")):
            return Answer(problem="unreadable" if is_whole else "cut_off")
        words, has_ended = self._statement(text[markers[-1].end() :])
        if not words:
            return Answer(problem="unreadable")
        return cut(words, spec) if is_whole or has_ended else Answer(problem="cut_off")

    def _statement(self, text: str) -> tuple[str, bool]:
        """Return what is stated at the beginning of `text`, and whether anything stands behind it."""
        paragraphs = _PARAGRAPH_END.split(self._behind_punctuation(text))
        kept, is_list = paragraphs[:1], self._has_list(paragraphs[0])
        is_fenced = len(_FENCE.findall(kept[0])) % 2 == 1
        for paragraph in paragraphs[1:]:
            leads_on = is_fenced or self._leads_on(kept[-1])
            if not (leads_on or self._listed.match(paragraph) or (is_list and self._goes_on.match(paragraph))):
                break
            kept.append(paragraph)
            is_list = True
            is_fenced ^= len(_FENCE.findall(paragraph)) % 2 == 1
        words = _FENCE.sub("", "\n\n".join(kept)).strip()
        while (tag := _CLOSING_TAG.search(words[-100:])) is not None and f"<{tag[1]}" not in words:
            words = words.removesuffix(tag[0])
        words = words.rstrip("*`\"'”’» ").rstrip()
        if (self._leads_on(words) and "\n" not in words) or self._says_nothing.fullmatch(words.strip(" .!:[]<>()")):
            return "", False  # what it leads to is missing
        return words, len(kept) < len(paragraphs)

    def _behind_punctuation(self, text: str) -> str:
        """Return the text without the punctuation behind the marker, but with the sign of a list's first item."""
        on_the_line = text.lstrip(_INLINE)
        if not on_the_line.startswith(("\n", "\r")):
            return on_the_line
        below = on_the_line.lstrip("\r\n \t")
        return below if self._listed.match(below) else below.lstrip(_INLINE + "\r\n")

    def _has_list(self, paragraph: str) -> bool:
        return any(self._listed.match(line) for line in paragraph.splitlines())

    def _leads_on(self, paragraph: str) -> bool:
        return (
            paragraph.rstrip(" \t\r*_`").endswith((":", "："))
            or self._announces.fullmatch(paragraph.strip()) is not None
        )


def _marker(phrases: tuple[str, ...]) -> re.Pattern[str]:
    """Return what reads a text's marker; one that ends in a colon may have signs of emphasis before it."""
    markers = []
    for phrase in phrases:
        words = r"\s+".join(re.escape(word) for word in phrase.removesuffix(":").split())
        markers.append(rf"\b{words}[*_`]*\s*:" if phrase.endswith(":") else words)
    return compiled("|".join(markers))


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
