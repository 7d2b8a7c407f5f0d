"""What is installed from a wheel, far from the repository."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import agentsim
from agentsim.version import VERSION

ROOT = Path(agentsim.__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("agentsim/**/*.py"), ROOT / "Makefile"]


def test_nobody_is_told_to_install_the_other_package_of_this_name() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"] == "agentsim-lab"
    told = [line for page in PAGES for line in re.findall(r"pip install.*", page.read_text("utf-8"))]
    assert any("'agentsim-lab[local]'" in line for line in told)
    for line in told:
        assert not re.search(r"\bagentsim(?![-_\w])", line.partition("`")[0]), line


def test_the_version_installed_is_the_one_that_is_printed() -> None:
    assert metadata.version("agentsim-lab") == VERSION
