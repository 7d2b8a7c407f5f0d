"""The frame of every page: one file, everything inline, and a policy that lets nothing else run or load.

Only scripts whose hash is in the page's policy (`Content-Security-Policy`) may run. Models' text is data in a JSON
block and is drawn as text; the templates escape untrusted text elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from agentsim.disk.whole_files import replace_whole
from agentsim.errors import AgentsimError

__all__ = ["packaged", "rendered", "write"]


def rendered(template: str, context: Mapping[str, Any], *, scripts: Sequence[str] = ()) -> str:
    """Return a template of this package, rendered with the package's style and `scripts`."""
    style = packaged("style.css")
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        loader=FunctionLoader(packaged),
    )
    shell = {
        "policy": _policy(style, scripts),
        "style": Markup(style),  # checked by `packaged`
        "scripts": [Markup(script) for script in scripts],
    }
    return environment.get_template(template).render({**context, **shell})


def write(text: str, path: Path) -> Path:
    """Write a page atomically and return its path.

    Raises:
        AgentsimError: the file cannot be written.
    """
    if path.is_dir():
        raise AgentsimError(f"{path}: is a folder; name a file, such as {path / 'report.html'}")
    data = text.encode("utf-8", "replace")
    try:
        replace_whole(path, lambda temporary: temporary.write_bytes(data))
    except OSError as error:
        raise AgentsimError(f"{path}: cannot be written ({error.strerror}); name another file with -o") from error
    return path


def packaged(name: str) -> str:
    """Return a file of this package; a script or style that would end its HTML element is an error."""
    text = files("agentsim.report").joinpath(name).read_text(encoding="utf-8")
    if not name.endswith(".j2") and "</s" in text.lower():
        raise ValueError(f"{name}: would end its HTML element")
    return text


def _policy(style: str, scripts: Sequence[str]) -> str:
    hashes = " ".join(_hash(script) for script in scripts) or "'none'"
    return (
        f"default-src 'none'; script-src {hashes}; style-src {_hash(style)}; img-src data:; base-uri 'none';"
        " form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
