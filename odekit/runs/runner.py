"""The runner applies a chain to files: it lists the jobs, resumes earlier runs, and writes results to one folder."""

from __future__ import annotations

import contextlib
import os
import socket
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from odekit.chains.chain import Chain
from odekit.chains.output_size import check_output_size
from odekit.chains.session import Session
from odekit.core.memory import return_free_memory
from odekit.errors import ConfigError, NoFaceWarning
from odekit.images import io
from odekit.parts.faces.ahead import forget_search
from odekit.runs.engine import Engine
from odekit.runs.events import EventLog, log_name
from odekit.runs.faults import start_errors
from odekit.runs.files import InputPicture
from odekit.runs.findings import Findings
from odekit.runs.first_picture import read_first
from odekit.runs.inputs import Job
from odekit.runs.jobs import JobBook
from odekit.runs.output_names import PresentFiles
from odekit.runs.pipeline import Pipeline
from odekit.runs.settings import RunSettings
from odekit.runs.stop import REASONS, TIME_LIMIT, StopRequest, ending_in_order
from odekit.runs.summary import Progress, RunAccounts, RunOptions, RunSummary
from odekit.runs.unread import describe_unread
from odekit.runs.workers import WorkerPool

CRASHED = "crashed"
"""Why a run ended that an error ended; in the event log."""
NOTHING_DONE = Findings(nothing_done=True)
MIN_FILES_FOR_WORKERS = 32
"""Number of files from which worker processes are used by default."""


class Runner:
    """One run of a chain into one output folder.

    Args:
        chain: to be applied.
        options: of the run.
        progress: receives the progress.
    """

    def __init__(self, chain: Chain, options: RunOptions, progress: Progress) -> None:
        self.chain = chain
        self.options = options
        self.progress = progress
        self.out = options.out
        self.book = JobBook(chain, options, progress)
        self.summary = RunSummary(self.out)
        self.unchanged_before: list[tuple[Job, Findings]] = []
        """Pictures of earlier runs in which nothing was done; their findings are kept for `require_change` only."""
        self.begun: dict[str, Future[InputPicture]] = {}
        """The first file, if its reading has begun."""

    def jobs(self, inputs: Sequence[str | Path]) -> list[Job]:
        """The jobs of this run, with their final output names.

        Raises:
            ConfigError: no inputs, or an output that would replace an input.
        """
        return self.book.share(self._plan(inputs))

    def _plan(self, inputs: Sequence[str | Path]) -> list[Job]:
        """The jobs of all shards."""
        jobs = self.book.plan(inputs)
        self.summary.unread = self.book.unread
        return jobs

    def run(self, inputs: Sequence[str | Path]) -> RunSummary:
        """Restore all inputs. Failures are listed in OUT/failures.json and in the summary; they do not end the run.

        Raises:
            ConfigError: no inputs, an output folder that is in use or not writable, or other settings than its earlier
                runs.
        """
        started = time.perf_counter()
        stop = StopRequest(self.options.time_limit, self.progress.message)
        all_jobs = self._plan(inputs)
        self._tell_unread()
        jobs = self.book.share(all_jobs)
        self._begin_first(jobs)
        with ending_in_order(), contextlib.ExitStack() as stack:
            stack.callback(forget_search)
            with start_errors(self.out):
                stack.enter_context(self.book.opened())
                settings = self.book.settle(jobs, len(all_jobs) if self.options.shard else None)
            self.summary.settings = settings.machine
            todo = self._select(jobs, settings)
            session = self._open(todo, settings, stop)
            with start_errors(self.out):
                if session is not None or self.options.resume:
                    self.book.settlement.write(settings)
                log = EventLog(self.out / log_name(self.options.shard))
            self._process(jobs, todo, session, settings, stop, log)
        self.summary.seconds = time.perf_counter() - started
        return self.summary

    def _process(
        self, jobs: list[Job], todo: list[Job], session: Session | None, settings: RunSettings, stop: StopRequest,
        log: EventLog,
    ) -> None:  # fmt: skip
        """Restore what is to be done, and account for every job."""
        accounts = RunAccounts(self.summary, self.progress, log, self.options.require_change)
        if self.options.require_change:
            unchanged = {job.name for job, _ in self.unchanged_before}
            self.summary.skipped = [name for name in self.summary.skipped if name not in unchanged]
        accounts.log.add(
            "begin", pid=os.getpid(), host=socket.gethostname(), chain=self.chain.spec.name, inputs=len(jobs),
            done=len(self.summary.skipped), **settings.machine,
        )  # fmt: skip
        for job, findings in self.unchanged_before:
            accounts.unchanged_before(job, findings)
        for job in todo:
            if job.error is not None:
                accounts.failed(job, job.error)
        todo = [job for job in todo if job.error is None]
        pipeline = None
        self.summary.stopped = CRASHED  # until the pipeline has ended
        try:
            if session is not None:
                pipeline = self._make_pipeline(session, accounts, len(todo))
                self._restore(pipeline, todo, stop)
            self.summary.stopped = stop.reason
        finally:
            left = len(todo) - (pipeline.accounted if pipeline else 0)
            if not left and stop.reason in {*REASONS.values(), TIME_LIMIT}:
                self.summary.stopped = ""  # it came too late to leave anything undone
            accounts.close(left, self.out / f"failures{self.book.tag}.json")

    def _open(self, todo: list[Job], settings: RunSettings, stop: StopRequest) -> Session | None:
        """Open the chain, so that errors in its weights occur before a picture is read; None if nothing is to do."""
        count, plan = sum(job.error is None for job in todo), self.chain.plan()
        self.progress.begin(len(todo), None if plan.calls is None else plan.calls * -(-count // settings.slots))
        if not count:
            return None
        self.progress.phase("loading networks", 0, 1)

        def on_calls(number: int) -> None:
            with stop.callback():
                self.progress.calls(number)

        def on_phase(name: str, done: float, total: int) -> None:
            with stop.callback():
                self.progress.phase(name, done, total)

        session = self.book.session(on_calls, on_phase)
        return_free_memory()  # what files and conversions of weights took, before pictures come
        return session

    def _begin_first(self, jobs: list[Job]) -> None:
        """Have the first file read while torch is imported, if it is read in this process and surely to be done."""
        if not jobs or jobs[0].error is not None or self.options.resume or self._workers(len(jobs)):
            return
        if self.options.overwrite or not PresentFiles(self.book.store, self.book.rules).of(jobs[0].name):
            reading = read_first(self.chain, self.options, jobs[0].file)
            self.begun = {} if reading is None else {jobs[0].file: reading}

    def _workers(self, count: int) -> int:
        """How many processes read and write this number of files."""
        if self.options.workers is not None:
            return self.options.workers
        return min(4, os.cpu_count() or 1) if count >= MIN_FILES_FOR_WORKERS else 0

    def _make_pipeline(self, session: Session, accounts: RunAccounts, count: int) -> Pipeline:
        engine = Engine(session, self.progress.message)
        check = partial(check_output_size, session=session, max_megapixels=self.options.max_megapixels)
        return Pipeline(engine, WorkerPool(self._workers(count)), accounts, self.book, check, self.begun)

    def _restore(self, pipeline: Pipeline, todo: list[Job], stop: StopRequest) -> None:
        """Run the pipeline until all jobs are done or the run is stopped."""
        try:
            with stop, warnings.catch_warnings():
                warnings.simplefilter("ignore", NoFaceWarning)  # the photograph's line says it
                pipeline.run(todo, stop)
        except KeyboardInterrupt:
            stop.reason = "interrupted"
        finally:
            pipeline.workers.close()
            self.summary.fill, self.summary.busy = pipeline.engine.fill, pipeline.engine.seconds

    def pending(self, inputs: Sequence[str | Path]) -> list[Job]:
        """The jobs that a run would process; `summary.skipped` lists the completed ones. Writes nothing.

        Raises:
            ConfigError: like `run`.
        """
        jobs = self.jobs(inputs)
        self._tell_unread()
        return self._select(jobs, self.book.found(jobs))

    def _tell_unread(self) -> None:
        """Show which pictures and videos of the inputs are not read."""
        if self.summary.unread:
            self.progress.message(describe_unread(self.summary.unread))

    def _select(self, jobs: list[Job], settings: RunSettings | None) -> list[Job]:
        """The jobs to be done; those that are complete according to their records go to `summary.skipped`.

        `settings`: of the run; None if its folder has no results.

        Raises:
            ConfigError: a result exists, and neither --resume nor --overwrite is set.
        """
        todo, folder = [], os.path.join(self.out, "")
        unrecorded, present = 0, PresentFiles(self.book.store, self.book.rules)
        check = self.book.check if self.options.resume and settings is not None else None
        for job in self.book.ahead(jobs) if check is not None else jobs:
            if job.error is not None:
                todo.append(job)
            elif check is not None and check.done(job.name, job.file):
                self.summary.skipped.append(job.name)
                findings = check.findings
                self.summary.found.add(findings)
                if findings.nothing_done:
                    self.unchanged_before.append((job, findings if self.options.require_change else NOTHING_DONE))
            elif not (self.options.overwrite or self.options.resume) and (there := present.of(job.name)):
                raise ConfigError(
                    f"{folder}{there} exists; use --resume to continue, or --overwrite to restore everything again"
                )
            else:
                unrecorded += self.options.resume and self._has_result_alone(folder + job.name)
                todo.append(job)
        if unrecorded:
            count = "1 result has no record" if unrecorded == 1 else f"{unrecorded} results have no records"
            self.progress.message(f"{count} (NAME.json), to be restored again")
        if check is not None and check.disagreed:
            count = "1 result was" if check.disagreed == 1 else f"{check.disagreed} results were"
            self.progress.message(f"{count} made with other settings, to be restored again")
        return todo

    def _has_result_alone(self, path: str) -> bool:
        """Whether a result is there, perhaps with the suffix that `write_result` appends, and no record beside it."""
        written = any(map(os.path.lexists, (path, *(path + suffix for suffix in io.DEFAULT_SUFFIXES))))
        return written and not os.path.lexists(f"{path}.json")
