"""What a donor may give: shares, fixed gifts, whole units. Theory of the donation game in its own units."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agentsim.core.answers import Answer
from agentsim.core.facts import Donated, GameEnded
from agentsim.core.games import DonorGame
from agentsim.core.gifts import FixedGift, ShareGift, UnitGift
from agentsim.core.requests import DecisionView, Request
from agentsim.core.rules import SocietyRules
from tests.core.playing import play

SMALL = SocietyRules(agents=6, generations=1)


def levels(level: float) -> Any:
    def answer(request: Request) -> Answer:
        if isinstance(request.view, DecisionView):
            amount = request.view.rules.donor_game.gift.amount(level, request.view.resources)
            return Answer(act="give", amount=amount)
        return Answer(text=f"a level of {level}")

    return answer


def test_fixed_gifts_add_up_as_the_donation_game_says() -> None:
    """Each gift costs the donor c and brings its recipient b, so all who give end with E + R/2 × (b - c)."""
    game = DonorGame(rounds=8, gift=FixedGift(cost=2, benefit=5), endowment=10)
    _, facts = play(SMALL.model_copy(update={"game": game}), levels(1))
    ended = [fact for fact in facts if isinstance(fact, GameEnded)]
    assert all(units == 10 + 4 * (5 - 2) for fact in ended for units in fact.resources.values())
    gifts = [fact for fact in facts if isinstance(fact, Donated)]
    assert {(fact.amount, fact.fraction) for fact in gifts} == {(2, 1)}
    assert {fact.recipient_after - fact.recipient_before for fact in gifts} == {5}


def test_who_holds_less_than_a_gift_costs_cannot_give_and_did_not_refuse() -> None:
    game = DonorGame(rounds=4, gift=FixedGift(cost=8, benefit=1), endowment=10)
    _, facts = play(SMALL.model_copy(update={"game": game}), levels(1))
    gifts = [fact for fact in facts if isinstance(fact, Donated)]
    poor = [fact for fact in gifts if fact.donor_before < 8]
    assert poor and all((fact.amount, fact.fraction) == (0, None) for fact in poor)
    assert all(fact.donor_after >= 0 for fact in gifts)


def test_a_game_refuses_an_amount_that_its_gift_does_not_allow() -> None:
    game = DonorGame(gift=FixedGift(cost=1, benefit=3))

    def half(request: Request) -> Answer:
        return Answer(act="give", amount=0.5) if isinstance(request.view, DecisionView) else Answer(text="half")

    with pytest.raises(ValueError, match="no gift that the game allows"):
        play(SMALL.model_copy(update={"game": game}), half)


@given(resources=st.floats(0, 1e6), level=st.floats(0, 1), step=st.sampled_from([0.01, 0.1, 0.3, 1, 2.5, 7]))
def test_units_are_whole_steps_within_what_is_held(resources: float, level: float, step: float) -> None:
    gift = UnitGift(step=step)
    amount = gift.amount(level, resources)
    assert 0 <= amount <= resources and gift.allows(amount, resources)
    assert abs(amount - level * gift.most(resources)) <= step / 2 * (1 + 1e-6)


@pytest.mark.parametrize("gift", [ShareGift(), FixedGift(cost=2, benefit=3), UnitGift(step=2)])
@given(data=st.data())
def test_many_donors_give_what_each_would(gift: Any, data: st.DataObject) -> None:
    import numpy as np

    pairs = data.draw(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 100)), min_size=1, max_size=20))
    shares, held = (np.array(values) for values in zip(*pairs, strict=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        amounts = gift.amounts(shares, held)
        fractions = gift.fractions(amounts, held)
    assert amounts.tolist() == [gift.amount(level, units) for level, units in pairs]
    seen = [gift.fraction(amount, units) for amount, units in zip(amounts, held, strict=True)]
    assert [None if np.isnan(one) else one for one in fractions] == seen


def test_the_multiplier_of_fixed_gifts_follows_from_them_and_cannot_be_set() -> None:
    game = DonorGame.model_validate({"gift": {"kind": "fixed", "cost": 2, "benefit": 5}}, strict=True)
    assert game.multiplier == 2.5 and "multiplier" not in game.model_dump()
    assert DonorGame.model_validate(game.model_dump(mode="json")) == game
    with pytest.raises(ValidationError, match=r"gift\.benefit ÷ gift\.cost"):
        DonorGame.model_validate({"multiplier": 2, "gift": {"kind": "fixed"}})
    assert DonorGame.model_validate({"gift": "share"}) == DonorGame()
