"""Whether a file is all that was written, for containers that do not say how long they are."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from odekit.errors import InputError

SIZES = (188, 192, 204)
"""Bytes of a packet of a transport stream: alone, with a time before it, with a checksum behind it."""
SYNC = 0x47
FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
"""Kinds of boxes that may begin an MP4 or MOV file."""
TAIL = 2**20
"""Bytes at the end in which the last packet of the video is searched."""


def cut_note(path: Path, pid: int) -> str:
    """A sentence if a transport stream ends within a packet, or within a frame of the stream `pid`; empty if not.

    A frame fills its last packet up with stuffing, unless it happens to end with it.
    """
    with path.open("rb") as file:
        head = file.read(3 * max(SIZES))
        size = next((s for s in SIZES if is_stream(head, s)), None)
        if size is None:
            return ""
        total = path.stat().st_size
        if total % size:
            return "it ends within a packet: the input is incomplete"
        file.seek(max(0, total - TAIL // size * size))
        tail = file.read()
    sync = size - 188 if size == 192 else 0
    for start in range(len(tail) - size, -1, -size):
        packet = tail[start + sync : start + sync + 188]
        if packet[0] == SYNC and ((packet[1] & 0x1F) << 8 | packet[2]) == pid and packet[3] & 0x10:
            stuffed = packet[3] & 0x20 and packet[4] > 0
            return "" if stuffed else "it ends within a frame: the input is incomplete"
    return ""


def is_stream(head: bytes, size: int) -> bool:
    """Whether packets of this size begin a file."""
    first = size - 188 if size == 192 else 0
    return len(head) >= first + 2 * size and all(head[first + n * size] == SYNC for n in range(2))


def check_single(path: Path) -> None:
    """Refuse MP4 and MOV files that were joined byte by byte, of which only the first part can be read, or cut.

    Raises:
        InputError: it is such a file.
    """
    with path.open("rb") as file:
        kinds = boxes(file, path.stat().st_size)
    if kinds.count(b"moov") > 1:  # of fragments, the later ones may name places in the first file
        raise InputError(
            f"{path}: {kinds.count(b'moov')} videos joined byte by byte, of which only the first can be read; "
            "join them with a video program, or restore them one by one"
        )
    if b"mdat" in kinds and not {b"moov", b"moof"} & set(kinds):
        raise InputError(f"{path}: the index at its end (moov) is missing: it was cut, or is not finished")


def boxes(file: BinaryIO, size: int) -> list[bytes]:
    """Kinds of the outermost boxes of an MP4 or MOV file; empty for other files."""
    kinds: list[bytes] = []
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if (not kinds and kind not in FIRST_BOXES) or length < 8:
            return kinds
        kinds.append(kind)
        at += length
    return kinds
