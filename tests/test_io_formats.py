"""GIF, AVIF and HEIC are read; of several frames or pages the first; results are written as PNG."""

import io
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pil
from PIL import ImageCms
from test_io_colour import DISPLAY_P3

from odekit.core.image import Image
from odekit.errors import InputError, OdekitWarning
from odekit.images import face_sets
from odekit.images.formats import heif, names
from odekit.images.io import IMAGE_SUFFIXES, read, read_file, write

HEIC = Path(__file__).parent / "data" / "heic"
MAKE, ORIENTATION = 0x010F, 0x0112


def drawn(height=48, width=64):
    """The picture from which the files of `data/heic` were made."""
    y, x = np.mgrid[:height, :width]
    return np.stack([y * 5, x * 3 + 30, (x + y) * 2], axis=-1).astype(np.uint8)


def in_srgb(codes, profile):
    """Samples of a profile as sRGB integers, by LittleCMS."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return np.asarray(
        ImageCms.profileToProfile(Pil.fromarray(codes), source, ImageCms.createProfile("sRGB"), ImageCms.Intent(1))
    )


def mean_difference(image, codes):
    return np.abs(image.to_uint8().astype(int) - codes).mean()


@pytest.fixture
def with_heif():
    pytest.importorskip("pi_heif")


def test_the_first_frame_of_a_gif_is_read_with_its_transparency(tmp_path):
    codes = np.zeros((20, 30), np.uint8)
    codes[5:, 10:] = 1
    first, second = (Pil.fromarray(codes, "P"), Pil.fromarray(1 - codes, "P"))
    for frame in (first, second):
        frame.putpalette([200, 30, 40, 10, 220, 90])
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second], transparency=0)
    content = read_file(tmp_path / "a.gif")
    assert content.notes == ("holds several frames; only the first was read",)
    assert (content.image.meta.format, content.image.meta.bits) == ("GIF", 8)
    assert np.array_equal(content.image.alpha, codes)
    assert np.array_equal(content.image.to_uint8()[codes == 1], np.full(((codes == 1).sum(), 3), (10, 220, 90)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_is_turned_once_and_its_profile_converted(tmp_path, orientation):
    exif = Pil.Exif()
    exif[MAKE], exif[ORIENTATION] = "Kiev", orientation
    options = {"quality": 100, "subsampling": "4:4:4", "speed": 10, "icc_profile": DISPLAY_P3}
    Pil.fromarray(drawn()).save(tmp_path / "a.avif", exif=exif.tobytes(), **options)
    image = read(tmp_path / "a.avif")
    turned = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.transpose(1, 0, 2),
              6: lambda a: np.rot90(a, 3), 7: lambda a: np.rot90(a, 2).transpose(1, 0, 2), 8: np.rot90}  # fmt: skip
    assert mean_difference(image, turned[orientation](in_srgb(drawn(), DISPLAY_P3))) < 1.5
    assert mean_difference(image, turned[orientation](drawn())) > 5
    written = Pil.open(write(image, tmp_path / "out"))
    assert (written.format, written.getexif()[MAKE], written.getexif().get(ORIENTATION, 1)) == ("PNG", "Kiev", 1)
    assert written.info["icc_profile"] == DISPLAY_P3


def test_an_orientation_in_the_xmp_of_an_avif_does_not_count(tmp_path):
    """ISO/IEC 23000-22, 7.3.6.7: the orientation is that of the file's properties."""
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    Pil.fromarray(drawn()).save(tmp_path / "a.avif", quality=100, speed=10, xmp=xmp)
    assert read(tmp_path / "a.avif").width == 64


def test_heic_is_turned_once_and_its_profile_converted(with_heif, tmp_path):
    image = read(HEIC / "turned-p3.heic")  # orientation 6: rotated by a quarter turn, and noted in EXIF as well
    assert image.meta.format == "HEIF"
    assert mean_difference(image, np.rot90(in_srgb(drawn(), DISPLAY_P3), 3)) < 1.5
    assert mean_difference(image, np.rot90(drawn(), 3)) > 5
    written = Pil.open(write(image, tmp_path / "out"))
    assert (written.format, written.getexif()[MAKE], written.getexif().get(ORIENTATION, 1)) == ("PNG", "Kiev", 1)
    assert written.info["icc_profile"] == DISPLAY_P3


def test_the_alpha_of_heic_is_kept(with_heif):
    image = read(HEIC / "alpha.heic")
    assert np.abs(image.alpha - np.where(np.arange(64) < 32, 1, 64 / 255)).max() < 0.06


def test_the_main_picture_of_several_is_read(with_heif):
    content = read_file(HEIC / "several.heic")
    assert content.notes == ("holds 3 pictures; only its main picture was read",)
    assert mean_difference(content.image, drawn()) < 8


def test_without_the_package_one_line_says_what_to_install(tmp_path, monkeypatch):
    for package in heif.PACKAGES:
        monkeypatch.setitem(sys.modules, package, None)
    heif._class.cache_clear()
    with pytest.raises(
        InputError, match=r"turned-p3\.heic: is a HEIC picture; to read these, pip install 'odekit\[heif\]'"
    ):
        read(HEIC / "turned-p3.heic")
    heif._class.cache_clear()


def test_the_size_of_heic_is_refused_before_it_is_decoded(with_heif, monkeypatch):
    opener = heif.opener()
    monkeypatch.setattr(opener, "load", None)
    with pytest.raises(InputError, match=r"has 48 x 64 pixels, 0\.0 megapixels, over the limit of 0\.003"):
        read(HEIC / "turned-p3.heic", max_megapixels=0.003)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated_heic_is_one_line(with_heif, tmp_path, share):
    data = (HEIC / "turned-p3.heic").read_bytes()
    (tmp_path / "a.heic").write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError, match="is damaged or incomplete"):
        read(tmp_path / "a.heic")


@pytest.mark.parametrize(("format", "note"), [
    ("PNG", "holds 3 frames; only the first was read"), ("WEBP", "holds 3 frames; only the first was read"),
    ("AVIF", "holds 3 frames; only the first was read"), ("TIFF", "holds several pages; only the first was read"),
])  # fmt: skip
def test_of_several_frames_the_first_is_read_and_python_is_warned(tmp_path, format, note):
    first, *rest = [Pil.fromarray(drawn() // n) for n in (1, 2, 3)]
    options = {"lossless": True} if format == "WEBP" else {"quality": 100, "speed": 10} if format == "AVIF" else {}
    first.save(tmp_path / "a", format, save_all=True, append_images=rest, **options)
    with pytest.warns(OdekitWarning, match=f"a: {note}"):
        image = read(tmp_path / "a")
    assert mean_difference(image, drawn()) <= (1 if format == "AVIF" else 0)
    Pil.fromarray(drawn()).save(tmp_path / "b", format)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(tmp_path / "b")


def test_every_suffix_that_is_read_is_in_one_list():
    assert {".jpe", ".jfif", ".gif", ".avif", ".heic", ".heif"} <= names.READABLE
    assert IMAGE_SUFFIXES is names.READABLE and face_sets.FACE_SUFFIXES is names.READABLE
    assert not names.READABLE & set(names.UNSUPPORTED)
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in {*names.READABLE, *names.UNSUPPORTED})


@pytest.mark.parametrize("name", ["a.jpe", "a.jfif", "a.gif", "a.avif", "a.heic"])
def test_a_face_set_reads_the_same_formats(tmp_path, name):
    if name.endswith("heic"):
        pytest.importorskip("pi_heif")
        (tmp_path / name).write_bytes((HEIC / "several.heic").read_bytes())
        assert face_sets.read(tmp_path, 32).bad == ("a.heic: 64 x 48, not square",)
        return
    picture = Pil.fromarray(drawn(32, 32))
    picture.save(tmp_path / name, "JPEG" if name[2] == "j" else None)
    found = face_sets.read(tmp_path, 32)
    assert (found.names, found.bad) == ((name,), ())
    assert found.images.shape == (1, 32, 32, 3)


@pytest.mark.parametrize("quality", [75, 95, 100])
@pytest.mark.parametrize("shape", [(300, 400), (900, 700), (3, 40_000), (60_000, 5)])
def test_noise_is_written_as_jpeg_too(quality, shape, tmp_path, capfd):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    path = write(Image.from_uint8(noise), tmp_path / "a.jpg", quality=quality)
    assert read(path).pixels.shape == (3, *shape)
    assert capfd.readouterr().err == ""  # libjpeg's words about a buffer that is too small


def test_a_jpeg_that_is_larger_than_foreseen_is_written_without_tables_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setattr("odekit.images.formats.encode._fits_optimised", lambda picture, quality: True)
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    assert read(write(Image.from_uint8(noise), tmp_path / "a.jpg")).pixels.shape == (3, 400, 400)
