"""Colour profiles: samples are converted to sRGB on reading, and back to the source's profile on writing."""

import io
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image as Pil
from PIL import ImageCms

from odekit.core.image import Image, Metadata, quantise
from odekit.images.io import read, write

RNG = np.random.default_rng(11)
CODES = RNG.integers(0, 256, (32, 48, 3), dtype=np.uint8)
D50 = (0.9642, 1.0, 0.8249)
# Colorants relative to D50 (X, Y, Z of red, green, blue): Apple's Display P3 and Adobe RGB (1998), from their profiles.
P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))


def fixed(*values):
    return struct.pack(f">{len(values)}i", *(round(v * 65536) for v in values))


def icc(space, tags, kind=b"mntr", pcs=b"XYZ "):
    """The bytes of a profile (ICC.1:2022, section 7): header, table of tags, tags."""
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += struct.pack(">4sII", name, 128 + 4 + 12 * len(tags) + len(body), len(content))
        body += content
    head = struct.pack(">I4sI4s4s4s", 128 + len(table) + len(body), b"test", 0x02400000, kind, space, pcs)
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(*D50)
    return head.ljust(128, b"\0") + table + body


def gamma(value):
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(value * 256))


def sampled_curve(count, exponent):
    numbers = [round(65535 * (i / (count - 1)) ** exponent) for i in range(count)]
    return b"curv" + bytes(4) + struct.pack(f">I{count}H", count, *numbers)


def parametric(kind, *values):
    return b"para" + bytes(4) + struct.pack(">HH", kind, 0) + fixed(*values)


def matrix_profile(colorants, curve):
    tags = {b"wtpt": b"XYZ " + bytes(4) + fixed(*D50)}
    tags |= {
        name: b"XYZ " + bytes(4) + fixed(*xyz) for name, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colorants, strict=True)
    }
    return icc(b"RGB ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def grey_profile(curve):
    return icc(b"GRAY", {b"wtpt": b"XYZ " + bytes(4) + fixed(*D50), b"kTRC": curve})


def table_profile(space, lab_of):
    """A profile of tables (lut8Type): Lab at the corners of the cube of its channels, interpolated linearly."""
    channels = {b"RGB ": 3, b"CMYK": 4}[space]
    ramp = bytes(range(256))
    corners = [[(i >> (channels - 1 - c)) & 1 for c in range(channels)] for i in range(2**channels)]
    lab = [lab_of(*corner) for corner in corners]
    grid = bytes(round(v) for L, a, b in lab for v in (L * 2.55, a + 128, b + 128))
    lut = b"mft1" + bytes(4) + bytes([channels, 3, 2, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    lut += ramp * channels + grid + ramp * 3
    return icc(space, {b"wtpt": b"XYZ " + bytes(4) + fixed(*D50), b"A2B0": lut}, b"prtr", b"Lab ")


SRGB_CURVE = parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
DISPLAY_P3 = matrix_profile(P3, SRGB_CURVE)
ADOBE_RGB = matrix_profile(ADOBE, gamma(2.19921875))
PROFILES = {
    "display p3": DISPLAY_P3,
    "adobe rgb": ADOBE_RGB,
    "no curve": matrix_profile(P3, b"curv" + bytes(8)),
    "sampled": matrix_profile(ADOBE, sampled_curve(1024, 1.8)),
    "power": matrix_profile(P3, parametric(0, 1.8)),
    "power with foot": matrix_profile(P3, parametric(1, 2.2, 0.95, 0.05)),
    "power with foot and lift": matrix_profile(P3, parametric(2, 2.0, 0.9, 0.05, 0.02)),
    "seven numbers": matrix_profile(P3, parametric(4, 2.4, 0.94, 0.05, 0.07, 0.04, 0.001, 0.0005)),
}


def paper(c, m, y, k):
    return (
        95 * (1 - k) * (1 - 0.3 * c - 0.3 * m - 0.1 * y) + 5 * (1 - k),
        60 * (m - c) * (1 - k),
        60 * (y - m) * (1 - k),
    )


def srgb_of_lab(lightness, a, b):
    """CIELAB relative to D50 as sRGB integers, by the formulas of CIE 15 and IEC 61966-2-1 (matrix adapted by Bradford)."""
    f = np.array([(lightness + 16) / 116 + a / 500, (lightness + 16) / 116, (lightness + 16) / 116 - b / 200])
    xyz = np.where(f > 6 / 29, f**3, (f - 4 / 29) * 108 / 841) * D50
    to_rgb = [[3.13386, -1.61687, -0.49061], [-0.97877, 1.91614, 0.03345], [0.07195, -0.22899, 1.40524]]
    light = np.clip(to_rgb @ xyz, 0, 1)
    return np.rint(255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)).astype(int)


def by_littlecms(codes, profile, mode="RGB"):
    """The reference of a second library, with 8 bits."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    shown = ImageCms.profileToProfile(
        Pil.fromarray(codes, mode), source, ImageCms.createProfile("sRGB"), ImageCms.Intent.RELATIVE_COLORIMETRIC, "RGB"
    )
    return np.asarray(shown)


def saved(path, codes, profile, mode=None):
    Pil.fromarray(codes, mode).save(path, icc_profile=profile)
    return path


def inside_srgb(profile, margin=8):
    """Samples of the profile whose colours are well inside sRGB."""
    seen = by_littlecms(CODES, profile)
    kept = CODES[((seen > margin) & (seen < 255 - margin)).all(axis=2)]
    assert len(kept) > 400
    return np.ascontiguousarray(kept[None])


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_reading_agrees_with_littlecms(tmp_path, profile):
    image = read(saved(tmp_path / "a.png", CODES, profile))
    difference = np.abs(image.to_uint8().astype(int) - by_littlecms(CODES, profile))
    assert np.abs(by_littlecms(CODES, profile).astype(int) - CODES).max() > 20  # the conversion is not trivial
    assert difference.max() <= 2  # littlecms rounds its tables to 8 and 14 bits
    assert np.mean(difference > 1) < 0.002
    assert image.meta.icc == profile


def test_the_red_of_srgb_in_display_p3_is_read_as_red(tmp_path):
    """(234, 51, 35) in Display P3 is the red primary of sRGB (CSS Color 4, conversion of color(srgb 1 0 0))."""
    image = read(saved(tmp_path / "a.png", np.array([[[234, 51, 35]]], np.uint8), DISPLAY_P3))
    assert image.to_uint8()[0, 0].tolist() == pytest.approx([255, 0, 0], abs=1)


@pytest.mark.parametrize("format", ["png", "tiff", "webp"])
@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_untouched_numbers_come_back_bit_for_bit_with_their_profile(tmp_path, profile, format):
    codes = inside_srgb(profile)
    image = read(saved(tmp_path / "a.png", codes, profile))
    shown = Pil.open(write(image, tmp_path / "b", format=format, quality=100))
    assert shown.info["icc_profile"] == profile
    assert np.array_equal(np.asarray(shown), codes)


def test_what_is_written_looks_like_the_pixels_to_another_program(tmp_path):
    """Pixels changed by a stage and written in Adobe RGB are the same pixels when littlecms reads them."""
    image = read(saved(tmp_path / "a.png", CODES, ADOBE_RGB))
    changed = image.with_pixels(np.clip(image.pixels[::-1] * np.float32(0.4) + np.float32(0.3), 0, 1))
    written = np.asarray(Pil.open(write(changed, tmp_path / "b.png")))
    assert np.abs(by_littlecms(written, ADOBE_RGB).astype(int) - changed.to_uint8()).max() <= 2
    assert np.abs(written.astype(int) - changed.to_uint8()).max() > 10


@pytest.mark.parametrize("format", ["png", "tiff"])
def test_16_bit_pictures_keep_their_depth_through_a_profile(tmp_path, format):
    codes = np.tile(np.arange(20000, 24096, dtype=np.uint16)[:, None], (1, 3)).reshape(64, 64, 3) + np.array(
        [0, 900, 2000], np.uint16
    )
    tifffile.imwrite(tmp_path / "a.tif", codes, photometric="rgb", iccprofile=DISPLAY_P3)
    image = read(tmp_path / "a.tif")
    assert image.meta.bits == 16
    assert len(np.unique(quantise(image.pixels[1], 16))) == 4096
    again = read(write(image, tmp_path / "b", format=format))
    assert again.meta.icc == DISPLAY_P3
    assert np.array_equal(again.pixels, image.pixels)
    assert np.array_equal(tifffile.imread(write(image, tmp_path / "c", format="tiff")), codes)


def test_a_plain_srgb_profile_changes_nothing_and_is_kept(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = read(saved(tmp_path / "a.png", CODES, profile))
    assert np.array_equal(image.to_uint8(), CODES)
    assert image.origin == Image.from_uint8(CODES).origin
    assert Pil.open(write(image, tmp_path / "b.jpg", format="jpeg")).info["icc_profile"] == profile


@pytest.mark.parametrize(("curve", "exponent"), [(gamma(1.75), 1.75), (sampled_curve(256, 1.5), 1.5)])
def test_a_grey_profile_is_used_both_ways(tmp_path, curve, exponent):
    codes = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
    profile = grey_profile(curve)
    image = read(saved(tmp_path / "a.png", codes, profile))
    light = (codes[0] / 255.0) ** exponent
    expected = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    assert np.abs(image.pixels[0, 0] - expected).max() < 0.5 / 255
    assert image.meta.grey
    shown = Pil.open(write(image, tmp_path / "b.png"))
    assert (shown.mode, shown.info["icc_profile"]) == ("L", profile)
    assert np.array_equal(np.asarray(shown), codes)


def test_black_and_white_stay_where_a_curve_is_flat_at_its_ends(tmp_path):
    flat = b"curv" + bytes(4) + struct.pack(">I6H", 6, 0, 0, 20000, 40000, 65535, 65535)
    image = read(saved(tmp_path / "a.png", np.array([[0, 128, 255]], np.uint8), grey_profile(flat)))
    assert np.asarray(Pil.open(write(image, tmp_path / "b.png")))[0].tolist() == [0, 128, 255]


def test_a_grey_picture_that_became_coloured_is_written_with_an_srgb_profile(tmp_path):
    image = read(saved(tmp_path / "a.png", CODES[..., 0], grey_profile(gamma(1.8))))
    coloured = image.with_pixels(image.pixels * np.array([1, 0.9, 0.8], np.float32)[:, None, None])
    shown = Pil.open(write(coloured, tmp_path / "b.png"))
    assert np.array_equal(np.asarray(shown), coloured.to_uint8())
    assert profile_name(shown) == "sRGB built-in"


def profile_name(shown):
    return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(shown.info["icc_profile"]))).strip()


def test_cmyk_is_read_through_its_profile_and_written_as_rgb_jpeg(tmp_path):
    profile = table_profile(b"CMYK", paper)
    inks = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 255, 0, 0], [0, 0, 255, 0], [0, 0, 0, 255]]], np.uint8)
    expected = np.array([srgb_of_lab(*paper(*ink)) for ink in (inks[0] // 255).tolist()])
    image = read(saved(tmp_path / "a.tif", inks, profile, "CMYK"))
    assert np.abs(image.to_uint8().astype(int) - expected).max() <= 5
    assert np.abs(image.to_uint8().astype(int) - np.asarray(Pil.fromarray(inks, "CMYK").convert("RGB"))).max() > 60
    big = np.repeat(np.repeat(inks, 32, axis=0), 32, axis=1)
    Pil.fromarray(big, "CMYK").save(tmp_path / "a.jpg", quality=100, icc_profile=profile)
    photo = read(tmp_path / "a.jpg")
    assert np.abs(photo.to_uint8()[16, 16::32].astype(int) - image.to_uint8()[0]).max() <= 4
    assert photo.meta.icc == profile
    shown = Pil.open(write(photo, tmp_path / "b"))
    assert (shown.format, shown.mode, profile_name(shown)) == ("JPEG", "RGB", "sRGB built-in")


def test_cmyk_without_a_profile_is_read_as_pillow_does(tmp_path):
    inks = RNG.integers(0, 256, (8, 8, 4), dtype=np.uint8)
    image = read(saved(tmp_path / "a.tif", inks, None, "CMYK"))
    assert np.array_equal(image.to_uint8(), np.asarray(Pil.fromarray(inks, "CMYK").convert("RGB")))
    assert image.meta.icc is None


@pytest.mark.parametrize("bits", [8, 16])
def test_a_profile_of_tables_is_read_in_8_bits_and_replaced_by_srgb(tmp_path, bits):
    profile = table_profile(b"RGB ", lambda r, g, b: (100 * (r + g + b) / 3, 50 * (r - g), 50 * (g - b)))
    codes = CODES.astype(np.uint16) * 257 if bits == 16 else CODES
    tifffile.imwrite(tmp_path / "a.tif", codes, photometric="rgb", iccprofile=profile)
    image = read(tmp_path / "a.tif")
    assert np.abs(image.to_uint8().astype(int) - by_littlecms(CODES, profile)).max() <= 1
    assert image.meta.bits == 8  # ImageCms has 8 bits, so the result has 8 bits
    shown = Pil.open(write(image, tmp_path / "b"))
    assert profile_name(shown) == "sRGB built-in"
    assert np.array_equal(np.asarray(shown), image.to_uint8())


BROKEN = {
    "rubbish": b"rubbish" * 40,
    "cut": DISPLAY_P3[:200],
    "header only": DISPLAY_P3[:128],
    "curve missing": DISPLAY_P3.replace(b"gTRC", b"xxxx"),
    "curve of no kind": DISPLAY_P3.replace(b"para", b"none"),
    "flat foot of nothing": matrix_profile(P3, parametric(1, 2.2, 0.0, 0.0)),
    "for cmyk": table_profile(b"CMYK", paper),
    "for grey": grey_profile(gamma(1.8)),
}


@pytest.mark.parametrize("profile", BROKEN.values(), ids=BROKEN)
def test_a_profile_that_is_broken_or_for_other_channels_is_ignored(tmp_path, profile):
    image = read(saved(tmp_path / "a.png", CODES, profile))
    assert np.array_equal(image.to_uint8(), CODES)
    assert image.meta.icc is None
    assert "icc_profile" not in Pil.open(write(image, tmp_path / "b")).info


def test_an_rgb_profile_on_a_grey_picture_is_ignored(tmp_path):
    image = read(saved(tmp_path / "a.jpg", CODES[..., 0], DISPLAY_P3))
    assert image.meta.icc is None
    assert np.array_equal(image.to_uint8()[..., 0], np.asarray(Pil.open(tmp_path / "a.jpg")))


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "tiff"])
def test_no_profile_stays_no_profile(tmp_path, format):
    assert "icc_profile" not in Pil.open(write(Image.from_uint8(CODES), tmp_path / "a", format=format)).info


def test_bmp_holds_no_profile_so_its_numbers_are_srgb(tmp_path):
    image = read(saved(tmp_path / "a.png", CODES, DISPLAY_P3))
    assert np.array_equal(np.asarray(Pil.open(write(image, tmp_path / "b", format="bmp"))), image.to_uint8())


def test_the_srgb_profile_is_the_same_bytes_on_every_day(tmp_path):
    image = Image.from_uint8(CODES, Metadata(icc=table_profile(b"CMYK", paper)))
    profile = Pil.open(write(image, tmp_path / "a.png")).info["icc_profile"]
    assert struct.unpack(">6H", profile[24:36]) == (2000, 1, 1, 0, 0, 0)
