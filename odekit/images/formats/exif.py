"""EXIF: which way up a picture is, and the block that goes back into the file.

The block is carried byte for byte (maker notes hold offsets that a rewrite would break), with two changes: the
orientation is reset, since the pixels are upright, and the preview is unlinked, since it shows the picture before
restoration. TIFF is the exception: there EXIF shares its directory with the layout of the file, so the tags that
describe the picture are moved, their values untouched. Layout of directories: TIFF 6.0, section 2.
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
"""A pointer inside the EXIF directory that says nothing of the picture."""
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of a value by its TIFF type."""

_Scalar = TypeVar("_Scalar", bound=np.generic)


class _Entry(NamedTuple):
    kind: int
    number: int
    payload: bytes


_Directory: TypeAlias = dict[int, _Entry]


def turn_upright(planes: NDArray[_Scalar], orientation: int) -> NDArray[_Scalar]:
    """An array (..., H, W) as stored in the file, turned the way EXIF tag 0x0112 says it is to be shown.

    `orientation` is 1 to 8 (EXIF 2.32, section 4.6.4); 5 to 8 exchange height and width. Anything else counts as 1.
    """
    if orientation in (5, 6, 7, 8):
        planes = planes.swapaxes(-1, -2)
    if orientation in (2, 3, 6, 7):
        planes = planes[..., :, ::-1]
    if orientation in (3, 4, 7, 8):
        planes = planes[..., ::-1, :]
    return np.ascontiguousarray(planes)


def byte_order(block: bytes) -> str:
    """The struct sign of a TIFF stream: '<' or '>'.

    Raises:
        ValueError: it is not a (classic) TIFF stream.
    """
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(block.removeprefix(PREFIX)[:4])
    if order is None:
        raise ValueError("not a TIFF stream")
    return order


def carried(block: bytes) -> bytes | None:
    """The EXIF block to keep: orientation 1, preview unlinked, all else untouched. None where it is not EXIF."""
    body = bytearray(block.removeprefix(PREFIX))
    try:
        order = byte_order(block)
        (first,) = struct.unpack_from(order + "I", body, 4)
        (count,) = struct.unpack_from(order + "H", body, first)
        for place in range(first + 2, first + 2 + 12 * count, 12):
            if struct.unpack_from(order + "HH", body, place) == (ORIENTATION, 3):
                struct.pack_into(order + "H", body, place + 8, 1)
        struct.pack_into(order + "I", body, first + 2 + 12 * count, 0)
    except (struct.error, ValueError):
        return None
    return PREFIX + bytes(body)


def carried_from_tiff(file: bytes) -> bytes | None:
    """An EXIF block of what a TIFF file says of its picture; None where it says nothing, or is damaged."""
    try:
        order = byte_order(file)
        main, nested = _description(file, order)
    except (struct.error, ValueError, KeyError):
        return None
    if not main and not nested:
        return None
    body, first = _assemble(order, 8, main, nested)
    return PREFIX + struct.pack(order + "2sHI", file[:2], 42, first) + body


def with_exif(tiff: bytes, block: bytes) -> bytes:
    """A TIFF file with the description in an EXIF block added; both have one byte order. A damaged block is left out.

    The file's directory is written anew at its end, where it has room; nothing else moves.
    """
    try:
        order = byte_order(tiff)
        main, nested = _description(block.removeprefix(PREFIX), order)
    except (struct.error, ValueError, KeyError):
        return tiff
    (first,) = struct.unpack_from(order + "I", tiff, 4)
    start = len(tiff) + len(tiff) % 2
    body, place = _assemble(order, start, main | _directory(tiff, order, first), nested)
    return tiff[:4] + struct.pack(order + "I", place) + tiff[8:].ljust(start - 8, b"\x00") + body


def _description(stream: bytes, order: str) -> tuple[_Directory, dict[int, _Directory]]:
    """What a TIFF stream says of its picture: entries of the main directory, and the nested directories."""
    (first,) = struct.unpack_from(order + "I", stream, 4)
    whole = _directory(stream, order, first)
    nested = {}
    for tag in _NESTED:
        if tag in whole:
            (start,) = struct.unpack(order + "I", whole[tag].payload)
            nested[tag] = _directory(stream, order, start)
            nested[tag].pop(_INTEROPERABILITY, None)
    return {tag: whole[tag] for tag in _DESCRIPTIVE if tag in whole}, nested


def _directory(stream: bytes, order: str, start: int) -> _Directory:
    """The entries of the directory at `start`; those that point outside of the stream are left out."""
    (count,) = struct.unpack_from(order + "H", stream, start)
    entries = {}
    for place in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, number = struct.unpack_from(order + "HHI", stream, place)
        size = _SIZES.get(kind, 0) * number
        if size > 4:
            (place,) = struct.unpack_from(order + "I", stream, place + 8)
        else:
            place += 8
        if 0 < size <= len(stream) - place:
            entries[tag] = _Entry(kind, number, stream[place : place + size])
    return entries


def _assemble(order: str, start: int, main: _Directory, nested: dict[int, _Directory]) -> tuple[bytes, int]:
    """Directories laid out from offset `start` (even), and where the main one begins."""
    out, main = bytearray(), dict(main)
    for tag, entries in nested.items():
        main[tag] = _Entry(4, 1, struct.pack(order + "I", start + len(out)))
        out += _packed(entries, order, start + len(out))
    return bytes(out) + _packed(main, order, start + len(out)), start + len(out)


def _packed(entries: _Directory, order: str, start: int) -> bytes:
    """One directory at offset `start`, its longer values behind it; of even length."""
    head = bytearray(struct.pack(order + "H", len(entries)))
    values = bytearray()
    behind = start + 2 + 12 * len(entries) + 4
    for tag, (kind, number, payload) in sorted(entries.items()):
        head += struct.pack(order + "HHI", tag, kind, number)
        if len(payload) <= 4:
            head += payload.ljust(4, b"\x00")
        else:
            head += struct.pack(order + "I", behind + len(values))
            values += payload + bytes(len(payload) % 2)
    return bytes(head + bytes(4) + values)
