"""The grammar of a decision: what a donor's answer may be, in one line. `docs/reading.md` states it for readers.

Whatever is not of this grammar is no answer. There is no list of forbidden words: "I keep 10 units" is not read, as
nothing here begins so.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from agentsim.core.answers import ActSpec, Answer
from agentsim.core.facts import Act, Problem, Reading
from agentsim.prompts.numbers import NUMBER, NUMBER_WORDS, number, worked_out
from agentsim.prompts.thoughts import REPLY_TAGS

__all__ = ["MAX_LINE", "Amount", "plain_line", "read_amount", "read_line", "read_yes_or_no", "why_not"]

MAX_LINE: Final = 300
"""Characters that a line with an answer may have."""

# --- the words of the grammar --------------------------------------------------------------------------------------

_UNIT = r"(?:(?:resource )?units?\b|unit\(s\)|resources\b|points?\b|coins?\b|tokens?\b|credits?\b|dollars?\b)"
_OWN = (
    rf"(?:(?:(?:my|our|the) (?:own )?)?(?:(?:current|total|remaining|available) ){{0,2}}(?:(?P<holdings>{NUMBER}) )?"
    r"(?:units|resources|holdings|balance)(?: (?:that )?(?:i|we) (?:currently )?(?:have|hold|own))?"
    r"|what (?:i|we) (?:have|hold|own))"
)
_WHO = (
    r"(?:(?:the |my |this )?(?:agent|recipient|partner|player)(?: agent)? \d+_\d+"
    r"|(?:the |my |this )(?:agent|recipient|partner|player)(?: agent)?|recipient|partner"
    r"|(?:agent|player)(?! ?#?\d)"  # "give agent 3" names an agent in the wrong way, and no amount
    r"|(?:the )?\d+_\d+|them|him|her|it)"
)
_WHEN = (
    r"(?:(?:in |for |during )?(?:(?:this|the current) (?:round|game|generation|time)|(?:round|game|generation) #?\d+)"
    r"|now)"
)
_WILL = r"(?:will|shall|would|'ll|'d|am going to|'m going to|are going to|'re going to)"
_CHOOSE = r"(?:(?:have |'ve )?(?:choose|chosen|decide|decided|want|wish|intend|like|plan) to|am|'m|are|'re)"
_I = rf"(?:to |by |(?:i|we|you) ?(?:{_WILL} ?)?(?:{_CHOOSE} ?)?)?"
_ONLY = r"(?:(?:only|just|exactly|precisely|a total of) )?"
_GIVE = (
    r"(?:(?:giv(?:e|ing)|donat(?:e|ing)|contribut(?:e|ing)|send(?:ing)?|transfer(?:ring)?)\b(?: (?:up|away|back)\b)?"
    r"|(?:a |my )?(?:gift|donation|contribution)\b(?: (?:of|is|will be)\b)?)"
)
_PUNISH = r"(?:punish(?:ing)?\b|(?:a |my )?punishment\b(?: (?:of|is|will be)\b)?)"
_LABEL = (
    r"(?:(?:(?:my |the |your )?(?:final )?(?:answer|decision|choice|response|reply|result)"
    r"|(?:the )?(?:amount|number)(?: of units)?(?: to (?:give|donate))?|units to (?:give|donate))"
    r"(?: ?[:=] ?| (?:is|would be|will be) ?:? ?)|(?:final )?answer (?=\d))"
)
_OPENING = rf"(?:(?:so|thus|therefore|hence|finally),? )?(?:{_WHEN}, )?{_LABEL}{{0,2}}"
_AMOUNT = r"(?P<amount>\S(?:.{0,120}?\S)??)"
_NOTED = rf"(?: ?\((?P<noted>[^()]{{1,60}})\)(?: {_UNIT})?)?"
_STOP = r"[ .!,;:]*"
_END = rf"{_NOTED}(?:,? (?:to|for) {_WHO})?(?:,? {_WHEN})?{_NOTED.replace('noted', 'noted_2')}{_STOP}"
_GIVING: Final = rf"{_I}{_GIVE}(?: (?:to )?{_WHO})? ?[:=,]? ?{_ONLY}{_AMOUNT}{_END}"
_PUNISHING: Final = (
    rf"{_I}{_PUNISH}(?: {_WHO})? ?[:=,]? ?(?:with |using |by (?:spending|using) )?{_ONLY}{_AMOUNT}{_END}"
)
_SPENDING: Final = (
    rf"{_I}(?:spend(?:ing)?|us(?:e|ing)) {_ONLY}{_AMOUNT}{_NOTED}"
    rf" (?:to punish|on punishing|punishing|on punishment|for punishment)(?: {_WHO})?(?:,? {_WHEN})?{_STOP}"
)
_FORMS: Final[tuple[tuple[Act | None, re.Pattern[str]], ...]] = (
    ("give", re.compile(_OPENING + _GIVING, re.IGNORECASE)),
    ("punish", re.compile(_OPENING + _PUNISHING, re.IGNORECASE)),
    ("punish", re.compile(_OPENING + _SPENDING, re.IGNORECASE)),
    (None, re.compile(_OPENING + _ONLY + _AMOUNT + _END, re.IGNORECASE)),
)
"""The forms of a decision, with the act that each names; the first that fits a line is tried and no other."""
_YES: Final = rf"(?:yes(?:,? (?:i )?(?:will )?(?:give|donate|help))?|{_I}(?:give|donate|help)(?: it| the gift)?)"
_NO: Final = (
    r"(?:no(?:,? (?:i )?(?:(?:will )?keep|(?:will not|won't|do not|don't) (?:give|donate|help)))?"
    rf"|{_I}(?:keep|refuse)(?: it)?|(?:i )?(?:will not|won't|do not|don't) (?:give|donate|help))"
)
_YES_OR_NO: Final = re.compile(
    rf"{_OPENING}(?:(?P<yes>{_YES})|(?P<no>{_NO}))(?:,? (?:to|for) {_WHO})?(?:,? {_WHEN})?{_STOP}", re.IGNORECASE
)
"""What an answer to a yes-or-no gift may be, behind a marker, beside an amount of nothing or of the gift itself."""
_TERM: Final = re.compile(
    rf"(?P<nothing>nothing(?: at all)?|none(?: of my units)?|no units|zero(?: units?\b| percent\b| ?%)?)"
    rf"|(?P<all>(?:all(?: of)?(?: my| the)?(?: (?P<of_all>{NUMBER}))?(?: (?P<all_units>units?|resources))?|everything)"
    r"(?: (?:that )?i (?:have|hold|own))?)"
    rf"|(?P<sign>[-+] ?)?(?:[$€£] ?)?(?P<number>{NUMBER})(?: ?(?P<magnitude>k|thousand|million)\b)?"
    rf"(?: ?(?P<percent>%|percent\b|per cent\b)|(?P<unit> ?[€£$]| ?{_UNIT}))?(?P<of>(?: out)? of {_OWN})?",
    re.IGNORECASE,
)
_SHARES: Final = {
    "half": 1 / 2, "a half": 1 / 2, "one half": 1 / 2, "a third": 1 / 3, "one third": 1 / 3, "two thirds": 2 / 3,
    "a quarter": 1 / 4, "one quarter": 1 / 4, "three quarters": 3 / 4,
}  # fmt: skip
"""Shares that may repeat an amount in a parenthesis."""
_SHARE: Final = re.compile(rf"({'|'.join(_SHARES)})(?: of {_OWN})?", re.IGNORECASE)
_ASIDE: Final = re.compile(r"(?:=|i\.?e\.?,?|or|that is,?|about|approximately|roughly|exactly) ?", re.IGNORECASE)
_PERCENT_ASIDE: Final = re.compile(r"%|percent|per cent", re.IGNORECASE)
_UNIT_ASIDE: Final = re.compile(rf"s|{_UNIT}", re.IGNORECASE)
_WHEN_ASIDE: Final = re.compile(_WHEN, re.IGNORECASE)


class Amount(NamedTuple):
    """An amount of units, how it was written, and how far it may have been rounded."""

    value: float
    reading: Reading
    slack: float = 0.0
    word: Literal["nothing", "all", "all units", "share"] | None = None
    is_bare: bool = False
    """Whether it is a number without a unit or a percent sign."""


# --- a line and what it says ---------------------------------------------------------------------------------------

_LATEX: Final = re.compile(
    r"\\(?:boxed|text(?:bf|it)?|mathbf|mathrm|displaystyle|left|right|[,;!()\[\]])|\$(?=\\)|(?<=\d|\})\$"
)

_PLAIN_TAG: Final = re.compile(rf"</?{REPLY_TAGS} ?/?>", re.IGNORECASE)
"""Tags that say nothing about what they enclose; `<keep>10</keep>` and `<s>10</s>` do."""
_INTERVAL: Final = re.compile(r"(?<![\\a-z])[\[{][^\[\]{}\\]*\d,\d[^\[\]{}\\]*[\])}]", re.IGNORECASE)
"""Two numbers in brackets of their own: `[5,10]` is not 5.1, as `\\boxed{5,1}` is."""


def plain_line(line: str) -> str:
    """Return a line without emphasis, quotation marks, brackets and LaTeX around its words; empty if there are none."""
    if len(line) > 4 * MAX_LINE:
        return line
    line = re.sub(r"(?<=[\d%]) ?(?<!\*)\*(?!\*) ?(?=\d)", " × ", line)  # a product, no emphasis
    line = re.sub(r"(?<=\d)['\u00a0\u2009\u202f](?=\d{3}(?!\d))", "'", line)
    line = _INTERVAL.sub(lambda found: found[0].replace(",", ", "), line)
    line = line.replace("\\times", "×").replace("\\cdot", "×").replace("\\div", "÷").replace("{,}", ",")
    line = re.sub(r"\\([%$])", r"\1", _LATEX.sub(" ", line))
    line = _PLAIN_TAG.sub(" ", line)
    line = re.sub(r"<([^<>]*)>", r" \1 ", line)  # a sign alone says more, or less
    line = re.sub(r"[*`\"#]|(?<!\w)_+|_+(?!\w)|(?<!\w)'|'(?!\w)|[\[\]{}\\]", " ", line)
    line = re.sub(r"\s+", " ", line.replace("≈", "=")).strip().lstrip(",;:= ")
    line = re.sub(r" (?=[.,;:!%])(?!\.\d)", "", line)
    while (found := re.fullmatch(r"\(([^()]*)\)([.!]?)", line)) is not None:
        line = re.sub(r",(?=\d)", ", ", found[1].strip()) + found[2]
    return line


def read_line(line: str, spec: ActSpec, *, is_marked: bool) -> Answer | None:
    """Return the decision that a line states, its amount perhaps out of range; `None` if it is not of the grammar.

    `is_marked`: it stood behind a marker; otherwise `nothing` and `all` must come with an act.
    """
    line = plain_line(line)
    if len(line) > MAX_LINE:
        return None
    if is_marked and (said := read_yes_or_no(line, spec)) is not None:
        return said
    for act, form in _FORMS:
        found = form.fullmatch(line)
        if found is not None:
            amount = read_amount(found["amount"], high=spec.high)
            noted = [text for name, text in found.groupdict().items() if name.startswith("noted") and text]
            for text in noted:
                amount = None if amount is None else _confirmed(amount, text.strip(), high=spec.high)
            return None if amount is None else _decision(act, amount, spec, is_marked=is_marked)
    return None


def read_yes_or_no(line: str, spec: ActSpec) -> Answer | None:
    """Return the decision of a line that says yes or no to a fixed gift; `None` if it is nothing else."""
    if spec.gift.yes is None or (said := _YES_OR_NO.fullmatch(plain_line(line))) is None:
        return None
    return Answer(act="give", amount=spec.gift.yes if said["yes"] else 0.0)


def _decision(act: Act | None, amount: Amount, spec: ActSpec, *, is_marked: bool) -> Answer | None:
    if act is None and amount.word is not None and not is_marked:
        return None
    if act is None and (spec.acts == ("give",) or amount.word == "nothing"):
        act = "give"
    if act == "punish" and amount.word in ("nothing", "all"):  # "punish them all" names no amount
        return None
    if act is None or act not in spec.acts or amount.word == "share":
        return None
    return Answer(act=act, amount=amount.value, reading=amount.reading)


def read_amount(text: str, *, high: float) -> Amount | None:
    """Return the one amount that `text` states, or a sum whose terms agree; `high` is what its author holds."""
    *sums, last = (part.strip() for part in text.split("="))
    amount = _term(last, high=high)
    for written in sums:
        if amount is None or not _is_near(amount, _term(written, high=high) or _worked_out(written, high=high)):
            return None
    return amount


def _worked_out(written: str, *, high: float) -> Amount | None:
    value = worked_out(re.sub(r"^half of (?:my )?", "0.5 × ", written, flags=re.IGNORECASE), high=high)
    return None if value is None else Amount(value, "plain")


def _term(text: str, *, high: float) -> Amount | None:
    found = _TERM.fullmatch(text)
    if found is None:
        return _share(text, high=high)
    if found["nothing"]:
        return Amount(0.0, "plain", word="nothing")
    if found["all"]:
        is_right = _is_holdings(found["of_all"], high=high)
        return Amount(high, "plain", word="all units" if found["all_units"] else "all") if is_right else None
    written = number(found["number"], magnitude=found["magnitude"] or "", high=high)
    if written is None or not _is_holdings(found["holdings"], high=high):
        return None
    value = -written.value if (found["sign"] or "").startswith("-") else written.value
    if found["percent"]:
        return Amount(value / 100 * high, "percent", slack=(written.step or 1.0) / 200 * high)
    if found["of"] and value % 1 != 0:  # 0.5 of my units: half a unit, or half of them
        return None
    return Amount(value, "plain", slack=written.step, is_bare=not (found["unit"] or found["of"]))


def _share(text: str, *, high: float) -> Amount | None:
    found = _SHARE.fullmatch(text)
    if found is None or not _is_holdings(found["holdings"], high=high):
        return None
    return Amount(_SHARES[found[1].lower()] * high, "plain", word="share")


def _is_holdings(written: str | None, *, high: float) -> bool:
    """Return whether a number, if one is written, is what the donor holds; it is shown with two decimals."""
    found = None if written is None else number(written, high=high)
    return written is None or (found is not None and abs(found.value - high) <= max(0.01, found.step))


def _confirmed(amount: Amount, aside: str, *, high: float) -> Amount | None:
    """Return the amount if what stands in parentheses behind it says the same, or says when.

    A share, as `half of my units`, counts only as such a parenthesis, or with its number in one.
    """
    if _WHEN_ASIDE.fullmatch(aside) or _UNIT_ASIDE.fullmatch(aside):
        return amount
    if _PERCENT_ASIDE.fullmatch(aside):
        if amount.reading == "percent":
            return amount
        return Amount(amount.value / 100 * high, "percent") if amount.is_bare else None
    aside = _ASIDE.sub("", aside, count=1) if _ASIDE.match(aside) else aside
    if (word := aside.lower().removesuffix(" units").removesuffix(" unit")) in NUMBER_WORDS:
        said: Amount | None = Amount(NUMBER_WORDS[word], "plain")
    else:
        said = read_amount(aside, high=high)
    if said is None or not _is_near(amount, said):
        return None
    return said if amount.word == "share" else amount


def _is_near(amount: Amount, other: Amount | None) -> bool:
    """Return whether two amounts are the same, as far as they may have been rounded."""
    if other is None:
        return False
    return abs(amount.value - other.value) <= amount.slack + other.slack + 1e-9 * max(abs(amount.value), 1.0)


# --- why a text is no decision -------------------------------------------------------------------------------------

_NAME: Final = re.compile(r"\b\d+_\d+\b")
_COUNTED: Final = re.compile(r"\b(?:round|generation|game)s?[ #]{0,3}\d+\b", re.IGNORECASE)
_WRITTEN: Final = re.compile(r"(?<![\w.,'])[$€£]?(\d(?:[\d.,']*\d)?)(?!\w)")
_NEGATION: Final = re.compile(r"\b(?:not|never|no|won't|don't|cannot|can't|instead of|rather than)\b", re.IGNORECASE)
_PUNISHES: Final = re.compile(r"\bpunish", re.IGNORECASE)


def why_not(text: str, spec: ActSpec) -> Problem:
    """Return what to tell the author of a text that states no decision: it could mean several things, or nothing."""
    written = set(_WRITTEN.findall(_COUNTED.sub(" ", _NAME.sub(" ", text))))
    if len(written) > 1 or any(number(one[:MAX_LINE], high=spec.high) is None for one in written):
        return "ambiguous"
    return "ambiguous" if written and _NEGATION.search(text) and not _PUNISHES.search(text) else "unreadable"
