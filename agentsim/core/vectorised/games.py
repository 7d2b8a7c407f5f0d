"""One game of the Donor Game in many societies at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agentsim.core.games import DonorGame
from agentsim.core.observation import ObservationRule
from agentsim.core.policies import Draws, ScriptedPlayer
from agentsim.core.policies.views import Views
from agentsim.core.rng import uniforms
from agentsim.core.vectorised.matching import Matches, together
from agentsim.core.vectorised.observation import observed
from agentsim.errors import AgentsimError

__all__ = ["Living", "Outcome", "play_games"]

FEW: Final = 2048
"""Up to so many societies, games are played side by side: a step then costs more for each, but there are fewer."""

Ints = NDArray[np.intp]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Living:
    """Who lives in a generation of many societies; all arrays are (slots, societies)."""

    generation: int
    seeds: NDArray[np.uint64]
    """One a society."""
    born: Ints
    index: Ints
    """With `born`, an agent's name."""
    player: Ints
    """Which of the players, from 0."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a game; all arrays are (slots, societies)."""

    resources: Floats
    given: Floats
    """The sum of the fractions an agent gave, where it had anything and its act did not fail."""
    n_gifts: Ints
    """The number of turns these were."""
    encounters: dict[str, NDArray[Any]]
    """By name as in `Encounter`, as (rounds, pairs, societies); agents by slot, -1 beyond a society's last round. Empty
    where not wanted."""


def play_games(
    game: DonorGame,
    observation: ObservationRule,
    games: list[Matches],
    players: Sequence[ScriptedPlayer],
    living: Living,
    *,
    n_rounds: Ints,
    keeps_encounters: bool,
) -> list[Outcome]:
    """Let a generation play its games, of so many rounds in each society."""
    n, n_games = len(living.seeds), len(games)
    if n_games * n > FEW and len(games[0].shape) == 2:
        return [
            _play(game, observation, matches, players, living, number=number, n_rounds=n_rounds, keeps=keeps_encounters)
            for number, matches in enumerate(games, start=1)
        ]
    agents = (np.tile(by_slot, n_games) for by_slot in (living.born, living.index, living.player))
    every = Living(living.generation, np.tile(living.seeds, n_games), *agents)
    outcome = _play(
        game,
        observation,
        together(games),
        players,
        every,
        number=np.repeat(np.arange(1, n_games + 1), n),
        n_rounds=np.tile(n_rounds, n_games),
        keeps=keeps_encounters,
    )
    parts = [slice(start, start + n) for start in range(0, n_games * n, n)]
    return [
        Outcome(
            outcome.resources[:, part],
            outcome.given[:, part],
            outcome.n_gifts[:, part],
            {name: values[..., part] for name, values in outcome.encounters.items()},
        )
        for part in parts
    ]


def _play(
    game: DonorGame,
    observation: ObservationRule,
    matches: Matches,
    players: Sequence[ScriptedPlayer],
    living: Living,
    *,
    number: int | Ints,
    n_rounds: Ints,
    keeps: bool,
) -> Outcome:
    """Play one game in each society; `number` says which of the generation's it is, where it differs, one by one."""
    place = (living.seeds, living.generation, number)

    def chance(what: str, *within: Any) -> Floats:
        return uniforms(what, *place, *within)

    born, index = matches.by_place(living.born), matches.by_place(living.index)
    player = matches.by_place(living.player) if len(players) > 1 else None
    past = observed(observation, matches, born=born, index=index, chance=chance)
    resources = np.full(matches.shape, game.endowments[0], dtype=np.float64)
    given = np.zeros(matches.shape)
    n_gifts = np.zeros(matches.shape, dtype=np.intp)
    kept: list[dict[str, NDArray[Any]]] = []
    for round, (donors, recipients) in enumerate(zip(matches.donors, matches.recipients, strict=True), start=1):
        before, recipient_before = resources[donors], resources[recipients]

        def draw(round: int = round, donors: Ints = donors) -> Floats:
            return chance("policy", round, born[donors], index[donors]).reshape(-1)

        views = Views(
            round=round,
            resources=before.reshape(-1),
            recipient_resources=recipient_before.reshape(-1),
            **{name: _flat(value) for name, value in past.shown(round).items()},
        )
        shares = _decided(players, None if player is None else player[donors].reshape(-1), views, draw)
        amount = game.gift.amounts(shares.reshape(before.shape), before)
        has_failed = None
        if game.error:
            has_failed = chance("error", round, born[donors], index[donors]) < game.error
            amount[has_failed] = 0.0
        is_over = n_rounds < round
        has_ended = bool(is_over.any())
        if has_ended:
            amount[:, is_over] = 0.0
        fraction = game.gift.fractions(amount, before)
        after, recipient_after = before - amount, recipient_before + game.received_of(amount)
        resources[donors], resources[recipients] = after, recipient_after
        past.happen(round, fraction)
        if has_failed is None and not has_ended and not np.isnan(fraction).any():
            given[donors] += fraction
            n_gifts[donors] += 1
        else:  # an act that failed says nothing of what its donor decided
            counts = ~np.isnan(fraction) & ~is_over
            counts &= True if has_failed is None else ~has_failed
            given[donors] += np.where(counts, fraction, 0.0)
            n_gifts[donors] += counts
        if keeps:
            met = _encounters(matches, donors, recipients, before, recipient_before, amount, fraction)
            for values in met.values() if has_ended else ():
                values[:, is_over] = -1 if values.dtype.kind == "i" else np.nan
            kept.append(met)
    if not np.isfinite(resources).all():
        raise AgentsimError(
            f"generation {living.generation}: resources grow beyond what can be counted; play fewer"
            " rounds, or with a smaller multiplier"
        )
    return Outcome(
        matches.by_slot(resources),
        matches.by_slot(given),
        matches.by_slot(n_gifts),
        {name: np.stack([of_round[name] for of_round in kept]) for name in kept[0]} if kept else {},
    )


def _flat(value: Any) -> Any:
    """Return an array of (..., pairs, societies) as (..., donors); anything else as it is."""
    return (
        value.reshape(*value.shape[:-2], value.shape[-2] * value.shape[-1]) if isinstance(value, np.ndarray) else value
    )


def _decided(players: Sequence[ScriptedPlayer], player: Ints | None, views: Views, draw: Draws) -> Floats:
    """Return the fraction that each donor gives, by its own player."""
    if player is None:
        shares = players[0].decide_many(views, draw)
    else:
        drawn = cache(draw)  # for all donors, where anybody draws
        shares = np.empty(len(player))
        for number, policy in enumerate(players):
            of_policy = np.flatnonzero(player == number)
            if len(of_policy):
                shares[of_policy] = policy.decide_many(_some(views, of_policy), partial(_drawn, drawn, of_policy))
    if not (np.minimum.reduce(shares) >= 0 and np.maximum.reduce(shares) <= 1):
        raise ValueError(f"round {views.round}: a policy gives {shares.min():g} to {shares.max():g} of its resources")
    return shares


def _some(views: Views, donors: Ints) -> Views:
    """Return the views of some donors."""
    fields: dict[str, Any] = {}
    for name in Views.__dataclass_fields__:
        value = getattr(views, name)
        fields[name] = value[..., donors] if isinstance(value, np.ndarray) else value
    return Views(**fields)


def _drawn(draw: Draws, donors: Ints) -> Floats:
    return draw()[donors]


def _encounters(
    matches: Matches,
    donors: Ints,
    recipients: Ints,
    before: Floats,
    recipient_before: Floats,
    amount: Floats,
    fraction: Floats,
) -> dict[str, NDArray[Any]]:
    slots = (matches.slots // matches.slots.shape[1]).reshape(matches.shape)
    return {
        "donor": slots[donors],
        "recipient": slots[recipients],
        "donor_before": before,
        "recipient_before": recipient_before,
        "amount": amount,
        "fraction": fraction,
    }
