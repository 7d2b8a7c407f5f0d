"""What `--json` prints: one JSON document on standard output, and nothing else there.

A document is an object that names its `command`; what went wrong before there was anything to tell is an `error` with
its `code`, `message` and `remedy`. Numbers are those of the dataframes, unrounded; one that is missing is null, and one
without bound is "Infinity" or "-Infinity". Everything that is for people, such as progress, goes to standard error.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any, Final

from agentsim import errors
from agentsim.log.version import VERSION

__all__ = ["REMEDIES", "error_code", "plain_value", "print_document", "print_error", "remedy"]

REMEDIES: Final[Mapping[type[BaseException], str]] = {
    errors.AgentsimError: "Change the command as the message says; agentsim COMMAND --help has examples.",
    errors.ScenarioError: "Correct the place that the message names; agentsim check FILE calls no model.",
    errors.PluginError: "Correct the plug-in as the message says, or leave it out.",
    errors.ModelFileError: "Fetch the weights: agentsim models pull local/NAME.",
    errors.ProviderError: "Run the same command again to continue.",
    errors.AuthError: "Set the key, or mend the command that prints it, as the message says; then run the same again.",
    errors.AccountDown: "Run the same command again once the server answers.",
    errors.BadRequest: "Correct the model's name or the setting that the server refuses.",
    errors.BudgetReached: "Run the same command with a higher --max-cost to continue.",
    errors.AnswerError: "Look at the replies, and correct the prompts or the players' settings.",
    errors.LogError: "Name a folder that agentsim wrote; agentsim status FOLDER says what is in it.",
    errors.LogLocked: "Wait until the other process has ended, or let both play with --claim.",
    errors.NotWritten: "Make room on the disk, and run the same command again to continue.",
    errors.SchemaError: "Read the log with the version of agentsim that wrote it.",
    errors.ReplayMismatch: "Begin a new study with --new, or go on with the version of agentsim that wrote the log.",
}
"""What to do about each kind of error; a kind that is not here is treated as the kind above it."""


def print_document(command: str, **parts: Any) -> None:
    """Print the document of a command; parts are dataframes, dataclasses or plain values."""
    _print({"command": command, "agentsim": VERSION, **{name: plain_value(parts[name]) for name in parts}})


def print_error(code: str, message: str, remedy: str) -> None:
    """Print the document of a command that has nothing to tell, because of a mistake or a fault."""
    _print({"agentsim": VERSION, "error": {"code": code, "message": message, "remedy": remedy}})


def error_code(error: BaseException) -> str:
    """Return the name of an error's kind, as `scenario_error`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).lower()


def remedy(error: BaseException) -> str:
    """Return what to do about an error of this kind; its message says it in particular."""
    return next(REMEDIES[kind] for kind in type(error).__mro__ if kind in REMEDIES)


def plain_value(value: Any) -> Any:
    """Return a value as JSON has it: dataframes as rows, paths as text, what is missing as null."""
    if value is None or isinstance(value, bool | str) or (isinstance(value, int) and not isinstance(value, Enum)):
        return value
    if isinstance(value, float):
        return _number(float(value))
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, date):
        return None if str(value) == "NaT" else value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain_value(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "_asdict"):
        return plain_value(value._asdict())
    if hasattr(value, "model_dump"):
        return plain_value(value.model_dump(mode="json"))
    if isinstance(value, Mapping):
        return {str(key): plain_value(one) for key, one in value.items()}
    if hasattr(value, "to_dict"):
        return plain_value(value.to_dict("records"))
    if hasattr(value, "tolist"):  # of numpy
        return plain_value(value.tolist())
    if isinstance(value, Iterable):
        return [plain_value(one) for one in value]
    return None if str(value) == "<NA>" else str(value)


def _number(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def _print(document: Mapping[str, Any]) -> None:
    """Print a document; in ASCII, so that it arrives whole in any encoding and no text in it moves a terminal."""
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")
