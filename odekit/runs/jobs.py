"""The job book: what results a folder is to have, which are done, and how one is finished.

Every engine keeps to it: the runner, its shards, and the workers of a cluster. Whoever begins a job plans and settles
it, and hands out tickets; a worker on any machine joins with a ticket, asks `done`, and calls `finish`:

    book = JobBook(chain, options)                  # where the job begins
    jobs = book.plan(inputs)
    with book.opened():
        book.settle(jobs)
        ticket = book.ticket()

    book = JobBook.join(chain, ticket)              # in each worker
    engine = Engine(book.session())
    for job in book.ahead(jobs):
        if not book.done(job.name, job.file):
            image, source = book.read(job)
            book.finish(job, engine.run([image])[0], source)
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from odekit.chains.chain import Chain
from odekit.chains.execution import Execution
from odekit.chains.record import result_entries
from odekit.chains.session import Session
from odekit.core.abilities import HasExtras
from odekit.core.device import resolve_device
from odekit.core.result import Result
from odekit.errors import ConfigError
from odekit.images import io
from odekit.parts.stages.options import Save
from odekit.runs.digests import PictureFiles, difference
from odekit.runs.faults import end_of_run
from odekit.runs.files import InputPicture, OutputSettings, PendingResult, write_result
from odekit.runs.findings import Findings
from odekit.runs.inputs import Job, select_jobs, shard_tag
from odekit.runs.layout import LAYOUTS, TREE
from odekit.runs.output_names import NameRules, RecordedNames, with_final_names
from odekit.runs.read_ahead import read_ahead
from odekit.runs.record import shared_text
from odekit.runs.resume import CompletionCheck
from odekit.runs.settings import RunSettings, stored_layout
from odekit.runs.settle import Settlement
from odekit.runs.silent import Silent
from odekit.runs.sources import InputSource, LocalFiles
from odekit.runs.stores import Folder, OutputStore
from odekit.runs.summary import Progress, RunOptions
from odekit.runs.unread import UnreadFile


@dataclass(frozen=True)
class JobTicket:
    """What a worker needs to take part in a job; can be pickled and sent to another machine."""

    options: RunOptions
    settings: RunSettings
    output: OutputSettings
    source: InputSource


class JobBook:
    """The plan of an output folder, and its state.

    Args:
        chain: to be applied.
        options: of the run.
        progress: receives messages for the user.
        store: where results are written; default: the folder `options.out`.
        source: reads the inputs; default: files on this machine.
    """

    def __init__(
        self,
        chain: Chain,
        options: RunOptions,
        progress: Progress | None = None,
        store: OutputStore | None = None,
        source: InputSource | None = None,
    ) -> None:
        if options.layout is not None and options.layout not in LAYOUTS:
            raise ConfigError(f"--layout {options.layout}: write {' or '.join(LAYOUTS)}")
        self.chain = chain
        self.options = options
        self.out = options.out
        last = chain.spec.items[-1].options
        save = last if isinstance(last, Save) else Save()
        self.tag = shard_tag(options.shard)
        self.scratch = f".odekit-tmp{self.tag}/{uuid.uuid4().hex[:12]}"
        """Name of the folder for temporary files of this run."""
        self.source = source or LocalFiles()
        self.output = OutputSettings(
            options.out, options.out / self.scratch, save.format, save.quality, save.keep_metadata, store,
            self.source.data,
        )  # fmt: skip
        """How results are written."""
        self.store = store or Folder(options.out)
        self.settlement = Settlement(chain, options, progress or Silent(), self.store)
        self.picture_files = PictureFiles(chain)
        self.unread: list[UnreadFile] = []
        """Pictures and videos in the inputs of formats that are not read."""
        self.rules = NameRules(None, ())
        self.settings: RunSettings | None = None
        self.check: CompletionCheck | None = None
        self.weights: Mapping[str, Any] = {}
        self.shared: dict[int, str] = {}
        """Part of the records that is the same for all files, by batch size."""

    # Where a job begins

    def plan(self, inputs: Sequence[str | Path]) -> list[Job]:
        """The jobs of all shards, with the final names of their results.

        Raises:
            ConfigError: no inputs, or an output that would replace an input.
        """
        form = self.output.format
        extras = [
            name
            for item in self.chain.spec.items
            if isinstance(item.options, HasExtras)
            for name in item.options.extras
        ]
        listed = self.source.list(inputs, self.out)
        self.unread = listed.unread
        self.rules = NameRules(
            None if form == "same" else io.suffixes_of(form.upper())[0], io.DEFAULT_SUFFIXES, extras,
            io.APPENDED_SUFFIXES, self.options.keep_stages, stored_layout(self.store) or self.options.layout or TREE,
        )  # fmt: skip
        jobs = with_final_names(listed.jobs, self.rules, lambda: RecordedNames(self.store), str(self.store))
        self.source.check_kept(jobs, self.out, self.rules)
        return jobs

    def share(self, jobs: list[Job]) -> list[Job]:
        """The jobs of this shard, and at most `limit` of them. Raises ConfigError."""
        return select_jobs(jobs, self.options.shard, self.options.limit)

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the output folder, with a folder for temporary files of this run. What dead runs have left is removed.

        Raises:
            ConfigError: another run holds it, or it holds links.
            OSError: it cannot be written.
        """
        with self.store.held(self.options.shard, self.scratch):
            yield

    def settle(self, jobs: Sequence[Job], total: int | None = None) -> RunSettings:
        """The settings of the job, resolved once for its folder; call it on a machine of the kind that will work.

        Args:
            jobs: of this run.
            total: number of jobs of all shards, where this run has fewer.

        Raises:
            ConfigError: the folder has results of other settings.
            OSError: run.json cannot be written.
        """
        names = frozenset(job.name for job in jobs)
        return self.use(self.settlement.settle(len(jobs) if total is None else total, names))

    def found(self, jobs: Sequence[Job]) -> RunSettings | None:
        """The settings of the folder for a run of these jobs; None if there are none. Writes nothing.

        Raises:
            ConfigError: like `settle`.
        """
        settings = self.settlement.found(frozenset(job.name for job in jobs))
        return None if settings is None else self.use(settings)

    def use(self, settings: RunSettings) -> RunSettings:
        """Work with these settings from now on."""
        self.settings = settings
        self.check = CompletionCheck(
            self.store, lambda record: self.settlement.matches(record, settings), self.picture_files.of,
            self.options.verify, self.source.is_same,
        )  # fmt: skip
        return settings

    def ticket(self) -> JobTicket:
        """For workers, once the job is settled."""
        assert self.settings is not None
        return JobTicket(replace(self.options, resume=True), self.settings, self.output, self.source)

    # In each worker

    @classmethod
    def join(cls, chain: Chain, ticket: JobTicket) -> JobBook:
        """Take part in a job that was begun elsewhere.

        Raises:
            ConfigError: weights, files or parts of this machine would give other results.
        """
        book = cls(chain, ticket.options, None, ticket.output.elsewhere, ticket.source)
        book.output = ticket.output
        if changed := difference(ticket.settings.depends, book.settlement.depends):
            raise ConfigError(f"{book.store}: {changed} on this machine; bring all machines to one state")
        # A cluster shows each worker its own GPU as the first one.
        book.use(replace(ticket.settings, device=resolve_device(ticket.settings.device.partition(":")[0])))
        return book

    def done(self, name: str, file: str) -> bool:
        """Whether the record of the result `name` shows that it was made from `file` with the settings of the job.

        `findings` then tells what was done to the picture.
        """
        return self.check is not None and self.check.done(name, file)

    def ahead(self, jobs: Sequence[Job]) -> Iterator[Job]:
        """The jobs, for a loop that asks `done` of each: if it waits for the disk, files of the next ones are read."""
        return read_ahead(jobs, self.store.place) if isinstance(self.store, Folder) else iter(jobs)

    @property
    def findings(self) -> Findings:
        """Of the record that `done` has read last."""
        return self.check.findings if self.check else Findings()

    def read(self, job: Job) -> InputPicture:
        """A decoded picture, and the entry `input` of its record. Raises InputError."""
        return self.with_files(job.file, self.source.read(job.file, self.options.max_megapixels, self.options.salvage))

    def with_files(self, file: str, picture: InputPicture) -> InputPicture:
        """A picture, with the digests of the files that belong to it in its entry."""
        found = self.picture_files.of(file)
        return (picture[0], picture[1] | {"files": dict(found)}) if found else picture

    def session(
        self,
        on_calls: Callable[[int], None] | None = None,
        on_phase: Callable[[str, float, int], None] | None = None,
    ) -> Session:
        """Load the networks, with the settings of the job; sets the number of threads of this process.

        Args:
            on_calls: receives the number of network calls that were made.
            on_phase: receives the progress of a phase.
        """
        import torch

        settings = self.settings
        assert settings is not None
        torch.set_num_threads(settings.threads)  # a cluster may have set another number for its workers
        execution = Execution(resolve_device(settings.device), settings.precision, settings.slots)
        session = self.chain.open(
            seed=settings.seed, keep_stages=self.options.keep_stages, on_calls=on_calls, on_phase=on_phase,
            execution=execution,
        )  # fmt: skip
        self.weights = session.weights()
        return session

    def pending(self, result: Result, source: Mapping[str, Any]) -> PendingResult:
        """A result as it is written. It must have no error."""
        shared = self._shared_text(result.record["slots"])
        return PendingResult(result.image, result_entries(result, source), shared, result.stages, result.extras)

    def finish(self, job: Job, result: Result, source: Mapping[str, Any]) -> str:
        """Write the picture of a result, then its record, each as a whole; returns the name that was written.

        Args:
            job: whose result it is.
            result: of an engine; must have no error.
            source: the entry `input` of the record, from `read`.

        Raises:
            OSError: the store cannot be written.
            OdekitError: the format cannot store the picture.
        """
        return write_result(job.name, self.pending(result, source), self.output)

    def end_of_run(self, error: BaseException, writing: bool) -> str:
        """Why an error of reading or `writing` a file ends the run; empty if it concerns this file only."""
        if self.output.elsewhere is not None and writing and isinstance(error, OSError):
            return f"{self.store} cannot be written: {error}"
        return end_of_run(error, self.out, self.output.scratch, writing)

    def _shared_text(self, batch_size: int) -> str:
        """Shared part of the records of results with this batch size."""
        if batch_size not in self.shared:
            assert self.settings is not None
            slots = self.settings.slots
            memory = {} if batch_size == slots else {"memory": f"ran out with {slots} slots"}
            entries = self.settings.shared | {"weights": self.weights, "slots": batch_size} | memory
            self.shared[batch_size] = shared_text(entries)
        return self.shared[batch_size]
