"""Unique names for the results of a run, also on file systems that ignore case or the Unicode form of names."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from odekit.errors import InputError
from odekit.runs.inputs import Job

MAX_NAME_BYTES = 250
"""Maximum length of a result's name in bytes: with `.json` it fits into the 255 bytes that file systems allow."""


def with_final_names(
    jobs: Iterable[Job],
    suffix: str | None,
    corrections: Iterable[str],
    extras: Iterable[str] = (),
    appended: Mapping[str, str] = MappingProxyType({}),
) -> list[Job]:
    """The jobs with their final, unique names.

    Args:
        jobs: in order; the first job with a name keeps it.
        suffix: of the output format; None: each result keeps the suffix of its input.
        corrections: suffixes that `write_result` may append to a name whose suffix does not match its format.
        extras: names of the pictures written beside each result, as NAME.EXTRA.png.
        appended: where `suffix` is None, what is appended to names with a suffix of a format that is not written.
    """
    assigned = AssignedNames(() if suffix else corrections, extras)
    named_jobs = []
    for job in jobs:
        if suffix:
            name = os.path.splitext(job.name)[0] + suffix
        else:
            ending = appended.get(os.path.splitext(job.name)[1].lower())
            name = job.name + ending if ending else job.name
        unique = assigned.assign(name, job.file)
        error = job.error
        if len(unique) * 4 > MAX_NAME_BYTES and len(os.fsencode(os.path.basename(unique))) > MAX_NAME_BYTES:
            error = error or InputError(f"{job.file}: its name is too long for a record beside the result; shorten it")
        unchanged = unique is job.name and error is job.error
        named_jobs.append(job if unchanged else Job(job.file, unique, error, job.link))
    return named_jobs


class AssignedNames:
    """The names assigned so far, compared without regard to case and Unicode form.

    Args:
        corrections: suffixes that may be appended to a name later.
        extras: names of the pictures written beside each result.
    """

    def __init__(self, corrections: Iterable[str], extras: Iterable[str] = ()) -> None:
        self.corrections, self.extras = tuple(corrections), tuple(extras)
        self.keys: set[str] = set()

    def assign(self, name: str, file: str) -> str:
        """Assign a unique name: `name`, else the full name of the input plus the suffix, repeated until it is free."""
        if not self._assign_exact(name):
            suffix = os.path.splitext(name)[1] or "~"
            name = os.path.join(os.path.dirname(name), os.path.basename(file) + suffix)
            while not self._assign_exact(name):
                name += suffix
        return name

    def _assign_exact(self, name: str) -> bool:
        """Assign a name together with the names of its extras, if all are free; returns whether they were."""
        keys = [_key(name)]
        # If a suffix is appended to correct a name, the old suffix remains in the names of the extras.
        for base in (os.path.splitext(name)[0], name) if self.extras else ():
            keys += [_key(f"{base}.{extra}.png") for extra in self.extras]
        if not all(map(self._is_free, keys)):
            return False
        self.keys.update(keys)
        return True

    def _is_free(self, key: str) -> bool:
        """Whether neither a name nor the name with a suffix appended or removed is assigned already."""
        keys = self.keys
        if key in keys or any(key + suffix in keys for suffix in self.corrections):
            return False
        stem, suffix = os.path.splitext(key)
        return suffix not in self.corrections or stem not in keys


def _key(name: str) -> str:
    key = name.lower() if name.isascii() else unicodedata.normalize("NFC", name.casefold())
    return name if key == name else key  # sharing one string saves memory
