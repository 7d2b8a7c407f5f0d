"""What agents are asked: views, which hold what an agent knows, and requests."""

from __future__ import annotations

from dataclasses import dataclass

from agentsim.core.answers import AnswerSpec
from agentsim.core.facts import Act, Note, Reputation, ShownStrategy, TraceItem
from agentsim.core.rules import SocietyRules

__all__ = ["DecisionView", "NoteView", "Request", "StrategyView", "View"]


@dataclass(frozen=True, slots=True)
class StrategyView:
    """What an agent knows when it forms its strategy."""

    name: str
    generation: int
    rules: SocietyRules
    """What is played. Prompts tell it, rule by rule; who plays is not part of it."""
    advice: tuple[ShownStrategy, ...]
    is_survivor: bool = False
    """Whether it has lived before and may state another strategy than its own."""
    own: str | None = None
    """The strategy that a survivor followed until now; `None` where it never stated one that could be read."""


@dataclass(frozen=True, slots=True)
class DecisionView:
    """What a donor knows when it decides."""

    name: str
    generation: int
    round: int
    rules: SocietyRules
    """What is played. Prompts tell it, rule by rule; who plays is not part of it."""
    strategy: str | None
    resources: float
    recipient: str
    recipient_resources: float
    trace: tuple[TraceItem, ...]
    """Newest first; a chain through partners, or the recipient's own history."""
    reputation: Reputation | None = None
    """The recipient's reputation, where the scenario shows it."""
    own_reputation: Reputation | None = None
    """The donor's own reputation, where the scenario shows it."""
    notes: tuple[Note, ...] = ()
    """The notes about the recipient, newest first, where the scenario shows them."""


@dataclass(frozen=True, slots=True)
class NoteView:
    """What a recipient knows when it writes about its donor."""

    name: str
    generation: int
    round: int
    rules: SocietyRules
    """What is played. Prompts tell it, rule by rule; who plays is not part of it."""
    strategy: str | None
    resources: float
    """What it holds now."""
    donor: str
    act: Act
    fraction: float | None
    """Share of its resources the donor gave or spent; `None` where it had nothing."""
    change: float
    """Units that the act added to what the recipient holds; below 0 where it was punished."""


View = StrategyView | DecisionView | NoteView


@dataclass(frozen=True, slots=True)
class Request:
    """A question to one agent; its key never changes."""

    key: str
    """`g3/strategy/3_4`, `g3/game1/r04/2_4` (generation, game, round, donor), or `g3/game1/r04/2_4/note`."""
    agent: str
    view: View
    spec: AnswerSpec
