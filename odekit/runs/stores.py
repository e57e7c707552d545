"""Where the results of a job lie: a folder, or what a plugin puts in its place, such as a prefix of an object store."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from odekit.core import files
from odekit.core.files import MAX_JSON, exclusive, parse_json, read_bounded, write_json
from odekit.errors import ConfigError
from odekit.runs.containment import check_inside, check_own
from odekit.runs.inputs import shard_tag
from odekit.runs.lock import lock_output_folder, other_shards_run, remove_lock_file
from odekit.runs.own_names import LIKE_RECORDS, SCRATCH
from odekit.runs.whole import same_file

SETTINGS = "run.json"
"""Name of the file with the settings of a job."""


class OutputStore(Protocol):
    """A place for results, records and run.json. Names are relative to it.

    All methods raise OSError where the place cannot be reached; FileNotFoundError where a name is not there.
    """

    def __str__(self) -> str:
        """As the user names it."""
        ...

    def place(self, name: str) -> str:
        """Path or address of a file."""
        ...

    def read(self, name: str) -> bytes:
        """The bytes of a record, or of run.json."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """Write a file as a whole: a reader sees the old one or the new one."""
        ...

    def put_settings(self, content: Mapping[str, Any], first: bool) -> None:
        """Write run.json; returns when it cannot get lost any more.

        Args:
            content: of run.json.
            first: the caller has found no valid run.json.

        Raises:
            FileExistsError: `first`, and another run has written it in the meantime.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove a file."""
        ...

    def has(self, name: str) -> bool:
        """Whether a file is there."""
        ...

    def names_in(self, folder: str) -> frozenset[str]:
        """Names of the files directly in a folder; empty if there is none."""
        ...

    def records(self) -> Iterator[str]:
        """Names of the files that may be records, readable or not, in no order."""
        ...

    def is_whole(self, name: str, described: Mapping[str, Any], verify: bool) -> bool:
        """Whether a file that was written is as its record describes it; with `verify`, by its SHA-256."""
        ...

    def check_inside(self, name: str) -> None:
        """Raise OdekitError if a name leads out of the place."""
        ...

    def held(self, shard: str | None, scratch: str) -> AbstractContextManager[None]:
        """While it is open, a run or a shard works here, with a folder for temporary files of its own.

        What dead runs have left is removed.

        Args:
            shard: `i/n`, or None for a whole run.
            scratch: name of the folder for temporary files.

        Raises:
            ConfigError: another run works here, or this is no place for results.
        """
        ...

    def settling(self, on_wait: Callable[[], None]) -> AbstractContextManager[None]:
        """While it is open, no other run writes run.json; a store without locks lets `put_settings` decide."""
        ...

    def others_run(self, shard: str | None) -> bool:
        """Whether another shard is writing here."""
        ...


@dataclass(frozen=True)
class Folder:
    """A folder on a disk, or on storage that several machines mount.

    Args:
        folder: its path.
        scratch: folder inside it for temporary files; None: they lie beside their targets.
    """

    folder: Path
    scratch: Path | None = None

    def __str__(self) -> str:
        return str(self.folder)

    @functools.cached_property
    def _top(self) -> str:
        """The folder, with a separator behind it."""
        return os.path.join(self.folder, "")

    def place(self, name: str) -> str:
        """Path of a file."""
        return name if os.path.isabs(name) else self._top + name

    def read(self, name: str) -> bytes:
        """The bytes of a regular file of at most `MAX_JSON` bytes."""
        return read_bounded(self.place(name), MAX_JSON)

    def put(self, name: str, data: bytes) -> None:
        """Write to a temporary file, and rename it."""
        files.write_atomic(data, self.place(name), self.scratch)

    def put_settings(self, content: Mapping[str, Any], first: bool) -> None:
        """Write run.json and flush it to the disk; whoever calls it holds a lock."""
        write_json(self.folder / SETTINGS, content, durable=True)

    def remove(self, name: str) -> None:
        """Remove a file."""
        os.unlink(self.place(name))

    def has(self, name: str) -> bool:
        """Whether there is a file, a folder or a link of this name."""
        return os.path.lexists(self.place(name))

    def names_in(self, folder: str) -> frozenset[str]:
        """Names in a folder."""
        try:
            return frozenset(os.listdir(self.place(folder)))
        except OSError:  # it is still to be made
            return frozenset()

    def records(self) -> Iterator[str]:
        """Names of the JSON files in the folder and below; links are not followed."""
        top = os.fspath(self.folder)
        start, pending = len(os.path.join(top, "")), [top]
        while pending:
            folder = pending.pop()
            is_top = folder == top
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if entry.is_dir(follow_symlinks=False):
                            if not (is_top and SCRATCH.fullmatch(entry.name)):
                                pending.append(entry.path)
                        elif entry.name.endswith(".json") and not (is_top and LIKE_RECORDS.fullmatch(entry.name)):
                            yield entry.path[start:]
            except OSError:
                continue

    def is_whole(self, name: str, described: Mapping[str, Any], verify: bool) -> bool:
        """By size, first and last block, since a power failure may leave parts of a file."""
        return same_file(self.place(name), described, verify)

    def check_inside(self, name: str) -> None:
        """Raise OdekitError if `..` or a link leads out of the folder."""
        check_inside(name, os.fspath(self.folder))

    @contextlib.contextmanager
    def held(self, shard: str | None, scratch: str) -> Iterator[None]:
        """Create the folder, lock it, and clear the temporary files of dead runs."""
        out, tag = self.folder, shard_tag(shard)
        try:
            out.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise ConfigError(f"the output folder {out} cannot be created: it is a file") from error
        check_own(out, tag)
        with lock_output_folder(out, shard):
            own = (out / scratch).parent
            # A run without shards has locked the folder for itself, so it may remove those of shards, too.
            for folder in [own] if tag else out.glob(".odekit-tmp*"):
                shutil.rmtree(folder, ignore_errors=True)
            (out / scratch).mkdir(parents=True)
            try:
                yield
            finally:
                shutil.rmtree(own, ignore_errors=True)

    @contextlib.contextmanager
    def settling(self, on_wait: Callable[[], None]) -> Iterator[None]:
        """Hold run.json.lock."""
        path = self.folder / f"{SETTINGS}.lock"
        with exclusive(path, on_wait=on_wait):
            try:
                yield
            finally:
                remove_lock_file(path)

    def others_run(self, shard: str | None) -> bool:
        """Whether another shard holds its lock."""
        return other_shards_run(self.folder, shard)


def as_store(out: Path | OutputStore) -> OutputStore:
    """A store; a path is that of a folder."""
    return Folder(out) if isinstance(out, Path) else out


def read_json_in(store: OutputStore, name: str) -> Any:
    """The JSON content of a file; None if it is missing, damaged or too large."""
    try:
        return parse_json(store.read(name))
    except (OSError, ValueError):
        return None
