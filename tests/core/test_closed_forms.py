"""Every number of the protocol's section "Numbers a correct implementation reproduces"."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import agentsim
from agentsim.core.facts import GameEnded, GenerationEnded
from agentsim.core.games import DonorGame
from agentsim.core.pairing import Alternating, PairingRule, Released
from agentsim.core.rules import SocietyRules
from agentsim.core.selection import Top
from agentsim.providers.base import Prompt
from tests.core.playing import constant, play
from tests.orchestrator.test_study import Fake
from tests.orchestrator.test_study import play as play_run

SHARES = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]
MEANS = {
    "alternating": [10, 18.7, 37.2, 77.9, 171.7, 393.9, 931, 2240, 5413, 12997, 30720],
    "released": [10, 18.7, 36.6, 74.6, 157.6, 341.17, 748, 1638, 3544, 7493, 15360],
}
RULES: dict[str, PairingRule] = {"alternating": Alternating(), "released": Released()}


def mean_final_resources(rules: SocietyRules, share: float) -> float:
    _, events = play(rules, constant(share))
    ended = events[-1]
    assert isinstance(ended, GenerationEnded)
    return ended.mean_final_resources


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize(("share", "index"), [(share, index) for index, share in enumerate(SHARES)])
def test_constant_shares_end_at_the_published_mean(kind: str, share: float, index: int) -> None:
    mean = mean_final_resources(SocietyRules(pairing=RULES[kind], generations=1), share)
    expected = MEANS[kind][index]
    # The table rounds: to one decimal below 400, to units above (and 12,996.47 there to 12,997).
    assert mean == pytest.approx(expected, abs=0.54 if expected > 400 else 0.051)


@pytest.mark.parametrize(
    ("multiplier", "kind", "maximum"),
    [
        (1.5, "alternating", 1081.2),
        (1.5, "released", 720.8),
        (2, "alternating", 30720),
        (2, "released", 15360),
        (3, "alternating", 3542940),
        (3, "released", 1180980),
    ],
)
def test_giving_everything_reaches_the_highest_total_of_the_schedule(
    multiplier: float, kind: str, maximum: float
) -> None:
    rules = SocietyRules(game=DonorGame(multiplier=multiplier), pairing=RULES[kind], generations=1)
    assert mean_final_resources(rules, 1) == pytest.approx(maximum, abs=0.05)


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("multiplier", [1.5, 2, 3])
def test_the_same_comes_out_where_a_model_says_so(tmp_path: Path, kind: str, multiplier: float) -> None:
    """By way of prompts, replies, their reading, logs and dataframes: what models play through."""

    def says(share: float) -> Callable[[Prompt], str]:
        def text(prompt: Prompt) -> str:
            is_decision = "It is round" in prompt.messages[-1].content
            return f"I think.\nAnswer: {share:.0%}" if is_decision else "My strategy will be to give."

        return text

    shares = SHARES if multiplier == 2 else [0.5, 1]
    game = {"kind": "donor", "rounds": 12, "multiplier": multiplier}
    for share in shares:
        result = play_run(
            tmp_path / str(share), Fake(text=says(share)), agents=12, generations=1, game=game, pairing={"kind": kind}
        )
        [score] = agentsim.load(result.folder).generations["mean_final_resources"]
        rules = SocietyRules(game=DonorGame(multiplier=multiplier), pairing=RULES[kind], generations=1)
        assert score == pytest.approx(mean_final_resources(rules, share), rel=1e-9)


def test_a_run_of_paper_size_asks_1506_questions() -> None:
    asked, _ = play(SocietyRules(), constant(0.5))
    assert len(asked) == SocietyRules().n_requests(0) == 1506


def test_the_released_score_favours_one_half_and_the_mean_of_games_does_not() -> None:
    rules = SocietyRules(pairing=Released(), generations=1)
    _, events = play(rules, constant(0.5))
    second = next(event for event in events if isinstance(event, GameEnded) and event.game == 2)
    # The notebook sums twice the resources of game 2.
    assert {round(2 * final, 2) for final in second.resources.values()} == {998.75, 365.94}
    by_mean = next(event for event in events if isinstance(event, GenerationEnded))
    assert len({round(score, 9) for score in by_mean.scores.values()}) == 1

    _, events = play(rules.model_copy(update={"selection": Top(score="last_game"), "generations": 2}), constant(0.5))
    first = next(event for event in events if isinstance(event, GenerationEnded))
    assert {round(2 * first.scores[agent], 2) for agent in first.survivors} == {998.75}
