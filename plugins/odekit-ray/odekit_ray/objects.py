"""Inputs and outputs on object stores, by fsspec: `s3://bucket/folder` and the like.

A PUT is the atomic step there: a reader sees the old object or the new one, never half of one, and an answered PUT is
not lost. So a result is whole if its size is the recorded one, and nothing needs a lock: run.json is created on the
condition that there is none, and whoever comes second takes what the first one wrote.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from odekit.core.files import MAX_JSON
from odekit.core.text import visible_json
from odekit.errors import ConfigError, InputError, OdekitError
from odekit.images.io import IMAGE_SUFFIXES, max_file_bytes
from odekit.runs.files import InputPicture, read_input
from odekit.runs.inputs import Inputs, Job
from odekit.runs.output_names import NameRules
from odekit.runs.own_names import LIKE_RECORDS, SCRATCH
from odekit.runs.sources import LocalFiles
from odekit.runs.stores import SETTINGS


def is_address(text: str) -> bool:
    """Whether a text is an address such as `s3://bucket/folder`, not a path."""
    return "://" in text


@cache
def file_system(protocol: str) -> Any:
    """The file system of a protocol, without memory of listings. Its settings come from FSSPEC_* variables and files.

    Raises:
        ConfigError: the package for the protocol is not installed.
    """
    import fsspec

    try:
        return fsspec.filesystem(protocol, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"{protocol}://: {error}; for s3:// install 'odekit-ray[s3]'") from error


def of(address: str) -> Any:
    """The file system of an address."""
    return file_system(address.partition("://")[0])


@dataclass(frozen=True)
class ObjectStore:
    """The results of a job below an address.

    Args:
        address: without a `/` at its end.
    """

    address: str

    def __str__(self) -> str:
        return self.address

    def place(self, name: str) -> str:
        """Address of an object."""
        return f"{self.address}/{name}"

    def read(self, name: str) -> bytes:
        """The bytes of an object of at most `MAX_JSON` bytes."""
        data: bytes = of(self.address).cat_file(self.place(name), end=MAX_JSON)
        return data

    def put(self, name: str, data: bytes) -> None:
        """One PUT."""
        of(self.address).pipe_file(self.place(name), bytes(data))

    def put_settings(self, content: Mapping[str, Any], first: bool) -> None:
        """One PUT; of the first run.json on the condition that there is none."""
        text = visible_json(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False))
        mode = "create" if first else "overwrite"
        of(self.address).pipe_file(self.place(SETTINGS), f"{text}\n".encode(errors="backslashreplace"), mode=mode)

    def remove(self, name: str) -> None:
        """Remove an object."""
        of(self.address).rm_file(self.place(name))

    def has(self, name: str) -> bool:
        """Whether there is an object."""
        return bool(of(self.address).exists(self.place(name)))

    def names_in(self, folder: str) -> frozenset[str]:
        """Names below a prefix, up to the next `/`."""
        try:
            found = of(self.address).ls(self.place(folder).rstrip("/"), detail=False)
        except FileNotFoundError:
            return frozenset()
        return frozenset(name.rstrip("/").rpartition("/")[2] for name in found)

    def records(self) -> Iterator[str]:
        """Names of the JSON objects, prefix by prefix, so that the first one comes soon."""
        fs = of(self.address)
        start = len(fs._strip_protocol(self.address)) + 1
        for folder, folders, names in fs.walk(self.address):
            prefix = folder[start:]
            if not prefix:
                folders[:] = [name for name in folders if not SCRATCH.fullmatch(name)]
            elif SCRATCH.fullmatch(prefix.partition("/")[0]):
                continue
            for name in names:
                if name.endswith(".json") and (prefix or not LIKE_RECORDS.fullmatch(name)):
                    yield f"{prefix}/{name}".lstrip("/")

    def is_whole(self, name: str, described: Mapping[str, Any], verify: bool) -> bool:
        """By size: an object is there as a whole or not at all. With `verify`, by SHA-256."""
        fs, place = of(self.address), self.place(name)
        if fs.info(place)["size"] != described["bytes"]:
            return False
        return not verify or hashlib.sha256(fs.cat_file(place)).hexdigest() == described["sha256"]

    def check_inside(self, name: str) -> None:
        """Raise OdekitError for a name with `..`."""
        if ".." in name.split("/"):
            raise OdekitError(f"{self.place(name)}: is outside {self.address}")

    @contextlib.contextmanager
    def held(self, shard: str | None, scratch: str) -> Iterator[None]:
        """Check that the store has conditions, and remove the run's temporary objects at the end.

        Two runs may work below one address at the same time: they do work twice, and mix nothing.
        """
        self._check_conditions(f"{scratch}/condition")
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                of(self.address).rm(self.place(scratch), recursive=True)

    def _check_conditions(self, name: str) -> None:
        """Raise ConfigError if the store writes an object that is there already, although it is told not to."""
        fs, place = of(self.address), self.place(name)
        try:
            fs.pipe_file(place, b"first", mode="create")
        except (OSError, NotImplementedError) as error:
            raise ConfigError(f"{self.address} cannot be written: {error}") from error
        try:
            fs.pipe_file(place, b"second", mode="create")
        except FileExistsError:
            return
        except (OSError, NotImplementedError, TypeError):
            pass
        raise ConfigError(
            f"{self.address}: the store has no conditional PUT (If-None-Match), so that two runs could mix their "
            "results; choose another store, or a folder"
        )

    @contextlib.contextmanager
    def settling(self, on_wait: Callable[[], None]) -> Iterator[None]:
        """Nothing: the condition of `put_settings` decides."""
        yield

    def others_run(self, shard: str | None) -> bool:
        """Nobody can tell, so that it must be assumed."""
        return True


@dataclass(frozen=True)
class Objects(LocalFiles):
    """Inputs by address, beside those by path.

    Args:
        out: address of the results, which are no inputs; empty if they go to a folder.
    """

    out: str = ""

    def list(self, inputs: Sequence[str | Path], out: Path) -> Inputs:
        """Objects below each address, and files.

        Raises:
            ConfigError: there is no picture, or two have the same name.
        """
        addresses = [str(item) for item in inputs if is_address(str(item))]
        paths = [item for item in inputs if not is_address(str(item))]
        listed = super().list(paths, out) if paths else Inputs([], [])
        jobs = listed.jobs + [job for address in addresses for job in self._below(address)]
        if not jobs:
            raise ConfigError(f"{', '.join(addresses)}: no pictures found")
        if len({job.name for job in jobs}) < len(jobs) and addresses:
            raise ConfigError("two inputs have the same name; run them one after the other, into different folders")
        return Inputs(jobs, listed.unread)

    def _below(self, address: str) -> Iterator[Job]:
        fs = of(address)
        protocol, top = address.partition("://")[0], fs._strip_protocol(address.rstrip("/"))
        own = fs._strip_protocol(self.out) + "/" if self.out and self.out.startswith(protocol) else None
        if fs.isfile(address):
            yield Job(address, top.rpartition("/")[2])
            return
        for name in sorted(fs.find(address)):
            inside = own is not None and name.startswith(own)
            if Path(name).suffix.lower() in IMAGE_SUFFIXES and not inside:
                yield Job(f"{protocol}://{name.lstrip('/')}", name[len(top) + 1 :])

    @property
    def read(self) -> Callable[[str, float, bool], InputPicture]:  # type: ignore[override]
        """Reads an object or a file."""
        return read_any

    def data(self, file: str, size: int) -> bytes:
        """The first `size` + 1 bytes of an object or a file. Raises OSError."""
        if not is_address(file):
            return super().data(file, size)
        data: bytes = of(file).cat_file(file, end=size + 1)
        return data

    def is_same(self, recorded: Mapping[str, Any], file: str, verify: bool) -> bool:
        """By address, size and entity tag; else by SHA-256."""
        if not is_address(file):
            return super().is_same(recorded, file, verify)
        found = described(file)
        if found["bytes"] != recorded["bytes"]:
            return False
        if not verify and all(recorded.get(key) == value for key, value in found.items()):
            return True
        return bool(hashlib.sha256(of(file).cat_file(file)).hexdigest() == recorded["sha256"])

    def check_kept(self, jobs: Sequence[Job], out: Path, rules: NameRules) -> None:
        """No object below the address of the results is an input, so that none is replaced."""
        if not self.out:
            super().check_kept([job for job in jobs if not is_address(job.file)], out, rules)


def described(address: str) -> dict[str, Any]:
    """What tells whether an object has changed: address, size, time and entity tag."""
    info = of(address).info(address)
    modified = info.get("LastModified") or info.get("mtime") or info.get("created")
    if isinstance(modified, datetime.datetime):
        modified = int(modified.timestamp() * 1e9)
    entries = {"path": address, "bytes": info["size"], "mtime_ns": modified, "etag": info.get("ETag")}
    return {key: value for key, value in entries.items() if value is not None}


def read_any(file: str, max_megapixels: float, salvage: bool = False) -> InputPicture:
    """Read a picture by address or path. Raises InputError."""
    if not is_address(file):
        return read_input(file, max_megapixels, salvage)
    try:
        found = described(file)
        most = max_file_bytes(max_megapixels)
        if found["bytes"] > most:
            raise InputError(
                f"{file}: has {found['bytes']:,} bytes; pictures of {max_megapixels:g} megapixels are smaller"
            )
        data = of(file).cat_file(file)
    except FileNotFoundError:
        raise InputError(f"{file}: no such object") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error}") from error
    with tempfile.TemporaryDirectory(prefix="odekit-ray-") as folder:
        path = os.path.join(folder, file.rpartition("/")[2] or "picture")
        Path(path).write_bytes(data)
        try:
            image, entries = read_input(path, max_megapixels, salvage)
        except InputError as error:
            raise InputError(str(error).replace(path, file)) from error
    kept = {
        key: value for key, value in entries.items() if key not in ("path", "bytes", "mtime_ns", "inode", "ctime_ns")
    }
    return image, found | kept
