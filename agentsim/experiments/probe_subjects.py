"""The strategies that a probe asks: those of a run's generation, of its survivors, or texts that the user states."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import fsum
from pathlib import Path
from typing import Any, Final, NamedTuple

from agentsim.core.facts import Agent, Donated, GenerationEnded, Moved, StrategyFormed
from agentsim.core.games import DonorGame
from agentsim.core.probe_design import Subject
from agentsim.core.rng import stream
from agentsim.errors import LogError, ScenarioError
from agentsim.log.files import LOG_NAME
from agentsim.log.reading import read_log
from agentsim.log.records import Record, RunFinished, RunStarted
from agentsim.log.study_file import read_study_file
from agentsim.scenario.conditions import Condition, Scenario
from agentsim.scenario.loading import scenario_from
from agentsim.scenario.players import only_player

__all__ = ["Found", "chosen", "of_levels", "of_run", "of_texts", "parents_of", "policy_of", "spread"]

MAX_NAMED: Final = 20
"""The most names that an error lists."""


class Found(NamedTuple):
    """A generation of a run, and the scenario under which its strategies can be asked."""

    scenario: Scenario
    run: str
    generation: int
    subjects: tuple[Subject, ...]
    """The generation's strategies, best first; for a scripted run only its policy."""
    survivors: tuple[str, ...]
    """Agents that were selected, or would have been after the last generation; best first."""
    everyone: tuple[tuple[Subject, float], ...] = ()
    """All agents that lived until then and stated a strategy, with the mean level of what they did: of each the
    strategy that it had first, and the score of its first generation."""


def of_run(study: Path, *, run: str | None, generation: int | None, name: str, model: str | None = None) -> Found:
    """Read a generation of a run from its log; by default the last one of a complete run.

    Args:
        study: the study's folder.
        run: the run's name; it may be left out if there is only one.
        generation: from 1.
        name: the probe's name.
        model: is asked instead of the run's own model.

    Raises:
        LogError: there is no such study, run or generation, or its log cannot be used.
        ScenarioError: this agentsim cannot play the run's condition, or `model` is named and a policy played the run.
    """
    folder = _run_folder(study, run)
    records = read_log(folder).records
    started = records[0] if records else None
    if not isinstance(started, RunStarted):
        raise LogError(f"{folder}: its log does not begin with run_started; restore it")
    if started.probe is not None:
        raise LogError(f"{study}: is itself a probe; name the study that its strategies are from")
    ended = _ended(
        [record for record in records if isinstance(record, GenerationEnded)],
        where=f"{study}/{folder.name}",
        generation=generation,
        is_complete=isinstance(records[-1], RunFinished),
    )
    formed = [record for record in records if isinstance(record, StrategyFormed)]
    agents = {record.agent.id: record.agent for record in formed if record.generation <= ended.generation}
    if len(started.players) > 1:
        agents = {name: agent for name, agent in agents.items() if agent.label == _one_of(started, model)}
    scenario = _scenario(study, started, name=name, model=model)
    return Found(
        scenario=scenario,
        run=folder.name,
        generation=ended.generation,
        subjects=_subjects(scenario, ended, agents),
        survivors=ended.survivors or _would_survive(scenario, ended, seed=started.seed),
        everyone=tuple(_with_levels(records, until=ended.generation, agents=set(agents))),
    )


def chosen(source_run: Found, agents: Sequence[str]) -> tuple[Subject, ...]:
    """Return the strategies of these agents; of all if none is named.

    Raises:
        LogError: an agent does not live in the generation.
    """
    by_name = {subject.name: subject for subject in source_run.subjects}
    for agent in agents:
        if agent not in by_name:
            raise LogError(
                f"no agent {agent!r} lived in generation {source_run.generation} of {source_run.run}; there were"
                f" {_listed(by_name)}"
            )
    return tuple(by_name[agent] for agent in dict.fromkeys(agents)) or source_run.subjects


def parents_of(source_run: Found, agents: Sequence[str]) -> tuple[Subject, ...]:
    """Return these agents as parents; by default the generation's survivors."""
    return tuple(
        subject.model_copy(update={"role": "parent"}) for subject in chosen(source_run, agents or source_run.survivors)
    )


def spread(source_run: Found, *, size: int, n: int) -> tuple[Subject, ...]:
    """Return parents for `n` families of `size`, each of agents of about one level, spread evenly over the levels of
    the run.

    Raises:
        ScenarioError: the run has too few agents with a strategy that did something.
    """
    left = sorted(source_run.everyone, key=lambda one: (one[1], one[0].name))
    if len(left) < size * n or not left:
        raise ScenarioError(
            f"--families: {source_run.run} has {len(left)} agents with a strategy and a decision up to generation"
            f" {source_run.generation}, too few for {n} families of {size}; name fewer, or a later generation"
        )
    low, high = left[0][1], left[-1][1]
    parents: list[Subject] = []
    for number in range(n):
        aim = low + (high - low) * (number / (n - 1) if n > 1 else 0.5)
        nearest = sorted(left, key=lambda one: (abs(one[1] - aim), one[0].name))[:size]
        parents += [subject.model_copy(update={"role": "parent"}) for subject, _ in nearest]
        left = [one for one in left if one not in nearest]
    return tuple(parents)


def of_levels(levels: Sequence[float], rules: Condition, *, size: int) -> tuple[str, ...]:
    """Return the words of parents that give these shares to everyone, `size` of each.

    Raises:
        ScenarioError: it is not the donor game.
    """
    if not isinstance(rules.game, DonorGame):
        raise ScenarioError(
            f"--levels: are shares given in the donor game, and game.kind is {rules.game.kind}; state parents with"
            " --strategy"
        )
    is_fixed = rules.game.gift.yes is not None
    words = "to give in {:g}% of all rounds" if is_fixed else "to give {:g}% of my units in each round"
    return tuple(f"{words.format(level * 100)}, whoever the recipient is" for level in levels for _ in range(size))


def of_texts(
    texts: Sequence[str], *, max_chars: int, is_parent: bool, persona: str | None = None
) -> tuple[Subject, ...]:
    """Return stated texts as strategies of agents of a persona, truncated at the same length as agents' strategies.

    Raises:
        ScenarioError: a text is empty.
    """
    for text in texts:
        if not text.strip():
            raise ScenarioError("--strategy: is empty; write what an agent would say, as 'to give half to everyone'")
    role: Any = "parent" if is_parent else "strategy"
    return tuple(
        Subject(name=f"text-{number}", strategy=text.strip()[:max_chars], role=role, persona=persona)
        for number, text in enumerate(texts, start=1)
    )


def _run_folder(study: Path, run: str | None) -> Path:
    names = sorted(path.parent.name for path in study.glob(f"*/{LOG_NAME}"))
    if not names:
        raise LogError(f"{study}: holds no runs; name the folder of a study, such as results/quickstart")
    if run is None and len(names) > 1:
        raise LogError(f"{study}: holds {len(names)} runs; choose one with --run: {_listed(names)}")
    if run is not None and run not in names:
        raise LogError(f"{study}: has no run {run!r}; it has {_listed(names)}")
    return study / (run or names[0])


def _ended(
    ends: Sequence[GenerationEnded], *, where: str, generation: int | None, is_complete: bool
) -> GenerationEnded:
    if not is_complete and (generation is None or generation > len(ends)):
        some = f"; or probe a generation that has ended, with --generation 1 to {len(ends)}" if ends else ""
        raise LogError(f"{where}: is not finished; continue it with agentsim run{some}")
    if generation is None:
        return ends[-1]
    if not 1 <= generation <= len(ends):
        raise LogError(f"{where}: has no generation {generation}; it has 1 to {len(ends)}")
    return ends[generation - 1]


def _scenario(study: Path, started: RunStarted, *, name: str, model: str | None) -> Scenario:
    """Return the run's condition as a scenario of its own, with the accounts its study used."""
    file = read_study_file(study)
    providers = {} if file is None else file.scenario.get("providers", {})
    condition = dict(started.condition)
    if len(started.players) > 1:
        player = condition["players"][started.players.index(_one_of(started, model))]
        condition["players"] = {key: value for key, value in player.items() if key not in ("agents", "name")}
    elif model is not None:
        if str(condition["players"]["model"]).startswith("scripted/"):
            raise ScenarioError(
                f"--model {model}: the strategies of {started.run} are a policy, not texts; state one with --strategy"
                " and a scenario file"
            )
        condition["players"] = {**condition["players"], "model": model}
    return scenario_from({**condition, "name": name, "seeds": [started.seed], "providers": providers})


def _with_levels(records: Sequence[Record], *, until: int, agents: set[str]) -> Iterator[tuple[Subject, float]]:
    """Yield these agents with the mean level of their moves that can be read, in the donor game of what they gave."""
    levels: dict[str, list[float]] = {}
    formed: dict[str, StrategyFormed] = {}
    scores: dict[str, float] = {}
    for record in records:
        if getattr(record, "generation", until) > until:
            continue
        if isinstance(record, StrategyFormed):
            formed.setdefault(record.agent.id, record)
        elif isinstance(record, GenerationEnded):
            scores = dict(record.scores) | scores
        elif isinstance(record, Donated | Moved) and record.problem is None and record.intended is None:
            donor, level = (
                (record.donor, record.fraction) if isinstance(record, Donated) else (record.actor, record.level)
            )
            if level is not None:
                levels.setdefault(donor, []).append(level)
    for name, first in formed.items():
        if name in agents and first.agent.strategy is not None and name in levels:
            subject = Subject(
                name=name,
                strategy=first.agent.strategy,
                generation=first.generation,
                score=scores.get(name),
                persona=first.agent.persona,
            )
            yield subject, fsum(levels[name]) / len(levels[name])


def _one_of(started: RunStarted, model: str | None) -> str:
    """Return the label of the player that `model` names in a mixed society.

    Raises:
        ScenarioError: no player is named, or no player of that name played.
    """
    if model not in started.players:
        what = "several models play" if model is None else f"{model!r} does not play"
        names = ", ".join(repr(player) for player in started.players)
        raise ScenarioError(f"{started.run}: {what}; say with --model whose strategies are asked: {names}")
    return model


def _subjects(condition: Condition, ended: GenerationEnded, agents: dict[str, Agent]) -> tuple[Subject, ...]:
    if not condition.model_players:
        return (policy_of(condition),)
    best_first = sorted((name for name in ended.scores if name in agents), key=lambda name: -ended.scores[name])
    return tuple(
        Subject(
            name=name,
            strategy=agents[name].strategy,
            generation=ended.generation,
            score=ended.scores[name],
            persona=agents[name].persona,
        )
        for name in best_first
    )


def policy_of(condition: Condition) -> Subject:
    """Return a scripted player's policy as the only subject."""
    name = only_player(condition.players).model.removeprefix("scripted/")
    return Subject(name=name, strategy=None)


def _would_survive(condition: Condition, ended: GenerationEnded, *, seed: int) -> tuple[str, ...]:
    """Return who would be selected after the last generation, by the society's own rule."""
    return condition.selection.survivors(ended.scores, stream(seed, "selection", ended.generation))


def _listed(names: Sequence[str] | dict[str, Any]) -> str:
    names = list(names)
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
