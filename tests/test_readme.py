"""Every code block of the README and of the guides it leads to, run as it stands there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name
from typing import NamedTuple

import pytest

import agentsim
from agentsim.scenario.plugins import GROUPS
from tests.commands import run_command

ROOT = Path(agentsim.__file__).parent.parent
PAGES = [
    "README.md",
    "docs/studies.md",
    "docs/commands.md",
    "docs/models.md",
    "docs/python.md",
    "docs/prompts.md",
    "docs/extending.md",
    "docs/scaling.md",
]
GUIDE = "\n".join((ROOT / page).read_text() for page in PAGES)
"""What a user reads, in its order."""


class Block(NamedTuple):
    """One fenced block."""

    language: str
    text: str
    before: str
    """The text above it, up to the block before."""


def every_block() -> list[Block]:
    found, end = [], 0
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL):
        found.append(Block(match[1], match[2], GUIDE[end : match.start()]))
        end = match.end()
    assert {block.language for block in found} == {"console", "yaml", "python", "text"}
    return found


def blocks(language: str) -> list[Block]:
    return [block for block in every_block() if block.language == language]


def commands() -> list[list[str]]:
    lines = [line for block in blocks("console") for line in block.text.splitlines()]
    assert all(line.startswith("$ ") for line in lines)
    return [shlex.split(line.removeprefix("$ ")) for line in lines]


def steps() -> list[tuple[str, ...]]:
    """Return what Python is to run for each command and for the lines of the notebook, in the order of the pages."""
    found: list[tuple[str, ...]] = []
    for block in every_block():
        if block.language == "console":
            lines = [shlex.split(line.removeprefix("$ ")) for line in block.text.splitlines()]
            found += [("-m", "agentsim", *words[1:]) for words in lines if words[0] == "agentsim"]
        elif block.language == "python" and "import agentsim" in block.text and block.text != plugin():
            found.append(("-c", block.text))
    return found


def plugin() -> str:
    """Return the file of a rule of one's own, as it is shown."""
    [block] = [block for block in blocks("python") if "@agentsim.register" in block.text]
    return block.text


STEPS = steps()


def agentsim_command(*arguments: str, cwd: Path, path: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return run("-m", "agentsim", *arguments, cwd=cwd, path=path)


def run(*arguments: str, cwd: Path, path: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run Python; the package's own command line, where it is the one under test, in this process."""
    if arguments[:2] == ("-m", "agentsim") and path == ROOT:
        return run_command(*arguments[2:], cwd=cwd, environ={"COLUMNS": "120"})
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(path), "COLUMNS": "120"},
        check=False,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return checked_out(tmp_path)


def checked_out(folder: Path) -> Path:
    shutil.copytree(ROOT / "scenarios", folder / "scenarios")
    for study in (ROOT / "results").glob("example-*"):
        shutil.copytree(study, folder / "results" / study.name, ignore=shutil.ignore_patterns(".cache", "lock"))
    (folder / "my_rules.py").write_text(plugin())
    return folder


def test_the_make_commands_are_there_and_play_the_scenario_they_say(checkout: Path) -> None:
    made = [command[1:] for command in commands() if command[0] == "make"]
    assert made == [["run"], ["test"]]
    for arguments in (*made, ["run", "MODEL=local/smollm2-135m"], ["run", "SCENARIO=scenarios/donor-game.yaml"]):
        plain = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        make = ["make", "-n", "--no-print-directory", *arguments]
        dry = subprocess.run(make, cwd=ROOT, env=plain, capture_output=True, text=True, check=True)
        last = shlex.split(dry.stdout.splitlines()[-1])
        if arguments[0] == "test":
            assert last[0] == ".venv/bin/pytest" and not any(word.startswith(("-k", "-m", "tests")) for word in last)
            continue
        assert last[0] == ".venv/bin/agentsim"
        checked = agentsim_command("check", *[word for word in last[2:] if word != "--pull"], cwd=checkout)
        assert checked.returncode == 0, checked.stderr


class InOrder:
    """Runs what the README says, in its order and in one folder; each step once, after all that stand before it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._done: list[subprocess.CompletedProcess[str]] = []

    def result(self, number: int) -> subprocess.CompletedProcess[str]:
        for step in STEPS[len(self._done) : number + 1]:
            self._done.append(run(*step, cwd=self.folder))
        return self._done[number]


@pytest.fixture(scope="module")
def in_order(tmp_path_factory: pytest.TempPathFactory) -> InOrder:
    return InOrder(checked_out(tmp_path_factory.mktemp("in-order")))


@pytest.mark.timeout(1800)  # the first to run may have all others before it
@pytest.mark.parametrize("number", range(len(STEPS)), ids=[" ".join(step)[:60].splitlines()[0] for step in STEPS])
def test_the_commands_work_in_the_order_they_are_given(in_order: InOrder, number: int) -> None:
    result = in_order.result(number)
    assert result.returncode == 0 and not result.stderr, (STEPS[number], result.stdout, result.stderr)
    if STEPS[number][0] == "-c":
        assert "complete" in result.stdout


def test_every_command_is_among_the_steps() -> None:
    given = [command for command in commands() if command[0] == "agentsim"]
    assert given and len(given) + 2 == len(commands()) and len(STEPS) == len(given) + 1


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.text.splitlines()[0])
def test_the_scenarios_are_sound(block: Block, checkout: Path) -> None:
    (checkout / "shown.yaml").write_text(block.text)
    result = agentsim_command("check", "shown.yaml", cwd=checkout)
    assert result.returncode == 0, result.stderr
    played = ("--model", "scripted/constant-share", "--set", "generations=2", "--seeds", "0", "--quiet")
    assert agentsim_command("run", "shown.yaml", *played, cwd=checkout).returncode == 0


def test_the_mistake_reads_as_shown(checkout: Path) -> None:
    [block] = [block for block in blocks("text") if block.text.startswith("$ agentsim check ")]
    command, *shown = block.text.splitlines()
    path = checkout / shlex.split(command)[-1]
    path.write_text((checkout / "scenarios" / "donor-game.yaml").read_text().replace("generations:", "genrations:"))
    result = agentsim_command("check", path.name, cwd=checkout)
    assert result.returncode == 2
    assert result.stderr.split() == " ".join(shown).split()


def test_the_rule_shown_is_a_rule_with_one_file_beside_the_scenario(checkout: Path) -> None:
    chosen = ("scenarios/donor-game.yaml", "--set", "pairing={kind: neighbours}")
    own = ("--plugin", "my_rules.py")
    checked = agentsim_command("check", *chosen, *own, cwd=checkout)
    assert checked.returncode == 0 and "neighbours" in checked.stdout, checked.stderr
    assert '"neighbours"' in agentsim_command("schema", *own, cwd=checkout).stdout
    played = ("--model", "scripted/constant-share", "--seeds", "0", "--set", "generations=2", "--quiet")
    assert agentsim_command("run", *chosen, *played, *own, cwd=checkout).returncode == 0
    alone = run("-c", "import agentsim.cli; agentsim.cli.main()", "check", *chosen, cwd=checkout)
    assert alone.returncode == 2 and "'neighbours' is unknown" in alone.stderr


def test_the_readme_is_short_and_its_links_hold_on_the_package_index_too() -> None:
    readme = (ROOT / "README.md").read_text()
    assert len(readme.split()) <= 800
    links = re.findall(r"\]\(([^)]+)\)", readme)
    for link in links:
        assert link.startswith("https://"), link
    ours = [re.sub(r"^(?:blob/|tree/)?main/", "", link.partition("agentsim-lab/agentsim/")[2]) for link in links]
    named = [path for path in ours if path]
    assert all((ROOT / path).is_file() for path in named), named
    assert len([path for path in named if path.startswith("docs/") and path.endswith(".md")]) >= 15


def test_the_files_named_are_there() -> None:
    for name in re.findall(r"`(\w[\w/.-]*\.(?:md|yaml|py))`|\]\((docs/[^)]+)\)", GUIDE):
        path = name[0] or name[1]
        if "/" in path:
            assert (ROOT / path).exists(), path
    shipped = {path.name for path in (ROOT / "scenarios").glob("*.yaml")}
    assert all(f"`{name}`" in GUIDE for name in shipped)
    assert "@@" not in GUIDE


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))], ids=lambda path: path.name
)
def test_what_is_named_in_python_is_there(path: Path) -> None:
    for name in set(re.findall(r"`(agentsim(?:\.[A-Za-z_]+)+)(?![\w/.-])", path.read_text())) - set(GROUPS):
        resolve_name(name)
