"""What ships does what is asked of those who write their own; and each check finds the fault that it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, ClassVar

import pytest

import agentsim
from agentsim.core.facts import Agent, Observed, ShownStrategy, TraceItem
from agentsim.core.observation import Trace
from agentsim.core.pairing import RandomMatching, Schedule
from agentsim.core.policies import ConstantShare, Traits
from agentsim.core.registry import REGISTRY
from agentsim.core.selection import Drift, Top
from agentsim.core.transmission import Advice
from agentsim.providers.base import Sampling
from agentsim.providers.dialects.dialect import Dialect, Opened
from agentsim.providers.dialects.registry import dialects
from agentsim.testing import FunctionProvider, conformance

PARTS = ("game", "pairing", "observation", "selection", "transmission", "policy")
SHIPPED = [
    *(member.thing() for part in PARTS for member in REGISTRY.of(part).values()),
    *dialects().values(),
]
EVERY = [
    pytest.param(check, id=f"{getattr(thing, 'kind', None) or getattr(thing, 'model', None) or thing.name}: {check}")
    for thing in SHIPPED
    for check in conformance.checks(thing)
]


def test_all_that_ships_is_checked() -> None:
    assert len(SHIPPED) >= 7 + 3 + 6 + 8 + 4 + 11 + 3


@pytest.mark.parametrize("check", EVERY)
def test_what_ships_does_what_is_asked_of_all(check: conformance.Check) -> None:
    check()


# --- faults --------------------------------------------------------------------------------------------------------


class Lonely(RandomMatching):
    def schedule(self, agents: Sequence[str], rounds: int, rng: Random, *, size: int = 2) -> Schedule:
        return (((agents[0], agents[0]),) * (len(agents) // 2),) * rounds


class Moody(RandomMatching):
    n: ClassVar[list[int]] = []

    def schedule(self, agents: Sequence[str], rounds: int, rng: Random, *, size: int = 2) -> Schedule:
        self.n.append(0)
        return super().schedule(agents, rounds, Random(len(self.n)), size=size)


class Untold(RandomMatching):
    kind: Any = "untold"


class Unsaid(Trace):
    blur: float = 0


class Prophet(Trace):
    def observe(self, history: Mapping[str, Sequence[TraceItem]], **place: Any) -> Observed:
        return Observed(tuple(turn for turns in history.values() for turn in turns))


class Generous(Top):
    def survivors(self, scores: Mapping[str, float], rng: Random) -> tuple[str, ...]:
        return tuple(sorted(scores, key=lambda agent: -scores[agent]))


class Secret(Drift):
    def survivors(self, scores: Mapping[str, float], rng: Random) -> tuple[str, ...]:
        return Top.survivors(self, scores, rng)  # type: ignore[arg-type]


class Talkative(Advice):
    def advice(self, survivors: Sequence[Agent], scores: Mapping[str, float], rng: Random) -> tuple[ShownStrategy, ...]:
        return (*super().advice(survivors, scores, rng), ShownStrategy("9_9", "mine", 1.0))


class Boaster(ConstantShare):
    def decide(self, view: Any, draw: Any) -> float:
        return 2 * self.share + 1


class Twin(ConstantShare):
    def decide(self, view: Any, draw: Any) -> float:
        return self.share / 2


class Liar(ConstantShare):
    @property
    def traits(self) -> Traits:
        return Traits(order=2, is_nice=True, is_forgiving=True, is_stochastic=False, is_graded=False)


@pytest.mark.parametrize(
    ("thing", "name", "said"),
    [
        (Lonely(), "every round is a matching", "agents: "),
        (Moody(), "a schedule depends on its random numbers alone", "the same random numbers differ"),
        (Unsaid(), "agents are told the rule and each setting", "does not speak of `rule.blur`"),
        (Prophet(), "only the past is shown", "round 1 shows round 1|shows"),
        (Prophet(), "later acts change nothing that is seen", "later acts are seen"),
        (Generous(), "the right number survives best first", "announced 2"),
        (Secret(), "survivors depend on scores and random numbers alone", "`looks_at_scores` is false"),
        (Talkative(), "newborns are shown those who survive alone", "9_9"),
        (Boaster(), "it gives a share that depends on its view and its number alone", "2.0 is no share"),
        (Twin(), "one decision and many at once are the same", "instead of"),
        (Liar(), "it has the traits that it declares", "declared Traits.order=2"),
    ],
    ids=lambda each: type(each).__name__ if not isinstance(each, str) else "",
)
def test_a_fault_is_found_and_named(thing: Any, name: str, said: str) -> None:
    [check] = [check for check in conformance.checks(thing) if str(check) == name]
    with pytest.raises(AssertionError, match=said):
        check()


def test_a_rule_that_is_not_registered_is_not_written_and_read() -> None:
    with pytest.raises(ValueError, match=r"call agentsim\.register"):
        conformance.checks(Untold())[0]()
    with pytest.raises(TypeError, match="is no rule, policy or dialect"):
        conformance.checks(3)  # type: ignore[arg-type]


def test_a_provider_of_ones_own_is_asked() -> None:
    asked: list[str] = []

    def answer(prompt: Any) -> str:
        asked.append(prompt.messages[-1].content)
        return "Answer: 1"

    def made(unsupported: list[str]) -> Dialect:
        return Dialect(
            name="parrot",
            open=lambda opening: Opened(FunctionProvider(answer)),
            unsupported=lambda sampling: unsupported if sampling != Sampling() else [],
            accounts={"parrot": {}},
            serves_here=True,
        )

    agentsim.register(made([]))
    for check in conformance.checks(made([])):
        check()
    assert asked == ["How many?"]
    with pytest.raises(AssertionError, match=r"\['mood'\] are not all settings"):
        conformance.checks(made(["mood"]))[1]()


def test_traits_are_measured() -> None:
    assert conformance.measured_traits(ConstantShare()) == ConstantShare().traits
