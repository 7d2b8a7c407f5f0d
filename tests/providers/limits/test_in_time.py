"""A server that takes its requests in turn is asked no more than it answers in time, in virtual time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest

import agentsim
from agentsim.errors import Unavailable
from agentsim.orchestrator.study import StudyResult
from agentsim.providers.account import Account
from agentsim.providers.base import Completion, Prompt
from agentsim.providers.dialects.peer import Peer
from agentsim.providers.limits.in_time import InTime
from agentsim.providers.settings import ProviderSettings
from agentsim.testing import FunctionProvider
from agentsim.testing.virtual import virtually
from agentsim.testing.weather import InTurn, plausible
from tests.providers.limits.scripted import COMPLETION, PROMPT

SERIAL = {
    "name": "serial-server",
    "agents": 6,
    "generations": 1,
    "game": {"kind": "donor", "rounds": 6},
    "players": {"model": "desk/slow"},
    "providers": {"desk": {"base_url": "http://127.0.0.1:9"}},
    "seeds": [0, 1],
}
"""As a user reported it: 33 of 72 answers in 560 s, 256 calls abandoned."""


class Desk(FunctionProvider):
    """Works on so many requests at a time, those whose callers have gone included; a share of them hangs."""

    def __init__(
        self, work_s: float, *, deadline_s: float, at_a_time: int = 1, jitter: float = 0.0, hung: float = 0.0
    ) -> None:
        super().__init__(self.answered)
        draw = Random(1)
        self.work_s, self.deadline_s, self.at_a_time, self.hung = work_s, deadline_s, at_a_time, hung
        self._seconds = lambda: work_s * (1 + jitter * draw.uniform(-1, 1))
        self._in_turn: InTurn | None = None
        self._draw = Random(2)
        self.n_calls = self.n_late = self.n_answered = 0

    async def answered(self, prompt: Prompt) -> Completion:
        self._in_turn = self._in_turn or InTurn(
            self._seconds, at_a_time=self.at_a_time, clock=asyncio.get_running_loop().time
        )
        self.n_calls += 1
        seconds = 1e9 if self._draw.random() < self.hung else self._in_turn()
        await asyncio.sleep(min(seconds, self.deadline_s))
        if seconds >= self.deadline_s:
            self.n_late += 1
            raise Unavailable(f"no whole answer within {self.deadline_s:g} s", is_late=True)
        self.n_answered += 1
        text = plausible(prompt.messages[-1].content)
        return COMPLETION.model_copy(update={"text": text, "latency_s": seconds})

    @property
    def ideal_s(self) -> float:
        return self.n_answered * self.work_s / self.at_a_time


def account(server: Desk, **settings: object) -> Account:
    checked = {"base_url": "http://127.0.0.1:9", "timeout_s": server.deadline_s, **settings}
    return Account("desk", ProviderSettings.model_validate(checked), server)


@pytest.mark.parametrize(
    "server",
    [
        Desk(2, deadline_s=10),
        Desk(2, deadline_s=10, jitter=0.5),
        Desk(3, deadline_s=10),
        Desk(5, deadline_s=10),
        Desk(8, deadline_s=10, jitter=0.2),
        Desk(2, deadline_s=10, at_a_time=2, jitter=0.3),
        Desk(40, deadline_s=120, at_a_time=2, jitter=0.5),
        Desk(0.3, deadline_s=2, jitter=0.3),
    ],
    ids=lambda server: f"{server.at_a_time} at a time, {server.work_s} of {server.deadline_s} s",
)
def test_a_study_on_a_server_that_takes_requests_in_turn_takes_as_long_as_their_work(
    tmp_path: Path, server: Desk
) -> None:
    async def main() -> StudyResult:
        return await agentsim.run_async(agentsim.scenario_from(SERIAL), results=tmp_path, provider=account(server))

    result = virtually(main())
    assert result.is_complete
    assert result.wall_s <= 1.3 * server.ideal_s and server.n_late <= 0.1 * server.n_calls


def asked(server: Desk, n: int, **settings: object) -> float:
    opened = account(server, attempts=1000, **settings)

    async def main() -> float:
        await asyncio.gather(*(opened.complete(PROMPT) for _ in range(n)))
        return asyncio.get_running_loop().time()

    return virtually(main())


def test_calls_that_hang_among_quick_answers_make_nobody_ask_fewer() -> None:
    def wall_s(hung: float) -> float:
        return asked(Desk(1.5, deadline_s=20, at_a_time=10_000, hung=hung), 1000, gives_up_early=False)

    # Each fifth call costs its whole deadline, and no place is lost beyond that.
    assert wall_s(0.2) <= 1.1 * wall_s(0.0) * (0.8 * 1.5 + 0.2 * 20) / 0.8 / 1.5


def test_a_quick_server_is_soon_asked_as_much_as_allowed() -> None:
    assert asked(Desk(1.5, deadline_s=120, at_a_time=10_000), 2400) <= 1.05 * 1.5 * 2400 / 32


def test_answers_that_take_long_whatever_is_asked_are_waited_for_side_by_side() -> None:
    assert asked(Desk(70, deadline_s=120, at_a_time=10_000, jitter=0.3), 1600) <= 1.25 * 70 * 1600 / 32


def test_a_server_that_becomes_quicker_is_asked_more() -> None:
    in_time = InTime(32, deadline_s=10)
    for _ in range(20):
        in_time.answered(n_under_way=4, seconds=8.0)
    assert in_time.limit == 4
    for _ in range(200):
        in_time.answered(n_under_way=in_time.limit, seconds=0.5)
    assert in_time.limit == 32


def test_without_any_answer_fewer_are_asked_and_places_rest() -> None:
    in_time = InTime(32, deadline_s=10)
    rests = [in_time.late(n_under_way=n, epoch=0) for n in (1, 2, 3, 4)]
    assert in_time.limit == 1 and rests == [5.0] * 4


def test_all_that_come_late_at_once_narrow_once() -> None:
    in_time = InTime(64, deadline_s=10)
    in_time.limit = 40
    for n in range(1, 41):
        in_time.answered(n_under_way=n, seconds=0.24 * n)
    before = in_time.epoch
    for n in range(1, 41):
        in_time.late(n_under_way=n, epoch=before)
    assert in_time.limit >= 10


@pytest.mark.parametrize("status", [408, 504, 524])
def test_a_gateways_time_out_is_one(status: int) -> None:
    peer = Peer(name="desk", base_url="http://127.0.0.1:9", secret=None)
    late, busy = (peer.refusal(status=each, error="no", headers={}) for each in (status, 503))
    assert isinstance(late, Unavailable) and late.is_late
    assert isinstance(busy, Unavailable) and not busy.is_late
