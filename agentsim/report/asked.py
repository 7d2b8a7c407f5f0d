"""What models were asked: of each condition one run's prompts, the first and the last of each kind of question."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from agentsim.analysis.foreign import one_line, verbatim
from agentsim.analysis.frames.study import Study
from agentsim.log.files import LOG_NAME

__all__ = ["Asked", "asked"]

MAX_CONDITIONS: Final = 12
MAX_PROMPT: Final = 30_000
"""The most characters of a prompt in the page; the log has all of them."""
MAX_LOG: Final = 200_000_000
"""The most bytes of a log that is looked through."""


class Asked(NamedTuple):
    """One prompt, as it was sent, and the reply."""

    condition: str
    what: str
    messages: tuple[tuple[str, str], ...]
    """Role and text of each message."""
    reply: str


def asked(study: Study) -> list[Asked]:
    """Return examples of the prompts of each condition that asked a model, of its first run with replies."""
    runs = study.runs[study.runs["n_replies"].fillna(0) > 0]
    first = runs.assign(label=study.conditions(runs)).drop_duplicates("label")
    rows = islice(first.to_dict("records"), MAX_CONDITIONS)
    return [one for row in rows for one in _of_run(study, str(row["study"]), str(row["run"]), str(row["label"]))]


def _of_run(study: Study, name: str, run: str, condition: str) -> Iterator[Asked]:
    if (name, run) not in study.started:
        return
    path = study.folders[name] / run / LOG_NAME
    first: dict[str, bytes] = {}
    last: dict[str, bytes] = {}
    n_bytes = 0
    try:
        with path.open("rb") as log:
            for line in log:
                n_bytes += len(line)
                if n_bytes > MAX_LOG:
                    break
                found = KEYED.match(line)
                if found is not None:
                    kind = NUMBERS.sub("", found.group(1).decode("utf-8", "replace"))
                    first.setdefault(kind, line)
                    last[kind] = line
    except OSError:
        return
    for kind, line in first.items():
        yield from _read([line] if last[kind] == line else [line, last[kind]], condition)


KEYED: Final = re.compile(rb'\{"type":"reply","key":"([^"]*)"')
NUMBERS: Final = re.compile(r"\d+(?:_\d+)*")


def _read(lines: Sequence[bytes], condition: str) -> Iterator[Asked]:
    for line in lines:
        try:
            record: Any = json.loads(line)
            messages = tuple(
                (one_line(message["role"]), _cut(verbatim(str(message["content"]))))
                for message in record["prompt"]["messages"]
            )
            yield Asked(
                one_line(condition),
                one_line(record["key"]),
                messages,
                _cut(verbatim(str(record["completion"].get("text", "")))),
            )
        except (ValueError, LookupError, TypeError, AttributeError):
            continue


def _cut(text: str) -> str:
    return text if len(text) <= MAX_PROMPT else f"{text[:MAX_PROMPT]} […{len(text) - MAX_PROMPT:,} more characters]"
