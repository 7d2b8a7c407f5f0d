"""What is kept of the latest values is what looking through all of them would find."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from agentsim.providers.limits.latest import Latencies, Marks

SECONDS = st.floats(0, 1000) | st.sampled_from([0.0, -0.0, 1.0, 2.5])  # many of them equal


@given(st.integers(1, 8), st.lists(SECONDS, min_size=1, max_size=60), st.floats(0, 1, exclude_max=True))
def test_the_slowest_are_those_of_the_latest_latencies(most: int, seconds: list[float], share: float) -> None:
    plain: deque[float] = deque(maxlen=most)
    latencies = Latencies(most)
    for each in seconds:
        plain.append(each)
        latencies.append(each)
        assert len(latencies) == len(plain)
        assert latencies.slowest() == max(plain)
        assert [latencies.slowest(n) for n in range(len(plain))] == sorted(plain, reverse=True)
        assert latencies.percentile(share) == sorted(plain)[min(len(plain) - 1, int(share * len(plain)))]


@given(st.integers(1, 8), st.lists(st.sampled_from([True, False, None]), max_size=60))
def test_marks_are_counted_as_long_as_they_are_kept(most: int, marks: list[bool | None]) -> None:
    plain: deque[bool] = deque(maxlen=most)
    counted = Marks(most)
    for mark in marks:
        if mark is None:
            plain.clear()
            counted.clear()
        else:
            plain.append(mark)
            counted.append(mark)
        assert (len(counted), counted.n_true) == (len(plain), sum(plain))
