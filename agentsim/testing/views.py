"""Makes what donors may be shown, at random under each observation rule, and the same of many as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Literal

import numpy as np

from agentsim.core.facts import Past, Reputation, TraceItem
from agentsim.core.observation import Memory, Several, Trace, as_score, as_standing
from agentsim.core.policies.views import Views
from agentsim.core.requests import DecisionView
from agentsim.core.rules import SocietyRules

Act = tuple[str | None, float | None]
"""What was done, and its level."""
FORGETTING = SocietyRules().told
REMEMBERING = SocietyRules(observation=Several(rules=(Trace(), Memory(depth=1000)))).told
KINDS = ("trace", "none", "history", "image_score", "standing")
DEPTH = 6
FRACTIONS = (0.0, 0.05, 0.1, 0.2, 0.25, 0.3, 0.5, 0.8, 1.0)


def view_of(
    *trace: TraceItem,
    reputation: Reputation | None = None,
    own: Reputation | None = None,
    resources: float = 8.0,
    memory: Sequence[Past] | None = None,
) -> DecisionView:
    """Return what a donor is shown; with a memory, even an empty one, agents remember."""
    return DecisionView(
        name="1_1",
        generation=1,
        round=20,
        rules=(FORGETTING if memory is None else REMEMBERING),
        strategy=None,
        resources=resources,
        recipient="1_2",
        recipient_resources=10.0,
        trace=trace,
        reputation=reputation,
        own_reputation=own,
        memory=tuple(memory or ()),
    )


def met(*acts: tuple[Act, Act], partner: str = "1_2") -> tuple[Past, ...]:
    """Return encounters with a partner, newest first: what the partner did, and what the agent did itself."""
    made = []
    for index, (of_other, of_self) in enumerate(acts):
        round = 19 - index
        items = (TraceItem(round, partner, "1_1", *of_other), TraceItem(round, "1_1", partner, *of_self))
        made.append(Past(round, (partner,), items, 0.0))
    return tuple(made)


def turns(*acts: tuple[str | None, float | None], is_chain: bool) -> list[TraceItem]:
    """Return past turns, newest first: a chain through partners, or all of the recipient's own."""
    made = []
    for index, (act, fraction) in enumerate(acts):
        donor, recipient = (index, index + 1) if is_chain else (0, index + 1)
        made.append(TraceItem(19 - index, f"2_{donor}", f"2_{recipient}", act, fraction))
    return made


def reputation(kind: str, value: int | str | None) -> Reputation | None:
    """Return a score or a standing, or nothing of the unknown."""
    if value is None:
        return None
    return as_score(int(value)) if kind == "image_score" else as_standing(value)  # type: ignore[arg-type]


def random_view(kind: str, rng: Random) -> DecisionView:
    """Return a random view as that rule may show it; now and then nothing is known."""
    resources = rng.choice([0.0, 1.5, 8.0, 320.0])
    if kind in ("image_score", "standing"):
        values: list[int | str | None] = [*range(-5, 6)] if kind == "image_score" else ["good", "bad"]
        of_recipient, of_donor = (reputation(kind, rng.choice([*values, None])), reputation(kind, rng.choice(values)))
        return view_of(reputation=of_recipient, own=of_donor if rng.random() < 0.9 else None, resources=resources)
    acts = [_act(rng) for _ in range(rng.randint(0, DEPTH) if kind != "none" else 0)]
    return view_of(*turns(*acts, is_chain=kind == "trace"), resources=resources)


def _act(rng: Random) -> tuple[Literal["give", "punish"] | None, float | None]:
    act = rng.choice(["give", "give", "give", "punish", None])
    return act, None if act is None or rng.random() < 0.1 else rng.choice(FRACTIONS)  # type: ignore[return-value]


def as_arrays(views: Sequence[DecisionView], *, kind: str) -> Views:
    """Return views of one rule together; all or none of them are shown their own reputation."""
    is_shown, is_gift, is_punishment = (np.zeros((DEPTH, len(views)), dtype=np.bool_) for _ in range(3))
    fraction = np.full((DEPTH, len(views)), np.nan)
    for column, view in enumerate(views):
        for row, item in enumerate(view.trace):
            is_shown[row, column] = True
            is_gift[row, column], is_punishment[row, column] = item.act == "give", item.act == "punish"
            fraction[row, column] = np.nan if item.fraction is None else item.fraction
    is_judged = kind in ("image_score", "standing")
    depth = 0 if is_judged or kind == "none" else DEPTH
    has_own = is_judged and all(view.own_reputation for view in views)
    return Views(
        round=20,
        resources=np.array([view.resources for view in views]),
        recipient_resources=np.array([view.recipient_resources for view in views]),
        is_shown=is_shown[:depth],
        is_gift=is_gift[:depth],
        is_punishment=is_punishment[:depth],
        fraction=fraction[:depth],
        reputation=np.array([_number(view.reputation) for view in views]) if is_judged else None,
        is_known=np.array([view.reputation is not None for view in views]) if is_judged else None,
        own_reputation=np.array([_number(view.own_reputation) for view in views]) if has_own else None,
        is_chain=kind == "trace",
    )


def _number(said: Reputation | None) -> int:
    return -4 if said is None else said.score  # of the unknown it means nothing, and must not be read
