from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden.playthrough import SCENARIOS, golden_file, playthrough


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.stem)
def test_a_shipped_scenario_is_played_as_its_playthrough_says(scenario: Path) -> None:
    golden = golden_file(scenario)
    assert golden.exists(), f"{scenario.name} has no playthrough; run python -m tests.golden.playthrough and read it"
    assert playthrough(scenario) == golden.read_text()


def test_there_is_a_playthrough_of_every_shipped_scenario_and_no_other() -> None:
    assert {golden_file(path) for path in SCENARIOS} == set(Path(__file__).parent.glob("*.txt"))
