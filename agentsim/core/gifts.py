"""What a donor may give: any share of its resources, a fixed gift or nothing, or whole steps of units.

A policy states a *level* in [0, 1]: 0 for the least and 1 for the most that is possible. A gift rule turns it
into units.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field, Tag

from agentsim.core.facts import Frozen, by_kind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["ANY_SHARE", "ROUNDING", "FixedGift", "Gift", "ShareGift", "UnitGift", "is_in_steps", "nearest_in_steps"]

ROUNDING = 1e-9
"""Relative slack where an amount is compared with whole steps."""


def is_in_steps(amount: float, step: float) -> bool:
    """Return whether an amount >= 0 is a whole number of steps."""
    steps = amount / step
    return abs(steps - round(steps)) <= ROUNDING * max(1.0, steps)


def nearest_in_steps(level: float, most: float, step: float) -> float:
    """Return the whole number of steps, in units, nearest to a level in [0, 1] of all that make at most `most`.

    Halves are rounded up.
    """
    n_steps = math.floor(most / step * (1 + ROUNDING))
    return min(math.floor(level * n_steps + 0.5) * step, most)


class _Gift(Frozen):
    """What other rooms ask about any gift rule; a rule overrides what is otherwise of it."""

    @property
    def own_multiplier(self) -> float | None:
        """Units that the recipient receives for each unit given, where the gift itself says so."""
        return None

    @property
    def yes(self) -> float | None:
        """Units of the one gift that is possible, so that a donor answers yes or no; `None`: there are several."""
        return None

    def received(self, amount: float, multiplier: float) -> float:
        """Return the units that the recipient of a gift receives."""
        return amount * multiplier

    def received_of(self, amounts: Floats, multiplier: float) -> Floats:
        """Return the same for many gifts."""
        return amounts * multiplier

    def log10_most(self, endowment: float, multiplier: float, n_rounds: int) -> float:
        """Return the decimal logarithm of the most units that an endowment can become in so many rounds."""
        return math.log10(endowment) + n_rounds * max(math.log10(multiplier), 0)


class ShareGift(_Gift):
    """Any amount, from nothing to all that the donor holds (Vallinder & Hughes 2024, section 3)."""

    kind: Literal["share"] = "share"

    def most(self, resources: float) -> float:
        """Return the most units that a donor with these resources may give."""
        return resources

    def amount(self, level: float, resources: float) -> float:
        """Return the units that a policy gives."""
        return level * resources

    def amounts(self, levels: Floats, resources: Floats) -> Floats:
        """Return the same for many donors."""
        return levels * resources

    def fraction(self, amount: float, resources: float) -> float | None:
        """Return what others see of a gift, in [0, 1]; `None` where nothing could be given."""
        return amount / resources if resources > 0 else None

    def fractions(self, amounts: Floats, resources: Floats) -> Floats:
        """Return the same for many donors, NaN where nothing could be given."""
        return amounts / resources

    def allows(self, amount: float, resources: float) -> bool:
        """Return whether an amount within 0 and `most` may be given."""
        return True


class FixedGift(_Gift):
    """Yes or no: the donor pays `cost` and the recipient receives `benefit`, or nothing moves.

    The donation game of Nowak & Sigmund 1998, Nature 393. A donor that holds less than `cost` cannot give. Here the
    *fraction* of an act is 1 for a gift and 0 for a refusal. A policy gives where its level is at least one half.
    """

    kind: Literal["fixed"] = "fixed"
    cost: float = Field(default=1, gt=0)
    """Units that a gift costs the donor ..."""
    benefit: float = Field(default=3, gt=0)
    """... and that the recipient receives."""

    @property
    def own_multiplier(self) -> float:
        """Return benefit ÷ cost."""
        return self.benefit / self.cost

    @property
    def yes(self) -> float:
        """Return the cost."""
        return self.cost

    def received(self, amount: float, multiplier: float) -> float:
        """Return the benefit, or nothing."""
        return self.benefit if amount > 0 else 0.0

    def received_of(self, amounts: Floats, multiplier: float) -> Floats:
        """Return the same for many gifts."""
        import numpy as np

        return np.where(amounts > 0, self.benefit, 0.0)

    def log10_most(self, endowment: float, multiplier: float, n_rounds: int) -> float:
        """Return the same for benefits that add up."""
        return math.log10(endowment + n_rounds * self.benefit)

    def most(self, resources: float) -> float:
        """Return the most units that a donor with these resources may give."""
        return self.cost if resources >= self.cost else 0.0

    def amount(self, level: float, resources: float) -> float:
        """Return the units that a policy gives."""
        return self.cost if level >= 0.5 and resources >= self.cost else 0.0

    def amounts(self, levels: Floats, resources: Floats) -> Floats:
        """Return the same for many donors."""
        import numpy as np

        return np.where((levels >= 0.5) & (resources >= self.cost), self.cost, 0.0)

    def fraction(self, amount: float, resources: float) -> float | None:
        """Return 1 for a gift and 0 for a refusal; `None` where nothing could be given."""
        return float(amount > 0) if resources >= self.cost else None

    def fractions(self, amounts: Floats, resources: Floats) -> Floats:
        """Return the same for many donors, NaN where nothing could be given."""
        import numpy as np

        return np.where(resources >= self.cost, (amounts > 0).astype(float), np.nan)

    def allows(self, amount: float, resources: float) -> bool:
        """Return whether an amount within 0 and `most` may be given."""
        return amount == 0 or amount == self.cost


class UnitGift(_Gift):
    """Whole steps of units: 0, `step`, 2 × `step`, ... up to what the donor holds."""

    kind: Literal["units"] = "units"
    step: float = Field(default=1, gt=0)
    """Units of one step."""

    def most(self, resources: float) -> float:
        """Return the most units that a donor with these resources may give."""
        return min(math.floor(resources / self.step * (1 + ROUNDING)) * self.step, resources)

    def amount(self, level: float, resources: float) -> float:
        """Return the units that a policy gives: the nearest steps to its level of all that it may give, halves up."""
        return nearest_in_steps(level, resources, self.step)

    def amounts(self, levels: Floats, resources: Floats) -> Floats:
        """Return the same for many donors."""
        import numpy as np

        steps = np.floor(resources / self.step * (1 + ROUNDING))
        return np.minimum(np.floor(levels * steps + 0.5) * self.step, resources)

    def fraction(self, amount: float, resources: float) -> float | None:
        """Return the share of its resources that the donor gave; `None` where nothing could be given."""
        return amount / resources if self.most(resources) > 0 else None

    def fractions(self, amounts: Floats, resources: Floats) -> Floats:
        """Return the same for many donors, NaN where nothing could be given."""
        import numpy as np

        return np.where(np.floor(resources / self.step * (1 + ROUNDING)) > 0, amounts / resources, np.nan)

    def allows(self, amount: float, resources: float) -> bool:
        """Return whether an amount within 0 and `most` is a whole number of steps."""
        return is_in_steps(amount, self.step)


ANY_SHARE = ShareGift()
"""The gifts of the published game."""


def _named(gift: object) -> object:
    """Take a kind alone, as `gift: share`."""
    return {"kind": gift} if isinstance(gift, str) and gift in ("share", "fixed", "units") else gift


Gift = Annotated[
    Annotated[ShareGift, Tag("share")] | Annotated[FixedGift, Tag("fixed")] | Annotated[UnitGift, Tag("units")],
    by_kind("share"),
    BeforeValidator(_named),
]
