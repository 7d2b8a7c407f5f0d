"""The live page beside a run: `python benchmarks/view.py [--societies 100] [--seconds 60]`.

Societies of the published size are played at the rate that an API gives them (42 answers a second together, so that a
hundred take an hour), with a page open. Measured: processor seconds of the page's process a second, beside those of
the run's; and how old what the page shows is just before it is shown anew.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import yaml
from figures import figure
from orchestrator import server
from rich.console import Console
from rich.table import Table

from agentsim.view.tally import seconds_of

RATE = 42.0
LATENCY_S = 2.0
TICKS = os.sysconf("SC_CLK_TCK")
PLAY = "import sys, agentsim; agentsim.run(agentsim.load_scenario(sys.argv[1]), results=sys.argv[2])"


def cpu_s(pid: int) -> float:
    """Return the processor seconds of a process and of the children that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / TICKS


class Page(threading.Thread):
    """A browser without a window: keeps a stream open and notes when how many replies were shown."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.address = address
        self.shown: list[tuple[float, int]] = []
        self.n_bytes = 0

    def run(self) -> None:
        with urllib.request.urlopen(self.address) as stream:
            for line in stream:
                self.n_bytes += len(line)
                if line.startswith(b"data: {") and "replies" in (message := json.loads(line[6:])):
                    self.shown.append((time.time(), message["replies"]))


def ages(shown: list[tuple[float, int]], times: list[float]) -> list[float]:
    """Return how old the oldest reply was that each update showed for the first time."""
    return [at - times[before] for (_, before), (at, now) in itertools.pairwise(shown) if now > before]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--societies", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    concurrency = round(RATE * LATENCY_S * 1.5)
    with tempfile.TemporaryDirectory() as name, server("--latency", str(LATENCY_S)) as (url, _):
        folder = Path(name)
        scenario = {
            "name": "viewed",
            "players": {"model": "fake/model"},
            "providers": {"fake": {"base_url": url, "api_key_env": None, "concurrency": concurrency}},
            "seeds": list(range(arguments.societies)),
        }
        (folder / "viewed.yaml").write_text(yaml.safe_dump(scenario))
        run = subprocess.Popen([sys.executable, "-c", PLAY, str(folder / "viewed.yaml"), name])
        view = subprocess.Popen(
            [sys.executable, "-m", "agentsim", "view", name, "--port", "0"], stdout=subprocess.PIPE, text=True
        )
        assert view.stdout is not None
        found = re.search(r"http://\S+/", view.stdout.readline())
        assert found is not None
        try:
            while not list(folder.glob("viewed/*/log.jsonl")):
                time.sleep(0.5)
            page = Page(f"{found[0]}live/study?study=viewed")
            page.start()
            time.sleep(15)  # both have begun and read what there was
            page.shown.clear()
            n_bytes, before, began = page.n_bytes, (cpu_s(view.pid), cpu_s(run.pid)), time.monotonic()
            time.sleep(arguments.seconds)
            took = time.monotonic() - began
            of_view, of_run = cpu_s(view.pid) - before[0], cpu_s(run.pid) - before[1]
            shown, n_bytes = list(page.shown), page.n_bytes - n_bytes
        finally:
            for process in (view, run):
                process.terminate()
                process.wait()
        logs = [path.read_bytes() for path in folder.glob("viewed/*/log.jsonl")]
    found_times = [re.findall(rb'"time":"([^"]+)"(?:,"chain":"[0-9a-f]+")?\}\n\{', log) for log in logs]
    times = sorted(seconds_of(one.decode()) for of_run_ in found_times for one in of_run_[1:])
    delays = sorted(ages(shown, times))
    figure("live page beside 100 societies: its processor", 100 * of_view / took, 2, " %")
    figure("the same: delay of 99 of 100 answers", delays[int(len(delays) * 0.99)], 2, " s")
    table = Table(title=f"The live page beside {arguments.societies} societies, {took:.0f} s")
    for heading in ("figure", "value", "goal"):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    table.add_row("answers a second", f"{(shown[-1][1] - shown[0][1]) / (shown[-1][0] - shown[0][0]):.1f}", "42")
    table.add_row("processor of the page", f"{of_view / took:.2%}", "≤ 2 %")
    table.add_row("processor of the run", f"{of_run / took:.2%}", "")
    table.add_row("delay, median", f"{delays[len(delays) // 2]:.2f} s", "")
    table.add_row("delay, 99 of 100", f"{delays[int(len(delays) * 0.99)]:.2f} s", "≤ 2 s")
    table.add_row("sent to the browser", f"{n_bytes / took / 1000:.1f} kB/s", "")
    Console().print(table)


if __name__ == "__main__":
    main()
