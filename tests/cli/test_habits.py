"""What a shell's user expects of every command: a version, completion, examples, stated exit codes."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from agentsim.cli import app
from agentsim.log.version import VERSION
from tests.commands import run_command


def every_command(group: Any = None, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each command with its words, such as `("models", "pull")`."""
    top: Any = group or typer.main.get_command(app)
    for name, command in top.commands.items():
        if hasattr(command, "commands"):
            yield from every_command(command, (*words, name))
        else:
            yield (*words, name), command


COMMANDS = dict(every_command())


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_help_ends_with_examples_that_parse_and_with_exit_codes(words: tuple[str, ...]) -> None:
    command = COMMANDS[words]
    head, *examples, codes = command.epilog.split("\n\n")
    assert head == "Examples:" and examples and codes.startswith("Exit codes: 0 ")
    for example in examples:
        program, *arguments = shlex.split(example)
        assert program == "agentsim" and tuple(arguments[: len(words)]) == words
        rest = [argument for argument in arguments[len(words) :] if not argument.endswith("my_rules.py")]
        command.make_context(" ".join(words), [argument for argument in rest if argument != "--plugin"])
    printed = run_command(*words, "--help", environ={"COLUMNS": "80"})
    assert printed.returncode == 0
    lines = " ".join(printed.stdout.split())
    assert examples[0] in lines and codes in lines
    assert max(map(len, printed.stdout.splitlines())) <= 80


def test_the_version_is_that_of_the_package() -> None:
    printed = run_command("--version")
    assert (printed.returncode, printed.stdout, printed.stderr) == (0, f"agentsim {VERSION}\n", "")


def test_a_shell_completes_commands_and_options_and_runs_no_plugin_for_it(tmp_path: Path) -> None:
    plugin = tmp_path / "loud.py"
    plugin.write_text("print('it ran')\n")
    program = [sys.executable, "-c", "import sys; sys.argv[0] = 'agentsim'; from agentsim.cli import main; main()"]
    asked = {"_AGENTSIM_COMPLETE": "complete_bash", "COMP_CWORD": "4"}
    asked["COMP_WORDS"] = f"agentsim run --plugin {plugin} --fo"
    found = subprocess.run(program, env={**os.environ, **asked}, capture_output=True, text=True, check=False)
    assert (found.stdout.split(), found.stderr) == (["--fork"], "")
    assert re.search(r"--install-completion", run_command("--help", environ={"COLUMNS": "80"}).stdout)
