"""The driver of a job on Ray: it plans, hands out batches, and accounts for every file."""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from odekit.chains.chain import Chain
from odekit.errors import ConfigError, OdekitError, OutputError, Stopped
from odekit.runs.events import EventLog, log_name
from odekit.runs.inputs import Job
from odekit.runs.jobs import JobBook
from odekit.runs.output_names import PresentFiles
from odekit.runs.settings import RunSettings
from odekit.runs.sources import InputSource
from odekit.runs.stop import StopRequest, ending_in_order
from odekit.runs.summary import Progress, RunAccounts, RunOptions, RunSummary
from odekit_ray.actor import FAILED, NOTED, RESTORED, Restorer, Row, settle
from odekit_ray.cluster import Cluster, connected
from odekit_ray.places import book_places, log_folder

MAX_BATCHES_PER_TASK = 32
"""Batches that an actor is given at once in a large job: each task costs the driver about a millisecond."""
BATCHES_PER_ACTOR = 16
"""So many tasks an actor is to have at least, so that all of them end at about the same time."""


class RayJob:
    """One run of a chain on a cluster.

    Args:
        chain: to be applied.
        options: of the run; `out` may be an address, such as `s3://bucket/out`, in `address`.
        cluster: where it runs.
        progress: receives the progress.
        address: of an object store for the results; empty: the folder `options.out`.
        source: reads the inputs; default: files, and objects by their addresses.
    """

    def __init__(
        self, chain: Chain, options: RunOptions, cluster: Cluster, progress: Progress, address: str = "",
        source: InputSource | None = None,
    ) -> None:  # fmt: skip
        self.chain = chain
        self.options = options
        self.cluster = cluster
        self.progress = progress
        self.address = address
        self.places = book_places(address) | ({} if source is None else {"source": source})
        self.book = JobBook(chain, options, progress, **self.places)
        self.summary = RunSummary(options.out)

    def run(self, inputs: Sequence[str | Path]) -> RunSummary:
        """Restore all inputs; failures are listed in failures.json and in the summary.

        Raises:
            ConfigError: no inputs, results of other settings, or no cluster at the address.
        """
        started = time.perf_counter()
        jobs = self.book.plan(inputs)[: self.options.limit]
        self.summary.unread = self.book.unread
        if not self.options.resume:
            self._check_absent(jobs)
        with ending_in_order(), self.book.opened(), connected(self.cluster):
            settings = self._settle(jobs)
            with log_folder(self.book.store, self.options.out if not self.address else None) as folder:
                accounts = RunAccounts(
                    self.summary, self.progress, EventLog(folder / log_name(None)), self.options.require_change
                )
                self._account(jobs, settings, accounts, folder)
        self.summary.seconds = time.perf_counter() - started
        return self.summary

    def _check_absent(self, jobs: Sequence[Job]) -> None:
        present = PresentFiles(self.book.store, self.book.rules)
        for job in jobs:
            if job.error is None and (there := present.of(job.name)):
                raise ConfigError(f"{self.book.store.place(there)} exists; use --resume to continue")

    def _settle(self, jobs: Sequence[Job]) -> RunSettings:
        """Let a worker settle the job: it has the device, and the threads, that all of them have."""
        import ray

        count = self.cluster.count()
        task = ray.remote(settle).options(
            num_cpus=self.cluster.cpus(count), num_gpus=self.cluster.gpus_per_actor, max_retries=3
        )
        known = [] if self.options.resume else jobs
        arguments = self.chain.tree(), self.options, self.places, known, len(jobs), str(Path.cwd())
        try:
            settings, told = ray.get(task.remote(*arguments))
        except ray.exceptions.RayTaskError as error:
            raise own_error(error) from error
        for text in told:
            self.progress.message(text)
        self.summary.settings = settings.machine
        return self.book.use(settings)

    def _account(self, jobs: Sequence[Job], settings: RunSettings, accounts: RunAccounts, folder: Path) -> None:
        """Account for every job."""
        accounts.log.add(
            "begin", pid=os.getpid(), host=socket.gethostname(), engine="ray", chain=self.chain.spec.name,
            inputs=len(jobs), done=0, **settings.machine,
        )  # fmt: skip
        accounts.flush()
        self.progress.begin(len(jobs), None)
        stop = StopRequest(self.options.time_limit, self.progress.message)
        by_name = {job.name: job for job in jobs if job.error is None}
        for job in jobs:
            if job.error is not None:
                accounts.failed(job, job.error)
        left = len(by_name)
        self.summary.stopped = "crashed"
        try:
            with stop, contextlib.suppress(KeyboardInterrupt, Stopped):
                batches = self._batches(list(by_name.values()), settings)
                while not stop.should_stop():
                    with stop.interruptible():
                        batch = next(batches, None)
                    if batch is None:
                        break
                    for one in batch:
                        left -= self._add(one, by_name[one["name"]], accounts)
                    accounts.flush()
            self.summary.stopped = stop.reason if left else ""
        except OutputError as error:
            self.summary.stopped = str(error)
        finally:
            accounts.close(left, folder / "failures.json")

    def _add(self, one: Row, job: Job, accounts: RunAccounts) -> int:
        """Register a row; returns the number of files that it ends."""
        if one["state"] == NOTED:
            accounts.noted(job, [one["text"]])
            return 0
        if one["state"] == FAILED:
            accounts.failed_as(job, one["text"])
            return 1
        findings = pickle.loads(one["findings"])
        if one["state"] == RESTORED:
            accounts.restored(job, one["text"], findings, int(one["calls"]), float(one["seconds"]))
        else:
            self.summary.skipped.append(job.name)
            self.summary.found.add(findings)
            accounts.log.add("skipped", input=job.file)
            self.progress.images(1)
        return 1

    def _batches(self, jobs: Sequence[Job], settings: RunSettings) -> Iterator[list[Row]]:
        """Rows of all files, some at a time, as they end, in no order.

        Raises:
            OdekitError: an actor cannot work at all, or the store takes no more.
        """
        import pyarrow
        import ray

        if not jobs:
            return
        count = min(self.cluster.count(), -(-len(jobs) // settings.slots))
        batches = min(MAX_BATCHES_PER_TASK, max(1, len(jobs) // (settings.slots * count * BATCHES_PER_ACTOR)))
        rows = settings.slots * batches
        tables = [
            pyarrow.table({"name": [job.name for job in part], "file": [job.file for job in part]})
            for part in (jobs[start : start + rows] for start in range(0, len(jobs), rows))
        ]
        data = ray.data.from_arrow(tables).map_batches(
            Restorer,
            fn_constructor_args=(self.chain.tree(), self.book.ticket(), self.book.scratch, str(Path.cwd())),
            batch_size=settings.slots,
            compute=ray.data.ActorPoolStrategy(size=count, max_tasks_in_flight_per_actor=2),
            num_cpus=self.cluster.cpus(self.cluster.count()),
            num_gpus=self.cluster.gpus_per_actor or None,
        )
        try:
            for batch in data.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                yield batch.to_pylist()
        except Stopped:
            raise
        except Exception as error:
            raise own_error(error) from error


def own_error(error: BaseException) -> BaseException:
    """The error of odekit that a worker raised, without what Ray put around it; else the error itself."""
    seen: BaseException | None = error
    while seen is not None:
        cause = getattr(seen, "cause", None)
        for one in (seen, cause):
            if isinstance(one, OdekitError):
                return type(one)(str(one).split("\n")[-1]) if "RayTaskError" in type(one).__name__ else one
        seen = cause if isinstance(cause, BaseException) and cause is not seen else seen.__cause__
    return error
