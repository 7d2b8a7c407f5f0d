"""A probe and an invasion in one call each, for use in Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from agentsim.analysis.invasions import Invasions, invasions
from agentsim.experiments.contestants import contestants as named
from agentsim.experiments.invade import invasion, logged_courses, play_logged, play_unlogged, refuse_unlimited
from agentsim.experiments.plan import plan
from agentsim.experiments.probe import probe as ask
from agentsim.experiments.probe_options import Options, designed
from agentsim.orchestrator.observer import Observer
from agentsim.orchestrator.study import StudyResult
from agentsim.providers.base import Provider
from agentsim.scenario.conditions import Scenario

__all__ = ["invade", "probe"]


def probe(
    source: Scenario | Path | str,
    *,
    run: str | None = None,
    generation: int | None = None,
    agents: Sequence[str] = (),
    strategies: Sequence[str] = (),
    n: int | None = None,
    children: int = 0,
    family: int | None = None,
    families: int | None = None,
    levels: Sequence[float] | None = None,
    founders: int = 0,
    background: Sequence[str] | None = None,
    societies: int = 1,
    records: Sequence[float] | None = None,
    partners: Sequence[float] | None = None,
    resources: Sequence[float] | None = None,
    sets: Sequence[str] = (),
    model: str | None = None,
    name: str | None = None,
    max_cost: float | None = None,
    results: Path | str = Path("results"),
    new: bool = False,
    observer: Observer | None = None,
    provider: Provider | None = None,
) -> StudyResult:
    """Ask strategies what they would give in designed situations; `load_probe(result.folder)` reads the answers.

    The same call resumes a probe that was broken off.

    Args:
        source: the folder of a study, whose agents' strategies are probed; or a scenario or its file, under whose rules
            `strategies`, or the scenario's policy, are probed.
        run: the name of the study's run; by default its only one.
        generation: the run's generation; by default its last.
        agents: names of agents whose strategies are probed, such as `3_1`; by default all of the generation.
        strategies: texts of strategies, probed under the rules of a scenario.
        n: how often each situation is asked; by default 5, or 0 with `children`.
        children: number of newborns whose strategies are asked for and compared with those of their parents.
        family: parents of each family that has `children` of its own; by default all parents are one family.
        families: for how many families parents are chosen over the range of levels of a study's run.
        levels: fractions in [0, 1] that parents say they give, under the rules of a scenario.
        founders: number of strategies that are asked for without parents, as in a first generation.
        background: names of policies among which strategies are scored in societies; by default none, or a mixture
            with `children`.
        societies: number of societies in which each strategy is scored.
        records: fractions in [0, 1] that recipients gave last.
        partners: fractions in [0, 1] that the recipients' partners had given before.
        resources: units that the donor holds.
        sets: settings of a scenario's file, such as `game.multiplier=3`.
        model: asked instead of the model that stated the strategies or that the scenario's file names.
        name: the name of the probe's folder in `results`.
        max_cost: the most US dollars that the probe may cost, over all its sittings.
        results: the folder that holds, or will hold, the probe's folder.
        new: begin a new probe beside an older one of the same name.
        observer: is told what happens.
        provider: answers instead of the scenario's accounts.

    Raises:
        ScenarioError: an option does not fit the source, or the scenario has several conditions.
        LogError: the study has no such run, generation or agent, or the folder cannot be written.
        AuthError, ModelFileError: a key or the weights of a model are missing; nothing has been asked.
        ReplayMismatch: the folder holds a probe of other settings; nothing has been asked.
    """
    options = Options(
        run=run,
        generation=generation,
        agents=tuple(agents),
        strategies=tuple(strategies),
        n=n,
        children=children,
        family=family,
        families=families,
        levels=_listed(levels, factor=100),
        founders=founders,
        background=None if background is None else ",".join(background),
        societies=societies,
        records=_listed(records, factor=100),
        partners=_listed(partners, factor=100),
        resources=_listed(resources, factor=1),
        sets=tuple(sets),
        model=model,
        name=name,
        max_cost=max_cost,
    )
    scenario, design = designed(source if isinstance(source, Scenario) else Path(source), options)
    return ask(scenario, design, results=results, new=new, observer=observer, provider=provider)


def _listed(values: Sequence[float] | None, *, factor: float) -> str | None:
    return None if values is None else ",".join(f"{value * factor:.6f}".rstrip("0").rstrip(".") for value in values)


def invade(
    contestants: Sequence[str],
    *,
    rules: Path | str | None = None,
    sets: Sequence[str] = (),
    agents: int | None = None,
    invaders: int = 1,
    generations: int | None = None,
    selection: str | None = None,
    seeds: str | None = None,
    model: str | None = None,
    control: bool | None = None,
    log: bool = False,
    workers: int = 1,
    name: str = "invasion",
    results: Path | str = Path("results"),
    new: bool = False,
    fork: Path | str | None = None,
    max_cost: float | None = None,
    observer: Observer | None = None,
    provider: Provider | None = None,
) -> Invasions:
    """Let a few of each contestant invade many of each other one; return the outcomes.

    Scripted contestants are played without logs and write nothing, unless `log` is set. If models play, every run is
    logged in `results`, and the same call resumes runs that are not complete.

    Args:
        contestants: two or more: policies as `scripted/constant-share:share=0.3`, models as `provider/model`,
            strategies of runs as `results/STUDY/RUN@GENERATION`, or YAML files of players.
        rules: a scenario file from which rules and accounts are taken; by default agentsim's defaults.
        sets: settings of the rules, such as `game.error=0.05`.
        agents: the number of residents and invaders together; by default as in the rules.
        invaders: the number of invaders.
        generations: by default as in `rules`; without `rules` 50, or 5 if models play.
        selection: the kind of the selection rule, such as `proportional`; by default as in the rules.
        seeds: a range; by default `0-99`, or `0-4` if models play.
        model: plays the strategies of runs instead of the model that stated them.
        control: whether everything is played without selection as well; by default only if all contestants are
            scripted.
        log: keep logs of scripted invasions.
        workers: how many processes play scripted invasions without logs; the result does not depend on it.
        name: the name of the study and of its folder in `results`.
        results: the folder that holds, or will hold, the study's folder.
        new: begin a new study beside an older one of the same name.
        fork: the folder of a study; begin a new one with those of its replies that are still valid.
        max_cost: the most US dollars that all sittings may cost; required if models cost money.
        observer: is told what happens.
        provider: answers instead of the rules' accounts.

    Raises:
        ScenarioError: a contestant, a rule or a setting is wrong, or models that cost money have no `max_cost`.
        LogError: a run that a contestant names cannot be read, or no run of the invasion is complete.
        AuthError, ModelFileError: a key or the weights of a model are missing; nothing has been asked.
    """
    asked = invasion(
        named(contestants, model=model),
        rules=None if rules is None else Path(rules),
        sets=[*sets, *([] if max_cost is None else [f"budget={max_cost}"])],
        name=name,
        agents=agents,
        invaders=invaders,
        generations=generations,
        selection=selection,
        seeds=seeds,
        control=control,
    )
    if asked.is_scripted and not log:
        return invasions(play_unlogged(asked, workers=workers))
    if not asked.is_scripted and provider is None:
        scenario = asked.scenario()
        refuse_unlimited(plan(scenario), budget=scenario.budget)
    result = play_logged(asked, results=results, new=new, fork=fork, observer=observer, provider=provider)
    outcomes = invasions(logged_courses(result))
    return replace(outcomes, notes=(*outcomes.notes, *_incomplete(result)))


def _incomplete(result: StudyResult) -> Iterator[str]:
    for state in result.runs:
        if state.status != "complete":
            yield f"{state.run}: {state.status}{f', {state.reason}' if state.reason else ''}; it is left out."
