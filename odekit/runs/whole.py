"""Whether files are what a record says of them."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any

from odekit.core.files import file_digest
from odekit.runs.record import BLOCK, block_digest


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
    known = recorded.get
    described = known("path"), known("mtime_ns"), known("inode"), known("ctime_ns")
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
        first = os.pread(file, BLOCK, 0)
        last = first if size <= BLOCK else os.pread(file, BLOCK, size - BLOCK)
    finally:
        os.close(file)
    if not first.strip(b"\0") or not last.strip(b"\0"):  # blocks that never reached the disk
        return False
    if described.get("blocks", digest := block_digest(first, last)) != digest:
        return False
    return not verify or described.get("sha256", "") in ("", file_digest(path))
