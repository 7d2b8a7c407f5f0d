"""Answers to a fixed gift, and to one in whole units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from agentsim.core.answers import ActSpec, Answer
from agentsim.core.games import DonorGame
from agentsim.core.gifts import FixedGift, ShareGift, UnitGift
from agentsim.core.observation import Assessment, ImageScore, Memory, Observation, OwnActs, Several, Standing, Trace
from agentsim.core.requests import DecisionView
from agentsim.core.rules import SocietyRules
from agentsim.errors import ScenarioError
from agentsim.prompts.parsing import parse
from agentsim.prompts.sets import PromptSet, load_prompt_set
from agentsim.prompts.structured import schema_of
from agentsim.providers.base import Completion
from tests.core.playing import play

FIXED = ActSpec(("give",), high=10, gift=FixedGift(cost=2, benefit=5))
UNITS = ActSpec(("give",), high=10, gift=UnitGift(step=2))


def completion(text: str) -> Completion:
    return Completion(text=text, model="m", finish_reason="stop", latency_s=0)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("Answer: yes", 2),
        ("They gave before.\n**Answer:** Yes.", 2),
        ("Answer: no", 0),
        ("Answer: No, I keep", 0),
        ("Answer: I will give", 2),
        ("Answer: give", 2),
        ("Answer: give to 1_3", 2),
        ("Answer: keep", 0),
        ("Answer: I will not give.", 0),
        ("Answer: 2 units", 2),
        ("Answer: 2", 2),
        ("Answer: 0", 0),
        ("Answer: nothing", 0),
        ("<think>Answer: no</think>Answer: yes", 2),
        ("Yes.", 2),
        ("no", 0),
        ("I keep", 0),
    ],
)
def test_a_clear_answer_to_a_fixed_gift_is_read(text: str, amount: float) -> None:
    answer = parse(completion(text), FIXED)
    assert (answer.problem, answer.act, answer.amount) == (None, "give", amount)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Answer: 1 unit", "out_of_range"),
        ("Answer: 50%", "out_of_range"),
        ("Answer: all of my units", "out_of_range"),
        ("Answer: maybe", "unreadable"),
        ("Answer: yes and no", "unreadable"),
        ("Answer: yes\nAnswer: no", "ambiguous"),
        ("Answer: yes\nNo, wait: I keep.", "ambiguous"),
        ("Is it generous?\nYes.", "unreadable"),
        ("I am not the one.", "unreadable"),
        ("Do you give 2 units to 1_3, so that 1_3 receives 5 units?", "ambiguous"),
    ],
)
def test_what_is_not_clear_is_asked_again(text: str, problem: str) -> None:
    assert parse(completion(text), FIXED, clamps=True).problem == problem


def test_who_holds_too_little_can_only_keep() -> None:
    poor = ActSpec(("give",), high=1, gift=FixedGift(cost=2, benefit=5))
    assert parse(completion("Answer: yes"), poor).problem == "out_of_range"
    assert parse(completion("Answer: no"), poor).amount == 0


def test_yes_and_no_are_no_answers_to_a_gift_of_any_amount() -> None:
    assert parse(completion("Answer: yes"), ActSpec(("give",), high=10)).problem is not None


def test_units_are_given_in_whole_steps() -> None:
    assert parse(completion("Answer: 4"), UNITS).amount == 4
    assert parse(completion("Answer: 40%"), UNITS).amount == 4
    assert parse(completion("Answer: 3"), UNITS).problem == "out_of_range"


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ('{"reasoning": "ok", "give": true}', 2),
        ('```json\n{"reasoning": "no", "give": false}\n```', 0),
        ('{"reasoning": "ok", "give": "yes"}', 2),
    ],
)
def test_json_says_true_or_false(text: str, amount: float) -> None:
    assert schema_of(FIXED)["properties"]["give"] == {"type": "boolean"}
    assert parse(completion(text), FIXED, is_structured=True).amount == amount


def test_other_json_is_unreadable() -> None:
    for text in ('{"reasoning": "", "give": 1}', '{"reasoning": "", "give": "perhaps"}', '{"units": 2}'):
        assert parse(completion(text), FIXED, is_structured=True).problem == "unreadable"


@pytest.mark.parametrize("answer_format", ["text", "json"])
@pytest.mark.parametrize(
    "observation", [Trace(), OwnActs(), ImageScore(), Standing(), Standing(of_bad_donors=Assessment()), Memory()]
)
def test_agents_are_told_of_gifts_and_never_of_shares(observation: Any, answer_format: str) -> None:
    game = DonorGame(gift=FixedGift(cost=2, benefit=5), endowment=20)
    rules = SocietyRules(agents=4, game=game, observation=observation)
    prompts = load_prompt_set("default", answer_format=answer_format)
    asked, _ = play(
        rules,
        lambda request: Answer(act="give", amount=2) if isinstance(request.view, DecisionView) else Answer(text="-"),
    )
    words = [message.content for request in asked for message in prompts.messages(request)]
    assert any("costs the donor 2 units, and the recipient receives 5 units" in text for text in words)
    assert not any("of its units" in text or "%" in text or "How many units" in text for text in words)


def test_what_a_fixed_gift_cannot_be_reported_as_is_refused() -> None:
    game = DonorGame(gift=FixedGift())
    with pytest.raises(ValidationError, match="gift of a random share"):
        SocietyRules(game=game, observation=Trace(noise=0.1))
    with pytest.raises(ValidationError, match="counts a refusal as giving"):
        SocietyRules(game=game, observation=Standing(threshold=0))
    assert SocietyRules(game=game, observation=Standing(noise=0.1))


def test_a_set_that_asks_for_any_amount_is_no_set_for_fixed_gifts() -> None:
    default = load_prompt_set("default")
    old = PromptSet(Path("mine"), {**default.sources, "decision.md": "How many units? {{ marker }}"})
    old.rules_message(SocietyRules())
    with pytest.raises(ScenarioError, match="does not speak of `gift`"):
        old.rules_message(SocietyRules(game=DonorGame(gift=FixedGift())))
    donor = "rules/game/donor.md"
    said = "".join(f"{{# rule.{name} #}}" for name in DonorGame.model_fields if name != "gift")
    untold = PromptSet(Path("mine"), {**default.sources, donor: said})
    untold.rules_message(SocietyRules())
    with pytest.raises(ScenarioError, match=r"does not speak of `rule\.gift`"):
        untold.rules_message(SocietyRules(game=DonorGame(gift=FixedGift())))


@pytest.mark.parametrize(
    ("file", "observation", "name"),
    [
        ("rules/observation/trace.md", Trace(), "rules.game.gift"),
        ("rules/observation/history.md", OwnActs(), "rules.game.gift"),
        ("rules/observation/image_score.md", ImageScore(), "rules.game.gift"),
        ("rules/observation/standing.md", Several(rules=(Standing(), Memory())), "rules.game.gift"),
        ("games/act.md", Several(rules=(Standing(), Memory())), "gift"),
    ],
)
def test_a_set_whose_sentences_speak_of_shares_is_no_set_for_fixed_gifts(
    file: str, observation: Observation, name: str
) -> None:
    default = load_prompt_set("default")
    settings = "".join(f"{{# rule.{name} #}}" for name in Standing.model_fields)
    of_shares = f"{settings} You see what share the recipient gave: its gift."
    rules = SocietyRules(game=DonorGame(gift=FixedGift()), observation=observation)

    def told(text: str) -> str:
        return PromptSet(Path("mine"), {**default.sources, file: text}).rules_message(rules).content

    assert told(default.sources[file])
    with pytest.raises(ScenarioError, match=rf"mine/{file}: does not speak of `{name}`, .* name it in a comment"):
        told(of_shares.replace("gift", "donation") if name == "gift" else of_shares)
    assert told(f"{of_shares} {{# {name} #}}")
    for gift in (ShareGift(), UnitGift()):
        other = SocietyRules(game=DonorGame(gift=gift), observation=observation)
        assert PromptSet(Path("mine"), {**default.sources, file: of_shares}).rules_message(other)
