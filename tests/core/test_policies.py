"""What every scripted policy must do, whichever it is, and what tells the policies apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

import agentsim
from agentsim.core.observation import Assessment, as_standing
from agentsim.core.policies import (
    ConstantShare,
    Discriminator,
    GenerousDiscriminator,
    GenerousTitForTat,
    Grim,
    ImageScorer,
    LeadingEight,
    Policy,
    ProportionalShare,
    RaiseTheStakes,
    ScriptedPlayer,
    StandingPolicy,
    SuspiciousTitForTat,
    TitForTat,
    TitForTwoTats,
    WinStayLoseShift,
    leading_eight,
)
from agentsim.core.requests import DecisionView
from agentsim.testing.conformance import measured_traits
from agentsim.testing.views import KINDS, Act, as_arrays, met, random_view, turns, view_of
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


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_has_the_traits_it_declares(policy: Any) -> None:
    assert measured_traits(policy) == policy.traits


def test_a_policy_of_first_order_looks_at_no_partner_and_one_of_second_order_does() -> None:
    """So that the measure of traits is known to tell them apart."""
    orders = [measured_traits(policy).order for policy in (Discriminator(), StandingPolicy(), LeadingEight(rule=1))]
    assert orders == [1, 2, 3]


def test_policies_look_back_on_as_many_encounters_as_they_say() -> None:
    """So that the measure is known to tell them apart."""
    policies = (ConstantShare(), Discriminator(), TitForTat(), TitForTwoTats(), Grim(), WinStayLoseShift())
    found = [measured_traits(policy) for policy in policies]
    assert [traits.looks_back for traits in found] == [0, 0, 1, 2, "all", 1]
    assert [traits.minds_own_acts for traits in found] == [False] * 5 + [True]


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


# --- direct reciprocity ---------------------------------------------------------------------------------------------

C: Act = ("cooperate", 1.0)
D: Act = ("defect", 0.0)
DIRECT = {
    "tit-for-tat": TitForTat(),
    "two-tats": TitForTwoTats(),
    "generous": GenerousTitForTat(),
    "suspicious": SuspiciousTitForTat(),
    "grim": Grim(),
    "win-stay": WinStayLoseShift(),
}


def cooperating(view: DecisionView) -> set[str]:
    return {name for name, policy in DIRECT.items() if gives(policy, view)}


@pytest.mark.parametrize(
    ("acts", "cooperate"),
    [
        ([], {"tit-for-tat", "two-tats", "generous", "grim", "win-stay"}),
        ([(C, C)], set(DIRECT)),
        ([(D, C)], {"two-tats"}),
        ([(D, D)], {"two-tats", "win-stay"}),
        ([(C, D)], {*DIRECT} - {"win-stay"}),
        ([(D, C), (D, C)], set()),
        ([(D, D), (D, C), (C, C)], {"win-stay"}),
        ([(C, C), (D, C)], {*DIRECT} - {"grim"}),
        ([((None, None), C), (C, C)], set(DIRECT)),  # a move that could not be read says nothing
        ([(("give", 0.5), C)], set(DIRECT)),
        ([(("give", 0.49), C)], {"two-tats"}),
        ([(("punish", 0.9), C)], {"two-tats"}),
    ],
)
def test_reciprocators_answer_what_their_partner_did(acts: list[tuple[Act, Act]], cooperate: set[str]) -> None:
    assert cooperating(view_of(memory=met(*acts))) == cooperate
    # What others did, to the agent or to others, is nothing to it.
    strangers = met((D, C), (D, C), partner="1_9")
    hearsay = turns(("give", 0.0), is_chain=True)
    assert cooperating(view_of(*hearsay, memory=[*strangers, *met(*acts)])) == cooperate


def test_without_memory_reciprocators_take_a_partner_for_what_others_know_of_it() -> None:
    for bad in (view_of(*turns(KEPT, GAVE, is_chain=True)), view_of(reputation=as_standing("bad"))):
        assert cooperating(bad) == set()
    for good in (view_of(*turns(GAVE, KEPT, is_chain=True)), view_of(reputation=as_standing("good"))):
        assert cooperating(good) == set(DIRECT)
    for unknown in (view_of(), view_of(*turns(MUTE, is_chain=True))):
        assert cooperating(unknown) == {*DIRECT} - {"suspicious"}


def test_generosity_pardons_a_defection_as_often_as_it_says() -> None:
    view = view_of(memory=met((D, C)))
    rng = Random(5)
    given = [GenerousTitForTat().decide(view, rng.random) for _ in range(4000)]
    assert set(given) == {0.0, 1.0}
    assert sum(given) / 4000 == pytest.approx(1 / 3, abs=0.03)


def test_a_policy_knows_the_acts_of_other_games_by_their_level() -> None:
    cooperated, defected = (view_of(*turns(act, is_chain=False)) for act in (C, D))
    for policy in (Discriminator(), ImageScorer(k=1), ProportionalShare(), RaiseTheStakes()):
        assert gives(policy, cooperated) and not gives(policy, defected)
    assert gives(StandingPolicy(), cooperated) and not gives(LeadingEight(rule=6), defected)
