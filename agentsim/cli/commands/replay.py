"""`agentsim replay`: recompute runs from their logs."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.text import Text

from agentsim.cli.declaring import REPLAYED, command
from agentsim.cli.json_output import print_document
from agentsim.cli.options import Folder, Json, Plugins


@command(
    examples=["replay results/quickstart"],
    codes=REPLAYED,
)
def replay(folder: Folder, as_json: Json = False, plugin: Plugins = None) -> None:
    """Recompute every run from its log, without calling a model, and say whether the log is exact."""
    from agentsim.play.replay import replay as recompute

    console = Console(quiet=as_json)
    states = recompute(folder)
    if as_json:
        print_document("replay", folder=folder, is_exact=all(state.is_exact for state in states), runs=states)
    for state in states:
        verdict = "exact" if state.is_exact else "NOT EXACT"
        note = "" if state.is_complete or not state.is_exact else ", not complete yet"
        console.print(
            Text(f"{state.run}: {verdict}{note}, {state.n_events} facts from {state.n_replies} replies"), soft_wrap=True
        )
        for sentence in (state.difference, state.note):
            if sentence:
                console.print(Text(f"  {sentence}"), soft_wrap=True)
    if not all(state.is_exact for state in states):
        raise typer.Exit(1)
