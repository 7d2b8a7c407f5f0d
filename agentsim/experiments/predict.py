"""Forecasts from a probe: what societies of its model should do under other selection, and what logged ones did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from agentsim.analysis.forecast import Forecast, Threshold, forecast, scored, selections, threshold
from agentsim.analysis.frames.study import Study, load
from agentsim.analysis.kernel import Kernel, kernel_of
from agentsim.analysis.probes import Probe, load_probe
from agentsim.core.rules import SocietyRules
from agentsim.errors import ScenarioError
from agentsim.scenario.conditions import Condition
from agentsim.scenario.loading import scenario_from

__all__ = ["Prediction", "predict"]

Floats = NDArray[np.float64]

LOGGED: Final = {"rule": "string", "run": "string", "generation": "Int64", "level": "Float64"}
MOST_VALUES: Final = 50


@dataclass(frozen=True, eq=False)
class Prediction:
    """A forecast, beside what logged societies did."""

    probe: Probe
    kernel: Kernel
    found: Forecast
    threshold: Threshold | None
    logged: pd.DataFrame
    """One row for each run and generation of the studies that were named: `rule`, the condition; `run`, `generation`,
    `level`, the mean level of its acts."""
    scores: pd.DataFrame
    """How well the forecast did in these runs: see `forecast.scored`."""
    notes: tuple[str, ...]


def predict(
    source: Path | str,
    *,
    studies: Sequence[Path | str] = (),
    sets: Sequence[str] = (),
    over: str | None = None,
    values: Sequence[float] = (),
    at: float = 0.5,
    start: float | None = None,
    seed: int = 0,
) -> Prediction:
    """Play societies whose newborns are drawn from the kernel that a probe measured.

    Args:
        source: the folder of a probe with children.
        studies: folders of studies; each of their conditions is forecast too, and the forecast is scored.
        sets: settings over the probe's rules, such as `groups.number=5`; those of studies' conditions stay.
        over: a setting that is varied, as `groups.weight`, to find where the level of the last generation crosses `at`.
        values: of that setting, in rising order.
        at: a level in (0, 1).
        start: the level of all first agents; by default founders' levels, else those of studies' first generations.

    Raises:
        LogError: a folder cannot be read, or the probe has no families.
        ScenarioError: rules that the forecast does not know, or nothing says with which levels societies begin.
    """
    probe = load_probe(source)
    kernel = kernel_of(probe.name, probe.subjects, probe.levels)
    study = load(*studies) if studies else None
    base = _rules(probe, sets)
    rules = selections(base)
    notes: list[str] = []
    logged = {} if study is None else _logged(study, probe, notes)
    conditions = {} if study is None else _conditions(study, logged)
    rules |= conditions
    if start is not None and not 0 <= start <= 1:
        raise ScenarioError(f"--start {start:g}: is a level, between 0 and 1")
    first, first_seen = _first(kernel, study, logged, rules, start)
    notes += _doubts(probe, kernel, rules)
    found = forecast(kernel, rules, first=first, seed=seed)
    crossing = None
    if over is not None:
        _check_values(over, values, at)
        of_values = [_rules(probe, [*sets, f"{over}={value:g}"]) for value in values]
        levels = None if first is None else next(iter(first.values()))
        crossing = threshold(kernel, of_values, values, setting=over, first=levels, at=at, seed=seed)
    rows = [
        {"rule": rule, "run": run, "generation": place + 1, "level": level}
        for rule, runs in logged.items()
        for run, levels in runs.items()
        for place, level in enumerate(levels)
    ]
    courses = {rule: np.array(list(runs.values())) for rule, runs in logged.items()}
    return Prediction(
        probe,
        kernel,
        found,
        crossing,
        logged=pd.DataFrame(rows, columns=list(LOGGED)).astype(LOGGED),
        scores=scored(found, courses, first_seen=first_seen),
        notes=tuple(notes),
    )


def _rules(probe: Probe, sets: Sequence[str]) -> SocietyRules:
    """Return the rules under which the probe was asked, changed by settings; who plays does not matter here."""
    stated = {key: value for key, value in probe.started.condition.items() if key in SocietyRules.model_fields}
    data = {**stated, "name": "predicted", "seeds": [0], "players": {"model": "scripted/constant-share"}}
    return scenario_from(data, sets=sets).told


def _check_values(over: str, values: Sequence[float], at: float) -> None:
    if not 2 <= len(values) <= MOST_VALUES or list(values) != sorted(set(values)):
        raise ScenarioError(
            f"--values: {over} needs 2 to {MOST_VALUES} different values in rising order, as --values 0,0.25,0.5,0.75,1"
        )
    if not 0 < at < 1:
        raise ScenarioError(f"--at {at:g}: is a level, above 0 and below 1")


def _logged(study: Study, probe: Probe, notes: list[str]) -> dict[str, dict[str, list[float]]]:
    """Return the mean levels of complete runs, generation by generation, by condition and run."""
    seen = probe.design.source.split(",")[0]
    complete = study.runs[study.runs["status"] == "complete"]
    if len(complete) < len(study.runs):
        notes.append(f"{len(study.runs) - len(complete)} runs that are not complete are left out.")
    several = len(study.folders) > 1
    logged: dict[str, dict[str, list[float]]] = {}
    for row, condition in zip(complete.to_dict("records"), study.conditions(complete), strict=True):
        if f"{row['study']}/{row['run']}" == seen:
            notes.append(f"{seen} is left out: the kernel's parents are from it.")
            continue
        is_of_run = (study.generations["study"] == row["study"]) & (study.generations["run"] == row["run"])
        levels = study.generations[is_of_run].sort_values("generation")["mean_fraction"]
        rule = f"{row['study']}/{condition}" if several else str(condition)
        logged.setdefault(rule, {})[f"{row['study']}/{row['run']}"] = levels.to_numpy(
            dtype=float, na_value=np.nan
        ).tolist()
    return logged


def _conditions(study: Study, logged: dict[str, dict[str, list[float]]]) -> dict[str, SocietyRules]:
    rules = {}
    for rule, runs in logged.items():
        name, run = next(iter(runs)).split("/", 1)
        rules[rule] = Condition.model_validate(study.started[name, run].condition).told
    return rules


def _first(
    kernel: Kernel,
    study: Study | None,
    logged: dict[str, dict[str, list[float]]],
    rules: dict[str, SocietyRules],
    start: float | None,
) -> tuple[dict[str, Floats] | None, bool]:
    """Return, by rule, levels from which those of first agents are drawn, and whether they are the studies' own."""
    if start is not None:
        return dict.fromkeys(rules, np.array([start])), False
    if len(kernel.founders):
        return None, False
    if study is None or not logged:
        raise ScenarioError(
            "nothing says with which levels societies begin: ask the probe for --founders, name a study whose first"
            " generation begins so, or state a level with --start"
        )
    agents = study.agents[study.agents["generation"] == 1]
    run = agents["study"] + "/" + agents["run"]
    by_rule = {
        rule: agents.loc[run.isin(list(runs)), "mean_fraction"].dropna().to_numpy(dtype=float)
        for rule, runs in logged.items()
    }
    pooled = np.concatenate(list(by_rule.values()))
    return {rule: by_rule.get(rule, pooled) for rule in rules}, True


def _doubts(probe: Probe, kernel: Kernel, rules: dict[str, SocietyRules]) -> list[str]:
    """Return what a reader should know before believing the forecast."""
    notes = []
    n_without = int(probe.families["n_without"].sum())
    if n_without:
        notes.append(f"{n_without} newborns or founders without a level are in no distribution.")
    if not probe.is_complete:
        notes.append("The probe is not complete; the same command of agentsim probe continues it.")
    if any(len(node) == 1 for node in kernel.nodes):
        notes.append(
            "At some levels one family was asked: what parents of one level differ by is not in the band; ask more"
            " families for it."
        )
    n_shown = {_n_shown(rule) for rule in rules.values()}
    asked = sorted(set(probe.families["n_parents"].dropna()) - {0})
    if any(shown != size for shown in n_shown if shown for size in asked):
        notes.append(
            f"Newborns of the probe saw {_listed(asked)} parents, those of these societies see"
            f" {_listed(sorted(n_shown - {0}))}; the kernel is taken at the mean level of the parents."
        )
    low, high = kernel.parents.min(), kernel.parents.max()
    if low > 0.1 or high < 0.9:
        notes.append(f"Parents' levels were {low:.2f} to {high:.2f}; beyond these the kernel is that of the outermost.")
    return notes


def _n_shown(rules: SocietyRules) -> int:
    """Return how many strategies a newborn is shown; 0: it copies one."""
    learning: Any = rules.transmission
    if learning.copies:
        return 0
    if not learning.shows_all:
        return int(getattr(learning, "n", 1))
    return rules.agents if rules.learns_from_everyone else rules.n_survivors


def _listed(numbers: Sequence[int]) -> str:
    return " or ".join(str(number) for number in numbers)
