"""What documents hold: the frames and results that tables are made of, so that both tell the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentsim.analysis.compare import Comparison
    from agentsim.analysis.frames.progress import Progress
    from agentsim.analysis.frames.study import Study
    from agentsim.analysis.invasions import Invasions
    from agentsim.analysis.probes import Probe
    from agentsim.experiments.match import MatchResult
    from agentsim.experiments.plan import ConditionPlan
    from agentsim.orchestrator.study import StudyResult

__all__ = [
    "comparison_parts",
    "ending_parts",
    "invasion_parts",
    "match_parts",
    "plan_parts",
    "probe_parts",
    "status_parts",
    "study_parts",
]


def study_parts(study: Study) -> dict[str, Any]:
    """Return a study's runs and generations, and of its first and last generations the strategies of models."""
    from agentsim.analysis.measures import mixed_societies, punishment_summary

    agents = study.with_strategies(study.agents)
    agents = agents[~agents["model"].str.startswith("scripted/")]
    ends = agents.groupby(["study", "run"])["generation"]
    is_end = (agents["generation"] == ends.transform("min")) | (agents["generation"] == ends.transform("max"))
    return {
        "folders": study.folders,
        "runs": study.runs,
        "generations": study.generations,
        "punishment": punishment_summary(study),
        "models": mixed_societies(study),
        "strategies": agents[is_end],
        "notes": study.notes,
    }


def status_parts(study: Study | Progress) -> dict[str, Any]:
    """Return how far each run is, with its state in words."""
    from agentsim.cli.tables.status import with_words

    return {"folders": study.folders, "runs": with_words(study), "notes": study.notes}


def plan_parts(plans: Sequence[ConditionPlan]) -> dict[str, Any]:
    """Return what each condition will take, and all of them together."""
    from agentsim.cli.tables.plan import total

    return {"conditions": plans, "all": total(plans)}


def comparison_parts(comparison: Comparison, study: Study) -> dict[str, Any]:
    """Return a comparison, and what it is set beside."""
    from agentsim.analysis.frames.decisions import lost
    from agentsim.analysis.measures import score_sensitivity
    from agentsim.analysis.published import SOURCE, published_like, published_summary

    return {
        "by": comparison.by,
        "design": comparison.design,
        "take_off_at": comparison.take_off,
        "groups": comparison.groups,
        "pairs": comparison.table,
        "take_off": comparison.sensitivity,
        "variance": comparison.variance,
        "lines": comparison.lines,
        "bayes": comparison.bayes,
        "lost_decisions": score_sensitivity(study) if lost(study.encounters).any() else [],
        "published": published_summary(published_like(study)),
        "published_source": SOURCE,
        "notes": comparison.notes,
    }


def invasion_parts(result: Invasions) -> dict[str, Any]:
    """Return the outcomes of invasions."""
    return {"conditions": result.conditions, "pairs": result.pairs, "runs": result.runs, "notes": result.notes}


def match_parts(result: MatchResult) -> dict[str, Any]:
    """Return a match: what was played, each move, and what everybody holds at the end."""
    return {
        "seed": result.seed,
        "policies": result.policies,
        "players": result.players,
        "rules": result.condition.model_dump(mode="json", include={"game", "pairing", "observation", "players"}),
        "moves": result.moves,
        "resources": result.resources,
        "n_errors": result.n_errors,
    }


def probe_parts(probe: Probe) -> dict[str, Any]:
    """Return a probe's results so far."""
    return {
        "name": probe.name,
        "folder": probe.folder,
        "is_complete": probe.is_complete,
        "is_of_donor_game": probe.is_of_donor_game,
        "subjects": probe.subjects,
        "summary": [] if probe.answers.empty else probe.summary,
        "surface": [] if probe.answers.empty else probe.surface,
        "scores": probe.scores,
        "shift": probe.shift,
        "families": probe.families,
    }


def ending_parts(result: StudyResult, *, files: Sequence[Path] = ()) -> dict[str, Any]:
    """Return how the runs of a sitting ended."""
    return {
        "folder": result.folder,
        "is_complete": result.is_complete,
        "is_interrupted": result.is_interrupted,
        "wall_s": result.wall_s,
        "least_s": result.least_s,
        "bound_by": result.bound_by,
        "n_taken_over": result.n_taken_over,
        "ended": result.runs,
        "files": files,
    }
