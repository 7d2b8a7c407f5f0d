"""Prompt sets: folders of templates that turn a request into the messages a model reads.

A set holds the files named in `TEMPLATES`, those of `OPTIONAL` where a scenario has use for them, in `rules/` a
sentence file for each rule that is played (`sentences`), and the words that replies are read by (`words`). Some ship
with agentsim (`SHIPPED`); any folder of the user's with the same files can take their place. Templates are Jinja,
sandboxed; an unknown name in one is an error, not an empty string.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from jinja2 import Template, TemplateError, TemplateSyntaxError

from agentsim.core.answers import ActSpec, Answer, AnswerSpec, MoveSpec, TextSpec
from agentsim.core.facts import Problem, Reputation
from agentsim.core.games import DonorGame
from agentsim.core.gifts import ANY_SHARE, FixedGift
from agentsim.core.pairing import Pairing
from agentsim.core.requests import DecisionView, MessageView, NoteView, Request, StrategyView
from agentsim.core.rules import SocietyRules
from agentsim.errors import ScenarioError
from agentsim.prompts import encounters, first_reader
from agentsim.prompts.parsing import parse
from agentsim.prompts.sandbox import BoundedEnvironment
from agentsim.prompts.sentences import FOLDER, brought, told
from agentsim.prompts.showing import filters, percent, quoted, units
from agentsim.prompts.words import FILE, default_words, read_words, words_from
from agentsim.providers.base import Completion, Message

__all__ = [
    "READER",
    "READERS",
    "SHIPPED",
    "TEMPLATES",
    "PromptSet",
    "kept_name",
    "kept_prompt_set",
    "load_prompt_set",
    "parse",
    "percent",
    "quoted",
    "units",
]

READERS: Final = (1, 2)
"""The versions of the reader of replies. A log names the one it was begun with, and is only ever read by that one."""
READER: Final = 2
"""The version that new runs are read by."""

TEMPLATES = ("rules.md", "first-strategy.md", "later-strategy.md", "decision.md", "ask-again.md")
"""The system message; a strategy in generation 1; a newborn's later; a donor's decision; after an unreadable reply."""
OPTIONAL = {"kept-strategy.md": "transmission.rewrite", "note.md": "observation: {kind: gossip}"}
"""Templates that only some scenarios need, with the setting that needs them: for survivors that may rewrite their
strategies, and for recipients that write notes."""

MAX_TEMPLATE_BYTES = 100_000
HERE: Final = Path(__file__).parent
SHIPPED: Final = tuple(sorted(path.parent.name for path in HERE.glob(f"*/{FILE}")))
"""The names of the sets that come with agentsim."""
ANSWERS: Final = "answers"
"""Among the sources of a set: `json` where answers are JSON and its templates ask for that by `is_json`; no file."""


class PromptSet:
    """A set of templates.

    Raises:
        ScenarioError: a template is not valid.
    """

    def __init__(self, folder: Path, sources: Mapping[str, str], *, name: str | None = None) -> None:
        """`sources` are the templates' texts by name; errors name them as files of `folder`."""
        self._folder = folder
        self.words = words_from(sources[FILE], source=str(folder / FILE)) if FILE in sources else default_words()
        """The words that its templates show and that replies are read by; those of `default` where it has none."""
        self._environment = BoundedEnvironment(self.words.made(filters))
        self.sources = dict(sources)
        self.digest = hashlib.sha256(json.dumps(sources, sort_keys=True).encode()).hexdigest()
        """SHA-256 over the names and texts of all templates, and the words."""
        self._templates: dict[str, Template] = {}
        self._systems: dict[SocietyRules, Message] = {}
        """The system messages made so far: one for each set of rules."""
        self._files = {**brought(name or folder.name), **sources}
        for file in self._files:
            # A test compiles all of a shipped set; here only what is rendered is, as that took half of `check`.
            if file not in (FILE, ANSWERS) and not (folder.parent == HERE and file in sources):
                self._template(file)

    def _template(self, file: str) -> Template:
        """Return a template, compiled when it is first needed.

        Raises:
            ScenarioError: it is not valid.
        """
        if file not in self._templates:
            try:
                self._templates[file] = self._environment.template(self._files[file])
            except TemplateSyntaxError as error:
                at = f"{self._folder / file}:{error.lineno}"
                raise ScenarioError(f"{at}: {error.message}; mend the template") from error
        return self._templates[file]

    def messages(self, request: Request) -> tuple[Message, ...]:
        """Return what the agent reads: the rules, which never change within a run, then the question."""
        system = self.rules_message(request.view.rules)
        if isinstance(request.spec, MoveSpec) or isinstance(request.view, MessageView):
            text = encounters.question(request, self._render, self._told, marker=self._marker(request.spec))
            return system, Message(role="user", content=_without_gaps(text))
        facts = request.view._asdict()
        if isinstance(request.view, StrategyView):
            name = "later-strategy.md" if request.view.advice else "first-strategy.md"
            name = "kept-strategy.md" if request.view.is_survivor else name
        elif isinstance(request.view, NoteView):
            name = "note.md"
        else:
            name = "decision.md"
            facts |= self._reputations(request.view) | encounters.donor_facts(request.view, self._render)
        if not isinstance(request.view, StrategyView):
            facts["has_strategies"] = encounters.has_strategies(request.view)
        facts["marker"] = self._marker(request.spec)
        if isinstance(request.spec, ActSpec):
            facts["can_punish"] = "punish" in request.spec.acts
            facts["gift"] = request.spec.gift
        else:
            facts["max_chars"] = request.spec.max_chars
        return system, Message(role="user", content=self._render(name, facts))

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
            if name in self.sources["decision.md"] and (sentence := self._told(reputation, view.recipient, is_own)):
                told[name] = sentence
        return told

    def _told(self, reputation: Reputation | None, agent: str, is_own: bool) -> str | None:
        """Return the sentence on an agent's reputation, if it has one.

        Raises:
            ScenarioError: there is no sentence file for such a reputation.
        """
        if reputation is None:
            return None
        file = f"{FOLDER}/shown/{reputation.kind}.md"
        if file not in self._files:
            raise ScenarioError(
                f"{self._folder / file}: is missing, so agents would not be told the reputation that"
                f" observation: {{kind: {reputation.kind}}} shows; write there in a sentence what"
                " `reputation.value` means for `agent`, or for the reader itself where `is_own`"
                f" (agentsim/prompts/default/{FOLDER}/shown has examples)"
            )
        return self._render(file, {"reputation": reputation, "agent": agent, "is_own": is_own})

    def rules_message(self, rules: SocietyRules) -> Message:
        """Return the message that tells the rules, each in its own sentences.

        Raises:
            ScenarioError: a rule that is played has no sentence file, or that leaves a setting unsaid.
        """
        if rules not in self._systems:
            self._may_speak_of_endowments(rules)
            sentences = self.sentences(rules)
            if "sentences" not in self.sources["rules.md"]:
                raise ScenarioError(
                    f"{self._folder / 'rules.md'}: does not speak of `sentences`, which tell the rules that are played;"
                    " place them as agentsim/prompts/default/rules.md does, or name them in a comment,"
                    " {# sentences #}, if agents are not to read them"
                )
            self._may_speak_of_other_gifts(rules)
            self._may_speak_of_no_strategy(rules)
            self._may_speak_of_refusals(rules)
            text = self._render("rules.md", {"rules": rules, "sentences": sentences})
            self._systems[rules] = Message(role="system", content=text)
        return self._systems[rules]

    def _may_speak_of_endowments(self, rules: SocietyRules) -> None:
        """Raise `ScenarioError` where agents start with different endowments and would be told of one."""
        game_text = "".join(text for name, text in self.sources.items() if name.startswith(f"{FOLDER}/game/"))
        if rules.game.one_endowment is None and not re.search(r"\brule\.endowments\b", game_text):
            raise ScenarioError(
                f"{self._folder / FOLDER}/game/endowment.md: is missing, so agents would not be told of unequal"
                " endowments; name them there by `rule.endowments`, as"
                f" agentsim/prompts/default/{FOLDER}/game/endowment.md does"
            )

    def _may_speak_of_other_gifts(self, rules: SocietyRules) -> None:
        """Raise `ScenarioError` where donors may not give any share and agents would be told that they may, or did."""
        gift = rules.game.gift if isinstance(rules.game, DonorGame) else ANY_SHARE
        if gift != ANY_SHARE and not re.search(r"\bgift\b", self.sources["decision.md"]):
            raise ScenarioError(
                f"{self._folder / 'decision.md'}: does not speak of `gift`, so agents would be asked for any amount"
                f" where game.gift is {gift.kind}; ask as agentsim/prompts/default/decision.md does"
            )
        if not isinstance(gift, FixedGift):
            return  # of gifts in whole units, too, others see a share
        names = [encounters.ACT] if rules.observation.remembers else []
        for rule in rules.observation.told:
            if rule.n_acts > 0 or rule.judges_from is not None:
                names.append(f"{FOLDER}/observation/{rule.kind}.md")
        for file in names:
            name = "gift" if file == encounters.ACT else "rules.game.gift"
            if file in self._files and not re.search(rf"\b{re.escape(name)}\b", self._files[file]):
                raise ScenarioError(
                    f"{self._folder / file}: does not speak of `{name}`, so agents would be told of shares where"
                    f" game.gift is fixed; say whether an agent gave, as agentsim/prompts/default/{file} does, or name"
                    f" it in a comment, {{# {name} #}}, if what stands there is true of fixed gifts too"
                )

    def _may_speak_of_no_strategy(self, rules: SocietyRules) -> None:
        """Raise `ScenarioError` where agents have no strategies and would be told of them."""
        names = ["decision.md"] if isinstance(rules.game, DonorGame) else ["games/intro.md", "games/form.md"]
        names += [] if rules.observation.max_note_chars is None else ["note.md"]
        names += [] if rules.game.talk is None else ["games/intro.md"]
        for name in [] if rules.transmission.has_strategies else names:
            source = self.sources.get(name, "")
            if "strategy" in source and "has_strategies" not in source:
                raise ScenarioError(
                    f"{self._folder / name}: does not speak of `has_strategies`, so agents would be told of strategies"
                    " that nobody has under transmission.kind none; ask whether there are any, as"
                    f" agentsim/prompts/default/{name} does"
                )

    def _may_speak_of_refusals(self, rules: SocietyRules) -> None:
        """Raise `ScenarioError` where a donor's refusal would be shown as a donor that had nothing."""
        refusal, is_donor_game = rules.game.refusal, isinstance(rules.game, DonorGame)
        if refusal is None or not is_donor_game:
            return
        names = ["decision.md"] if refusal.known == "all" and rules.observation.n_acts else []
        names += [encounters.ACT] if rules.observation.remembers or names else []
        for name in names:
            if "refuse" not in self._files.get(name, ""):
                raise ScenarioError(
                    f"{self._folder / name}: does not speak of `refuse`, so agents would be told that one which"
                    f" refused to meet had nothing to give; say it as agentsim/prompts/default/{name} does"
                )

    def sentences(self, rules: SocietyRules) -> list[str]:
        """Return what the sentence files say of the rules, one item a line."""
        lines_told: list[str] = []
        for name, rule in told(rules, self._files, folder=self._folder):
            # Where agents meet within their groups, what is told of pairing holds for as many agents as a group has.
            is_within = isinstance(rule, Pairing) and rules.meets_within_groups
            known = rules.model_copy(update={"agents": rules.group_size}) if is_within else rules
            lines = self._render(name, {"rule": rule, "rules": known}).splitlines()
            lines_told += [" ".join(line.split()) for line in lines if line.strip()]
        return lines_told

    def ask_again(self, request: Request, problem: Problem) -> Message:
        """Return the message that follows an unreadable reply."""
        spec = request.spec
        if isinstance(spec, MoveSpec) or isinstance(request.view, MessageView):
            text = encounters.ask_again(request, self._render, problem=problem, marker=self._marker(spec))
            return Message(role="user", content=_without_gaps(text))
        facts = {
            "problem": problem,
            "marker": self._marker(spec),
            "is_decision": isinstance(spec, ActSpec),
            "is_note": isinstance(spec, TextSpec) and spec.what == "note",
            "can_punish": isinstance(spec, ActSpec) and "punish" in spec.acts,
            "resources": spec.high if isinstance(spec, ActSpec) else None,
            "gift": spec.gift if isinstance(spec, ActSpec) else None,
        }
        return Message(role="user", content=self._render("ask-again.md", facts))

    def _render(self, name: str, facts: dict[str, Any]) -> str:
        if name not in self._files:
            needed_by = OPTIONAL.get(name, "the game that is played")
            what = f"{needed_by} needs it; begin with agentsim/prompts/default/{name}"
            raise ScenarioError(f"{self._folder / name}: is missing; {what}")
        facts = {**facts, "is_json": self.sources.get(ANSWERS) == "json"}
        try:
            return self._environment.rendered(self._template(name), facts).strip()
        except (TemplateError, TypeError, ArithmeticError) as error:
            line = _template_line(error)
            raise ScenarioError(
                f"{self._folder / name}{f':{line}' if line else ''}: {error}; known here: {', '.join(sorted(facts))}"
            ) from error

    def _marker(self, spec: AnswerSpec) -> str:
        markers = self.words.markers
        if not isinstance(spec, TextSpec):
            return markers.answer[0]
        return {"strategy": markers.strategy, "note": markers.note, "message": markers.message}[spec.what][0]

    def read(
        self,
        completion: Completion,
        spec: AnswerSpec,
        *,
        reader: int = READER,
        is_structured: bool = False,
        clamps: bool = False,
    ) -> Answer:
        """Return the answer in a completion, in this set's words, by the reader of that version (see `parse`)."""
        if reader == 1 and not isinstance(spec, MoveSpec):
            return first_reader.parse(completion, spec, is_structured=is_structured, clamps=clamps)
        return parse(completion, spec, self.words, is_structured=is_structured, clamps=clamps)


def load_prompt_set(name_or_folder: str | Path, *, answer_format: str = "text") -> PromptSet:
    """Return the shipped set of that name (`SHIPPED`), or the set in a folder, in the words of the answers' format.

    Raises:
        ScenarioError: a file is missing, too large or no valid template.
    """
    if name_or_folder == "default-json" or (name_or_folder == "default" and answer_format == "json"):
        return _read_set(HERE / "default-json", answer_format="json", fallback=HERE / "default")
    folder = HERE / name_or_folder if name_or_folder in SHIPPED else Path(name_or_folder)
    return _read_set(folder, answer_format=answer_format)


def _read_set(folder: Path, *, answer_format: str, fallback: Path | None = None) -> PromptSet:
    """Return the set in a folder; what is not in it is taken from `fallback`, if there is one."""
    paths = {
        name: folder / name if fallback is None or (folder / name).exists() else fallback / name
        for name in (*TEMPLATES, *OPTIONAL, FILE)
    }
    for base in (folder,) if fallback is None else (folder, fallback):
        for pattern in (f"{FOLDER}/*/*.md", f"{encounters.FOLDER}/*.md", f"{encounters.FOLDER}/*/*.md"):
            for path in sorted(base.glob(pattern)):
                paths.setdefault(path.relative_to(base).as_posix(), path)
    is_there = {name: name in TEMPLATES or path.exists() for name, path in paths.items()}
    sources = {name: _read(path) for name, path in paths.items() if is_there[name] and name != FILE}
    if is_there[FILE]:
        sources[FILE] = read_words(paths[FILE]).source
    if answer_format == "json" and any("is_json" in source for source in sources.values()):
        sources[ANSWERS] = "json"
    return PromptSet(folder, sources)


def kept_name(digest: str) -> str:
    """Return the name of the file in a study's folder that holds the texts of the prompt set with this digest."""
    return f"prompts-{digest[:12]}.json"


def kept_prompt_set(study: Path, digest: str, *, name: str | None = None) -> PromptSet | None:
    """Return the prompt set with this digest that is kept with a study; `None` where none is, or it was changed.

    `name` is that of the set when it was kept.
    """
    path = study / kept_name(digest)
    try:
        sources = json.loads(path.read_bytes())
        prompts = PromptSet(path, {str(file): str(text) for file, text in sources.items()}, name=name)
    except (OSError, ValueError, AttributeError, ScenarioError):
        return None
    return prompts if prompts.digest == digest else None


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


def _without_gaps(text: str) -> str:
    """Return a text without the empty lines that parts of it leave where they say nothing."""
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+\n", "\n", text))


def _template_line(error: BaseException) -> int | None:
    """Return the template's line the error arose in, from the traceback that Jinja rewrites."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
