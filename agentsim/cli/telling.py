"""What commands print at their end: tables, what to do next, errors; and their exit codes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.text import Text

from agentsim.cli.documents import ending_parts, probe_parts, study_parts
from agentsim.cli.json_output import print_document
from agentsim.errors import AgentsimError

if TYPE_CHECKING:
    from agentsim.analysis.frames.study import Study
    from agentsim.analysis.probes import Probe
    from agentsim.orchestrator.run_state import RunState
    from agentsim.orchestrator.study import StudyResult

__all__ = [
    "complain",
    "exit_code",
    "fetch",
    "folder_for",
    "print_elsewhere",
    "print_ended",
    "print_probed",
    "printable",
    "show_ended",
    "tell",
    "tell_probe",
    "tell_why",
]

MAX_NAMED: Final = 5
"""The most runs that a sentence names; it counts the rest."""


def tell(result: StudyResult, console: Console, *, is_new: bool, is_alone: bool = True) -> None:
    """Print how the runs ended, their results, and what to do next; without results, only why.

    After an interruption no tables or figures are made: the user wants the command to end. Of processes that play
    together, the last one makes them (`is_alone`).
    """
    if result.is_interrupted or not is_alone:
        console.print(Text(f"results:  {result.folder}"), soft_wrap=True)
        console.print(Text(f"tables:   agentsim show {result.folder}"), soft_wrap=True)
    elif not console.quiet and any(map(_has_results, result.runs)):
        show_study(result, console)
    for state in result.runs:
        if state.n_torn_bytes:
            torn = f"{state.run}: {state.n_torn_bytes} bytes of an unfinished line were cut off its log"
            (Console(stderr=True) if console.quiet else console).print(Text(torn), soft_wrap=True)
    tell_why(result, is_new=is_new)


def show_ended(folder: Path, console: Console) -> int:
    """Print what the logs of a study say after others have played it; return the exit code."""
    from agentsim.analysis.frames.study import load
    from agentsim.cli.tables.status import status_table
    from agentsim.cli.tables.study import study_tables

    study = load(folder)
    status = study.runs["status"]
    tables = study_tables(study) if status.isin(["complete", "unread"]).any() else [status_table(study)]
    for table in tables:
        console.print(table)
    console.print(Text(f"results:  {folder}"), soft_wrap=True)
    if (status == "unread").any():
        return 3
    return 0 if (status == "complete").all() else 1


def print_ended(result: StudyResult) -> None:
    """Print the document of `agentsim run`: how its runs ended and, unless it was broken off, a study's numbers."""
    if result.is_interrupted or not result.is_last or not any(map(_has_results, result.runs)):
        print_document("run", **ending_parts(result), results=None)
        return
    from agentsim.analysis.frames.study import load

    study = load(result.folder)
    print_document("run", **ending_parts(result, files=_drawn(study, result.folder)), results=study_parts(study))


def print_elsewhere(folder: Path, *, is_ended: bool) -> None:
    """Print the document of `agentsim run --on`: where the study is and, once it was played, its numbers."""
    from agentsim.analysis.frames.study import load

    print_document("run", folder=folder, results=study_parts(load(folder)) if is_ended else None)


def _has_results(state: RunState) -> bool:
    return state.status in ("complete", "unread") or bool(state.n_new_replies)


def _drawn(study: Study, folder: Path) -> list[Path]:
    """Draw the figure that a study's folder holds, if there is something to draw; return its files."""
    from agentsim.analysis.figures import final_resources, save

    return [] if study.scored.empty else save(final_resources(study), folder / "final-resources")


def show_study(result: StudyResult, console: Console) -> None:
    """Print a study's tables, draw its figure, and say where everything is."""
    from agentsim.analysis.frames.study import load
    from agentsim.cli.tables.study import study_tables

    study = load(result.folder)
    for table in study_tables(study):
        console.print(table)
    n_new = sum(state.n_new_replies for state in result.runs)
    if n_new and result.least_s:
        ratio = result.wall_s / result.least_s
        took = f"{n_new:,} replies in {result.wall_s:.0f} s, {ratio:.2f} × the least possible"
        console.print(Text(f"{took}, limited by {result.bound_by}"))
    if result.is_complete and not any(state.n_new_replies for state in result.runs):
        console.print("Every run was already complete; no model was called.")
    if _drawn(study, result.folder):
        console.print(Text(f"picture:  {result.folder / 'final-resources.png'} (and .svg)"), soft_wrap=True)
    console.print(Text(f"results:  {result.folder}"), soft_wrap=True)
    console.print(Text(f"tables:   agentsim show {result.folder}"), soft_wrap=True)
    console.print(Text(f"proof:    agentsim replay {result.folder}"), soft_wrap=True)
    console.print(Text(f'notebook: agentsim.load("{result.folder}").encounters'), soft_wrap=True)


def print_probed(result: StudyResult) -> None:
    """Print the document of `agentsim probe`: how it ended and, unless it was broken off, its results."""
    from agentsim.analysis.probes import load_probe
    from agentsim.log.files import LOG_NAME

    [state] = result.runs
    if result.is_interrupted or not (result.folder / state.run / LOG_NAME).exists():
        print_document("probe", **ending_parts(result), results=None)
        return
    probe = load_probe(result.folder)
    print_document(
        "probe", **ending_parts(result, files=_probe_files(probe, result.folder)), results=probe_parts(probe)
    )


def _probe_files(probe: Probe, folder: Path) -> list[Path]:
    """Write a probe's tables, and its figure if there is something to draw; return the files."""
    from agentsim.analysis.figures import response, save
    from agentsim.analysis.result_files import write_probe

    drawn = save(response(probe), folder / "response") if probe.answers["given"].notna().any() else []
    return [*write_probe(probe, folder), *drawn]


def tell_probe(result: StudyResult, console: Console, *, is_new: bool) -> None:
    """Print a probe's results so far, draw its figure, and say what to do next."""
    from agentsim.analysis.probes import load_probe
    from agentsim.cli.tables.probe import probe_tables
    from agentsim.log.files import LOG_NAME

    [state] = result.runs
    if not result.is_interrupted and (result.folder / state.run / LOG_NAME).exists():
        results = load_probe(result.folder)
        for table in probe_tables(results):
            console.print(table)
        if any(path.suffix == ".png" for path in _probe_files(results, result.folder)):
            console.print(Text(f"picture:  {result.folder / 'response.png'} (and .svg)"), soft_wrap=True)
        console.print(Text(f"tables:   {result.folder}/*.csv"), soft_wrap=True)
        console.print(Text(f"proof:    agentsim replay {result.folder}"), soft_wrap=True)
        console.print(Text(f'notebook: agentsim.load_probe("{result.folder}").answers'), soft_wrap=True)
    tell_why(result, is_new=is_new)


def tell_why(result: StudyResult, *, is_new: bool) -> None:
    """Say which runs are not complete, why, and what to do next."""
    for status, what in (("unread", "unread"), ("stopped", "not complete"), ("interrupted", "not complete")):
        for reason, runs in _by_reason(result, status).items():
            named = f" ({_listed(runs)})" if status == "unread" else ""
            complain(AgentsimError(f"{what}{named}: {reason}"))
    idle = [state.run for state in result.runs if state.status == "not begun"]
    if idle:
        complain(AgentsimError(f"not begun, because the study stopped first: {_listed(idle)}"))
    unread = any(state.status == "unread" for state in result.runs)
    if unread:
        Console(stderr=True).print(
            "Look at the replies, correct the prompts or the players' settings, and begin a new study with --new.",
            soft_wrap=True,
        )
    if any(state.status not in ("complete", "unread") and not state.is_refused for state in result.runs):
        command = "it without --new and --fork" if is_new else "the same command again"
        Console(stderr=True).print(f"Run {command} to continue.")


def _by_reason(result: StudyResult, status: str) -> dict[str, list[str]]:
    runs_by_reason: dict[str, list[str]] = {}
    for state in result.runs:
        if state.status == status:
            runs_by_reason.setdefault(str(state.reason), []).append(state.run)
    return dict(sorted(runs_by_reason.items()))


def _listed(runs: Sequence[str]) -> str:
    more = f" and {len(runs) - MAX_NAMED} more" if len(runs) > MAX_NAMED else ""
    return ", ".join(runs[:MAX_NAMED]) + more


def exit_code(result: StudyResult) -> int:
    """Return the exit code of a command that plays runs; see `declaring.PLAYED`."""
    if result.is_interrupted:
        return 130
    if result.is_unread:
        return 3
    return 0 if result.is_complete else 1


def folder_for(study: Study, output: Path | None, name: str) -> Path:
    """Return the folder to write into: `output`, or `name` inside the study's folder."""
    if output is None and len(study.folders) > 1:
        raise AgentsimError(f"{len(study.folders)} studies have no folder in common: name one with -o")
    if output is not None:
        return output
    folder = next(iter(study.folders.values())) / name
    if folder.is_symlink():
        raise AgentsimError(f"{folder}: is a symbolic link, and agentsim writes through none; name a folder with -o")
    return folder


def fetch(name: str, console: Console) -> None:
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    from agentsim.providers.dialects.weights import WEIGHTS, find, pull

    weights = WEIGHTS.get(name)
    if weights is not None:
        try:
            find(name)
        except AgentsimError:
            size = f"{weights.download_bytes / 1e6:,.0f} MB"
            console.print(
                Text(f"local/{name} ({weights.title}, {weights.licence}) is not on this machine: fetching {size}")
            )
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, n_done: int, n_total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=n_total)
            bar.update(tasks[stage], completed=n_done)

        path = pull(name, on_progress=report)
    console.print(Text(f"{path}: verified; in a scenario: local/{name}"), soft_wrap=True)


def complain(error: AgentsimError) -> None:
    console = Console(stderr=True)
    console.print(Text.assemble(("error: ", "bold red"), printable(str(error))), soft_wrap=True)


def printable(text: str) -> str:
    """Replace unprintable characters, which could control the terminal; keep line breaks."""
    return "".join(character if character.isprintable() or character == "\n" else "\ufffd" for character in text)
