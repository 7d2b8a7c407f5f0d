"""What agents are asked: views, which hold what an agent knows, and requests."""

from __future__ import annotations

from typing import NamedTuple

from agentsim.core.answers import AnswerSpec, Move
from agentsim.core.facts import Act, Note, Past, Reputation, ShownStrategy, TraceItem
from agentsim.core.rules import SocietyRules

__all__ = [
    "DecisionView",
    "Made",
    "Message",
    "MessageView",
    "NoteView",
    "Other",
    "Request",
    "StrategyView",
    "View",
]


class StrategyView(NamedTuple):
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


class DecisionView(NamedTuple):
    """What an agent knows when it decides.

    In the donor game, and where two meet, `recipient` is the other member; where more meet, it is the first of them.
    """

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
    role: str = "donor"
    """The role of the agent that is asked."""
    stage: str = "decision"
    """The stage of the game."""
    order: int = 1
    """Which question of its encounter this is, of those that wait for each other."""
    others: tuple[Other, ...] = ()
    """The other members of the encounter, in the order of their roles."""
    so_far: tuple[Made, ...] = ()
    """The moves that were made in earlier stages of the encounter, as far as they can be read."""
    state: float | None = None
    """What the group shares, such as the stock of a commons."""
    messages: tuple[Message, ...] = ()
    """What the members said before deciding, oldest first, where they talk."""
    memory: tuple[Past, ...] = ()
    """The agent's own earlier encounters, newest first, where the scenario lets it remember them."""

    def toward(self, other: Other) -> DecisionView:
        """Return the view of an encounter with that member alone, as scripted policies read it."""
        return self._replace(
            recipient=other.name,
            recipient_resources=other.resources,
            trace=other.trace,
            reputation=other.reputation,
            notes=other.notes,
            memory=tuple(past for past in self.memory if other.name in past.others),
        )


class Other(NamedTuple):
    """Another member of an encounter, as the one that decides knows it."""

    name: str
    role: str
    resources: float
    trace: tuple[TraceItem, ...] = ()
    reputation: Reputation | None = None
    notes: tuple[Note, ...] = ()


class Made(NamedTuple):
    """A move that was made earlier in the same encounter."""

    actor: str
    role: str
    stage: str
    move: Move


class Message(NamedTuple):
    """What a member of an encounter said before deciding."""

    author: str
    turn: int
    text: str


class MessageView(NamedTuple):
    """What a member of an encounter knows when it writes to the others before deciding."""

    decision: DecisionView
    """What it knows of the encounter so far."""
    turn: int
    """The round of talk, from 1."""

    @property
    def name(self) -> str:
        """The agent that is asked."""
        return self.decision.name

    @property
    def generation(self) -> int:
        """The generation that lives."""
        return self.decision.generation

    @property
    def round(self) -> int:
        """The round of the game."""
        return self.decision.round

    @property
    def rules(self) -> SocietyRules:
        """What is played."""
        return self.decision.rules

    @property
    def order(self) -> int:
        """Which question of its encounter this is, of those that wait for each other."""
        return self.decision.order


class NoteView(NamedTuple):
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


View = StrategyView | DecisionView | MessageView | NoteView


class Request(NamedTuple):
    """A question to one agent; its key never changes."""

    key: str
    """`g3/strategy/3_4`, `g3/game1/r04/2_4` (generation, game, round, donor), `g3/game1/r04/2_4/note`, or one of
    a later stage."""
    agent: str
    view: View
    spec: AnswerSpec
