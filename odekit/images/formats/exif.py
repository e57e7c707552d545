"""EXIF: the orientation of an image, and the block that is written back to the file.

The block is copied byte for byte (maker notes hold offsets that a rewrite would break), with two changes: the
orientation is reset, because the pixels are upright, and the preview is unlinked, because it shows the image before
restoration. In TIFF, EXIF shares its directory with the layout of the file, so only the tags that describe the image
are copied, with their values unchanged. Layout of directories: TIFF 6.0, section 2.
"""

from __future__ import annotations

import struct
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

ORIENTATION = 0x0112
PREFIX = b"Exif\x00\x00"

_DESCRIPTIVE = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
"""ImageDescription, Make, Model, Software, DateTime, Artist, Copyright."""
_NESTED = (0x8769, 0x8825)
"""Pointers to the EXIF and the GPS directory."""
_INTEROPERABILITY = 0xA005
"""A pointer inside the EXIF directory that does not describe the image."""
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Size in bytes of one value, by TIFF type."""

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
    """The EXIF block to write: orientation 1, preview unlinked, otherwise unchanged. None if it is not EXIF."""
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


def _description(stream: bytes, order: str) -> tuple[_Directory, dict[int, _Directory]]:
    """The descriptive tags of a TIFF stream: entries of the main directory, and the nested directories."""
    (first,) = struct.unpack_from(order + "I", stream, 4)
    entries = _directory(stream, order, first)
    nested = {}
    for tag in _NESTED:
        if tag in entries:
            (start,) = struct.unpack(order + "I", entries[tag].payload)
            nested[tag] = _directory(stream, order, start)
            nested[tag].pop(_INTEROPERABILITY, None)
    return {tag: entries[tag] for tag in _DESCRIPTIVE if tag in entries}, nested


def _directory(stream: bytes, order: str, start: int) -> _Directory:
    """The entries of the directory at `start`; entries that point outside the stream are ignored."""
    (count,) = struct.unpack_from(order + "H", stream, start)
    entries = {}
    for offset in range(start + 2, start + 2 + 12 * count, 12):
        tag, value_type, value_count = struct.unpack_from(order + "HHI", stream, offset)
        size = _SIZES.get(value_type, 0) * value_count
        if size > 4:
            (value_offset,) = struct.unpack_from(order + "I", stream, offset + 8)
        else:
            value_offset = offset + 8
        if 0 < size <= len(stream) - value_offset:
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
