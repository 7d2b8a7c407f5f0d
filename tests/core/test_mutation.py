"""Newborns that take over nobody's strategy, and pairwise comparison in many societies at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agentsim
import agentsim.core.vectorised.societies as engine
from agentsim.core.facts import StrategyFormed
from agentsim.core.games import DonorGame
from agentsim.core.policies import AllGive, AllKeep, ConstantShare, Discriminator
from agentsim.core.rules import SocietyRules
from agentsim.core.selection import BirthDeath
from agentsim.core.transmission import Copy, Imitate
from agentsim.core.vectorised import play_many, without_twin
from agentsim.log.reading import read_log
from tests.orchestrator.test_study import SMALL, Fake, facts

PLAYERS = [AllKeep()] * 3 + [AllGive()] * 3 + [Discriminator()] * 2


@pytest.mark.parametrize(
    "selection", [{"kind": "birth_death", "replaced": 3}, {"kind": "death_birth", "replaced": 2}, {"kind": "top"}]
)
@pytest.mark.parametrize(
    "transmission",
    [
        {"kind": "imitate", "beta": 0.05},
        {"kind": "imitate", "beta": 0.5, "mutation": 0.3},
        {"kind": "copy", "chances": "by_score", "mutation": 0.3},
        {"kind": "copy", "model_from": "share", "mutation": 0.3},
    ],
)
def test_many_societies_at_once_are_those_played_one_by_one(
    selection: Any, transmission: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stated = {"agents": 8, "generations": 5, "game": {"rounds": 4, "games": 1}}
    rules = SocietyRules.model_validate({**stated, "selection": selection, "transmission": transmission})
    assert not without_twin(rules, PLAYERS)
    at_once = play_many(rules, PLAYERS, seeds=range(4))
    monkeypatch.setattr(engine, "without_twin", lambda *_: ["all"])
    alone = play_many(rules, PLAYERS, seeds=range(4))
    for name in ("born", "index", "player", "parent", "scores", "survivors"):
        assert np.array_equal(getattr(at_once, name), getattr(alone, name)), name
    assert (at_once.parent[:, 1:] == -1).any() == bool(transmission.get("mutation"))


def stationary(better: Any, n: int) -> Any:
    """Return the stationary distribution of the number of better ones, from the chances to gain and to lose one."""
    up, down = zip(*(better(i) for i in range(n + 1)), strict=True)
    weights = np.cumprod([1.0, *(up[i] / down[i + 1] for i in range(n))])
    return weights / weights.sum()


@pytest.mark.parametrize("kind", ["moran", "fermi"])
def test_selection_and_mutation_balance_as_the_chain_says(kind: str) -> None:
    """N = 4, mutation .1: birth and death by score, r = 2; or pairwise comparison, difference 5 at a strength of 1/5.

    The number of better ones is a chain of single steps: who leaves is drawn, and the newborn is a mutant of either
    kind, a copy by score, or compares (Fudenberg, Nowak, Taylor & Imhof 2006; Traulsen et al. 2009).
    """
    n, mutation = 4, 0.1
    takes = 1 / (1 + np.exp(-1.0))

    def steps(i: int) -> tuple[float, float]:
        worse = n - i
        if kind == "moran":
            gained, lost = 2 * i / (2 * i + worse), worse / (2 * i + worse)
        else:
            gained, lost = i / (n - 1) * takes, worse / (n - 1) * (1 - takes)
        up = worse / n * (mutation / 2 + (1 - mutation) * gained)
        return up, i / n * (mutation / 2 + (1 - mutation) * lost)

    learning = Copy(chances="by_score", mutation=mutation) if kind == "moran" else Imitate(beta=0.2, mutation=mutation)
    rules = SocietyRules(
        agents=n,
        generations=60,
        game=DonorGame(rounds=2, games=1, multiplier=1e-300),
        selection=BirthDeath(),
        transmission=learning,
    )
    keeps, gives = ConstantShare(share=0.0), ConstantShare(share=0.5)
    many = play_many(rules, [keeps, keeps, gives, gives], seeds=range(500))
    counts = np.bincount((many.player[:, -1] == 0).sum(axis=1), minlength=n + 1)
    expected = stationary(steps, n)
    error = np.sqrt(expected * (1 - expected) / 500)
    assert np.all(np.abs(counts / 500 - expected) < 4 * error), (counts / 500, expected)


def test_with_rare_mutants_societies_are_of_one_kind_as_often_as_fixation_says() -> None:
    """N = 4, a difference of 5 at a strength of 1/5: one kind invades e^3 times as often (Fudenberg & Imhof 2006)."""
    rules = SocietyRules(
        agents=4,
        generations=900,
        game=DonorGame(rounds=2, games=1, multiplier=1e-300),
        selection=BirthDeath(),
        transmission=Imitate(beta=0.2, mutation=0.02),
    )
    keeps, gives = ConstantShare(share=0.0), ConstantShare(share=0.5)
    better = (play_many(rules, [keeps, gives, gives, gives], seeds=range(40)).player[:, 300:] == 0).sum(axis=2)
    pure = better[(better == 0) | (better == 4)]
    assert (pure == 4).mean() == pytest.approx(0.6439 / (0.6439 + 0.0321), abs=0.03)


MIXED = {
    **SMALL,
    "name": "mutating",
    "generations": 8,
    "transmission": {"kind": "copy", "mutation": 0.5},
    "players": [{"model": "fake/model", "agents": 2}, {"model": "scripted/all-keep", "agents": 2}],
}


def test_a_mutant_begins_as_the_first_agents_did_and_a_broken_off_run_goes_on(tmp_path: Path) -> None:
    whole = agentsim.run(agentsim.scenario_from(MIXED), results=tmp_path / "whole", provider=(fake := Fake()))
    records = read_log(whole.folder / whole.runs[0].run).records
    born = [record for record in records if isinstance(record, StrategyFormed) and record.generation > 1]
    mutants = [record for record in born if not record.agent.parents]
    copies = [record for record in born if record.agent.parents]
    assert mutants and copies and all(record.attempts == 0 for record in copies)
    assert {record.agent.label for record in mutants} == {"fake/model", "scripted/all-keep"}
    asked = [
        prompt.messages[1].content for prompt in fake.prompts if "decide which strategy" in prompt.messages[1].content
    ]
    assert len(asked) == 2 + sum(record.agent.label == "fake/model" for record in mutants)
    assert all("survived" not in text and "lived" not in text for text in asked)
    assert (
        "With a chance of 50%, a new agent adopts no strategy of another agent" in fake.prompts[0].messages[0].content
    )
    broken = agentsim.run(agentsim.scenario_from(MIXED), results=tmp_path / "broken", provider=Fake(fail_at=9))
    assert not broken.is_complete
    again = agentsim.run(agentsim.scenario_from(MIXED), results=tmp_path / "broken", provider=Fake())
    assert facts(read_log(again.folder / again.runs[0].run).records) == facts(records)
    assert all(run.is_exact for run in agentsim.replay(again.folder))


def test_newborns_that_copy_nobody_cannot_mutate() -> None:
    with pytest.raises(
        ValueError, match=r"transmission\.mutation: newborns under advice take over no strategy unchanged"
    ):
        SocietyRules.model_validate({"transmission": {"kind": "advice", "mutation": 0.1}})


EGTTOOLS = {
    "version": "0.1.14.2",
    "fixation": {
        (0, 1): 0.414085,
        (0, 2): 0.633691,
        (1, 0): 0.03399,
        (1, 2): 0.414085,
        (2, 0): 0.00427,
        (2, 1): 0.03399,
    },
    "rare_mutants": (0.918423, 0.075389, 0.006188),
}
"""What its PairwiseComparison gives for N = 6, payoffs of 10, 7.5 and 5 whatever the other does, and a strength of 1/5:
who invades whom, and the stationary distribution in the limit of small mutation."""


def test_three_policies_fix_and_balance_as_another_library_says() -> None:
    game, learning = DonorGame(rounds=2, games=1, multiplier=1e-300), Imitate(beta=0.2)
    rules = SocietyRules(agents=6, generations=120, game=game, selection=BirthDeath(), transmission=learning)
    policies = [ConstantShare(share=share) for share in (0.0, 0.25, 0.5)]
    for (invader, resident), chance in EGTTOOLS["fixation"].items():  # type: ignore[attr-defined]
        if chance > 0.1:
            many = play_many(rules, [policies[invader], *[policies[resident]] * 5], seeds=range(200))
            assert set(np.unique(many.scores)) == {10 - 2.5 * invader, 10 - 2.5 * resident}
            fixed = (many.player[:, -1] == 0).all(axis=1).mean()
            assert abs(fixed - chance) < 3.5 * np.sqrt(chance * (1 - chance) / 200)
    rare = rules.model_copy(update={"generations": 800, "transmission": Imitate(beta=0.2, mutation=0.01)})
    played = play_many(rare, [*policies, *policies[:1] * 3], seeds=range(50)).player[:, 200:]
    pure = played[(played == played[..., :1]).all(axis=2)][:, 0]
    shares = np.bincount(pure, minlength=3) / len(pure)
    assert shares == pytest.approx(EGTTOOLS["rare_mutants"], abs=0.03)
