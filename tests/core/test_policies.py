"""What every scripted policy must do, whichever it is, and what tells the policies apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import ValidationError

import agentsim
from agentsim.core.observation import Assessment, as_standing
from agentsim.core.policies import (
    Discriminator,
    GenerousDiscriminator,
    ImageScorer,
    LeadingEight,
    Policy,
    ProportionalShare,
    RaiseTheStakes,
    ScriptedPlayer,
    StandingPolicy,
    Traits,
    leading_eight,
)
from agentsim.core.requests import DecisionView
from agentsim.testing.views import FRACTIONS, KINDS, as_arrays, random_view, reputation, turns, view_of
from tests.core.test_rules import members

OTHERS = ("model", *Policy.model_fields)
"""Fields that are no settings of how a policy decides."""
CANDIDATES = (*range(-5, 9), 0.1, 0.35, 0.9)


def allowed(kind: Any, field: str) -> list[float]:
    """Return the candidates that a setting takes."""
    found: list[float] = []
    for value in CANDIDATES:
        try:
            kind(**{field: value})
        except ValidationError:
            continue
        found.append(value)
    return found


def settings() -> Iterator[Any]:
    """Yield every policy as it comes, with each setting at each value it may have, and with several changed."""
    rng = Random(1)
    for kind in members(ScriptedPlayer):
        yield kind()
        choices = {field: allowed(kind, field) for field in kind.model_fields if field not in OTHERS}
        for field, values in choices.items():
            yield from (kind(**{field: value}) for value in values)
        for _ in range(15 if choices else 0):
            yield kind(**{field: rng.choice(values) for field, values in choices.items()})


POLICIES = [pytest.param(policy, id=f"{policy.model}-{index}") for index, policy in enumerate(settings())]


def test_settings_of_every_policy_are_tried() -> None:
    assert len(POLICIES) > 150
    assert {policy.values[0].model for policy in POLICIES} == {  # type: ignore[union-attr]
        kind.model_fields["model"].default for kind in members(ScriptedPlayer)
    }


@pytest.mark.parametrize("policy", POLICIES)
def test_one_decision_and_many_at_once_are_the_same_and_within_what_one_has(policy: Any) -> None:
    rng = Random(7)
    for kind in KINDS:
        views = [random_view(kind, rng) for _ in range(60)]
        with_own = [view for view in views if view.own_reputation is not None]
        without = [view for view in views if view.own_reputation is None]
        for group in (with_own, without):
            if not group:
                continue
            numbers = np.array([rng.random() for _ in group])
            pairs = zip(group, numbers, strict=True)
            one_by_one = [policy.decide(view, lambda number=number: number) for view, number in pairs]
            at_once = policy.decide_many(as_arrays(group, kind=kind), lambda numbers=numbers: numbers)
            assert at_once.shape == numbers.shape and at_once.tolist() == one_by_one, kind
            assert all(0 <= share <= 1 for share in one_by_one)


# --- traits ---------------------------------------------------------------------------------------------------------

NUMBERS = (0.0, 0.05, 0.2, 0.5, 0.8, 0.999)
ACTS: list[tuple[str | None, float | None]] = [(None, None), ("punish", 0.5), *(("give", share) for share in FRACTIONS)]
ORDERS: tuple[Literal[0, 1, 2, 3], ...] = (0, 1, 2, 3)
WORST = (("punish", 0.5),) * 10


def shares(policy: Any, view: DecisionView) -> list[float]:
    """Return what is given at each of a few random numbers."""
    return [policy.decide(view, lambda number=number: number) for number in NUMBERS]


def differs(policy: Any, views: Iterable[DecisionView]) -> bool:
    return len({tuple(shares(policy, view)) for view in views}) > 1


def measured(policy: Any) -> Traits:
    """Return the traits that a policy's decisions have."""
    scores = [reputation("image_score", value) for value in range(-5, 6)]
    standings = [reputation("standing", value) for value in ("good", "bad")]
    acts = [view_of(*turns(act, is_chain=True)) for act in ACTS]
    told = [view_of(reputation=said) for said in (*scores, *standings)]
    # The recipient's own act stays as it is; only what was done before, by others, changes.
    of_others = [
        [view_of(*turns(first, *[act] * n, is_chain=True)) for act in ACTS] for first in ACTS for n in range(1, 9)
    ]
    own = [[view_of(reputation=said, own=mine) for mine in (None, *standings)] for said in standings]
    histories = [view_of(*turns(act, *[act] * 9, is_chain=False)) for act in ACTS]
    uses = (
        differs(policy, told) or differs(policy, acts) or differs(policy, histories),
        any(differs(policy, views) for views in of_others),
        any(differs(policy, views) for views in own),
    )
    worst = {
        max(shares(policy, view)) > 0
        for view in (view_of(reputation=scores[0]), view_of(*turns(*WORST, is_chain=False)))
    }
    assert len(worst) == 1, "a policy must mean the same by the worst score and the worst acts"
    graded = {policy.decide(view, lambda: 0.999) for view in acts if view.trace[0].act == "give"}
    everything = [*acts, *told, *histories, *(view for views in (*of_others, *own) for view in views), view_of()]
    return Traits(
        order=max(order for order, is_used in zip(ORDERS, (True, *uses), strict=True) if is_used),
        is_nice=max(shares(policy, view_of())) > 0,
        is_forgiving=worst.pop(),
        is_stochastic=any(len(set(shares(policy, view))) > 1 for view in everything),
        is_graded=len(graded) > 2,
    )


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_has_the_traits_it_declares(policy: Any) -> None:
    assert measured(policy) == policy.traits


def test_a_policy_of_first_order_looks_at_no_partner_and_one_of_second_order_does() -> None:
    """So that the measure of traits is known to tell them apart."""
    orders = [measured(policy).order for policy in (Discriminator(), StandingPolicy(), LeadingEight(rule=1))]
    assert orders == [1, 2, 3]


# --- what they do ---------------------------------------------------------------------------------------------------

GAVE, KEPT, MUTE = ("give", 0.5), ("give", 0.1), (None, None)


def gives(policy: Any, view: DecisionView) -> bool:
    return bool(policy.decide(view, lambda: 0.999) > 0)


@pytest.mark.parametrize(
    ("acts", "scorer", "standing", "stern"),
    [
        ([], True, True, True),
        ([GAVE], True, True, True),
        ([KEPT], False, False, False),
        ([("punish", 0.9)], False, False, False),
        ([KEPT, GAVE], False, False, False),  # kept from one who is good
        ([KEPT, KEPT], False, True, True),  # kept from one who is bad
        ([GAVE, KEPT], True, True, False),  # gave to one who is bad
        ([KEPT, KEPT, KEPT], False, False, False),  # kept from one who had kept from the bad, and so is good
        ([KEPT, GAVE, KEPT], False, False, True),  # kept from one who gave to the bad: only stern judging calls it bad
        ([KEPT, MUTE], False, False, False),  # kept from one of whom nothing is known
        ([MUTE, KEPT], True, True, True),  # a turn without a decision says nothing
    ],
)
def test_a_chain_is_judged_from_its_oldest_act_to_its_newest(
    acts: list[tuple[str | None, float | None]], scorer: bool, standing: bool, stern: bool
) -> None:
    view = view_of(*turns(*acts, is_chain=True))
    found = [gives(policy, view) for policy in (ImageScorer(), StandingPolicy(), LeadingEight(rule=6))]
    assert found == [scorer, standing, stern]
    assert gives(Discriminator(), view) == scorer
    assert gives(LeadingEight(rule=3), view) == standing  # simple standing


def test_a_history_of_own_acts_is_a_score_to_a_scorer_and_its_last_act_to_the_others() -> None:
    view = view_of(*turns(KEPT, GAVE, GAVE, is_chain=False))  # newest first: a score of 1
    assert [gives(ImageScorer(k=k), view) for k in (0, 1, 2)] == [True, True, False]
    assert not any(gives(policy, view) for policy in (Discriminator(), StandingPolicy(), LeadingEight(rule=6)))
    assert gives(ImageScorer(k=5), view_of(*turns(*[GAVE] * 7, is_chain=False)))
    fallen = turns(GAVE, GAVE, *[KEPT] * 9, is_chain=False)
    assert gives(ImageScorer(k=-3), view_of(*fallen)), "a score falls to -5 at most, so two gifts make it -3"


TABLE = {  # Hilbe et al. 2018, Table 1: what a good and a bad donor become by giving to the bad, and by keeping from it
    1: "gg gb",
    2: "bg gb",
    3: "gg gg",
    4: "gb gg",
    5: "bg gg",
    6: "bb gg",
    7: "gb gb",
    8: "bb gb",
}


@pytest.mark.parametrize("rule", range(1, 9))
def test_the_leading_eight_judge_as_published(rule: int) -> None:
    good, bad = leading_eight(rule)
    gave, kept = (f"{getattr(good, act)[0]}{getattr(bad, act)[0]}" for act in ("give_to_bad", "keep_from_bad"))
    assert f"{gave} {kept}" == TABLE[rule]
    for table in (good, bad):
        assert (table.give_to_good, table.keep_from_good) == ("good", "bad")
    docs = (Path(agentsim.__file__).parent.parent / "docs" / "rules.md").read_text()
    [row] = [line for line in docs.splitlines() if line.startswith(f"| {rule} ")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    acts = "gives" if LeadingEight(rule=rule).traits.order == 3 else "keeps"
    order = str(LeadingEight(rule=rule).traits.order)
    assert cells[1:] == [good.give_to_bad, bad.give_to_bad, bad.keep_from_bad, acts, order]


@pytest.mark.parametrize("rule", range(1, 9))
def test_the_leading_eight_give_where_their_own_judgement_rewards_it(rule: int) -> None:
    """A bad donor gives to the bad exactly where that, and only that, makes it good (Ohtsuki & Iwasa 2006)."""
    _, of_bad = leading_eight(rule)
    pays = of_bad.give_to_bad == "good" and of_bad.keep_from_bad == "bad"
    policy = LeadingEight(rule=rule)
    good, bad = as_standing("good"), as_standing("bad")
    assert gives(policy, view_of(reputation=good, own=good)) and gives(policy, view_of(reputation=good, own=bad))
    assert not gives(policy, view_of(reputation=bad, own=good))
    assert gives(policy, view_of(reputation=bad, own=bad)) == pays == (rule in (1, 2))
    assert not gives(policy, view_of(reputation=bad)), "who is not told its own standing takes itself to be good"


def test_standing_is_the_default_table_of_the_observation_rule() -> None:
    assert leading_eight(3) == (Assessment(), Assessment())


def test_a_share_is_given_by_those_who_pardon_as_often_as_they_say() -> None:
    policy = GenerousDiscriminator(share=0.4, generosity=0.3)
    bad = view_of(*turns(KEPT, is_chain=True))
    rng = Random(3)
    given = [policy.decide(bad, rng.random) for _ in range(4000)]
    assert set(given) == {0.0, 0.4}
    assert sum(share > 0 for share in given) / 4000 == pytest.approx(0.3, abs=0.03)


def share_given(policy: Any, *acts: tuple[str | None, float | None], is_chain: bool = True) -> float:
    return float(policy.decide(view_of(*turns(*acts, is_chain=is_chain)), lambda: 0.0))


def test_a_proportional_policy_gives_what_was_given_times_its_factor() -> None:
    assert share_given(ProportionalShare(share=0.3)) == share_given(ProportionalShare(share=0.3), MUTE) == 0.3
    assert share_given(ProportionalShare(factor=0.5), ("give", 0.8)) == 0.4
    assert share_given(ProportionalShare(factor=3), ("give", 0.8)) == 1.0
    assert share_given(ProportionalShare(), ("punish", 0.8)) == 0.0
    acts = [("give", 0.5), ("give", 0.1), MUTE, ("give", 0.9)]
    assert share_given(ProportionalShare(last=1), *acts) == 0.5
    assert share_given(ProportionalShare(last=4), *acts) == pytest.approx(0.5)
    assert share_given(ProportionalShare(last=2), *acts, is_chain=False) == pytest.approx(0.3)


def test_stakes_are_raised_over_those_who_match_the_opening_and_only_matched_for_others() -> None:
    policy = RaiseTheStakes(share=0.2, step=0.1)
    assert share_given(policy) == 0.2
    assert share_given(policy, ("give", 0.2)) == pytest.approx(0.3)
    assert share_given(policy, ("give", 0.15)) == 0.15
    assert share_given(policy, ("give", 0.97)) == 1.0
    assert share_given(policy, ("punish", 0.9)) == 0.0
