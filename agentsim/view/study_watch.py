"""One study as it is played: read on while somebody looks, and sent as sums over runs, never as rows of answers."""

from __future__ import annotations

import json
import math
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from agentsim.analysis.foreign import one_line
from agentsim.log.files import LOG_NAME, PROBE_NAME, STUDY_NAME
from agentsim.log.stopped import stop_reasons
from agentsim.log.study_file import StudyFile
from agentsim.providers.ledger_state import LEDGER, LedgerState
from agentsim.scenario.names import condition_of, natural, seed_of
from agentsim.view.listing import RECENT_S, held_files, is_held, study_file
from agentsim.view.tail import Tail
from agentsim.view.tally import Tally, Trouble

__all__ = ["StudyWatch"]

FIND_S: Final = 5.0
"""So often it is looked for runs that have begun since."""
IDLE_S: Final = 10.0
"""So often the log of a run that has ended is looked at."""
SOON_S: Final = 1.5
"""So often the log of a run is looked at that nobody seems to play, and somebody may begin to."""
RATE_S: Final = 60
"""The answers of so many seconds give the rate."""
LEFT_S: Final = 300
"""The answers of so many seconds give the time left."""
MAX_TROUBLES: Final = 200
SHOWN_TROUBLES: Final = 30
BARS: Final = 60
"""Bars of the little chart of answers, each of `BAR_S`."""
BAR_S: Final = 5


@dataclass
class _Run:
    name: str
    tail: Tail
    tally: Tally = field(default_factory=Tally)
    looked_at: float = -math.inf
    n_begun: int = 0
    status: str = "not begun"


class StudyWatch:
    """What is known of one study."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self._runs: dict[str, _Run] = {}
        self._file = StudyFile({}, {})
        self._file_at = 0.0
        self._found_at = -math.inf
        self._reasons: dict[str, str] = {}
        self._reasons_at = 0.0
        self._ledger_tail = Tail(folder / LEDGER)
        self._ledger = LedgerState()
        self._n_refused = 0
        self._has_ledger_fault = False
        self._per_second: dict[int, int] = defaultdict(int)
        self._troubles: deque[tuple[str, Trouble]] = deque(maxlen=MAX_TROUBLES)
        self._now = 0.0

    @property
    def runs(self) -> Sequence[str]:
        """The names of the runs, as people sort them."""
        return sorted(self._runs, key=natural)

    def refresh(self, now: float) -> Iterator[float]:
        """Read what is new, a step at a time; yield the share that has been read so far."""
        self._now = now
        self._find(now)
        held = held_files()
        behind = []
        for run in self._runs.values():
            idle_s = 0.0 if run.status == "playing" else IDLE_S if run.tally.is_finished else SOON_S
            if now - run.looked_at < idle_s:
                continue
            run.looked_at = now
            run.tail.look()
            if run.tail.is_behind:
                behind.append(run)
        n_all, n_read = sum(run.tail.size - run.tail.at for run in behind) or 1, 0
        for run in behind:
            while run.tail.is_behind:
                n_read += self._step(run)
                yield min(1.0, n_read / n_all)
        self._read_ledger()
        for run in self._runs.values():
            run.status = self._status(run, held)
        oldest = int(now) - max(LEFT_S, BARS * BAR_S) - 60
        for second in [second for second in self._per_second if second < oldest]:
            del self._per_second[second]

    def _find(self, now: float) -> None:
        if now - self._found_at < FIND_S:
            return
        self._found_at = now
        changed_at = _changed_at(self.folder / STUDY_NAME)
        if changed_at != self._file_at:
            self._file, self._file_at = study_file(self.folder), changed_at
        changed_at = _changed_at(self.folder / "stopped.json")
        if changed_at != self._reasons_at:
            self._reasons, self._reasons_at = stop_reasons(self.folder), changed_at
        try:
            begun = {path.parent.name for path in self.folder.glob(f"*/{LOG_NAME}")}
        except OSError:
            begun = set()
        listed = {run for run in self._file.runs if Path(run).name == run and run != ".."}
        for name in (begun | listed) - self._runs.keys():
            self._runs[name] = _Run(name, Tail(self.folder / name / LOG_NAME))

    def _step(self, run: _Run) -> int:
        if run.n_begun != run.tail.n_begun:
            run.n_begun, run.tally = run.tail.n_begun, Tally()
        before = run.tail.at
        times, troubles = run.tally.take(run.tail.step())
        oldest = self._now - LEFT_S
        for at in times:
            if at > oldest:
                self._per_second[int(at)] += 1
        self._troubles.extend((run.name, trouble) for trouble in troubles)
        return run.tail.at - before

    def _read_ledger(self) -> None:
        self._ledger_tail.look()
        while self._ledger_tail.is_behind and not self._has_ledger_fault:
            for line in self._ledger_tail.step():
                try:
                    record = json.loads(line.text)
                    self._n_refused += "unbilled" in record
                    self._ledger.take(record)
                except (ValueError, KeyError, TypeError, OverflowError):
                    self._has_ledger_fault = True

    def _status(self, run: _Run, held: frozenset[int]) -> str:
        tally = run.tally
        if tally.problem:
            return "unreadable"
        if tally.is_finished:
            return "unread" if tally.unread else "complete"
        if run.tail.n_begun == 0:
            return "not begun"
        if is_held(self.folder / run.name, held):
            return "playing"
        is_recent = self._now - run.tail.changed_at < RECENT_S
        if is_recent and run.tail.changed_at > self._reasons_at:
            return "playing"
        return "stopped" if run.name in self._reasons else "broken off"

    # --- what is sent -----------------------------------------------------------------------------------------------

    def message(self) -> dict[str, Any]:
        """Return the study in numbers that fit a screen, whatever its size."""
        runs = [self._runs[name] for name in self.runs]
        counts = _counted(run.status for run in runs)
        is_playing = "playing" in counts
        tallies = [run.tally for run in runs]
        rate = self._rate(RATE_S) if is_playing else None
        return {
            "title": one_line(self.name),
            "about": one_line(self._file.scenario.get("description") or "", max_chars=400),
            "kind": "probe" if (self.folder / PROBE_NAME).is_file() else "study",
            "playing": is_playing,
            "counts": counts,
            "all": len(runs),
            "answered": sum(tally.n_answered for tally in tallies),
            "questions": self._n_questions(runs),
            "replies": sum(tally.n_replies for tally in tallies),
            "again": sum(tally.n_again for tally in tallies),
            "lost": sum(tally.n_lost for tally in tallies),
            "tokens": sum(tally.tokens for tally in tallies),
            "rate": rate,
            "bars": self._bars() if is_playing else None,
            "left_s": self._left_s(runs) if is_playing else None,
            "money": self._money(tallies),
            "calls": self._calls() if is_playing else None,
            "conditions": list(self._conditions(runs)),
            "waits": list(self._waits(runs)),
            "reasons": self._reason_rows(runs),
            "troubles": self._trouble_rows(),
            "n_troubles": sum(tally.n_again + tally.n_lost for tally in tallies),
        }

    def cells(self) -> dict[str, list[Any]]:
        """Return what the page draws of each run: condition, seed, status, share done, generation, mean."""
        return {
            name: [
                one_line(condition_of(name)),
                one_line(seed_of(name)),
                run.status,
                _share(run.tally, run.status),
                run.tally.generation if run.tally.started else 0,
                run.tally.generations,
                _short(run.tally.means[-1]) if run.tally.means else None,
            ]
            for name, run in self._runs.items()
        }

    def _n_questions(self, runs: Sequence[_Run]) -> int | None:
        known = [run.tally.n_questions for run in runs if run.tally.n_questions is not None]
        if not known:
            return None
        mean = sum(known) / len(known)
        return round(sum(mean if run.tally.n_questions is None else run.tally.n_questions for run in runs))

    def _rate(self, seconds: int) -> float:
        first = int(self._now) - seconds
        return sum(n for second, n in self._per_second.items() if first <= second < int(self._now)) / seconds

    def _bars(self) -> list[int]:
        last = int(self._now) // BAR_S
        bars = [0] * BARS
        for second, n in self._per_second.items():
            place = BARS - 1 - (last - second // BAR_S)
            if 0 <= place < BARS:
                bars[place] += n
        return bars

    def _left_s(self, runs: Sequence[_Run]) -> float | None:
        """Return the seconds left at the pace of the last minutes; `None` if not known yet."""
        n_questions = self._n_questions(runs)
        if n_questions is None or not self._per_second:
            return None
        span = min(LEFT_S, max(1.0, self._now - min(self._per_second)))
        rate = sum(self._per_second.values()) / span
        n_replies = sum(run.tally.n_replies for run in runs)
        n_answered = sum(run.tally.n_answered for run in runs)
        done = sum(run.tally.n_answered for run in runs if run.status in ("complete", "unread"))
        of_done = sum(run.tally.n_questions or 0 for run in runs if run.status in ("complete", "unread"))
        left = max(0, n_questions - of_done - (n_answered - done))
        return left * (n_replies / n_answered if n_answered and n_replies else 1.0) / rate if rate else None

    def _money(self, tallies: Sequence[Tally]) -> dict[str, Any]:
        known = [tally.usd for tally in tallies if tally.usd is not None]
        at_most = None
        if self._ledger_tail.n_begun and not self._has_ledger_fault:
            at_most = max(0.0, self._ledger.spent_usd + self._ledger.open_usd - sum(known))
        return {
            "usd": round(sum(known), 6),
            "unpriced": len(tallies) - len(known),
            "budget": self._file.scenario.get("budget"),
            "open_usd": None if at_most is None else round(at_most, 6),
        }

    def _calls(self) -> dict[str, int] | None:
        """Return the paid calls under way, and those that were refused; `None` where nothing is billed."""
        if not self._ledger_tail.n_begun or self._has_ledger_fault:
            return None
        return {"open": len(self._ledger.open), "refused": self._n_refused}

    def _conditions(self, runs: Sequence[_Run]) -> Iterator[dict[str, Any]]:
        groups: dict[str, list[_Run]] = {}
        for run in runs:
            groups.setdefault(condition_of(run.name), []).append(run)
        for name, members in groups.items():
            tallies = [run.tally for run in members]
            playing = _counted(f"{run.tally.generation}" for run in members if run.status == "playing")
            finals = [run.tally.means[-1] for run in members if run.status == "complete" and run.tally.means]
            levels = [tally.level for tally in tallies if tally.level is not None]
            prices = [tally.usd for tally in tallies]
            yield {
                "name": one_line(name),
                "counts": _counted(run.status for run in members),
                "all": len(members),
                "share": sum(_share(run.tally, run.status) for run in members) / len(members),
                "playing": sorted(([int(gen), n] for gen, n in playing.items())),
                "generations": max((tally.generations for tally in tallies), default=0),
                "answered": sum(tally.n_answered for tally in tallies),
                "again": sum(tally.n_again for tally in tallies),
                "lost": sum(tally.n_lost for tally in tallies),
                "final": _spread(finals),
                "level": _short(sum(levels) / len(levels)) if levels else None,
                "usd": None if None in prices else round(sum(usd for usd in prices if usd is not None), 6),
                "series": _series(tallies),
            }

    def _waits(self, runs: Sequence[_Run]) -> Iterator[dict[str, Any]]:
        """Say what the runs that are not complete wait for, each reason once with the number of runs."""
        reasons: dict[tuple[int, str], list[str]] = {}
        for run in runs:
            if (reason := self._wait(run)) is not None:
                reasons.setdefault(reason, []).append(run.name)
        for (_, what), names in sorted(reasons.items(), key=lambda one: one[0]):
            yield {"what": what, "n": len(names), "run": names[0]}

    def _wait(self, run: _Run) -> tuple[int, str] | None:
        tally = run.tally
        if run.status == "not begun":
            return 10_000, "not begun: wait for a place beside the others, or for the study to go on"
        if run.status in ("stopped", "broken off"):
            return 20_000, f"{run.status}: wait for the study's command to be run again"
        if run.status != "playing" or tally.started is None:
            return None
        if tally.started.probe is not None:
            return 0, f"{tally.n_answered:,} situations answered: waits for the others"
        generation, condition = tally.generation, tally.started.condition
        n_new = _n_newborn(condition, generation)
        if not tally.round and tally.forming < n_new:
            return generation, f"generation {generation} of {tally.generations}: waits for strategies before its games"
        if not tally.round:
            return generation, f"generation {generation} of {tally.generations}: waits for the first decisions"
        return generation, f"generation {generation} of {tally.generations}: waits for decisions before selection"

    def _reason_rows(self, runs: Sequence[_Run]) -> list[dict[str, Any]]:
        """Return why runs stopped or cannot be read, each reason once."""
        found: dict[str, list[str]] = {}
        for run in runs:
            if run.status == "unreadable":
                reason = f"unreadable: {run.tally.problem}"
            elif run.status == "unread":
                reason = f"unread: {'; '.join(run.tally.unread)}"
            elif run.status == "stopped":
                reason = f"stopped: {self._reasons[run.name]}"
            elif run.status == "broken off":
                reason = "broken off: its process ended without stating a reason"
            else:
                continue
            found.setdefault(one_line(reason, max_chars=500), []).append(run.name)
        return [{"what": what, "n": len(names), "run": names[0]} for what, names in found.items()]

    def _trouble_rows(self) -> list[dict[str, Any]]:
        newest = sorted(self._troubles, key=lambda one: one[1].at, reverse=True)[:SHOWN_TROUBLES]
        return [
            {"run": run, "at": one.at, "key": one.key, "what": one.what, "lost": one.is_lost} for run, one in newest
        ]

    @property
    def n_complete(self) -> int:
        """How many runs a comparison can count."""
        return sum(run.status == "complete" for run in self._runs.values())

    @property
    def is_playing(self) -> bool:
        """Whether any run is being played."""
        return any(run.status == "playing" for run in self._runs.values())


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _counted(names: Iterator[str] | Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts


def _share(tally: Tally, status: str) -> float:
    if status in ("complete", "unread"):
        return 1.0
    if tally.n_questions:
        return round(min(1.0, tally.n_answered / tally.n_questions), 3)
    return 0.0


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _spread(values: Sequence[float]) -> dict[str, Any] | None:
    """Return mean, number and standard deviation, which one value has not."""
    if not values:
        return None
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1)) if len(values) > 1 else None
    return {"mean": _short(mean), "n": len(values), "sd": None if deviation is None else _short(deviation)}


def _series(tallies: Sequence[Tally]) -> list[list[float]]:
    """Return for each generation the mean over the runs that have ended it, the lowest, the highest, and how many."""
    longest = max((len(tally.means) for tally in tallies), default=0)
    series = []
    for place in range(longest):
        values = [tally.means[place] for tally in tallies if len(tally.means) > place]
        series.append([_short(sum(values) / len(values)), _short(min(values)), _short(max(values)), len(values)])
    return series


def _n_newborn(condition: dict[str, Any], generation: int) -> int:
    """Return how many agents join in a generation, at least."""
    agents = int(condition.get("agents", 0))
    if generation == 1:
        return agents
    selection = condition.get("selection") or {}
    fraction = selection.get("fraction")
    return agents - math.ceil(agents * float(fraction)) if fraction is not None else 1
