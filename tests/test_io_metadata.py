"""EXIF, orientation and resolution: what is kept, what is reset, and what other programs read."""

import struct

import hostile_structures
import numpy as np
import png
import pytest
import tifffile
from PIL import Image as Pil
from PIL import ImageOps
from PIL.TiffImagePlugin import IFDRational

from odekit.core.image import Image, Metadata, quantise
from odekit.images.formats.exif import add_exif_to_tiff, exif_from_tiff, exif_to_write, orientation_of
from odekit.images.io import read, write

MAKE, ORIENTATION, EXIF, GPS = 0x010F, 0x0112, 0x8769, 0x8825
EXPOSURE, BIAS, COMMENT = 0x829A, 0x9204, 0x9286


def smooth(height=24, width=40):
    y, x = np.mgrid[:height, :width]
    return np.stack([y * 9, x * 6, (x + y) * 3], axis=-1).astype(np.uint8)


def block(orientation=1, make="Kiev"):
    exif = Pil.Exif()
    exif[MAKE] = make
    exif[ORIENTATION] = orientation
    exif[EXIF] = {EXPOSURE: IFDRational(1, 125), BIAS: IFDRational(-1, 3), COMMENT: b"ASCII\x00\x00\x00hello"}
    exif[GPS] = {1: "N", 2: (50.0, 27.0, 0.0)}
    return exif.tobytes()


def seen(path):
    """The tags of `block` that another program, Pillow, reads from a file."""
    exif = Pil.open(path).getexif()
    inner = exif.get_ifd(EXIF)
    return exif[MAKE], inner[EXPOSURE], inner[BIAS], inner[COMMENT], exif.get_ifd(GPS)[2]


EXPECTED = ("Kiev", IFDRational(1, 125), IFDRational(-1, 3), b"ASCII\x00\x00\x00hello", (50.0, 27.0, 0.0))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "jpg"])
def test_the_picture_is_turned_as_pillow_turns_it(tmp_path, suffix, orientation):
    path = tmp_path / f"a.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    Pil.fromarray(smooth()).save(path, exif=block(orientation), **options)
    expected = np.asarray(ImageOps.exif_transpose(Pil.open(path)))
    image = read(path)
    assert np.array_equal(image.to_uint8(), expected)
    assert Pil.open(write(image, tmp_path / "out")).getexif().get(ORIENTATION, 1) == 1
    again = read(tmp_path / f"out.{suffix}")
    assert again.pixels.shape == image.pixels.shape


@pytest.mark.parametrize("orientation", range(1, 9))
def test_16_bit_files_and_alpha_are_turned_too(tmp_path, orientation):
    codes = np.dstack([smooth(), smooth()[..., 0]]).astype(np.uint16) * 257
    expected = np.asarray(
        ImageOps.exif_transpose(with_orientation(Pil.fromarray((codes >> 8).astype(np.uint8)), orientation))
    )
    tags = [(ORIENTATION, "H", 1, orientation, True)]
    tifffile.imwrite(tmp_path / "a.tif", codes, photometric="rgb", extrasamples=["unassalpha"], extratags=tags)
    image = Image(codes[..., :3].transpose(2, 0, 1) / np.float32(65535), meta=Metadata(bits=16))
    deep = add_chunk(write(image, tmp_path / "a.png"), b"eXIf", block(orientation)[6:])
    for path in (tmp_path / "a.tif", deep):
        found = read(path)
        assert found.meta.bits == 16
        assert np.array_equal(quantise(found.pixels, 8).transpose(1, 2, 0), expected[..., :3])
    assert np.array_equal(quantise(read(tmp_path / "a.tif").alpha, 8), expected[..., 3])


def with_orientation(picture, orientation):
    picture.getexif()[ORIENTATION] = orientation
    return picture


def add_chunk(path, name, content):
    chunks = list(png.Reader(bytes=path.read_bytes()).chunks())
    with path.open("wb") as file:
        png.write_chunks(file, [*chunks[:1], (name, content), *chunks[1:]])
    return path


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "tiff"])
def test_exif_from_a_jpeg_reaches_every_format_that_holds_it(tmp_path, format, bits):
    Pil.fromarray(smooth()).save(tmp_path / "in.jpg", exif=block(6))
    image = read(tmp_path / "in.jpg")
    deep = Image(image.pixels, meta=Metadata(bits=bits, exif=image.meta.exif))
    assert seen(write(deep, tmp_path / "out", format=format)) == EXPECTED


@pytest.mark.parametrize("bits", [8, 16])
def test_exif_of_a_tiff_goes_on_through_tiff_and_into_jpeg(tmp_path, bits):
    image = Image(smooth().transpose(2, 0, 1) / np.float32(255), meta=Metadata(bits=bits, exif=block()))
    first = read(write(image, tmp_path / "first", format="tiff"))
    path = write(first, tmp_path / "second")
    assert seen(path) == EXPECTED
    assert np.array_equal(tifffile.imread(path), quantise(image.pixels, bits).transpose(1, 2, 0))
    assert seen(write(first, tmp_path / "third", format="jpeg")) == EXPECTED


def test_the_layout_tags_of_a_camera_do_not_disturb_a_tiff(tmp_path):
    """Phones write ImageWidth and ImageLength into the EXIF of a JPEG; in a TIFF these tags are the size of the image itself."""
    exif = Pil.Exif()
    exif[256], exif[257], exif[MAKE] = 4000, 3000, "phone"
    image = Image(smooth().transpose(2, 0, 1) / np.float32(255), meta=Metadata(exif=exif.tobytes()))
    path = write(image, tmp_path / "a", format="tiff")
    assert np.array_equal(tifffile.imread(path), smooth())
    assert Pil.open(path).getexif()[MAKE] == "phone"


def test_the_rest_of_the_block_is_untouched_and_the_preview_unlinked(tmp_path):
    body = bytearray(block(8)[6:])
    (first,) = struct.unpack_from(">I", body, 4)
    (count,) = struct.unpack_from(">H", body, first)
    struct.pack_into(">I", body, first + 2 + 12 * count, len(body))  # a preview directory at the end
    body += struct.pack(">HI", 0, 0) + b"maker note with offsets"
    Pil.fromarray(smooth()).save(tmp_path / "in.jpg", exif=b"Exif\x00\x00" + bytes(body))
    kept = read(tmp_path / "in.jpg").meta.exif[6:]
    changed = [i for i in range(len(body)) if kept[i] != body[i]]
    preview = range(first + 2 + 12 * count, first + 6 + 12 * count)
    assert len(kept) == len(body)
    assert len([i for i in changed if i not in preview]) == 1  # the orientation
    assert struct.unpack_from(">I", kept, preview[0]) == (0,)


@pytest.mark.parametrize(
    "damage", [b"", b"Exif\x00\x00", b"Exif\x00\x00II*\x00\xff\xff\xff\xff", b"Exif\x00\x00rubbish" * 9]
)
def test_damaged_exif_costs_no_picture(tmp_path, damage):
    Pil.fromarray(smooth()).save(tmp_path / "in.png", exif=damage or None)
    image = read(tmp_path / "in.png")
    assert np.array_equal(image.to_uint8(), smooth())
    assert image.meta.exif is None


def test_exif_larger_than_a_jpeg_can_hold_is_left_out_there_and_kept_elsewhere(tmp_path):
    image = Image(np.zeros((3, 4, 4), np.float32), meta=Metadata(exif=block(make="x" * 70000)))
    assert read(write(image, tmp_path / "a", format="jpeg")).meta.exif is None
    assert len(Pil.open(write(image, tmp_path / "a", format="png")).getexif()[MAKE]) == 70000


@pytest.mark.parametrize("format", ["png", "tiff", "jpeg", "bmp"])
def test_the_resolution_is_kept(tmp_path, format):
    Pil.fromarray(smooth()).save(tmp_path / "in.png", dpi=(300, 150))
    path = write(read(tmp_path / "in.png"), tmp_path / "out", format=format)
    assert Pil.open(path).info["dpi"] == pytest.approx((300, 150), abs=0.1)
    assert read(path).meta.dpi == pytest.approx((300, 150), abs=0.1)


def test_the_resolution_of_16_bit_files_is_kept(tmp_path):
    image = Image(np.zeros((3, 4, 4), np.float32), meta=Metadata(bits=16, dpi=(300, 150)))
    for format in ("png", "tiff"):
        path = write(image, tmp_path / "out", format=format)
        assert Pil.open(path).info["dpi"] == pytest.approx((300, 150), abs=0.1)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("format", ["png", "tiff", "jpeg", "webp", "bmp"])
def test_without_metadata_the_file_says_nothing(tmp_path, format, bits):
    image = Image(np.zeros((3, 4, 4), np.float32), meta=Metadata(bits=bits, exif=block(), dpi=(300, 300), icc=b"x"))
    path = write(image, tmp_path / "out", format=format, keep_metadata=False)
    shown = Pil.open(path)
    assert MAKE not in shown.getexif()
    assert "icc_profile" not in shown.info
    assert shown.info.get("dpi", (1, 1))[0] < 300


@pytest.mark.parametrize("place", ["main", "nested"])
def test_entries_of_a_tiff_that_name_the_same_bytes_are_not_multiplied(tmp_path, place):
    """2,000 entries of 60 kB stand for 120 MB of EXIF, in the file and in every result."""
    rng = np.random.Generator(np.random.Philox(1))
    data = hostile_structures.tiff(rng, 2000 if place == "nested" else 7, 60_000, place)
    block = exif_from_tiff(data)
    assert len(block or b"") <= len(data)
    carrier = hostile_structures.tiff(rng, 0, 0, "nested")
    with_block = add_exif_to_tiff(carrier, b"Exif\0\0" + data)
    assert len(with_block) <= len(carrier) + len(data) + 4096


def test_values_that_touch_but_do_not_overlap_are_kept():
    texts = {0x010E: b"ab" * 50, 0x010F: b"cd" * 50, 0x0110: b"ef" * 50}
    start = 8 + 2 + 12 * len(texts) + 4
    entries = [(tag, 2, 100, start + 100 * i) for i, tag in enumerate(texts)]
    block = exif_from_tiff(b"II*\0\x08\0\0\0" + hostile_structures.directory(entries) + b"".join(texts.values()))
    assert block is not None and all(text in block for text in texts.values())
    overlapping = [(tag, 2, 100, start + 99 * i) for i, tag in enumerate(texts)]
    block = exif_from_tiff(b"II*\0\x08\0\0\0" + hostile_structures.directory(overlapping) + b"".join(texts.values()))
    assert block is not None and b"ab" * 50 in block and b"cd" * 40 not in block


def test_a_block_larger_than_any_camera_writes_is_not_copied():
    block = b"Exif\0\0II*\0\x08\0\0\0" + hostile_structures.directory([(0x0112, 3, 1, 6)])
    assert exif_to_write(block) is not None
    assert exif_to_write(block + bytes(9 << 20)) is None


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_the_orientation_is_read_without_the_other_entries(order, orientation):
    value = orientation << 16 if order == ">" else orientation
    body = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 8)
    body += hostile_structures.directory([(0x010F, 2, 1 << 31, 4), (0x0112, 3, 1, value)], order)
    assert orientation_of(body) == orientation_of(b"Exif\0\0" + body) == orientation
    assert orientation_of(body[:12]) is None
    assert orientation_of(b"") is None
