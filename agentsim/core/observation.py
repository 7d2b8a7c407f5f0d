"""What a donor is shown of its recipient's past. A new rule is one class here and one name in `ObservationRule`."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from agentsim.core.facts import Frozen, Note, Observed, Reputation, TraceItem, born_and_index
from agentsim.core.registry import among

__all__ = [
    "HIGHEST_SCORE",
    "LOWEST_SCORE",
    "Assessment",
    "Chance",
    "Gossip",
    "History",
    "ImageScore",
    "Judgements",
    "Nothing",
    "Observation",
    "ObservationRule",
    "OwnActs",
    "Standing",
    "Trace",
    "as_score",
    "as_standing",
]

History = Mapping[str, Sequence[TraceItem]]
"""Each agent's own donor turns of the game so far, oldest first."""
Label = Literal["good", "bad"]
Chance = Callable[..., float]
"""`rng.uniform` of one game: `chance("perception", round, born, index)` is a number in [0, 1) of that place."""
Judgements = dict[tuple[str, str], list[Label]]
"""The standings judged so far: for an observer (or nobody) and an agent, its standing after each of its turns."""
LOWEST_SCORE: Final = -5
HIGHEST_SCORE: Final = 5
"""The ends of the image score of Nowak & Sigmund 1998."""
PROBED_SCORES: Final = (LOWEST_SCORE, -3, -1, 0, 1, 3, HIGHEST_SCORE)
"""The image scores that a probe asks about, as far as a game is long enough for them."""


def _no_chance(what: str, *place: int) -> float:
    """Stand in for chance under rules that leave nothing to it."""
    raise ValueError(f"the observation rule leaves {what!r} to chance; call observe with chance=")


@dataclass(frozen=True, slots=True)
class _Look:
    """Inputs of one observation: the observer, the history and its cut-off round."""

    history: History
    before: int
    """Only turns of earlier rounds are known."""
    observer: str
    chance: Chance
    judged: Judgements


class Observation(Frozen):
    """The interface of every observation rule: what donors are shown, and what others need to know about that."""

    if TYPE_CHECKING:
        kind: str

    @property
    def shows_anything(self) -> bool:
        """Whether donors are ever shown anything."""
        return True

    @property
    @abstractmethod
    def n_acts(self) -> int:
        """How many links of the chain of acts are shown: 1, the recipient's; 2, also its partner's; 0, none."""

    @property
    def n_records(self) -> int:
        """The same, but judged acts, and acts that others may write about, count as if they were shown."""
        return self.n_acts

    @property
    def judges_from(self) -> float | None:
        """The least share of its resources that a donor must give to be judged a giver; `None`: acts are not judged."""
        return None

    @property
    def reports_random_gifts(self) -> bool:
        """Whether an act may be reported as a gift of a random share."""
        return False

    @property
    def max_note_chars(self) -> int | None:
        """The length, in characters, at which recipients' notes on donors are cut; `None`: nobody writes any."""
        return None

    def reputations(self, n_rounds: int) -> tuple[tuple[Reputation, ...], int]:
        """Return the reputations that a probe asks about, worst first, and the first round that allows all of them.

        There are none where acts are shown instead. A rule that shows neither, but something, cannot be probed.
        """
        return (), 1

    @abstractmethod
    def observe(
        self,
        history: History,
        *,
        recipient: str,
        round: int,
        observer: str = "",
        chance: Chance = _no_chance,
        judged: Judgements | None = None,
    ) -> Observed:
        """Return what `observer`, a donor, is shown of `recipient` before `round`.

        Args:
            history: each agent's donor turns; those too late to be known are ignored.
            recipient, round, observer: the encounter.
            chance: the game's random numbers; needed where something is left to chance.
            judged: judgements kept from earlier calls in the same game, so that nothing is judged twice.
        """


class _Informing(Observation):
    """Rules that show something: how well the past is known."""

    noise: float = Field(default=0, ge=0, lt=1)
    """Probability that a past act is misperceived. Rules that judge acts take giving for keeping and the other way
    round; rules that show shares show a random gift, uniform in [0, 1), instead. A turn without a readable decision, or
    with nothing to give, is never misperceived."""
    delay: int = Field(default=0, ge=0, le=10_000)
    """How many rounds late acts become known; 0: they are known in the next round."""
    known: float = Field(default=1, ge=0, le=1)
    """Probability that a donor knows anything about its recipient, drawn anew in each encounter (Nowak & Sigmund 1998,
    "The dynamics of indirect reciprocity", J. Theor. Biol. 194)."""
    audience: Literal["public", "private"] = "public"
    """Whether everybody misperceives the same acts in the same way, or each observer has its own misperceptions (Hilbe,
    Schmid, Tkadlec, Chatterjee & Nowak 2018, PNAS 115)."""

    misperceived_as: ClassVar[Literal["random_gift", "opposite"]] = "random_gift"
    """What a misperceived act is taken for."""

    @property
    def reports_random_gifts(self) -> bool:
        """Whether an act may be reported as a gift of a random share."""
        return self.noise > 0 and self.misperceived_as == "random_gift"

    def observe(
        self,
        history: History,
        *,
        recipient: str,
        round: int,
        observer: str = "",
        chance: Chance = _no_chance,
        judged: Judgements | None = None,
    ) -> Observed:
        """Return what the rule shows, or nothing where chance has it that the donor knows nothing."""
        look = _Look(history, round - self.delay, observer, chance, {} if judged is None else judged)
        is_known = self.known == 1 or chance("known", round, *born_and_index(observer)) < self.known
        seen = self._shown(look, recipient) if is_known else Observed()
        return replace(seen, own_reputation=self._own(look))

    @abstractmethod
    def _shown(self, look: _Look, recipient: str) -> Observed:
        """Return what is shown to an observer that knows something."""

    def _own(self, look: _Look) -> Reputation | None:
        """Return the reputation that the observer is shown of itself, if any."""
        return None

    def _is_misperceived(self, item: TraceItem, look: _Look) -> bool:
        if not self.noise or item.act is None or item.fraction is None:
            return False
        return look.chance("perception", *self._place(item, look)) < self.noise

    def _place(self, item: TraceItem, look: _Look) -> tuple[int, ...]:
        of_observer = born_and_index(look.observer) if self.audience == "private" else ()
        return (item.round, *born_and_index(item.donor), *of_observer)

    def _perceived(self, item: TraceItem, look: _Look) -> TraceItem:
        """Return a turn as the observer sees it."""
        if not self._is_misperceived(item, look):
            return item
        return replace(item, act="give", fraction=look.chance("perceived", *self._place(item, look)))


class Trace(_Informing):
    """A chain of past donor turns: the recipient's last, then that partner's before it, and so on.

    Anchored in time: an item is always older than the one before it, so round 1 shows nothing and round 2 at most one
    item. A turn without a readable decision stays in the chain as such; nobody else's act takes its place.
    (Vallinder & Hughes 2024, section 3.1)
    """

    kind: Literal["trace"] = "trace"
    depth: int = Field(default=3, ge=0, le=100)
    """The most items shown; 0 shows nothing."""

    @property
    def shows_anything(self) -> bool:
        """Whether donors are ever shown anything."""
        return self.depth > 0

    @property
    def n_acts(self) -> int:
        """At most 2: the chain leads on to other agents."""
        return min(self.depth, 2)

    def _shown(self, look: _Look, recipient: str) -> Observed:
        """Return the chain, newest first, at most `depth` items."""
        chain: list[TraceItem] = []
        agent, before = recipient, look.before
        while len(chain) < self.depth:
            item = next((turn for turn in reversed(look.history[agent]) if turn.round < before), None)
            if item is None:
                break
            chain.append(self._perceived(item, look))
            agent, before = item.recipient, item.round
        return Observed(tuple(chain))


class Nothing(Observation):
    """Strangers stay strangers: a donor learns nothing about its recipient's past."""

    kind: Literal["none"] = "none"
    depth: Literal[0] = 0
    """No items are shown."""

    @property
    def shows_anything(self) -> bool:
        """Return false."""
        return False

    @property
    def n_acts(self) -> int:
        """Return 0."""
        return 0

    def observe(
        self,
        history: History,
        *,
        recipient: str,
        round: int,
        observer: str = "",
        chance: Chance = _no_chance,
        judged: Judgements | None = None,
    ) -> Observed:
        """Return nothing."""
        return Observed()


class OwnActs(_Informing):
    """The recipient's own last donor turns, and none of its partners': reputation of first order."""

    kind: Literal["history"] = "history"
    depth: int = Field(default=3, ge=1, le=100)
    """The most items shown."""

    @property
    def n_acts(self) -> int:
        """Return 1: all acts shown are the recipient's."""
        return 1

    def _shown(self, look: _Look, recipient: str) -> Observed:
        """Return the recipient's own turns, newest first, at most `depth` items."""
        turns = [turn for turn in reversed(look.history[recipient]) if turn.round < look.before]
        return Observed(tuple(self._perceived(turn, look) for turn in turns[: self.depth]))


class _Judged(_Informing):
    """Rules that sum up the past in one word or number."""

    misperceived_as: ClassVar[Literal["random_gift", "opposite"]] = "opposite"
    depth: Literal[0] = 0
    """No items are shown."""
    threshold: float = Field(default=0.25, ge=0, le=1)
    """The least share of its resources that a donor must give for its act to count as giving; punishing does not."""
    shows_own: bool = False
    """Whether a donor is shown its own score or standing as well as its recipient's."""

    @property
    def n_acts(self) -> int:
        """Return 0: acts are judged, not shown."""
        return 0

    @property
    def n_records(self) -> int:
        """Return 2: acts are judged, and what an act was done to may count."""
        return 2

    @property
    def judges_from(self) -> float:
        """Return the threshold."""
        return self.threshold

    def _own(self, look: _Look) -> Reputation | None:
        return self._shown(look, look.observer).reputation if self.shows_own else None

    def _gave(self, item: TraceItem, look: _Look) -> bool | None:
        """Return whether the turn counts as giving to this observer; `None`: no decision, or nothing to give."""
        if item.act is None or item.fraction is None:
            return None
        gave = item.act == "give" and item.fraction >= self.threshold
        return gave != self._is_misperceived(item, look)


class ImageScore(_Judged):
    """A number between -5 and 5: up by one for each act of giving and down by one for each other act, whoever received.

    Image scoring of Nowak & Sigmund 1998, "Evolution of indirect reciprocity by image scoring", Nature 393, extended to
    amounts by a threshold.
    """

    kind: Literal["image_score"] = "image_score"

    def reputations(self, n_rounds: int) -> tuple[tuple[Reputation, ...], int]:
        """Return the scores that an agent can reach: a score of k takes k turns as donor, every second round."""
        scores = [score for score in PROBED_SCORES if 2 * abs(score) < n_rounds]
        return tuple(map(as_score, scores)), 2 * max(scores) + 1

    def _shown(self, look: _Look, recipient: str) -> Observed:
        """Return the recipient's score; it begins with 0."""
        score = 0
        for item in look.history[recipient]:
            gave = self._gave(item, look) if item.round < look.before else None
            if gave is not None:
                score = max(LOWEST_SCORE, min(HIGHEST_SCORE, score + (1 if gave else -1)))
        return Observed(reputation=as_score(score))


def as_score(value: int) -> Reputation:
    """Return an image score, from `LOWEST_SCORE` to `HIGHEST_SCORE`."""
    return Reputation("image_score", value, score=value)


def as_standing(label: Label) -> Reputation:
    """Return a standing."""
    return Reputation("standing", label, score=1 if label == "good" else -1)


class Assessment(Frozen):
    """The standing of a donor after its act, by the standing of its recipient."""

    give_to_good: Label = "good"
    give_to_bad: Label = "good"
    keep_from_good: Label = "bad"
    keep_from_bad: Label = "good"

    def judge(self, *, gave: bool, recipient: Label) -> Label:
        """Return the donor's standing after the act."""
        if gave:
            return self.give_to_good if recipient == "good" else self.give_to_bad
        return self.keep_from_good if recipient == "good" else self.keep_from_bad


class Standing(_Judged):
    """Good or bad: all agents begin good, and each act is judged by the standing of its recipient.

    The default is standing (Sugden 1986, "The Economics of Rights, Co-operation and Welfare"; Leimar & Hammerstein
    2001, Proc. R. Soc. B 268): an agent that keeps from the bad stays good. Other tables give other rules of second
    order; a second table for donors in bad standing gives those of third order, such as the leading eight (Ohtsuki &
    Iwasa 2004, J. Theor. Biol. 231).
    """

    kind: Literal["standing"] = "standing"
    assessment: Assessment = Assessment()
    """The standing after the act of a donor in good standing."""
    of_bad_donors: Assessment | None = None
    """The standing after the act of a donor in bad standing; `null`: the same."""

    def reputations(self, n_rounds: int) -> tuple[tuple[Reputation, ...], int]:
        """Return bad and good standing."""
        return (as_standing("bad"), as_standing("good")), 1

    def _shown(self, look: _Look, recipient: str) -> Observed:
        """Return the recipient's standing; each act on the way to it is judged as the observer perceives it."""
        # A turn's judgement never changes, as it depends on earlier turns alone; so each is judged once for each
        # observer. The stack is explicit because the chain of turns may be longer than Python's own stack allows.
        by = look.observer if self.noise and self.audience == "private" else ""
        waiting = [(recipient, look.before)]
        while waiting:
            agent, before = waiting[-1]
            standings = look.judged.setdefault((by, agent), [])
            n_turns = _n_before(look.history[agent], before)
            for item in look.history[agent][len(standings) : n_turns]:
                met = look.judged.get((by, item.recipient), [])
                n_met = _n_before(look.history[item.recipient], item.round)
                if len(met) < n_met:
                    waiting.append((item.recipient, item.round))
                    break
                own = standings[-1] if standings else "good"
                standings.append(self._after(own, item, met[n_met - 1] if n_met else "good", look))
            else:
                waiting.pop()
        n = _n_before(look.history[recipient], look.before)
        return Observed(reputation=as_standing(look.judged[by, recipient][n - 1] if n else "good"))

    def _after(self, own: Label, item: TraceItem, recipient: Label, look: _Look) -> Label:
        gave = self._gave(item, look)
        if gave is None:
            return own
        table = self.assessment if own == "good" else self.of_bad_donors or self.assessment
        return table.judge(gave=gave, recipient=recipient)


class Gossip(_Informing):
    """What others wrote about the recipient: after each encounter, its recipient writes a short public note.

    Sommerfeld, Krambeck, Semmann & Milinski 2007, "Gossip as an alternative for direct observation in games of indirect
    reciprocity", PNAS 104; Wu, Balliet & Van Lange 2016, "Gossip versus punishment", Sci. Rep. 6. An encounter is over
    only when its note has been written. Where no decision could be read, nothing is written; a note that cannot be read
    is missing, and older ones are shown in its place.
    """

    kind: Literal["gossip"] = "gossip"
    depth: int = Field(default=3, ge=1, le=100)
    """The most notes shown."""
    max_chars: int = Field(default=200, ge=1, le=10_000)
    """The length, in characters, at which a note is cut when it is written."""

    @property
    def n_acts(self) -> int:
        """Return 0: words are shown, and no acts."""
        return 0

    @property
    def n_records(self) -> int:
        """Return 2: words may be about any act."""
        return 2

    @property
    def reports_random_gifts(self) -> bool:
        """Whether an act may be reported as a gift of a random share."""
        return False

    @property
    def max_note_chars(self) -> int:
        """Return the length at which a note is cut."""
        return self.max_chars

    @model_validator(mode="after")
    def _has_words_alone(self) -> Self:
        if self.noise:
            raise ValueError(f"noise: {self.noise} does not apply to gossip, which shows words; delay and known do")
        if self.audience != "public":
            raise ValueError("audience: notes are public; remove it")
        return self

    def _shown(self, look: _Look, recipient: str) -> Observed:
        """Return the notes on the recipient, newest first, at most `depth`."""
        notes = [
            Note(turn.round, author=turn.recipient, about=turn.donor, text=turn.note)
            for turn in reversed(look.history[recipient])
            if turn.round < look.before and turn.note is not None
        ]
        return Observed(notes=tuple(notes[: self.depth]))


def _n_before(turns: Sequence[TraceItem], round: int) -> int:
    """Return how many of the turns, oldest first, are of earlier rounds."""
    return bisect_left(turns, round, key=lambda turn: turn.round)


ObservationRule = Annotated[
    Observation, among("observation", Trace, Nothing, OwnActs, ImageScore, Standing, Gossip, default="trace")
]
