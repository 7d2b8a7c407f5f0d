"""The table of a match: who did what in each round, and what everybody held then."""

from __future__ import annotations

from rich.table import Table

from agentsim.cli.tables.cells import called, plain, titled
from agentsim.core.games import DonorGame
from agentsim.experiments.match import MatchResult

__all__ = ["match_table"]


def match_table(result: MatchResult) -> Table:
    """One row for each move; the last one of an encounter states what everybody holds."""
    game = result.condition.game
    ended = ", ".join(f"{name} {held:,.4g}" for name, held in result.resources.items())
    what = "the fraction given" if isinstance(game, DonorGame) else "how cooperative the move was"
    notes = [f"level: {what}, from 0 to 1; holds: units after the encounter"]
    if result.n_errors:
        notes.append(f"moves that failed: {result.n_errors}; what was meant stands in parentheses")
    notes.append(f"seed {result.seed}; at the end: {ended}")
    table = titled(
        f"{plain(' against '.join(result.policies)).plain}: {game.kind}",
        caption=plain("; ".join(notes), max_chars=2000).plain,
    )
    has_games = len({move.game for move in result.moves}) > 1
    has_roles = len({move.role for move in result.moves}) > 1
    has_stages = len({move.stage for move in result.moves}) > 1
    heads = [*(["game"] if has_games else []), "round", "player", *(["as"] if has_roles else [])]
    heads += [*(["stage"] if has_stages else []), "does", "level"]
    for head in heads:
        table.add_column(head, justify="right" if head in ("game", "round", "level") else "left", overflow="fold")
    for name in result.players:
        table.add_column(called(name), justify="right")
    shown = (0, 0)
    for move in result.moves:
        is_new, shown = (move.game, move.round) != shown, (move.game, move.round)
        did = f"{move.did} ({move.intended})" if move.intended is not None else move.did
        held = move.resources or {}
        table.add_row(
            *([str(move.game) if is_new else ""] if has_games else []),
            str(move.round) if is_new else "",
            called(move.player),
            *([move.role] if has_roles else []),
            *([move.stage] if has_stages else []),
            plain(did),
            "" if move.level is None else f"{move.level:.2f}",
            *(f"{held[name]:,.4g}" if name in held else "" for name in result.players),
        )
    return table
