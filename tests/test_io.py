"""Files to pictures and back: what survives, and what other programs see."""

import subprocess
import sys

import numpy as np
import png
import pytest
import tifffile
from PIL import Image as Pil

import odekit.io
from odekit.errors import ConfigError, OdekitError
from odekit.image import Image, Metadata, quantise
from odekit.io import SUFFIXES, encode, read, write

HEIGHT, WIDTH = 31, 47
RNG = np.random.default_rng(7)
DEEP = RNG.integers(0, 65536, (HEIGHT, WIDTH, 4), dtype=np.uint16)
SHALLOW = RNG.integers(0, 256, (HEIGHT, WIDTH, 4), dtype=np.uint8)
CHANNELS = {"grey": 1, "grey and alpha": 2, "rgb": 3, "rgb and alpha": 4}


def integers(image, bits):
    """(H, W, C) as a file would hold it: three colours, and alpha where there is one."""
    planes = quantise(image.pixels, bits).transpose(1, 2, 0)
    return planes if image.alpha is None else np.dstack([planes, quantise(image.alpha, bits)])


def three_colours(codes):
    """Grey codes with the grey three times, alpha last."""
    return codes if codes.shape[2] > 2 else np.dstack([codes[..., :1]] * 3 + [codes[..., 1:]])


def smooth(height=HEIGHT, width=WIDTH):
    y, x = np.mgrid[:height, :width]
    return np.stack([y * 6, x * 5, (x + y) * 3], axis=-1).astype(np.uint8)


def save_png16(path, codes, interlace=False):
    channels = codes.shape[2]
    writer = png.Writer(
        WIDTH, HEIGHT, bitdepth=16, greyscale=channels < 3, alpha=channels % 2 == 0, interlace=interlace
    )
    with path.open("wb") as file:
        writer.write(file, codes.reshape(HEIGHT, -1).tolist())


def load_png16(path):
    width, height, rows, info = png.Reader(filename=str(path)).asDirect()
    assert info["bitdepth"] == 16
    return np.array([list(row) for row in rows], np.uint16).reshape(height, width, -1)


@pytest.mark.parametrize("interlace", [False, True])
@pytest.mark.parametrize("channels", CHANNELS.values(), ids=CHANNELS)
def test_16_bit_png_survives_bit_for_bit(tmp_path, channels, interlace):
    codes = DEEP[..., :channels]
    save_png16(tmp_path / "in.png", codes, interlace)
    image = read(tmp_path / "in.png")
    assert np.array_equal(integers(image, 16), three_colours(codes))
    assert (image.meta.bits, image.meta.format, image.meta.grey) == (16, "PNG", channels < 3)
    assert np.array_equal(load_png16(write(image, tmp_path / "out.png")), codes)


@pytest.mark.parametrize("channels", CHANNELS.values(), ids=CHANNELS)
def test_8_bit_png_survives_bit_for_bit(tmp_path, channels):
    codes = SHALLOW[..., :channels]
    Pil.fromarray(codes.squeeze()).save(tmp_path / "in.png")
    image = read(tmp_path / "in.png")
    assert np.array_equal(integers(image, 8), three_colours(codes))
    back = Pil.open(write(image, tmp_path / "out.png"))
    assert back.mode == ("L", "LA", "RGB", "RGBA")[channels - 1]
    assert np.array_equal(np.asarray(back).reshape(codes.shape), codes)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("channels", CHANNELS.values(), ids=CHANNELS)
def test_16_bit_tiff_survives_bit_for_bit(tmp_path, channels, compression, byteorder):
    codes = DEEP[..., :channels]
    tifffile.imwrite(
        tmp_path / "in.tif",
        codes.squeeze(),
        photometric="rgb" if channels > 2 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=["unassalpha"] if channels % 2 == 0 else None,
        compression=compression,
        byteorder=byteorder,
    )
    image = read(tmp_path / "in.tif")
    assert np.array_equal(integers(image, 16), three_colours(codes))
    assert (image.meta.bits, image.meta.format, image.meta.grey) == (16, "TIFF", channels < 3)
    back = tifffile.imread(write(image, tmp_path / "out.tif"))
    assert back.dtype == np.uint16
    assert np.array_equal(back.reshape(codes.shape), codes)


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bit_tiff_compressed_with_lzw_is_read_exactly(tmp_path, channels):
    """Pillow's libtiff writes LZW of the same bytes as 8-bit samples; then the header is told of their true depth."""
    codes = DEEP[..., :channels]
    octets = np.ascontiguousarray(codes).astype("<u2").view(np.uint8).reshape(HEIGHT, 2 * WIDTH, channels)
    path = tmp_path / "lzw.tif"
    Pil.fromarray(octets.squeeze()).save(path, compression="tiff_lzw", tiffinfo={274: 6})
    with tifffile.TiffFile(path, mode="r+") as file:
        tags = file.pages.first.tags
        assert tags["Compression"].value == 5
        tags["ImageWidth"].overwrite(WIDTH)
        tags["BitsPerSample"].overwrite((16,) * channels)
    assert np.array_equal(integers(read(path), 16), np.rot90(three_colours(codes), -1))  # orientation 6


def test_16_bit_tiff_in_planes_white_is_zero_and_premultiplied(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", DEEP[..., :3].transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    assert np.array_equal(integers(read(tmp_path / "a.tif"), 16), DEEP[..., :3])
    tifffile.imwrite(tmp_path / "b.tif", DEEP[..., 0], photometric="miniswhite")
    assert np.array_equal(integers(read(tmp_path / "b.tif"), 16)[..., 0], 65535 - DEEP[..., 0])
    four = np.array([[[100, 200, 300, 32768], [0, 0, 0, 0]]], np.uint16)
    tifffile.imwrite(tmp_path / "c.tif", four, photometric="rgb", extrasamples=["assocalpha"])
    assert integers(read(tmp_path / "c.tif"), 16).tolist() == [[[200, 400, 600, 32768], [0, 0, 0, 0]]]


def test_an_8_bit_file_and_its_16_bit_copy_draw_the_same_noise(tmp_path):
    Pil.fromarray(SHALLOW[..., :3]).save(tmp_path / "8.png")
    save_png16(tmp_path / "16.png", SHALLOW[..., :3].astype(np.uint16) * 257)
    tifffile.imwrite(tmp_path / "16.tif", SHALLOW[..., :3].astype(np.uint16) * 257, photometric="rgb")
    assert len({read(tmp_path / name).origin for name in ("8.png", "16.png", "16.tif")}) == 1


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


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_colour_named_transparent_becomes_alpha(tmp_path, mode):
    source = Pil.fromarray(SHALLOW[..., :3]).convert(mode)
    key = source.getpixel((3, 4))
    source.save(tmp_path / "key.png", transparency=key)
    image = read(tmp_path / "key.png")
    same = (np.asarray(source).reshape(HEIGHT, WIDTH, -1) == key).all(axis=2)
    assert np.array_equal(image.alpha, np.where(same, 0, 1))
    assert np.array_equal(integers(image, 8)[..., :3], np.asarray(source.convert("RGB")))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_16_bit_colour_named_transparent_becomes_alpha(tmp_path, channels):
    codes = DEEP[..., :channels]
    key = tuple(int(v) for v in codes[4, 3])
    writer = png.Writer(
        WIDTH, HEIGHT, bitdepth=16, greyscale=channels == 1, transparent=key if channels == 3 else key[0]
    )
    with (tmp_path / "key.png").open("wb") as file:
        writer.write(file, codes.reshape(HEIGHT, -1).tolist())
    image = read(tmp_path / "key.png")
    assert np.array_equal(image.alpha == 0, (codes == codes[4, 3]).all(axis=2))
    assert np.array_equal(integers(image, 16)[..., :3], three_colours(codes))


@pytest.mark.parametrize(
    ("same", "suffix"), [("PNG", ".png"), ("JPEG", ".jpg"), ("WEBP", ".webp"), ("TIFF", ".tif"), ("BMP", ".bmp")]
)
def test_same_writes_the_format_of_the_source(tmp_path, same, suffix):
    Pil.fromarray(smooth()).save(tmp_path / "in", same)
    path = write(read(tmp_path / "in"), tmp_path / "out")
    assert path == tmp_path / f"out{suffix}"
    assert Pil.open(path).format == same
    assert suffix in SUFFIXES


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
    assert np.array_equal(read(write(image, tmp_path / "a", format="webp", quality=100)).to_uint8(), SHALLOW[..., :3])


def test_16_bits_become_8_only_where_the_format_has_no_more(tmp_path):
    image = Image(DEEP[..., :3].transpose(2, 0, 1) / np.float32(65535), meta=Metadata(bits=16))
    depths = {f: read(write(image, tmp_path / "a", format=f)).meta.bits for f in ("png", "tiff", "jpeg", "webp", "bmp")}
    assert depths == {"png": 16, "tiff": 16, "jpeg": 8, "webp": 8, "bmp": 8}


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
        monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
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
    code = f"import sys, {odekit.io.__name__}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
