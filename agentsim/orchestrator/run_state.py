"""How one run ended, this time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["RunState", "Status"]

Status: TypeAlias = Literal["complete", "unread", "interrupted", "stopped", "not begun"]
"""`unread`: played to its end, but not one of a model's decisions could be read. `interrupted`: by the user.
`stopped`: for the reason given. `not begun`: the study stopped before this run was asked anything.

The same command continues an interrupted, stopped or not begun run.
"""


@dataclass(frozen=True)
class RunState:
    """How one run ended, this time."""

    run: str
    status: Status
    reason: str | None = None
    is_refused: bool = False
    """Whether the log belongs to another scenario, code or format: the same command would be refused again."""
    is_held: bool = False
    """Whether it was not played because another process plays it."""
    is_unread: bool = False
    """Whether a model gave no readable answer at all: the run is `unread`, or was stopped because of it."""
    n_replies: int = 0
    """The number of replies in the log."""
    n_new_replies: int = 0
    """The number of replies that this process added."""
    n_torn_bytes: int = 0
    """Bytes of an unfinished line, left by a crash, that were cut off the log."""
    tokens: int = 0
    """Tokens of all replies in the log, as far as the servers stated them."""
    cost_usd: float | None = 0.0
    """The cost of all replies in the log; `None` if that of any reply is not known."""
    wall_s: float = 0.0
    critical_path_s: float = 0.0
    """The longest chain of this process's calls that had to wait for each other."""
