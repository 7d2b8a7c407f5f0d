"""What theory says of these policies, found again in the game as it is played here.

The societies are the ordinary ones, except that policies are mixed within a society, and acts fail by chance, by an
answering function. Shares are small (5% of what one holds), so that gains hardly compound and the payoffs are close to
those of the donation game of the literature: cost 1, benefit `multiplier`.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean
from typing import Any

import pytest

from agentsim.core.games import DonorGame
from agentsim.core.observation import Assessment, ImageScore, ObservationRule, Standing
from agentsim.core.pairing import RandomMatching
from agentsim.core.rng import uniform
from agentsim.core.society import SocietyRules
from agentsim.core.strategies import AllKeep, Discriminator, ImageScorer, LeadingEight, StandingPolicy, leading_eight
from agentsim.core.types import Answer, DecisionView, Donated, GameEnded, Reputation, Request, born_and_index
from tests.core.playing import play

SHARE, THRESHOLD, ENDOWMENT = 0.05, 0.025, 10.0
GOOD = Reputation("standing", "good")
SEEN = Standing(threshold=THRESHOLD)


class Outcome:
    """What became of one mixed society: final resources and late gifts, by policy."""

    def __init__(self) -> None:
        self.finals: dict[str, list[float]] = {}
        self.gifts: dict[str, list[bool]] = {}

    def gain(self, policy: Any) -> float:
        """Return what a policy's players gained, in units of the cost of one gift at the beginning."""
        return (mean(self.finals[policy.model]) - ENDOWMENT) / (SHARE * ENDOWMENT)

    def giving(self, policy: Any) -> float:
        """Return the share of a policy's turns in the second half that were gifts."""
        return mean(self.gifts[policy.model])


def mixed(
    policies: Mapping[Any, int],
    *,
    observation: ObservationRule = SEEN,
    multiplier: float = 3.0,
    rounds: int = 40,
    error: float = 0.0,
    known: float = 1.0,
    games: int = 10,
    seed: int = 0,
) -> Outcome:
    """Play games among so many players of each policy; gifts fail with `error`, pasts are known with `known`."""
    players = [policy for policy, n in policies.items() for _ in range(n)]
    outcome = Outcome()

    def answer(request: Request) -> Answer:
        view = request.view
        if not isinstance(view, DecisionView):
            return Answer(text="-")
        place = (seed, *(int("".join(c for c in part if c.isdigit())) for part in request.key.split("/")[1:3]))
        place = (*place, *born_and_index(request.agent))
        policy = players[place[-1] - 1]
        if uniform("known", *place) >= known:
            view = _without_past(view)
        share = policy.decide(view, lambda: uniform("policy", *place))
        if uniform("error", *place) < error:
            share = 0.0
        if view.round > rounds / 2:
            outcome.gifts.setdefault(policy.model, []).append(share > 0)
        return Answer(act="give", amount=share * view.resources)

    rules = SocietyRules(
        agents=len(players),
        generations=1,
        game=DonorGame(rounds=rounds, multiplier=multiplier, games=games, endowment=ENDOWMENT),
        pairing=RandomMatching(),
        observation=observation,
    )
    _, events = play(rules, answer, seed=seed)
    for event in events:
        if isinstance(event, GameEnded):
            for agent, final in event.resources.items():
                outcome.finals.setdefault(players[born_and_index(agent)[1] - 1].model, []).append(final)
    assert any(isinstance(event, Donated) for event in events)
    return outcome
