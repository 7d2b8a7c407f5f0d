"""Invasions: a few invaders among many residents, every contestant against every other, with and without selection.

An invasion is a scenario like any other: two players, one named resident and one named invader, and newborns that copy
a survivor's strategy and player. If all contestants are scripted, thousands of societies can be played without logs.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from itertools import permutations
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from agentsim.analysis.frames.study import load
from agentsim.analysis.invasions import CONDITIONS, COURSES, Courses, courses_of, described, until_decided
from agentsim.analysis.spread import SEEDS_AT_ONCE, spread
from agentsim.analysis.within import ManyLineages
from agentsim.core.policies import ScriptedPlayer
from agentsim.core.selection import SelectionRule
from agentsim.core.vectorised import play_many, without_twin
from agentsim.errors import ScenarioError
from agentsim.experiments.contestants import Contestant
from agentsim.experiments.plan import ConditionPlan
from agentsim.log.version import VERSION
from agentsim.orchestrator.study import Observer, StudyResult, run
from agentsim.providers.base import Provider
from agentsim.scenario.conditions import Condition, Scenario, digest, identity
from agentsim.scenario.loading import load_scenario, scenario_from
from agentsim.scenario.names import condition_of
from agentsim.scenario.players import ModelPlayer
from agentsim.scenario.runs import RunSpec, runs

__all__ = ["Invasion", "invasion", "logged_courses", "play_logged", "play_unlogged", "provenance", "refuse_unlimited"]

DECIDED: Final = ("players", "transmission", "seeds", "name", "description", "extends")
"""Settings that the invasion decides, so the user cannot set them."""
GENERATIONS: Final = {"scripted": 50, "model": 5}
SEEDS: Final = {"scripted": "0-99", "model": "0-4"}
FIRST_GENERATIONS: Final = 4
"""Generations that all societies are played for before those that are undecided are played for longer."""


@dataclass(frozen=True)
class Invasion:
    """All ordered pairs of contestants under the same rules."""

    contestants: tuple[Contestant, ...]
    data: dict[str, Any]
    """The scenario of all its runs, without the seeds."""
    seeds: tuple[int, ...]

    @property
    def is_scripted(self) -> bool:
        """Whether no model is asked."""
        return not any(isinstance(contestant.player, ModelPlayer) for contestant in self.contestants)

    def scenario(self) -> Scenario:
        """Return the scenario of all runs.

        Raises:
            ScenarioError: it has too many runs, or an account of a model is not known.
        """
        return scenario_from({**self.data, "seeds": list(self.seeds)})

    def specs(self) -> list[RunSpec]:
        """Return the run of each condition under the first seed."""
        return runs(scenario_from({**self.data, "seeds": list(self.seeds[:1])}))


def invasion(
    contestants: Sequence[Contestant],
    *,
    rules: Path | None = None,
    sets: Sequence[str] = (),
    name: str = "invasion",
    agents: int | None = None,
    invaders: int = 1,
    generations: int | None = None,
    selection: str | None = None,
    seeds: str | None = None,
    control: bool | None = None,
) -> Invasion:
    """Return the invasions of every contestant into a population of every other.

    Args:
        contestants: two or more.
        rules: a scenario file that gives the rules, prompts and accounts; its players and its transmission are ignored.
            Without one, agentsim's defaults hold.
        sets: settings of the rules, such as `game.multiplier=3`.
        name: the name of the study and of its folder.
        agents: N, residents and invaders together. Default: as in the rules.
        invaders: k, the number of invaders.
        generations: Default: as in `rules`; without `rules`, 50, or 5 if models play.
        selection: the kind of the selection rule. Default: as in the rules.
        seeds: a range such as `0-99`. Default: 0-99, or 0-4 if models play.
        control: whether everything is played without selection as well. Default: only if all contestants are scripted,
            because without selection an invader is known to take over with probability k/N, and models cost money.

    Raises:
        ScenarioError: a setting is wrong, or is decided by the invasion.
    """
    is_scripted = not any(isinstance(contestant.player, ModelPlayer) for contestant in contestants)
    kind = "scripted" if is_scripted else "model"
    if taken := next((text for text in sets if text.partition("=")[0].split(".")[0].strip() in DECIDED), None):
        raise ScenarioError(f"--set {taken}: is decided by the invasion; remove it")
    asked = [f"seeds={json.dumps(SEEDS[kind] if seeds is None else seeds)}"]
    if generations is not None or rules is None:
        asked.append(f"generations={GENERATIONS[kind] if generations is None else generations}")
    asked += [] if agents is None else [f"agents={agents}"]
    asked += [] if selection is None else [f"selection={{kind: {json.dumps(selection)}}}"]
    base = _base(rules, [*asked, *sets])
    if not 1 <= invaders < base.agents:
        raise ScenarioError(f"--invaders {invaders}: of {base.agents} agents, 1 to {base.agents - 1} can be invaders")
    data = base.model_dump(mode="json", exclude={"vary", "description", "transmission", "selection", "players"})
    societies = [
        [
            resident.playing("resident", agents=base.agents - invaders),
            invader.playing("invader", agents=invaders),
        ]
        for resident, invader in permutations(contestants, 2)
    ]
    data |= {"name": name, "players": societies[0], "vary": {"players": societies}}
    _select(data, base.selection, is_scripted if control is None else control)
    return Invasion(tuple(contestants), data, base.seeds)


def _base(rules: Path | None, sets: Sequence[str]) -> Scenario:
    """Return a scenario with the rules, the seeds and the accounts; who plays in it does not matter."""
    anybody = "scripted/all-keep"
    if rules is None:
        return scenario_from({"name": "invasion", "players": {"model": anybody}}, sets=sets)
    base = load_scenario(rules, sets=[f"players={{model: {anybody}}}", *sets])
    if base.vary:
        raise ScenarioError(
            f"{rules}: vary: an invasion varies only the players; name a scenario that varies nothing, or add"
            " --set vary=null"
        )
    return base


def _select(data: dict[str, Any], rule: SelectionRule, control: bool) -> None:
    """Write selection and copying into the scenario; with `control`, vary them to a form without selection as well.

    Under a rule that does not select by score, those with higher scores are copied more often instead.
    """
    if rule.may_keep_all:
        raise ScenarioError("selection: none: nobody leaves and nobody is copied, so nothing can invade; use another")
    neutral = rule.neutral()
    if neutral is None:
        chances = ["by_score", *(["equal"] if control else [])]
        data |= {"selection": _plain(rule), "transmission": {"kind": "copy", "chances": "by_score"}}
        data["vary"]["transmission.chances"] = chances
    else:
        data |= {"selection": _plain(rule), "transmission": {"kind": "copy"}}
        data["vary"]["selection"] = [_plain(rule), *([_plain(neutral)] if control else [])]


def _plain(rule: SelectionRule) -> dict[str, Any]:
    return {"kind": rule.kind, **rule.model_dump(mode="json", exclude_defaults=True)}


# --- with logs -----------------------------------------------------------------------------------------------------


def play_logged(
    asked: Invasion,
    *,
    results: Path | str,
    new: bool = False,
    fork: Path | str | None = None,
    observer: Observer | None = None,
    provider: Provider | None = None,
) -> StudyResult:
    """Play every run as `agentsim.run` does, or continue those that are not complete."""
    return run(asked.scenario(), results=results, new=new, fork=fork, observer=observer, provider=provider)


def logged_courses(result: StudyResult) -> Courses:
    """Return the courses of the runs that this sitting played; other runs in the folder are ignored.

    Raises:
        LogError: no run is complete.
    """
    study = load(result.folder)
    names = [state.run for state in result.runs if not state.is_refused]
    return courses_of(replace(study, runs=study.runs[study.runs["run"].isin(names)].reset_index(drop=True)))


def refuse_unlimited(plans: Sequence[ConditionPlan], *, budget: float | None) -> None:
    """Refuse to ask models that cost money unless a budget is stated.

    Raises:
        ScenarioError: no budget is stated.
    """
    most = sum(plan.usd.high for plan in plans if plan.usd is not None)
    if most > 0 and budget is None:
        raise ScenarioError(
            f"these invasions may cost up to US$ {most:,.2f}; set a limit with --max-cost, or see only the plan with"
            " --plan"
        )


# --- without logs --------------------------------------------------------------------------------------------------


def play_unlogged(asked: Invasion, *, workers: int = 1) -> Courses:
    """Play invasions of scripted contestants, many seeds of a condition at once, and keep no logs.

    These are the societies that `agentsim.run` would play, seed for seed, however many processes play them.

    Raises:
        ScenarioError: a model would have to be asked, or there are to be no workers.
        AgentsimError: a worker cannot begin, or has died.
    """
    specs = asked.specs()
    conditions, tasks = [], []
    for spec in specs:
        name = condition_of(spec.name)
        rules = json.dumps({path: value for path, value in spec.settings.items() if path != "players"})
        one = described(identity(spec.condition), name=name, rules=rules)
        assert one is not None  # the scenarios made here are all invasions
        conditions.append({**one, "share_lost": 0.0})
        for start in range(0, len(asked.seeds), SEEDS_AT_ONCE):
            tasks.append((name, spec.condition, asked.seeds[start : start + SEEDS_AT_ONCE]))
    played = spread(_played, tasks, workers=workers)
    first: dict[str, ManyLineages] = {}
    for (name, *_), (_, scores) in zip(tasks, played, strict=True):
        first[name] = scores if name not in first else _together(first[name], scores)
    columns = {key: np.concatenate([courses[key] for courses, _ in played]) for key in COURSES if key != "condition"}
    lengths = [len(courses["seed"]) for courses, _ in played]
    names = pd.array([name for name, *_ in tasks], dtype="string").repeat(lengths)
    courses = pd.DataFrame({"condition": names, **columns}).astype(COURSES)
    table = pd.DataFrame(conditions)[list(CONDITIONS)].astype(CONDITIONS)
    alone = dict.fromkeys(what for spec in specs for what in without_twin(spec.condition, _scripted(spec.condition)))
    notes = (f"{', '.join(alone)}: societies were played one by one, which is slow",) if alone else ()
    return Courses(table, courses, notes, first=first)


def _together(*parts: ManyLineages) -> ManyLineages:
    return ManyLineages(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("values", "counts", "is_first"))
    )


def _played(task: tuple[str, Condition, Sequence[int]]) -> tuple[dict[str, NDArray[Any]], ManyLineages]:
    """Return the columns of the courses, and the scores: few arrays, which cost the other process little to read."""
    _, condition, seeds = task
    courses, first = _decided(condition, seeds)
    return {key: courses[key].to_numpy() for key in COURSES if key != "condition"}, first


def _decided(condition: Condition, seeds: Sequence[int]) -> tuple[pd.DataFrame, ManyLineages]:
    """Return the courses of a condition's runs, each until it is decided, and the scores of their first generations.

    Most runs are decided early. So all are played for a few generations, and the undecided ones again from the
    beginning for twice as many, and so on. This is exact, because no generation depends on how many follow.
    """
    frames, left, n = [], list(seeds), min(FIRST_GENERATIONS, condition.generations)
    first: ManyLineages | None = None
    while left:
        played, scores = _courses(condition.model_copy(update={"generations": n}), left)
        first = first or scores
        courses = until_decided(played.assign(condition=""), n_agents=condition.agents)
        ends = courses.groupby("seed")["n_invaders"].last()
        undecided = set(ends.index[~ends.isin([0, condition.agents])]) if n < condition.generations else set()
        frames.append(courses[~courses["seed"].isin(undecided)])
        left = [seed for seed in left if seed in undecided]
        n = min(2 * n, condition.generations)
    assert first is not None  # there are seeds
    return pd.concat(frames, ignore_index=True), first


def _courses(condition: Condition, seeds: Sequence[int]) -> tuple[pd.DataFrame, ManyLineages]:
    many = play_many(condition, _scripted(condition), seeds=seeds)
    invader = next(place for place, player in enumerate(many.players) if str(player.name).startswith("invader"))
    is_invader = many.player == invader
    n_invaders = is_invader.sum(axis=2)
    shape = n_invaders.shape
    with np.errstate(invalid="ignore"):  # the mean score of no invaders is missing
        invader_score = np.where(is_invader, many.scores, 0).sum(axis=2) / n_invaders
        resident_score = np.where(is_invader, 0, many.scores).sum(axis=2) / (condition.agents - n_invaders)
    columns = {
        "seed": np.broadcast_to(np.array(seeds)[:, None], shape),
        "generation": np.broadcast_to(np.arange(1, shape[1] + 1), shape),
        "n_invaders": n_invaders,
        "resident_score": resident_score,
        "invader_score": invader_score,
    }
    frame = pd.DataFrame({name: values.reshape(-1) for name, values in columns.items()})
    scores = many.scores[:, 0].copy()
    return frame, ManyLineages(scores, np.ones(scores.shape), is_invader[:, 0].copy())


def _scripted(condition: Condition) -> list[ScriptedPlayer]:
    """Return the policy of each agent of the first generation."""
    by_label = condition.by_label
    players = [by_label[label] for label in condition.labels]
    scripted = [player for player in players if not isinstance(player, ModelPlayer)]
    if len(scripted) < len(players):
        raise ScenarioError(
            f"{condition.joint_label}: models are asked one by one; play the runs of the scenario instead"
        )
    return scripted


def provenance(asked: Invasion) -> dict[str, Any]:
    """Return, as JSON-able data, all that is needed to repeat invasions that were played without logs."""
    scenario = {**asked.data, "seeds": list(asked.seeds)}
    versions = {"agentsim": VERSION, **{package: metadata.version(package) for package in ("numpy", "pydantic")}}
    return {
        "played": "many societies at once, without logs",
        "scenario": scenario,
        "digests": {condition_of(spec.name): digest(spec.condition, seed=spec.seed) for spec in asked.specs()},
        "versions": {"python": platform.python_version(), "platform": platform.platform(), **versions},
    }
