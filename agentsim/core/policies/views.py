"""What many donors know when they decide at the same time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Views"]


@dataclass(frozen=True, slots=True)
class Views:
    """What many donors know when they decide at the same time: `DecisionView`s of one observation rule, as arrays.

    Every array has one element a donor, those of the trace one row an item besides, newest first.
    """

    round: int
    resources: NDArray[np.float64]
    recipient_resources: NDArray[np.float64]
    is_shown: NDArray[np.bool_]
    """(depth, donors): whether there is such an item in the trace."""
    is_gift: NDArray[np.bool_]
    """(depth, donors): whether its act is giving."""
    is_punishment: NDArray[np.bool_]
    """(depth, donors): whether its act is punishing; neither: no decision could be read."""
    fraction: NDArray[np.float64]
    """(depth, donors): as in `TraceItem`; NaN for `None`."""
    reputation: NDArray[np.int64] | None = None
    """The recipient's score, or 1 for good standing and -1 for bad; `None` where the rule shows none."""
    is_known: NDArray[np.bool_] | None = None
    """Whether `reputation` was shown of this recipient; `None`: of all. Of the unknown, `reputation` means nothing."""
    own_reputation: NDArray[np.int64] | None = None
    """The donor's own, in the same numbers; `None` where the rule does not show it."""
    is_chain: bool = True
    """Whether an item's donor is the recipient of the item before it, as in a trace; otherwise all items are the
    recipient's own acts."""
