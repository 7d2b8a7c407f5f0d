"""Plays probes: asks a design's questions, continuing where the log ends; and estimates what that will take.

A probe is played like a run: every reply is on the disk before it counts, every paid call is in the ledger, and the
same command continues after a kill. Its folder holds `probe/log.jsonl` and, for paid models, `ledger.jsonl`.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import deque
from contextlib import nullcontext
from pathlib import Path
from typing import Final

from agentsim.core.games import DonorGame
from agentsim.core.probe_design import Design
from agentsim.disk.durable import replace
from agentsim.errors import LogError, ScenarioError
from agentsim.experiments.plan import ConditionPlan, Questions, kind_of, plan_of, stand_in
from agentsim.log.files import PROBE_NAME
from agentsim.log.stopped import note_sitting
from agentsim.log.study_folder import choose, keep_prompts, make_folder
from agentsim.orchestrator.observer import Observer, guarded
from agentsim.orchestrator.opening import accounts_of, check_accounts, providers_of, versions_now
from agentsim.orchestrator.runs import Run, run_started
from agentsim.orchestrator.sitting import Sitting
from agentsim.orchestrator.stop import Stop, to_its_end
from agentsim.orchestrator.study import StudyResult, open_ledger, reasons
from agentsim.play.probe import ProbeCourse, policies
from agentsim.play.rehearsal import prompt_set, rehearse
from agentsim.prompts.sets import PromptSet
from agentsim.providers.accounts import Accounts
from agentsim.providers.base import Provider, n_bytes
from agentsim.providers.catalogue import Catalogue
from agentsim.scenario.conditions import Scenario
from agentsim.scenario.names import condition_of
from agentsim.scenario.players import ModelPlayer, only_player
from agentsim.scenario.runs import RunSpec, runs
from agentsim.scenario.user_settings import with_own

__all__ = ["PROBE", "plan", "probe", "questions"]

PROBE: Final = "probe"
"""The name of the only run in a probe's folder."""


def probe(
    scenario: Scenario,
    design: Design,
    *,
    results: Path | str = Path("results"),
    new: bool = False,
    observer: Observer | None = None,
    provider: Provider | None = None,
) -> StudyResult:
    """Ask all questions of the design, or continue with those that are left.

    Args:
        scenario: gives the rules that donors are told, the model that is asked, its account and the budget. Its name is
            that of the probe's folder, and its first seed is the probe's.
        design: whose strategies are asked, in which situations, and how often.
        results: the folder that holds, or will hold, the probe's folder.
        new: begin a new probe beside an older one of the same name, instead of continuing it.
        observer: is told what happens.
        provider: answers instead of the scenario's accounts.

    Raises:
        ScenarioError: the scenario has several conditions, or its player cannot be asked the design's questions.
        AuthError, ModelFileError: a key or a model's weights are missing; nothing has been asked.
        ReplayMismatch: the folder holds a probe that was begun under other settings; nothing has been asked.
        LogError: the folder cannot be written.
    """
    spec = _spec(scenario)
    _check(spec, design)
    return to_its_end(
        lambda stop: _probe(
            scenario,
            spec,
            design,
            results=results,
            new=new,
            watch=guarded(observer),
            provider=provider,
            stop=stop,
        )
    )


async def _probe(
    scenario: Scenario,
    spec: RunSpec,
    design: Design,
    *,
    results: Path | str,
    new: bool,
    watch: Observer,
    provider: Provider | None,
    stop: Stop,
) -> StudyResult:
    condition, player = spec.condition, only_player(spec.condition.players)
    prompts = prompt_set(condition)
    rehearse(condition, prompts)
    catalogue = Catalogue(with_own(scenario.providers), environ=os.environ)
    if provider is None:
        check_accounts(condition, catalogue, budget=scenario.budget)
    known = {} if provider else accounts_of(condition, catalogue)
    asked = design.model_dump(mode="json")
    start = run_started(spec, scenario.name, prompts=prompts, accounts=known, versions={}, probe=asked)
    folder = make_folder(choose(Path(results), scenario.name, [start], new=new))
    _write_design(folder, design)
    keep_prompts(folder, [prompts])
    is_paid = provider is None and isinstance(player, ModelPlayer) and catalogue.is_paid(player.model)
    clock = asyncio.get_running_loop().time
    began = clock()
    limit_usd = scenario.budget
    with open_ledger(folder, limit_usd=limit_usd, on_note=watch.note) if is_paid else nullcontext() as ledger:
        accounts = Accounts(catalogue, ledger=ledger, on_retry=watch.retry, on_width=watch.width, on_note=watch.note)
        stop.register(on_stop=accounts.drain, on_interrupt=watch.interrupted)
        course = ProbeCourse(design, condition, seed=spec.seed, prompts=prompts)
        try:
            run = Run(
                started=run_started(
                    spec, folder.name, prompts=prompts, accounts=known, versions=versions_now(), probe=asked
                ),
                condition=condition,
                course=course,
                n_questions=course.n_requests if isinstance(player, ModelPlayer) else 0,
                n_generations=1,
            )
            providers = providers_of(condition, accounts, provider)
            sitting = Sitting(run, folder, providers=providers, observer=watch, stop=stop)
            state = await sitting.play()
            watch.run_closed(spec.name, state)
        finally:
            await accounts.aclose()
    note_sitting(folder, reasons([state]))
    return StudyResult(folder, (state,), wall_s=clock() - began)


def _write_design(folder: Path, design: Design) -> None:
    """Write the design for people to read; only the log counts.

    Raises:
        LogError: it cannot be written.
    """
    path = folder / PROBE_NAME
    if path.exists():
        return
    try:
        replace(path, json.dumps(design.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise LogError(f"{path}: cannot be written ({error.strerror})") from error


def plan(scenario: Scenario, design: Design) -> ConditionPlan:
    """Return what a probe will take, without asking.

    Raises:
        ScenarioError: as `probe`.
    """
    spec = _spec(scenario)
    _check(spec, design)
    player, name = only_player(spec.condition.players), scenario.name
    if not isinstance(player, ModelPlayer):
        return ConditionPlan(name, player.model, 1, 0)
    rounds = spec.condition.game.rounds if design.background else 1
    return plan_of(
        name,
        player,
        questions=questions(spec, design, prompts=prompt_set(spec.condition)),
        depth=rounds + (1 if design.children or design.founders else 0),
        catalogue=Catalogue(with_own(scenario.providers), environ=os.environ),
    )


def questions(spec: RunSpec, design: Design, *, prompts: PromptSet) -> dict[str, Questions]:
    """Count a probe's questions and the bytes of their prompts, by kind; children state placeholder strategies."""
    course = ProbeCourse(design, spec.condition, seed=spec.seed, prompts=prompts)
    waiting = deque(course.start().asked)
    sizes: dict[str, list[int]] = {}
    while waiting:
        question = waiting.popleft()
        sizes.setdefault(kind_of(question.request.key), []).append(n_bytes(question.prompt.messages))
        waiting.extend(course.answer(question.request, stand_in(question.request)).asked)
    return {kind: Questions(len(lengths), sum(lengths) / len(lengths)) for kind, lengths in sizes.items()}


def _spec(scenario: Scenario) -> RunSpec:
    """Return the scenario's only condition under the first seed."""
    specs = runs(scenario)
    conditions = {condition_of(spec.name): spec for spec in reversed(specs)}
    if len(conditions) > 1:
        raise ScenarioError(
            f"{scenario.name}: has {len(conditions)} conditions, and a probe needs one; choose it with --set, as in"
            f" --set vary=null --set {next(iter(scenario.vary))}=..."
        )
    [spec] = conditions.values()
    return RunSpec(PROBE, spec.condition, spec.seed, {})


def _check(spec: RunSpec, design: Design) -> None:
    """Check that the design can be asked under this condition.

    Raises:
        ScenarioError: it cannot, for the reason named.
    """
    policies(design.background)
    if design.background and not isinstance(spec.condition.game, DonorGame):
        raise ScenarioError(
            f"game.kind: {spec.condition.game.kind}: strategies are scored in societies of the donor game alone; probe"
            " this game without --background and without --children"
        )
    player = only_player(spec.condition.players)
    if isinstance(player, ModelPlayer):
        is_born = bool(design.children or design.founders)
        if is_born and not spec.condition.transmission.asks_newborns:
            raise ScenarioError(
                f"transmission.kind {spec.condition.transmission.kind}: newborns are not asked for a strategy; use"
                " --set transmission.kind=advice"
            )
        if is_born and len(set(spec.condition.personas)) > 1:
            raise ScenarioError(
                "players.persona: the children of a probe take nobody's place, so that none of several personas is"
                " theirs; probe the strategies themselves, without --children"
            )
    elif design.children or design.founders:
        raise ScenarioError(f"{player.model}: a scripted policy has no children; name a model with --model")
    elif any(subject.strategy is not None for subject in design.subjects):
        raise ScenarioError(f"{player.model}: a scripted policy reads no strategy; name a model with --model")
    if not (design.n and design.situations) and not design.background:
        raise ScenarioError("nothing is asked: set --n to 1 or more, or name a --background to score strategies in")
    n_parents = sum(subject.role == "parent" for subject in design.subjects)
    if design.family is not None and n_parents % design.family:
        raise ScenarioError(
            f"--family {design.family}: {n_parents} parents cannot be divided into families of {design.family}; name a"
            " multiple of it"
        )
    names = [subject.name for subject in design.subjects]
    if len(set(names)) < len(names):
        raise ScenarioError(f"two strategies have the same name, in {', '.join(names)}; name each agent once")
