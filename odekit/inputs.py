"""From what a user names (files, folders, globs) to a list of jobs with output names that never collide.

Names are kept as strings: an archive has hundreds of thousands of them, and a `Path` takes several times the memory.
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from odekit.errors import ConfigError, InputError


@dataclass(frozen=True, slots=True)
class Job:
    """One input file and where its result goes."""

    file: str
    """The input, as the user can open it."""
    name: str
    """Of the result, relative to the output folder; the input's own suffix where no format was asked for."""
    error: InputError | None = None
    """Why it cannot even be read."""

    @property
    def source(self) -> Path:
        """The input."""
        return Path(self.file)

    @property
    def target(self) -> Path:
        """Where the result goes, relative to the output folder."""
        return Path(self.name)


def collect(inputs: Sequence[str | Path], out: Path, suffixes: frozenset[str]) -> list[Job]:
    """All pictures behind the inputs, in a stable order.

    A folder gives every picture below it (the output folder left out) and keeps its structure; a glob is expanded; a
    file is taken whatever its suffix. Two files that would share an output name are told apart by their folders.

    Raises:
        ConfigError: nothing to restore at all.
    """
    found = [job for item in inputs for job in _named(str(item), out, suffixes)]
    if len(inputs) > 1:
        found = list({os.path.abspath(job.file): job for job in found}.values())
    if not any(job.error is None for job in found):
        reason = str(found[0].error) if found else f"{', '.join(map(str, inputs))}: no pictures in there"
        raise ConfigError(f"{reason}; name files, folders or globs of {', '.join(sorted(suffixes))}")
    return _distinct(found)


def _named(item: str, out: Path, suffixes: frozenset[str]) -> Iterator[Job]:
    if os.path.isdir(item):
        yield from _folder(item, os.path.abspath(out), suffixes)
    elif os.path.exists(item):
        yield Job(item, os.path.basename(item))
    elif any(mark in item for mark in "*?["):
        matches = sorted(glob.glob(item, recursive=True))
        yield from (Job(path, os.path.basename(path)) for path in matches if os.path.isfile(path))
        if not matches:
            yield Job(item, os.path.basename(item), InputError(f"{item}: no file matches"))
    else:
        yield Job(item, os.path.basename(item), InputError(f"{item}: no such file or folder"))


def _folder(folder: str, skip: str, suffixes: frozenset[str]) -> Iterator[Job]:
    """Every picture below a folder; links to folders are not followed."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if os.path.abspath(os.path.join(parent, f)) != skip)
        below = "" if parent == folder else os.path.join(os.path.relpath(parent, folder), "")
        for name in sorted(names):
            if os.path.splitext(name)[1].lower() in suffixes and not name.startswith("."):
                yield Job(os.path.join(parent, name), below + name)


def _distinct(jobs: list[Job]) -> list[Job]:
    taken = Counter(os.path.normcase(job.name) for job in jobs)
    if max(taken.values()) == 1:
        return jobs
    root = os.path.commonpath([os.path.abspath(os.path.dirname(job.file)) for job in jobs])
    return [Job(job.file, os.path.relpath(os.path.abspath(job.file), root), job.error) for job in jobs]


def replaced(jobs: Sequence[Job], out: Path) -> Job | None:
    """The first job whose result would replace an input of the run, links resolved."""
    real = _RealPaths()
    folders = {real.folder(job.file) for job in jobs}
    links = {os.path.realpath(job.file) for job in jobs if os.path.islink(job.file)}
    near = [job for job in jobs if links or real.folder(os.path.join(out, job.name)) in folders]
    if not near:
        return None
    sources = {real.file(job.file) for job in jobs} | links
    return next((job for job in near if real.file(os.path.join(out, job.name)) in sources), None)


class _RealPaths:
    """Real paths of files, each folder resolved once."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def folder(self, file: str) -> str:
        name = os.path.dirname(file)
        if name not in self.known:
            self.known[name] = os.path.realpath(name)
        return self.known[name]

    def file(self, file: str) -> str:
        return os.path.join(self.folder(file), os.path.basename(file))


def part_of(jobs: list[Job], shard: str | None, limit: int | None) -> list[Job]:
    """Shard i/n (every n-th job from the i-th, i from 1), then at most `limit` of them."""
    if shard is not None:
        index, count = shard_of(shard)
        jobs = jobs[index - 1 :: count]
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit {limit}: at least 1")
    return jobs[:limit]


def shard_of(text: str) -> tuple[int, int]:
    """(i, n) of "i/n". Raises ConfigError where it is not 1 <= i <= n."""
    index, _, count = text.partition("/")
    if not (index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
        raise ConfigError(f"--shard {text}: write i/n with 1 <= i <= n, such as 2/8")
    return int(index), int(count)
