"""EXIF: the orientation of an image, and the block that is written back to the file.

The block is copied byte for byte (maker notes hold offsets that a rewrite would break), with two changes: the
orientation is reset, because the pixels are upright, and the preview is unlinked, because it shows the image before
restoration. In TIFF, EXIF shares its directory with the layout of the file, so only the tags that describe the image
are copied, with their values unchanged. Layout of directories: TIFF 6.0, section 2.

A directory can name the same bytes in every entry, so that a small file stands for gigabytes of values. Therefore an
entry whose value overlaps with another one is left out, and the values together are limited (`MAX_BYTES`).
"""

from __future__ import annotations

import struct
from bisect import bisect
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

ORIENTATION = 0x0112
PREFIX = b"Exif\x00\x00"

MAX_BYTES = 8 << 20
"""Largest EXIF block that is kept, in bytes. JPEG holds 64 KiB; other formats may hold maker notes of megabytes."""
MAX_ENTRIES = 4096
"""Largest number of entries of a directory that is read; cameras write some tens."""

_DESCRIPTIVE = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
"""ImageDescription, Make, Model, Software, DateTime, Artist, Copyright."""
NESTED = (0x8769, 0x8825)
"""Pointers to the EXIF and the GPS directory."""
_INTEROPERABILITY = 0xA005
"""A pointer inside the EXIF directory that does not describe the image."""
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Size in bytes of one value, by TIFF type (16 to 18: BigTIFF)."""

_Scalar = TypeVar("_Scalar", bound=np.generic)


class _Entry(NamedTuple):
    """One entry of a directory."""

    value_type: int
    value_count: int
    payload: bytes


_Directory: TypeAlias = dict[int, _Entry]


def turn_upright(planes: NDArray[_Scalar], orientation: int) -> NDArray[_Scalar]:
    """Apply the EXIF orientation (tag 0x0112) to an array (..., H, W) as stored in the file.

    `orientation` is 1 to 8 (EXIF 2.32, section 4.6.4); 5 to 8 exchange height and width. Other values are treated as 1.
    """
    if orientation in (5, 6, 7, 8):
        planes = planes.swapaxes(-1, -2)
    if orientation in (2, 3, 6, 7):
        planes = planes[..., :, ::-1]
    if orientation in (3, 4, 7, 8):
        planes = planes[..., ::-1, :]
    return np.ascontiguousarray(planes)


def byte_order(block: bytes) -> str:
    """The byte order of a TIFF stream for `struct`: '<' or '>'.

    Raises:
        ValueError: not a (classic) TIFF stream.
    """
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(block.removeprefix(PREFIX)[:4])
    if order is None:
        raise ValueError("not a TIFF stream")
    return order


def exif_to_write(block: bytes) -> bytes | None:
    """The EXIF block to write: orientation 1, preview unlinked, otherwise unchanged.

    None if it is not EXIF, larger than `MAX_BYTES`, or not sane.
    """
    return unrotated(block) if len(block) <= MAX_BYTES and is_sane(block) else None


def unrotated(block: bytes) -> bytes | None:
    """A TIFF stream of any size with orientation 1 and without its second directory, as EXIF; None if it is none."""
    body = bytearray(block.removeprefix(PREFIX))
    try:
        order = byte_order(block)
        (first,) = struct.unpack_from(order + "I", body, 4)
        (count,) = struct.unpack_from(order + "H", body, first)
        for offset in range(first + 2, first + 2 + 12 * count, 12):
            if struct.unpack_from(order + "HH", body, offset) == (ORIENTATION, 3):
                struct.pack_into(order + "H", body, offset + 8, 1)
        struct.pack_into(order + "I", body, first + 2 + 12 * count, 0)
    except (struct.error, ValueError):
        return None
    return PREFIX + bytes(body)


def exif_from_tiff(file: bytes) -> bytes | None:
    """An EXIF block with the descriptive tags of a TIFF file; None if it has none or is damaged."""
    try:
        order = byte_order(file)
        main, nested = _description(file, order)
    except (struct.error, ValueError, KeyError):
        return None
    if not main and not nested:
        return None
    body, first = _assemble(order, 8, main, nested)
    return PREFIX + struct.pack(order + "2sHI", file[:2], 42, first) + body


def add_exif_to_tiff(tiff: bytes, block: bytes) -> bytes:
    """Add the descriptive tags of an EXIF block to a TIFF file of the same byte order. A damaged block is ignored.

    The file's directory is rewritten at the end of the file, where there is space; nothing else moves.
    """
    try:
        order = byte_order(tiff)
        main, nested = _description(block.removeprefix(PREFIX), order)
    except (struct.error, ValueError, KeyError):
        return tiff
    (first,) = struct.unpack_from(order + "I", tiff, 4)
    start = len(tiff) + len(tiff) % 2
    body, main_offset = _assemble(order, start, main | _directory(tiff, order, first), nested)
    return tiff[:4] + struct.pack(order + "I", main_offset) + tiff[8:].ljust(start - 8, b"\x00") + body


def orientation_of(block: bytes) -> int | None:
    """The orientation stated by the main directory of an EXIF block or TIFF file; None if it states none.

    Only this entry is read, unlike by Pillow, which copies the values of all entries, however often they overlap.
    """
    body = memoryview(block)[len(PREFIX) if block.startswith(PREFIX) else 0 :]
    try:
        order = byte_order(bytes(body[:8]))
        (first,) = struct.unpack_from(order + "I", body, 4)
        (count,) = struct.unpack_from(order + "H", body, first)
        for offset in range(first + 2, first + 2 + 12 * count, 12):
            tag, value_type = struct.unpack_from(order + "HH", body, offset)
            if tag == ORIENTATION and value_type in (3, 4):
                value: int = struct.unpack_from(order + ("H" if value_type == 3 else "I"), body, offset + 8)[0]
                return value if 1 <= value <= 8 else 1
    except (struct.error, ValueError):
        pass
    return None


def is_sane(block: bytes) -> bool:
    """Whether the values of the main directory are not much larger than the block, so that Pillow may copy them."""
    body = block.removeprefix(PREFIX)
    try:
        order = byte_order(block)
        (first,) = struct.unpack_from(order + "I", body, 4)
        return value_bytes(body, order, first) <= 2 * len(body) + 4096
    except (struct.error, ValueError):
        return True  # no decoder reads it, either


def value_bytes(stream: bytes, order: str, start: int, big: bool = False) -> int:
    """Sum of the sizes of the values of the directory at `start`, as far as they lie in the stream.

    Args:
        stream: the TIFF stream.
        order: byte order, for `struct`.
        start: offset of the directory.
        big: it is a BigTIFF.
    """
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), stream, start)
    first, step, numbers = (start + 8, 20, "HHQQ") if big else (start + 2, 12, "HHII")
    total = 0
    for offset in range(first, min(first + step * count, len(stream) - step + 1), step):
        _, value_type, value_count, value_offset = struct.unpack_from(order + numbers, stream, offset)
        size = _SIZES.get(value_type, 0) * value_count
        if size > (8 if big else 4):
            total += max(0, min(size, len(stream) - value_offset))
    return total


class _Spans:
    """The parts of a stream that were read; each byte may be part of one value only."""

    def __init__(self, size: int) -> None:
        self.free = min(size, MAX_BYTES)
        """Bytes that may still be read."""
        self.starts: list[int] = []
        self.ends: list[int] = []

    def take(self, start: int, size: int) -> bool:
        """Whether these bytes were not read before and do not exceed the limit; from now on they count as read."""
        at = bisect(self.starts, start)
        before = at > 0 and self.ends[at - 1] > start
        after = at < len(self.starts) and self.starts[at] < start + size
        if size > self.free or before or after:
            return False
        self.free -= size
        self.starts.insert(at, start)
        self.ends.insert(at, start + size)
        return True


def _description(stream: bytes, order: str) -> tuple[_Directory, dict[int, _Directory]]:
    """The descriptive tags of a TIFF stream: entries of the main directory, and the nested directories."""
    (first,) = struct.unpack_from(order + "I", stream, 4)
    spans = _Spans(len(stream))
    entries = _directory(stream, order, first, spans, (*_DESCRIPTIVE, *NESTED))
    nested = {}
    for tag in NESTED:
        if tag in entries:
            (start,) = struct.unpack(order + "I", entries[tag].payload)
            nested[tag] = _directory(stream, order, start, spans)
            nested[tag].pop(_INTEROPERABILITY, None)
    return {tag: entries[tag] for tag in _DESCRIPTIVE if tag in entries}, nested


def _directory(
    stream: bytes, order: str, start: int, spans: _Spans | None = None, tags: tuple[int, ...] | None = None
) -> _Directory:
    """The entries of the directory at `start`.

    Entries are ignored if they point outside the stream, or to bytes that were read before (`spans`; None: any bytes
    may be read), and if their tag is not among `tags`.

    Raises:
        ValueError: the directory has more than `MAX_ENTRIES` entries, or was read before.
    """
    (count,) = struct.unpack_from(order + "H", stream, start)
    if spans is not None and (count > MAX_ENTRIES or not spans.take(start, 2 + 12 * count)):
        raise ValueError("a directory that overlaps with another one, or is too large")
    entries = {}
    for offset in range(start + 2, start + 2 + 12 * count, 12):
        tag, value_type, value_count = struct.unpack_from(order + "HHI", stream, offset)
        if (tags is not None and tag not in tags) or tag in entries:
            continue
        size = _SIZES.get(value_type, 0) * value_count
        value_offset = offset + 8
        if size > 4:
            (value_offset,) = struct.unpack_from(order + "I", stream, offset + 8)
        if not 0 < size <= len(stream) - value_offset:
            continue
        if size > 4 and spans is not None and not spans.take(value_offset, size):
            continue
        entries[tag] = _Entry(value_type, value_count, stream[value_offset : value_offset + size])
    return entries


def _assemble(order: str, start: int, main: _Directory, nested: dict[int, _Directory]) -> tuple[bytes, int]:
    """Serialise directories from the even offset `start`; returns the bytes and the offset of the main directory."""
    out, main = bytearray(), dict(main)
    for tag, entries in nested.items():
        main[tag] = _Entry(4, 1, struct.pack(order + "I", start + len(out)))
        out += _serialise(entries, order, start + len(out))
    return bytes(out) + _serialise(main, order, start + len(out)), start + len(out)


def _serialise(entries: _Directory, order: str, start: int) -> bytes:
    """One directory at offset `start`, followed by its values of more than 4 bytes; the length is even."""
    head = bytearray(struct.pack(order + "H", len(entries)))
    values = bytearray()
    values_offset = start + 2 + 12 * len(entries) + 4
    for tag, (value_type, value_count, payload) in sorted(entries.items()):
        head += struct.pack(order + "HHI", tag, value_type, value_count)
        if len(payload) <= 4:
            head += payload.ljust(4, b"\x00")
        else:
            head += struct.pack(order + "I", values_offset + len(values))
            values += payload + bytes(len(payload) % 2)
    return bytes(head + bytes(4) + values)
