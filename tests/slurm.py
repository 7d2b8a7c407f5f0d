"""A real SLURM of one node, for the length of a test: munged, slurmctld and slurmd from Debian's `slurm-wlm`."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["cluster", "is_installed"]

CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmdPort={slurmd_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=0
MinJobAge=60
SchedulerParameters=sched_interval=1,sched_min_interval=500000
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def is_installed() -> bool:
    """Return whether SLURM can be started here; its daemons need root."""
    return os.geteuid() == 0 and all(shutil.which(name) for name in ("munged", "slurmctld", "slurmd"))


@contextmanager
def cluster() -> Iterator[dict[str, str]]:
    """Start a cluster; yield what the environment of its users needs; stop it, with all its jobs."""
    folder = Path(tempfile.mkdtemp(prefix="slurm"))
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    folder.chmod(0o755)
    conf = folder / "slurm.conf"
    ports = _free_port(), _free_port()
    conf.write_text(
        CONF.format(host=socket.gethostname().split(".")[0], folder=folder, ctld_port=ports[0], slurmd_port=ports[1])
    )
    environ = {"SLURM_CONF": str(conf)}
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        _begin(
            daemons,
            [
                "munged",
                "--foreground",
                "--force",
                f"--key-file={key}",
                f"--socket={folder}/munge.socket",
                f"--pid-file={folder}/munged.pid",
                f"--log-file={folder}/munged.log",
                f"--seed-file={folder}/seed",
            ],
            environ,
        )
        _until((folder / "munge.socket").exists, folder)
        _begin(daemons, ["slurmctld", "-D", "-c", "-f", str(conf)], environ)
        _begin(daemons, ["slurmd", "-D", "-f", str(conf)], environ)
        _until(lambda: "idle" in _told(["sinfo", "-h", "-o", "%T"], environ), folder)
        yield environ
    finally:
        _told(["scancel", "--user=root"], environ)
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _begin(daemons: list[subprocess.Popen[bytes]], command: list[str], environ: dict[str, str]) -> None:
    daemons.append(
        subprocess.Popen(command, env={**os.environ, **environ}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    )


def _told(command: list[str], environ: dict[str, str]) -> str:
    try:
        return subprocess.run(
            command, env={**os.environ, **environ}, capture_output=True, text=True, timeout=200, check=False
        ).stdout
    except subprocess.TimeoutExpired:
        return ""


def _until(is_so: object, folder: Path) -> None:
    assert callable(is_so)
    for _ in range(6000):
        if is_so():
            return
        time.sleep(0.1)
    logs = "\n".join(path.read_text()[-2000:] for path in folder.glob("*.log"))
    raise RuntimeError(f"SLURM did not start within ten minutes:\n{logs}")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
