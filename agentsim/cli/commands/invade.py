"""`agentsim invade`: whether a few invaders take over many residents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.console import Console
from rich.text import Text

from agentsim.cli.declaring import PLAYED, command
from agentsim.cli.options import Fork, MaxCost, New, Plan, Plugins, Results, Sets, settings
from agentsim.cli.telling import exit_code, tell_why

if TYPE_CHECKING:
    from agentsim.analysis.invasions import Courses
    from agentsim.experiments.invade import Invasion


@command(
    examples=[
        "invade scripted/all-keep scripted/discriminator --generations 30 --seeds 0-99",
        "invade scripted/all-keep results/example-model/qwen2.5-coder-1.5b--seed-0@3 --plan",
    ],
    codes=PLAYED,
)
def invade(
    contestants: Annotated[
        list[str],
        typer.Argument(
            help="Two or more of: a policy (scripted/all-keep, scripted/constant-share:share=0.3), a model, a strategy"
            " from a run (results/STUDY/RUN@GENERATION, or .../2_1, .../all), or a YAML file of players.",
            show_default=False,
        ),
    ],
    rules: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it
        typer.Option("--rules", help="Take rules and accounts from this scenario; its players are ignored."),
    ] = None,
    set_: Sets = None,
    agents: Annotated[Optional[int], typer.Option(help="Number of residents and invaders.")] = None,  # noqa: UP045
    invaders: Annotated[int, typer.Option(help="Number of invaders in generation 1.")] = 1,
    generations: Annotated[
        Optional[int],  # noqa: UP045 - typer reads it
        typer.Option(help="By default as in --rules; without it 50, or 5 if models play.", show_default=False),
    ] = None,
    selection: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it
        typer.Option(
            help="top, proportional, tournament, death_birth, ...; by default as in --rules.", show_default=False
        ),
    ] = None,
    seeds: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it
        typer.Option(help="By default 0-99, or 0-4 if models play.", metavar="SEEDS", show_default=False),
    ] = None,
    model: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it
        typer.Option("--model", help="Let this model play the strategies from runs.", metavar="PROVIDER/NAME"),
    ] = None,
    control: Annotated[
        Optional[bool],  # noqa: UP045 - typer reads it
        typer.Option("--control/--no-control", help="Also play without selection.", show_default="if scripted"),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the study and of its folder.")] = "invasion",
    results: Results = Path("results"),
    new: New = False,
    fork: Fork = None,
    log: Annotated[bool, typer.Option("--log", help="Log scripted invasions too; slower.")] = False,
    plan: Plan = False,
    max_cost: MaxCost = None,
    plugin: Plugins = None,
) -> None:
    """Test for each pair of contestants whether a few invaders take over many residents more often than by chance."""
    from agentsim.experiments.contestants import contestants as named
    from agentsim.experiments.invade import invasion

    asked = invasion(
        named(contestants, model=model),
        rules=rules,
        sets=settings(set_, max_cost),
        name=name,
        agents=agents,
        invaders=invaders,
        generations=generations,
        selection=selection,
        seeds=seeds,
        control=control,
    )
    if asked.is_scripted and not log and not plan:
        _invade_unlogged(asked, results / name)
    else:
        _invade_logged(asked, results, new=new, fork=fork, is_plan=plan)


def _invade_unlogged(asked: Invasion, folder: Path) -> None:
    from agentsim.disk.whole_files import make_folder
    from agentsim.experiments.invade import play_unlogged, provenance

    courses = play_unlogged(asked)
    _show_invasions(courses, folder / "invasion")
    path = folder / "invasion" / "played.json"
    make_folder(path.parent)
    path.write_text(json.dumps(provenance(asked), indent=2) + "\n", encoding="utf-8")
    Console().print(Text(f"{path}: what was played; no logs were kept, --log keeps them"), soft_wrap=True)


def _invade_logged(asked: Invasion, results: Path, *, new: bool, fork: Path | None, is_plan: bool) -> None:
    from agentsim.cli.progress import Progress
    from agentsim.cli.tables.plan import plan_table
    from agentsim.experiments.invade import logged_courses, play_logged, refuse_unlimited
    from agentsim.experiments.plan import plan

    scenario, console = asked.scenario(), Console()
    if is_plan or not asked.is_scripted:
        plans = plan(scenario)
        console.print(plan_table(plans))
        most = sum(spec.condition.n_requests(spec.seed) for spec in asked.specs() if spec.condition.model_players)
        console.print(
            f"Models are asked more questions as they spread: up to {most * len(asked.seeds):,} if they take over at"
            " once. Spending never exceeds --max-cost.",
            highlight=False,
        )
        if is_plan:
            return
        refuse_unlimited(plans, budget=scenario.budget)
    with Progress(console, n_runs=len(asked.specs()) * len(asked.seeds)) as progress:
        result = play_logged(asked, results=results, new=new, fork=fork, observer=progress)
    if not result.is_interrupted and any(state.status == "complete" for state in result.runs):
        _show_invasions(logged_courses(result), result.folder / "invasion")
    console.print(Text(f"results:  {result.folder}"), soft_wrap=True)
    tell_why(result, is_new=new or fork is not None)
    raise typer.Exit(exit_code(result))


def _show_invasions(courses: Courses, folder: Path) -> None:
    from agentsim.analysis.invasions import invasions
    from agentsim.analysis.result_files import write_invasions
    from agentsim.cli.tables.cells import plain
    from agentsim.cli.tables.invasions import invasion_tables

    result, console = invasions(courses), Console()
    for table in invasion_tables(result):
        console.print(table)
    for note in result.notes:
        console.print(plain(note, max_chars=1000))
    for path in write_invasions(result, courses, folder):
        console.print(Text(str(path)), soft_wrap=True)
