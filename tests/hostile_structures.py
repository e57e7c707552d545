"""Bombs: files whose directories, markers, chunks, blocks or boxes cost a decoder much more than their bytes.

`bomb(name, rng)` makes one of a kind, of a size and arrangement that the generator draws; `KINDS` lists the kinds, some
for each format that is read. Most are of some kilobytes, so that thousands can be tried; `large` makes the few of tens of
megabytes at which the cost of each piece shows.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import hostile
import numpy as np
import PIL.Image
from hostile_boxes import box, boxes, in_boxes

Rng = np.random.Generator


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def saved(form: str, side: int = 8, mode: str = "RGB", **options: object) -> bytes:
    rng = np.random.Generator(np.random.Philox(1))
    picture = PIL.Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).convert(mode)
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


JPEG, PROGRESSIVE = saved("JPEG"), saved("JPEG", 64, progressive=True)
PNG, DEEP = saved("PNG"), hostile.sound()["deep.png"]
GIF, WEBP, AVIF = saved("GIF"), saved("WEBP"), hostile.sound()["rgb.avif"]
HEIC = next(iter(sorted(hostile.HEIC.glob("several*.heic")))).read_bytes()


def directory(entries: list[tuple[int, int, int, int]], order: str = "<", following: int = 0) -> bytes:
    """A TIFF directory of (tag, type, count, value)."""
    body = b"".join(struct.pack(order + "HHII", *entry) for entry in entries)
    return struct.pack(order + "H", len(entries)) + body + struct.pack(order + "I", following)


def overlapping(
    entries: int, payload: int, start: int, first: int = 1000
) -> tuple[list[tuple[int, int, int, int]], int]:
    """Entries that all name the same `payload` bytes behind a directory of them at `start`."""
    place = start + 2 + 12 * entries + 4
    return [(first + i, 7, payload, place) for i in range(entries)], place


def exif_block(rng: Rng, entries: int, payload: int, nested: bool) -> bytes:
    """EXIF whose entries overlap, in the main directory or in a nested one."""
    head = b"II*\x00" + struct.pack("<I", 8)
    if not nested:
        found, _ = overlapping(entries, payload, 8)
        orientation = (0x0112, 3, 1, int(rng.integers(0, 10)))
        return head + directory(sorted([orientation, *found[1:]])) + bytes(payload)
    start = 8 + 2 + 2 * 12 + 4
    found, _ = overlapping(entries, payload, start)
    return head + directory([(0x8769, 4, 1, start), (0x8825, 4, 1, start)]) + directory(found) + bytes(payload)


def tiff(rng: Rng, entries: int, payload: int, place: str) -> bytes:
    """A sound TIFF of 8 x 8 with overlapping entries: in its `main` directory, the `nested` one, or those of `pages`."""
    pixels = bytes(64)
    base = [
        (256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1),
        (278, 4, 1, 8), (279, 4, 1, 64),
    ]  # fmt: skip
    start = 8 + len(pixels)
    if place == "main":
        names = [0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298, *range(1000, 1000 + entries)][:entries]
        behind = start + 2 + 12 * (len(base) + entries) + 4
        own = sorted([*base, *((tag, 2, payload, behind) for tag in names)])
        return b"II*\x00" + struct.pack("<I", start) + pixels + directory(own) + bytes(payload)
    if place == "nested":
        second = start + 2 + 12 * (len(base) + 2) + 4
        found, _ = overlapping(entries, payload, second)
        own = [*base, (0x8769, 4, 1, second), (0x8825, 4, 1, second)]
        return b"II*\x00" + struct.pack("<I", start) + pixels + directory(own) + directory(found) + bytes(payload)
    after = start + 2 + 12 * len(base) + 4
    size = 2 + 12 * 4 + 4
    pages = int(rng.integers(2, 2000))
    blocks = [
        directory([(256, 4, 1, 1), (257, 4, 1, 1), *((1000 + k, 7, payload, after + pages * size) for k in range(2))],
                  following=after + (i + 1) * size if i + 1 < pages else int(rng.choice([0, after])))
        for i in range(pages)
    ]  # fmt: skip
    return (
        b"II*\x00"
        + struct.pack("<I", start)
        + pixels
        + directory(base, following=after)
        + b"".join(blocks)
        + bytes(payload)
    )


def _count(rng: Rng, most: int) -> int:
    """A number up to `most`, small ones as likely as large ones."""
    return int(np.exp(rng.uniform(0, np.log(most))))


def jpeg_markers(rng: Rng, most: int) -> bytes:
    marker = bytes(
        [0xFF, int(rng.choice([0xE0, 0xE1, 0xE2, 0xE5, 0xED, 0xEE, 0xEF, 0xFE, 0xDB, 0xC4, 0xDD, 0xD8, 0xFF, 0x00]))]
    )
    content = struct.pack(">H", 2 + (size := int(rng.integers(0, 6)))) + bytes(size)
    return JPEG[:2] + (marker + content) * _count(rng, most) + JPEG[2:]


def jpeg_exif(rng: Rng, most: int) -> bytes:
    """Overlapping entries, cut into as many segments as it takes."""
    block = exif_block(rng, min(64_000, _count(rng, most)), _count(rng, 60 * most), bool(rng.integers(0, 2)))
    pieces = [block[i : i + 65_000] for i in range(0, len(block), 65_000)] * int(rng.integers(1, 3))
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(piece) + 8) + b"Exif\0\0" + piece for piece in pieces)
    jfif = JPEG[2:20] if rng.integers(0, 2) else b""
    return JPEG[:2] + jfif + segments + JPEG[20:]


def jpeg_exif_segments(rng: Rng, most: int) -> bytes:
    piece = b"\xff\xe1" + struct.pack(">H", 8 + (size := int(rng.choice([0, 100, 4000])))) + b"Exif\0\0" + bytes(size)
    return JPEG[:2] + piece * _count(rng, most // 8) + JPEG[2:]


def jpeg_scans(rng: Rng, most: int) -> bytes:
    """Scans of a progressive JPEG, repeated."""
    found = PROGRESSIVE.rfind(b"\xff\xda")
    return PROGRESSIVE[:-2] + PROGRESSIVE[found:-2] * _count(rng, most // 8) + b"\xff\xd9"


def jpeg_icc(rng: Rng, most: int) -> bytes:
    """A profile of which all tags name the same bytes."""
    tags = int(rng.integers(1, 300))
    size = 132 + 12 * tags + _count(rng, 60 * most)
    names = [
        b"rXYZ",
        b"gXYZ",
        b"bXYZ",
        b"rTRC",
        b"gTRC",
        b"bTRC",
        b"kTRC",
        b"A2B0",
        *(f"{i:04d}".encode() for i in range(300)),
    ]
    head = struct.pack(">I", size) + bytes(8) + b"mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(88)
    table = struct.pack(">I", tags) + b"".join(name + struct.pack(">II", 132, size - 132) for name in names[:tags])
    profile = (head + table).ljust(size, b"\0")
    pieces = [profile[i : i + 65_000] for i in range(0, len(profile), 65_000)][:255]
    return JPEG[:2] + b"".join(
        b"\xff\xe2" + struct.pack(">H", len(piece) + 16) + b"ICC_PROFILE\0" + bytes([i, len(pieces)]) + piece
        for i, piece in enumerate(pieces, 1)
    ) + JPEG[2:]  # fmt: skip


def png_chunks(rng: Rng, most: int) -> bytes:
    base = PNG if rng.integers(0, 2) else DEEP
    kind = [b"abCd", b"tEXt", b"zTXt", b"iTXt", b"IDAT", b"fdAT", b"fcTL", b"eXIf", b"iCCP", b"pHYs", b"tIME", b"tRNS"][
        int(rng.integers(0, 12))
    ]
    content = b"k\0" + bytes(int(rng.integers(0, 20))) if rng.integers(0, 2) else b""
    many = chunk(kind, content) * _count(rng, most)
    return base[:33] + many + base[33:] if rng.integers(0, 2) else base[:-12] + many + base[-12:]


def png_profiles(rng: Rng, most: int) -> bytes:
    packed = chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(1 << 20), 9))
    return PNG[:33] + packed * _count(rng, max(8, most // 64)) + PNG[33:]


def png_exif(rng: Rng, most: int) -> bytes:
    block = exif_block(rng, min(64_000, _count(rng, most)), _count(rng, 60 * most), bool(rng.integers(0, 2)))
    if rng.integers(0, 2):
        return PNG[:33] + chunk(b"eXIf", block) + PNG[33:]
    raw = b"\nexif\n" + str(len(block)).encode() + b"\n" + block.hex().encode()
    return PNG[:33] + chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw)) + PNG[33:]


def gif_blocks(rng: Rng, most: int) -> bytes:
    """Extensions, comments, or junk before the image; or its data in pieces of one byte."""
    place = GIF.index(b"\x2c", 13 + 3 * (2 << (GIF[10] & 7)))
    count = _count(rng, most)
    block = [
        b"\x21\xfe\x01x\0", b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0", b"\x21\xf9\x04\0\0\0\0\0", b"\x21\xfe\0", b"\x99",
        b"\x21\xfe" + b"\x01x" * count + b"\0",
    ][int(rng.integers(0, 6))]  # fmt: skip
    many = block * (1 if len(block) > 40 else count)
    if rng.integers(0, 2):
        return GIF[:place] + many + GIF[place:]
    return GIF[: place + 11] + b"\x01\x80" * count + GIF[place + 11 :]


def webp_chunks(rng: Rng, most: int) -> bytes:
    kind = [b"abcd", b"EXIF", b"XMP ", b"ICCP", b"ANMF", b"ALPH"][int(rng.integers(0, 6))]
    block = exif_block(rng, _count(rng, 2000), _count(rng, 60_000), False) if kind == b"EXIF" else b""
    many = (kind + struct.pack("<I", len(block)) + block + bytes(len(block) % 2)) * (1 if block else _count(rng, most))
    flags = (
        b"VP8X" + struct.pack("<I", 10) + bytes([int(rng.choice([0, 2, 4, 8, 44]))]) + bytes(3) + bytes([7, 0, 0]) * 2
    )
    body = b"WEBP" + flags + WEBP[12:] + many
    return b"RIFF" + struct.pack("<I", len(body)) + body


def bmp_runs(rng: Rng, most: int) -> bytes:
    """Run lengths that advance nowhere, or one pixel at a time."""
    width, height = (int(side) for side in rng.choice([8, 300, 2000], 2))
    run = [b"\x00\x02\x00\x00", b"\x00\x02\x01\x00", b"\x01\x05", b"\x00\x00", b"\x00\x03abc\0"][
        int(rng.integers(0, 5))
    ]
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, int(rng.choice([1, 1, 2])), 0, 0, 0, 256, 0)
    data = head + bytes(1024) + run * _count(rng, most)
    return b"BM" + struct.pack("<IHHI", 14 + len(data), 0, 0, 14 + 40 + 1024) + data


def tiff_directories(rng: Rng, most: int) -> bytes:
    place = str(rng.choice(["main", "nested", "pages"]))
    return tiff(rng, min(64_000, _count(rng, most)), _count(rng, 60 * most), place)


def video_exif(rng: Rng, most: int) -> bytes:
    exif = exif_block(rng, min(64_000, _count(rng, most)), _count(rng, 60 * most), False)
    base = AVIF if rng.integers(0, 2) else HEIC
    return in_boxes(base, exif, int(rng.choice([1, 1, 1, 2, 30, 3000])), int(rng.choice([1, 1, 2, 40, 900])))


def video_boxes(rng: Rng, most: int) -> bytes:
    """Many small boxes, at the end or among those that describe the pictures."""
    base = AVIF if rng.integers(0, 2) else HEIC
    many = box([b"free", b"abcd", b"meta", b"moov", b"uuid"][int(rng.integers(0, 5))]) * _count(rng, most)
    _, (_, first, last) = boxes(base)[:2]
    if rng.integers(0, 2):
        return base + many
    return (
        base[: first - 8]
        + struct.pack(">I", last - first + 8 + len(many))
        + base[first - 4 : last]
        + many
        + base[last:]
    )


KINDS: dict[str, tuple[str, Callable[[Rng, int], bytes]]] = {
    "markers": ("jpg", jpeg_markers), "exif": ("jpg", jpeg_exif), "segments": ("jpg", jpeg_exif_segments),
    "scans": ("jpg", jpeg_scans), "icc": ("jpg", jpeg_icc), "chunks": ("png", png_chunks),
    "profiles": ("png", png_profiles), "exif-chunk": ("png", png_exif), "blocks": ("gif", gif_blocks),
    "riff": ("webp", webp_chunks), "runs": ("bmp", bmp_runs), "directories": ("tif", tiff_directories),
    "items": ("heic", video_exif), "boxes": ("heic", video_boxes),
}  # fmt: skip
"""Ending and generator of each kind; `items` and `boxes` make HEIC and AVIF alike."""


def bomb(name: str, rng: Rng, most: int = 4000) -> bytes:
    """A bomb of a kind, of up to about `most` pieces."""
    return KINDS[name][1](rng, most)


def large(scale: float = 1.0) -> dict[str, bytes]:
    """Bombs of tens of megabytes (times `scale`), one of each way to make a decoder count or copy."""

    def n(count: int) -> int:
        return int(scale * count)

    rng = np.random.Generator(np.random.Philox(5))
    wide = b"\xff\xe1" + struct.pack(">H", 65535) + b"Exif\0\0" + bytes(65527)
    return {
        "markers.jpg": JPEG[:2] + b"\xff\xe5\x00\x02" * n(5_000_000) + JPEG[2:],
        "padding.jpg": JPEG[:2] + b"\xff" * n(20_000_000) + JPEG[2:],
        "junk.jpg": JPEG[:2] + b"\x11" * n(20_000_000) + JPEG[2:],
        "segments.jpg": JPEG[:2] + wide * 800 + JPEG[2:],
        "exif.jpg": JPEG[:2] + b"".join(
            b"\xff\xe1" + struct.pack(">H", len(piece) + 8) + b"Exif\0\0" + piece
            for block in [exif_block(rng, 60_000, n(2_000_000), False)]
            for piece in (block[i : i + 65_000] for i in range(0, len(block), 65_000))
        ) + JPEG[2:],
        "scans.jpg": PROGRESSIVE[:-2] + PROGRESSIVE[PROGRESSIVE.rfind(b"\xff\xda") : -2] * n(30_000) + b"\xff\xd9",
        "chunks.png": PNG[:33] + chunk(b"abCd", b"") * n(1_500_000) + PNG[33:],
        "pieces.png": PNG[:33] + chunk(b"IDAT", b"") * n(1_500_000) + PNG[33:],
        "pieces-deep.png": DEEP[:33] + chunk(b"IDAT", b"") * n(1_500_000) + DEEP[33:],
        "profiles.png": PNG[:33] + chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(1 << 20), 9)) * n(10_000) + PNG[33:],
        "exif.png": PNG[:33] + chunk(b"eXIf", exif_block(rng, 60_000, n(20_000_000), False)) + PNG[33:],
        "comments.gif": GIF[:13] + bytes(3 * (2 << (GIF[10] & 7))) + b"\x21\xfe\x01x\0" * n(5_000_000) + b"\x2c",
        "junk.gif": GIF[:13] + bytes(3 * (2 << (GIF[10] & 7))) + b"\x99" * n(20_000_000),
        "exif.webp": (lambda body: b"RIFF" + struct.pack("<I", len(body)) + body)(
            b"WEBPVP8X" + struct.pack("<I", 10) + b"\x08\0\0\0" + bytes([7, 0, 0]) * 2 + WEBP[12:] + b"EXIF"
            + struct.pack("<I", len(block := exif_block(rng, 60_000, n(10_000_000), False))) + block
        ),
        "nowhere.bmp": b"BM" + struct.pack("<IHHI", 0, 0, 0, 1078)
        + struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, 8, 1, 0, 0, 0, 256, 0) + bytes(1024) + b"\x00\x02\x00\x00" * n(5_000_000),
        "nested.tif": tiff(rng, 60_000, n(1_000_000), "nested"),
        "main.tif": tiff(rng, 60_000, n(1_000_000), "main"),
        "pages.tif": tiff(rng, 0, n(20_000_000), "pages"),
        "exif.avif": in_boxes(AVIF, exif_block(rng, 60_000, n(1_000_000), False), 1, 1),
        "extents.avif": in_boxes(AVIF, bytes(1_000_000), n(30_000), 1),
        "items.heic": in_boxes(HEIC, bytes(2_000_000), 1, 900),
        "extents.heic": in_boxes(HEIC, bytes(1_000_000), n(30_000), 1),
    }  # fmt: skip
