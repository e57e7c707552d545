"""Names of results: no two files of a run share one, on whatever disk the results come to lie."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable

from odekit.errors import InputError
from odekit.runs.inputs import Job

LONGEST = 250
"""Bytes of a result's name, so that `.json` behind it fits the 255 that file systems take."""


def named(jobs: Iterable[Job], ending: str | None, added: Iterable[str], extras: Iterable[str] = ()) -> list[Job]:
    """The jobs with their final names.

    Args:
        jobs: in order; the first of several that want a name gets it.
        ending: that of the format asked for; None: each keeps its own.
        added: endings that writing may put behind a name that lies about its format.
        extras: what is written beside each result, as NAME.EXTRA.png.
    """
    taken = Taken(() if ending else added, extras)
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

    def __init__(self, added: Iterable[str], extras: Iterable[str] = ()) -> None:
        self.added, self.extras = tuple(added), tuple(extras)
        self.keys: set[str] = set()

    def claim(self, name: str, file: str) -> str:
        """The name, or where it is taken the input's whole name with the result's ending, as often as it takes."""
        if not self._take(name):
            ending = os.path.splitext(name)[1] or "~"
            name = os.path.join(os.path.dirname(name), os.path.basename(file) + ending)
            while not self._take(name):
                name += ending
        return name

    def _take(self, name: str) -> bool:
        """Take a name and those of what lies beside it, if all are free (a name that lies keeps its ending in them)."""
        wanted = [_key(name)]
        for base in (os.path.splitext(name)[0], name) if self.extras else ():
            wanted += [_key(f"{base}.{extra}.png") for extra in self.extras]
        if not all(map(self._free, wanted)):
            return False
        self.keys.update(wanted)
        return True

    def _free(self, key: str) -> bool:
        keys = self.keys
        if key in keys or any(key + ending in keys for ending in self.added):
            return False
        stem, ending = os.path.splitext(key)
        return ending not in self.added or stem not in keys


def _key(name: str) -> str:
    key = name.lower() if name.isascii() else unicodedata.normalize("NFC", name.casefold())
    return name if key == name else key  # one string is less than two
