"""What every observation rule is asked, and how well the past is known under those that show something."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, Literal, NamedTuple

from pydantic import Field

from agentsim.core.facts import Frozen, Observed, Past, Reputation, TraceItem, born_and_index

__all__ = [
    "HIGHEST_SCORE",
    "LOWEST_SCORE",
    "PROBED_SCORES",
    "Chance",
    "History",
    "Informing",
    "Judgements",
    "Label",
    "Look",
    "NearHistory",
    "Observation",
    "OfNobody",
    "n_before",
    "no_chance",
]

History = Mapping[str, Sequence[TraceItem]]
"""Each agent's own donor turns of the game so far, oldest first."""


class NearHistory(dict[str, list[TraceItem]]):
    """The same, where agents have neighbours."""

    def __init__(self, history: Mapping[str, list[TraceItem]], *, near: Mapping[str, frozenset[str]]) -> None:
        super().__init__(history)
        self.near = near
        """Each agent's neighbours."""


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


def no_chance(what: str, *place: int) -> float:
    """Stand in for chance under rules that leave nothing to it."""
    raise ValueError(f"the observation rule leaves {what!r} to chance; call observe with chance=")


class Look(NamedTuple):
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
    def told(self) -> tuple[Observation, ...]:
        """The rules whose sentences tell agents of this one: itself, or those that it is made of."""
        return (self,)

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

    @property
    def follows_edges(self) -> bool:
        """Whether what is known depends on who are neighbours in a network."""
        return False

    @property
    def remembers(self) -> bool:
        """Whether agents are shown their own earlier encounters."""
        return False

    def recall(self, past: Sequence[Past], *, partners: Sequence[str], before: int) -> tuple[Past, ...]:
        """Return what an agent is shown of its own earlier encounters, newest first.

        Args:
            past: its encounters of this game so far, oldest first.
            partners: whom it meets now.
            before: the round that is played.
        """
        return ()

    @abstractmethod
    def observe(
        self,
        history: History,
        *,
        recipient: str,
        round: int,
        observer: str = "",
        chance: Chance = no_chance,
        judged: Judgements | None = None,
    ) -> Observed:
        """Return what `observer`, a donor, is shown of `recipient` before `round`.

        Args:
            history: each agent's donor turns; those too late to be known are ignored.
            recipient, round, observer: the encounter.
            chance: the game's random numbers; needed where something is left to chance.
            judged: judgements kept from earlier calls in the same game, so that nothing is judged twice.
        """


class OfNobody(Observation):
    """Rules that show nothing of others."""

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
        chance: Chance = no_chance,
        judged: Judgements | None = None,
    ) -> Observed:
        """Return nothing."""
        return Observed()


class Informing(Observation):
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

    reach: Literal["everyone", "of_neighbours", "from_neighbours"] = Field(
        default="everyone", exclude_if=lambda reach: reach == "everyone"
    )
    """What becomes known to whom, where agents have places in a network: everyone's acts to everyone; to each agent
    those of its neighbours alone; or those that were done to its neighbours, who tell it. What an agent did itself and
    what was done to it, it knows in any case."""

    told_if_changed: ClassVar[frozenset[str]] = frozenset({"reach"})
    misperceived_as: ClassVar[Literal["random_gift", "opposite"]] = "random_gift"
    """What a misperceived act is taken for."""

    @property
    def follows_edges(self) -> bool:
        """Whether acts become known along edges alone."""
        return self.reach != "everyone"

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
        chance: Chance = no_chance,
        judged: Judgements | None = None,
    ) -> Observed:
        """Return what the rule shows, or nothing where chance has it that the donor knows nothing."""
        known = self._within_reach(history, observer)
        look = Look(known, round - self.delay, observer, chance, {} if judged is None else judged)
        is_known = self.known == 1 or chance("known", round, *born_and_index(observer)) < self.known
        seen = self._shown(look, recipient) if is_known else Observed()
        own = self._own(look)
        return seen if own is None else seen._replace(own_reputation=own)

    def _within_reach(self, history: History, observer: str) -> History:
        """Return the turns that the observer can know of."""
        if self.reach == "everyone" or not isinstance(history, NearHistory):
            return history
        near = history.near.get(observer, frozenset())

        def is_known(turn: TraceItem) -> bool:
            known_by = turn.donor if self.reach == "of_neighbours" else turn.recipient
            return known_by in near or observer in (turn.donor, turn.recipient)

        return {agent: [turn for turn in turns if is_known(turn)] for agent, turns in history.items()}

    @abstractmethod
    def _shown(self, look: Look, recipient: str) -> Observed:
        """Return what is shown to an observer that knows something."""

    def _own(self, look: Look) -> Reputation | None:
        """Return the reputation that the observer is shown of itself, if any."""
        return None

    def _is_misperceived(self, item: TraceItem, look: Look) -> bool:
        if not self.noise or item.act is None or item.fraction is None:
            return False
        return look.chance("perception", *self._place(item, look)) < self.noise

    def _place(self, item: TraceItem, look: Look) -> tuple[int, ...]:
        of_observer = born_and_index(look.observer) if self.audience == "private" else ()
        return (item.round, *born_and_index(item.donor), *of_observer)

    def _perceived(self, item: TraceItem, look: Look) -> TraceItem:
        """Return a turn as the observer sees it."""
        if not self._is_misperceived(item, look):
            return item
        return item._replace(act="give", fraction=look.chance("perceived", *self._place(item, look)))


def n_before(turns: Sequence[TraceItem], round: int) -> int:
    """Return how many of the turns, oldest first, are of earlier rounds."""
    return bisect_left(turns, round, key=lambda turn: turn.round)
