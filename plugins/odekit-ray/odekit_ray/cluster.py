"""The connection to Ray: a cluster by its address, or processes of this machine that end with the program."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from odekit.errors import ConfigError

OBJECT_STORE_BYTES = 512 << 20
"""Of Ray on this machine: only names and short rows go through it, no pictures."""


@dataclass(frozen=True)
class Cluster:
    """Where a job runs.

    Args:
        address: of a running cluster, such as `auto` or `ray://head:10001`; None: this machine alone.
        actors: number of workers that hold a session each; None: one for each GPU share, or for each processor.
        gpus_per_actor: share of a GPU that each of them takes; 0: none.
    """

    address: str | None = None
    actors: int | None = None
    gpus_per_actor: float = 0.0

    def __post_init__(self) -> None:
        if self.actors is not None and self.actors < 1:
            raise ConfigError(f"--actors {self.actors}: at least 1")
        if self.gpus_per_actor < 0:
            raise ConfigError(f"--gpus-per-actor {self.gpus_per_actor:g}: at least 0")

    def count(self) -> int:
        """Number of actors on the cluster that is connected."""
        import ray

        if self.actors is not None:
            return self.actors
        found = ray.cluster_resources()
        if self.gpus_per_actor:
            return max(1, int(found.get("GPU", 0) / self.gpus_per_actor))
        return max(1, int(found.get("CPU", 1)))

    def cpus(self, actors: int) -> int:
        """Processors of each actor, so that all of them run at the same time."""
        import ray

        return max(1, int(ray.cluster_resources().get("CPU", 1)) // actors)


@contextlib.contextmanager
def connected(cluster: Cluster) -> Iterator[None]:
    """Ray, started or reached, and left at the end.

    Raises:
        ConfigError: there is no cluster at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Its warnings about the insides of Ray Data are of no use on a terminal.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    # Ray gives its workers the lowest priority of a machine, so that any other program stops them.
    os.environ.setdefault("RAY_worker_niceness", "0")
    import ray

    if ray.is_initialized():  # a program that has its own connection keeps it
        yield
        return
    common: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    # Nothing of it listens on the network.
    here: dict[str, Any] = {
        "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES, "_node_ip_address": "127.0.0.1",
    }  # fmt: skip
    if cluster.actors is not None:
        # The settlement and each actor take a processor at least, whatever the machine has.
        here["num_cpus"] = max(os.cpu_count() or 1, cluster.actors)
    try:
        ray.init(address=cluster.address, **common) if cluster.address else ray.init(address="local", **here, **common)
    except (ConnectionError, ValueError) as error:
        raise ConfigError(f"--address {cluster.address}: no Ray cluster is reached ({error})") from error
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        yield
    finally:
        ray.shutdown()
