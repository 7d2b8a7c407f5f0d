"""A plan of a study, written before it is played: who is compared with whom, by what, over which runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from agentsim.analysis.frames.study import load
from agentsim.analysis.measures.outcomes import TAKE_OFF
from agentsim.analysis.preregistration import MEASURES, Contrast, Prereg, text_of
from agentsim.analysis.spending import SPENDINGS
from agentsim.analysis.statistics import ALPHA, least_p
from agentsim.analysis.strata import strata_of
from agentsim.analysis.words import listed
from agentsim.disk.whole_files import make_folder, replace_whole
from agentsim.errors import AgentsimError
from agentsim.log.files import LOG_NAME
from agentsim.log.records import RunStarted, line_of
from agentsim.orchestrator.opening import versions_now
from agentsim.orchestrator.runs import now, run_started
from agentsim.play.rehearsal import rehearsed
from agentsim.scenario.conditions import Scenario, digest
from agentsim.scenario.names import condition_of
from agentsim.scenario.runs import runs

__all__ = ["prereg", "write_prereg"]


def prereg(
    scenario: Scenario,
    *,
    by: str = "model",
    contrasts: Sequence[tuple[str, str]] = (),
    measure: str = "final",
    design: str = "unpaired",
    take_off_at: float = TAKE_OFF,
    equivalence: float | None = None,
    looks: Sequence[int] = (),
    spending: str = "obrien-fleming",
) -> Prereg:
    """Return what is fixed of a scenario before its first run.

    Args:
        scenario: the scenario; its seeds are the runs of each condition, in this order.
        by: the column of `runs` that will group the runs, as in `compare`; players that share societies have no plan.
        contrasts: pairs of groups that will be compared; by default every pair that `compare` would compare.
        measure: the outcome, one of `MEASURES`.
        design: unpaired or paired.
        take_off_at: the threshold of take-off and of the measure time.
        equivalence: a ratio above 1, such as 1.25, if equivalence within it is tested too.
        looks: after how many seeds the results are looked at; by default once, at the end.
        spending: how the 5 % are spent over the looks.

    Raises:
        AgentsimError: a setting is not known, a contrast names no group, or no result could be significant.
        ScenarioError: the scenario or its prompts are wrong.
    """
    _check(measure, design, spending, by, equivalence, take_off_at)
    specs = runs(scenario)
    prompts = rehearsed(spec.condition for spec in specs)
    starts = dict[str, RunStarted]()
    for spec in specs:
        of_condition = prompts[digest(spec.condition, seed=0)]
        start = run_started(spec, scenario.name, prompts=of_condition, accounts={}, versions={})
        starts.setdefault(condition_of(spec.name), start)
    looks = _looks(looks, len(scenario.seeds), design)
    resolved = json.dumps(scenario.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return Prereg(
        scenario=scenario.name,
        scenario_digest=hashlib.sha256(resolved.encode()).hexdigest(),
        prompts_digests={Path(str(start.condition["prompts"])).name: start.prompts_digest for start in starts.values()},
        by=by,
        contrasts=_contrasts(list(starts.values()), by, contrasts),
        measure=measure,
        design=design,
        take_off=take_off_at,
        equivalence=equivalence,
        seeds=tuple(scenario.seeds),
        looks=tuple(looks),
        spending=spending,
        alpha=ALPHA,
        conditions=starts,
        versions=versions_now(),
        time=now(),
    ).sealed()


def write_prereg(plan: Prereg, path: Path) -> Path:
    """Write a plan to a new file.

    Raises:
        AgentsimError: the file exists, or cannot be written.
    """
    if path.exists():
        raise AgentsimError(f"{path}: exists, and a plan is never replaced; name another file with -o, or move it away")
    make_folder(path.parent)
    try:
        replace_whole(path, lambda temporary: temporary.write_text(text_of(plan), encoding="utf-8"))
    except OSError as error:
        raise AgentsimError(f"{path}: cannot be written ({error.strerror}); name another with -o") from error
    return path


def _check(measure: str, design: str, spending: str, by: str, equivalence: float | None, take_off_at: float) -> None:
    for name, value, allowed in (
        ("measure", measure, list(MEASURES)),
        ("design", design, ["unpaired", "paired"]),
        ("spending", spending, list(SPENDINGS)),
    ):
        if value not in allowed:
            raise AgentsimError(f"{name} {value!r}: is not known; take {' or '.join(allowed)}")
    if by == "player":
        raise AgentsimError("by 'player': players that share societies have no plan yet; name a column of runs")
    if equivalence is not None and not 1 < equivalence < float("inf"):
        raise AgentsimError(f"equivalence {equivalence:g}: state a ratio above 1, such as 1.25")
    if not 0 < take_off_at <= 1:
        raise AgentsimError(f"take-off at {take_off_at:g}: state an efficiency above 0 and at most 1")


def _looks(looks: Sequence[int], n_seeds: int, design: str) -> list[int]:
    chosen = list(looks) or [n_seeds]
    if chosen != sorted(set(chosen)) or chosen[0] < 1 or chosen[-1] != n_seeds:
        raise AgentsimError(
            f"looks {', '.join(map(str, chosen))}: state rising numbers of seeds, the last of which is all"
            f" {n_seeds} of the scenario"
        )
    least = least_p(n_seeds, None if design == "paired" else n_seeds)
    if least >= ALPHA:
        raise AgentsimError(
            f"{n_seeds} seeds, {design}: the least p that these can give is {least:.2g}, so no result would say that"
            " groups differ; plan more seeds"
        )
    return chosen


def _contrasts(starts: Sequence[RunStarted], by: str, stated: Sequence[tuple[str, str]]) -> tuple[Contrast, ...]:
    """Return the contrasts in the names that `compare` will use, found as there: from logs with only a first line."""
    with TemporaryDirectory(prefix="agentsim-prereg-") as folder:
        for start in starts:
            (Path(folder) / start.run).mkdir()
            (Path(folder) / start.run / LOG_NAME).write_bytes(line_of(start))
        study = load(folder, cache=False)
    if by not in study.runs:
        raise AgentsimError(f"by {by!r}: runs have no such column; use model, condition or a setting that varies")
    strata = strata_of(study, study.runs, by)
    conditions: dict[str, list[str]] = {}
    for name, condition in zip(strata.names, study.runs["condition"], strict=True):
        conditions.setdefault(str(name), []).append(str(condition))
    for pair in stated:
        if unknown := [name for name in pair if name not in conditions]:
            raise AgentsimError(
                f"contrast: there is no group {unknown[0]!r} by {by!r}; there are {listed(sorted(conditions))}"
            )
    pairs = tuple(stated) or strata.pairs
    if not pairs:
        raise AgentsimError(f"by {by!r} there is only one group, so there is nothing to compare; vary something")
    return tuple(
        Contrast(first=a, second=b, first_conditions=tuple(conditions[a]), second_conditions=tuple(conditions[b]))
        for a, b in pairs
    )
