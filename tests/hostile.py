"""Hostile files: sound pictures of every format, mutated, and bombs. Also the process that reads them under a limit."""

from __future__ import annotations

import io
import json
import resource
import struct
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageCms

MEGAPIXELS = 4.0
MEMORY = 1_500_000_000
"""Address space in bytes beyond what the reading process has when it starts."""
SECONDS = 5.0
HEIC = Path(__file__).parent / "data" / "heic"


def sound():
    """(name, bytes) of small sound pictures of every format and many of its kinds."""
    rng = np.random.Generator(np.random.Philox(3))
    colour = PIL.Image.fromarray(rng.integers(0, 256, (24, 20, 3), dtype=np.uint8))
    smooth = colour.resize((40, 48), PIL.Image.Resampling.BICUBIC)
    exif = PIL.Image.Exif()
    exif[0x010E], exif[0x0112] = "a picture", 6
    icc = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    clear = smooth.copy()
    clear.putalpha(smooth.convert("L"))
    deep = rng.integers(0, 65536, (16, 18), dtype=np.uint16)
    kinds = {
        "rgb.png": (smooth, {"exif": exif, "icc_profile": icc, "dpi": (300, 300)}),
        "alpha.png": (clear, {}),
        "palette.png": (smooth.quantize(16), {"transparency": 3}),
        "bits.png": (smooth.convert("1"), {}),
        "deep.png": (PIL.Image.fromarray(deep), {}),
        "rgb.jpg": (smooth, {"exif": exif, "icc_profile": icc, "quality": 80}),
        "progressive.jpg": (smooth, {"progressive": True}),
        "grey.jpg": (smooth.convert("L"), {}),
        "cmyk.jpg": (smooth.convert("CMYK"), {}),
        "lossy.webp": (smooth, {"exif": exif}),
        "lossless.webp": (clear, {"lossless": True}),
        "rgb.bmp": (smooth, {}),
        "palette.bmp": (smooth.quantize(8), {}),
        "raw.tif": (smooth, {"exif": exif}),
        "deflate.tif": (clear, {"compression": "tiff_adobe_deflate"}),
        "lzw.tif": (smooth, {"compression": "tiff_lzw"}),
        "jpeg.tif": (smooth, {"compression": "jpeg"}),
        "fax.tif": (smooth.convert("1"), {"compression": "group4"}),
        "deep.tif": (PIL.Image.fromarray(deep), {}),
        "packbits.tif": (smooth.quantize(16), {"compression": "packbits"}),
        "palette.gif": (smooth.quantize(16), {"transparency": 3}),
        "film.gif": (smooth, {"save_all": True, "append_images": [colour.resize((40, 48))]}),
        "rgb.avif": (smooth, {"exif": exif, "icc_profile": icc, "speed": 10}),
        "alpha.avif": (clear, {"speed": 10}),
    }
    formats = {"jpg": "JPEG", "tif": "TIFF"}
    found = {}
    for name, (picture, options) in kinds.items():
        buffer, ending = io.BytesIO(), name.rpartition(".")[2]
        picture.save(buffer, formats.get(ending, ending.upper()), **options)
        found[name] = buffer.getvalue()
    return found | {path.name: path.read_bytes() for path in sorted(HEIC.glob("*.heic"))}


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """One of: bytes flipped, extreme numbers written, a piece cut, doubled, moved or replaced, the end cut off."""
    raw = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(0, max(1, len(raw) if rng.random() < 0.5 else min(len(raw), 128))))
        piece = int(rng.integers(1, 33))
        match int(rng.integers(0, 8)):
            case 0:
                raw[at : at + 1] = bytes([int(rng.integers(0, 256))])
            case 1:
                raw[at : at + 4] = struct.pack("<I", int(rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x10000])))
            case 2:
                raw[at : at + 4] = struct.pack(">I", int(rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x10000])))
            case 3:
                raw[at : at + 2] = struct.pack("<H", int(rng.choice([0, 1, 0x7FFF, 0xFFFF])))
            case 4:
                del raw[at : at + piece]
            case 5:
                raw[at:at] = raw[at : at + piece] * int(rng.integers(1, 5))
            case 6:
                raw[at : at + piece] = rng.bytes(piece)
            case _:
                del raw[at:]
    return bytes(raw)


def bombs():
    """(name, bytes): little files that promise or hold much."""
    nothing = zlib.compress(bytes(200_000_000), 9)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def png(width, height, *chunks, bits=8):
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0))
        return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IEND", b"")

    row = zlib.compress(bytes((1 + 3 * 8) * 8))
    frames = [PIL.Image.fromarray(np.full((2, 2, 3), i % 256, np.uint8)) for i in range(1000)]

    def film(form, count=1000, **options):
        buffer = io.BytesIO()
        frames[0].save(buffer, form, save_all=True, append_images=frames[1:count], **options)
        return buffer.getvalue()

    def tiff(width, height, strip):
        entries = [
            (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 122),
            (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, len(strip)),
        ]  # fmt: skip
        directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *e) for e in entries)
        return b"II*\x00" + struct.pack("<I", 8) + directory + struct.pack("<I", 0) + strip

    jpeg = sound()["rgb.jpg"]
    pages = struct.pack("<H", 1) + struct.pack("<HHII", 256, 4, 1, 1)
    circle = b"II*\x00" + struct.pack("<I", 8) + pages + struct.pack("<I", 8)
    chain = b"II*\x00" + b"".join(struct.pack("<I", 8 + 18 * i) + pages for i in range(10_000)) + bytes(4)
    found = {
        "wide.png": png(2**31 - 1, 2**31 - 1, chunk(b"IDAT", nothing)),
        "square.png": png(60_000, 60_000, chunk(b"IDAT", nothing)),
        "deep.png": png(60_000, 60_000, chunk(b"IDAT", nothing), bits=16),
        "more-than-it-says.png": png(8, 8, chunk(b"IDAT", nothing)),
        "more-than-it-says-deep.png": png(8, 8, chunk(b"IDAT", nothing), bits=16),
        "icc.png": png(8, 8, chunk(b"iCCP", b"x\x00\x00" + nothing), chunk(b"IDAT", row)),
        "text.png": png(8, 8, chunk(b"zTXt", b"x\x00\x00" + nothing), chunk(b"IDAT", row)),
        "texts.png": png(8, 8, *[chunk(b"tEXt", b"k\x00" + b"x" * 1000)] * 50_000, chunk(b"IDAT", row)),
        "exif.png": png(8, 8, chunk(b"eXIf", bytes(50_000_000)), chunk(b"IDAT", row)),
        "deflate.tif": tiff(50_000, 50_000, nothing),
        "more-than-it-says.tif": tiff(8, 8, nothing),
        "circle.tif": circle,
        "ten-thousand-pages.tif": chain,
        "film.png": film("PNG", duration=10),
        "film.webp": film("WEBP", count=300, duration=10),
        "film.gif": film("GIF", duration=10),
        "film.tif": film("TIFF"),
        "icc.jpg": jpeg[:2] + b"".join(
            b"\xff\xe2" + struct.pack(">H", 65535) + b"ICC_PROFILE\x00" + bytes([i, 255]) + bytes(65519)
            for i in range(1, 256)
        ) + jpeg[2:],
        "canvas.webp": b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\x10\0\0\0" + b"\xff" * 6,
        "huge.bmp": b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 2**31 - 1, -(2**31) + 1, 1, 24, 0, 0, 0, 0, 0, 0),
        "rle.bmp": b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 40_000, 40_000, 1, 8, 1, 0, 0, 0, 0, 0) + b"\xff\x00" * 50_000,
    }  # fmt: skip
    return found


def read_all(folder: Path) -> list[dict[str, object]]:
    """What `odekit.read` makes of each file there: a picture, a refusal, or something that must not be.

    Each file is read twice, the second time with its readable part salvaged; the worse outcome counts. The seconds are
    those of the processor, so that another program on the machine does not fail the test.
    """
    from odekit import errors
    from odekit.images.io import read

    rows = []
    for path in sorted(folder.iterdir()):
        began = time.process_time()
        said = ""
        for salvage in (False, True):
            try:
                image = read(path, max_megapixels=MEGAPIXELS, salvage_truncated=salvage)
                now = "picture" if np.isfinite(image.pixels).all() else "not finite"
            except errors.InputError as error:
                now = "refused" if "\n" not in str(error) and path.name in str(error) else f"badly said: {error}"
            except BaseException as error:
                now = f"{type(error).__name__}: {error}"
            said = now if said in ("", "picture") or now not in ("picture", "refused") else said
        rows.append({"name": path.name, "said": said, "seconds": time.process_time() - began})
    return rows


if __name__ == "__main__":
    import odekit.images.io  # noqa: F401

    if sys.platform == "linux":
        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))
    sys.stdout.write(json.dumps(read_all(Path(sys.argv[1]))))
