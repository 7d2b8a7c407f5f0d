"""What is installed from a wheel, far from the repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from importlib import metadata
from pathlib import Path

import agentsim
from agentsim.log.version import VERSION

ROOT = Path(agentsim.__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("agentsim/**/*.py"), ROOT / "Makefile"]


def test_nobody_is_told_to_install_the_other_package_of_this_name() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"] == "agentsim-lab"
    told = [line for page in PAGES for line in re.findall(r"pip install.*", page.read_text("utf-8"))]
    assert any("'agentsim-lab[local]'" in line for line in told)
    for line in told:
        assert not re.search(r"\bagentsim(?![-_\w])", line.partition("`")[0]), line


def test_the_version_installed_is_the_one_that_is_printed() -> None:
    assert metadata.version("agentsim-lab") == VERSION


def test_the_wheel_works_far_from_the_repository(tmp_path: Path) -> None:
    def run(*words: str | Path, cwd: Path = tmp_path) -> str:
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environ |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "COLUMNS": "200"}
        done = subprocess.run(words, capture_output=True, text=True, cwd=cwd, env=environ, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=ROOT)
    [wheel] = tmp_path.glob("agentsim_lab-*.whl")
    assert wheel.stat().st_size < 4_000_000
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    [packages] = (tmp_path / "venv").glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n")  # without what is editable
    command = tmp_path / "venv" / "bin" / "agentsim"
    run(command.with_name("python"), "-m", "pip", "install", "--no-deps", "--no-index", "--ignore-installed", wheel)

    listed = run(command, "examples", "list")
    for kind, pattern in (("scenarios", "**/*.yaml"), ("notebooks", "*.ipynb"), ("results", "example-*/")):
        for path in (ROOT / kind).glob(pattern):
            assert path.relative_to(ROOT).as_posix() in listed
    run(command, "init", "my-study")
    played = ("--model", "scripted/constant-share", "--set", "generations=1", "--seeds", "0", "--quiet")
    run(command, "run", "scenario.yaml", *played, cwd=tmp_path / "my-study")
    assert (tmp_path / "my-study" / "results" / "my-study").is_dir()
    assert str(tmp_path) in run(command.with_name("python"), "-c", "import agentsim; print(agentsim.__file__)")
