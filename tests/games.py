"""Small studies of the games under scenarios/games, played by scripted players."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import agentsim
from agentsim.analysis.frames.study import Study

__all__ = ["GAMES", "play"]

FOLDER: Final = Path(__file__).parent.parent / "scenarios" / "games"
GAMES: Final = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def play(name: str, results: Path, *, seeds: str = "0", sets: Sequence[str] = ()) -> Study:
    """Play the scenario of a game and return its study."""
    scenario = agentsim.load_scenario(FOLDER / f"{name}.yaml", sets=list(sets), seeds=seeds)
    return agentsim.load(agentsim.run(scenario, results=results).folder)
