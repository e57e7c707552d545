"""Reading and writing of image files: what is preserved, and what other programs read."""

import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image as Pil

import odekit.images.io
from odekit.core.image import Image, quantise
from odekit.errors import ConfigError, OdekitError
from odekit.images.formats.encode import encode
from odekit.images.io import IMAGE_SUFFIXES, read, write

HEIGHT, WIDTH = 31, 47
RNG = np.random.default_rng(7)
SHALLOW = RNG.integers(0, 256, (HEIGHT, WIDTH, 4), dtype=np.uint8)
CHANNELS = {"grey": 1, "grey and alpha": 2, "rgb": 3, "rgb and alpha": 4}


def integers(image, bits):
    """Samples (H, W, C) as stored in a file: three colours, and alpha if there is one."""
    planes = quantise(image.pixels, bits).transpose(1, 2, 0)
    return planes if image.alpha is None else np.dstack([planes, quantise(image.alpha, bits)])


def three_colours(codes):
    """Grey samples with the grey channel repeated three times, alpha last."""
    return codes if codes.shape[2] > 2 else np.dstack([codes[..., :1]] * 3 + [codes[..., 1:]])


def smooth(height=HEIGHT, width=WIDTH):
    y, x = np.mgrid[:height, :width]
    return np.stack([y * 6, x * 5, (x + y) * 3], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("channels", CHANNELS.values(), ids=CHANNELS)
def test_8_bit_png_survives_bit_for_bit(tmp_path, channels):
    codes = SHALLOW[..., :channels]
    Pil.fromarray(codes.squeeze()).save(tmp_path / "in.png")
    image = read(tmp_path / "in.png")
    assert np.array_equal(integers(image, 8), three_colours(codes))
    back = Pil.open(write(image, tmp_path / "out.png"))
    assert back.mode == ("L", "LA", "RGB", "RGBA")[channels - 1]
    assert np.array_equal(np.asarray(back).reshape(codes.shape), codes)


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("a.jpg", "RGB", {}),
        ("a.jpg", "L", {}),
        ("a.webp", "RGB", {"lossless": True}),
        ("a.webp", "RGBA", {"lossless": True, "exact": True}),
        ("a.tif", "RGB", {"compression": "tiff_lzw"}),
        ("a.tif", "RGBA", {}),
        ("a.tif", "L", {"compression": "packbits"}),
        ("a.tif", "1", {}),
        ("a.bmp", "RGB", {}),
        ("a.bmp", "P", {}),
        ("a.png", "P", {}),
        ("a.png", "1", {}),
    ],
)
def test_every_kind_is_read_as_pillow_sees_it(tmp_path, name, mode, options):
    source = Pil.fromarray(SHALLOW).convert("RGB").convert(mode) if mode != "RGBA" else Pil.fromarray(SHALLOW)
    source.save(tmp_path / name, **options)
    shown = Pil.open(tmp_path / name)
    image = read(tmp_path / name)
    assert np.array_equal(integers(image, 8), np.asarray(shown.convert("RGBA" if mode == "RGBA" else "RGB")))
    assert image.meta.format == shown.format
    assert image.meta.grey == (mode in ("L", "1"))


def test_previews_beside_the_picture_do_not_count_as_pages(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(SHALLOW[..., :3], photometric="rgb")
        file.write(SHALLOW[::4, ::4, :3], photometric="rgb", subfiletype=1)
    assert np.array_equal(read(tmp_path / "a.tif").to_uint8(), SHALLOW[..., :3])
    first, second = Pil.fromarray(smooth()), Pil.fromarray(smooth()[::2, ::2])
    first.save(tmp_path / "phone.jpg", "MPO", save_all=True, append_images=[second])
    image = read(tmp_path / "phone.jpg")
    assert (image.meta.format, image.width) == ("JPEG", WIDTH)


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_colour_named_transparent_becomes_alpha(tmp_path, mode):
    source = Pil.fromarray(SHALLOW[..., :3]).convert(mode)
    key = source.getpixel((3, 4))
    source.save(tmp_path / "key.png", transparency=key)
    image = read(tmp_path / "key.png")
    same = (np.asarray(source).reshape(HEIGHT, WIDTH, -1) == key).all(axis=2)
    assert np.array_equal(image.alpha, np.where(same, 0, 1))
    assert np.array_equal(integers(image, 8)[..., :3], np.asarray(source.convert("RGB")))


@pytest.mark.parametrize(
    ("same", "suffix"), [("PNG", ".png"), ("JPEG", ".jpg"), ("WEBP", ".webp"), ("TIFF", ".tif"), ("BMP", ".bmp")]
)
def test_same_writes_the_format_of_the_source(tmp_path, same, suffix):
    Pil.fromarray(smooth()).save(tmp_path / "in", same)
    path = write(read(tmp_path / "in"), tmp_path / "out")
    assert path == tmp_path / f"out{suffix}"
    assert Pil.open(path).format == same
    assert suffix in IMAGE_SUFFIXES


@pytest.mark.parametrize(
    ("given", "format", "written"),
    [
        ("a.png", "jpeg", "a.jpg"),
        ("a.JPEG", "jpeg", "a.JPEG"),
        ("v1.2", "png", "v1.2.png"),
        ("a.TIFF", "tiff", "a.TIFF"),
    ],
)
def test_the_ending_follows_the_format(tmp_path, given, format, written):
    assert write(Image.from_uint8(smooth()), tmp_path / given, format=format).name == written


@pytest.mark.parametrize("format", ["jpeg", "bmp"])
def test_alpha_is_blended_over_white_where_the_format_has_none(tmp_path, format):
    image = Image(np.zeros((3, 16, 16), np.float32), np.full((16, 16), 0.75, np.float32))
    back = read(write(image, tmp_path / "a", format=format))
    assert back.alpha is None
    assert back.to_uint8() == pytest.approx(64, abs=1)


def test_a_picture_that_is_grey_no_more_is_written_in_colour(tmp_path):
    Pil.fromarray(smooth()[..., 0]).save(tmp_path / "grey.png")
    grey = read(tmp_path / "grey.png")
    assert Pil.open(write(grey, tmp_path / "a.png")).mode == "L"
    coloured = grey.with_pixels(np.stack([grey.pixels[0], grey.pixels[1], grey.pixels[2] * 0.5]))
    assert Pil.open(write(coloured, tmp_path / "b.png")).mode == "RGB"


def test_jpeg_keeps_all_its_colour_samples_and_quality_has_an_effect(tmp_path):
    image = Image.from_uint8(SHALLOW[..., :3])
    path = write(image, tmp_path / "a.jpg", format="jpeg")
    assert [component[1:3] for component in Pil.open(path).layer] == [(1, 1)] * 3
    assert len(encode(image, "jpeg", quality=30)) < path.stat().st_size
    assert len(encode(image, "webp", quality=30)) < len(encode(image, "webp"))
    clear = Image(image.pixels, np.zeros((HEIGHT, WIDTH), np.float32))
    whole = read(write(clear, tmp_path / "a", format="webp", quality=100))
    assert np.array_equal(whole.to_uint8(), SHALLOW[..., :3])  # lossless, also in transparent pixels


def test_the_whole_path_may_be_in_any_script(tmp_path):
    folder = tmp_path / "фото 写真"
    path = write(Image.from_uint8(smooth()), folder / "лицо é ☺.png")
    assert np.array_equal(read(str(path)).to_uint8(), smooth())


@pytest.mark.parametrize("fault", ["rename", "encode"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, fault):
    path = write(Image.from_uint8(smooth()), tmp_path / "a.png")
    before = path.read_bytes()
    broken = Image.from_uint8(smooth())
    if fault == "rename":
        monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
        expected = "cannot be written .No space left"
    else:
        broken = broken.with_pixels(broken.pixels * np.float32(np.nan))
        expected = "not finite"
    with pytest.raises(OdekitError, match=expected) as caught:
        write(broken, path)
    assert str(path) in str(caught.value)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [before]


def test_an_output_that_cannot_be_is_one_line(tmp_path):
    image = Image.from_uint8(smooth())
    (tmp_path / "file").write_text("x")
    with pytest.raises(OdekitError, match="choose another output folder"):
        write(image, tmp_path / "file" / "a.png")
    (tmp_path / "b.png").mkdir()
    with pytest.raises(OdekitError, match="choose another output folder"):
        write(image, tmp_path / "b.png")
    with pytest.raises(ConfigError, match=r"format 'gif' .* png, jpeg"):
        write(image, tmp_path / "a", format="gif")
    with pytest.raises(ConfigError, match="quality 0"):
        write(image, tmp_path / "a", quality=0)
    with pytest.raises(OdekitError, match="do not fit WEBP"):
        write(image.with_pixels(np.zeros((3, 1, 20000), np.float32)), tmp_path / "a", format="webp")


def test_reading_and_writing_need_no_torch():
    code = f"import sys, {odekit.images.io.__name__}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
