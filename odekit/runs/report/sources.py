"""Which files a report may show: the inputs named on the command line, and files inside the output folder.

Records are files that anybody may have put into the folder. A path in a record is never opened by itself: an input is
shown only if it is one of the run's inputs, and its content is the one that the record describes. A result is shown
only if its content is the one that the record describes, too: a picture that merely lies in the folder is none. Inputs
that failed, and video formats, are decoded in a process of their own, because they may end or block it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from odekit.core.image import Image
from odekit.errors import ConfigError, OdekitError
from odekit.images.io import IMAGE_SUFFIXES, FileContent, read_file
from odekit.runs.inputs import collect_jobs
from odekit.runs.probe import probe
from odekit.runs.process_limits import memory_limit
from odekit.runs.workers import WorkerPool

READ_SECONDS = 60.0
"""Longest time for one picture."""


class Sources:
    """Reads the pictures of a report.

    Args:
        out: the output folder.
        inputs: files, folders and globs of the run.
        max_megapixels: larger pictures are not read.
    """

    def __init__(self, out: Path, inputs: Sequence[str | Path] = (), max_megapixels: float = 100.0) -> None:
        self.out = out
        self.root = os.path.realpath(out)
        self.max_megapixels = max_megapixels
        self.workers = WorkerPool(0, READ_SECONDS)
        try:
            jobs = collect_jobs(inputs, out, IMAGE_SUFFIXES) if inputs else []
        except ConfigError:  # the inputs are gone
            jobs = []
        self.files = {os.path.abspath(job.file): job.file for job in jobs if job.error is None}

    def __enter__(self) -> Sources:
        return self

    def __exit__(self, *error: object) -> None:
        self.workers.close()

    def inside(self, name: object) -> Path | None:
        """A path relative to the output folder, if it is a file in it with links resolved; else None."""
        if not isinstance(name, str) or "\0" in name:
            return None
        path = self.out / name  # where the name is an absolute path, this is that path
        real = os.path.realpath(path)
        return path if real.startswith(self.root + os.sep) and path.is_file() else None

    def result(self, name: str, described: object) -> tuple[Image | None, str]:
        """The result that a record describes by `sha256`: (picture, why it is not shown)."""
        path = self.inside(name)
        if path is None:
            return None, "its result is not in the folder"
        image, digest = self._read(path)
        if image is None:
            return None, "its result can no longer be read"
        if digest != (described.get("sha256") if isinstance(described, Mapping) else None):
            return None, "its result has changed since"
        return image, ""

    def beside(self, name: str) -> Image | None:
        """A picture inside the output folder that the run wrote beside a result; None if there is none."""
        path = self.inside(name)
        return None if path is None else self._read(path)[0]

    def input(self, described: object) -> tuple[Image | None, str]:
        """The input that a record describes by `path` and `sha256`: (picture, why it is not shown)."""
        path = described.get("path") if isinstance(described, Mapping) else None
        file = self._named(path)
        if file is None:
            return None, "its input is not among the inputs of this command"
        image, digest = self._read(Path(file))
        if image is None:
            return None, "its input can no longer be read"
        if digest != (described.get("sha256") if isinstance(described, Mapping) else None):
            return None, "its input has changed since"
        return image, ""

    def _named(self, path: object) -> str | None:
        """The input of the command with this path."""
        return self.files.get(os.path.abspath(path)) if isinstance(path, str) and "\0" not in path else None

    def failed_input(self, path: object) -> Image | None:
        """A failed input, if it is one of the run's and can be read."""
        file = self._named(path)
        return None if file is None else self._read(Path(file), isolate=True)[0]

    def _read(self, path: Path, isolate: bool = False) -> tuple[Image | None, str]:
        """A picture and its SHA-256; of a truncated file, the rows that can be read, as with --salvage."""
        isolate = isolate or probe(os.fspath(path)).isolate
        try:
            content = self.workers.submit(read_shown, os.fspath(path), self.max_megapixels, isolate=isolate).result()
        except (OdekitError, MemoryError):
            return None, ""
        return content.image, content.sha256


def read_shown(path: str, max_megapixels: float) -> FileContent:
    """Read a picture for a report. Raises InputError."""
    with memory_limit(max_megapixels):
        return read_file(path, max_megapixels=max_megapixels, salvage_truncated=True)
