"""Every block of code on the pages of the site is run, page by page, each in a folder of its own.

A block's language says what is done with it: commands of `console`, `python` and the examples of `pycon` are run in the
order of the page, and a scenario in `yaml` is checked. `text` is not code; a `text output` is what the command before
it prints. A block that cannot be run is marked as `console not-run: why`; any other language is a mistake. A block that
begins with `# file: NAME` is that file of the page's folder.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib.util
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import pytest

import agentsim
from agentsim.scenario.schema import json_schema
from tests.cli.test_habits import COMMANDS
from tests.commands import run_command
from tests.test_readme import PAGES as RUN_TOGETHER

ROOT = Path(agentsim.__file__).parent.parent
PAGES = {path.relative_to(ROOT).as_posix(): path for path in sorted((ROOT / "docs").glob("**/*.md"))}
RUN = ("console", "python", "pycon", "yaml")
WHY_NOT = {
    "needs a key",
    "a model answers",
    "a model, some minutes",
    "half a minute of two cores",
    "a study of two models",
    "serves until it is stopped",
    "installs into your environment",
    "needs another package",
}


class Block(NamedTuple):
    """One fenced block."""

    line: int
    info: str
    """What stands behind the fence: the language and, of a block that is not run, why."""
    text: str


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page whose content is not Markdown."""
    found, lines = [], page.splitlines()
    number = 0
    while number < len(lines):
        fence = re.fullmatch(r" *(`{3,})(.*)", lines[number])
        number += 1
        if fence is None:
            continue
        end = next(later for later in range(number, len(lines)) if lines[later].strip() == fence[1])
        found.append(Block(number, fence[2].strip(), "\n".join(lines[number:end]) + "\n"))
        number = end + 1
    return [block for block in found if not block.info.startswith("{")]


def runs_alone(name: str) -> bool:
    """Whether a page is run here: those that a newcomer reads first are run in one folder, by `test_readme`."""
    return name not in RUN_TOGETHER and any(block.info in RUN for block in blocks(PAGES[name].read_text("utf-8")))


@pytest.mark.parametrize("name", [name for name in PAGES if runs_alone(name)])
def test_the_blocks_of_a_page_run_in_their_order(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "scenarios", tmp_path / "scenarios")
    for study in (ROOT / "results").glob("example-*"):
        shutil.copytree(study, tmp_path / "results" / study.name, ignore=shutil.ignore_patterns(".cache", "lock"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    names: dict[str, object] = {"__name__": "page"}
    printed = ""
    page = PAGES[name].read_text("utf-8")
    run, execute = (run_apart, execute_apart) if "--plugin" in page else (run_here, execute_here)
    with mpl.rc_context({"backend": "agg"}):
        for block in blocks(page):
            where = f"{name}:{block.line}"
            if block.info == "console":
                for command in commands(block):
                    printed = run(command, where=where)
            elif block.info in RUN:
                made = re.match(r"# file: (\S+)\n", block.text)
                if made is not None:
                    (tmp_path / made[1]).write_text(block.text, encoding="utf-8")
                if block.info == "yaml":
                    check(block, made[1] if made else None)
                elif made is None:
                    printed = execute(block, names, where=where)
            elif block.info == "text output":
                assert block.text.split() and " ".join(block.text.split()) in " ".join(printed.split()), (
                    where,
                    printed,
                )


def commands(block: Block) -> list[list[str]]:
    """Return the commands of a block, of which each begins with `$ agentsim`."""
    lines = block.text.replace("\\\n", " ").splitlines()
    assert lines and all(line.startswith("$ agentsim ") for line in lines), block
    return [shlex.split(line)[2:] for line in lines]


def run_here(command: list[str], *, where: str) -> str:
    done = run_command(*command)
    assert done.returncode == 0, (where, command, done.stdout, done.stderr)
    return done.stdout


def run_apart(command: list[str], *, where: str) -> str:
    """Run a command in a process of its own: a plug-in stays in the one that read it."""
    return of_process("-m", "agentsim", *command, where=where)


def execute_apart(block: Block, names: dict[str, object], *, where: str) -> str:
    return of_process("-c", block.text, where=where)


def of_process(*words: str, where: str) -> str:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environ, check=False)
    assert done.returncode == 0, (where, words, done.stdout, done.stderr)
    return done.stdout


def check(block: Block, file: str | None) -> None:
    """Check a scenario; of one that shows a few settings, the rest is made up."""
    path = Path(file or "shown.yaml")
    if file is None:
        has = {line.partition(":")[0] for line in block.text.splitlines()}
        head = {"name": "name: shown\n", "players": "players: {model: scripted/all-keep}\n"}
        path.write_text("".join(text for key, text in head.items() if key not in has) + block.text, encoding="utf-8")
    run_here(["check", str(path)], where=block.text)


def execute_here(block: Block, names: dict[str, object], *, where: str) -> str:
    """Run Python, or examples with their output; names stay from block to block."""
    out = io.StringIO()
    if block.info == "pycon":
        test = doctest.DocTestParser().get_doctest(block.text, names, where, where, block.line)
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        assert test.examples and runner.run(test, out=out.write, clear_globs=False).failed == 0, out.getvalue()
        names.update(test.globs)
    else:
        with contextlib.redirect_stdout(out):
            exec(compile(block.text, where, "exec"), names)
    return out.getvalue()


@pytest.mark.parametrize("name", PAGES)
def test_a_block_that_is_not_run_says_why(name: str) -> None:
    text = PAGES[name].read_text("utf-8")
    for block in blocks(text):
        language, _, why = block.info.partition(" not-run: ")
        if why:
            assert language in RUN and why in WHY_NOT, (name, block)
        else:
            assert block.info in (*RUN, "text", "text output"), (name, block)
        if block.info == "text" and name not in RUN_TOGETHER:
            assert not re.search(r"^\$ |^import |^agentsim ", block.text, re.MULTILINE), (name, block)
    code = re.search(r"\n\n {4,}(?:\$ |agentsim \w|import |from \w+ import )", text)
    assert code is None, f"{name}: code stands in a fence, so that it is run: {code and code[0]}"


def test_most_blocks_are_run() -> None:
    counts = Counter(block.info in RUN for page in PAGES.values() for block in blocks(page.read_text("utf-8")))
    marked = sum(" not-run" in block.info for page in PAGES.values() for block in blocks(page.read_text("utf-8")))
    assert counts[True] > 50 and marked * 5 < counts[True]


def test_what_the_program_states_fills_the_marks_of_the_pages() -> None:
    spec = importlib.util.spec_from_file_location("from_program", ROOT / "docs" / "from_program.py")
    assert spec is not None and spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    marked = {part: name for name, path in PAGES.items() for part in program.MARK.findall(path.read_text("utf-8"))}
    assert marked.keys() == program.PARTS.keys()
    site = {part: program.filled(f"<!-- from the program: {part} -->") for part in marked}
    schema = json_schema()
    for part in (schema, *schema["$defs"].values()):
        for setting, value in part["properties"].items():
            places = (f".{setting}`", f"`{setting}`", f"## {setting}\n")
            assert "const" in value or any(place in site["settings"] for place in places), setting
    assert all(f"## agentsim {' '.join(words)}\n" in site["commands"] for words in COMMANDS)
    assert all(f"## {record}\n" in site["records"] for record in ("run_started", "reply", "donated", "run_finished"))
    assert all(f"agentsim.{name}\n" in site["python"] for name in agentsim.__all__ if name != "COLUMNS")
    assert "scripted/leading-eight" in site["names"] and "efficiency" in site["names"]


def test_each_page_has_its_place_on_the_site() -> None:
    index = PAGES["docs/index.md"].read_text("utf-8")
    listed = re.findall(r"^([\w/-]+)$", "".join(re.findall(r"```\{toctree\}(.*?)```", index, re.DOTALL)), re.MULTILINE)
    assert sorted(f"docs/{page}.md" for page in listed) == sorted(PAGES.keys() - {"docs/index.md"})


def test_links_between_pages_lead_somewhere() -> None:
    for name, path in PAGES.items():
        for link in re.findall(r"\]\(([^)#\s]+)(?:#[\w-]+)?\)", path.read_text("utf-8")):
            assert link.startswith(("http", "#")) or (path.parent / link).is_file(), (name, link)
