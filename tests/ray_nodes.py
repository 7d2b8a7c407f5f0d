"""A Ray cluster of two nodes on this machine: `python -m tests.ray_nodes`, told what to do line by line.

It prints `at` and the address; `kill` kills the second node, with what runs on it, and `add` begins another; then it
prints `done`. It ends with its input.
"""

from __future__ import annotations

import sys

from ray.cluster_utils import Cluster

SMALL = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
SOON = {"health_check_period_ms": 500, "health_check_timeout_ms": 2000, "health_check_failure_threshold": 2}


def main() -> None:
    """Serve until the input ends."""
    cluster = Cluster(initialize_head=True, head_node_args={**SMALL, "_system_config": SOON})
    node = cluster.add_node(**SMALL)
    sys.stdout.write(f"at {cluster.address}\n")
    sys.stdout.flush()
    try:
        for line in sys.stdin:
            if line.strip() == "kill":
                cluster.remove_node(node, allow_graceful=False)
            else:
                node = cluster.add_node(**SMALL)
            sys.stdout.write("done\n")
            sys.stdout.flush()
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
