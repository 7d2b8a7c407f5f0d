"""What authors of plug-ins build on: the base classes of rules, policies and providers, and what these meet.

Names alone, from rooms below; `docs/extending.md` shows how they are used.
"""

from agentsim.core.answers import Move, MoveSpec, Option
from agentsim.core.facts import Agent, Frozen, Note, Observed, Reputation, ShownStrategy, TraceItem
from agentsim.core.games import Encounter, Game, Outcome, Stage
from agentsim.core.games.game import Moves
from agentsim.core.observation import Chance, History, Judgements, Observation
from agentsim.core.pairing import Pairing, Schedule
from agentsim.core.policies import Draw, Policy, Traits
from agentsim.core.policies.views import Views
from agentsim.core.requests import DecisionView
from agentsim.core.selection import Selection
from agentsim.core.transmission import Transmission
from agentsim.providers.base import PLAIN, Call, Completion, Prompt, Provider, Sampling
from agentsim.providers.dialects.dialect import Dialect, Opened, Opening

__all__ = [
    "PLAIN",
    "Agent",
    "Call",
    "Chance",
    "Completion",
    "DecisionView",
    "Dialect",
    "Draw",
    "Encounter",
    "Frozen",
    "Game",
    "History",
    "Judgements",
    "Move",
    "MoveSpec",
    "Moves",
    "Note",
    "Observation",
    "Observed",
    "Opened",
    "Opening",
    "Option",
    "Outcome",
    "Pairing",
    "Policy",
    "Prompt",
    "Provider",
    "Reputation",
    "Sampling",
    "Schedule",
    "Selection",
    "ShownStrategy",
    "Stage",
    "TraceItem",
    "Traits",
    "Transmission",
    "Views",
]
