"""Files with 16 bits per channel keep their depth. pypng and tifffile are the reference."""

import numpy as np
import png
import pytest
import tifffile
from PIL import Image as Pil

from odekit.core.image import Image, Metadata, quantise
from odekit.images.io import read, write

HEIGHT, WIDTH = 31, 47
RNG = np.random.default_rng(7)
DEEP = RNG.integers(0, 65536, (HEIGHT, WIDTH, 4), dtype=np.uint16)
SHALLOW = RNG.integers(0, 256, (HEIGHT, WIDTH, 4), dtype=np.uint8)
CHANNELS = {"grey": 1, "grey and alpha": 2, "rgb": 3, "rgb and alpha": 4}


def integers(image, bits):
    """Samples (H, W, C) as stored in a file: three colours, and alpha if there is one."""
    planes = quantise(image.pixels, bits).transpose(1, 2, 0)
    return planes if image.alpha is None else np.dstack([planes, quantise(image.alpha, bits)])


def three_colours(codes):
    """Grey samples with the grey channel repeated three times, alpha last."""
    return codes if codes.shape[2] > 2 else np.dstack([codes[..., :1]] * 3 + [codes[..., 1:]])


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
    """Pillow's libtiff writes the same bytes with LZW as 8-bit samples; then the depth in the header is corrected."""
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


def test_16_bits_become_8_only_where_the_format_has_no_more(tmp_path):
    image = Image(DEEP[..., :3].transpose(2, 0, 1) / np.float32(65535), meta=Metadata(bits=16))
    depths = {f: read(write(image, tmp_path / "a", format=f)).meta.bits for f in ("png", "tiff", "jpeg", "webp", "bmp")}
    assert depths == {"png": 16, "tiff": 16, "jpeg": 8, "webp": 8, "bmp": 8}
