from __future__ import annotations

from agentsim.core.observation import Trace
from agentsim.core.pairing import Released
from agentsim.core.society import SocietyRules
from agentsim.core.types import DecisionView, TraceItem
from tests.core.playing import constant, play


def views(rules: SocietyRules) -> list[DecisionView]:
    asked, _ = play(rules, constant(0.5))
    return [request.view for request in asked if isinstance(request.view, DecisionView)]


def test_a_trace_grows_from_nothing_to_its_depth() -> None:
    lengths: dict[int, set[int]] = {}
    for view in views(SocietyRules(generations=1)):
        lengths.setdefault(view.round, set()).add(len(view.trace))
    assert lengths[1] == {0} and lengths[2] == {1} and lengths[3] == {2}
    assert all(lengths[round] == {3} for round in range(4, 13))


def test_a_trace_is_a_chain_through_partners_newest_first() -> None:
    for view in views(SocietyRules(generations=1)):
        expected = view.recipient
        before = view.round
        for item in view.trace:
            assert item.donor == expected and item.round < before
            expected, before = item.recipient, item.round


def test_depth_0_shows_nothing() -> None:
    assert all(view.trace == () for view in views(SocietyRules(generations=1, observation=Trace(depth=0))))


def test_a_turn_without_a_decision_is_shown_as_such_and_hides_nobody() -> None:
    history = {
        "a": [TraceItem(1, "a", "c", "give", 0.3), TraceItem(3, "a", "b", None, None)],
        "b": [TraceItem(2, "b", "d", "give", 0.7)],
        "d": [],
    }
    trace = Trace(depth=3).observe(history, recipient="a", round=4)
    assert [(item.donor, item.act, item.fraction) for item in trace] == [("a", None, None), ("b", "give", 0.7)]


def test_nothing_to_give_is_no_fraction() -> None:
    asked, _ = play(SocietyRules(generations=1, pairing=Released()), constant(1))
    had_nothing = [
        item
        for request in asked
        if isinstance(request.view, DecisionView)
        for item in request.view.trace
        if item.round == 7
    ]
    assert had_nothing and all(item.fraction is None for item in had_nothing)
