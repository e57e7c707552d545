"""Truncated JPEG and PNG: the complete rows before the cut are read, and their number is told."""

import io
import struct

import numpy as np
import pytest
from PIL import Image as Pil
from PIL import ImageFile

from odekit.core.image import Image, Metadata, quantise
from odekit.errors import InputError, OdekitWarning
from odekit.images.formats.encode import encode
from odekit.images.io import read, read_file

HEIGHT, WIDTH = 240, 320
RNG = np.random.default_rng(5)


def textured():
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    planes = [(np.sin(x / 9) + np.sin(y / 7)) * 60 + 128, (x + y) % 256, (2 * x) % 256]
    return np.clip(np.stack(planes, -1) + RNG.normal(0, 10, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)


PICTURE = Pil.fromarray(textured())
JPEGS = {
    "4:2:0": ("RGB", {}, 16),
    "4:4:4": ("RGB", {"subsampling": 0}, 8),
    "4:2:2": ("RGB", {"subsampling": 1}, 8),
    "optimised": ("RGB", {"optimize": True}, 16),
    "restart markers": ("RGB", {"restart_marker_rows": 2}, 16),
    "grey": ("L", {}, 8),
    "cmyk": ("CMYK", {}, 8),
}


def saved(picture, format, **options):
    out = io.BytesIO()
    picture.save(out, format, **options)
    return out.getvalue()


def salvaged(path, data):
    path.write_bytes(data)
    return read_file(path, salvage_truncated=True)


def whole(path, data):
    path.write_bytes(data)
    return read(path).to_uint8().astype(int)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.77, 0.95, 0.999])
@pytest.mark.parametrize("kind", JPEGS)
def test_the_rows_of_a_truncated_jpeg_are_those_of_the_whole_one(tmp_path, kind, share):
    mode, options, block = JPEGS[kind]
    data = saved(PICTURE.convert(mode), "JPEG", quality=90, **options)
    expected = whole(tmp_path / "a", data)
    content = salvaged(tmp_path / "a", data[: int(share * len(data))])
    rows, height = content.rows
    assert height == HEIGHT and content.image.height == rows
    assert 0.85 * share * HEIGHT - 2 * block < rows < HEIGHT
    assert np.array_equal(content.image.to_uint8(), expected[:rows])
    assert content.notes == (
        f"is incomplete: {rows} of 240 rows ({rows / 240:.0%}) were readable; the result holds these",
    )


def test_a_border_of_any_colour_is_not_taken_for_missing_rows(tmp_path):
    for colour in (0, 128, 255):
        framed = textured()
        framed[:, -24:] = colour
        data = saved(Pil.fromarray(framed), "JPEG", quality=90)  # blocks of 16 rows
        rows, _ = salvaged(tmp_path / "a", data[: len(data) - 40]).rows
        assert rows == HEIGHT - 16 - 1


def test_a_preview_in_the_header_is_not_taken_for_a_second_scan(tmp_path):
    exif = Pil.Exif()
    preview = saved(PICTURE.resize((64, 48)), "JPEG")
    exif[0x9286] = preview  # any tag that holds the bytes of another JPEG
    data = saved(PICTURE, "JPEG", quality=90, exif=exif.tobytes())
    assert data.count(b"\xff\xda") == 2
    rows, height = salvaged(tmp_path / "a", data[: len(data) // 2]).rows
    assert rows < 0.7 * height


def test_a_progressive_jpeg_is_whole_after_its_first_scan(tmp_path):
    data = saved(PICTURE, "JPEG", quality=90, progressive=True)
    content = salvaged(tmp_path / "a", data[: len(data) // 2])
    assert content.rows == (HEIGHT, HEIGHT)
    assert content.notes == ("is incomplete: all rows were readable, the lower ones with less detail",)
    assert np.abs(content.image.to_uint8().astype(int) - textured()).mean() < 40


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1", "16"])
def test_the_rows_of_a_truncated_png_are_exact(tmp_path, mode):
    if mode == "16":
        pixels = np.random.default_rng(2).random((3, HEIGHT, WIDTH), np.float32)
        data = encode(Image(pixels, meta=Metadata(bits=16)), "png")
    else:
        data = saved(PICTURE.convert(mode), "PNG")
    (tmp_path / "a").write_bytes(data)
    expected = read(tmp_path / "a")
    content = salvaged(tmp_path / "a", data[: int(0.6 * len(data))])
    rows, height = content.rows
    assert height == HEIGHT and 0.4 * HEIGHT < rows < HEIGHT
    assert content.image.meta.bits == expected.meta.bits
    bits = expected.meta.bits
    assert np.array_equal(quantise(content.image.pixels, bits), quantise(expected.pixels, bits)[:, :rows])


def test_the_rows_before_a_damage_inside_a_png_are_read(tmp_path):
    data = bytearray(saved(PICTURE, "PNG"))
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(40)
    rows, _ = salvaged(tmp_path / "a", bytes(data)).rows
    assert rows > HEIGHT // 4


def test_orientation_and_resolution_of_the_part_are_kept(tmp_path):
    exif = Pil.Exif()
    exif[0x0112] = 6
    data = saved(PICTURE, "JPEG", quality=90, exif=exif.tobytes(), dpi=(300, 300))
    content = salvaged(tmp_path / "a", data[: len(data) // 2])
    assert (content.image.height, content.image.width) == (WIDTH, content.rows[0])
    assert content.image.meta.dpi == (300, 300)


def test_a_whole_file_is_read_as_without_the_option(tmp_path):
    content = salvaged(tmp_path / "a", saved(PICTURE, "JPEG"))
    assert (content.rows, content.notes) == (None, ())


def test_python_is_warned_and_no_switch_of_pillow_is_left_on(tmp_path):
    (tmp_path / "a.jpg").write_bytes(saved(PICTURE, "JPEG")[:-2000])
    with pytest.warns(OdekitWarning, match=r"a\.jpg: is incomplete: \d+ of 240 rows"):
        read(tmp_path / "a.jpg", salvage_truncated=True)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def huge_header(data):
    return data[:16] + struct.pack(">II", 40000, 40000) + data[24:]


NOTHING = {
    "before the first row": (saved(PICTURE, "JPEG")[:700], "is cut off before its first complete row"),
    "png without rows": (saved(PICTURE, "PNG")[:60], "is cut off before its first complete row"),
    "interlaced": (None, "is an incomplete interlaced PNG, which cannot be salvaged"),
    "webp": (saved(PICTURE, "WEBP")[:3000], "--salvage reads JPEG and PNG only, not WEBP"),
    "png too large": (huge_header(saved(PICTURE, "PNG"))[:3000], "over the limit of 100"),
    "only the header": (saved(PICTURE, "JPEG")[:100], "is damaged or incomplete"),
}


@pytest.mark.parametrize(("data", "expected"), NOTHING.values(), ids=NOTHING)
def test_what_cannot_be_salvaged_is_one_line(tmp_path, data, expected):
    if data is None:
        png = bytearray(saved(PICTURE, "PNG")[:5000])
        png[28] = 1
        data = bytes(png)
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(InputError, match=expected) as caught:
        read(tmp_path / "a", salvage_truncated=True)
    assert "\n" not in str(caught.value)
