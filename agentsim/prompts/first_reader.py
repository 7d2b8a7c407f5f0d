"""How replies were read before the grammar (`grammar`): for logs that were begun so, and for nothing else.

A log's facts follow from its replies as they were read then, so a run that began with this reader replays and goes on
with it. No run begins with it any more, and nothing in it is mended.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NamedTuple

from agentsim.core.answers import ActSpec, Answer, DonorSpec, TextSpec
from agentsim.core.facts import Act, Problem, Reading
from agentsim.providers.base import Completion

__all__ = ["parse"]

ROUNDING = 1e-9
"""Relative slack for an amount at the edge of its range."""

_ANSWER = re.compile(r"\b(?:final\s+)?answer\s*(?:is\s*)?[:=]", re.IGNORECASE)
_MARKED = {
    "strategy": re.compile(r"my\s+strategy\s+will\s+be", re.IGNORECASE),
    "note": re.compile(r"\bmy\s+note[*_`]*\s*:", re.IGNORECASE),
}
_EMPHASIS = re.compile(r"[*`]|\\boxed|\\text|(?<!\w)_+|_+(?!\w)")
_BRACKETS = re.compile(r"[<>\[\]{}\\]")
_NAME = re.compile(r"\b\d+_\d+\b")
_COUNTED = re.compile(r"\b(?:round|generation|game)s?\s*#?\s*\d+\b", re.IGNORECASE)
_NUMBER = re.compile(
    r"(?<![\w.,])(?P<sign>[-+−–]\s?)?(?:[$€£]\s?)?(?P<digits>\d[\d,.'\u2009\u202f\u00a0]*|\.\d+)(?P<exponent>e[+-]?\d+)?"
    r"(?=\W|$|units?\b)\s?(?P<percent>%|percent\b|per cent\b)?",
    re.IGNORECASE,
)
_NEGATION = re.compile(r"\b(?:not|never|no|won't|don't|cannot|can't|instead of|rather than)\b", re.IGNORECASE)
_GIVE = re.compile(r"\b(?:giv(?:e|es|ing)|gave|donat(?:e|es|ing|ion))\b", re.IGNORECASE)
_PUNISH = re.compile(r"\b(?:punish(?:es|ing|ment)?)\b", re.IGNORECASE)
_I_GIVE = r"(?:i\s+)?(?:(?:will\s+)?(?:give|donate)\s+)?"
_NOTHING = re.compile(_I_GIVE + r"(?:nothing|none|zero)(?:\s+units?)?[.!]?", re.IGNORECASE)
_ALL = re.compile(_I_GIVE + r"(?:all|everything)(?:\s+(?:my|of my)?\s*units)?[.!]?", re.IGNORECASE)


class _Amount(NamedTuple):
    value: float
    reading: Reading


def parse(completion: Completion, spec: DonorSpec, *, is_structured: bool = False, clamps: bool = False) -> Answer:
    """Return the answer in `completion`, or an `Answer` whose `problem` says why there is none. Never raises.

    `is_structured`: it was to be JSON of a schema; `clamps`: more than the donor has is all that it has, and marked so.
    """
    answer = _parse(completion, spec, is_structured=is_structured)
    if isinstance(spec, TextSpec) or answer.amount is None:
        return answer
    if 0 <= answer.amount <= spec.high * (1 + ROUNDING):
        return answer._replace(amount=min(answer.amount, spec.high))
    if clamps and answer.amount > 0:
        return answer._replace(amount=spec.high, reading="clamped")
    return Answer(problem="out_of_range")


def _parse(completion: Completion, spec: DonorSpec, *, is_structured: bool) -> Answer:
    """Return the answer as it was written, its amount perhaps out of range."""
    if completion.finish_reason in ("refused", "filtered"):
        return Answer(problem="refused" if completion.finish_reason == "refused" else "filtered")
    if not completion.text.strip():
        return Answer(problem="cut_off" if completion.finish_reason == "length" else "empty")
    is_cut_off = completion.finish_reason == "length"
    if is_structured:
        answer = _read_json(completion.text, spec)
        return Answer(problem="cut_off") if is_cut_off and answer.problem is not None else answer
    if isinstance(spec, TextSpec):
        return _parse_text(completion.text, spec, is_cut_off=is_cut_off)
    return _parse_act(completion.text, spec, is_cut_off=is_cut_off)


def _parse_text(text: str, spec: TextSpec, *, is_cut_off: bool) -> Answer:
    # The last marker counts: models tend to repeat the instruction first.
    markers = list(_MARKED[spec.what].finditer(text))
    if not markers:
        return Answer(problem="cut_off" if is_cut_off else "unreadable")
    behind = text[markers[-1].end() :].lstrip(" \t\r\n:,;.*`_\"'“”‘’«»<>[]-–—…")
    paragraph = re.split(r"\n\s*\n", behind, maxsplit=1)
    words = paragraph[0].strip().rstrip("*`\"'”’» ")
    if not words:
        return Answer(problem="unreadable")
    if is_cut_off and len(paragraph) == 1:
        return Answer(problem="cut_off")
    return Answer(text=words[: spec.max_chars], is_cut=len(words) > spec.max_chars)


def _parse_act(text: str, spec: ActSpec, *, is_cut_off: bool) -> Answer:
    plain = _EMPHASIS.sub("", text)
    markers = list(_ANSWER.finditer(plain))
    if not markers:
        return Answer(problem="cut_off") if is_cut_off else _read(plain, spec, is_marked=False)
    segments = [
        _first_line(plain[marker.end() : following.start() if following else None])
        for marker, following in zip(markers, [*markers[1:], None], strict=True)
    ]
    answers = [_read(segment, spec, is_marked=True) for segment in segments]
    last = answers[-1]
    if is_cut_off and plain.rstrip().endswith(segments[-1]):
        return Answer(problem="cut_off")
    others = {(answer.act, answer.amount) for answer in answers if answer.is_valid}
    if last.is_valid and len(others) > 1:
        return Answer(problem="ambiguous")
    return last


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _read(segment: str, spec: ActSpec, *, is_marked: bool) -> Answer:
    """Read one decision from the text behind a marker, or from a whole reply without one."""
    segment = _BRACKETS.sub(" ", segment).strip()
    act = _act(segment, spec)
    amounts = _amounts(segment, spec.high)
    if isinstance(amounts, str):
        return Answer(problem=amounts)
    if len(amounts) != 1 and "=" in segment:
        amounts_behind = _amounts(segment.rsplit("=", 1)[1], spec.high)
        if isinstance(amounts_behind, list) and len(amounts_behind) == 1:
            amounts = amounts_behind
    if not amounts and is_marked:
        if _NOTHING.fullmatch(segment):
            amounts, act = [_Amount(0.0, "plain")], "give"
        elif _ALL.fullmatch(segment):
            amounts, act = [_Amount(spec.high, "plain")], act or "give"
    if len(amounts) > 1:
        return Answer(problem="ambiguous")
    if not amounts or act is None:
        return Answer(problem="unreadable")
    if _NEGATION.search(segment):
        return Answer(problem="ambiguous")
    [amount] = amounts
    return Answer(act=act, amount=amount.value, reading=amount.reading)


def _act(segment: str, spec: ActSpec) -> Act | None:
    """Return the act the text names; where only giving is allowed it need not be named."""
    names_give, names_punish = bool(_GIVE.search(segment)), bool(_PUNISH.search(segment))
    if names_punish:
        return None if names_give or "punish" not in spec.acts else "punish"
    return "give" if names_give or spec.acts == ("give",) else None


def _amounts(segment: str, high: float) -> list[_Amount] | Problem:
    """Return the amounts written in the text, each once, or why one of them cannot be read."""
    bare = _COUNTED.sub(" ", _NAME.sub(" ", segment))
    amounts: dict[tuple[float, Reading], _Amount] = {}
    for match in _NUMBER.finditer(bare):
        value = _value(match["digits"].rstrip(".,'\u2009\u202f\u00a0"), match["exponent"] or "", high=high)
        if value is None:
            return "ambiguous"
        if (match["sign"] or "").strip() in ("-", "−", "–"):
            value = -value
        reading: Reading = "percent" if match["percent"] else "plain"
        amount = _Amount(value / 100 * high if reading == "percent" else value, reading)
        amounts[amount] = amount
    return list(amounts.values())


def _value(digits: str, exponent: str, *, high: float) -> float | None:
    """Return the number written, or `None` where its separators can be read in two ways."""
    digits = re.sub("['\u2009\u202f\u00a0]", "", digits)
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", digits):
        digits = digits.replace(",", "")
    elif re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d+|\d{1,3}(?:\.\d{3}){2,}", digits):
        digits = digits.replace(".", "").replace(",", ".")
    elif re.fullmatch(r"\d+,\d{1,2}", digits):
        digits = digits.replace(",", ".")
    elif re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", digits) and float(digits) * 1000 <= high:
        return None  # 1.250 is a quarter more than one, or twelve hundred and fifty
    try:
        return float(digits + exponent)
    except ValueError:
        return None


def _read_json(text: str, spec: DonorSpec) -> Answer:
    """Return the answer in a JSON text, its amount perhaps out of range; unreadable if it is not of the schema."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return Answer(problem="unreadable")
    if not isinstance(value, dict):
        return Answer(problem="unreadable")
    if isinstance(spec, TextSpec):
        words = value.get(spec.what)
        return _json_text(words, spec) if isinstance(words, str) else Answer(problem="unreadable")
    return _json_decision(value, spec)


def _json_text(text: str, spec: TextSpec) -> Answer:
    words = text.strip()
    if not words:
        return Answer(problem="empty")
    return Answer(text=words[: spec.max_chars], is_cut=len(words) > spec.max_chars)


def _json_decision(value: dict[str, Any], spec: ActSpec) -> Answer:
    act = value.get("act") if len(spec.acts) > 1 else spec.acts[0]
    units = value.get("units")
    if act not in spec.acts or isinstance(units, bool) or not isinstance(units, int | float):
        return Answer(problem="unreadable")
    try:
        amount = float(units)
    except OverflowError:  # an integer of hundreds of digits
        return Answer(problem="out_of_range")
    return Answer(act=act, amount=amount) if math.isfinite(amount) else Answer(problem="unreadable")
