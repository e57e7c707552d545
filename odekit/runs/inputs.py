"""Input files, folders and globs expanded to a list of jobs, one per picture.

Names are strings: an archive has hundreds of thousands of files, and a `Path` needs several times as much memory.
"""

from __future__ import annotations

import glob
import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from odekit.errors import ConfigError, InputError
from odekit.runs.unread import UnreadFile, describe_unread, unread_file


@dataclass(frozen=True, slots=True)
class Job:
    """One input file and the name of its result."""

    file: str
    """Path of the input."""
    name: str
    """Path of the result, relative to the output folder; it has the suffix of the input if no format is set."""
    error: InputError | None = None
    """Error of an input that cannot be listed; None for other inputs."""
    link: bool = False
    """The input is a symbolic link."""
    plain: str = ""
    """The name that the result would have if this were the only input; empty: `name`."""

    @property
    def alone(self) -> str:
        """The name that the result would have if this were the only input."""
        return self.plain or self.name

    @property
    def source(self) -> Path:
        """Path of the input."""
        return Path(self.file)

    @property
    def target(self) -> Path:
        """Path of the result, relative to the output folder."""
        return Path(self.name)


@dataclass(frozen=True)
class Inputs:
    """What the inputs of a run hold."""

    jobs: list[Job]
    """One for each picture."""
    unread: list[UnreadFile]
    """Pictures and videos of unsupported formats, from folders and globs."""


def collect_jobs(inputs: Sequence[str | Path], out: Path, suffixes: frozenset[str]) -> list[Job]:
    """The jobs of `list_inputs`."""
    return list_inputs(inputs, out, suffixes).jobs


def list_inputs(inputs: Sequence[str | Path], out: Path, suffixes: frozenset[str]) -> Inputs:
    """Jobs for all pictures in the inputs, in a stable order, and the pictures and videos that are not read.

    A folder contributes all pictures below it except those in the output folder, and its structure is kept. Globs are
    expanded. A file given by name may have any suffix. If two results would have the same name, all results keep
    the folder structure of the inputs.

    Args:
        inputs: files, folders and globs.
        out: output folder.
        suffixes: of the pictures taken from folders, in lower case.

    Raises:
        ConfigError: there is no picture in the inputs.
    """
    files = [file for item in inputs for file in _expand(str(item), out, suffixes)]
    if len(inputs) > 1:
        files = list({os.path.abspath(file.file): file for file in files}.values())
    unread = [file for file in files if isinstance(file, UnreadFile)]
    jobs = [file for file in files if isinstance(file, Job)] if unread else cast("list[Job]", files)
    if not any(job.error is None for job in jobs):
        reason = str(jobs[0].error) if jobs else f"{', '.join(map(str, inputs))}: no pictures found"
        if unread:
            reason += f", {describe_unread(unread)}"
        raise ConfigError(f"{reason}; name files, folders or globs of {', '.join(sorted(suffixes))}")
    return Inputs(_with_unique_names(jobs), unread)


def _expand(item: str, out: Path, suffixes: frozenset[str]) -> Iterator[Job | UnreadFile]:
    """Jobs of one file, folder or glob. A file that is named is a job whatever its suffix."""
    if os.path.isdir(item):
        yield from _scan_folder(item, out, suffixes)
    elif os.path.exists(item):
        yield Job(item, os.path.basename(item), link=os.path.islink(item))
    elif any(mark in item for mark in "*?["):
        matches = sorted(glob.glob(item, recursive=True))
        for path in matches:
            if os.path.isfile(path):
                yield unread_file(path) or Job(path, os.path.basename(path), link=os.path.islink(path))
        if not matches:
            yield Job(item, os.path.basename(item), InputError(f"{item}: no file matches"))
    else:
        yield Job(item, os.path.basename(item), InputError(f"{item}: no such file or folder"))


def _scan_folder(folder: str, out: Path, suffixes: frozenset[str]) -> Iterator[Job | UnreadFile]:
    """Jobs for all pictures below a folder; links to folders are not followed.

    A folder that cannot be listed becomes a job with an error.
    """
    out_path = os.path.abspath(out)
    out_stat = os.stat(out) if os.path.isdir(out) else None
    pending = [(folder, "")]
    while pending:
        parent, prefix = pending.pop()
        try:
            with os.scandir(parent) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            reason = f"{parent}: cannot be listed ({error.strerror or error}); check its permissions and the disk"
            yield Job(parent, prefix.rstrip(os.sep) or os.path.basename(parent), InputError(reason))
            continue
        folders = []
        for entry in entries:
            name = entry.name
            if _is_folder(entry):
                if not entry.is_symlink() and not _is_output(entry, out_path, out_stat):
                    folders.append((entry.path, os.path.join(prefix + name, "")))
            elif name.startswith("."):
                continue
            elif os.path.splitext(name)[1].lower() in suffixes:
                yield Job(entry.path, prefix + name, None, entry.is_symlink())
            elif (unread := unread_file(entry.path)) is not None:
                yield unread
        pending += reversed(folders)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a cycle of links
        return False


def _is_output(entry: os.DirEntry[str], out_path: str, out_stat: os.stat_result | None) -> bool:
    """Whether a folder is the output folder, which may have been named through a link."""
    if os.path.abspath(entry.path) == out_path:
        return True
    return out_stat is not None and entry.inode() == out_stat.st_ino and os.path.samestat(entry.stat(), out_stat)


def _with_unique_names(jobs: list[Job]) -> list[Job]:
    """The jobs unchanged if all names differ; else with the folders below the common root in every name."""
    counts = Counter(os.path.normcase(job.name) for job in jobs)
    if max(counts.values()) == 1:
        return jobs
    root = os.path.commonpath([os.path.abspath(os.path.dirname(job.file)) for job in jobs])
    return [
        Job(job.file, os.path.relpath(os.path.abspath(job.file), root), job.error, job.link, job.name) for job in jobs
    ]


def find_overwritten_input(
    jobs: Sequence[Job], out: Path, written: Callable[[str], Iterable[str]] = lambda name: (name,)
) -> Job | None:
    """The first job whose result would overwrite an input of the run, with links resolved; None if there is none.

    Args:
        jobs: of the run.
        out: output folder.
        written: every name that may be written for a result, itself included.
    """
    real = RealPaths()
    folders = {real.folder(parent) for parent in {os.path.dirname(job.file) for job in jobs}}
    links = {os.path.realpath(job.file) for job in jobs if job.link}
    targets = {os.path.dirname(job.name) for job in jobs}
    shared = {target for target in targets if links or real.folder(os.path.join(out, target)) in folders}
    if not shared:
        return None
    candidates = [job for job in jobs if os.path.dirname(job.name) in shared]
    sources = {real.file(job.file) for job in jobs} | links
    return next(
        (job for job in candidates if any(real.file(os.path.join(out, name)) in sources for name in written(job.name))),
        None,
    )


class RealPaths:
    """Real paths of files; each folder is resolved once, from that of its parent."""

    def __init__(self) -> None:
        self.folders: dict[str, str] = {}

    def folder(self, name: str) -> str:
        """Real path of a folder."""
        place, steps = name, []
        while place not in self.folders:
            parent, last = os.path.split(place)
            if parent in ("", place) or last in ("", os.curdir, os.pardir) or os.path.islink(place):
                self.folders[place] = os.path.realpath(place)
            else:
                steps.append((place, parent, last))
                place = parent
        for path, parent, last in reversed(steps):
            self.folders[path] = os.path.join(self.folders[parent], last)
        return self.folders[name]

    def file(self, file: str) -> str:
        """Path of a file in the real path of its folder."""
        return os.path.join(self.folder(os.path.dirname(file)), os.path.basename(file))


def select_jobs(jobs: list[Job], shard: str | None, limit: int | None) -> list[Job]:
    """The jobs of shard i/n, and at most `limit` of them.

    The shard of a job depends only on the name that its result would have if it were the only input, without regard to
    case. Shards list the files at different times: a file that appears in between must not move other files to another
    shard, and files that compete for a name are in one shard.

    Raises:
        ConfigError: a shard that is not of the form i/n, or a limit below 1.
    """
    if shard is not None:
        index, count = parse_shard(shard)
        jobs = [job for job in jobs if _name_hash(name_key(job.alone)) % count == index - 1]
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit {limit}: at least 1")
    return jobs[:limit]


def name_key(name: str) -> str:
    """A name without regard to case and Unicode form, which some file systems do not distinguish."""
    key = name.lower() if name.isascii() else unicodedata.normalize("NFC", name.casefold())
    return name if key == name else key  # sharing one string saves memory


def _name_hash(name: str) -> int:
    """The first 64 bits of the SHA-256 of a name."""
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8], "big")


def shard_tag(shard: str | None) -> str:
    """Suffix for the names of files that each shard writes separately: `-1-of-8` for "1/8", empty for a whole run."""
    return "" if shard is None else f"-{shard.replace('/', '-of-')}"


def parse_shard(text: str) -> tuple[int, int]:
    """Parse "i/n" as (i, n). Raises ConfigError unless 1 <= i <= n."""
    index, _, count = text.partition("/")
    if not (index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
        raise ConfigError(f"--shard {text}: write i/n with 1 <= i <= n, such as 2/8")
    return int(index), int(count)
