"""Commands that read studies: tables, figures, comparisons, a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer
from rich.console import Console
from rich.text import Text

from agentsim.cli.options import Output, Studies, app
from agentsim.cli.telling import folder_for
from agentsim.errors import AgentsimError


@app.command()
def show(folders: Studies) -> None:
    """Print the runs, generations and strategies of a study or several."""
    from agentsim.analysis.frames.study import load
    from agentsim.cli.tables.study import study_tables

    console = Console()
    for table in study_tables(load(*folders)):
        console.print(table)


@app.command()
def status(folders: Studies) -> None:
    """Say how far each run of a study is, what it took, and why it stopped."""
    from agentsim.analysis.frames.study import load
    from agentsim.cli.tables.study import status_table

    study = load(*folders, allow_mixed=True)
    Console().print(status_table(study))
    if study.runs["status"].isin(["unfinished", "not begun"]).any():
        Console().print("Run the same command again to go on with what is not complete.")


@app.command()
def export(
    folders: Studies,
    format: Annotated[str, typer.Option(help="parquet or csv.")] = "parquet",
    output: Output = None,
) -> None:
    """Write a study's dataframes as files, with a description of their columns."""
    from agentsim.analysis.export import export as write
    from agentsim.analysis.frames.study import load

    study = load(*folders)
    console = Console()
    for path in write(study, folder_for(study, output, "export"), format=format):  # type: ignore[arg-type] # checked there
        console.print(Text(str(path)), soft_wrap=True)


@app.command()
def compare(
    folders: Studies,
    by: Annotated[
        str,
        typer.Option(
            help="model, condition, study, a setting that varies, or player: the models that share societies."
        ),
    ] = "model",
    design: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it
        typer.Option(
            help="unpaired: all runs, whatever their seeds (the default); paired: differences of runs of one seed."
            " Players are always compared within the societies they share.",
            show_default=False,
        ),
    ] = None,
    take_off: Annotated[
        Optional[float],  # noqa: UP045 - typer reads it
        typer.Option(
            "--take-off",
            help="The efficiency from which on a run has taken off, above 0 and at most 1; 0.7 if not stated.",
            show_default=False,
        ),
    ] = None,
    output: Output = None,
) -> None:
    """Compare how societies ended: by how much, and how sure that is."""
    from agentsim.analysis.compare import compare as compared
    from agentsim.analysis.figures import efficiency, final_resources, save
    from agentsim.analysis.frames.study import load
    from agentsim.analysis.result_files import write_comparison
    from agentsim.cli.tables.study import (
        comparison_tables,
        plain,
        published_table,
        published_unlike_table,
        sensitivity_table,
    )

    study = load(*folders)
    stated: dict[str, Any] = {} if take_off is None else {"take_off_at": take_off}
    found = compared(study, by=by, design=design, **stated)  # type: ignore[arg-type] # checked there
    place = folder_for(study, output, "comparison")
    paths = [*write_comparison(found, place), *save(final_resources(study), place / "final-resources")]
    unlike = published_unlike_table(study)
    paths += save(efficiency(study), place / "efficiency") if unlike else []
    console = Console()
    for table in comparison_tables(found):
        console.print(table)
    for more in (sensitivity_table(study), published_table(study), unlike):
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
        typer.Option(
            help="Instead of a pilot: by which factor runs of one model differ (one standard deviation of log scores),"
            " as 3; paired: by which two runs of one seed do."
        ),
    ] = None,
    target: Annotated[float, typer.Option("--power", help="The power wanted.")] = 0.8,
    by: Annotated[str, typer.Option(help="What makes the pilot's groups: model, condition, ...")] = "model",
    design: Annotated[str, typer.Option(help="How the study will be compared: unpaired or paired.")] = "unpaired",
) -> None:
    """Say how many seeds, calls and how much money tell two models apart."""
    from math import inf, log

    from agentsim.analysis.frames.study import load
    from agentsim.analysis.power import Pilot, pilot_of
    from agentsim.analysis.power import power as seeds_for
    from agentsim.cli.tables.study import power_sentences, power_table

    if spread is not None and not 1 < spread < inf:
        raise AgentsimError(f"--spread {spread:g}: a factor above 1, as 3: runs of one model differ threefold")
    if design not in ("unpaired", "paired"):
        raise AgentsimError(f"--design {design}: is not known; take unpaired or paired")
    if pilot and spread is None:
        source: Pilot | float = pilot_of(load(*pilot), by=by, design=design)  # type: ignore[arg-type] # checked above
    elif spread is not None and not pilot:
        source = log(spread)
    else:
        raise AgentsimError("power needs either a pilot (--from results/pilot) or a stated --spread, as 3")
    console = Console()
    for ratio in effect or [2.0]:
        found = seeds_for(source, effect=ratio, target=target, design=design)  # type: ignore[arg-type]
        console.print(power_table(found))
        for sentence in power_sentences(found, target=target):
            console.print(Text(sentence))
    for note in found.notes:
        console.print(Text(note))


@app.command()
def figures(
    folders: Studies,
    societies: Annotated[
        str,
        typer.Option(
            help="How many runs have figures of their own, society and lineage: a number, or all."
            " Each condition's first run comes first."
        ),
    ] = "3",
    output: Output = None,
) -> None:
    """Draw a study's figures as SVG and PNG."""
    if societies != "all" and not (societies.isascii() and societies.isdigit()):
        raise AgentsimError(f"--societies: {societies!r} is no number of runs; state one from 0 on, or all")
    from agentsim.analysis.figures import write_figures
    from agentsim.analysis.frames.study import load

    study = load(*folders)
    paths, undrawn = write_figures(
        study,
        folder_for(study, output, "figures"),
        n_societies=None if societies == "all" else int(societies),
    )
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
    """Write one HTML file that shows a study, or a probe, to read in a browser; it loads nothing from anywhere."""
    from agentsim.analysis.frames.study import load
    from agentsim.analysis.probes import is_probe, load_probe
    from agentsim.report import write_probe_report, write_report

    if len(folders) == 1 and is_probe(folders[0]):
        path = write_probe_report(load_probe(folders[0]), output)
    else:
        path = write_report(load(*folders), output)
    Console().print(Text(f"{path}: {path.stat().st_size / 1e6:.1f} MB; open it in a browser"), soft_wrap=True)
