"""Who keeps the books of a run: every input is restored, failed, done before, or left."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from odekit.errors import OdekitError
from odekit.events import EventLog
from odekit.inputs import Job
from odekit.record import write_json
from odekit.summary import Progress, Summary


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
