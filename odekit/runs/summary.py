"""Options, progress and summary of a run: every input is restored, failed, skipped (done before) or left."""

from __future__ import annotations

import contextlib
import os
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from odekit.core.debug import debugging, traceback_lines
from odekit.core.files import write_json
from odekit.errors import InputError, OdekitError
from odekit.images.io import check_max_megapixels
from odekit.runs.events import EventLog
from odekit.runs.findings import Findings, findings_of
from odekit.runs.inputs import Job
from odekit.runs.tally import FindingsTally
from odekit.runs.unread import UnreadFile, unread_rows

if TYPE_CHECKING:
    from odekit.chains.tuning.batch_size import BatchSize

MAX_EQUAL_NOTES = 3
"""Number of files for which the same note is shown; `--json` and the records have all."""


@dataclass
class RunOptions:
    """Options of a run that are not part of the chain."""

    out: Path
    """Output folder."""
    seed: int | None = None
    """Of the noise; None: the chain's seed."""
    device: str = "auto"
    precision: str = "auto"
    batch_size: BatchSize | None = None
    """Of every network call; `auto`: the best value, measured; None: 8, or the number of images if smaller."""
    resume: bool = False
    """Skip inputs that are complete according to their records."""
    overwrite: bool = False
    """Restore inputs again whose results exist."""
    keep_stages: bool = False
    """Write intermediate pictures."""
    limit: int | None = None
    """Maximum number of inputs."""
    shard: str | None = None
    """`i/n`: only the i-th of n parts of the inputs."""
    max_megapixels: float = 100.0
    """Refuse larger pictures."""
    workers: int | None = None
    """Processes that decode and encode in parallel with the network; 0: none; None: chosen automatically."""
    time_limit: float | None = None
    """Seconds; no batch starts that would end later."""
    salvage: bool = False
    """Of truncated JPEG and PNG files, restore the part that can be read."""
    require_change: bool = False
    """List pictures in which nothing was done as failures; their results are written."""
    changed: Literal["refuse", "redo"] = "refuse"
    """With `resume`: what to do with results made with other weights, files or versions of parts."""
    verify: bool = False
    """With `resume`: compare the SHA-256 of all inputs and outputs."""
    layout: Literal["tree", "hashed"] | None = None
    """Where results lie in the output folder; None: as its earlier runs have it, else as the inputs lie."""
    threads: int | Literal["free"] | None = None
    """Of the networks; `free`: as many as there are processors without other work; None: those of torch."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a limit that is not a number above 0."""
        check_max_megapixels(self.max_megapixels)


@dataclass
class CallRange:
    """Network calls of the pictures of a run: mean, least and most. All are 0 before the first picture."""

    pictures: int = 0
    total: int = 0
    least: int = 0
    most: int = 0

    def add(self, calls: int) -> None:
        """Count one picture."""
        self.least = min(self.least, calls) if self.pictures else calls
        self.most = max(self.most, calls)
        self.pictures, self.total = self.pictures + 1, self.total + calls

    @property
    def mean(self) -> float:
        """Mean per picture; an integer if all pictures have the same number."""
        if self.least == self.most:
            return self.least
        return round(self.total / self.pictures, 1)

    def __str__(self) -> str:
        return str(self.mean) if self.least == self.most else f"{self.mean} ({self.least} to {self.most})"


@dataclass
class RunSummary:
    """Outcome of a run. Names are relative to `out`."""

    out: Path
    file: Path | None = None
    """The only result of a run with a file as output."""
    restored: list[str] = field(default_factory=list)
    """Results that this run has written, those in `unchanged` included."""
    unchanged: list[str] = field(default_factory=list)
    """Results in which nothing was done, those of earlier runs included."""
    skipped: list[str] = field(default_factory=list)
    """Completed by an earlier run, according to their records."""
    failed: list[dict[str, str]] = field(default_factory=list)
    """`input` and `error` of each failure; with `require_change` also of the unchanged."""
    unread: list[UnreadFile] = field(default_factory=list)
    """Pictures and videos in the inputs of formats that are not read."""
    notes: list[dict[str, str]] = field(default_factory=list)
    """`input` and `note` of each input that was not read or written as it is, such as an animation."""
    left: int = 0
    """Number of inputs that were not processed."""
    stopped: str = ""
    """Reason for inputs left: `interrupted`, `terminated`, `time limit`, or the error of the output folder."""
    found: FindingsTally = field(default_factory=FindingsTally)
    """What was found and done in all pictures, those of earlier runs included."""
    calls: CallRange = field(default_factory=CallRange)
    seconds: float = 0.0
    busy: float = 0.0
    """Part of `seconds` that was spent in the chain."""
    fill: float = 0.0
    """Occupied share of the rows of all batches."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Device, precision, batch size and threads."""

    def path(self, name: str) -> str:
        """Path of a result."""
        return str(self.file) if self.file else os.path.join(self.out, name)

    @property
    def changed(self) -> int:
        """Number of pictures of this run in which something was done."""
        return len(self.restored) - len(set(self.unchanged).intersection(self.restored))

    def tree(self) -> dict[str, Any]:
        """The summary as plain data, for --json."""
        return {
            "out": str(self.file or self.out),
            "restored": [self.path(name) for name in self.restored],
            "unchanged": [self.path(name) for name in self.unchanged],
            "faces": self.found.tree(),
            "skipped": [os.path.join(self.out, name) for name in self.skipped],
            "failed": self.failed,
            "unread": unread_rows(self.unread),
            "notes": self.notes,
            "left": self.left,
            "stopped": self.stopped,
            "calls_per_image": self.calls.mean,
            "calls_range": [self.calls.least, self.calls.most],
            "seconds": round(self.seconds, 3),
            "busy": round(self.busy, 3),
            "fill": round(self.fill, 4),
        } | {key: self.settings[key] for key in ("device", "precision", "slots", "threads") if key in self.settings}


class Progress(Protocol):
    """Progress callbacks of a run, called from its thread."""

    def begin(self, images: int, calls: int | None) -> None:
        """The run starts: number of images to restore, and of network calls (None: unknown)."""
        ...

    def calls(self, count: int) -> None:
        """`count` further network calls were made."""
        ...

    def phase(self, name: str, done: float, total: int) -> None:
        """`done` of `total` images or faces are finished in a phase, such as `searching faces`."""
        ...

    def picture(self, name: str, text: str) -> None:
        """The result of a picture was written; `text` says what was done (`odekit.runs.findings`)."""
        ...

    def images(self, count: int) -> None:
        """`count` further images are finished: restored or failed."""
        ...

    def message(self, text: str) -> None:
        """Show a message to the user."""
        ...


class RunAccounts:
    """Registers the outcome of each file in the summary, in the event log and on the progress bar.

    Args:
        summary: of the run.
        progress: receives the progress.
        log: of the run.
        require_change: pictures in which nothing was done count as failed.
    """

    def __init__(self, summary: RunSummary, progress: Progress, log: EventLog, require_change: bool = False) -> None:
        self.summary = summary
        self.progress = progress
        self.log = log
        self.shown_notes: Counter[str] = Counter()
        """Number of files with each note."""
        self.require_change = require_change

    def written(self, job: Job, name: str, entries: Mapping[str, Any]) -> None:
        """Register a file whose result and record have been written."""
        self.restored(job, name, findings_of(entries), entries["calls"], entries["seconds"])

    def restored(self, job: Job, name: str, findings: Findings, calls: int, seconds: float) -> None:
        """Register a file of which these are known: what was done, network calls, and seconds in the chain."""
        self.summary.found.add(findings)
        self.summary.calls.add(calls)
        self.progress.picture(str(Path(job.name).with_name(Path(job.file).name)), findings.text)
        if findings.nothing_done:
            self.summary.unchanged.append(name)
            if self.require_change:
                self.failed(job, nothing_done_error(job, findings))
                return
        self.summary.restored.append(name)
        self.progress.images(1)
        self.log.add(
            "restored", input=job.file, output=name, calls=calls, seconds=seconds, findings=findings.text
        )  # fmt: skip

    def unchanged_before(self, job: Job, findings: Findings) -> None:
        """Register a picture of an earlier run in which nothing was done."""
        self.summary.unchanged.append(job.name)
        if self.require_change:
            self._list_failure(job, nothing_done_error(job, findings))

    def failed(self, job: Job, error: Exception, place: str = "") -> None:
        """Register a failed file, with one line: the file, the reason, and the place of an unexpected error."""
        self._list_failure(job, error, place)
        self.progress.images(1)

    def failed_as(self, job: Job, text: str) -> None:
        """Register a file that failed elsewhere, with the line of `failure_text`."""
        self._list(job, text)
        self.progress.images(1)

    def _list_failure(self, job: Job, error: Exception, place: str = "") -> None:
        for line in traceback_lines(error) if debugging() else ():
            self.progress.message(line)
        self._list(job, failure_text(job, error, place))

    def _list(self, job: Job, text: str) -> None:
        self.summary.failed.append({"input": job.file, "error": text})
        self.log.add("failed", input=job.file, error=text)

    def noted(self, job: Job, notes: Sequence[str]) -> None:
        """Register notes on the reading of a file; the first ones of each kind are shown."""
        for note in notes:
            self.summary.notes.append({"input": job.file, "note": note})
            self.shown_notes[note] += 1
            if self.shown_notes[note] <= MAX_EQUAL_NOTES:
                more = "; this is not repeated for further files" if self.shown_notes[note] == MAX_EQUAL_NOTES else ""
                self.progress.message(f"{job.file}: {note}{more}")

    def flush(self) -> None:
        """Write buffered events to the log file, so that other processes see them."""
        with contextlib.suppress(OSError):  # writing results detects a full disk
            self.log.flush()

    def close(self, left: int, path: Path) -> None:
        """End the run with `left` unprocessed files; write failures to `path`, or remove it if there are none."""
        self.summary.left = left
        self.log.add("end", reason=self.summary.stopped or "finished", left=left)
        with contextlib.suppress(OSError):
            self.log.close()
        with contextlib.suppress(OSError):  # the summary lists the failures, too
            rows: list[dict[str, Any]] = list(self.summary.failed)
            if rows:
                write_json(path, rows)
            else:
                path.unlink(missing_ok=True)


def failure_text(job: Job, error: Exception, place: str = "") -> str:
    """One line for a failed file: its path, the reason, and the place of an unexpected error."""
    unexpected = f"{type(error).__name__}: {error}{place or origin(error)}"
    text = str(error) if isinstance(error, OdekitError) else unexpected
    return " ".join((text if job.file in text else f"{job.file}: {text}").split())


def nothing_done_error(job: Job, findings: Findings) -> InputError:
    """The error for a picture in which nothing was done, if a change is required."""
    found = replace(findings, nothing_done=False).text
    return InputError(f"{job.file}: nothing was done{f' ({found})' if found else ''}; the result is written")


def origin(error: Exception) -> str:
    """` (package/file.py:line)`: where an unexpected error was raised, for the author of a plugin; else empty."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    path = Path(frames[-1].filename)
    return f" ({path.parent.name}/{path.name}:{frames[-1].lineno})"
