"""The files of one run on their way: read ahead by workers, restored in full batches, written by workers."""

from __future__ import annotations

import errno
import os
import time
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from odekit.core.result import Result
from odekit.errors import OdekitError
from odekit.runs.engine import Engine
from odekit.runs.files import Finished, Output, Read, read_input, write_result
from odekit.runs.inputs import Job
from odekit.runs.record import SCHEMA, shared_text
from odekit.runs.stop import Stop
from odekit.runs.summary import Ledger
from odekit.runs.workers import Workers

UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.ENODEV, errno.ESTALE}
"""Errors of the whole output folder: every further file would meet them too, so the run ends."""


@dataclass
class Pipeline:
    """Keeps the network busy: what is read and what is not yet written are bounded, whatever the number of files."""

    engine: Engine
    workers: Workers
    ledger: Ledger
    output: Output
    shared: dict[str, Any]
    """What the records of all files have in common."""
    max_megapixels: float
    accounted: int = 0
    """Files restored or failed."""
    texts: dict[int, str] = field(default_factory=dict)
    reading: deque[tuple[Job, Future[Read], int]] = field(default_factory=deque)
    writing: deque[tuple[Job, Finished, Future[str]]] = field(default_factory=deque)

    def run(self, todo: Sequence[Job], stop: Stop) -> None:
        """Until the files or the patience end. Raises KeyboardInterrupt at a second Ctrl-C."""
        self.waiting = PixelBudget(todo)
        while not stop.asked():
            batch = self._read()
            if not batch:
                break
            began = time.perf_counter()
            results = self.engine.run([image for _, (image, _) in batch])
            stop.took(time.perf_counter() - began)
            for (job, (_, facts)), result in zip(batch, results, strict=True):
                self._finish(job, facts, result)
            del batch, results, result  # else these photographs would stay while the next ones are restored
            self._written(stop, keep=2 * self.engine.full)
            self.ledger.flush()
        self._written(stop, keep=0)

    def _read(self) -> list[tuple[Job, Read]]:
        """The next full batch of readable pictures; fewer only at the end."""
        batch: list[tuple[Job, Read]] = []
        held = 0
        full, count = self.engine.full, self.workers.count
        ahead, few = (2 * full + 2 * count, full + 2 * count) if count else (1, 0)
        while len(batch) < self.engine.window and held < PIXELS:
            if len(self.reading) <= few:  # several at a time: they share a message
                coming = sum(size for *_, size in self.reading)
                for job, size in self.waiting.next(ahead - len(self.reading), coming):
                    self.reading.append((job, self.workers.submit(read_input, job.file, self.max_megapixels), size))
            if not self.reading:
                break
            job, future, _ = self.reading.popleft()
            try:
                batch.append((job, future.result()))
                held += batch[-1][1][0].pixels[0].size
            except MemoryError:
                self._failed(job, OdekitError("needs more memory than there is to read; make it smaller"))
            except Exception as error:  # whatever it is, it is this file's: weeks of work do not end with it
                self._failed(job, error)
        return batch

    def _finish(self, job: Job, facts: dict[str, Any], result: Result) -> None:
        if result.error is not None:
            self._failed(job, result.error)
            return
        stages = result.record["stages"]
        calls = sum(stage.get("calls", 0) for stage in stages)
        seconds = round(sum(stage["seconds"] for stage in stages), 4)
        own = {"schema": SCHEMA, "input": facts, "calls": calls, "seconds": seconds, "stages": stages}
        finished = Finished(result.image, own, self._text(result.record["slots"]), result.stages, result.extras)
        self.writing.append((job, finished, self.workers.submit(write_result, job.name, finished, self.output)))

    def _text(self, slots: int) -> str:
        if slots not in self.texts:
            less = {} if slots == self.engine.full else {"memory": f"ran out with {self.engine.full} slots"}
            self.texts[slots] = shared_text(self.shared | {"slots": slots} | less)
        return self.texts[slots]

    def _written(self, stop: Stop, keep: int) -> None:
        """Account for results that are on the disk; wait for them until at most `keep` are under way."""
        while self.writing and (len(self.writing) > keep or self.writing[0][2].done() or self._unwritten() > PIXELS):
            job, finished, future = self.writing.popleft()
            try:
                name = future.result()
            except OSError as error:
                said = error.strerror or error
                if error.errno in UNWRITABLE:  # the file is left, not failed: a resume restores it
                    stop.reason = f"{self.output.folder} cannot be written: {said}"
                else:
                    self._failed(job, OdekitError(f"{self.output.folder / job.name}: cannot be written: {said}"))
            except Exception as error:
                self._failed(job, error)
            else:
                self.ledger.restored(job, name, finished.own["calls"], finished.own["seconds"])
                self.accounted += 1

    def _unwritten(self) -> int:
        """Pixels of the results that are under way."""
        return sum(finished.image.pixels[0].size for _, finished, _ in self.writing)

    def _failed(self, job: Job, error: Exception) -> None:
        self.ledger.failed(job, error)
        self.accounted += 1


PIXELS = 24_000_000
"""Of one batch, of what is read ahead, and of what is not yet written: one photograph of 24 megapixels (288 MB as
float32), or many small pictures. A larger photograph goes alone."""
LIGHT = 1 << 16
"""Files of fewer bytes are not looked into: what Pillow writes of 24 megapixels of one colour is larger."""


class PixelBudget:
    """The files that are still to be read, in order."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.jobs = deque(jobs)

    def next(self, count: int, held: int) -> Iterator[tuple[Job, int]]:
        """At most `count` jobs with their pixels, while they fit beside `held` pixels; beside 0, at least one."""
        while count > 0 and self.jobs:
            size = pixel_count(self.jobs[0].file)
            if held and held + size > PIXELS:
                return
            held, count = held + size, count - 1
            yield self.jobs.popleft(), size


def pixel_count(file: str) -> int:
    """Width times height by the file's header; 0 for small files, and for those that reading will refuse."""
    try:
        if os.stat(file).st_size < LIGHT:
            return 0
        import PIL.Image

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of bombs: reading refuses them by their size
            with PIL.Image.open(file) as picture:
                return int(picture.width * picture.height)
    except Exception:
        return 0
