"""What `agentsim check` says about a scenario: consequences of its settings, and what its author may not mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agentsim.core.pairing import Network, n_reversed
from agentsim.scenario.conditions import Condition
from agentsim.scenario.players import ModelPlayer

__all__ = ["remarks", "warnings"]

MAX_COUNTED: Final = 2_000_000
"""The most agents × rounds over which encounters are counted."""


def remarks(condition: Condition, *, seed: int) -> Iterator[str]:
    """Yield what follows from a condition's rules, in sentences: how pairs meet again, how many agents survive."""
    if len(set(condition.game.roles)) > 1 and condition.game.choice is None:
        yield _met_again(condition, seed=seed)
    if isinstance(condition.pairing, Network) and condition.pairing.file is not None:
        pairing = condition.pairing
        digest = (pairing.digest or "")[:12]
        n = len(pairing.edges or ())
        yield f"network: {n:,} edges from {pairing.file} (SHA-256 {digest}…), which are part of the condition"
    if condition.pairing.changes != "never":
        yield f"network: rewired before {condition.pairing.changes}"
    if condition.game.before:
        stages = ", ".join(condition.game.before)
        yield f"before each encounter, agents are asked: {stages}; what they answer may leave fewer questions"
    if condition.generations > 1:
        yield f"survivors of a generation: {condition.n_survivors:,} of {condition.agents:,} agents"


def _met_again(condition: Condition, *, seed: int) -> str:
    """Return how many encounters of a game of two roles are between two that have met in the other roles."""
    n_rounds = condition.game.n_rounds(seed, generation=1)
    agents = [f"1_{index}" for index in range(1, condition.agents + 1)]
    n_counted = min(n_rounds, max(MAX_COUNTED // condition.agents, 1))
    pairing = condition.drawn_pairing(seed)
    schedule = condition.schedule(pairing, sorted(agents), n_counted, seed=seed, generation=1, game=1)
    n_encounters, n_again = sum(len(pairs) for pairs in schedule), n_reversed(schedule)
    share = n_again / n_encounters
    of_what = "a game" if n_counted == n_rounds else f"a game's first {n_counted:,} rounds"
    again = f"{n_again:,} of the {n_encounters:,} encounters of {of_what} ({share:.0%})"
    return f"pairs that meet again with roles reversed: {again}"


def warnings(condition: Condition) -> Iterator[str]:
    """Yield what a condition's rules do that its author may not mean, in sentences."""
    if condition.agents == 2 and condition.pairing.keeps_roles:
        yield (
            "pairing: two agents meet in both roles all the time, as they have only each other; with four or more,"
            f" {condition.pairing.kind} avoids it"
        )
    for label, player in condition.by_label.items():
        share = None if isinstance(player, ModelPlayer) else player.help_share
        if not share:
            continue
        for whose, threshold in _thresholds(condition):
            if share < threshold:
                yield (
                    f"players: {label} gives a share of {share:g}, which counts as refusal by {whose} of {threshold:g};"
                    f" set a share of at least {threshold:g}, or a lower threshold"
                )


def _thresholds(condition: Condition) -> Iterator[tuple[str, float]]:
    """Yield the thresholds by which acts are judged: the observation's, or else those of the policies that see acts."""
    if condition.observation.judges_from is not None:
        yield "observation.threshold", condition.observation.judges_from
    elif condition.observation.n_acts:
        for label, player in condition.by_label.items():
            if not isinstance(player, ModelPlayer) and player.judges_from is not None:
                yield f"the threshold of {label}", player.judges_from
