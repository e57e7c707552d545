"""Refused files: the error is one line with the file, what is wrong and what to do, never a traceback."""

import io
import os
import struct
import warnings
import zlib

import numpy as np
import png
import pytest
import tifffile
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image as Pil

import odekit.images.io
from odekit.core.image import Image, Metadata
from odekit.errors import InputError
from odekit.images.formats.encode import encode
from odekit.images.io import read


def thin_png(width, depth=8, colour=2):
    """A PNG of one row, without its image data."""
    header = struct.pack(">IIBBBBB", width, 1, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
    body = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


@pytest.mark.parametrize(("width", "depth", "colour"), [(90_000_000, 8, 2), (68_000_000, 8, 6), (34_000_000, 16, 6)])
def test_a_row_that_is_too_long_for_the_decoders_is_no_lack_of_memory(width, depth, colour, tmp_path):
    path = tmp_path / "thin.png"
    path.write_bytes(thin_png(width, depth, colour))
    said = complaint(path)
    assert f"has rows of {width} pixels, and the decoders read at most 33000000; cut it into parts" in said


PICTURE = np.random.default_rng(3).integers(0, 256, (24, 40, 3), dtype=np.uint8)


def saved(format, array=PICTURE, **options):
    out = io.BytesIO()
    Pil.fromarray(array).save(out, format, **options)
    return out.getvalue()


def deep(format):
    pixels = (PICTURE.transpose(2, 0, 1) / np.float32(255)).astype(np.float32)
    return encode(Image(pixels, meta=Metadata(bits=16, exif=Pil.Exif().tobytes(), dpi=(72, 72))), format)


def tiff(array, **options):
    out = io.BytesIO()
    tifffile.imwrite(out, array, **options)
    return out.getvalue()


def frames(format):
    first, *rest = [Pil.fromarray(PICTURE // n) for n in (1, 2, 3)]
    out = io.BytesIO()
    first.save(out, format, save_all=True, append_images=rest)
    return out.getvalue()


def header(format, width, height):
    """A file whose header states width x height, without the data of such an image."""
    if format == "png":
        ihdr = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        chunk = struct.pack(">I", 13) + ihdr + struct.pack(">I", zlib.crc32(ihdr))
        return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 4) + b"IDAT????" + bytes(4)
    if format == "jpeg":
        data = bytearray(saved("JPEG"))
        struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, height, width)
    elif format == "bmp":
        data = bytearray(saved("BMP"))
        struct.pack_into("<ii", data, 18, width, height)
    elif format == "webp":
        canvas = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
        data = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + canvas
        return b"RIFF" + struct.pack("<I", len(data)) + data
    else:
        data = io.BytesIO(tiff(PICTURE, photometric="rgb"))
        with tifffile.TiffFile(data, mode="r+") as file:
            file.pages.first.tags["ImageWidth"].overwrite(width)
            file.pages.first.tags["ImageLength"].overwrite(height)
        data = data.getvalue()
    return bytes(data)


CASES = {
    "empty": (b"", "is empty (0 bytes); copy or export it again"),
    "text": (
        b"not a picture at all",
        "is not a picture; odekit reads PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF and HEIC, so",
    ),
    "pdf": (b"%PDF-1.7 ...", "is a PDF; odekit reads"),
    "photoshop": (b"8BPS\x00\x01", "is a Photoshop file; odekit reads"),
    "jpeg xl": (b"\xff\x0a" + bytes(50), "is a JPEG XL picture; odekit reads"),
    "jpeg 2000": (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "is a JPEG 2000 picture; odekit reads"),
    "mp4": (
        b"\x00\x00\x00\x18ftypisom" + bytes(50),
        "is a video; videos are not supported; use odekit video (odekit-video), or save a frame as a picture",
    ),
    "avi": (b"RIFF\x00\x00\x00\x00AVI LIST", "is a video; videos are not supported"),
    "mkv": (b"\x1aE\xdf\xa3" + bytes(20), "is a video; videos are not supported"),
    "cr2": (b"II*\x00\x10\x00\x00\x00CR\x02\x00", "is a camera raw file; develop it and save the picture as TIFF"),
    "cr3": (b"\x00\x00\x00\x18ftypcrx " + bytes(50), "is a camera raw file; develop it"),
    "heic header": (b"\x00\x00\x00\x18ftypheic" + bytes(50), "is damaged or incomplete"),
    "avif header": (b"\x00\x00\x00\x18ftypavif" + bytes(50), "is damaged or incomplete"),
    "gif header": (b"GIF89a", "is damaged or incomplete"),
    "float tiff": (
        tiff(PICTURE / np.float32(255), photometric="rgb"),
        "holds 32-bit floating-point samples; save it with",
    ),
    "half tiff": (
        tiff(PICTURE[..., 0].astype(np.float16)),
        "holds 16-bit floating-point samples; save it with 8 or 16",
    ),
    "int tiff": (tiff(PICTURE[..., 0].astype(np.uint32)), "holds 32-bit integer samples; save it with 8 or 16 bits"),
    "signed tiff": (tiff(PICTURE[..., 0].astype(np.int16)), "holds samples of an unusual kind; save it with 8 or 16"),
    "preview first": (tiff(PICTURE, photometric="rgb", subfiletype=1), "starts with a preview (a camera's raw file?)"),
    "lab tiff": (tiff(PICTURE, photometric="cielab"), "holds colours as LAB"),
    "png header": (saved("PNG")[:40], "is damaged or incomplete"),
    "signature only": (b"\x89PNG\r\n\x1a\n", "is damaged or incomplete"),
    "named bmp": (b"BMW is a maker of cars", "is damaged or incomplete"),
}


def complaint(path, **options):
    with pytest.raises(InputError) as caught:
        read(path, **options)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


@pytest.mark.parametrize(("data", "expected"), CASES.values(), ids=CASES)
def test_a_file_that_is_no_still_picture_gets_one_line(tmp_path, capfd, data, expected):
    path = tmp_path / "given.png"
    path.write_bytes(data)
    assert expected in complaint(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize(
    "kind",
    [
        "png",
        "jpeg",
        "webp",
        "tiff",
        "raw tiff",
        "bmp",
        "gif",
        "avif",
        "png 16",
        "tiff 16",
        "raw tiff 16",
        "tiff in tiles",
    ],
)
def test_a_truncated_file_gets_one_line(tmp_path, capfd, kind, share):
    wide = PICTURE.astype(np.uint16) * 257
    data = {
        "raw tiff": lambda: tiff(PICTURE, photometric="rgb"),
        "raw tiff 16": lambda: tiff(wide, photometric="rgb"),
        "tiff in tiles": lambda: tiff(PICTURE, photometric="rgb", tile=(16, 16)),
        "png 16": lambda: deep("png"),
        "tiff 16": lambda: deep("tiff"),
    }.get(kind, lambda: saved(kind.upper()))()
    path = tmp_path / "cut"
    path.write_bytes(data)
    assert read(path).width == 40
    path.write_bytes(data[: int(share * len(data))])
    assert "damaged or incomplete" in complaint(path)
    assert "copy or export it again" in complaint(path)
    assert ("or restore its readable part with --salvage" in complaint(path)) == (kind in ("jpeg", "png", "png 16"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "tiff", "bmp"])
def test_the_size_is_refused_by_the_header_alone(tmp_path, format):
    side = 16000 if format == "webp" else 40000
    path = tmp_path / "huge"
    path.write_bytes(header(format, side, side))
    text = complaint(path)
    assert f"has {side} x {side} pixels, {side * side / 1e6:.1f} megapixels, over the limit of 100;" in text
    assert "make it smaller or raise --max-megapixels" in text


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF"])
def test_the_limit_is_an_option_and_the_boundary_belongs_to_it(tmp_path, monkeypatch, format):
    path = tmp_path / "a"
    path.write_bytes(saved(format))  # 960 pixels
    assert read(path, max_megapixels=0.00096).width == 40
    monkeypatch.setattr(np, "asarray", None)  # nothing may be decoded
    assert "over the limit of 0.00095" in complaint(path, max_megapixels=0.00095)


@pytest.mark.parametrize("lossless", [False, True])
def test_the_size_of_both_kinds_of_webp_is_known_before_it_is_opened(tmp_path, monkeypatch, lossless):
    path = tmp_path / "a.webp"
    path.write_bytes(saved("WEBP", lossless=lossless))
    monkeypatch.setattr("odekit.images.formats.decode._OPENERS", {})
    assert complaint(path, max_megapixels=0.0009).startswith(
        "has 40 x 24 pixels, 0.0 megapixels, over the limit of 0.0009;"
    )


def test_a_file_too_large_for_any_such_picture_is_not_even_loaded(tmp_path):
    path = tmp_path / "sparse.tif"
    with path.open("wb") as file:
        file.truncate(2**28)
    assert "is larger than any picture of 1 megapixels; raise --max-megapixels" in complaint(path, max_megapixels=1)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP"])
def test_pillows_own_limit_neither_counts_nor_changes(tmp_path, monkeypatch, format):
    path = tmp_path / "a"
    path.write_bytes(saved(format))
    monkeypatch.setattr(Pil, "MAX_IMAGE_PIXELS", 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(path).width == 40
    assert Pil.MAX_IMAGE_PIXELS == 10


def test_places_that_are_no_files(tmp_path, monkeypatch):
    assert complaint(tmp_path / "нет.png") == "does not exist; check the name and the folder"
    assert complaint(tmp_path) == "is a folder, not a picture; name the pictures in it"
    assert "cannot be read (File name too long)" in complaint(tmp_path / ("x" * 300))
    assert "does not exist" in complaint(tmp_path / "a\0b")
    assert "is not a regular file" in complaint("/dev/zero")
    path = tmp_path / "secret.png"
    path.write_bytes(saved("PNG"))
    monkeypatch.setattr(os, "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "denied")))
    assert complaint(path) == "may not be read (permission denied); change its permissions"


@pytest.mark.parametrize("fault", [MemoryError, KeyboardInterrupt, SystemExit])
def test_what_is_not_the_files_fault_passes_through(tmp_path, monkeypatch, fault):
    path = tmp_path / "a.png"
    path.write_bytes(saved("PNG"))
    monkeypatch.setattr(odekit.images.io, "decode", lambda *_: (_ for _ in ()).throw(fault()))
    with pytest.raises(fault):
        read(path)


SAMPLES = [
    saved("PNG", exif=Pil.Exif().tobytes(), dpi=(72, 72)),
    saved("PNG", PICTURE[..., 0]),
    saved("JPEG"),
    saved("WEBP"),
    saved("BMP"),
    saved("GIF"),
    saved("AVIF", speed=10),
    saved("TIFF", compression="tiff_lzw"),
    tiff(PICTURE, photometric="rgb"),
    deep("png"),
    deep("tiff"),
    tiff(PICTURE.astype(np.uint16), photometric="rgb", tile=(16, 16)),
]


@settings(max_examples=200, deadline=None)
@given(
    data=st.sampled_from(SAMPLES),
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
    keep=st.floats(0.05, 1.0),
)
@example(data=b"II*\x00\x08\x00\x00\x00" + bytes(8), edits=[], keep=1.0)
def test_damaged_bytes_make_a_picture_or_an_input_error(tmp_path_factory, data, edits, keep):
    damaged = bytearray(data)
    for place, value in edits:
        # half of the edits are in the headers, where they have the largest effect
        damaged[int(place * 2 * min(120, len(data))) if place < 0.5 else int(place * len(data))] = value
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(bytes(damaged[: int(keep * len(damaged)) + 1]))
    caught = None
    try:
        image = read(path, max_megapixels=1)
    except InputError as error:
        caught = str(error)
    if caught is None:
        assert image.pixels.min() >= 0
        assert image.pixels.max() <= 1
    else:
        assert caught.startswith(f"{path}: ")
        assert "\n" not in caught


def test_pypng_agrees_that_the_16_bit_sample_is_sound():
    assert png.Reader(bytes=deep("png")).asDirect()[3]["bitdepth"] == 16
