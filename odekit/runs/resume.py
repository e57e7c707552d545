"""Resume: decide from the records in an output folder which inputs are complete."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from typing import Any

from odekit.chains.record import RECORD_SCHEMA
from odekit.core.files import MAX_JSON, file_digest, parse_json, read_bounded
from odekit.runs.findings import Findings, findings_of
from odekit.runs.record import BLOCK, SHARED_START, block_digest


def same_input(recorded: Mapping[str, Any], source: str, verify: bool = False) -> bool:
    """Whether an input is the one that a record describes.

    It is if path, size, inode, and the times of its content and of its inode are equal; otherwise, and with `verify`,
    its SHA-256 decides, so that a moved archive is recognised, and another file of the same name, size and modification
    time is not taken for it. Nobody can set the time of an inode (`ctime_ns`), which many file systems use again at
    once for the next file. Records of older versions do not have it: there the SHA-256 decides.

    Raises:
        OSError, KeyError: the input cannot be read, or the record is not complete.
    """
    found = os.stat(source)
    if found.st_size != recorded["bytes"]:
        return False
    described = tuple(recorded.get(key) for key in ("path", "mtime_ns", "inode", "ctime_ns"))
    unchanged = described == (source, found.st_mtime_ns, found.st_ino, found.st_ctime_ns)
    return (unchanged and not verify) or file_digest(source) == recorded["sha256"]


def same_file(path: str, described: Mapping[str, Any], verify: bool = False) -> bool:
    """Whether a written file is whole: by its size and by its first and last block; with `verify`, by its SHA-256.

    Raises:
        OSError: it cannot be read, or is a link.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(file)
        size = found.st_size
        if not stat.S_ISREG(found.st_mode) or not size or size != described.get("bytes", size):
            return False
        first, last = os.pread(file, BLOCK, 0), os.pread(file, BLOCK, max(0, size - BLOCK))
    finally:
        os.close(file)
    if not first.strip(b"\0") or not last.strip(b"\0"):  # blocks that never reached the disk
        return False
    if described.get("blocks", digest := block_digest(first, last)) != digest:
        return False
    return not verify or described.get("sha256", "") in ("", file_digest(path))


class CompletionCheck:
    """Decides from records which files are complete. The part that records share is parsed and compared only once.

    Args:
        out: the output folder.
        agrees: whether a record has the settings of this run.
        files_of: SHA-256 of the files that belong to an input, by path, such as its mask.
        verify: compare the SHA-256 of inputs and outputs.
    """

    def __init__(
        self,
        out: str,
        agrees: Callable[[Mapping[str, Any]], bool],
        files_of: Callable[[str], Mapping[str, str]] = lambda source: {},
        verify: bool = False,
    ) -> None:
        self.out = out
        self.agrees = agrees
        self.files_of = files_of
        self.verify = verify
        self.agreed: set[bytes] = set()
        """Shared parts of records that have the settings of this run."""
        self.findings = Findings()
        """Of the record that `done` has read last."""
        self.disagreed = 0
        """Number of records of other settings."""

    def done(self, name: str, source: str) -> bool:
        """Whether the record of the result `name` shows that it was restored from `source` with these settings."""
        try:
            record = self._record(f"{os.path.join(self.out, name)}.json")
            if record is None or not self._whole(record, name, source):
                return False
            self.findings = findings_of(record)
            return True
        except Exception:  # a record may contain anything
            return False

    def _record(self, path: str) -> Mapping[str, Any] | None:
        """A record with the settings of this run, without the shared part where that is known; else None."""
        data = read_bounded(path, MAX_JSON)
        head, _, shared = data.partition(SHARED_START)
        if shared in self.agreed and isinstance(record := parse_json(head + b"}"), dict):
            return record
        record = parse_json(data)  # a new shared part, or a record in another format
        if not isinstance(record, dict):
            return None
        if not self.agrees(record):
            self.disagreed += 1
            return None
        entries = parse_json(head + b"}")
        if shared and isinstance(entries, dict) and all(record[key] == value for key, value in entries.items()):
            self.agreed.add(shared)
        return record

    def _whole(self, record: Mapping[str, Any], name: str, source: str) -> bool:
        """Whether the input is as recorded, and all files that were written are."""
        if record["schema"] != RECORD_SCHEMA or not same_input(record["input"], source, self.verify):
            return False
        if dict(record["input"].get("files", {})) != dict(self.files_of(source)):
            return False
        # The name is taken from the record, because a file with the wrong suffix gets a second one.
        written = os.path.basename(record["output"]["path"])
        if not written.startswith(os.path.basename(name)):
            return False
        folder = os.path.dirname(name)
        files = {written: record["output"]}
        described = record.get("extra_files", {})
        for extra in record.get("extras", ()):
            if os.path.dirname(extra) != folder:
                return False
            files[os.path.basename(extra)] = described.get(extra, {})
        return all(same_file(os.path.join(self.out, folder, file), of, self.verify) for file, of in files.items())
