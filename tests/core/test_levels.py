"""Societies of levels against the ordinary engine's, and against what must be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from agentsim.core.policies import ConstantShare
from agentsim.core.rules import SocietyRules
from agentsim.core.vectorised import play_many
from agentsim.core.vectorised.levels import play_levels
from agentsim.errors import ScenarioError

SHARES = np.linspace(0, 1, 12)
COPYING: dict[str, Any] = {
    "agents": 12,
    "generations": 5,
    "game": {"rounds": 6, "games": 1},
    "observation": {"kind": "none"},
    "transmission": {"kind": "copy"},
}
BY_SCORE = {"kind": "copy", "chances": "by_score"}
CASES: list[tuple[int, dict[str, Any]]] = [
    (600, {}),
    (600, {"selection": {"kind": "proportional"}, "transmission": BY_SCORE}),
    (600, {"selection": {"kind": "tournament", "size": 3}, "pairing": {"kind": "random"}}),
    (600, {"selection": {"kind": "staggered", "replaced": 3}, "transmission": BY_SCORE}),
    (600, {"selection": {"kind": "birth_death", "replaced": 3}, "transmission": BY_SCORE}),
    (600, {"game": {"rounds": 6, "games": 2, "error": 0.2}, "selection": {"kind": "drift"}}),
    (60, {"groups": {"number": 3, "weight": 1, "learn": "one_group"}}),
    (60, {"groups": {"number": 3, "weight": 0.5, "learn": "own_group", "migration": 0.3}}),
]


def rules_of(**changes: Any) -> SocietyRules:
    return SocietyRules.model_validate({**COPYING, **changes})


def none_born(parents: Any, societies: Any) -> Any:
    raise AssertionError("nobody is born where all copy")


@pytest.mark.parametrize(("n", "changes"), CASES, ids=[str(sorted(changes.items())) for _, changes in CASES])
def test_levels_go_as_constant_shares_go_in_the_ordinary_engine(n: int, changes: dict[str, Any]) -> None:
    rules, rng = rules_of(**changes), np.random.default_rng(5)
    ordinary = play_many(rules, [ConstantShare(share=float(share)) for share in SHARES], seeds=range(n))
    first = rng.permuted(np.tile(SHARES, (4000, 1)), axis=1)
    found = play_levels(rules, first, born=none_born, rng=rng)
    for mine, theirs in (
        (found.level, ordinary.mean_fraction),
        (np.log(found.score), np.log(ordinary.mean_final_resources)),
    ):
        error = np.sqrt(mine.var(axis=0) / len(mine) + theirs.var(axis=0) / n)
        assert np.all(np.abs(mine.mean(axis=0) - theirs.mean(axis=0)) < 4 * error + 1e-9)
        assert mine[:, -1].std() == pytest.approx(theirs[:, -1].std(), rel=0.5 if n < 100 else 0.15)


def test_a_newborn_is_drawn_at_the_mean_level_of_all_it_is_shown() -> None:
    seen: list[Any] = []

    def born(parents: Any, societies: Any) -> Any:
        seen.append(parents)
        return parents

    rules = rules_of(transmission={"kind": "advice"}, generations=2)
    play_levels(rules, SHARES[None], born=born, rng=np.random.default_rng(0))
    [parents] = seen  # those with the least to give have the most units, but for whom they met
    assert len(parents) == 6 and np.ptp(parents) < 1e-12 and parents[0] < 0.5


def test_a_level_is_the_chance_of_a_fixed_gift() -> None:
    rules = rules_of(
        game={"rounds": 6, "games": 1, "gift": {"kind": "fixed"}, "endowment": 100},
        pairing={"kind": "random"},
        generations=1,
    )
    found = play_levels(rules, np.full((500, 12), 0.3), born=none_born, rng=np.random.default_rng(0))
    assert found.level.mean() == pytest.approx(0.3, abs=0.01)
    assert found.score.mean() == pytest.approx(100 + 3 * 0.3 * 2, rel=0.01)  # three turns as donor: cost 1, benefit 3


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"transmission": {"kind": "imitate"}}, r"transmission\.kind: imitate"),
        ({"transmission": {"kind": "copy", "rewrite": True}}, r"transmission\.rewrite"),
        ({"game": {"kind": "donor", "rounds": 6, "punishment": {}}}, r"game\.punishment"),
        ({"game": {"kind": "trust", "rounds": 2}}, r"game\.kind: trust"),
        ({"game": {"rounds": 6, "endowment": [5, 15]}}, r"game\.endowment"),
        ({"pairing": {"kind": "network"}}, r"pairing\.kind: network"),
    ],
)
def test_what_is_not_played_is_refused_by_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ScenarioError, match=named):
        play_levels(rules_of(**changes), SHARES[None], born=none_born, rng=np.random.default_rng(0))
