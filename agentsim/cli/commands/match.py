"""`agentsim match`: one game between policies, move by move."""

from __future__ import annotations

from typing import Annotated, Optional

import typer
from rich.console import Console

from agentsim.cli.declaring import command
from agentsim.cli.documents import match_parts
from agentsim.cli.json_output import print_document
from agentsim.cli.options import Json, Plugins, Sets


@command(
    examples=[
        "match tit-for-tat all-keep --game prisoners-dilemma --rounds 10",
        "match constant-share:share=0.3 discriminator",
        "match tit-for-tat grim --game matrix:table=prisoners-dilemma,error=0.05 --seed 3",
    ],
)
def match(
    policies: Annotated[
        list[str],
        typer.Argument(
            help="Policies, as many as meet in the game's encounters: tit-for-tat, constant-share:share=0.3.",
            show_default=False,
        ),
    ],
    game: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it
        typer.Option(
            "--game", help="What is played, such as trust:multiplier=4; by default the donor game.", metavar="GAME"
        ),
    ] = None,
    rounds: Annotated[
        Optional[int],  # noqa: UP045 - typer reads it
        typer.Option("--rounds", min=1, max=10_000, help="How many encounters; 1 is a single one."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Decides what is left to chance.")] = 0,
    set_: Sets = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Play one game between policies, move by move, with the engine that plays studies."""
    from agentsim.cli.tables.match import match_table
    from agentsim.experiments.match import match as played

    result = played(policies, game=game, rounds=rounds, sets=set_ or (), seed=seed)
    if as_json:
        print_document("match", **match_parts(result))
        return
    Console().print(match_table(result))
