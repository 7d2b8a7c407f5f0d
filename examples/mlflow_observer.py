"""Writes a study to MLflow while it is played: `python examples/mlflow_observer.py SCENARIO.yaml [agentsim's results]`.

Each run of the study is a run of MLflow, in a folder of files beside the results: its settings as parameters; answers,
tokens, cost and each generation's mean final resources as metrics; how it ended as a tag. `mlflow ui` shows them
(`pip install mlflow`; to write them, `mlflow-skinny` is enough). Should MLflow fail, the study goes on without it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import agentsim

os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")

from mlflow.tracking import MlflowClient


class MlflowObserver(agentsim.Observer):
    """Tells MLflow of each run: what it was given, what it answered, how it ended."""

    def __init__(self, experiment: str, folder: Path) -> None:
        self._client = MlflowClient(tracking_uri=folder.resolve().as_uri())
        found = self._client.get_experiment_by_name(experiment)
        self._experiment = found.experiment_id if found else self._client.create_experiment(experiment)
        self._runs: dict[str, str] = {}
        self._n_replies: dict[str, int] = {}
        self._known: set[str] = set()
        """Runs that an earlier sitting has begun, of which MLflow has what was logged then."""

    def run_opened(self, run: str, *, n_requests: int, generations: int) -> None:
        found = self._client.search_runs([self._experiment], f"attributes.run_name = '{run}'", max_results=1)
        made = found[0] if found else self._client.create_run(self._experiment, run_name=run)
        self._runs[run], self._n_replies[run] = made.info.run_id, 0
        self._known |= {run} if found else set()
        self._client.log_param(made.info.run_id, "questions", n_requests)
        self._client.log_param(made.info.run_id, "generations", generations)

    def reply(self, run: str, reply: Any, *, cost_usd: float | None, is_replayed: bool) -> None:
        self._n_replies[run] += 1
        if self._n_replies[run] % 20 == 0 and not (is_replayed and run in self._known):
            self._client.log_metric(self._runs[run], "replies", self._n_replies[run])

    def event(self, run: str, event: Any, *, is_replayed: bool) -> None:
        """Write each generation's score, unless an earlier sitting has."""
        if event.type == "generation_ended" and not (is_replayed and run in self._known):
            self._client.log_metric(
                self._runs[run], "mean_final_resources", event.mean_final_resources, step=event.generation
            )

    def run_closed(self, run: str, state: Any) -> None:
        made = self._runs.get(run)
        if made is None:
            return  # it was refused before it was opened
        self._client.log_metric(made, "replies", state.n_replies)
        self._client.log_metric(made, "tokens", state.tokens)
        if state.cost_usd is not None:
            self._client.log_metric(made, "cost_usd", state.cost_usd)
        self._client.set_tag(made, "status", state.status)
        self._client.set_terminated(made, "FINISHED" if state.status == "complete" else "FAILED")


if __name__ == "__main__":
    scenario = agentsim.load_scenario(sys.argv[1])
    results = Path(sys.argv[2] if len(sys.argv) > 2 else "results")
    played = agentsim.run(scenario, results=results, observer=MlflowObserver(scenario.name, results / "mlruns"))
    sys.exit(not played.is_complete)
