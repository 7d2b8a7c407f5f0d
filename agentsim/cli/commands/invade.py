"""`agentsim invade`: whether a few invaders take over many residents."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.console import Console
from rich.text import Text

from agentsim.cli.declaring import PLAYED, command
from agentsim.cli.documents import ending_parts, invasion_parts, plan_parts
from agentsim.cli.json_output import print_document
from agentsim.cli.options import Fork, Json, Log, MaxCost, New, Plan, Plugins, Results, Sets, settings
from agentsim.cli.telling import exit_code, tell_why
from agentsim.errors import AgentsimError

if TYPE_CHECKING:
    from agentsim.analysis.invasions import Courses, Invasions
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
    workers: Annotated[
        int, typer.Option(min=1, help="How many processes play scripted invasions that are not logged.")
    ] = 1,
    plan: Plan = False,
    max_cost: MaxCost = None,
    log_file: Log = None,
    as_json: Json = False,
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
        if log_file is not None:
            raise AgentsimError(
                "--log-file: nothing is told of scripted invasions that are not logged; give --log as well"
            )
        _invade_unlogged(asked, results / name, workers=workers, as_json=as_json)
    else:
        _invade_logged(asked, results, new=new, fork=fork, is_plan=plan, log_file=log_file, as_json=as_json)


def _invade_unlogged(asked: Invasion, folder: Path, *, workers: int, as_json: bool) -> None:
    from agentsim.disk.whole_files import make_folder
    from agentsim.experiments.invade import play_unlogged, provenance

    courses = play_unlogged(asked, workers=workers)
    path = folder / "invasion" / "played.json"
    make_folder(path.parent)
    path.write_text(json.dumps(provenance(asked), indent=2) + "\n", encoding="utf-8")
    result, files = _written(courses, folder / "invasion")
    if as_json:
        print_document("invade", folder=folder, results=invasion_parts(result), files=[*files, path])
        return
    _show_invasions(result, files)
    Console().print(Text(f"{path}: what was played; no logs were kept, --log keeps them"), soft_wrap=True)


def _invade_logged(
    asked: Invasion,
    results: Path,
    *,
    new: bool,
    fork: Path | None,
    is_plan: bool,
    log_file: Path | None,
    as_json: bool,
) -> None:
    from agentsim.cli.progress import Progress, logged
    from agentsim.cli.tables.plan import plan_table
    from agentsim.experiments.invade import logged_courses, play_logged, refuse_unlimited
    from agentsim.experiments.plan import plan

    scenario, console = asked.scenario(), Console(stderr=as_json)
    if is_plan or not asked.is_scripted:
        plans = plan(scenario)
        if is_plan and as_json:
            print_document("invade", plan=plan_parts(plans))
            return
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
    with logged(Progress(console, n_runs=len(asked.specs()) * len(asked.seeds)), log_file) as watch:
        result = play_logged(asked, results=results, new=new, fork=fork, observer=watch)
    is_told = not result.is_interrupted and any(state.status == "complete" for state in result.runs)
    invaded, files = _written(logged_courses(result), result.folder / "invasion") if is_told else (None, [])
    if as_json:
        parts = None if invaded is None else invasion_parts(invaded)
        print_document("invade", **ending_parts(result, files=files), results=parts)
    elif invaded is not None:
        _show_invasions(invaded, files)
    console.print(Text(f"results:  {result.folder}"), soft_wrap=True)
    tell_why(result, is_new=new or fork is not None)
    raise typer.Exit(exit_code(result))


def _written(courses: Courses, folder: Path) -> tuple[Invasions, list[Path]]:
    """Return what follows from the invasions' courses, and the files that hold it."""
    from agentsim.analysis.invasions import invasions
    from agentsim.analysis.result_files import write_invasions

    result = invasions(courses)
    return result, write_invasions(result, courses, folder)


def _show_invasions(result: Invasions, files: Sequence[Path]) -> None:
    from agentsim.cli.tables.cells import plain
    from agentsim.cli.tables.invasions import invasion_tables

    console = Console()
    for table in invasion_tables(result):
        console.print(table)
    for note in result.notes:
        console.print(plain(note, max_chars=1000))
    for path in files:
        console.print(Text(str(path)), soft_wrap=True)
