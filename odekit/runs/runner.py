"""The runner applies a chain to files: it lists the jobs, resumes earlier runs, and writes results to one folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import time
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from odekit.chains.chain import Chain
from odekit.chains.execution import Execution
from odekit.chains.output_size import check_output_size
from odekit.chains.session import Session
from odekit.core.abilities import HasExtras
from odekit.core.device import resolve_device
from odekit.errors import ConfigError, NoFaceWarning
from odekit.images import io
from odekit.parts.stages.options import Save
from odekit.runs.containment import check_own
from odekit.runs.digests import PictureFiles
from odekit.runs.engine import Engine
from odekit.runs.events import EventLog, log_name
from odekit.runs.faults import start_errors
from odekit.runs.files import OutputSettings
from odekit.runs.findings import Findings
from odekit.runs.inputs import Job, find_overwritten_input, list_inputs, select_jobs, shard_tag
from odekit.runs.lock import lock_output_folder
from odekit.runs.output_names import NameRules, PresentFiles, RecordedNames, with_final_names
from odekit.runs.pipeline import Pipeline
from odekit.runs.resume import CompletionCheck
from odekit.runs.settings import RunSettings
from odekit.runs.settle import Settlement
from odekit.runs.stop import REASONS, TIME_LIMIT, StopRequest, ending_in_order
from odekit.runs.summary import Progress, RunAccounts, RunOptions, RunSummary
from odekit.runs.unread import describe_unread
from odekit.runs.workers import WorkerPool

CRASHED = "crashed"
"""Why a run ended that an error ended; in the event log."""
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
        last = chain.spec.items[-1].options
        self.save = last if isinstance(last, Save) else Save()
        self.summary = RunSummary(self.out)
        self.unchanged_before: list[tuple[Job, Findings]] = []
        """Pictures of earlier runs in which nothing was done."""
        self.tag = shard_tag(options.shard)
        scratch = self.out / f".odekit-tmp{self.tag}"
        self.settlement = Settlement(chain, options, progress)
        self.picture_files = PictureFiles(chain)
        self.output = OutputSettings(self.out, scratch, self.save.format, self.save.quality, self.save.keep_metadata)

    def jobs(self, inputs: Sequence[str | Path]) -> list[Job]:
        """The jobs of this run, with their final output names.

        Raises:
            ConfigError: no inputs, or an output that would replace an input.
        """
        return select_jobs(self._all_jobs(inputs), self.options.shard, self.options.limit)

    def _all_jobs(self, inputs: Sequence[str | Path]) -> list[Job]:
        """The jobs of all shards."""
        suffix = None if self.save.format == "same" else io.suffixes_of(self.save.format.upper())[0]
        extras = [
            name
            for item in self.chain.spec.items
            if isinstance(item.options, HasExtras)
            for name in item.options.extras
        ]
        listed = list_inputs(inputs, self.out, io.IMAGE_SUFFIXES)
        self.summary.unread = listed.unread
        rules = self.rules = NameRules(
            suffix, io.DEFAULT_SUFFIXES, extras, io.APPENDED_SUFFIXES, self.options.keep_stages
        )
        jobs = with_final_names(listed.jobs, rules, lambda: RecordedNames(self.out), str(self.out))
        conflict = find_overwritten_input(jobs, self.out, rules.written)
        if conflict is not None:
            raise ConfigError(f"the result of {conflict.file} would replace an input; choose another folder with -o")
        return jobs

    def run(self, inputs: Sequence[str | Path]) -> RunSummary:
        """Restore all inputs. Failures are listed in OUT/failures.json and in the summary; they do not end the run.

        Raises:
            ConfigError: no inputs, an output folder that is in use or not writable, or other settings than its earlier
                runs.
        """
        started = time.perf_counter()
        stop = StopRequest(self.options.time_limit, self.progress.message)
        all_jobs = self._all_jobs(inputs)
        self._tell_unread()
        jobs = select_jobs(all_jobs, self.options.shard, self.options.limit)
        with ending_in_order(), contextlib.ExitStack() as stack:
            with start_errors(self.out):
                self._create_output_folder()
                check_own(self.out, self.tag)
                stack.enter_context(lock_output_folder(self.out, self.options.shard))
                stack.enter_context(self._temporary_folder())
                names = frozenset(job.name for job in jobs)
                settings = self.settlement.settle(len(all_jobs if self.options.shard else jobs), names)
            self.summary.settings = settings.machine
            todo = self._select(jobs, settings)
            session = self._open(todo, settings, stop)
            with start_errors(self.out):
                if session is not None or self.options.resume:
                    self.settlement.write(settings)
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
                pipeline = self._make_pipeline(session, accounts, settings.shared, len(todo))
                self._restore(pipeline, todo, stop)
            self.summary.stopped = stop.reason
        finally:
            left = len(todo) - (pipeline.accounted if pipeline else 0)
            if not left and stop.reason in {*REASONS.values(), TIME_LIMIT}:
                self.summary.stopped = ""  # it came too late to leave anything undone
            accounts.close(left, self.out / f"failures{self.tag}.json")

    def _open(self, todo: list[Job], settings: RunSettings, stop: StopRequest) -> Session | None:
        """Open the chain, so that errors in its weights occur before a picture is read; None if nothing is to do."""
        count, plan = sum(job.error is None for job in todo), self.chain.plan()
        self.progress.begin(len(todo), None if plan.calls is None else plan.calls * -(-count // settings.slots))
        if not count:
            return None
        self.progress.phase("loading networks", 0, 1)
        import torch

        def on_calls(number: int) -> None:
            with stop.callback():
                self.progress.calls(number)

        def on_phase(name: str, done: float, total: int) -> None:
            with stop.callback():
                self.progress.phase(name, done, total)

        torch.set_num_threads(settings.threads)
        return self.chain.open(
            seed=settings.seed, keep_stages=self.options.keep_stages, on_calls=on_calls, on_phase=on_phase,
            execution=Execution(resolve_device(settings.device), settings.precision, settings.slots),
        )  # fmt: skip

    def _make_pipeline(self, session: Session, accounts: RunAccounts, shared: dict[str, Any], count: int) -> Pipeline:
        workers = self.options.workers
        if workers is None:
            workers = min(4, os.cpu_count() or 1) if count >= MIN_FILES_FOR_WORKERS else 0
        engine = Engine(session, self.progress.message)
        limit, salvage = self.options.max_megapixels, self.options.salvage
        shared = shared | {"weights": session.weights()}
        files_of = self.picture_files.of
        check = partial(check_output_size, session=session, max_megapixels=limit)
        return Pipeline(engine, WorkerPool(workers), accounts, self.output, shared, limit, salvage, files_of, check)

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

    def _create_output_folder(self) -> None:
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise ConfigError(f"the output folder {self.out} cannot be created: it is a file") from error

    @contextlib.contextmanager
    def _temporary_folder(self) -> Iterator[None]:
        """Create the folder for temporary files, after removing those of killed runs; remove it at the end."""
        # A run without shards has locked the folder for itself, so it may remove those of shards, too.
        for folder in [self.output.scratch] if self.tag else self.out.glob(".odekit-tmp*"):
            shutil.rmtree(folder, ignore_errors=True)
        self.output.scratch.mkdir(exist_ok=True)  # it may still exist if a worker of a killed run is writing to it
        try:
            yield
        finally:
            shutil.rmtree(self.output.scratch, ignore_errors=True)

    def pending(self, inputs: Sequence[str | Path]) -> list[Job]:
        """The jobs that a run would process; `summary.skipped` lists the completed ones. Writes nothing.

        Raises:
            ConfigError: like `run`.
        """
        jobs = self.jobs(inputs)
        self._tell_unread()
        return self._select(jobs, self.settlement.found(frozenset(job.name for job in jobs)))

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
        check, unrecorded, present = None, 0, PresentFiles(self.out, self.rules)
        if self.options.resume and settings is not None:
            check = CompletionCheck(
                folder, lambda record: self.settlement.matches(record, settings), self.picture_files.of,
                self.options.verify,
            )  # fmt: skip
        for job in jobs:
            if job.error is not None:
                todo.append(job)
            elif check is not None and check.done(job.name, job.file):
                self.summary.skipped.append(job.name)
                self.summary.found.add(check.findings)
                if check.findings.nothing_done:
                    self.unchanged_before.append((job, check.findings))
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
