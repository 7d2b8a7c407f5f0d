"""SLURM: workers as jobs of a cluster. SLURM decides when and where they run; a worker that has to end leaves its runs.

submitit writes the batch script and carries the orders to the job. Before a job's walltime its worker stores what is
under way, gives its runs back, and puts the job into the queue again; SLURM's own signal makes it do the same.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from agentsim.disk.durable import replace
from agentsim.errors import AgentsimError, ScenarioError
from agentsim.log.crew import WORKERS
from agentsim.orchestrator.engines.engine import Engine, Workers
from agentsim.orchestrator.engines.orders import Orders
from agentsim.orchestrator.engines.reports import LOG, Reports
from agentsim.orchestrator.engines.worker import work
from agentsim.orchestrator.study import StudyResult

__all__ = ["Slurm"]

FOLDER: Final = "slurm"
"""The folder, beside what workers share, of the jobs' orders and of what they print."""
JOBS: Final = "jobs.json"
PREEMPT_SIGNAL: Final = "SUBMITIT_PREEMPT_SIGNAL"
STARTING_S: Final = 10.0
"""How long after a job's beginning its worker may begin: libraries come over the network."""
LEAST_S: Final = 30
"""The least seconds that a job shall play."""
SIGNAL_S: Final = 1
"""How long before a job's end SLURM sends its signal. It may send it up to a minute earlier; workers that drain by
their own clock use more of their time."""
MOST_TRIES: Final = 5
"""How often in a row a job that got no answer queues again."""


class Slurm(Engine):
    """How jobs are submitted."""

    kind: ClassVar[str] = "slurm"

    partition: str | None = None
    """The partition; by default the cluster's own."""
    time: int = Field(default=60, ge=2, le=525_600)
    """Minutes after which SLURM ends a job. A job that is not done by then queues again."""
    drain: int = Field(default=90, ge=5, le=3600)
    """Seconds before that at which a worker stops asking, so that what is under way can come in."""
    cpus: int = Field(default=2, ge=1)
    """Processor cores of one job."""
    gpus: int | None = Field(default=None, ge=0)
    """GPUs of one job."""
    memory: float | None = Field(default=None, gt=0)
    """Memory of one job in GB."""
    account: str | None = None
    """The account that the cluster's time is booked to."""
    at_once: int | None = Field(default=None, ge=1)
    """How many jobs run at the same time, at most; by default as many as the cluster has room for."""
    setup: tuple[str, ...] = ()
    """Lines of shell that a job runs first, such as `module load python`."""
    options: dict[str, str | int] = Field(default_factory=dict)
    """Further options of `sbatch` by name, such as `{qos: low, constraint: a100}`."""
    cluster: Literal["slurm", "local"] = "slurm"
    """`local`: as processes on this machine, to try it without a cluster."""

    @model_validator(mode="after")
    def _has_time(self) -> Self:
        if 60 * self.time < self.drain + LEAST_S:
            raise ValueError(f"time: {self.time} minutes leave nothing to play in beside drain: {self.drain} seconds")
        return self

    def submit(self, orders: Orders, study: Path, *, workers: int) -> tuple[str, ...]:
        """Submit jobs until a study has as many as it shall have; return the ids of the new ones.

        Raises:
            ScenarioError: there is no SLURM here, or submitit is not installed.
            AgentsimError: SLURM refused the jobs.
        """
        missing = workers - len(self.workers(study).names)
        if missing <= 0:
            return ()
        folder = study / WORKERS / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        try:
            jobs = self._executor(folder, name=f"agentsim-{study.name}").map_array(
                _Worker(orders, folder, n_minutes=self.time, drain_s=self.drain), range(missing)
            )
        except Exception as error:  # submitit raises what it comes across
            raise AgentsimError(f"SLURM took no job: {' '.join(str(error).split())[-500:]}") from error
        ids = tuple(str(job.job_id) for job in jobs)
        replace(folder / JOBS, json.dumps([*_known(folder), *ids]) + "\n")
        return ids

    def workers(self, study: Path) -> Workers:
        """Return the jobs of a study that have not ended.

        Raises:
            AgentsimError: SLURM does not answer.
        """
        ids = _known(study / WORKERS / FOLDER)
        if not ids:
            return Workers()
        if self.cluster == "local":
            return Workers(running=tuple(job for job in ids if _lives(job)))
        states = _states(ids)
        running = tuple(job for job in ids if states.get(job) in ("RUNNING", "STOPPED", "COMPLETING"))
        return Workers(running, tuple(job for job in ids if job in states and job not in running))

    def how_to_end(self, study: Path) -> str:
        """Return the command that ends all jobs of a study."""
        return f"{'kill' if self.cluster == 'local' else 'scancel'} {' '.join(self.workers(study).names)}"

    def _executor(self, folder: Path, *, name: str) -> Any:
        if self.cluster == "slurm" and shutil.which("sbatch") is None:
            raise ScenarioError(
                "there is no SLURM on this machine (no `sbatch`); log in to the cluster, or try the same with"
                " --job cluster=local"
            )
        os.environ[PREEMPT_SIGNAL] = "USR1"  # submitit reads it when it is imported, and hands it on to the job
        try:
            import submitit  # an extra
        except ImportError as error:
            raise ScenarioError(
                "SLURM needs the package submitit; install it with `pip install 'agentsim-lab[slurm]'`"
            ) from error
        executor = submitit.AutoExecutor(folder=folder, cluster=self.cluster)
        executor.update_parameters(name=name, timeout_min=self.time, cpus_per_task=self.cpus)
        if self.gpus is not None:
            executor.update_parameters(gpus_per_node=self.gpus)
        if self.memory is not None:
            executor.update_parameters(mem_gb=self.memory)
        if self.cluster == "slurm":
            given = {
                "slurm_partition": self.partition,
                "slurm_account": self.account,
                "slurm_array_parallelism": self.at_once,
                "slurm_setup": list(self.setup) or None,
            }
            executor.update_parameters(
                slurm_signal_delay_s=SIGNAL_S,
                slurm_additional_parameters={"requeue": True, "open-mode": "append", **self.options},
                **{name: value for name, value in given.items() if value is not None},
            )
        return executor


class _Worker:
    """What runs in a job."""

    def __init__(self, orders: Orders, folder: Path, *, n_minutes: int, drain_s: float) -> None:
        self._orders = orders
        self._folder = folder
        self._n_minutes = n_minutes
        self._drain_s = drain_s

    def __call__(self, number: int) -> str:
        """Play until no run is open, or until SLURM ends the job; return how the study stands."""
        logging.basicConfig(format="%(asctime)s %(message)s")
        LOG.setLevel(logging.INFO)
        orders = self._orders
        ends_in_s = 60 * self._n_minutes - STARTING_S
        result = work(
            orders.scenario(), results=orders.results, observer=Reports(), ends_in_s=ends_in_s, margin_s=self._drain_s
        )
        if result.is_drained:
            _queue_again(result, self._folder)
        return "complete" if result.is_complete else "not complete"

    def checkpoint(self, number: int) -> Any:
        """Return what a job that is preempted before it plays runs when it begins again: the same."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, number)


def _queue_again(result: StudyResult, folder: Path) -> None:
    """Put this job back into SLURM's queue, unless it was too short to get a single answer several times in a row.

    Raises:
        AgentsimError: it was.
    """
    job, array, task = (os.environ.get(f"SLURM_{name}") for name in ("JOB_ID", "ARRAY_JOB_ID", "ARRAY_TASK_ID"))
    if job is None:
        return
    tries = folder / f"{job}.tries"
    if any(state.n_new_replies for state in result.runs):
        tries.unlink(missing_ok=True)
    else:
        n_tries = int(tries.read_text(encoding="utf-8")) + 1 if tries.exists() else 1
        tries.write_text(str(n_tries), encoding="utf-8")
        LOG.info("no answer came this time, the %d. in a row", n_tries)
        if n_tries >= MOST_TRIES:
            raise AgentsimError(
                f"no answer came {n_tries} times in a row: submit the study again with more --job time="
            )
    subprocess.run(["scontrol", "requeue", f"{array}_{task}" if array and task else job], check=True, timeout=60)


def _known(folder: Path) -> list[str]:
    """Return the ids of all jobs that were ever submitted for a study."""
    try:
        ids = json.loads((folder / JOBS).read_text())
    except FileNotFoundError:
        return []
    return [str(job) for job in ids]


def _states(ids: Sequence[str]) -> dict[str, str]:
    """Return the states of jobs that SLURM still has, by their ids.

    Raises:
        AgentsimError: SLURM does not answer.
    """
    arrays = sorted({job.partition("_")[0] for job in ids})
    command = ["squeue", "--noheader", "--array", "--format=%i %T", "--states=all", f"--jobs={','.join(arrays)}"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AgentsimError(f"SLURM does not answer (squeue: {error}); try again") from error
    if told.returncode and "Invalid job id" in told.stderr:  # it has forgotten all of them
        return {}
    if told.returncode:
        raise AgentsimError(f"SLURM does not answer (squeue: {' '.join(told.stderr.split())[:300]}); try again")
    states = dict(line.split() for line in told.stdout.splitlines() if line.strip())
    over = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE")
    return {job: state for job, state in states.items() if state not in over}


def _lives(process: str) -> bool:
    try:
        ended, _ = os.waitpid(int(process), os.WNOHANG)  # one that was begun here stays until it is waited for
    except ChildProcessError:
        try:
            os.kill(int(process), 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True
    return not ended
