"""The runner applies a chain to files: it lists the jobs, resumes earlier runs, and writes results to one folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from odekit.chains.chain import Chain
from odekit.chains.execution import Execution
from odekit.chains.session import Session
from odekit.core.abilities import HasExtras
from odekit.core.device import resolve_device
from odekit.core.files import read_json, write_json
from odekit.errors import ConfigError, NoFaceWarning
from odekit.images import io
from odekit.parts.stages.options import Save
from odekit.runs.engine import Engine
from odekit.runs.events import EventLog, log_name
from odekit.runs.files import OutputSettings
from odekit.runs.findings import Findings, findings_of
from odekit.runs.inputs import Job, find_overwritten_input, list_inputs, select_jobs, shard_tag
from odekit.runs.lock import lock_output_folder
from odekit.runs.output_names import with_final_names
from odekit.runs.pipeline import Pipeline
from odekit.runs.record import RECORD_SCHEMA, versions
from odekit.runs.resume import CompletionCheck, first_difference, with_defaults
from odekit.runs.stop import StopRequest
from odekit.runs.summary import Progress, RunAccounts, RunOptions, RunSummary
from odekit.runs.unread import describe_unread
from odekit.runs.workers import WorkerPool

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
        self.precision_choices: Any = None
        """How the precision was chosen, for `run.json`."""
        self.tag = shard_tag(options.shard)
        scratch = self.out / f".odekit-tmp{self.tag}"
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
        jobs = with_final_names(listed.jobs, suffix, io.DEFAULT_SUFFIXES, extras, io.APPENDED_SUFFIXES)
        conflict = find_overwritten_input(jobs, self.out)
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
        self._create_output_folder()
        with lock_output_folder(self.out, self.options.shard), self._temporary_folder():
            settings, machine = self._settings(len(all_jobs if self.options.shard else jobs))
            self.summary.settings = machine
            todo = self._select(jobs, settings)
            session = self._open(todo, settings, machine, stop)
            log = EventLog(self.out / log_name(self.options.shard))
            accounts = RunAccounts(self.summary, self.progress, log, self.options.require_change)
            if self.options.require_change:
                unchanged = {job.name for job, _ in self.unchanged_before}
                self.summary.skipped = [name for name in self.summary.skipped if name not in unchanged]
            accounts.log.add(
                "begin", pid=os.getpid(), host=socket.gethostname(), chain=self.chain.spec.name, inputs=len(jobs),
                done=len(self.summary.skipped), **machine,
            )  # fmt: skip
            for job, findings in self.unchanged_before:
                accounts.unchanged_before(job, findings)
            for job in todo:
                if job.error is not None:
                    accounts.failed(job, job.error)
            todo = [job for job in todo if job.error is None]
            pipeline = None
            try:
                if session is not None:
                    shared = settings | machine | {"weights": session.weights(), "versions": versions()}
                    pipeline = self._make_pipeline(session, accounts, shared, len(todo))
                    self._restore(pipeline, todo, stop)
            finally:
                left = len(todo) - (pipeline.accounted if pipeline else 0)
                accounts.close(left, self.out / f"failures{self.tag}.json")
        self.summary.seconds = time.perf_counter() - started
        return self.summary

    def _open(
        self, todo: list[Job], settings: dict[str, Any], machine: dict[str, Any], stop: StopRequest
    ) -> Session | None:
        """Open the chain, so that errors in its weights occur before a picture is read; None if nothing is left to do.

        Writes run.json.
        """
        count, plan = sum(job.error is None for job in todo), self.chain.plan()
        self.progress.begin(len(todo), None if plan.calls is None else plan.calls * -(-count // machine["slots"]))
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

        torch.set_num_threads(machine["threads"])
        session = self.chain.open(
            seed=settings["seed"], keep_stages=self.options.keep_stages, on_calls=on_calls, on_phase=on_phase,
            execution=Execution(resolve_device(machine["device"]), machine["precision"], machine["slots"]),
        )  # fmt: skip
        chosen = {"precision_choices": self.precision_choices} if self.precision_choices else {}
        content = {"schema": RECORD_SCHEMA} | settings | machine | {"versions": versions()} | chosen
        write_json(self.out / "run.json", content)
        return session

    def _make_pipeline(self, session: Session, accounts: RunAccounts, shared: dict[str, Any], count: int) -> Pipeline:
        workers = self.options.workers
        if workers is None:
            workers = min(4, os.cpu_count() or 1) if count >= MIN_FILES_FOR_WORKERS else 0
        engine = Engine(session, self.progress.message)
        limit, salvage = self.options.max_megapixels, self.options.salvage
        return Pipeline(engine, WorkerPool(workers), accounts, self.output, shared, limit, salvage)

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
            self.summary.stopped = stop.reason
            self.summary.fill, self.summary.busy = pipeline.engine.fill, pipeline.engine.seconds

    def _create_output_folder(self) -> None:
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise ConfigError(f"the output folder {self.out} cannot be created: it is a file") from error
        except OSError as error:
            raise ConfigError(f"the output folder {self.out} cannot be written: {error.strerror}") from error

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
        return self._select(jobs, self._requested_settings()[0])

    def _tell_unread(self) -> None:
        """Show which pictures and videos of the inputs are not read."""
        if self.summary.unread:
            self.progress.message(describe_unread(self.summary.unread))

    def _requested_settings(self) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """(chain and seed of this run; content of the folder's run.json if it is resumed, else None).

        Raises:
            ConfigError: the folder was written with another chain or seed.
        """
        seed = self.chain.spec.seed if self.options.seed is None else self.options.seed
        settings: dict[str, Any] = {"chain": self.chain.tree(), "seed": seed}
        stored = read_json(self.out / "run.json") if self.options.resume else None
        if not isinstance(stored, dict):
            return settings, None
        chain = with_defaults(stored.get("chain"), self.chain.parts)
        for key, stored_value in (("chain", chain), ("seed", stored.get("seed"))):
            if stored_value != settings[key]:
                difference = first_difference(stored_value, settings[key])
                raise ConfigError(
                    f"{self.out} was written with another {key} ({difference}); "
                    f"resume with that {key}, or choose another folder"
                )
        return settings, stored

    def _matches(self, record: Mapping[str, Any], settings: dict[str, Any]) -> bool:
        """Whether a record has the chain and the seed of this run."""
        chain = record.get("chain")
        if record.get("seed") != settings["seed"]:
            return False
        return bool(chain == settings["chain"] or with_defaults(chain, self.chain.parts) == settings["chain"])

    def _settings(self, count: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """Everything that results depend on: (chain and seed; device, precision, batch size and threads).

        Args:
            count: number of images in the job.
        """
        options = self.options
        settings, stored = self._requested_settings()
        if stored is not None:
            self.precision_choices = stored.get("precision_choices")
            return settings, self._stored_machine(stored)
        import torch

        execution = self.chain.execution(count, options.device, options.precision, options.batch_size)
        self.precision_choices = execution.precision_choices
        return settings, {
            "device": execution.device, "precision": execution.precision, "slots": execution.batch_size,
            "threads": torch.get_num_threads(),
        }  # fmt: skip

    def _stored_machine(self, stored: dict[str, Any]) -> dict[str, Any]:
        """Device, precision, batch size and threads of the first run in the folder; another GPU may replace its GPU.

        Raises:
            ConfigError: this run requests other values.
        """
        machine = {key: stored[key] for key in ("device", "precision", "slots", "threads")}
        options = self.options
        if options.device != "auto" and options.device.partition(":")[0] == machine["device"].partition(":")[0]:
            machine["device"] = options.device
        for key, name, requested in (
            ("device", "device", None if options.device == "auto" else options.device),
            ("precision", "precision", None if options.precision == "auto" else options.precision),
            ("slots", "batch-size", None if options.batch_size == "auto" else options.batch_size),
        ):
            if requested not in (None, machine[key]):
                raise ConfigError(
                    f"{self.out} was written with --{name} {machine[key]}; resume with this value, or omit --{name}"
                )
        return machine

    def _select(self, jobs: list[Job], settings: dict[str, Any]) -> list[Job]:
        """The jobs to be done; those that are complete according to their records go to `summary.skipped`.

        Raises:
            ConfigError: a result exists, and neither --resume nor --overwrite is set.
        """
        todo, folder = [], os.path.join(self.out, "")
        completion = CompletionCheck(lambda record: self._matches(record, settings)) if self.options.resume else None
        for job in jobs:
            if job.error is not None:
                todo.append(job)
            elif completion is not None and completion.done(folder + job.name, job.file):
                self.summary.skipped.append(job.name)
                findings = findings_of(completion.record)
                self.summary.found.add(findings)
                if findings.nothing_done:
                    self.unchanged_before.append((job, findings))
            elif not (self.options.overwrite or self.options.resume) and os.path.exists(folder + job.name):
                raise ConfigError(
                    f"{folder}{job.name} exists; use --resume to continue, or --overwrite to restore everything again"
                )
            else:
                todo.append(job)
        return todo
