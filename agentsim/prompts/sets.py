"""Prompt sets: folders of templates that turn a request into the messages a model reads.

A set holds the files named in `TEMPLATES`, those of `OPTIONAL` where a scenario has use for them, and in `rules/` a
sentence file for each rule that is played (`sentences`). `default` ships with agentsim; any folder of the user's with
the same files can take its place. Templates are Jinja, sandboxed; an unknown name in one is an error, not an empty
string.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from jinja2 import TemplateError, TemplateSyntaxError

from agentsim.core.answers import ActSpec, AnswerSpec
from agentsim.core.facts import Problem
from agentsim.core.gifts import ANY_SHARE
from agentsim.core.requests import DecisionView, NoteView, Request, StrategyView
from agentsim.core.rules import SocietyRules
from agentsim.errors import ScenarioError
from agentsim.prompts import first_reader
from agentsim.prompts.parsing import ANSWER_MARKER, MARKERS, parse
from agentsim.prompts.sandbox import BoundedEnvironment
from agentsim.prompts.sentences import FOLDER, told
from agentsim.providers.base import Message

__all__ = [
    "READER",
    "READERS",
    "TEMPLATES",
    "PromptSet",
    "kept_name",
    "kept_prompt_set",
    "load_prompt_set",
    "parse",
    "percent",
    "quoted",
]

READERS: Final = {1: first_reader.parse, 2: parse}
"""The readers of replies, by version. A log names the one it was begun with, and is only ever read by that one."""
READER: Final = 2
"""The version that new runs are read by."""

TEMPLATES = ("rules.md", "first-strategy.md", "later-strategy.md", "decision.md", "ask-again.md")
"""The system message; a strategy in generation 1; a newborn's later; a donor's decision; after an unreadable reply."""
OPTIONAL = {"kept-strategy.md": "transmission.rewrite", "note.md": "observation: {kind: gossip}"}
"""Templates that only some scenarios need, with the setting that needs them: for survivors that may rewrite their
strategies, and for recipients that write notes."""

MAX_TEMPLATE_BYTES = 100_000


class PromptSet:
    """A set of templates.

    Raises:
        ScenarioError: a template is not valid.
    """

    def __init__(self, folder: Path, sources: Mapping[str, str]) -> None:
        """`sources` are the templates' texts by name; errors name them as files of `folder`."""
        self._folder = folder
        self._environment = BoundedEnvironment(FILTERS)
        self.sources = dict(sources)
        self.digest = hashlib.sha256(json.dumps(sources, sort_keys=True).encode()).hexdigest()
        """SHA-256 over the names and texts of all templates."""
        self._templates = {}
        self._systems: dict[SocietyRules, Message] = {}
        """The system messages made so far: one for each set of rules."""
        for name, source in sources.items():
            try:
                self._templates[name] = self._environment.template(source)
            except TemplateSyntaxError as error:
                raise ScenarioError(f"{folder / name}:{error.lineno}: {error.message}; mend the template") from error

    def messages(self, request: Request) -> tuple[Message, ...]:
        """Return what the agent reads: the rules, which never change within a run, then the question."""
        facts = {field.name: getattr(request.view, field.name) for field in fields(request.view)}
        if isinstance(request.view, StrategyView):
            name = "later-strategy.md" if request.view.advice else "first-strategy.md"
            name = "kept-strategy.md" if request.view.is_survivor else name
        elif isinstance(request.view, NoteView):
            name = "note.md"
        else:
            name = "decision.md"
            facts |= self._reputations(request.view)
        facts["marker"] = _marker(request.spec)
        if isinstance(request.spec, ActSpec):
            facts["can_punish"] = "punish" in request.spec.acts
            facts["gift"] = request.spec.gift
        else:
            facts["max_chars"] = request.spec.max_chars
        return self.rules_message(request.view.rules), Message(role="user", content=self._render(name, facts))

    def _reputations(self, view: DecisionView) -> dict[str, str]:
        """Return the sentences on the recipient's and the donor's reputation, where decision.md has a place for them.

        Raises:
            ScenarioError: there is no sentence file for such a reputation.
        """
        told = {}
        for name, reputation, is_own in (
            ("reputation_told", view.reputation, False),
            ("own_reputation_told", view.own_reputation, True),
        ):
            if reputation is None or name not in self.sources["decision.md"]:
                continue
            file = f"{FOLDER}/shown/{reputation.kind}.md"
            if file not in self._templates:
                raise ScenarioError(
                    f"{self._folder / file}: is missing, so donors would not be told the reputation that"
                    f" observation: {{kind: {reputation.kind}}} shows; write there in a sentence what"
                    " `reputation.value` means for `agent`, or for the donor itself where `is_own`"
                    f" (agentsim/prompts/default/{FOLDER}/shown has examples)"
                )
            told[name] = self._render(file, {"reputation": reputation, "agent": view.recipient, "is_own": is_own})
        return told

    def rules_message(self, rules: SocietyRules) -> Message:
        """Return the message that tells the rules, each in its own sentences.

        Raises:
            ScenarioError: a rule that is played has no sentence file, or that leaves a setting unsaid.
        """
        if rules not in self._systems:
            sentences = self.sentences(rules)
            if "sentences" not in self.sources["rules.md"]:
                raise ScenarioError(
                    f"{self._folder / 'rules.md'}: does not speak of `sentences`, which tell the rules that are played;"
                    " place them as agentsim/prompts/default/rules.md does, or name them in a comment,"
                    " {# sentences #}, if agents are not to read them"
                )
            if rules.game.gift != ANY_SHARE and not re.search(r"\bgift\b", self.sources["decision.md"]):
                raise ScenarioError(
                    f"{self._folder / 'decision.md'}: does not speak of `gift`, so agents would be asked for any amount"
                    f" where game.gift is {rules.game.gift.kind}; ask as agentsim/prompts/default/decision.md does"
                )
            text = self._render("rules.md", {"rules": rules, "sentences": sentences})
            self._systems[rules] = Message(role="system", content=text)
        return self._systems[rules]

    def sentences(self, rules: SocietyRules) -> list[str]:
        """Return what the sentence files say of the rules, one item a line."""
        found: list[str] = []
        for name, rule in told(rules, self.sources, folder=self._folder):
            lines = self._render(name, {"rule": rule, "rules": rules}).splitlines()
            found += [" ".join(line.split()) for line in lines if line.strip()]
        return found

    def ask_again(self, request: Request, problem: Problem) -> Message:
        """Return the message that follows an unreadable reply."""
        spec = request.spec
        facts = {
            "problem": problem,
            "marker": _marker(spec),
            "is_decision": isinstance(spec, ActSpec),
            "is_note": not isinstance(spec, ActSpec) and spec.what == "note",
            "can_punish": isinstance(spec, ActSpec) and "punish" in spec.acts,
            "resources": spec.high if isinstance(spec, ActSpec) else None,
            "gift": spec.gift if isinstance(spec, ActSpec) else None,
        }
        return Message(role="user", content=self._render("ask-again.md", facts))

    def _render(self, name: str, facts: dict[str, Any]) -> str:
        if name not in self._templates:
            what = f"{OPTIONAL[name]} needs it; begin with agentsim/prompts/default/{name}"
            raise ScenarioError(f"{self._folder / name}: is missing; {what}")
        try:
            return self._environment.rendered(self._templates[name], facts).strip()
        except (TemplateError, TypeError, ArithmeticError) as error:
            line = _template_line(error)
            raise ScenarioError(
                f"{self._folder / name}{f':{line}' if line else ''}: {error}; known here: {', '.join(sorted(facts))}"
            ) from error


def _marker(spec: AnswerSpec) -> str:
    return ANSWER_MARKER if isinstance(spec, ActSpec) else MARKERS[spec.what]


def load_prompt_set(name_or_folder: str | Path, *, answer_format: str = "text") -> PromptSet:
    """Return the shipped set of that name (`default`), in the words of the answers' format, or the set in a folder.

    Raises:
        ScenarioError: a file is missing, too large or no valid template.
    """
    if name_or_folder not in ("default", "default-json"):
        return _read_set(Path(name_or_folder))
    here = Path(__file__).parent
    if answer_format == "json" or name_or_folder == "default-json":
        return _read_set(here / "default-json", fallback=here / "default")
    return _read_set(here / "default")


def _read_set(folder: Path, *, fallback: Path | None = None) -> PromptSet:
    """Return the set in a folder; what is not in it is taken from `fallback`, if there is one."""
    paths = {
        name: folder / name if fallback is None or (folder / name).exists() else fallback / name
        for name in (*TEMPLATES, *OPTIONAL)
    }
    for base in (folder,) if fallback is None else (folder, fallback):
        for path in sorted(base.glob(f"{FOLDER}/*/*.md")):
            paths.setdefault(path.relative_to(base).as_posix(), path)
    is_there = {name: name in TEMPLATES or path.exists() for name, path in paths.items()}
    return PromptSet(folder, {name: _read(path) for name, path in paths.items() if is_there[name]})


def kept_name(digest: str) -> str:
    """Return the name of the file in a study's folder that holds the texts of the prompt set with this digest."""
    return f"prompts-{digest[:12]}.json"


def kept_prompt_set(study: Path, digest: str) -> PromptSet | None:
    """Return the prompt set with this digest that is kept with a study; `None` where none is, or it was changed."""
    path = study / kept_name(digest)
    try:
        sources = json.loads(path.read_bytes())
        prompts = PromptSet(path, {str(name): str(text) for name, text in sources.items()})
    except (OSError, ValueError, AttributeError, ScenarioError):
        return None
    return prompts if prompts.digest == digest else None


def quoted(text: str) -> str:
    """Return foreign text on one line between quotation marks that it cannot close.

    Control and format characters (line breaks, escapes, direction marks) become spaces; quotes and backslashes are
    escaped.
    """
    visible = text
    if not text.isprintable():  # no such character is
        visible = "".join(" " if unicodedata.category(character)[0] == "C" else character for character in text)
    return json.dumps(re.sub(r"\s+", " ", visible).strip(), ensure_ascii=False)


def units(amount: float) -> str:
    """Return an amount with at most two decimals, rounded down so that what is shown can be given."""
    shown = math.floor(amount * 100 + 1e-6) / 100
    return f"{shown:.2f}".rstrip("0").rstrip(".")


def percent(fraction: float) -> str:
    """Return a fraction in [0, 1] as a percentage with at most one decimal, as `50%`."""
    return f"{fraction * 100:.1f}".removesuffix(".0") + "%"


def amount(value: float) -> str:
    """Return an amount that somebody holds or moved, as `units` shows it, with its noun: `1 unit`."""
    return _with_noun(units(value))


def exactly(value: float) -> str:
    """Return an amount that a rule sets, with up to six digits behind the point, and its noun: `0.333333 units`."""
    shown = f"{value:.6f}".rstrip("0").rstrip(".")
    return _with_noun(shown if shown != "0" else f"{value:.3g}")


def _with_noun(number: str) -> str:
    return f"{number} unit" if number == "1" else f"{number} units"


def chance(fraction: float) -> str:
    """Return a setting in [0, 1], a probability or share, as a percentage without rounding it, as `0.05%`."""
    return f"{fraction * 100:.10g}%"


FILTERS: Final[dict[str, Callable[..., str]]] = {
    "quoted": quoted,
    "units": units,
    "amount": amount,
    "exactly": exactly,
    "percent": percent,
    "chance": chance,
}
"""Filters that templates may use in addition to Jinja's harmless ones."""


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ScenarioError(
            f"{path}: cannot be read ({error.strerror}); a prompt set holds {', '.join(TEMPLATES)}"
        ) from error
    if len(data) > MAX_TEMPLATE_BYTES:
        raise ScenarioError(f"{path}: {len(data)} bytes; a template may have {MAX_TEMPLATE_BYTES}")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path}: is not UTF-8 at byte {error.start}; save it as UTF-8") from error


def _template_line(error: BaseException) -> int | None:
    """Return the template's line the error arose in, from the traceback that Jinja rewrites."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
