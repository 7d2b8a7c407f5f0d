"""agentsim: societies of language-model agents play the Donor Game over generations.

    import agentsim

    scenario = agentsim.load_scenario("scenarios/quickstart.yaml")
    result = agentsim.run(scenario)          # or: await agentsim.run_async(scenario)
    study = agentsim.load(result.folder)     # dataframes: runs, agents, generations, encounters, replies

Everything is imported when it is first used, so that `import agentsim` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentsim.analysis.apart import players_apart as players_apart
    from agentsim.analysis.compare import compare as compare
    from agentsim.analysis.frames.study import load as load
    from agentsim.analysis.measures import summary as summary
    from agentsim.analysis.probes import load_probe as load_probe
    from agentsim.analysis.theory import baselines as baselines
    from agentsim.orchestrator.study import replay as replay
    from agentsim.orchestrator.study import run as run
    from agentsim.orchestrator.study import run_async as run_async
    from agentsim.scenario.scenario import load_scenario as load_scenario
    from agentsim.scenario.scenario import scenario_from as scenario_from

__all__ = [
    "baselines",
    "compare",
    "load",
    "load_probe",
    "load_scenario",
    "players_apart",
    "replay",
    "run",
    "run_async",
    "scenario_from",
    "summary",
]

_HOMES = {
    "baselines": "agentsim.analysis.theory",
    "compare": "agentsim.analysis.compare",
    "load": "agentsim.analysis.frames.study",
    "load_probe": "agentsim.analysis.probes",
    "load_scenario": "agentsim.scenario.scenario",
    "players_apart": "agentsim.analysis.apart",
    "replay": "agentsim.orchestrator.study",
    "run": "agentsim.orchestrator.study",
    "run_async": "agentsim.orchestrator.study",
    "scenario_from": "agentsim.scenario.scenario",
    "summary": "agentsim.analysis.measures",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'agentsim' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
