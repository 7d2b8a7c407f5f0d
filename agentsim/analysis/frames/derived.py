"""What columns hold that follows from one record, but does not stand in it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from agentsim.core.facts import Moved, Settled, StrategyFormed, Talked
from agentsim.core.keys import SocietyKey, parse
from agentsim.log.records import Reply, RunStarted

__all__ = [
    "aimed_at",
    "endowment",
    "generation_asked",
    "gift",
    "is_hedged",
    "members",
    "n_rounds",
    "names_of_parents",
    "names_of_players",
    "player_asked",
    "prompt_set",
    "recipients",
    "rules_digest",
    "server_asked",
    "usd",
]


def endowment(run: RunStarted, _: RunStarted) -> float | None:
    """Return what every agent holds at first, if all hold the same."""
    units = run.condition["game"]["endowment"]
    return None if isinstance(units, list) else units


def names_of_players(run: RunStarted, _: RunStarted) -> str:
    """Return the labels of all players."""
    return " + ".join(run.players)


def n_rounds(run: RunStarted, _: RunStarted) -> int | None:
    """Return the rounds of each game; missing where they are drawn."""
    game = run.condition["game"]
    return None if game.get("continuation") else game["rounds"]


def gift(run: RunStarted, _: RunStarted) -> str | None:
    """Return what a donor may give, by its kind; missing in other games. A log leaves shares unsaid."""
    game = run.condition["game"]
    return game.get("gift", {"kind": "share"})["kind"] if game.get("kind", "donor") == "donor" else None


def rules_digest(run: RunStarted, _: RunStarted) -> str:
    """Return the SHA-256 of the condition without its players; of the prompt set only the content counts."""
    rules = {key: value for key, value in run.condition.items() if key != "players"}
    text = json.dumps({**rules, "prompts": run.prompts_digest}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def prompt_set(run: RunStarted, _: RunStarted) -> str:
    """Return the prompt set's name with the first digits of its digest."""
    return f"{Path(run.condition['prompts']).name} {run.prompts_digest[:8]}"


def names_of_parents(formed: StrategyFormed, _: RunStarted) -> str | None:
    """Return the agents whose strategies it was shown; missing where there were none."""
    return " ".join(formed.agent.parents) or None


def aimed_at(move: Moved, _: RunStarted) -> str | None:
    """Return the members that a move was aimed at, with the units spent on each; missing for other moves."""
    return json.dumps(move.aimed, sort_keys=True) if move.aimed else None


def members(settled: Settled, _: RunStarted) -> str:
    """Return all members of an encounter."""
    return " ".join(settled.members)


def recipients(talked: Talked, _: RunStarted) -> str:
    """Return those who could read a message."""
    return " ".join(talked.to)


def generation_asked(reply: Reply, _: RunStarted) -> int | None:
    """Return the 3 of `g3/game1/r04/2_4`; missing where a log holds a key of another form."""
    try:
        parsed = parse(reply.key)
    except ValueError:
        return None
    return parsed.generation if isinstance(parsed, SocietyKey) else None


def player_asked(reply: Reply, started: RunStarted) -> str:
    """Return the label of the player that was asked."""
    return reply.player or started.players[0]


def server_asked(reply: Reply, started: RunStarted) -> str | None:
    """Return the address of the server that answered; missing if the log does not say it."""
    listed = reply.completion.server or started.account_of(reply.player).get("base_url")
    address = listed[0] if isinstance(listed, list) and len(listed) == 1 else listed
    return address if isinstance(address, str) else None


def usd(reply: Reply, started: RunStarted) -> float | None:
    """Return what the reply cost in US dollars; missing if that is not known."""
    return started.cost_usd(reply)


def is_hedged(reply: Reply, _: RunStarted) -> bool:
    """Return whether a second copy of the call was sent."""
    return reply.completion.hedge is not None
