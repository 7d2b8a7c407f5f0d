"""llama.cpp's server as a separate process; a script that imports nothing of agentsim.

It reads one line of JSON from standard input and serves until that input is closed, however its parent ends. Once it is
ready, it writes its address to standard output as one line. llama.cpp's log goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def start(settings: dict[str, Any]) -> Any:
    """Load the model and return the server, which answers on a free loopback port from then on."""
    import xllamacpp  # type: ignore[import-untyped]  # the package has no types

    params = xllamacpp.CommonParams()
    params.model.path = settings["model_path"]
    params.model_alias = {settings["model_name"]}
    params.api_keys = [settings["api_key"]]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = settings["slots"]
    params.n_ctx = settings["slots"] * settings["context"]
    params.cpuparams.n_threads = settings["threads"]
    params.cpuparams_batch.n_threads = settings["threads"]
    params.cache_ram_mib = settings["cache_mib"]
    params.ui = False
    params.verbosity = 2  # warnings and errors; more would add a kilobyte to the log for each call
    return xllamacpp.Server(params)


def main() -> None:
    """Serve until standard input is closed."""
    settings = json.loads(sys.stdin.readline())
    server = start(settings)
    sys.stdout.write(server.listening_address + "\n")
    sys.stdout.flush()
    while sys.stdin.read(1024):
        pass
    os._exit(0)  # nobody needs the answers under way, and a clean end would wait for them


if __name__ == "__main__":
    main()
