"""Is a player told from another that plays alike? `python benchmarks/players.py [--studies 200]`.

Societies of two players, one policy under two names, at equal and unequal numbers, of the three ways in which newborns
come by their player; then with a planted difference. Each study goes through the test of `agentsim compare --by
player`; beside it stands what that command computed before (a sign-flip test of the log of means). Then what `agentsim
invade` says of an invader among copies of itself, alone and in a matrix of 12 conditions; before, a BCa interval.
Everything is seeded; four minutes on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from agentsim.analysis.by_player import SharedSociety, player_pair
from agentsim.analysis.statistics import ALPHA, bca_interval, holm, permutation_test
from agentsim.analysis.within import Lineages, founders_of, label_test
from agentsim.core.policies import ConstantShare, RandomShare
from agentsim.core.vectorised import ManySocieties, play_many
from agentsim.scenario.loading import scenario_from
from agentsim.scenario.runs import runs

AGENTS: Final = 12
RULES: Final[Mapping[str, dict[str, Any]]] = {
    "vacancy": {"kind": "advice"},
    "parent": {"kind": "copy"},
    "share": {"kind": "copy", "model_from": "share"},
}


def societies(n_first: int, rule: str, *, n: int, share: float | None) -> Iterator[SharedSociety]:
    """Play societies of `n_first` agents of a policy and 12 - `n_first` of the same one, or of one that gives more."""
    scenario = scenario_from(
        {
            "name": "players",
            "agents": AGENTS,
            "generations": 3,
            "seeds": [0],
            "game": {"kind": "donor", "rounds": 12},
            "transmission": RULES[rule],
            "players": {"model": "scripted/random"},
        }
    )
    (spec,) = runs(scenario)
    few, many = RandomShare(name="few"), RandomShare(name="many")
    others = many if share is None else ConstantShare(share=share, name="many")
    played = play_many(spec.condition, [few] * n_first + [others] * (AGENTS - n_first), seeds=range(n))
    transmission = spec.condition.transmission.model_dump(mode="json")
    for place, seed in enumerate(played.seeds):
        rows = list(rows_of(played, place))
        founders = founders_of(rows, seed=seed, transmission=transmission)
        assert founders is not None
        yield SharedSociety(
            name=str(seed),
            group_of={"few": "few", "many": "many"},
            first={row["agent"]: row["model"] for row in rows if row["generation"] == 1},
            ends=[(founders[row["agent"]], row["score"]) for row in rows if row["generation"] == 3],
            is_traced=True,
        )


def rows_of(many: ManySocieties, place: int) -> Iterator[dict[str, Any]]:
    """Yield one society's agents as rows of `agents`."""
    before: list[str] = []
    for generation in range(many.scores.shape[1]):
        at = place, generation
        names = [f"{born}_{index}" for born, index in zip(many.born[at], many.index[at], strict=True)]
        for slot, name in enumerate(names):
            parent = int(many.parent[at][slot])
            yield {
                "generation": generation + 1,
                "agent": name,
                "born": int(many.born[at][slot]),
                "model": str(many.players[many.player[at][slot]].name),
                "parents": before[parent] if parent >= 0 else None,
                "score": float(many.scores[at][slot]),
            }
        before = names


def before(shared: list[SharedSociety]) -> float | None:
    """Return the p of the test that `compare --by player` did before: sign flips of the difference of logs of means."""
    found = []
    for one in shared:
        own = {name: [s for founder, s in one.ends if one.first[founder] == name] for name in ("few", "many")}
        if all(own.values()):
            found.append(float(np.log(np.mean(own["few"])) - np.log(np.mean(own["many"]))))
    return permutation_test(found).p if found else None


def studies(n_studies: int, *, share: float | None, title: str) -> Table:
    table = Table(title=f"{title}, {n_studies:,} studies each")
    for name in ("newborns' player", "agents", "runs", "scores differ", "heirs differ", "contradict", "before"):
        table.add_column(name, justify="right")
    for rule in RULES:
        for n_first in (1, 2, 6):
            for n in (3, 5, 15):
                shared = list(societies(n_first, rule, n=n * n_studies, share=share))
                counts = np.zeros(4)
                for start in range(0, len(shared), n):
                    own = shared[start : start + n]
                    row = player_pair("few", "many", own)
                    excludes = row.get("low") is not None and not row["low"] <= 1 <= row["high"]
                    old = before(own)
                    counts += (
                        row["p"] < ALPHA,
                        row.get("p_heirs", 1.0) < ALPHA,
                        row.get("low") is not None and excludes != (row["p"] < ALPHA),
                        old is not None and old < ALPHA,
                    )
                shares = [f"{count / n_studies:.3f}" for count in counts]
                if rule == "vacancy":
                    shares[1] = "-"
                table.add_row(rule, f"{n_first} + {AGENTS - n_first}", str(n), *shares)
    return table


def advantages(n_studies: int) -> Table:
    """How often an invader among copies of itself is said to earn more or less: alone, and any of 12 conditions."""
    table = Table(title=f"An invader among 11 copies of itself, {n_studies:,} studies each")
    for name in ("runs", "more or less", "before", "any of 12", "before, any of 12"):
        table.add_column(name, justify="right")
    data = {"name": "i", "agents": AGENTS, "generations": 1, "seeds": [0], "players": {"model": "scripted/random"}}
    (spec,) = runs(scenario_from(data | {"game": {"kind": "donor", "rounds": 12}}))
    is_invader = np.arange(AGENTS) == 0
    for n in (5, 15):
        played = play_many(spec.condition, RandomShare(), seeds=range(n * n_studies)).scores[:, 0]
        p, is_said = np.empty(n_studies), np.zeros(n_studies, dtype=bool)
        for place, own in enumerate(played.reshape(n_studies, n, AGENTS)):
            p[place] = label_test([Lineages(scores, np.ones(AGENTS), is_invader) for scores in own]).p
            interval = bca_interval(own[:, 0] - own[:, 1:].mean(axis=1))
            is_said[place] = interval.low is not None and not interval.low <= 0 <= (interval.high or 0)
        drawn = np.random.default_rng(0).integers(0, n_studies, (2_000, 12))
        any_now = np.mean([min(holm(list(p[own]))) < ALPHA for own in drawn])
        shares = ((p < ALPHA).mean(), is_said.mean(), any_now, is_said[drawn].any(axis=1).mean())
        table.add_row(str(n), *(f"{share:.3f}" for share in shares))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=200, help="Studies of each row.")
    n_studies = parser.parse_args().studies
    console = Console(width=120)
    console.print(advantages(n_studies))
    console.print(studies(n_studies, share=None, title="The same policy under two names"))
    console.print(studies(max(1, n_studies // 4), share=0.3, title="A random share (few) against three tenths (many)"))


if __name__ == "__main__":
    main()
