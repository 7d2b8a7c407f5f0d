"""Every code block of the README, run as it stands there."""

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

ROOT = Path(agentsim.__file__).parent.parent
README = (ROOT / "README.md").read_text()


class Block(NamedTuple):
    """One fenced block."""

    language: str
    text: str
    before: str
    """The text above it, up to the block before."""


def blocks(language: str) -> list[Block]:
    found, end = [], 0
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL):
        found.append(Block(match[1], match[2], README[end : match.start()]))
        end = match.end()
    assert {block.language for block in found} == {"console", "yaml", "python", "text"}
    return [block for block in found if block.language == language]


def commands() -> list[list[str]]:
    lines = [line for block in blocks("console") for line in block.text.splitlines()]
    assert all(line.startswith("$ ") for line in lines)
    return [shlex.split(line.removeprefix("$ ")) for line in lines]


def agentsim_command(*arguments: str, cwd: Path, path: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "agentsim", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(path), "COLUMNS": "120"},
        check=False,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "scenarios", tmp_path / "scenarios")
    for study in (ROOT / "results").glob("example-*"):
        shutil.copytree(study, tmp_path / "results" / study.name, ignore=shutil.ignore_patterns(".cache", "lock"))
    return tmp_path


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


def test_the_commands_work_in_the_order_they_are_given(checkout: Path) -> None:
    given = [command[1:] for command in commands() if command[0] == "agentsim"]
    assert given and len(given) + 2 == len(commands())
    for arguments in given:
        result = agentsim_command(*arguments, cwd=checkout)
        assert result.returncode == 0 and not result.stderr, (arguments, result.stdout, result.stderr)


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.text.splitlines()[0])
def test_the_scenarios_are_sound(block: Block, checkout: Path) -> None:
    (checkout / "shown.yaml").write_text(block.text)
    result = agentsim_command("check", "shown.yaml", cwd=checkout)
    assert result.returncode == 0, result.stderr
    played = ("--model", "scripted/constant-share", "--set", "generations=2", "--quiet")
    assert agentsim_command("run", "shown.yaml", *played, cwd=checkout).returncode == 0


def test_the_mistake_reads_as_shown(checkout: Path) -> None:
    [block] = [block for block in blocks("text") if block.text.startswith("$ agentsim check ")]
    command, *shown = block.text.splitlines()
    path = checkout / shlex.split(command)[-1]
    path.write_text((checkout / "scenarios" / "donor-game.yaml").read_text().replace("generations:", "genrations:"))
    result = agentsim_command("check", path.name, cwd=checkout)
    assert result.returncode == 2
    assert result.stderr.split() == " ".join(shown).split()


def test_the_notebook_lines_work(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [block] = [block for block in blocks("python") if "import agentsim" in block.text]
    monkeypatch.chdir(checkout)
    exec(block.text, {})
    assert "complete" in capsys.readouterr().out


def test_the_rule_shown_becomes_a_rule_by_one_class_and_one_name(checkout: Path) -> None:
    [block] = [block for block in blocks("python") if "class Neighbours" in block.text]
    changed = checkout / "changed"
    shutil.copytree(ROOT / "agentsim", changed / "agentsim", ignore=shutil.ignore_patterns("__pycache__"))
    module = changed / "agentsim" / "core" / "pairing.py"
    before, union, after = module.read_text().partition("PairingRule = Annotated[")
    rule = block.text[block.text.index("class Neighbours") :]
    module.write_text(f"{before}{rule}\n\n{union}Neighbours | {after}")
    chosen = ("scenarios/donor-game.yaml", "--set", "pairing={kind: neighbours}")
    checked = agentsim_command("check", *chosen, cwd=checkout, path=changed)
    assert checked.returncode == 0 and "neighbours" in checked.stdout, checked.stderr
    assert '"neighbours"' in agentsim_command("schema", cwd=checkout, path=changed).stdout
    played = ("--model", "scripted/constant-share", "--seeds", "0", "--set", "generations=2", "--quiet")
    assert agentsim_command("run", *chosen, *played, cwd=checkout, path=changed).returncode == 0
    assert agentsim_command("check", *chosen, cwd=checkout).returncode == 2  # without the rule there is no such kind


def test_the_files_named_are_there() -> None:
    for name in re.findall(r"`(\w[\w/.-]*\.(?:md|yaml|py))`|\]\((docs/[^)]+)\)", README):
        path = name[0] or name[1]
        if "/" in path or path.endswith(".md"):
            assert (ROOT / path).exists(), path
    shipped = {path.name for path in (ROOT / "scenarios").glob("*.yaml")}
    assert all(f"`{name}`" in README for name in shipped)
    assert "@@" not in README


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.name
)
def test_what_is_named_in_python_is_there(path: Path) -> None:
    for name in set(re.findall(r"`(agentsim(?:\.[A-Za-z_]+)+)(?![\w/.-])", path.read_text())):
        resolve_name(name)
