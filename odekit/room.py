"""How many pixels a run holds at once: whole photographs are counted by their size, not as files."""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Iterable, Iterator

from odekit.inputs import Job

PIXELS = 24_000_000
"""Of one batch, of what is read ahead, and of what is not yet written: one photograph of 24 megapixels (288 MB as
float32), or many small pictures. A larger photograph goes alone."""
LIGHT = 1 << 16
"""Files of fewer bytes are not looked into: what Pillow writes of 24 megapixels of one colour is larger."""


class Waiting:
    """The files that are still to be read, in order."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self.jobs = deque(jobs)

    def next(self, count: int, held: int) -> Iterator[tuple[Job, int]]:
        """At most `count` jobs with their pixels, while they fit beside `held` pixels; beside 0, at least one."""
        while count > 0 and self.jobs:
            size = pixels_in(self.jobs[0].file)
            if held and held + size > PIXELS:
                return
            held, count = held + size, count - 1
            yield self.jobs.popleft(), size


def pixels_in(file: str) -> int:
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
