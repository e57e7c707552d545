"""The pipeline of a run: workers prefetch inputs, the engine restores full batches, workers write the results."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from odekit.chains.faults import place_text
from odekit.core.image import Image
from odekit.core.result import Result
from odekit.errors import OdekitError, OutputError, Stopped
from odekit.runs.engine import Engine
from odekit.runs.faults import WorkerStartError
from odekit.runs.files import InputPicture, PendingResult, input_notes, write_result
from odekit.runs.inputs import Job
from odekit.runs.jobs import JobBook
from odekit.runs.probe import Probe, probe
from odekit.runs.stop import INTERRUPTED, TIME_LIMIT, StopRequest
from odekit.runs.summary import Progress
from odekit.runs.workers import WorkerPool

MAX_PIXELS = 24_000_000
"""Maximum number of pixels in a batch, in prefetched inputs, and in results not yet written: one photograph of 24
megapixels (288 MB as float32), or many small pictures. A larger photograph is processed alone."""
WAKE_SECONDS = 0.1
"""How often waiting for a worker is interrupted to see whether the run should stop."""

T = TypeVar("T")


class Accounts(Protocol):
    """Registers what becomes of each file, such as `RunAccounts`."""

    progress: Progress

    def written(self, job: Job, name: str, entries: Mapping[str, Any]) -> None:
        """The result and the record of a file have been written, under this name and with these entries."""
        ...

    def failed(self, job: Job, error: Exception, place: str = "") -> None:
        """A file has failed."""
        ...

    def noted(self, job: Job, notes: Sequence[str]) -> None:
        """Notes on the reading of a file."""
        ...

    def flush(self) -> None:
        """A batch has ended."""
        ...


@dataclass
class Pipeline:
    """Reads, restores and writes the files of a run, with bounded memory for any number of files."""

    engine: Engine
    workers: WorkerPool
    accounts: Accounts
    book: JobBook
    check: Callable[[Image], None] = lambda image: None
    """Raises InputError for a picture that is not to be restored."""
    begun: dict[str, Future[InputPicture]] = field(default_factory=dict)
    """Files whose reading has begun before."""
    accounted: int = 0
    """Number of files restored or failed so far."""
    reading: deque[tuple[Job, Future[InputPicture], int]] = field(default_factory=deque)
    """Inputs being read, with their numbers of pixels."""
    writing: deque[tuple[Job, PendingResult, Future[str]]] = field(default_factory=deque)
    """Results being written."""

    def run(self, todo: Sequence[Job], stop: StopRequest) -> None:
        """Process jobs until all are done or a stop is requested. Raises KeyboardInterrupt at a second Ctrl-C.

        The pictures of a batch that is stopped count as remaining.
        """
        self.workers.limit(len(todo))
        self.unread = PrefetchQueue(todo, self._probe)
        while (self.reading or self.unread.jobs) and not stop.should_stop():
            batch = self._next_batch(stop)
            if stop.reason or not batch:
                break
            started = time.perf_counter()
            results: list[Result] = []
            try:
                with contextlib.suppress(Stopped), stop.interruptible():
                    results = self.engine.run([image for _, (image, _) in batch])
            except OutputError as error:  # results that are finished are still written
                stop.reason = str(error)
            stop.record_batch_time(time.perf_counter() - started)
            stopped = len(results) < len(batch)
            read = [(job, file_entries) for job, (_, file_entries) in batch]
            del batch  # with what is held below: of a picture only the result is kept while it is encoded
            count, waiting = len(results), deque(results)
            del results
            for i, (job, file_entries) in enumerate(read[:count]):
                self.accounts.progress.phase("writing", i, count)
                finished = self._pending(job, file_entries, waiting.popleft())
                if finished is not None:
                    self._submit_write(job, finished)
                self._collect_written(stop, keep=2 * self.engine.initial_batch_size + count)
            self._collect_written(stop, keep=2 * self.engine.initial_batch_size)
            self.accounts.flush()
            if stopped:
                stop.reason = stop.reason or INTERRUPTED
                break
        stop.announce()  # of a signal that came while files were read
        self._collect_written(stop, keep=0)

    def _probe(self, file: str) -> Future[Probe]:
        return self.workers.submit(probe, file)

    def _next_batch(self, stop: StopRequest | None = None) -> list[tuple[Job, InputPicture]]:
        """The next full batch of readable pictures; smaller only at the end or if `MAX_PIXELS` is reached.

        Requests a stop after an error that all further files would meet. Empty if a signal asks to stop while files
        are read: one of them may be on a disk that does not answer.
        """
        batch: list[tuple[Job, InputPicture]] = []
        batch_pixels = 0
        full, count = self.engine.initial_batch_size, self.workers.count
        # Prefetch up to `most` inputs, starting again at `least`: inputs requested together share a message.
        most, least = (2 * full + 2 * count, full + 2 * count) if count else (1, 0)
        while len(batch) < self.engine.window and batch_pixels < MAX_PIXELS:
            if len(self.reading) <= least:
                prefetched_pixels = sum(size for *_, size in self.reading)
                for job, probed in self.unread.next(most - len(self.reading), prefetched_pixels, stop):
                    arguments = job.file, self.book.options.max_megapixels, self.book.options.salvage
                    read = self.begun.pop(job.file, None) or self.workers.submit(
                        self.book.source.read, *arguments, isolate=probed.isolate
                    )
                    self.reading.append((job, read, probed.pixels))
            if is_interrupted(stop):
                return self._give_up_reading()
            if not self.reading:
                break
            job, future, _ = self.reading.popleft()
            waiting = len(batch) + 1 + len(self.reading) + len(self.unread.jobs)
            self.accounts.progress.phase("reading", len(batch), min(self.engine.window, waiting))
            try:
                picture = wait_for(future, stop)
                if picture is None:
                    return self._give_up_reading(future)
                self.check(picture[0])
                picture = self.book.with_files(job.file, picture)
                batch.append((job, picture))
                batch_pixels += picture[0].pixels[0].size
                self.accounts.noted(job, input_notes(picture, self.book.output))
            except MemoryError:
                self._fail(job, OdekitError("does not fit into memory when it is read; make the picture smaller"))
            except Exception as error:  # any error of one file must not end a long run
                if reason := self.book.end_of_run(error, writing=False):
                    if stop is not None:
                        stop.reason = reason
                    return self._give_up_reading()
                self._fail(job, error)
        return batch

    def _give_up_reading(self, *waiting: Future[InputPicture]) -> list[tuple[Job, InputPicture]]:
        """End the reading of files, so that nothing blocks the writing of finished results; returns an empty batch."""
        self.workers.give_up([*waiting, *(future for _, future, _ in self.reading)])
        self.reading.clear()
        return []

    def _pending(self, job: Job, file_entries: dict[str, Any], result: Result) -> PendingResult | None:
        """What is to be written of a result, without the picture that was read; None for a registered failure."""
        if result.error is not None:
            self._fail(job, result.error, place_text(result.record.get("failure", {})))
            return None
        return self.book.pending(result, file_entries)

    def _submit_write(self, job: Job, finished: PendingResult) -> None:
        """Send a result to the workers to be written."""
        self.writing.append((job, finished, self.workers.submit(write_result, job.name, finished, self.book.output)))

    def _collect_written(self, stop: StopRequest, keep: int) -> None:
        """Register written results; wait until at most `keep` results and `MAX_PIXELS` pixels are being written."""
        while self.writing and (
            len(self.writing) > keep or self.writing[0][2].done() or self._unwritten_pixels() > MAX_PIXELS
        ):
            job, finished, future = self.writing.popleft()
            try:
                name = future.result()
            except (OSError, WorkerStartError) as error:
                if reason := self.book.end_of_run(error, writing=True):
                    stop.reason = reason  # the file counts as left, not as failed: a resume restores it
                else:
                    detail = getattr(error, "strerror", None) or error
                    self._fail(job, OdekitError(f"{self.book.out / job.name}: cannot be written: {detail}"))
            except Exception as error:
                self._fail(job, error)
            else:
                self.accounts.written(job, name, finished.entries)
                self.accounted += 1

    def _unwritten_pixels(self) -> int:
        """Number of pixels of the results being written."""
        return sum(finished.image.pixels[0].size for _, finished, _ in self.writing)

    def _fail(self, job: Job, error: Exception, place: str = "") -> None:
        self.accounts.failed(job, error, place)
        self.accounted += 1


def is_interrupted(stop: StopRequest | None) -> bool:
    """Whether a signal asks to stop; at a time limit, the files that are being read are finished."""
    return stop is not None and stop.reason not in ("", TIME_LIMIT)


def wait_for(future: Future[T], stop: StopRequest | None) -> T | None:
    """The result of a call; None if a signal asks to stop before it is there. Raises what the call raised."""
    while not is_interrupted(stop):
        try:
            return future.result(WAKE_SECONDS)
        except NotYet:
            if future.done() and isinstance(future.exception(), NotYet):  # the call itself raised it
                raise
    return None


def probe_here(file: str) -> Future[Probe]:
    """Probe a file in this process."""
    future: Future[Probe] = Future()
    future.set_result(probe(file))
    return future


class PrefetchQueue:
    """The jobs that are still to be read, in order; `next` returns groups of limited size.

    Args:
        jobs: all of them.
        submit: requests the size of a picture; it is requested before it is needed, so that nobody waits for it.
    """

    def __init__(self, jobs: Iterable[Job], submit: Callable[[str], Future[Probe]] = probe_here) -> None:
        self.jobs = deque(jobs)
        self.submit = submit
        self.probes: deque[Future[Probe]] = deque()
        """Of the first jobs."""

    def next(self, count: int, prefetched: int, stop: StopRequest | None = None) -> Iterator[tuple[Job, Probe]]:
        """At most `count` jobs with their probes, at most `MAX_PIXELS` including `prefetched` pixels.

        If `prefetched` is 0, at least one job is returned, unless a signal asks to stop.
        """
        while count > 0 and self.jobs:
            while len(self.probes) < min(2 * count, len(self.jobs)):
                self.probes.append(self.submit(self.jobs[len(self.probes)].file))
            try:
                probed = wait_for(self.probes[0], stop)
            except Exception:  # reading the file tells what is wrong
                probed = Probe()
            if probed is None or (prefetched and prefetched + probed.pixels > MAX_PIXELS):
                return
            prefetched, count = prefetched + probed.pixels, count - 1
            self.probes.popleft()
            yield self.jobs.popleft(), probed
