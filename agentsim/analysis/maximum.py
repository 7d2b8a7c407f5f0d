"""The highest mean final resources that a schedule of the Donor Game allows."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter

from agentsim.core.society import Society, SocietyRules
from agentsim.core.types import Answer, Encounter

__all__ = ["Meeting", "highest_mean", "highest_mean_of_first"]

Meeting = tuple[int, int, str, str]
"""One encounter of a generation's schedule: game, round, donor, recipient."""


def highest_mean(schedule: Iterable[Meeting], *, endowment: float, multiplier: float, n_agents: int) -> float:
    """Return the highest mean final resources (units) of one generation under the schedule of its games.

    What a unit is worth at the end is computed backwards through the rounds: a donor keeps it, or passes `multiplier`
    units on to its recipient, whichever is worth more later (w ← max(w, multiplier × w of the recipient)). Final
    resources are linear in what is given, so this is the maximum over everything that all donors together could do.
    Where roles alternate and the multiplier is at least 1 it is reached by giving all, always.
    """
    meetings = sorted(schedule, key=itemgetter(0, 1), reverse=True)
    games = {meeting[0] for meeting in meetings}
    worth: dict[tuple[int, str], float] = {}
    for game, _, donor, recipient in meetings:
        passed_on = multiplier * worth.get((game, recipient), 1.0)
        if passed_on > worth.get((game, donor), 1.0):
            worth[game, donor] = passed_on
    n_holders = len(games) * n_agents
    return endowment * (sum(worth.values()) + n_holders - len(worth)) / n_holders


def highest_mean_of_first(rules: SocietyRules, *, seed: int) -> float:
    """Return `highest_mean` of the first generation that the rules and the seed bring about; no log is needed."""
    society = Society(rules.model_copy(update={"generations": 1}), model="scripted/all-keep", seed=seed)
    waiting = society.start()
    meetings: list[Meeting] = []
    while waiting:
        step = society.answer(waiting.pop(), Answer(act="give", amount=0.0))
        waiting.extend(step.requests)
        meetings += [(e.game, e.round, e.donor, e.recipient) for e in step.events if isinstance(e, Encounter)]
    game = rules.game
    return highest_mean(meetings, endowment=game.endowment, multiplier=game.multiplier, n_agents=rules.agents)
