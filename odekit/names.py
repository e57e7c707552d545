"""Names of results: no two files of a run share one, on whatever disk the results come to lie."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable

from odekit.errors import InputError
from odekit.inputs import Job

LONGEST = 250
"""Bytes of a result's name, so that `.json` behind it fits the 255 that file systems take."""


def named(jobs: Iterable[Job], ending: str | None, added: Iterable[str]) -> list[Job]:
    """The jobs with their final names.

    Args:
        jobs: in order; the first of several that want a name gets it.
        ending: that of the format asked for; None: each keeps its own.
        added: endings that writing may put behind a name that lies about its format.
    """
    taken = Taken(() if ending else added)
    found = []
    for job in jobs:
        name = os.path.splitext(job.name)[0] + ending if ending else job.name
        claimed = taken.claim(name, job.file)
        error = job.error
        if len(claimed) * 4 > LONGEST and len(os.fsencode(os.path.basename(claimed))) > LONGEST:
            error = error or InputError(f"{job.file}: its name is too long for a record beside the result; shorten it")
        found.append(job if claimed is job.name and error is job.error else Job(job.file, claimed, error, job.link))
    return found


class Taken:
    """The names given so far, as disks see them that know no upper case or only one form of Unicode."""

    def __init__(self, added: Iterable[str]) -> None:
        self.added = tuple(added)
        self.keys: set[str] = set()

    def claim(self, name: str, file: str) -> str:
        """The name, or where it is taken the input's whole name with the result's ending, as often as it takes."""
        key = _key(name)
        if not self._free(key):
            ending = os.path.splitext(name)[1] or "~"
            name = os.path.join(os.path.dirname(name), os.path.basename(file) + ending)
            while not self._free(key := _key(name)):
                name += ending
        self.keys.add(key)
        return name

    def _free(self, key: str) -> bool:
        keys = self.keys
        if key in keys or any(key + ending in keys for ending in self.added):
            return False
        stem, ending = os.path.splitext(key)
        return ending not in self.added or stem not in keys


def _key(name: str) -> str:
    key = name.lower() if name.isascii() else unicodedata.normalize("NFC", name.casefold())
    return name if key == name else key  # one string is less than two
