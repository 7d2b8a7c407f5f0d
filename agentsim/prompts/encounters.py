"""What a member of an encounter reads, in games other than the donor game: which template, and its names.

A stage's template is `games/<game>/<stage>.md`. What all of them share stands in files of its own and is given to them
as text: `intro` (who is asked), `known` (what is known of the others), `recalled` (the agent's own encounters), `said`
(what was said before deciding) and `form` (how to answer).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from agentsim.core.answers import MoveSpec, TextSpec
from agentsim.core.facts import Past, Reputation, TraceItem
from agentsim.core.games import DonorGame, PublicGoodsGame
from agentsim.core.games.before import BEFORE
from agentsim.core.requests import DecisionView, MessageView, NoteView, Other, Request

__all__ = ["ACT", "FOLDER", "ask_again", "donor_facts", "has_strategies", "question"]

FOLDER: Final = "games"
ACT: Final = f"{FOLDER}/act.md"
"""Says what an agent did."""
Render = Callable[[str, dict[str, Any]], str]
"""Renders the template of a name with some facts."""
Told = Callable[[Reputation | None, str, bool], str | None]
"""Returns the sentence on a reputation: of which agent, and whether it is the reader's own."""


def question(request: Request, render: Render, told: Told, *, marker: str) -> str:
    """Return the question to a member of an encounter: for a move, or for a message before it."""
    is_talk = isinstance(request.view, MessageView)
    view = request.view.decision if isinstance(request.view, MessageView) else request.view
    assert isinstance(view, DecisionView)
    facts = _shared(view) | {"marker": marker}
    if isinstance(request.spec, MoveSpec):
        facts |= {"options": request.spec.options, "most_together": request.spec.most_together}
        facts["form"] = render(f"{FOLDER}/form.md", facts)
    elif isinstance(request.spec, TextSpec):
        facts["max_chars"] = request.spec.max_chars
    facts["intro"] = render(f"{FOLDER}/intro.md", facts)
    facts["known"] = render(f"{FOLDER}/known.md", facts | _known(view, render, told))
    facts |= _recalled(view, render)
    kind = "before" if view.stage in BEFORE else view.rules.game.kind
    name = "talk.md" if is_talk else f"{kind}/{view.stage}.md"
    return render(f"{FOLDER}/{name}", facts)


def has_strategies(view: DecisionView | NoteView) -> bool:
    """Return whether an agent is told of its strategy, or that it stated none: not where nobody has any."""
    return view.rules.transmission.has_strategies or view.strategy is not None


def donor_facts(view: DecisionView, render: Render) -> dict[str, str]:
    """Return what a donor is told beside what is known of its recipient: its memory, and what was said."""
    has_none = not view.rules.observation.remembers and not view.messages
    return {"recalled": "", "said": ""} if has_none else _recalled(view, render)


def ask_again(request: Request, render: Render, *, problem: str, marker: str) -> str:
    """Return the message that follows an unreadable reply."""
    spec = request.spec
    is_move = isinstance(spec, MoveSpec)
    facts: dict[str, Any] = {
        "problem": problem,
        "marker": marker,
        "what": "move" if is_move else "message",
        "options": spec.options if isinstance(spec, MoveSpec) else (),
        "most_together": spec.most_together if isinstance(spec, MoveSpec) else None,
    }
    return render(f"{FOLDER}/ask-again.md", facts)


def _shared(view: DecisionView) -> dict[str, Any]:
    game, members = view.rules.game, [view.name, *(other.name for other in view.others)]
    helps = game.helped_by(view.round, members, view.name) if isinstance(game, PublicGoodsGame) else None
    return {
        "helped": helps if view.stage == "help" else None,
        "name": view.name,
        "generation": view.generation,
        "round": view.round,
        "rules": view.rules,
        "strategy": view.strategy,
        "has_strategies": has_strategies(view),
        "resources": view.resources,
        "role": view.role,
        "roles_differ": not view.rules.game.is_symmetric,
        "others": view.others,
        "so_far": view.so_far,
        "state": view.state,
    }


def _known(view: DecisionView, render: Render, told: Told) -> dict[str, Any]:
    shows_others = any(rule.n_acts > 0 or rule.n_records > 0 for rule in view.rules.observation.told)
    return {
        "others": [_other(other, view, render, told, is_shown=shows_others) for other in view.others],
        "own_reputation_told": told(view.own_reputation, view.name, True),
    }


def _other(other: Other, view: DecisionView, render: Render, told: Told, *, is_shown: bool) -> dict[str, Any]:
    return {
        "name": other.name,
        "trace": [{"round": item.round, "text": _act(item, view, render)} for item in other.trace],
        "reputation_told": told(other.reputation, other.name, False),
        "is_unknown": is_shown,
    }


def _act(item: TraceItem, view: DecisionView, render: Render) -> str:
    game = view.rules.game
    gift = game.gift if isinstance(game, DonorGame) else None
    return render(ACT, {"item": item, "name": view.name, "is_gift": gift is not None, "gift": gift})


def _recalled(view: DecisionView, render: Render) -> dict[str, str]:
    recalled = ""
    if view.rules.observation.remembers:
        memory = [_past(past, view, render) for past in view.memory]
        recalled = render(f"{FOLDER}/memory.md", {"memory": memory})
    said = render(f"{FOLDER}/messages.md", {"messages": view.messages, "name": view.name})
    return {"recalled": recalled, "said": said}


def _past(past: Past, view: DecisionView, render: Render) -> dict[str, Any]:
    acts = [_act(act, view, render) for act in past.acts]
    return {"round": past.round, "others": past.others, "acts": acts, "change": past.change}
