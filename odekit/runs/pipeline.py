"""The pipeline of a run: workers prefetch inputs, the engine restores full batches, workers write the results."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from odekit.core.result import Result
from odekit.errors import OdekitError, Stopped
from odekit.images.formats.decode import open_picture
from odekit.runs.engine import Engine
from odekit.runs.faults import end_of_run
from odekit.runs.files import InputPicture, OutputSettings, PendingResult, input_notes, read_input, write_result
from odekit.runs.inputs import Job
from odekit.runs.record import RECORD_SCHEMA, is_changed, shared_text
from odekit.runs.stop import INTERRUPTED, StopRequest
from odekit.runs.summary import RunAccounts
from odekit.runs.workers import WorkerPool

MAX_PIXELS = 24_000_000
"""Maximum number of pixels in a batch, in prefetched inputs, and in results not yet written: one photograph of 24
megapixels (288 MB as float32), or many small pictures. A larger photograph is processed alone."""
MIN_PROBED_BYTES = 1 << 16
"""Smaller files, in bytes, count as 0 pixels, and their header is not read: a file of 24 megapixels in a single
colour, written by Pillow, is larger."""


@dataclass
class Pipeline:
    """Reads, restores and writes the files of a run, with bounded memory for any number of files."""

    engine: Engine
    workers: WorkerPool
    accounts: RunAccounts
    output: OutputSettings
    shared: dict[str, Any]
    """Entries that are the same in all records."""
    max_megapixels: float
    """Larger pictures are refused."""
    salvage: bool = False
    """Of truncated JPEG and PNG, restore the rows that can be read."""
    files_of: Callable[[str], Mapping[str, str]] = lambda file: {}
    """SHA-256 of the files that belong to an input, by path, such as its mask."""
    accounted: int = 0
    """Number of files restored or failed so far."""
    shared_texts: dict[int, str] = field(default_factory=dict)
    """Shared part of the records, by batch size."""
    reading: deque[tuple[Job, Future[InputPicture], int]] = field(default_factory=deque)
    """Inputs being read, with their numbers of pixels."""
    writing: deque[tuple[Job, PendingResult, Future[str]]] = field(default_factory=deque)
    """Results being written."""

    def run(self, todo: Sequence[Job], stop: StopRequest) -> None:
        """Process jobs until all are done or a stop is requested. Raises KeyboardInterrupt at a second Ctrl-C.

        The pictures of a batch that is stopped count as remaining.
        """
        self.unread = PrefetchQueue(todo)
        while (self.reading or self.unread.jobs) and not stop.should_stop():
            batch = self._next_batch(stop)
            if stop.reason or not batch:
                break
            started = time.perf_counter()
            results: list[Result] = []
            with contextlib.suppress(Stopped), stop.interruptible():
                results = self.engine.run([image for _, (image, _) in batch])
            stop.record_batch_time(time.perf_counter() - started)
            for i, ((job, (_, file_entries)), result) in enumerate(zip(batch, results, strict=False)):
                self.accounts.progress.phase("writing", i, len(results))
                self._submit_write(job, file_entries, result)
                del result
                self._collect_written(stop, keep=2 * self.engine.initial_batch_size + len(results))
            stopped = len(results) < len(batch)
            del batch, results  # free their memory before the next batch is restored
            self._collect_written(stop, keep=2 * self.engine.initial_batch_size)
            self.accounts.flush()
            if stopped:
                stop.reason = stop.reason or INTERRUPTED
                break
        self._collect_written(stop, keep=0)

    def _next_batch(self, stop: StopRequest) -> list[tuple[Job, InputPicture]]:
        """The next full batch of readable pictures; smaller only at the end or if `MAX_PIXELS` is reached.

        Requests a stop after an error that all further files would meet, too.
        """
        batch: list[tuple[Job, InputPicture]] = []
        batch_pixels = 0
        full, count = self.engine.initial_batch_size, self.workers.count
        # Prefetch up to `most` inputs, starting again at `least`: inputs requested together share a message.
        most, least = (2 * full + 2 * count, full + 2 * count) if count else (1, 0)
        while len(batch) < self.engine.window and batch_pixels < MAX_PIXELS:
            if len(self.reading) <= least:
                prefetched_pixels = sum(size for *_, size in self.reading)
                for job, size in self.unread.next(most - len(self.reading), prefetched_pixels):
                    read = self.workers.submit(read_input, job.file, self.max_megapixels, self.salvage)
                    self.reading.append((job, read, size))
            if not self.reading:
                break
            job, future, _ = self.reading.popleft()
            waiting = len(batch) + 1 + len(self.reading) + len(self.unread.jobs)
            self.accounts.progress.phase("reading", len(batch), min(self.engine.window, waiting))
            try:
                image, entries = future.result()
                if files := self.files_of(job.file):
                    entries = entries | {"files": dict(files)}
                batch.append((job, (image, entries)))
                batch_pixels += batch[-1][1][0].pixels[0].size
                self.accounts.noted(job, input_notes(batch[-1][1], self.output))
            except MemoryError:
                self._fail(job, OdekitError("does not fit into memory when it is read; make the picture smaller"))
            except Exception as error:  # any error of one file must not end a long run
                if reason := end_of_run(error, self.output.folder, self.output.scratch, writing=False):
                    stop.reason = reason
                    break
                self._fail(job, error)
        return batch

    def _submit_write(self, job: Job, file_entries: dict[str, Any], result: Result) -> None:
        """Send a result to the workers to be written, or register its failure."""
        if result.error is not None:
            self._fail(job, result.error)
            return
        stages = result.record["stages"]
        calls = sum(stage.get("calls", 0) for stage in stages)
        seconds = round(sum(stage["seconds"] for stage in stages), 4)
        file_entries = file_entries | {"size": [result.source.width, result.source.height]}
        entries = {
            "schema": RECORD_SCHEMA, "input": file_entries, "changed": is_changed(result.source, result.image),
            "calls": calls, "seconds": seconds, "stages": stages,
        }  # fmt: skip
        entries |= {key: value for key, value in result.record.items() if key not in ("stages", "slots")}
        shared = self._shared_text(result.record["slots"])
        finished = PendingResult(result.image, entries, shared, result.stages, result.extras)
        self.writing.append((job, finished, self.workers.submit(write_result, job.name, finished, self.output)))

    def _shared_text(self, batch_size: int) -> str:
        """Shared part of the records of results with this batch size."""
        if batch_size not in self.shared_texts:
            memory = (
                {}
                if batch_size == self.engine.initial_batch_size
                else {"memory": f"ran out with {self.engine.initial_batch_size} slots"}
            )
            self.shared_texts[batch_size] = shared_text(self.shared | {"slots": batch_size} | memory)
        return self.shared_texts[batch_size]

    def _collect_written(self, stop: StopRequest, keep: int) -> None:
        """Register written results; wait until at most `keep` results and `MAX_PIXELS` pixels are being written."""
        while self.writing and (
            len(self.writing) > keep or self.writing[0][2].done() or self._unwritten_pixels() > MAX_PIXELS
        ):
            job, finished, future = self.writing.popleft()
            try:
                name = future.result()
            except OSError as error:
                if reason := end_of_run(error, self.output.folder, self.output.scratch, writing=True):
                    stop.reason = reason  # the file counts as left, not as failed: a resume restores it
                else:
                    detail = error.strerror or error
                    self._fail(job, OdekitError(f"{self.output.folder / job.name}: cannot be written: {detail}"))
            except Exception as error:
                self._fail(job, error)
            else:
                self.accounts.written(job, name, finished.entries)
                self.accounted += 1

    def _unwritten_pixels(self) -> int:
        """Number of pixels of the results being written."""
        return sum(finished.image.pixels[0].size for _, finished, _ in self.writing)

    def _fail(self, job: Job, error: Exception) -> None:
        self.accounts.failed(job, error)
        self.accounted += 1


class PrefetchQueue:
    """The jobs that are still to be read, in order; `next` returns groups of limited size."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.jobs = deque(jobs)

    def next(self, count: int, prefetched: int) -> Iterator[tuple[Job, int]]:
        """At most `count` jobs with their numbers of pixels, at most `MAX_PIXELS` including `prefetched` pixels.

        If `prefetched` is 0, at least one job is returned.
        """
        while count > 0 and self.jobs:
            size = pixel_count(self.jobs[0].file)
            if prefetched and prefetched + size > MAX_PIXELS:
                return
            prefetched, count = prefetched + size, count - 1
            yield self.jobs.popleft(), size


def pixel_count(file: str) -> int:
    """Width times height from the header of a file; 0 for small files and for files that cannot be read."""
    try:
        if os.stat(file).st_size < MIN_PROBED_BYTES:
            return 0
        import PIL.Image

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # decompression bombs: `read_input` refuses them by their size
            try:
                with PIL.Image.open(file) as picture:
                    return int(picture.width * picture.height)
            except PIL.UnidentifiedImageError:  # perhaps HEIC, which Pillow alone does not open
                with open(file, "rb") as stream, open_picture(stream.read()) as picture:
                    return int(picture.width * picture.height)
    except Exception:
        return 0
