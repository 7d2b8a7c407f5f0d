"""Writes axelrod.json anew: matches of the Axelrod library, in an environment of its own.

Install there `axelrod==4.12.0 'dask<2024' 'numpy<2' 'pandas<2.2'`; nothing of agentsim is needed.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import axelrod  # type: ignore[import-not-found]  # no part of what agentsim needs

TURNS = 20
MISTAKES = ((1, 6, 7, 9, 14), (9, 11, 13))
"""Turns in which the other move happens than the one that the first or the second player chose."""
PLAYERS: Mapping[str, Callable[[], Any]] = {
    "tit-for-tat": axelrod.TitForTat,
    "tit-for-two-tats": axelrod.TitFor2Tats,
    "grim": axelrod.Grudger,
    "win-stay-lose-shift": axelrod.WinStayLoseShift,
    "suspicious-tit-for-tat": axelrod.SuspiciousTitForTat,
    "cooperator": axelrod.Cooperator,
    "defector": axelrod.Defector,
    "never-generous": lambda: axelrod.GTFT(p=0),
    "always-generous": lambda: axelrod.GTFT(p=1),
}
"""Those that leave nothing to chance."""


def played(names: tuple[str, str]) -> dict[str, Any]:
    """Return a match as the library plays it."""
    match = axelrod.Match([PLAYERS[name]() for name in names], turns=TURNS)
    moves = zip(*match.play(), strict=True)
    return {"players": names, "moves": [written(one) for one in moves], "scores": match.final_score()}


def played_with_mistakes(names: tuple[str, str]) -> dict[str, Any]:
    """Return a match with stated mistakes: what was chosen, and what happened."""
    players = [PLAYERS[name]() for name in names]
    chosen: tuple[list[Any], list[Any]] = ([], [])
    for turn in range(1, TURNS + 1):
        wanted = [player.strategy(other) for player, other in (players, reversed(players))]
        done = [move.flip() if turn in MISTAKES[place] else move for place, move in enumerate(wanted)]
        for place in (0, 1):
            chosen[place].append(wanted[place])
            players[place].update_history(done[place], done[1 - place])
    return {
        "players": names,
        "chosen": [written(one) for one in chosen],
        "moves": [written(player.history) for player in players],
    }


def written(moves: Any) -> str:
    """Return moves as letters."""
    return "".join(str(move) for move in moves)


def main() -> None:
    """Write the file."""
    pairs = list(itertools.combinations_with_replacement(PLAYERS, 2))
    tournament = axelrod.Tournament([make() for make in PLAYERS.values()], turns=TURNS, repetitions=1)
    scores = [one for [one] in tournament.play(progress_bar=False).scores]
    data = {
        "source": "the Axelrod library, https://github.com/Axelrod-Python/Axelrod",
        "version": axelrod.__version__,
        "made_by": "make_axelrod.py, beside this file",
        "payoffs": dict(zip("RPST", axelrod.DefaultGame.RPST(), strict=True)),
        "turns": TURNS,
        "round_robin": dict(zip(PLAYERS, scores, strict=True)),
        "mistakes": MISTAKES,
        "matches": [played(pair) for pair in pairs],
        "with_mistakes": [played_with_mistakes(pair) for pair in pairs],
    }
    # One match a line.
    parts = [f' "{key}": {_lines(value)}' for key, value in data.items()]
    Path(__file__).with_name("axelrod.json").write_text("{\n" + ",\n".join(parts) + "\n}\n")


def _lines(value: Any) -> str:
    if isinstance(value, list):
        return "[\n" + ",\n".join(f"  {json.dumps(one)}" for one in value) + "\n ]"
    return json.dumps(value)


if __name__ == "__main__":
    main()
