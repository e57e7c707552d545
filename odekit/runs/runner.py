"""Runs a chain over files into one folder, resumes, and accounts for every file."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from odekit.chains.chain import Chain
from odekit.chains.execution import Execution
from odekit.chains.session import Session
from odekit.core.abilities import HasExtras
from odekit.core.device import resolve_device
from odekit.core.files import read_json, write_json
from odekit.errors import ConfigError
from odekit.images import io
from odekit.parts.stages.options import Save
from odekit.runs.engine import Engine
from odekit.runs.events import EventLog, log_name
from odekit.runs.files import Output
from odekit.runs.inputs import Job, collect, part_of, replaced
from odekit.runs.lock import locked
from odekit.runs.output_names import named
from odekit.runs.pipeline import Pipeline
from odekit.runs.record import SCHEMA, versions
from odekit.runs.resume import Proofs, first_difference, with_defaults
from odekit.runs.stop import Stop
from odekit.runs.summary import Ledger, Progress, RunOptions, Summary
from odekit.runs.workers import Workers

PARALLEL_FROM = 32
"""Files from which processes for reading and writing pay, where their number is left to us."""


class Runner:
    """One run of a chain into one output folder."""

    def __init__(self, chain: Chain, options: RunOptions, progress: Progress) -> None:
        self.chain = chain
        self.options = options
        self.progress = progress
        self.out = options.out
        last = chain.spec.items[-1].options
        self.save = last if isinstance(last, Save) else Save()
        self.summary = Summary(self.out)
        self.tag = "" if options.shard is None else f"-{options.shard.replace('/', '-of-')}"
        scratch = self.out / f".odekit-tmp{self.tag}"
        self.output = Output(self.out, scratch, self.save.format, self.save.quality, self.save.keep_metadata)

    def jobs(self, inputs: Sequence[str | Path]) -> list[Job]:
        """The jobs of this run, with their final output names.

        Raises:
            ConfigError: no inputs, or an output that would replace an input.
        """
        return part_of(self._all(inputs), self.options.shard, self.options.limit)

    def _all(self, inputs: Sequence[str | Path]) -> list[Job]:
        asked = None if self.save.format == "same" else io.endings(self.save.format.upper())[0]
        extras = [
            name
            for item in self.chain.spec.items
            if isinstance(item.options, HasExtras)
            for name in item.options.extras
        ]
        jobs = named(collect(inputs, self.out, io.SUFFIXES), asked, io.USUAL, extras)
        bad = replaced(jobs, self.out)
        if bad is not None:
            raise ConfigError(f"the result of {bad.file} would replace an input; choose another folder with -o")
        return jobs

    def run(self, inputs: Sequence[str | Path]) -> Summary:
        """Restore everything. Failures are listed in OUT/failures.json and in the summary; they stop nothing."""
        began = time.perf_counter()
        stop = Stop(self.options.time_limit, self.progress.say)
        every = self._all(inputs)
        jobs = part_of(every, self.options.shard, self.options.limit)
        self._prepare()
        with locked(self.out, self.options.shard), self._scratch():
            settings, machine = self._settings(len(every if self.options.shard else jobs))
            self.summary.settings = machine
            todo = self._todo(jobs, settings)
            session = self._open(todo, settings, machine)
            ledger = Ledger(self.summary, self.progress, EventLog(self.out / log_name(self.options.shard)))
            ledger.log.add(
                "begin", pid=os.getpid(), host=socket.gethostname(), chain=self.chain.spec.name, inputs=len(jobs),
                done=len(self.summary.skipped), **machine,
            )  # fmt: skip
            for job in todo:
                if job.error is not None:
                    ledger.failed(job, job.error)
            todo = [job for job in todo if job.error is None]
            flow = None
            try:
                if session is not None:
                    shared = settings | machine | {"weights": session.weights(), "versions": versions()}
                    flow = self._flow(session, ledger, shared, len(todo))
                    self._work(flow, todo, stop)
            finally:
                ledger.close(len(todo) - (flow.accounted if flow else 0), self.out / f"failures{self.tag}.json")
        self.summary.seconds = time.perf_counter() - began
        return self.summary

    def _open(self, todo: list[Job], settings: dict[str, Any], machine: dict[str, Any]) -> Session | None:
        """The networks, ready to run: whatever they lack shows before a picture is read. None: nothing to do."""
        count, plan = sum(job.error is None for job in todo), self.chain.plan()
        self.progress.begin(len(todo), None if plan.calls is None else plan.calls * -(-count // machine["slots"]))
        if not count:
            return None
        import torch

        torch.set_num_threads(machine["threads"])
        session = self.chain.open(
            seed=settings["seed"], keep_stages=self.options.keep_stages, on_calls=self.progress.calls,
            execution=Execution(resolve_device(machine["device"]), machine["precision"], machine["slots"]),
        )  # fmt: skip
        write_json(self.out / "run.json", {"schema": SCHEMA} | settings | machine | {"versions": versions()})
        return session

    def _flow(self, session: Session, ledger: Ledger, shared: dict[str, Any], count: int) -> Pipeline:
        workers = self.options.workers
        if workers is None:
            workers = min(4, os.cpu_count() or 1) if count >= PARALLEL_FROM else 0
        engine = Engine(session, self.progress.say)
        return Pipeline(engine, Workers(workers), ledger, self.output, shared, self.options.max_megapixels)

    def _work(self, flow: Pipeline, todo: list[Job], stop: Stop) -> None:
        """Restore until all is done or the run is asked to stop."""
        try:
            with stop:
                flow.run(todo, stop)
        except KeyboardInterrupt:
            stop.reason = "interrupted"
        finally:
            flow.workers.close()
            self.summary.stopped = stop.reason
            self.summary.fill, self.summary.busy = flow.engine.fill, flow.engine.busy

    def _prepare(self) -> None:
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"the output folder {self.out} cannot be written: {error.strerror}") from error

    @contextlib.contextmanager
    def _scratch(self) -> Iterator[None]:
        """A folder for temporary files, cleared of what a killed run left."""
        for left in [self.output.scratch] if self.tag else self.out.glob(".odekit-tmp*"):  # a whole run excludes shards
            shutil.rmtree(left, ignore_errors=True)
        self.output.scratch.mkdir(exist_ok=True)  # a worker of the killed run may have been in the middle of a file
        try:
            yield
        finally:
            shutil.rmtree(self.output.scratch, ignore_errors=True)

    def pending(self, inputs: Sequence[str | Path]) -> list[Job]:
        """The jobs that a run would take up now; `summary.skipped` holds what is done. Writes nothing.

        Raises:
            ConfigError: as `run` would.
        """
        return self._todo(self.jobs(inputs), self._asked()[0])

    def _asked(self) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """Chain and seed; and what the folder's `run.json` says, where the run goes on with it."""
        seed = self.chain.spec.seed if self.options.seed is None else self.options.seed
        settings: dict[str, Any] = {"chain": self.chain.tree(), "seed": seed}
        stored = read_json(self.out / "run.json") if self.options.resume else None
        if not isinstance(stored, dict):
            return settings, None
        chain = with_defaults(stored.get("chain"), self.chain.parts)
        for key, there in (("chain", chain), ("seed", stored.get("seed"))):
            if there != settings[key]:
                said = first_difference(there, settings[key])
                reason = f"{self.out} was made with another {key} ({said}); resume with that, or choose another folder"
                raise ConfigError(reason)
        return settings, stored

    def _agrees(self, record: Mapping[str, Any], settings: dict[str, Any]) -> bool:
        chain = record.get("chain")
        if record.get("seed") != settings["seed"]:
            return False
        return bool(chain == settings["chain"] or with_defaults(chain, self.chain.parts) == settings["chain"])

    def _settings(self, count: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """What results depend on: (chain and seed; device, precision, slots and threads)."""
        options = self.options
        settings, stored = self._asked()
        if stored is not None:
            return settings, self._kept(stored)
        import torch

        run = self.chain.execution(count, options.device, options.precision, options.batch_size)
        return settings, {
            "device": run.device, "precision": run.precision, "slots": run.batch_size,
            "threads": torch.get_num_threads(),
        }  # fmt: skip

    def _kept(self, stored: dict[str, Any]) -> dict[str, Any]:
        """Device, precision, slots and threads of the run that began the folder; another card of its kind will do."""
        machine = {key: stored[key] for key in ("device", "precision", "slots", "threads")}
        options = self.options
        if options.device != "auto" and options.device.partition(":")[0] == machine["device"].partition(":")[0]:
            machine["device"] = options.device
        for key, name, asked in (
            ("device", "device", None if options.device == "auto" else options.device),
            ("precision", "precision", None if options.precision == "auto" else options.precision),
            ("slots", "batch-size", None if options.batch_size == "auto" else options.batch_size),
        ):
            if asked not in (None, machine[key]):
                raise ConfigError(f"{self.out} was made with --{name} {machine[key]}; resume with that or without")
        return machine

    def _todo(self, jobs: list[Job], settings: dict[str, Any]) -> list[Job]:
        todo, folder = [], os.path.join(self.out, "")
        proofs = Proofs(lambda record: self._agrees(record, settings)) if self.options.resume else None
        for job in jobs:
            if job.error is not None:
                todo.append(job)
            elif proofs is not None and proofs.done(folder + job.name, job.file):
                self.summary.skipped.append(job.name)
            elif not (self.options.overwrite or self.options.resume) and os.path.exists(folder + job.name):
                raise ConfigError(
                    f"{folder}{job.name} exists; --resume goes on with what is missing, --overwrite restores all again"
                )
            else:
                todo.append(job)
        return todo
