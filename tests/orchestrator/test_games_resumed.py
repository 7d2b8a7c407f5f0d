"""A game of talk, groups and several stages goes on after a kill as the donor game does, replays and is forked."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

import agentsim
from agentsim.core.facts import Moved, Settled, Talked
from agentsim.log.reading import read_log
from agentsim.log.records import Record
from agentsim.orchestrator.study import StudyResult
from tests.orchestrator.games import PUBLIC_GOODS, played
from tests.orchestrator.test_killed_at import Billed, child
from tests.orchestrator.test_study import Fake, facts, log_of, play, said, scenario

GROUPS: Final[dict[str, Any]] = {
    "agents": 6,
    "generations": 2,
    "game": PUBLIC_GOODS,
    "observation": [{"kind": "history", "depth": 1}, {"kind": "memory", "depth": 2}],
}
IN_FLIGHT: Final = 6
"""As many questions as agents, at most, are open at a time."""
KILLS: Final = 6
LOG: Final = Path("small") / "model--seed-0"


def whole(tmp_path: Path) -> StudyResult:
    return play(tmp_path / "whole", Fake(text=played), **GROUPS)


class Paid(Billed):
    """A model that plays games, and notes every call in a file."""

    def __init__(self, bill: Path) -> None:
        super().__init__(bill)
        self.text = played


def groups(results: Path, bill: Path) -> StudyResult:
    return play(results, Paid(bill), **GROUPS)


def test_a_log_of_groups_cut_anywhere_goes_on_to_the_same_facts_and_pays_for_nothing_twice(tmp_path: Path) -> None:
    result = whole(tmp_path)
    records = log_of(result)
    assert result.is_complete and all(state.is_exact for state in agentsim.replay(result.folder))
    for kind, n in ((Talked, 2 * 3 * 6), (Moved, 2 * 3 * 6 * 2), (Settled, 2 * 3 * 2)):
        # An encounter whose contributions cannot all be read has no sanctions.
        found = sum(isinstance(record, kind) for record in records)
        assert found == n if kind is not Moved else n // 2 < found <= n
    assert any(isinstance(record, Moved) and record.aimed for record in records)
    assert any(attempt > 1 for _, attempt in said(records))
    data, rng = (result.folder / LOG.name / "log.jsonl").read_bytes(), Random(0)
    for number, offset in enumerate(sorted(rng.randrange(len(data)) for _ in range(12))):
        folder = tmp_path / str(number) / LOG
        folder.mkdir(parents=True)
        (folder / "log.jsonl").write_bytes(data[:offset])
        n_stored, fake = len(said(read_log(folder).records)), Fake(text=played)
        resumed = play(tmp_path / str(number), fake, **GROUPS)
        assert facts(log_of(resumed)) == facts(records) and said(log_of(resumed)) == said(records)
        assert fake.n_calls == len(said(records)) - n_stored


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """What is in the log of a run that nobody killed."""
    return log_of(whole(tmp_path_factory.mktemp("unkilled")))


@pytest.mark.parametrize(
    "point", ["before a call is sent", "after an answer", "inside of the write", "after the write"]
)
def test_groups_killed_at_any_point_go_on_to_the_same_facts(tmp_path: Path, records: list[Record], point: str) -> None:
    bill, log = tmp_path / "bill", tmp_path / "killed" / LOG
    stored: dict[tuple[str, int], str] = {}
    n_kills = 0
    for number in range(KILLS):
        n_kills += not child(groups, tmp_path / "killed", bill, point=point, at=5 + 3 * number)
        now = said(read_log(log).records)
        assert stored.items() <= now.items()
        stored = now
    assert n_kills == KILLS
    assert child(groups, tmp_path / "killed", bill)
    again = read_log(log).records
    assert facts(again) == facts(records) and said(again) == said(records)
    assert len(bill.read_bytes()) <= len(said(records)) + IN_FLIGHT * n_kills
    assert agentsim.replay(log.parent)[0].is_exact


def test_groups_are_forked_with_the_replies_that_are_still_valid(tmp_path: Path) -> None:
    first = whole(tmp_path)
    fake = Fake(text=played)
    same = agentsim.run(scenario(**GROUPS, name="same"), results=tmp_path, fork=first.folder, provider=fake)
    assert same.is_complete and fake.n_calls == 0
    assert facts(log_of(same)) == facts(log_of(first))
    # With one generation more, only that one is asked.
    longer = {**GROUPS, "generations": 3}
    more = agentsim.run(scenario(**longer, name="longer"), results=tmp_path, fork=first.folder, provider=fake)
    kept = said(log_of(first))
    assert more.is_complete and fake.n_calls == len(said(log_of(more))) - len(kept) > 0
    assert kept.items() <= said(log_of(more)).items()
    assert all(state.is_exact for state in agentsim.replay(more.folder))
