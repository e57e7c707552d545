"""Which files a report may show: the inputs named on the command line, and files inside the output folder.

Records are files that anybody may have put into the folder. A path in a record is never opened by itself: an input is
shown only if it is one of the run's inputs, and its content is the one that the record describes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from odekit.core.image import Image
from odekit.errors import ConfigError, OdekitError
from odekit.images.io import IMAGE_SUFFIXES, read_file
from odekit.runs.inputs import collect_jobs


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
        try:
            jobs = collect_jobs(inputs, out, IMAGE_SUFFIXES) if inputs else []
        except ConfigError:  # the inputs are gone
            jobs = []
        self.files = {os.path.abspath(job.file): job.file for job in jobs if job.error is None}

    def inside(self, name: object) -> Path | None:
        """A path relative to the output folder, if it is a file in it with links resolved; else None."""
        if not isinstance(name, str) or "\0" in name:
            return None
        path = self.out / name  # where the name is an absolute path, this is that path
        real = os.path.realpath(path)
        return path if real.startswith(self.root + os.sep) and path.is_file() else None

    def result(self, name: str) -> Image | None:
        """A picture inside the output folder; None if there is none."""
        path = self.inside(name)
        return None if path is None else self._read(path)[0]

    def input(self, described: object) -> tuple[Image | None, str]:
        """The input that a record describes by `path` and `sha256`: (picture, why it is not shown)."""
        path = described.get("path") if isinstance(described, Mapping) else None
        file = self.files.get(os.path.abspath(path)) if isinstance(path, str) and "\0" not in path else None
        if file is None:
            return None, "its input is not among the inputs of this command"
        image, digest = self._read(Path(file))
        if image is None:
            return None, "its input can no longer be read"
        expected: Any = described.get("sha256") if isinstance(described, Mapping) else None
        if expected is not None and digest != expected:
            return None, "its input has changed since"
        return image, ""

    def failed_input(self, path: object) -> Image | None:
        """A failed input, if it is one of the run's and can be read."""
        return self.input({"path": path})[0]

    def _read(self, path: Path) -> tuple[Image | None, str]:
        """A picture and its SHA-256; of a truncated file, the rows that can be read, as with --salvage."""
        try:
            content = read_file(path, max_megapixels=self.max_megapixels, salvage_truncated=True)
        except (OdekitError, MemoryError):
            return None, ""
        return content.image, content.sha256
