"""What was fixed before a study was played, and which lines of a comparison keep to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import pandas as pd
from pydantic import ValidationError

from agentsim.analysis.frames.columns import KEY
from agentsim.analysis.frames.study import Study
from agentsim.analysis.spending import Spending
from agentsim.analysis.words import listed
from agentsim.core.facts import Frozen
from agentsim.errors import AgentsimError
from agentsim.log.experiment import difference
from agentsim.log.records import RunStarted
from agentsim.scenario.names import condition_of, run_name

__all__ = ["AS_PLANNED", "MEASURES", "Contrast", "Measure", "Prereg", "read_prereg", "text_of"]

Measure = Literal["final", "area", "slope", "time"]
MEASURES: Final[Mapping[str, str]] = {
    "final": "mean final resources of the last generation, as a logarithm",
    "area": "mean over generations of the logarithm of mean final resources",
    "slope": "growth of the logarithm of mean final resources per generation",
    "time": "generations until the take-off threshold is reached, censored at the end",
}
"""What a plan may name as its outcome, for each run."""
AS_PLANNED: Final = "as planned"
MAX_BYTES: Final = 50_000_000


class Contrast(Frozen):
    """Two groups of runs that will be compared: each by the names of its conditions."""

    first: str
    second: str
    first_conditions: tuple[str, ...]
    second_conditions: tuple[str, ...]

    def is_of(self, first: Sequence[str], second: Sequence[str]) -> bool:
        """Return whether two groups of runs, known by their conditions, are these two, in either order."""
        planned = {frozenset(self.first_conditions), frozenset(self.second_conditions)}
        return planned == {frozenset(first), frozenset(second)}


class Prereg(Frozen):
    """What is fixed before the first run."""

    type: Literal["agentsim-prereg"] = "agentsim-prereg"
    version: int = 1
    scenario: str
    scenario_digest: str
    """SHA-256 of the scenario as resolved."""
    prompts_digests: dict[str, str]
    """SHA-256 of each prompt set's files, by the set's name."""
    by: str
    contrasts: tuple[Contrast, ...]
    measure: Measure
    design: Literal["unpaired", "paired"]
    take_off: float
    equivalence: float | None
    """The margin as a ratio, if equivalence is tested too."""
    seeds: tuple[int, ...]
    """In the order in which they are played; each group plays one run with each."""
    looks: tuple[int, ...]
    """How many of the seeds each look has; the last has all."""
    spending: Spending
    alpha: float
    conditions: dict[str, RunStarted]
    """The first record that a log of each condition is to have, under the first seed and without accounts."""
    versions: dict[str, str]
    time: str
    """When it was written; UTC, ISO 8601."""
    digest: str = ""
    """SHA-256 of everything else in this file."""

    def sealed(self) -> Prereg:
        """Return the plan with its digest."""
        content = self.model_dump(mode="json", exclude={"digest"})
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return self.model_copy(update={"digest": hashlib.sha256(text.encode()).hexdigest()})

    @property
    def is_whole(self) -> bool:
        """Whether the plan is looked at only once, at its end."""
        return len(self.looks) == 1

    def contrast_of(self, first: Sequence[str], second: Sequence[str]) -> Contrast | None:
        """Return the planned contrast of two groups, known by the names of their conditions."""
        return next((one for one in self.contrasts if one.is_of(first, second)), None)

    def look_of(self, runs: pd.DataFrame) -> int:
        """Return the last look, from 1, whose runs are all among these complete ones; the first if none is."""
        complete = set(runs["run"])
        conditions = {name for one in self.contrasts for name in (*one.first_conditions, *one.second_conditions)}
        reached = [
            look
            for look, n in enumerate(self.looks, start=1)
            if {run_name(name, seed=seed) for name in conditions for seed in self.seeds[:n]} <= complete
        ]
        return max(reached, default=1)

    def at_look(self, look: int) -> frozenset[int]:
        """Return the seeds of a look, from 1."""
        return frozenset(self.seeds[: self.looks[look - 1]])

    def deviations(self, study: Study, runs: pd.DataFrame, contrast: Contrast, *, look: int) -> Iterator[str]:
        """Yield in what the runs of a contrast's groups are not those that were planned, as parts of a sentence."""
        conditions = {*contrast.first_conditions, *contrast.second_conditions}
        settings, odd, early = dict[str, None](), list[str](), list[str]()
        for key in map(tuple, runs[KEY].to_numpy()):
            started = study.started.get(key)
            if started is None:
                continue
            mismatch = difference(self.conditions[condition_of(started.run)], started)
            if mismatch is not None:
                settings[f"{mismatch.path} was planned as {mismatch.first!r} and is {mismatch.second!r}"] = None
            if started.seed not in self.seeds:
                odd.append(str(started.seed))
            elif started.time < self.time:
                early.append(started.run)
        yield from settings
        if odd:
            yield f"seeds {listed(sorted(dict.fromkeys(odd), key=int))} were not planned"
        if early:
            yield f"begun before the plan was written: {listed(early)}"
        present = set(runs["run"])
        wanted = [run_name(name, seed=s) for name in sorted(conditions) for s in self.seeds[: self.looks[look - 1]]]
        if lacking := [run for run in wanted if run not in present]:
            yield f"planned runs that are not complete: {listed(lacking)}"


def text_of(plan: Prereg) -> str:
    """Return the file of a plan: JSON that a person can read."""
    return json.dumps(plan.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"


def read_prereg(path: str | Path) -> Prereg:
    """Read a plan and check that it is as it was written.

    Raises:
        AgentsimError: there is no such file, it is no plan, or it was edited.
    """
    place = Path(path)
    try:
        if place.stat().st_size > MAX_BYTES:
            raise AgentsimError(f"{place}: is too large for a preregistration; name the file that `prereg` wrote")
        data: Any = json.loads(place.read_text(encoding="utf-8"))
    except OSError as error:
        raise AgentsimError(f"{place}: cannot be read ({error.strerror}); name the file that `prereg` wrote") from error
    except (ValueError, RecursionError) as error:
        raise AgentsimError(f"{place}: is not JSON; name the file that `prereg` wrote") from error
    if not isinstance(data, dict) or data.get("type") != "agentsim-prereg":
        raise AgentsimError(f"{place}: is not a preregistration; name the file that `agentsim prereg` wrote")
    if data.get("version") != 1:
        raise AgentsimError(f"{place}: is of version {data.get('version')!r}, and this agentsim reads 1")
    stated = data.pop("digest", "")
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    if hashlib.sha256(text.encode()).hexdigest() != stated:
        raise AgentsimError(f"{place}: was edited since it was written; restore it, or write another plan")
    try:
        return Prereg.model_validate_json(json.dumps(data | {"digest": stated}))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise AgentsimError(f"{place}: {where}: {first['msg']}; write another plan with `agentsim prereg`") from error
