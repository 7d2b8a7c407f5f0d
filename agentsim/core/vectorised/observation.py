"""What donors are shown, in many societies at once: the rules of `core.observation`, kept up to date round by round."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agentsim.core.observation import (
    HIGHEST_SCORE,
    LOWEST_SCORE,
    Assessment,
    ImageScore,
    ObservationRule,
    OwnActs,
    Standing,
    Trace,
)
from agentsim.core.vectorised.matching import Matches

__all__ = ["Chance", "Judged", "Known", "Past", "Turns", "observed"]

Ints = NDArray[np.intp]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Chance = Callable[..., Floats]
"""`rng.uniforms` of one game: `chance("perception", round, borns, indices)`, over places that end in societies."""


class Past:
    """One game's past, of which nothing is shown."""

    def __init__(self, rule: ObservationRule, matches: Matches, *, born: Ints, index: Ints, chance: Chance) -> None:
        """`born` and `index` are the agents' names, in the shape of the game's states."""
        self._matches = matches
        self._n_agents, self._n_societies = matches.slots.shape
        self._born, self._index = born, index
        self._chance = chance

    def shown(self, round: int) -> dict[str, Any]:
        """Return what the donors of a round are shown: fields of `Views`; arrays are (..., pairs, societies)."""
        shape = (0, self._n_agents // 2, self._n_societies)
        nothing = np.empty(shape, dtype=np.bool_)
        return {"is_shown": nothing, "is_gift": nothing, "is_punishment": nothing, "fraction": np.empty(shape)}

    def happen(self, round: int, fraction: Floats) -> None:
        """Take what share the donors of a round gave, as (pairs, societies); NaN where they had nothing."""

    def _names(self, agents: Ints) -> tuple[Ints, Ints]:
        return self._born[agents], self._index[agents]


class _Informing(Past):
    """A past of which something is shown, known as well as the rule says."""

    def __init__(
        self,
        rule: Trace | OwnActs | ImageScore | Standing,
        matches: Matches,
        *,
        born: Ints,
        index: Ints,
        chance: Chance,
    ) -> None:
        super().__init__(rule, matches, born=born, index=index, chance=chance)
        self.noise, self.delay, self.known = rule.noise, rule.delay, rule.known
        self.is_private = bool(rule.noise) and rule.audience == "private"

    def _is_known(self, round: int) -> Flags | None:
        if self.known >= 1:
            return None
        donors = self._matches.donors[round - 1]
        flags: Flags = self._chance("known", round, *self._names(donors)) < self.known
        return flags


class Known:
    """A state that becomes known so many rounds late."""

    def __init__(self, state: NDArray[Any], delay: int) -> None:
        self.now = state
        self._delay = delay
        self._before: deque[NDArray[Any]] = deque(maxlen=delay + 1)

    def look(self) -> NDArray[Any]:
        """Return the state as it is known in the round that begins; to be called once a round."""
        if not self._delay:
            return self.now
        if not self._before:
            self._before.extend(self.now.copy() for _ in range(self._delay))
        self._before.append(self.now.copy())
        return self._before[0]


class Turns(_Informing):
    """Donor turns themselves are shown: a chain through partners, or the recipient's own.

    Turns are numbered through the game; each knows which one is shown behind it. The number -1 is no turn.
    """

    def __init__(self, rule: Trace | OwnActs, matches: Matches, *, born: Ints, index: Ints, chance: Chance) -> None:
        super().__init__(rule, matches, born=born, index=index, chance=chance)
        self._depth = rule.depth
        self._is_chain = rule.kind == "trace"
        self._own_columns = matches.donors[0].ndim == 2
        self._n_turns = matches.donors[0].size
        n = len(matches.donors) * self._n_turns
        columns = () if self._own_columns else (self._n_societies,)
        self._fraction = np.empty((n + 1, *columns))
        self._fraction[-1] = np.nan
        self._behind = np.full(n + 1, -1)
        self._donor = np.zeros(n + 1, dtype=np.intp)
        self._last = Known(np.full(matches.shape[0], -1), self.delay)

    def shown(self, round: int) -> dict[str, Any]:
        """Return the turns shown, newest first."""
        turn = self._last.look()[self._matches.recipients[round - 1]]
        turns = []
        for _ in range(min(self._depth, round - 1)):
            turns.append(turn)
            turn = self._behind[turn]
        if not turns:
            return super().shown(round)
        rows = np.stack(turns)
        shape = (len(rows), self._n_agents // 2, self._n_societies)
        is_shown = rows >= 0 if self._own_columns else np.broadcast_to((rows >= 0)[..., None], shape)
        fraction = self._fraction[rows]
        if self.noise:
            fraction = self._perceived(rows, fraction, round)
        is_known = self._is_known(round)
        if is_known is not None:
            is_shown = is_shown & is_known
        shown = {"is_shown": is_shown, "is_gift": is_shown, "is_punishment": np.zeros(shape, dtype=np.bool_)}
        return {**shown, "fraction": fraction, "is_chain": self._is_chain}

    def happen(self, round: int, fraction: Floats) -> None:
        """Take the round's turns up."""
        donors, recipients = self._matches.donors[round - 1], self._matches.recipients[round - 1]
        first = (round - 1) * self._n_turns
        these = slice(first, first + self._n_turns)
        last = self._last.now
        self._fraction[these] = fraction.reshape(self._fraction[these].shape)
        self._donor[these] = donors.reshape(-1)
        self._behind[these] = last[recipients if self._is_chain else donors].reshape(-1)
        last[donors] = np.arange(first, first + self._n_turns).reshape(donors.shape)

    def _perceived(self, turns: Ints, fraction: Floats, round: int) -> Floats:
        """Return the shares as they are seen."""
        acted = turns // self._n_turns + 1
        place: tuple[Any, ...] = (acted if self._own_columns else acted[..., None], *self._names(self._donor[turns]))
        if self.is_private:
            place = (*place, *self._names(self._matches.donors[round - 1]))
        is_wrong = (self._chance("perception", *place) < self.noise) & ~np.isnan(fraction)
        return np.where(is_wrong, self._chance("perceived", *place), fraction) if is_wrong.any() else fraction


class Judged(_Informing):
    """Acts are judged as they happen: an agent has a score or a standing, one for each observer in private."""

    def __init__(
        self, rule: ImageScore | Standing, matches: Matches, *, born: Ints, index: Ints, chance: Chance
    ) -> None:
        super().__init__(rule, matches, born=born, index=index, chance=chance)
        self._threshold = rule.threshold
        self.shows_own = rule.shows_own
        observers = self._n_agents if self.is_private else 1
        begin = 0 if rule.kind == "image_score" else 1
        self._state = Known(np.full((observers, *matches.shape), begin, dtype=np.int8), self.delay)
        self._table = _table(rule) if rule.kind == "standing" else None

    def shown(self, round: int) -> dict[str, Any]:
        """Return scores, or standings as 1 and -1."""
        donors, recipients = self._matches.donors[round - 1], self._matches.recipients[round - 1]
        state = self._state.look()
        shown = super().shown(round)
        shown["reputation"] = self._of(state, recipients, seen_by=donors)
        is_known = self._is_known(round)
        if is_known is not None:
            shown["is_known"] = is_known
            shown["reputation"][~is_known] = 0  # as at the beginning: neither good nor bad
        if self.shows_own:
            shown["own_reputation"] = self._of(state, donors, seen_by=donors)
        return shown

    def happen(self, round: int, fraction: Floats) -> None:
        """Judge the round's acts, each observer what it saw."""
        donors, recipients = self._matches.donors[round - 1], self._matches.recipients[round - 1]
        is_act = ~np.isnan(fraction)
        gave = (fraction >= self._threshold)[None]
        if self.noise:
            place: tuple[Any, ...] = (round, *self._names(donors))
            if self.is_private:
                observer_shape = (self._n_agents, 1, self._n_societies)
                place = (*place, self._born.reshape(observer_shape), self._index.reshape(observer_shape))
            gave = gave ^ (self._chance("perception", *place) < self.noise)
        state = self._state.now
        before = state[:, donors]
        if self._table is None:
            after = np.clip(before + np.where(gave, 1, -1), LOWEST_SCORE, HIGHEST_SCORE)
        else:
            is_good = state[:, recipients] > 0
            after = self._table[(before > 0) * 4 + gave * 2 + is_good]
        state[:, donors] = np.where(is_act, after, before)

    def _of(self, state: NDArray[np.int8], agents: Ints, *, seen_by: Ints) -> NDArray[np.int64]:
        if not self.is_private:
            return np.asarray(state[0][agents], dtype=np.int64)
        observer = seen_by if seen_by.ndim == 1 else seen_by // self._n_societies
        return np.asarray(state[observer, agents], dtype=np.int64)


def _table(rule: Standing) -> NDArray[np.int8]:
    """Return the standing after an act, 1 or -1, by 4 · donor is good + 2 · it gave + recipient is good."""
    of_bad = rule.of_bad_donors or rule.assessment

    def judged(table: Assessment) -> list[int]:
        cases = [(gave, is_good) for gave in (False, True) for is_good in (False, True)]
        labels = [table.judge(gave=gave, recipient="good" if is_good else "bad") for gave, is_good in cases]
        return [1 if label == "good" else -1 for label in labels]

    return np.array([*judged(of_bad), *judged(rule.assessment)], dtype=np.int8)


def observed(rule: ObservationRule, matches: Matches, *, born: Ints, index: Ints, chance: Chance) -> Past:
    """Return the past of a game that begins, as the rule shows it."""
    twin: type[Any] = TWINS[rule.kind] if rule.shows_anything else Past
    past: Past = twin(rule, matches, born=born, index=index, chance=chance)
    return past


TWINS: Final[Mapping[str, type[Past]]] = {
    "none": Past,
    "trace": Turns,
    "history": Turns,
    "image_score": Judged,
    "standing": Judged,
}
"""The observation rules that are played in many societies at once, by kind."""
