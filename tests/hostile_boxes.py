"""HEIF and AVIF files with more items in their boxes than they had."""

from __future__ import annotations

import struct


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I", 8 + len(body)) + kind + body


def in_boxes(data: bytes, exif: bytes, extents: int, copies: int) -> bytes:
    """A HEIF or AVIF with `copies` more EXIF items, each of `extents` pieces that all name the same bytes.

    The boxes are rewritten: the new items are listed in `iinf` and `iloc`, and refer to the first picture (`iref`).
    """
    top = [(kind, data[start:end]) for kind, start, end in boxes(data)]
    meta = dict(top)[b"meta"]
    inner = [(kind, meta[start:end]) for kind, start, end in boxes(meta, 4)]
    payload = b"\0\0\0\0" + exif
    numbers = range(1000, 1000 + copies)
    before = len(b"".join(box(kind, body) for kind, body in top))

    def rebuilt(place: int, shift: int) -> list[bytes]:
        out = []
        for kind, body in inner:
            if kind == b"iinf":
                wide = body[0] > 0
                (count,) = struct.unpack_from(">I" if wide else ">H", body, 4)
                more = b"".join(box(b"infe", b"\2\0\0\0", struct.pack(">HH4s", n, 0, b"Exif"), b"\0") for n in numbers)
                body = body[:4] + struct.pack(">I" if wide else ">H", count + copies) + body[8 if wide else 6 :] + more
            elif kind == b"iloc" and body[0] == 0 and body[4] == 0x44:
                body = shifted(body, shift)
                (count,) = struct.unpack_from(">H", body, 6)
                base = bytes(body[5] >> 4)
                piece = struct.pack(">II", place, len(payload))
                more = b"".join(
                    struct.pack(">HH", n, 0) + base + struct.pack(">H", extents) + piece * extents for n in numbers
                )
                body = body[:6] + struct.pack(">H", count + copies) + body[8:] + more
            elif kind == b"iref":
                body += b"".join(box(b"cdsc", struct.pack(">HHH", n, 1, 1)) for n in numbers)
            out.append(box(kind, body))
        if b"iref" not in dict(inner):
            out.append(box(b"iref", bytes(4), *(box(b"cdsc", struct.pack(">HHH", n, 1, 1)) for n in numbers)))
        return out

    longer = len(b"".join(rebuilt(0, 0))) + 4 - len(meta)
    place = before + longer + 8
    parts = [box(kind, meta[:4], *rebuilt(place, longer)) if kind == b"meta" else box(kind, body) for kind, body in top]
    return b"".join(parts) + box(b"mdat", payload)


def shifted(iloc: bytes, shift: int) -> bytes:
    """The extents of an item location box (version 0, 4-byte offsets) moved by `shift` bytes."""
    out, base = bytearray(iloc), iloc[5] >> 4
    at = 8
    for _ in range(struct.unpack_from(">H", iloc, 6)[0]):
        (count,) = struct.unpack_from(">H", iloc, at + 4 + base)
        at += 6 + base
        for _ in range(count):
            struct.pack_into(">I", out, at, struct.unpack_from(">I", iloc, at)[0] + shift)
            at += 8
    return bytes(out)


def boxes(data: bytes, start: int = 0) -> list[tuple[bytes, int, int]]:
    found = []
    while start + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, start)
        found.append((kind, start + 8, start + size))
        start += size
    return found
