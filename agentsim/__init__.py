"""agentsim: societies of language-model agents play the Donor Game over generations.

    import agentsim

    result = agentsim.run("scenarios/quickstart.yaml")  # or: await agentsim.run_async(...)
    study = agentsim.load(result.folder)  # dataframes: runs, agents, generations, encounters, replies
    agentsim.figures.final_resources(study)

These names are all that is public: what they return and take is in their docstrings, and everything below them may
change. Each is imported when it is first used, so `import agentsim` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentsim import errors as errors
    from agentsim import plugin as plugin
    from agentsim import testing as testing
    from agentsim.analysis import figures as figures
    from agentsim.analysis import measures as measures
    from agentsim.analysis import published as published
    from agentsim.analysis import statistics as statistics
    from agentsim.analysis.apart import players_apart as players_apart
    from agentsim.analysis.bayes.estimates import Bayes as Bayes
    from agentsim.analysis.bayes.estimates import bayes as bayes
    from agentsim.analysis.compare import Comparison as Comparison
    from agentsim.analysis.compare import compare as compare
    from agentsim.analysis.equivalence import Equivalence as Equivalence
    from agentsim.analysis.equivalence import equivalence as equivalence
    from agentsim.analysis.export import export as export
    from agentsim.analysis.families import Look as Look
    from agentsim.analysis.frames.columns import COLUMNS as COLUMNS
    from agentsim.analysis.frames.study import Study as Study
    from agentsim.analysis.frames.study import load as load
    from agentsim.analysis.invasions import Invasions as Invasions
    from agentsim.analysis.invasions import load_invasions as load_invasions
    from agentsim.analysis.measures import summary as summary
    from agentsim.analysis.methods import Methods as Methods
    from agentsim.analysis.methods import methods as methods
    from agentsim.analysis.planned_power import PlannedPower as PlannedPower
    from agentsim.analysis.planned_power import planned_power as planned_power
    from agentsim.analysis.power import Power as Power
    from agentsim.analysis.power import pilot_of as pilot_of
    from agentsim.analysis.power import pilot_of_scores as pilot_of_scores
    from agentsim.analysis.power import power as power
    from agentsim.analysis.preregistration import Prereg as Prereg
    from agentsim.analysis.preregistration import read_prereg as read_prereg
    from agentsim.analysis.probes import Probe as Probe
    from agentsim.analysis.probes import load_probe as load_probe
    from agentsim.analysis.theory import baselines as baselines
    from agentsim.core import policies as policies
    from agentsim.core.vectorised import play_many as play_many
    from agentsim.experiments.one_call import invade as invade
    from agentsim.experiments.one_call import probe as probe
    from agentsim.experiments.prereg import prereg as prereg
    from agentsim.experiments.prereg import write_prereg as write_prereg
    from agentsim.orchestrator.engines.worker import work as work
    from agentsim.orchestrator.engines.worker import work_async as work_async
    from agentsim.orchestrator.observer import Observer as Observer
    from agentsim.orchestrator.study import StudyResult as StudyResult
    from agentsim.orchestrator.study import replay as replay
    from agentsim.orchestrator.study import run as run
    from agentsim.orchestrator.study import run_async as run_async
    from agentsim.report.page import write_report as write_report
    from agentsim.scenario.conditions import Scenario as Scenario
    from agentsim.scenario.loading import load_scenario as load_scenario
    from agentsim.scenario.loading import scenario_from as scenario_from
    from agentsim.scenario.plugins import load_plugin as load_plugin
    from agentsim.scenario.plugins import register as register

_MODULES = {
    "errors": "agentsim.errors",
    "figures": "agentsim.analysis.figures",
    "measures": "agentsim.analysis.measures",
    "plugin": "agentsim.plugin",
    "policies": "agentsim.core.policies",
    "published": "agentsim.analysis.published",
    "statistics": "agentsim.analysis.statistics",
    "testing": "agentsim.testing",
}
_HOMES = {
    "baselines": "agentsim.analysis.theory",
    "Bayes": "agentsim.analysis.bayes.estimates",
    "bayes": "agentsim.analysis.bayes.estimates",
    "COLUMNS": "agentsim.analysis.frames.columns",
    "compare": "agentsim.analysis.compare",
    "Comparison": "agentsim.analysis.compare",
    "equivalence": "agentsim.analysis.equivalence",
    "Equivalence": "agentsim.analysis.equivalence",
    "export": "agentsim.analysis.export",
    "invade": "agentsim.experiments.one_call",
    "Invasions": "agentsim.analysis.invasions",
    "load": "agentsim.analysis.frames.study",
    "load_invasions": "agentsim.analysis.invasions",
    "load_plugin": "agentsim.scenario.plugins",
    "load_probe": "agentsim.analysis.probes",
    "load_scenario": "agentsim.scenario.loading",
    "Look": "agentsim.analysis.families",
    "Methods": "agentsim.analysis.methods",
    "methods": "agentsim.analysis.methods",
    "Observer": "agentsim.orchestrator.observer",
    "pilot_of": "agentsim.analysis.power",
    "pilot_of_scores": "agentsim.analysis.power",
    "planned_power": "agentsim.analysis.planned_power",
    "PlannedPower": "agentsim.analysis.planned_power",
    "play_many": "agentsim.core.vectorised",
    "players_apart": "agentsim.analysis.apart",
    "power": "agentsim.analysis.power",
    "Power": "agentsim.analysis.power",
    "Prereg": "agentsim.analysis.preregistration",
    "prereg": "agentsim.experiments.prereg",
    "probe": "agentsim.experiments.one_call",
    "Probe": "agentsim.analysis.probes",
    "read_prereg": "agentsim.analysis.preregistration",
    "register": "agentsim.scenario.plugins",
    "replay": "agentsim.orchestrator.study",
    "run": "agentsim.orchestrator.study",
    "run_async": "agentsim.orchestrator.study",
    "Scenario": "agentsim.scenario.conditions",
    "scenario_from": "agentsim.scenario.loading",
    "Study": "agentsim.analysis.frames.study",
    "StudyResult": "agentsim.orchestrator.study",
    "summary": "agentsim.analysis.measures",
    "write_prereg": "agentsim.experiments.prereg",
    "write_report": "agentsim.report.page",
    "work": "agentsim.orchestrator.engines.worker",
    "work_async": "agentsim.orchestrator.engines.worker",
}
"""The module that each other name comes from."""

__all__ = [*_MODULES, *_HOMES]  # noqa: PLE0604 - the names above, stated once


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'agentsim' has no attribute {name!r}; it has {', '.join(sorted(__all__))}")


def __dir__() -> list[str]:
    return sorted(__all__)
