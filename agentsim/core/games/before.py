"""What comes before an encounter: choosing a partner, joining an institution, voting somebody out, refusing.

Each is a stage that a game may have, in this order. Its answers decide who meets; the encounter is then played by those
who are left. An answer that cannot be read is missing: it is no choice, no vote and no refusal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from pydantic import Field, field_validator

from agentsim.core.answers import Move, MoveSpec, Option
from agentsim.core.facts import Frozen

__all__ = [
    "BEFORE",
    "CHOOSE",
    "EXCLUDE",
    "JOIN",
    "NOBODY",
    "PLAY",
    "REFUSE",
    "WITH",
    "WITHOUT",
    "Choice",
    "Ostracism",
    "Refusal",
    "accepting",
    "asked",
    "matched",
    "voted_out",
]

CHOOSE: Final = "choose"
JOIN: Final = "join"
EXCLUDE: Final = "exclude"
REFUSE: Final = "refuse"
BEFORE: Final = (CHOOSE, JOIN, EXCLUDE, REFUSE)
"""The stages, in their order."""
PLAY: Final = "play"
NOBODY: Final = "nobody"
WITH: Final = "with-sanctions"
WITHOUT: Final = "without-sanctions"


class Refusal(Frozen):
    """Before an encounter, each member may refuse to take part.

    The option of not playing of Orbell & Dawes 1993, Am. Sociol. Rev. 58, and of Batali & Kitcher 1995, J. Theor. Biol.
    175; the loners of Hauert, De Monte, Hofbauer & Sigmund 2002, Science 296; exit of Vanberg & Congleton 1992, Am.
    Polit. Sci. Rev. 86.
    """

    cost: float = Field(default=0, ge=0)
    """Units that refusing costs, at most what the agent has."""
    instead: float = Field(default=0, ge=0)
    """Units that each member gets for whom there is no encounter, whoever refused."""
    ends: Literal["encounter", "game"] = "encounter"
    """What is refused: this encounter; or, where two meet, this and all further ones with the same agent in the game
    (exit)."""
    known: Literal["members", "all"] = "members"
    """Who learns of a refusal: those who were to meet; or it is shown to others among the agent's past acts, too."""


class Choice(Frozen):
    """Before an encounter of two, agents choose whom to meet among some that they are offered.

    Partner choice of Noë & Hammerstein 1994, Behav. Ecol. Sociobiol. 35; Barclay & Willer 2007, Proc. R. Soc. B 274.
    Agents are drawn in sets and offered all others of their set. Those who choose each other meet. Of the others, in
    random order, each meets the one it chose if that one is still free; who then is left over meets at random.
    """

    offered: int = Field(default=3, ge=3, le=99)
    """How many agents each one is offered: an odd number, so that all of a set can meet."""

    @field_validator("offered")
    @classmethod
    def _is_odd(cls, offered: int) -> int:
        if offered % 2 == 0:
            raise ValueError(f"{offered} is even, so that one of a set would be left over; use {offered + 1}")
        return offered


class Ostracism(Frozen):
    """Before an encounter, the members vote on excluding one of them for some rounds.

    Cinyabuguma, Page & Putterman 2005, "Cooperation under the threat of expulsion in a public goods experiment", J.
    Public Econ. 89; Maier-Rigaud, Martinsson & Staffiero 2010, J. Econ. Behav. Organ. 73.
    """

    rounds: int = Field(default=3, ge=1, le=10_000)
    """Rounds in which the agent takes part in no encounter, the present one among them."""
    share: float = Field(default=0.5, ge=0, lt=1)
    """More than this share of the other members must vote for an agent to exclude it."""


def asked(stage: str, members: Sequence[str]) -> tuple[tuple[str, MoveSpec], ...]:
    """Return who is asked in a stage, and what each may answer."""
    if stage == REFUSE:
        return tuple((member, MoveSpec((Option(PLAY), Option(REFUSE)))) for member in members)
    if stage == JOIN:
        return tuple((member, MoveSpec((Option(WITH), Option(WITHOUT)))) for member in members)
    nobody = (Option(NOBODY),) if stage == EXCLUDE else ()
    return tuple(
        (member, MoveSpec((*(Option(other) for other in members if other != member), *nobody))) for member in members
    )


def accepting(stage: str, spec: MoveSpec, level: float) -> Move:
    """Return the answer of an agent that takes all as it comes; at level 0 it refuses, and joins no sanctions."""
    if stage == EXCLUDE:
        return Move(NOBODY)
    is_second = level == 0 and stage in (REFUSE, JOIN)
    return Move(spec.options[1 if is_second else 0].name)


def matched(members: Sequence[str], chosen: Mapping[str, str | None], order: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the pairs of a set, each in the order of the members.

    Args:
        members: the set.
        chosen: whom each has chosen; `None`: nobody that could be read.
        order: the members in random order.
    """
    partner: dict[str, str] = {}

    def pair(a: str, b: str) -> None:
        partner[a], partner[b] = b, a

    for one in order:
        other = chosen[one]
        if other is not None and chosen[other] == one:
            pair(one, other)
    for one in order:
        other = chosen[one]
        if other is not None and one not in partner and other not in partner:
            pair(one, other)
    left = [one for one in order if one not in partner]
    for a, b in zip(left[::2], left[1::2], strict=True):
        pair(a, b)
    return [(one, partner[one]) for place, one in enumerate(members) if partner[one] in members[place:]]


def voted_out(members: Sequence[str], votes: Mapping[str, str | None], *, share: float) -> str | None:
    """Return whom more than a share of the others want to exclude: the one with the most votes, the first of equals."""
    counts = {member: sum(vote == member for vote in votes.values()) for member in members}
    most = max(members, key=lambda member: counts[member])
    return most if counts[most] > share * (len(members) - 1) and counts[most] else None
