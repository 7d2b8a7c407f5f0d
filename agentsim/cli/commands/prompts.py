"""`agentsim prompts`: what models are asked."""

from __future__ import annotations

from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.text import Text

from agentsim.cli.declaring import command
from agentsim.cli.json_output import print_document
from agentsim.cli.options import File, Json, Model, Plugins, Sets, app
from agentsim.cli.telling import printable
from agentsim.scenario.names import condition_of

prompts = typer.Typer(help="What models are asked.", no_args_is_help=True)
app.add_typer(prompts, name="prompts")


@command(
    "show",
    of=prompts,
    examples=[
        "prompts show scenarios/donor-game.yaml --round 4",
        "prompts show scenarios/donor-game.yaml --prompts neutral",
    ],
)
def show_prompts(
    file: File,
    set_: Sets = None,
    model: Model = None,
    prompts: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="A shipped prompt set, such as neutral, or a folder, instead of the scenario's."),
    ] = None,
    generation: Annotated[Optional[int], typer.Option(help="The generation shown; 2 by default.", min=1)] = None,  # noqa: UP045
    round: Annotated[Optional[int], typer.Option(help="The round shown; 3 by default.", min=1)] = None,  # noqa: UP045
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Print every prompt that an agent would see at one moment of a society in which everyone gives half."""
    from agentsim.play.preview import shown
    from agentsim.scenario.loading import load_scenario
    from agentsim.scenario.runs import runs

    console = Console()
    specs = runs(load_scenario(file, sets=set_ or (), model=model))
    spec = next((spec for spec in specs if spec.condition.model_players), specs[0])
    conditions = {condition_of(spec.name) for spec in specs}
    condition = spec.condition if prompts is None else spec.condition.model_copy(update={"prompts": prompts})
    seen = list(shown(condition, generation=generation, round=round, seed=spec.seed))
    if as_json:
        print_document("prompts show", condition=condition_of(spec.name), prompts=seen)
        return
    if len(conditions) > 1:
        console.print(Text(f"of {len(conditions)} conditions, {condition_of(spec.name)}:"))
    for prompt in seen:
        console.print(Text(f"--- {prompt.title}", style="bold cyan"), soft_wrap=True)
        for message in prompt.messages:
            console.print(Text(f"{message.role}:", style="bold"))
            console.print(Text(printable(message.content)), soft_wrap=True)
            console.print()
