"""Who keeps the books of a run: every input is restored, failed, done before, or left."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from odekit.core.files import write_json
from odekit.errors import OdekitError
from odekit.runs.events import EventLog
from odekit.runs.inputs import Job

if TYPE_CHECKING:
    from odekit.chains.tuning.batch_size import BatchSize


class Ledger:
    """Writes down what became of each file: in the summary, in the event log and on the progress bar."""

    def __init__(self, summary: Summary, progress: Progress, log: EventLog) -> None:
        self.summary = summary
        self.progress = progress
        self.log = log

    def restored(self, job: Job, name: str, calls: int, seconds: float) -> None:
        """The result and its record are on the disk."""
        self.summary.restored.append(name)
        self.summary.calls_per_image = max(self.summary.calls_per_image, calls)
        self.progress.images(1)
        self.log.add("restored", input=job.file, output=name, calls=calls, seconds=seconds)

    def failed(self, job: Job, error: Exception) -> None:
        """The file could not be restored: one line that names it and says why."""
        text = str(error) if isinstance(error, OdekitError) else f"{type(error).__name__}: {error}"
        text = " ".join((text if job.file in text else f"{job.file}: {text}").split())
        self.summary.failed.append({"input": job.file, "error": text})
        self.progress.images(1)
        self.log.add("failed", input=job.file, error=text)

    def flush(self) -> None:
        """Let others see the log as it is now."""
        with contextlib.suppress(OSError):  # a full disk is noticed where results are written
            self.log.flush()

    def close(self, left: int, path: Path) -> None:
        """The run ends with this many files left; failures are listed at `path`, which goes where there are none."""
        self.summary.left = left
        self.log.add("end", reason=self.summary.stopped or "finished", left=left)
        with contextlib.suppress(OSError):  # the summary has them too
            self.log.close()
        with contextlib.suppress(OSError):
            rows: list[dict[str, Any]] = list(self.summary.failed)
            if rows:
                write_json(path, rows)
            else:
                path.unlink(missing_ok=True)


class Progress(Protocol):
    """Is told how far a run is."""

    def begin(self, images: int, calls: int | None) -> None:
        """The run has this many images to restore, and makes this many network calls (None: unknown)."""
        ...

    def calls(self, count: int) -> None:
        """Network calls happened."""
        ...

    def images(self, count: int) -> None:
        """Images are finished, restored or failed."""
        ...

    def say(self, text: str) -> None:
        """Something that a person should know now."""
        ...


@dataclass
class RunOptions:
    """How a folder is run; the chain says what is done."""

    out: Path
    seed: int | None = None
    device: str = "auto"
    precision: str = "auto"
    batch_size: BatchSize | None = None
    """Slots of every network call; `auto` measures what is best here; None: 8, or the number of images where fewer."""
    resume: bool = False
    overwrite: bool = False
    keep_stages: bool = False
    limit: int | None = None
    shard: str | None = None
    max_megapixels: float = 100.0
    workers: int | None = None
    """Processes that decode and encode beside the network; 0: none; None: as many as pay."""
    time_limit: float | None = None
    """Seconds after which no further batch starts."""


@dataclass
class Summary:
    """What a run did. Names are relative to `out`."""

    out: Path
    restored: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    """Done by an earlier run, as their records prove."""
    failed: list[dict[str, str]] = field(default_factory=list)
    left: int = 0
    """Inputs that the run did not get to."""
    stopped: str = ""
    """Why it did not: `interrupted`, `terminated`, `time limit`, or what is wrong with the output folder."""
    calls_per_image: int = 0
    seconds: float = 0.0
    busy: float = 0.0
    """Seconds inside the chain, of `seconds`."""
    fill: float = 0.0
    """Share of the slots of all batches that held a picture."""
    settings: dict[str, Any] = field(default_factory=dict)

    def tree(self) -> dict[str, Any]:
        """The summary as plain data, for --json."""
        return {
            "out": str(self.out),
            "restored": [os.path.join(self.out, name) for name in self.restored],
            "skipped": [os.path.join(self.out, name) for name in self.skipped],
            "failed": self.failed,
            "left": self.left,
            "stopped": self.stopped,
            "calls_per_image": self.calls_per_image,
            "seconds": round(self.seconds, 3),
            "busy": round(self.busy, 3),
            "fill": round(self.fill, 4),
        } | {key: self.settings[key] for key in ("device", "precision", "slots", "threads") if key in self.settings}
