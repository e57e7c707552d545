"""Runs a chain over files: reads, batches, writes results with their records, resumes, and lists what failed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from odekit import io
from odekit.chain import Chain, Result
from odekit.errors import ConfigError, InputError, OdekitError
from odekit.image import Image
from odekit.inputs import Job, collect, part_of
from odekit.record import SCHEMA, file_facts, proves_done, read_json, versions, write_json
from odekit.session import Session
from odekit.stages import Save
from odekit.summary import Progress, RunOptions, Summary

EXTENSIONS = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp"}


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

    def jobs(self, inputs: Sequence[str | Path]) -> list[Job]:
        """The jobs of this run, with their final output names.

        Raises:
            ConfigError: no inputs, or an output that would replace an input.
        """
        jobs = [self._named(job) for job in collect(inputs, self.out, io.SUFFIXES)]
        taken: dict[Path, Job] = {}
        final = []
        for job in jobs:
            if job.target in taken:  # a.jpg and a.png both become a.png: the second keeps its whole name
                job = Job(job.source, job.target.with_name(job.source.name + job.target.suffix), job.error)
            taken[job.target] = job
            final.append(job)
        sources = {job.source.resolve() for job in final}
        for job in final:
            if (self.out / job.target).resolve() in sources:
                raise ConfigError(f"the result of {job.source} would replace an input; choose another folder with -o")
        return part_of(final, self.options.shard, self.options.limit)

    def _named(self, job: Job) -> Job:
        if self.save.format == "same":
            return job
        return Job(job.source, job.target.with_suffix(EXTENSIONS[self.save.format.upper()]), job.error)

    def run(self, inputs: Sequence[str | Path]) -> Summary:
        """Restore everything. Failures are listed in OUT/failures.json and in the summary; they stop nothing."""
        began = time.perf_counter()
        plan = self.chain.plan()
        jobs = self.jobs(inputs)
        settings, self.summary.settings = self._settings(len(jobs))
        todo = self._todo(jobs, settings)
        slots = self.summary.settings["slots"]
        batches = [todo[i : i + slots] for i in range(0, len(todo), slots)]
        self.progress.begin(len(todo), None if plan.calls is None else plan.calls * len(batches))
        if todo:
            session = self._open(settings)
            write_json(
                self.out / "run.json", {"schema": SCHEMA} | settings | self.summary.settings | {"versions": versions()}
            )
            try:
                for batch in batches:
                    self._batch(batch, session, settings)
            finally:
                self._failures()
        self._failures()
        self.summary.seconds = time.perf_counter() - began
        return self.summary

    def _settings(self, count: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """What results depend on: (chain and seed; device, precision, slots and threads)."""
        import torch

        from odekit.device import resolve_device, resolve_precision

        options = self.options
        seed = self.chain.spec.seed if options.seed is None else options.seed
        settings: dict[str, Any] = {"chain": self.chain.tree(), "seed": seed}
        self._prepare()
        stored = read_json(self.out / "run.json") if options.resume else None
        if isinstance(stored, dict):
            for key in ("chain", "seed"):
                if stored.get(key) != settings[key]:
                    raise ConfigError(
                        f"{self.out} was made with another {key}; resume with that, or choose another folder"
                    )
            torch.set_num_threads(int(stored["threads"]))
            machine = {key: stored[key] for key in ("device", "precision", "slots", "threads")}
            if options.batch_size not in (None, machine["slots"]):
                raise ConfigError(
                    f"{self.out} was made with --batch-size {machine['slots']}; resume with that or without"
                )
            return settings, machine
        device = resolve_device(options.device)
        if options.batch_size is not None and options.batch_size < 1:
            raise ConfigError(f"--batch-size {options.batch_size}: at least 1")
        return settings, {
            "device": device,
            "precision": resolve_precision(options.precision, device),
            "slots": options.batch_size or max(1, min(8, count)),
            "threads": torch.get_num_threads(),
        }

    def _prepare(self) -> None:
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            probe = self.out / ".odekit-write-test"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise ConfigError(f"the output folder {self.out} cannot be written: {error.strerror}") from error

    def _todo(self, jobs: list[Job], settings: dict[str, Any]) -> list[Job]:
        todo = []
        for job in jobs:
            target = self.out / job.target
            if job.error is not None:
                self._fail(job.source, job.error)
            elif self.options.resume and proves_done(read_json(record_path(target)), settings, job.source, target):
                self.summary.skipped.append(target)
            elif target.exists() and not (self.options.overwrite or self.options.resume):
                raise ConfigError(
                    f"{target} exists; --resume goes on with what is missing, --overwrite restores all again"
                )
            else:
                todo.append(job)
        return todo

    def _open(self, settings: dict[str, Any]) -> Session:
        machine = self.summary.settings
        return self.chain.open(
            seed=settings["seed"],
            device=machine["device"],
            precision=machine["precision"],
            batch_size=machine["slots"],
            keep_stages=self.options.keep_stages,
            tell=self.progress.calls,
        )

    def _batch(self, jobs: list[Job], session: Session, settings: dict[str, Any]) -> None:
        read: list[tuple[Job, Image, dict[str, Any]]] = []
        for job in jobs:
            try:
                facts = file_facts(job.source)
                read.append((job, io.read(job.source, max_megapixels=self.options.max_megapixels), facts))
            except InputError as error:
                self._fail(job.source, error)
            except OSError as error:
                self._fail(job.source, InputError(f"{job.source}: cannot be read: {error.strerror}"))
        results = session.run([image for _, image, _ in read])
        for (job, _, facts), result in zip(read, results, strict=True):
            self._finish(job, result, facts, settings, session)
        self.progress.images(len(jobs))

    def _finish(
        self, job: Job, result: Result, facts: dict[str, Any], settings: dict[str, Any], session: Session
    ) -> None:
        if result.error is not None:
            self._fail(job.source, result.error)
            return
        target = self.out / job.target
        if self.save.format == "same" and target.suffix.lower() not in io.endings(result.image.meta.format):
            # A PNG that is called a.jpg becomes a.jpg.png, so that it never meets the result of another file.
            target = target.with_name(target.name + EXTENSIONS[result.image.meta.format])
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            save = self.save
            io.write(result.image, target, format=save.format, quality=save.quality, keep_metadata=save.keep_metadata)
        except OSError as error:
            self._fail(job.source, InputError(f"{target}: cannot be written: {error.strerror or error}"))
            return
        except OdekitError as error:
            self._fail(job.source, error)
            return
        stages = result.record["stages"]
        calls = sum(stage.get("calls", 0) for stage in stages)
        seconds = round(sum(stage["seconds"] for stage in stages), 4)
        record = {"schema": SCHEMA, "input": facts, "output": file_facts(target), "calls": calls, "seconds": seconds}
        record |= (
            settings | self.summary.settings | {"stages": stages, "weights": session.weights(), "versions": versions()}
        )
        if result.stages:
            from odekit.report.sheet import write_stages

            record["pictures"] = str(
                write_stages(self.out / "stages" / job.target, result.stages).relative_to(self.out)
            )
        write_json(record_path(self.out / job.target), record)
        self.summary.restored.append(target)
        self.summary.calls_per_image = max(self.summary.calls_per_image, calls)

    def _fail(self, source: Path, error: Exception) -> None:
        text = str(error) if isinstance(error, OdekitError) else f"{type(error).__name__}: {error}"
        text = " ".join(text.split())
        if str(source) not in text:
            text = f"{source}: {text}"
        self.summary.failed.append({"input": str(source), "error": text})

    def _failures(self) -> None:
        path = self.out / "failures.json"
        if self.summary.failed:
            write_json(path, self.summary.failed)
        else:
            path.unlink(missing_ok=True)


def record_path(target: Path) -> Path:
    """Where the record of a result lies: its name with `.json` behind it."""
    return target.with_name(target.name + ".json")
