"""From what a user names (files, folders, globs) to a list of jobs with output names that never collide.

Names are kept as strings: an archive has hundreds of thousands of them, and a `Path` takes several times the memory.
"""

from __future__ import annotations

import glob
import hashlib
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
    link: bool = False
    """The input is a symbolic link."""

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
        yield from _folder(item, out, suffixes)
    elif os.path.exists(item):
        yield Job(item, os.path.basename(item), link=os.path.islink(item))
    elif any(mark in item for mark in "*?["):
        matches = sorted(glob.glob(item, recursive=True))
        for path in matches:
            if os.path.isfile(path):
                yield Job(path, os.path.basename(path), link=os.path.islink(path))
        if not matches:
            yield Job(item, os.path.basename(item), InputError(f"{item}: no file matches"))
    else:
        yield Job(item, os.path.basename(item), InputError(f"{item}: no such file or folder"))


def _folder(folder: str, out: Path, suffixes: frozenset[str]) -> Iterator[Job]:
    """Every picture below a folder; links to folders are not followed. A folder that cannot be listed is a failure."""
    skip = os.path.abspath(out)
    real = os.stat(out) if os.path.isdir(out) else None
    waiting = [(folder, "")]
    while waiting:
        parent, below = waiting.pop()
        try:
            with os.scandir(parent) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            reason = f"{parent}: cannot be listed ({error.strerror or error}); check its permissions and the disk"
            yield Job(parent, below.rstrip(os.sep) or os.path.basename(parent), InputError(reason))
            continue
        folders = []
        for entry in entries:
            name = entry.name
            if _is_folder(entry):
                if not entry.is_symlink() and not _is_output(entry, skip, real):
                    folders.append((entry.path, os.path.join(below + name, "")))
            elif os.path.splitext(name)[1].lower() in suffixes and not name.startswith("."):
                yield Job(entry.path, below + name, None, entry.is_symlink())
        waiting += reversed(folders)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circle of links
        return False


def _is_output(entry: os.DirEntry[str], skip: str, real: os.stat_result | None) -> bool:
    """Whether a folder is the output folder, which may be named through a link."""
    if os.path.abspath(entry.path) == skip:
        return True
    return real is not None and entry.inode() == real.st_ino and os.path.samestat(entry.stat(), real)


def _distinct(jobs: list[Job]) -> list[Job]:
    taken = Counter(os.path.normcase(job.name) for job in jobs)
    if max(taken.values()) == 1:
        return jobs
    root = os.path.commonpath([os.path.abspath(os.path.dirname(job.file)) for job in jobs])
    return [Job(job.file, os.path.relpath(os.path.abspath(job.file), root), job.error, job.link) for job in jobs]


def replaced(jobs: Sequence[Job], out: Path) -> Job | None:
    """The first job whose result would replace an input of the run, links resolved."""
    real = _RealPaths()
    folders = {real.folder(job.file) for job in jobs}
    links = {os.path.realpath(job.file) for job in jobs if job.link}
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
    """Shard i/n, then at most `limit` of them.

    A name always falls to the same shard, whatever else is there: shards list the files at different times, and a file
    that appears between must not move others from one shard to another.
    """
    if shard is not None:
        index, count = shard_of(shard)
        jobs = [job for job in jobs if _lot(job.name) % count == index - 1]
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit {limit}: at least 1")
    return jobs[:limit]


def _lot(name: str) -> int:
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8], "big")


def shard_of(text: str) -> tuple[int, int]:
    """(i, n) of "i/n". Raises ConfigError where it is not 1 <= i <= n."""
    index, _, count = text.partition("/")
    if not (index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
        raise ConfigError(f"--shard {text}: write i/n with 1 <= i <= n, such as 2/8")
    return int(index), int(count)
