"""The core's vocabulary: agents, what is seen of their past, and the facts that follow from what they say.

Units of resources are plain floats >= 0; a *fraction* is an amount over the donor's resources before the act, in
[0, 1]. Generations, games and rounds count from 1.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Discriminator, Field

__all__ = [
    "Act",
    "Agent",
    "Connected",
    "Donated",
    "Event",
    "Frozen",
    "GameEnded",
    "GenerationEnded",
    "Grouped",
    "Missed",
    "Moved",
    "Note",
    "NoteWritten",
    "Observed",
    "Past",
    "Probed",
    "Problem",
    "Punished",
    "Reading",
    "Reputation",
    "SatOut",
    "Scored",
    "Settled",
    "ShownStrategy",
    "StrategyFormed",
    "Talked",
    "TraceItem",
    "born_and_index",
    "by_kind",
    "rounded",
    "total",
]


class Frozen(BaseModel):
    """The base of immutable values; it refuses unknown fields and numbers that are not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    told_if_changed: ClassVar[frozenset[str]] = frozenset()
    """Of a rule: settings that its sentence file need not speak of at their defaults, which it tells without them."""


def by_kind(default: str) -> Discriminator:
    """Return a discriminator that tells rules apart by `kind`; without one, `default` is meant."""

    def kind_of(rule: object) -> object:
        return rule.get("kind", default) if isinstance(rule, Mapping) else getattr(rule, "kind", None)

    return Discriminator(kind_of)


Act = Literal["give", "punish"]
Problem = Literal["unreadable", "ambiguous", "out_of_range", "empty", "refused", "filtered", "cut_off"]
"""Why a reply was not taken as an answer."""
Reading = Literal["plain", "percent", "clamped"]
"""How an amount was read: as units, or as a percentage of the donor's resources; or it was more than the donor had and
was lowered to that, as the scenario says."""


class Agent(Frozen):
    """One member of a society."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    id: str
    """`<generation born>_<index>`; kept as long as the agent lives."""
    born: int
    """The generation it joined in."""
    label: str = Field(alias="model")
    """The label of its player: `provider/model` or `scripted/policy`, with what tells it from others of the same name.

    Logs call it `model`."""
    strategy: str | None
    """What it follows, in its own words; `None` where it never stated one that could be read, or agents have none."""
    parents: tuple[str, ...] = ()
    """The agents whose strategies it was shown, best first: survivors, or under some rules the last generation."""
    persona: str | None = Field(default=None, exclude_if=lambda persona: persona is None)
    """Words of the scenario's that it reads before all else, on who it is; a strategy is its own."""


def born_and_index(agent: str) -> tuple[int, int]:
    """Return an agent's name as numbers: the generation it was born in, and its place among those born then."""
    born, _, index = agent.partition("_")
    return int(born), int(index)


def rounded(exact: float) -> int:
    """Return the nearest whole number of a number >= 0, halves up: 2.5 agents are 3, and 3.5 are 4.

    A number that falls short of a half only through floating-point arithmetic (0.29 × 50) counts as the half.
    """
    return math.floor(exact + 0.5 + 1e-9)


def total(values: Iterable[float]) -> float:
    """Return the sum from left to right, as in the logs: from Python 3.12 on, `sum` rounds differently."""
    return functools.reduce(operator.add, values, 0.0)


# --- what is observed -------------------------------------------------------------------------------------------------


class TraceItem(NamedTuple):
    """One past act, as it is shown to those who meet the one that did it: in the donor game, a donor's turn."""

    round: int
    donor: str
    recipient: str | None
    """Whom the act was done to; `None`: the whole group that met, in games of more than two."""
    act: str | None
    """In the donor game `give` or `punish`, in others the option; `None`: no decision could be read."""
    fraction: float | None
    """Share of its resources the donor gave or spent, and in other games the level of what it did; `None` without an
    act, or where it had nothing."""
    note: str | None = None
    """What the recipient wrote about it, where notes are written; `None` where none could be read."""
    amount: float | None = None
    """In other games than the donor game, the units the option was done with, where it has any."""

    @property
    def level(self) -> float | None:
        """How cooperative the act was, in [0, 1]: the share given, 0 for punishing; `None`: that cannot be said."""
        if self.act is None or self.fraction is None:
            return None
        return 0.0 if self.act == "punish" else self.fraction


class Past(NamedTuple):
    """An encounter of its own that an agent remembers."""

    round: int
    others: tuple[str, ...]
    """Whom it met."""
    acts: tuple[TraceItem, ...]
    """What each member did, in the order in which they were asked."""
    change: float
    """Units that it gained or lost."""


class Note(NamedTuple):
    """A recipient's note about its donor, as later donors to that agent see it."""

    round: int
    author: str
    about: str
    text: str


class Reputation(NamedTuple):
    """An agent's past, summed up in one word or number."""

    kind: str
    """The `kind` of the observation rule that made it."""
    value: int | float | str
    """What agents are told: under `image_score` a score from -5 to 5, under `standing` `good` or `bad`."""
    score: int
    """What policies read: a score from -5 to 5, where 0 or more is good."""


class Observed(NamedTuple):
    """What a donor is shown of its recipient's past."""

    trace: tuple[TraceItem, ...] = ()
    """Past donor turns, newest first."""
    reputation: Reputation | None = None
    own_reputation: Reputation | None = None
    """The donor's own reputation, where it is shown that too."""
    notes: tuple[Note, ...] = ()
    """What was written about the recipient, newest first."""


class ShownStrategy(NamedTuple):
    """One survivor's strategy as a newborn sees it."""

    agent: str
    strategy: str | None
    score: float | None
    """Its score, or `None` where the scenario hides scores."""


# --- what follows: the facts in the log ----------------------------------------------------------------------------


class StrategyFormed(Frozen):
    """An agent joined, with the strategy it will follow, if agents have any; or a survivor stated another one."""

    type: Literal["strategy_formed"] = "strategy_formed"
    key: str
    generation: int
    agent: Agent
    is_cut: bool = False
    """Whether the strategy was cut at the stated length."""
    problem: Problem | None = None
    """Why no strategy was read; `agent.strategy` is then `None`."""
    attempts: int = 1
    """How often the agent was asked; 0 where its strategy was given or is its parent's, or agents have none."""


class Connected(Frozen):
    """Who are neighbours in a generation, where agents have places in a network."""

    type: Literal["connected"] = "connected"
    generation: int
    game: int | None = Field(default=None, exclude_if=lambda game: game is None)
    """The game from which on they are, where a network is rewired between games."""
    edges: tuple[tuple[str, str], ...]
    """Agents that are neighbours, each two once."""


class Grouped(Frozen):
    """Which group each agent is in, in a generation, where a society has groups."""

    type: Literal["grouped"] = "grouped"
    generation: int
    groups: dict[str, int]
    """By agent, from 1."""


class Encounter(Frozen):
    """What all three outcomes of one donor-recipient encounter share."""

    key: str
    generation: int
    game: int
    round: int
    donor: str
    recipient: str
    donor_before: float
    donor_after: float
    recipient_before: float
    recipient_after: float
    problem: Problem | None = None
    """Why the donor's reply was not readable; `None` where the donor itself decided."""
    attempts: int = 1


class Acted(Encounter):
    """What both kinds of decision share."""

    amount: float
    """Units that the donor gave up: 0 where its act failed."""
    fraction: float | None
    """`None` where the donor had nothing to give."""
    reading: Reading = "plain"
    intended: float | None = None
    """Units the donor had decided on, where its act failed and nothing moved; else `None`."""


class Donated(Acted):
    """The donor gave; the recipient received `multiplier` times as much."""

    type: Literal["donated"] = "donated"
    replaced_by: Literal["zero"] | None = None
    """`zero`: no answer could be read and the scenario counts that as a gift of nothing."""


class Punished(Acted):
    """The donor spent units to take some away from the recipient."""

    type: Literal["punished"] = "punished"
    removed: float
    """Units the recipient lost: at most what it had."""


class Missed(Encounter):
    """No decision could be read: nothing moved, and the encounter counts as missing data."""

    type: Literal["missed"] = "missed"


class Moved(Frozen):
    """A member of an encounter made a move, in games other than the donor game."""

    type: Literal["moved"] = "moved"
    key: str
    generation: int
    game: int
    round: int
    stage: str
    actor: str
    role: str
    option: str | None
    """What happened; `None`: no move could be read."""
    amount: float | None = None
    """Units it was done with, where the option has any."""
    aimed: dict[str, float] = Field(default_factory=dict)
    """Units by the member that it was aimed at, where it is aimed at named members."""
    level: float | None
    """How cooperative it was, in [0, 1]; `None` where that cannot be said."""
    intended: str | None = None
    """The option that was decided on, where chance made another of it."""
    reading: Reading = "plain"
    replaced_by: Literal["zero"] | None = None
    """`zero`: no move could be read and the scenario counts that as the least cooperative one."""
    problem: Problem | None = None
    """Why the reply was not readable; `None` where the agent itself decided."""
    attempts: int = 1


class Settled(Frozen):
    """What an encounter came to, in games other than the donor game."""

    type: Literal["settled"] = "settled"
    generation: int
    game: int
    round: int
    members: tuple[str, ...]
    """In the order of their roles."""
    before: tuple[float, ...]
    """Units that each member held."""
    after: tuple[float, ...]
    state_before: float | None = None
    """What the group shared before, such as a stock; `None` in games without it."""
    state_after: float | None = None
    is_missing: bool = False
    """Whether a move could not be read: nothing moved, and the encounter counts as missing data."""


class SatOut(Frozen):
    """An agent took no part in an encounter that was due, because of what was answered before it."""

    type: Literal["sat_out"] = "sat_out"
    generation: int
    game: int
    round: int
    agent: str
    others: tuple[str, ...]
    """Whom it was to meet."""
    reason: Literal["refused", "was_refused", "parted", "excluded", "alone", "missing"]
    """It refused; others did; it parted from the other earlier in the game; it was voted out, now or before; nobody
    else is left to meet; or an answer on which it depended could not be read, so that nothing moved."""
    before: float
    """Units that it held."""
    after: float


class NoteWritten(Frozen):
    """The recipient of an encounter wrote about its donor, for those who meet that one later."""

    type: Literal["note_written"] = "note_written"
    key: str
    generation: int
    game: int
    round: int
    author: str
    about: str
    text: str | None
    """`None` where no note could be read."""
    is_cut: bool = False
    """Whether the note was cut at the stated length."""
    problem: Problem | None = None
    """Why no note was read."""
    attempts: int = 1


class Talked(Frozen):
    """A member of an encounter said something to the others before they decided."""

    type: Literal["talked"] = "talked"
    key: str
    generation: int
    game: int
    round: int
    turn: int
    """The round of talk, from 1."""
    author: str
    to: tuple[str, ...]
    text: str | None
    """`None` where no message could be read."""
    is_cut: bool = False
    """Whether the message was cut at the stated length."""
    problem: Problem | None = None
    """Why no message was read."""
    attempts: int = 1


class GameEnded(Frozen):
    """Final resources of one game."""

    type: Literal["game_ended"] = "game_ended"
    generation: int
    game: int
    resources: dict[str, float]


class GenerationEnded(Frozen):
    """Scores of a generation and who of it survives."""

    type: Literal["generation_ended"] = "generation_ended"
    generation: int
    mean_final_resources: float
    """The reported score: mean over agents of final resources, averaged over the generation's games."""
    scores: dict[str, float]
    """What selection saw, agent by agent: under group selection, as much of the group's mean as it weighs."""
    survivors: tuple[str, ...]
    """Best first; empty after the last generation, where nobody is selected."""


class Probed(Frozen):
    """A strategy was asked what it would do in one situation, outside of any game."""

    type: Literal["probed"] = "probed"
    key: str
    """`probe/1_3/r50-p0-u10/07`: strategy, situation, repetition."""
    generation: int
    """In which the strategy lives."""
    subject: str
    """Whose strategy it is."""
    situation: str
    """The situation's name, as in the probe's design."""
    repetition: int
    """From 1."""
    act: str | None
    """In the donor game `give` or `punish`, in others the option; `None`: no decision could be read."""
    fraction: float | None
    """Share of its resources it would give, or spend on punishing, in other games the level of its move; `None` without
    a decision."""
    reading: Reading = "plain"
    problem: Problem | None = None
    attempts: int = 1
    """How often it was asked; 0 for a scripted policy."""


class Scored(Frozen):
    """A strategy has played one generation's games among stated policies."""

    type: Literal["scored"] = "scored"
    key: str
    """`score/1_3/s0`: strategy, society."""
    generation: int
    """In which the strategy lives; in the society it is the first."""
    subject: str
    society: int
    """From 0; all strategies meet the same societies."""
    score: float
    """What selection would see: units."""
    mean_fraction: float | None
    """Of its resources, given in its own decisions; `None` where it made none."""
    n_decisions: int
    """Encounters in which it was the donor."""
    n_missed: int
    """Those of them without a decision that could be read."""


Event = Annotated[
    StrategyFormed
    | Connected
    | Grouped
    | Donated
    | Punished
    | Missed
    | Moved
    | Settled
    | SatOut
    | Talked
    | NoteWritten
    | GameEnded
    | GenerationEnded
    | Probed
    | Scored,
    Field(discriminator="type"),
]
