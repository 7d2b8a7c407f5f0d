from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from agentsim.core.rng import uniform, uniforms

NUMBERS = st.integers(0, 2**53 - 1)


@given(places=st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=20))
def test_numbers_of_many_places_at_once_are_those_of_each_place(places: list[tuple[int, int, int]]) -> None:
    columns = [np.array(column) for column in zip(*places, strict=True)]
    assert uniforms("error", *columns).tolist() == [uniform("error", *place) for place in places]


def test_a_number_hangs_on_its_purpose_and_on_every_part_of_its_place_in_order() -> None:
    found = [uniform("a", 1, 2), uniform("b", 1, 2), uniform("a", 2, 1), uniform("a", 1), uniform("a", 1, 2, 0)]
    assert len(set(found)) == len(found) and found[0] == uniform("a", 1, 2)
    assert uniform("error", 0, 1, 1, 1, 0) == 0.7104034186810924  # for ever: logs are computed again from it


@pytest.mark.parametrize("part", range(3))
def test_numbers_of_neighbouring_places_are_uniform_and_independent(part: int) -> None:
    place = [np.arange(20_000) if index == part else np.full(20_000, 3) for index in range(3)]
    numbers = uniforms("error", *place)
    assert stats.kstest(numbers, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.03
    assert abs(np.corrcoef(numbers, uniforms("known", *place))[0, 1]) < 0.03
