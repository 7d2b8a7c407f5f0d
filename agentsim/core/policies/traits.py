"""What is said of a policy, and how policies are called.

NumPy is imported where many decisions are made at once: reading a scenario needs none of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field

from agentsim.core.facts import Frozen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Draw", "Draws", "Fractions", "Playing", "Traits"]

Draw = Callable[[], float]
"""Gives the decision's own random number in [0, 1)."""
Draws: TypeAlias = "Callable[[], NDArray[np.float64]]"
"""Gives one such number for each of many decisions."""
Fractions: TypeAlias = "NDArray[np.float64]"


class Playing(Frozen):
    """What every player may say beside its own settings."""

    agents: Annotated[int, Field(ge=1, le=10_000)] | Annotated[float, Field(gt=0, lt=1)] | None = None
    """Where `players` is a list: how many agents of the first generation it plays, as a number or as a share of all;
    by default all players have equal shares."""
    name: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9 ._-]{0,39}$")
    """Tells it from other players of the same model, as `resident` and `invader`."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What a policy, with its settings, can be relied on for; the tests measure each of these on its decisions."""

    order: Literal[0, 1, 2, 3]
    """What its decisions can hang on: 0 nothing of the recipient; 1 what the recipient did, or its score or standing;
    2 also what was known of those it did that to; 3 also the donor's own standing."""
    is_nice: bool
    """Whether it gives, at least at times, to a recipient of which nothing is known."""
    is_forgiving: bool
    """Whether it gives, at least at times, to a recipient with the worst of records, being in good standing itself."""
    is_stochastic: bool
    """Whether chance has a part in what it gives."""
    is_graded: bool
    """Whether what it gives follows the shares it sees, and not only whether they reach a threshold."""
