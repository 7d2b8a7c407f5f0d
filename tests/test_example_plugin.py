"""The package in examples/plugin, installed into an environment of its own, used, and removed again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

import pytest

import agentsim

ROOT = Path(agentsim.__file__).parent.parent
EXAMPLE = ROOT / "examples" / "plugin"


COMMANDS = """
import json, sys
from tests.commands import run_command
done = (run_command(*words) for words in json.loads(sys.argv[1]))
print(json.dumps([(each.returncode, each.stdout, each.stderr) for each in done]))
"""


class Done(NamedTuple):
    """A command that has ended."""

    returncode: int
    stdout: str
    stderr: str


class Environment:
    """A fresh environment, which sees what is installed here but nothing that it installs itself is seen here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
        self.python = folder / "venv" / "bin" / "python"
        [packages] = (folder / "venv").glob("lib/python*/site-packages")
        (packages / "here.pth").write_text(f"{ROOT}\n{sysconfig.get_paths()['purelib']}\n")
        self.source = Path(shutil.copytree(EXAMPLE, folder / "plugin"))

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "COLUMNS": "300", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        command = [self.python, *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=self.folder, env=environ, check=False)

    def agentsim(self, *commands: tuple[str | Path, ...]) -> list[Done]:
        """Run commands, one after the other, in a process of this environment."""
        done = self.run("-c", COMMANDS, json.dumps([[str(word) for word in words] for words in commands]))
        assert done.returncode == 0, done.stderr
        return [Done(*each) for each in json.loads(done.stdout)]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """One that has the package, for tests that leave it there."""
    return installed_in(tmp_path_factory.mktemp("installed"))


def installed_in(folder: Path) -> Environment:
    made = Environment(folder)
    options = ("--no-build-isolation", "--no-deps", "--no-index", "--quiet")  # from this machine alone
    installed = made.run("-m", "pip", "install", *options, made.source)
    assert installed.returncode == 0, installed.stderr
    return made


def test_its_own_tests_pass(environment: Environment) -> None:
    tested = environment.run(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", environment.source / "tests"
    )
    assert tested.returncode == 0, tested.stdout


def test_what_it_brings_is_listed_with_where_it_is_from(environment: Environment) -> None:
    brought = {
        "rules": "selection: elite",
        "policies": "scripted/matching",
        "games": "give_some",
        "providers": "half",
    }
    names = ("scripted/matching", "scripted/all-keep", "--agents", "4", "--generations", "2", "--seeds", "0-1")
    commands = [*(("list", what) for what in brought), ("schema",), ("invade", *names)]
    *lists, schema, invaded = environment.agentsim(*commands)
    for listed, name in zip(lists, brought.values(), strict=True):
        [own] = [line for line in listed.stdout.splitlines() if name in line]
        assert "agentsim-example 0.1.0" in own, own
    assert {"Elite", "Matching", "GiveSome"} <= set(json.loads(schema.stdout)["$defs"])
    assert invaded.returncode == 0, invaded.stderr
    assert invaded.stdout.count("societies were played one by one") == 1


def test_its_scenario_is_played_and_without_it_each_command_says_what_is_missing(tmp_path: Path) -> None:
    environment = installed_in(tmp_path)
    scenario = environment.source / "elite.yaml"
    played = environment.run("-m", "agentsim", "run", scenario, "--quiet")
    assert played.returncode == 0, played.stderr
    logs = sorted((environment.folder / "results" / "elite").glob("*/log.jsonl"))
    assert len(logs) == 2
    [plugin] = json.loads(logs[0].read_text().splitlines()[0])["plugins"]
    assert (plugin["name"], plugin["version"], plugin["source"]) == ("agentsim-example", "0.1.0", "package")
    assert plugin["gives"] == ["policy scripted/matching", "selection elite"]

    changes = ("game={kind: give_some, rounds: 3}", "name=given", "seeds=[0]", "generations=2")
    sets = [word for change in changes for word in ("--set", change)]
    replayed, shown, asked, replayed_too = environment.agentsim(
        ("replay", "results/elite"),
        ("show", "results/elite"),
        ("run", scenario, *sets, "--model", "half/any", "--quiet"),
        ("replay", "results/given"),
    )
    assert replayed.returncode == shown.returncode == 0
    assert asked.returncode == 0, asked.stderr
    assert replayed_too.stdout.count(": exact") == 1
    [log] = environment.folder.glob("results/given/*/log.jsonl")
    moved = [json.loads(line) for line in log.read_text().splitlines()]
    assert {record["level"] for record in moved if record["type"] == "moved"} == {0.5}

    removed = environment.run("-m", "pip", "uninstall", "--yes", "--quiet", "agentsim-example")
    assert removed.returncode == 0, removed.stderr
    reading = [(word, "results/elite") for word in ("show", "report", "compare", "replay")]
    refused, *unread, replayed = environment.agentsim(("run", scenario, "--quiet"), *reading)
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    said = " ".join(refused.stderr.split())
    assert "selection.kind: 'elite' is unknown; allowed: top" in said and "an installed package brings" in said
    for each, (word, _) in zip(unread, reading, strict=False):
        said = " ".join(each.stderr.split())
        assert each.returncode == 2, word
        assert "selection 'elite' of the plug-in 'agentsim-example' 0.1.0, which is not here" in said, said
        assert "install the package agentsim-example" in said
    assert replayed.returncode == 1 and "install the package agentsim-example" in " ".join(replayed.stdout.split())
