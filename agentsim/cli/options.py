"""The app that commands register with, and the arguments and options that several of them take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from agentsim.cli.rows import By
from agentsim.log.version import VERSION

__all__ = [
    "Claim",
    "File",
    "Folder",
    "Fork",
    "Job",
    "Json",
    "Log",
    "MaxCost",
    "Model",
    "New",
    "On",
    "Output",
    "Plan",
    "Plugins",
    "Pull",
    "Quiet",
    "Results",
    "Rows",
    "Seeds",
    "Sets",
    "Studies",
    "Wait",
    "Workers",
    "app",
    "settings",
]

app = typer.Typer(
    help="Societies of language-model agents play the Donor Game over generations.",
    epilog="\n\n".join(
        [
            "agentsim COMMAND --help ends with examples and exit codes.",
            r"agentsim --install-completion completes commands and options in your shell \[bash, zsh, fish].",
        ]
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # tracebacks with local variables could show a key
)


def _version(is_asked: bool) -> None:
    """Print the version and end the command."""
    if is_asked:
        typer.echo(f"agentsim {VERSION}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options that stand before a command."""


File = Annotated[Path, typer.Argument(help="A scenario file.", show_default=False)]
Folder = Annotated[Path, typer.Argument(help="A study's folder, such as results/quickstart.", show_default=False)]
Studies = Annotated[
    list[str],
    typer.Argument(help="A study's folder, such as results/quickstart; or several, or results/*.", show_default=False),
]
Sets = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads it
    typer.Option("--set", help="Change one setting, such as game.rounds=6; may be repeated.", metavar="PATH=VALUE"),
]
Model = Annotated[
    Optional[str],  # noqa: UP045 - typer reads it
    typer.Option("--model", help="Play this model, such as openai/gpt-4o-2024-08-06.", metavar="PROVIDER/NAME"),
]
Seeds = Annotated[
    Optional[str],  # noqa: UP045 - typer reads it
    typer.Option("--seeds", help="Play these seeds, such as 0-4 or 0,3,7.", metavar="SEEDS"),
]


def _load(context: typer.Context, paths: list[Path] | None) -> list[Path] | None:
    """Read plug-ins before anything else of the command line is looked at, but not while a shell completes it."""
    if paths and not context.resilient_parsing:
        from agentsim.scenario.plugins import load_plugin

        for path in paths:
            load_plugin(path)
    return paths


Plugins = Annotated[
    Optional[list[Path]],  # noqa: UP045 - typer reads it
    typer.Option(
        "--plugin",
        help="Read rules, policies or others of your own from this Python file; may be repeated.",
        metavar="FILE",
        callback=_load,
        is_eager=True,
    ),
]
Results = Annotated[Path, typer.Option("--results", help="The folder that holds the folder of the study or probe.")]
New = Annotated[bool, typer.Option("--new", help="Begin a new study or probe instead of continuing an old one.")]
Fork = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads it
    typer.Option(
        "--fork", help="Begin a new study, reusing replies of this one that are still valid.", metavar="STUDY"
    ),
]
MaxCost = Annotated[
    Optional[float],  # noqa: UP045 - typer reads it
    typer.Option("--max-cost", help="Never spend more than this in total, over all sittings.", metavar="US$"),
]
Plan = Annotated[bool, typer.Option("--plan", help="Only estimate calls, time and cost.")]
Claim = Annotated[
    bool, typer.Option("--claim", help="Play together with all other processes that are started with --claim.")
]
On = Annotated[
    Optional[str],  # noqa: UP045 - typer reads it
    typer.Option("--on", help="Let workers elsewhere play it: slurm, or ray.", metavar="ENGINE"),
]
Workers = Annotated[int, typer.Option("--workers", min=1, help="How many workers play it, with --on.")]
Job = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads it
    typer.Option(
        "--job", help="A setting of the engine, with --on, such as partition=gpu; may be repeated.", metavar="KEY=VALUE"
    ),
]
Wait = Annotated[bool, typer.Option("--wait", help="With --on, stay until all workers have ended.")]
Pull = Annotated[bool, typer.Option("--pull", help="Fetch missing weights of embedded models.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead: docs/commands.md.")]
Rows = Annotated[
    By, typer.Option("--by", help="What has a row of the live view: each condition, or each run in progress.")
]
Log = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads it
    typer.Option("--log-file", help="Append what happens to this file: retries, limits, answers not read, reasons."),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print no progress and no tables.")]
Output = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads it
    typer.Option("-o", "--output", help="The folder to write into; by default one inside the study's folder."),
]


def settings(sets: list[str] | None, max_cost: float | None) -> list[str]:
    """Return the settings to change, as `PATH=VALUE`: a limit on spending is one of them."""
    return [*(sets or ()), *([] if max_cost is None else [f"budget={max_cost}"])]
