"""The latest values of a series, with their order and their count, so that no call looks through all of them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

__all__ = ["Latencies", "Marks"]


class Latencies:
    """The latest latencies, at most `most`, also in the order of their size."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._latest: deque[float] = deque()
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._latest)

    def append(self, seconds: float) -> None:
        """Add the newest; the oldest is forgotten if there are too many."""
        if len(self._latest) == self._most:
            del self._sorted[bisect_left(self._sorted, self._latest.popleft())]
        self._latest.append(seconds)
        insort(self._sorted, seconds)

    def slowest(self, n_slower: int = 0) -> float:
        """Return the slowest but `n_slower`."""
        return self._sorted[-1 - n_slower]

    def percentile(self, share: float) -> float:
        """Return the latency that this share of them does not reach."""
        return self._sorted[min(len(self._sorted) - 1, int(share * len(self._sorted)))]


class Marks:
    """Whether each of the latest events, at most `most`, was of a kind, and how many were."""

    def __init__(self, most: int) -> None:
        self._latest: deque[bool] = deque(maxlen=most)
        self.n_true = 0

    def __len__(self) -> int:
        return len(self._latest)

    def append(self, is_of_kind: bool) -> None:
        """Add the newest; the oldest is forgotten if there are too many."""
        if len(self._latest) == self._latest.maxlen:
            self.n_true -= self._latest[0]
        self._latest.append(is_of_kind)
        self.n_true += is_of_kind

    def clear(self) -> None:
        """Forget all."""
        self._latest.clear()
        self.n_true = 0
