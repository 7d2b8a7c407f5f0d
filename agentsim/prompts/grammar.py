"""The grammar of a decision: what a donor's answer may be, in one line. `docs/reading.md` states it for readers.

Whatever is not of this grammar is no answer. There is no list of forbidden words: "I keep 10 units" is not read, as
nothing here begins so. The forms are the same in all prompt sets; their words are the set's own (`words`).
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final, Literal, NamedTuple

from agentsim.core.answers import ActSpec, Answer
from agentsim.core.facts import Act, Problem, Reading
from agentsim.prompts.numbers import NUMBER, Sums, number
from agentsim.prompts.phrases import compiled, either
from agentsim.prompts.thoughts import REPLY_TAGS
from agentsim.prompts.words import Words

__all__ = ["MAX_LINE", "Amount", "Grammar", "plain_line"]

MAX_LINE: Final = 300
"""Characters that a line with an answer may have."""


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
    line = _INTERVAL.sub(lambda match: match[0].replace(",", ", "), line)
    line = line.replace("\\times", "×").replace("\\cdot", "×").replace("\\div", "÷").replace("{,}", ",")
    line = re.sub(r"\\([%$])", r"\1", _LATEX.sub(" ", line))
    line = _PLAIN_TAG.sub(" ", line)
    line = re.sub(r"<([^<>]*)>", r" \1 ", line)  # a sign alone says more, or less
    line = re.sub(r"[*`\"#]|(?<!\w)_+|_+(?!\w)|(?<!\w)'|'(?!\w)|[\[\]{}\\]", " ", line)
    line = re.sub(r"\s+", " ", line.replace("≈", "=")).strip().lstrip(",;:= ")
    line = re.sub(r" (?=[.,;:!%])(?!\.\d)", "", line)
    while (match := re.fullmatch(r"\(([^()]*)\)([.!]?)", line)) is not None:
        line = re.sub(r",(?=\d)", ", ", match[1].strip()) + match[2]
    return line


_NAME: Final = re.compile(r"\b\d+_\d+\b")
_WRITTEN: Final = re.compile(r"(?<![\w.,'])[$€£]?(\d(?:[\d.,']*\d)?)(?!\w)")
_AMOUNT: Final = r"(?P<amount>\S(?:.{0,120}?\S)??)"
_STOP: Final = r"[ .!,;:]*"


class Grammar:
    """The grammar in the words of a prompt set."""

    def __init__(self, words: Words) -> None:
        """Compile the words."""
        self._unit = either(words.units.read, whole_words=True)
        self._own = _own(words)
        self.agent = either(words.whom.agent)
        """What may stand before an agent's name."""
        self.who = rf"(?:{either(words.whom.who)}|{either(words.whom.not_before_digits)}(?! ?#?\d))"
        self.when = either(words.when)
        self.opening, self.i = self._opening(words), _i(words)
        """How a decision begins, and how a sentence begins before its verb."""
        self._forms = self._all_forms(words)
        self._yes_or_no = self._all_yes_or_no(words)
        self._sums = words.made(Sums)
        self._term_form = self._all_terms(words)
        self._shares = [float(Fraction(share)) for share in words.amounts.shares]
        shares = (rf"(?P<share_{n}>{either(said)})" for n, said in enumerate(words.amounts.shares.values()))
        self._share_form = compiled(rf"(?:{'|'.join(shares)})(?: {either(words.amounts.of)} {self._own})?")
        self._number_words = {word.lower(): value for word, value in words.amounts.number_words.items()}
        self._one_or_many = tuple(f" {noun.lower()}" for noun in (words.units.many, words.units.one))
        self._half_of = compiled(rf"^{either(words.amounts.half_of)} ")
        self._aside = compiled(rf"(?:=|{either(words.amounts.same_as)}) ?")
        self._percent_aside = compiled(rf"%|{either(words.amounts.percent)}")
        self._unit_aside = compiled(rf"s|{self._unit}")
        self._when_aside = compiled(self.when)
        self._counted = compiled(rf"\b{either(words.doubts.counted)}[ #]{{0,3}}\d+\b")
        self._negation = compiled(rf"\b{either(words.doubts.negations)}\b")
        self._punishes = compiled(rf"\b{either(words.doubts.punishes, whole_words=True)}")

    # --- its forms ---------------------------------------------------------------------------------------------

    def _all_forms(self, words: Words) -> list[tuple[Act | None, re.Pattern[str]]]:
        """Return the forms of a decision with the act that each names; the first that fits a line is tried alone."""
        opening, i, only = self.opening, self.i, rf"(?:{either(words.openings.only)} )?"
        who, when = self.who, self.when
        to = either(words.whom.to)
        noted = rf"(?: ?\((?P<noted>[^()]{{1,60}})\)(?: {self._unit})?)?"
        noted_2 = noted.replace("noted", "noted_2")
        for_whom = rf"(?:,? {either((*words.whom.to, *words.whom.for_))} {who})?(?:,? {when})?"
        giving, punishing = words.giving, words.punishing
        give = (
            rf"(?:{_option(words, 'give')}(?: {either(giving.beside, whole_words=True)})?"
            rf"|{either(giving.gift, whole_words=True)})"
        )
        punish = rf"(?:{_option(words, 'punish')}|{either(punishing.punishment, whole_words=True)})"

        def end(parted: tuple[str, ...]) -> str:
            return rf"{noted}{for_whom}{rf'(?: {either(parted)})?' if parted else ''}{noted_2}{_STOP}"

        def last(behind: tuple[str, ...], *, before: tuple[str, ...], whom: str) -> str:
            amount = rf"(?:{whom} )?(?:{either(before)} )?{only}{_AMOUNT}{noted}(?: {whom})?(?:,? {when})?"
            return rf"{i}{amount} {either(behind)}(?:,? {when})?{_STOP}"

        forms: list[tuple[Act | None, str]] = [
            ("give", rf"{i}{give}(?: (?:{to} )?{who})? ?[:=,]? ?{only}{_AMOUNT}{end(giving.parted)}"),
            (
                "punish",
                rf"{i}{punish}(?: {who})? ?[:=,]? ?(?:{either(punishing.with_)} )?{only}{_AMOUNT}"
                rf"{end(punishing.parted)}",
            ),
            (
                "punish",
                rf"{i}{either(punishing.spend)} {only}{_AMOUNT}{noted} {either(punishing.on_punishing)}"
                rf"(?: {who})?(?:,? {when})?{_STOP}",
            ),
        ]
        if punishing.behind_amount:
            forms.append(("punish", last(punishing.behind_amount, before=punishing.with_, whom=who)))
        if giving.behind_amount:
            forms.append(("give", last(giving.behind_amount, before=(), whom=rf"(?:{to} )?{who}")))
        forms.append((None, rf"{only}{_AMOUNT}{end(())}"))
        return [(act, compiled(opening + form)) for act, form in forms]

    def _opening(self, words: Words) -> str:
        openings = words.openings
        label = (
            rf"(?:{either(openings.labels)}(?: ?[:=] ?| {either(openings.is_)} ?:? ?)"
            rf"|{either(openings.labels_before_digits)} (?=\d))"
        )
        return rf"(?:{either(openings.so)},? )?(?:{self.when}, )?{label}{{0,2}}"

    def _all_yes_or_no(self, words: Words) -> re.Pattern[str]:
        """Return what an answer to a yes-or-no gift may be, beside an amount of nothing or of the gift itself."""
        said, i = words.yes_or_no, self.i
        yes = rf"(?:{either(said.yes)}(?:,? {either(said.behind_yes)})?|{i}{either(said.give)})"
        no = rf"(?:{either(said.no)}(?:,? {either(said.behind_no)})?|{i}{either(said.keep)}|{either(said.not_give)})"
        to = either((*words.whom.to, *words.whom.for_))
        return compiled(
            rf"{self.opening}(?:(?P<yes>{yes})|(?P<no>{no}))(?:,? {to} {self.who})?(?:,? {self.when})?{_STOP}"
        )

    def _all_terms(self, words: Words) -> re.Pattern[str]:
        said = words.amounts
        percent = either(said.percent, whole_words=True)
        thousand, million = either(said.thousand, whole_words=True), either(said.million, whole_words=True)
        return compiled(
            rf"(?P<nothing>{either(said.nothing)})"
            rf"|(?P<all>(?:{either(said.all)}(?: (?P<of_all>{NUMBER}))?(?: (?P<all_units>{either(said.all_units)}))?"
            rf"|{either(said.everything)})(?: {either(said.all_held)})?)"
            rf"|(?P<sign>[-+] ?)?(?:[$€£] ?)?(?P<number>{NUMBER})"
            rf"(?: ?(?:(?P<thousand>{thousand})|(?P<million>{million})))?"
            rf"(?: ?(?P<percent>%|{percent})|(?P<unit> ?[€£$]| ?{self._unit}))?"
            rf"(?P<of> {either(said.of_own)} {self._own})?"
        )

    # --- what a line says --------------------------------------------------------------------------------------

    def read_line(self, line: str, spec: ActSpec, *, is_marked: bool) -> Answer | None:
        """Return the decision that a line states, its amount perhaps out of range; `None` if not of the grammar.

        `is_marked`: it stood behind a marker; otherwise `nothing` and `all` must come with an act.
        """
        line = plain_line(line)
        if len(line) > MAX_LINE:
            return None
        if is_marked and (said := self.read_yes_or_no(line, spec)) is not None:
            return said
        for act, form in self._forms:
            match = form.fullmatch(line)
            if match is not None:
                amount = self.read_amount(match["amount"], high=spec.high)
                noted = [text for name, text in match.groupdict().items() if name.startswith("noted") and text]
                for text in noted:
                    amount = None if amount is None else self._confirmed(amount, text.strip(), high=spec.high)
                return None if amount is None else _decision(act, amount, spec, is_marked=is_marked)
        return None

    def read_yes_or_no(self, line: str, spec: ActSpec) -> Answer | None:
        """Return the decision of a line that says yes or no to a fixed gift; `None` if it is nothing else."""
        if spec.gift.yes is None or (said := self._yes_or_no.fullmatch(plain_line(line))) is None:
            return None
        return Answer(act="give", amount=spec.gift.yes if said["yes"] else 0.0)

    def read_amount(self, text: str, *, high: float) -> Amount | None:
        """Return the one amount that `text` states, or a sum whose terms agree; `high` is what its author holds."""
        *sums, last = (part.strip() for part in text.split("="))
        amount = self._term(last, high=high)
        for written in sums:
            said = self._term(written, high=high) or self._worked_out(written, high=high)
            if amount is None or not _is_near(amount, said):
                return None
        return amount

    def _worked_out(self, written: str, *, high: float) -> Amount | None:
        value = self._sums.worked_out(self._half_of.sub("0.5 × ", written), high=high)
        return None if value is None else Amount(value, "plain")

    def _term(self, text: str, *, high: float) -> Amount | None:
        match = self._term_form.fullmatch(text)
        if match is None:
            return self._share(text, high=high)
        if match["nothing"]:
            return Amount(0.0, "plain", word="nothing")
        if match["all"]:
            is_right = _is_holdings(match["of_all"], high=high)
            return Amount(high, "plain", word="all units" if match["all_units"] else "all") if is_right else None
        scale = 1e3 if match["thousand"] else 1e6 if match["million"] else 1.0
        written = number(match["number"], scale=scale, high=high)
        if written is None or not _is_holdings(match["holdings"], high=high):
            return None
        value = -written.value if (match["sign"] or "").startswith("-") else written.value
        if match["percent"]:
            return Amount(value / 100 * high, "percent", slack=(written.step or 1.0) / 200 * high)
        if match["of"] and value % 1 != 0:  # 0.5 of my units: half a unit, or half of them
            return None
        return Amount(value, "plain", slack=written.step, is_bare=not (match["unit"] or match["of"]))

    def _share(self, text: str, *, high: float) -> Amount | None:
        match = self._share_form.fullmatch(text)
        if match is None or not _is_holdings(match["holdings"], high=high):
            return None
        share = next(share for n, share in enumerate(self._shares) if match[f"share_{n}"])
        return Amount(share * high, "plain", word="share")

    def _confirmed(self, amount: Amount, aside: str, *, high: float) -> Amount | None:
        """Return the amount if what stands in parentheses behind it says the same, or says when.

        A share, as `half of my units`, counts only as such a parenthesis, or with its number in one.
        """
        if self._when_aside.fullmatch(aside) or self._unit_aside.fullmatch(aside):
            return amount
        if self._percent_aside.fullmatch(aside):
            if amount.reading == "percent":
                return amount
            return Amount(amount.value / 100 * high, "percent") if amount.is_bare else None
        aside = self._aside.sub("", aside, count=1) if self._aside.match(aside) else aside
        word = aside.lower()
        for noun in self._one_or_many:
            word = word.removesuffix(noun)
        if word in self._number_words:
            said: Amount | None = Amount(self._number_words[word], "plain")
        else:
            said = self.read_amount(aside, high=high)
        if said is None or not _is_near(amount, said):
            return None
        return said if amount.word == "share" else amount

    def why_not(self, text: str, *, high: float) -> Problem:
        """Return what to tell the author of a text without a decision: it could mean several things, or nothing.

        `high`: the most units that it could have named.
        """
        written = set(_WRITTEN.findall(self._counted.sub(" ", _NAME.sub(" ", text))))
        if len(written) > 1 or any(number(one[:MAX_LINE], high=high) is None for one in written):
            return "ambiguous"
        is_denied = written and self._negation.search(text) and not self._punishes.search(text)
        return "ambiguous" if is_denied else "unreadable"


def _option(words: Words, name: str) -> str:
    return either(words.options.get(name, ()), whole_words=True)


def _i(words: Words) -> str:
    """Return how a sentence begins before its verb: "I will", "I have decided to", "to"."""
    said = words.openings
    will, choose = rf"(?:{either(said.will)} ?)?", rf"(?:{either(said.choose)} ?)?"
    return rf"(?:{either(said.to)} |{either(said.who)} ?{will}{choose})?"


def _own(words: Words) -> str:
    phrases = words.own
    return (
        rf"(?:(?:{either(phrases.whose)} )?(?:{either(phrases.which)} ){{0,2}}(?:(?P<holdings>{NUMBER}) )?"
        rf"{either(phrases.things)}(?: {either(phrases.held)})?|{either(phrases.alone)})"
    )


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


def _is_holdings(written: str | None, *, high: float) -> bool:
    """Return whether a number, if one is written, is what the donor holds; it is shown with two decimals."""
    holdings = None if written is None else number(written, high=high)
    return written is None or (holdings is not None and abs(holdings.value - high) <= max(0.01, holdings.step))


def _is_near(amount: Amount, other: Amount | None) -> bool:
    """Return whether two amounts are the same, as far as they may have been rounded."""
    if other is None:
        return False
    return abs(amount.value - other.value) <= amount.slack + other.slack + 1e-9 * max(abs(amount.value), 1.0)
