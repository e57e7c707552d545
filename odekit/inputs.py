"""From what a user names (files, folders, globs) to a list of jobs with output names that never collide."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from odekit.errors import ConfigError, InputError


@dataclass(frozen=True)
class Job:
    """One input file and where its result goes, relative to the output folder, without a change of suffix."""

    source: Path
    target: Path
    error: InputError | None = None
    """Why it cannot even be read."""


def collect(inputs: Sequence[str | Path], out: Path, suffixes: frozenset[str]) -> list[Job]:
    """All pictures behind the inputs, in a stable order.

    A folder gives every picture below it (the output folder left out) and keeps its structure; a glob is expanded; a
    file is taken whatever its suffix. Two files that would share an output name are told apart by their folders.

    Raises:
        ConfigError: nothing to restore at all.
    """
    found: list[Job] = []
    for item in inputs:
        path = Path(item)
        if path.is_dir():
            found += _folder(path, out, suffixes)
        elif path.exists():
            found.append(Job(path, Path(path.name)))
        elif any(mark in str(item) for mark in "*?["):
            matches = [Path(p) for p in sorted(glob.glob(str(item), recursive=True))]
            found += [Job(p, Path(p.name)) for p in matches if p.is_file()]
            if not matches:
                found.append(Job(path, Path(path.name), InputError(f"{item}: no file matches")))
        else:
            found.append(Job(path, Path(path.name), InputError(f"{item}: no such file or folder")))
    unique = list({os.path.abspath(job.source): job for job in found}.values())
    if not any(job.error is None for job in unique):
        reason = str(unique[0].error) if unique else f"{', '.join(map(str, inputs))}: no pictures in there"
        raise ConfigError(f"{reason}; name files, folders or globs of {', '.join(sorted(suffixes))}")
    return _distinct(unique)


def _folder(folder: Path, out: Path, suffixes: frozenset[str]) -> list[Job]:
    jobs = []
    skip = os.path.abspath(out)
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if os.path.abspath(os.path.join(parent, f)) != skip)
        for name in sorted(names):
            path = Path(parent) / name
            if path.suffix.lower() in suffixes and not name.startswith("."):
                jobs.append(Job(path, path.relative_to(folder)))
    return jobs


def _distinct(jobs: list[Job]) -> list[Job]:
    taken = Counter(os.path.normcase(job.target) for job in jobs)
    if max(taken.values()) == 1:
        return jobs
    root = Path(os.path.commonpath([os.path.abspath(job.source.parent) for job in jobs]))
    return [Job(job.source, Path(os.path.abspath(job.source)).relative_to(root), job.error) for job in jobs]


def part_of(jobs: list[Job], shard: str | None, limit: int | None) -> list[Job]:
    """Shard i/n (every n-th job from the i-th, i from 1), then at most `limit` of them."""
    if shard is not None:
        index, _, count = shard.partition("/")
        if not (index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
            raise ConfigError(f"--shard {shard}: write i/n with 1 <= i <= n, such as 2/8")
        jobs = jobs[int(index) - 1 :: int(count)]
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit {limit}: at least 1")
    return jobs[:limit]
