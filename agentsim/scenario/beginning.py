"""A new study's folder: a scenario to edit, a notebook that reads its results, on wish its prompts."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

from agentsim.errors import ScenarioError, quote
from agentsim.scenario.loading import load_scenario, scenario_from
from agentsim.scenario.shipped import examples, files_of, named, shipped_folder

__all__ = ["begin"]

CELLS: Final = (
    ("markdown", "# {name}\n\nPlay the scenario first: `agentsim run scenario.yaml`, in this folder."),
    ("code", 'import agentsim\n\nstudy = agentsim.load("results/{name}")\nagentsim.summary(study)'),
    ("code", "agentsim.figures.final_resources(study)"),
    ("markdown", "Which condition ends with more, and how sure is that? (This needs several conditions.)"),
    ("code", "found = agentsim.compare(study)\nfound.table"),
)


def begin(folder: Path, *, source: str, with_prompts: bool) -> None:
    """Write a new folder with a scenario that is named as the folder; it appears whole or not at all.

    Args:
        folder: must not exist.
        source: a shipped scenario, as `donor-game`.
        with_prompts: also write the default prompt set, which the scenario then uses.

    Raises:
        ScenarioError: there is such a folder already or no such scenario, or the name names no study.
    """
    if folder.exists():
        raise ScenarioError(f"{folder}: is there already; name a new folder")
    name = folder.resolve().name
    scenario_from({"name": name, "players": {"model": "scripted/all-keep"}})  # refuses what can name no study
    example = named(source, among=[one for one in examples() if one.startswith("scenarios/")])
    try:
        folder.resolve().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".agentsim-", dir=folder.resolve().parent) as temporary:
            made = Path(temporary) / name
            made.mkdir()
            _write(made, name, example, with_prompts=with_prompts)
            made.rename(folder.resolve())
    except OSError as error:
        raise ScenarioError(f"{folder}: cannot be written ({error.strerror or error}); name another folder") from error


def _write(made: Path, name: str, example: str, *, with_prompts: bool) -> None:
    root = shipped_folder()
    first, *bases = files_of(example)
    text = (root / first).read_text("utf-8")
    for base in bases:
        shutil.copyfile(root / base, made / base.name)
    text = re.sub(r"^name:.*$", f"name: {json.dumps(name)}", text, count=1, flags=re.MULTILINE)
    text = text.replace(f"scenarios/{first.name}", "scenario.yaml")
    if with_prompts:
        if re.search(r"^  prompts:", text, re.MULTILINE):
            raise ScenarioError(f"{quote(example)} varies its prompts; leave out --prompts, or begin with another")
        text = re.sub(r"^prompts:.*\n?", "", text, flags=re.MULTILINE).rstrip("\n") + "\n\nprompts: ./prompts\n"
        package = Path(__file__).parent.parent / "prompts" / "default"
        shutil.copytree(package, made / "prompts", ignore=shutil.ignore_patterns("__pycache__"))
    (made / "scenario.yaml").write_text(text, "utf-8")
    load_scenario(made / "scenario.yaml")
    (made / "notebook.ipynb").write_text(json.dumps(_notebook(name), indent=1) + "\n", "utf-8")


def _notebook(name: str) -> dict[str, Any]:
    cells = list[dict[str, Any]]()
    for number, (kind, text) in enumerate(CELLS):
        code: dict[str, Any] = {"execution_count": None, "outputs": []} if kind == "code" else {}
        source = text.replace("{name}", name).splitlines(keepends=True)
        cells.append({"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": source, **code})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
