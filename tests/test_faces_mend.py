"""The stage `mend`: clean photographs stay bit for bit, JPEG blocks and scratches are detected and removed."""

import json
import sys
import tracemalloc

import numpy as np
import pytest
import torch
from photos import PHOTOS

from odekit import Chain, read
from odekit.core.image import Image, Metadata
from odekit.errors import InputError, PluginError, WeightsError
from odekit.images.colour import luma
from odekit.images.resize import enlarge_blocks
from odekit.parts.corruptions.kinds import corrupt
from odekit.parts.repair import damage_signs, deblock, scratches
from odekit.parts.repair.mend import NEIGHBOUR_WEIGHT, MendStage, detection_copy, dilate, reduce_mask
from odekit.parts.repair.options import Mend
from odekit.parts.repair.scratches import ScratchDetector
from odekit.testing import StandaloneTools

PHOTO = read(PHOTOS / "astronaut.jpg")
FACE = (slice(None), slice(40, 264), slice(120, 344))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def print_of(photo):
    """The photograph as an old print: R, G and B are powers of its luma, rounded to 8 bits."""
    y = luma(photo.pixels)
    return photo.with_pixels(
        Image.from_uint8(np.stack([255 * y**e for e in (0.85, 1, 1.25)], 2).round().astype(np.uint8)).pixels
    )


def cut(photo, part=FACE):
    return photo.with_pixels(np.ascontiguousarray(photo.pixels[part]))


def bad(photo, kind, severity, seed=3):
    rng = np.random.Generator(np.random.Philox(seed))
    return photo.with_pixels(Image.from_uint8(corrupt(photo.to_uint8(), kind, severity, rng, "224")).pixels)


PRINT = print_of(PHOTO)


def psnr(a, b):
    return -10 * np.log10(np.mean((a.pixels - b.pixels) ** 2))


def through(photo, **options):
    result = Chain([{"mend": options}]).run([photo])[0]
    return result.image, result.record["stages"][0]


# --- what it does


@pytest.mark.parametrize("name", ["astronaut.jpg", "portrait.jpg", "speakers.jpg"])
def test_an_undamaged_photograph_passes_bit_for_bit(name):
    photo = read(PHOTOS / name)
    image, facts = through(photo)
    assert image.pixels is photo.pixels
    assert facts["mended"] == [] and facts["blocks"] < 2.2
    assert "scratches" not in facts  # not searched


@pytest.mark.parametrize("name", ["astronaut.jpg", "speakers.jpg"])
def test_an_undamaged_photograph_passes_bit_for_bit_where_scratches_are_searched(name):
    for photo in (read(PHOTOS / name), print_of(read(PHOTOS / name))):
        image, facts = through(photo, scratches="auto")
        assert image.pixels is photo.pixels
        assert facts["scratches_left"]


def test_scratches_stay_unless_asked_for():
    damaged = bad(PHOTO, "scratches", 3)
    assert through(damaged)[0].pixels is damaged.pixels
    photo, old = (Chain.load(name).spec.items[0].options for name in ("photo", "old-photo"))
    assert photo.scratches is False and old.scratches == "auto"
    assert Chain.load("photo", ["mend.scratches=true"]).spec.items[0].options.scratches is True


@pytest.mark.parametrize("severity,gain", [(1, 0.3), (3, 0.4)])
def test_a_compressed_photograph_comes_nearer_to_the_truth(severity, gain):
    damaged = bad(PHOTO, "jpeg", severity)
    image, facts = through(damaged)
    assert facts["mended"] == ["blocks"]
    assert psnr(image, PHOTO) > psnr(damaged, PHOTO) + gain


def test_scratches_of_a_print_are_filled_and_the_rest_stays_bit_for_bit():
    damaged = bad(PRINT, "scratches", 4)
    image, facts = through(damaged, scratches="auto")
    assert facts["mended"] == ["scratches"] and facts["scratches"] >= 2
    assert psnr(image, PRINT) > psnr(damaged, PRINT) + 2
    touched = (image.pixels != damaged.pixels).any(0)
    assert 0.005 < touched.mean() < 0.3
    assert facts["scratched_share"] <= touched.mean()


def test_in_a_picture_in_colour_scratches_are_filled_only_where_the_person_says_so():
    damaged = bad(PHOTO, "scratches", 4)
    left, facts = through(damaged, scratches="auto")
    assert left.pixels is damaged.pixels and "in colour" in facts["scratches_left"]
    image, facts = through(damaged, scratches=True)
    assert facts["mended"] == ["scratches"] and psnr(image, PHOTO) > psnr(damaged, PHOTO) + 1


def test_a_picture_in_colour_is_asked_once_where_no_scratch_shows(monkeypatch):
    """Scratches of pictures in colour are only reported with `auto`: the other seven orientations decide nothing."""
    asked = []
    detect = ScratchDetector.detect

    def counted(self, pixels, orientations=scratches.ORIENTATIONS):
        asked.append(orientations)
        return detect(self, pixels, orientations)

    monkeypatch.setattr(ScratchDetector, "detect", counted)
    expected = {"no marks": [1], "marks": [1, 8], "monochrome": [8], "asked for": [8]}
    plain = read(PHOTOS / "speakers.jpg")
    cases = {"no marks": (plain, "auto"), "monochrome": (PRINT, "auto"), "asked for": (PHOTO, True)}
    for name, (photo, switch) in (cases | {"marks": (bad(PHOTO, "scratches", 4), "auto")}).items():
        asked.clear()
        facts = through(photo, scratches=switch)[1]
        assert asked == expected[name], name
        assert (facts["scratches"] > 0) == (name == "marks")


def test_blocks_go_first_and_scratches_are_found_after():
    damaged = bad(bad(PRINT, "scratches", 5), "jpeg", 1)
    image, facts = through(damaged, scratches=True)
    assert facts["mended"] == ["blocks", "scratches"]
    assert psnr(image, PRINT) > psnr(through(damaged, scratches=False)[0], PRINT) + 0.5


@pytest.mark.parametrize("kind,severity", [("gaussian_noise", 1), ("motion_blur", 2), ("contrast", 3)])
def test_other_damage_is_left_to_others(kind, severity):
    damaged = bad(PHOTO, kind, severity)
    image, facts = through(damaged)
    assert image.pixels is damaged.pixels and facts["mended"] == []


def test_grey_stays_grey_and_alpha_and_bits_stay():
    grey = np.repeat(PHOTO.pixels[:1, 100:228, 100:228], 3, axis=0)
    alpha = np.full((128, 128), 0.5, np.float32)
    damaged = Image(np.ascontiguousarray(grey), alpha, Metadata(grey=True, bits=16))
    grey[:, 60:63, 20:] = 0.97
    for how in ({"blocks": True}, {"scratches": True, "sure": 0.05}):
        image, facts = through(damaged, **how)
        assert facts["mended"]
        assert np.array_equal(image.pixels[0], image.pixels[1]) and np.array_equal(image.pixels[0], image.pixels[2])
        assert image.alpha is damaged.alpha and image.meta == damaged.meta


def test_values_between_the_levels_of_8_bits_are_carried():
    fine = Image(np.clip(cut(PHOTO).pixels * 0.9 + np.float32(0.3 / 255), 0, 1))
    image, _ = through(fine, blocks=True, scratches=False)
    flat = np.abs(image.pixels - fine.pixels) < 0.2 / 255
    assert flat.mean() > 0.05  # where compression changes nothing, the fraction of a level stays
    assert np.abs(image.pixels * 255 - np.rint(image.pixels * 255)).mean() > 0.02


def test_large_photographs_are_searched_in_a_copy(monkeypatch):
    damaged = bad(PRINT, "scratches", 5)
    usual = through(damaged, scratches=True)[0]
    monkeypatch.setattr("odekit.parts.repair.mend.DETECTION_SIDE", 256)
    image, facts = through(damaged, scratches=True)
    assert facts["mended"] == ["scratches"] and image.pixels.shape == damaged.pixels.shape
    assert not np.array_equal(image.pixels, usual.pixels)
    assert psnr(image, PRINT) > psnr(damaged, PRINT) + 1


def test_a_block_of_a_reduced_mask_has_any_masked_pixel():
    mask = np.zeros((7, 10), bool)
    mask[2, 5] = mask[6, 9] = True
    reduced = reduce_mask(mask, (3, 4))
    assert np.argwhere(reduced).tolist() == [[0, 1], [2, 3]]


def test_a_copy_has_the_means_of_areas_and_comes_back_in_place(monkeypatch):
    monkeypatch.setattr("odekit.parts.repair.mend.DETECTION_SIDE", 15)
    y, x = np.mgrid[0:62, 0:75]
    ramp = Image(np.stack([x / 75, y / 62, x * 0]).astype(np.float32))
    small = detection_copy(ramp)
    assert small.pixels.shape == (3, 16, 19)
    assert small.pixels[0, 3, 3] == pytest.approx(ramp.pixels[0, 12:16, 12:16].mean())
    assert np.abs(enlarge_blocks(small.pixels, 62, 75) - ramp.pixels)[:, 4:-4, 4:-4].max() < 0.01
    assert detection_copy(Image(ramp.pixels[:, :20])).height == 20


# --- options


def test_each_option_has_its_effect():
    blocky, scratched = bad(PHOTO, "jpeg", 3), bad(PRINT, "scratches", 4)
    few = {"blocks": False, "scratches": False}
    for photo, name, least in ((blocky, "blocks", 50.0), (scratched, "scratches", 1000.0)):
        assert through(photo, **few)[0].pixels is photo.pixels
        assert through(photo, **few | {name: "auto"})[1]["mended"] == [name]
        assert through(photo, **few | {name: "auto", f"least_{name}": least})[0].pixels is photo.pixels
        assert through(photo, **few | {name: True, f"least_{name}": least})[1]["mended"] == [name]


def test_the_amount_and_the_sureness_have_their_effect():
    scratched = bad(PHOTO, "scratches", 4)
    usual, facts = through(scratched, scratches=True, sure=0.5)
    half = through(scratched, scratches=True, sure=0.5, amount=0.5)[0]
    assert np.abs((usual.pixels + scratched.pixels) / 2 - half.pixels).max() < 1e-6
    surer = through(scratched, scratches=True, sure=0.9)[0]
    assert (surer.pixels != scratched.pixels).sum() < (usual.pixels != scratched.pixels).sum()
    assert facts["scratches"] > 0 and "scratches_left" not in facts


def test_the_record_says_why_scratches_were_left():
    facts = through(bad(PRINT, "scratches", 4), scratches="auto", least_scratches=1000.0)[1]
    assert facts["scratches"] > 0 and facts["scratched_share"] > 0 and facts["mended"] == []
    assert "is below mend.least_scratches 1000" in facts["scratches_left"]
    flat = Image(np.full((3, 64, 64), 0.5, np.float32))
    assert through(flat, scratches=True)[1]["scratches_left"] == "none found"


def test_where_scratches_stay_no_network_is_needed(tmp_path):
    assert Mend(scratches=False).weight_names() == [] and Mend(scratches="auto").weight_names() == ["mend"]
    assert through(cut(PHOTO), scratches=False, weights=f"{tmp_path}/none")[1]["mended"] == []


@pytest.mark.parametrize(
    "options,words",
    [
        ({"blocks": "some"}, "blocks"),
        ({"sure": 1.0}, "less than 1"),
        ({"amount": 0}, "greater than 0"),
        ({"block": 1}, "blocks"),
    ],
)
def test_wrong_options_are_refused(options, words):
    with pytest.raises(Exception, match=words):
        Chain([{"mend": options}])


# --- tiles


@pytest.fixture(scope="module")
def network():
    return ScratchDetector("mend", StandaloneTools())


def test_tiles_leave_no_trace(network, monkeypatch):
    pixels = bad(PHOTO, "scratches", 3).pixels
    logit = network.detect(pixels)
    monkeypatch.setattr(scratches, "TILE", 128)
    assert np.abs(network.detect(pixels) - logit).max() < 0.05


def test_a_prediction_turns_with_the_photograph(network):
    pixels = bad(PHOTO, "scratches", 3).pixels[:, :256, :256]
    turned = network.detect(np.ascontiguousarray(np.rot90(pixels, 1, (1, 2))))
    assert np.abs(np.rot90(turned, -1) - network.detect(pixels)).max() < 1e-3


def test_a_pixel_does_not_depend_on_the_size_of_the_photograph(network, monkeypatch):
    monkeypatch.setattr(scratches, "TILE", 64)
    large, small = (network.detect(PHOTO.pixels[:, :s, :s]) for s in (320, 256))
    assert np.abs(large[:64, :64] - small[:64, :64]).max() < 1e-4


def test_tiles_of_blocks_leave_no_trace(monkeypatch):
    blocky = bad(cut(PHOTO), "jpeg", 3)
    part = blocky.with_pixels(np.ascontiguousarray(blocky.pixels[:, 3:, 5:]))
    whole = deblock.remove_blocks(part, (5, 3), 15)
    monkeypatch.setattr(deblock, "TILE", 64)
    assert np.array_equal(deblock.remove_blocks(part, (5, 3), 15), whole)


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (7, 9), (17, 64)])
def test_small_pictures_pass(shape):
    photo = Image(np.random.Generator(np.random.Philox(0)).random((3, *shape), dtype=np.float32))
    assert through(photo, blocks=True, scratches=True, sure=0.01)[0].pixels.shape == photo.pixels.shape
    assert through(photo)[0].pixels.shape == photo.pixels.shape


# --- signs


@pytest.mark.parametrize("offset", [0, 3, 5])
def test_blocks_are_seen_wherever_they_begin_with_their_quality(offset):
    assert damage_signs.measure_blocks(cut(PHOTO).pixels).strength < 2.2
    values = []
    for severity, quality in ((1, 25), (2, 18), (3, 15)):
        part = bad(cut(PHOTO), "jpeg", severity).pixels[:, offset:, offset:]
        seen = damage_signs.measure_blocks(part)
        values.append(seen.strength)
        assert seen.origin == (-offset % 8, -offset % 8)
        assert deblock.estimate_quality(part, seen.origin) == quality
    assert 3 < values[0] < values[1] < values[2]


def test_a_photograph_that_was_not_compressed_tells_no_quality():
    rng = np.random.Generator(np.random.Philox(0))
    assert deblock.estimate_quality(rng.random((3, 128, 128), dtype=np.float32), (0, 0)) is None
    assert deblock.estimate_quality(rng.random((3, 5, 128), dtype=np.float32), (0, 0)) is None


@pytest.mark.parametrize("sampling", [0, 2])
def test_the_chroma_subsampling_is_detected(sampling):
    level = np.ascontiguousarray(cut(PHOTO).to_uint8())
    once = deblock.recompress(level, 40, sampling)
    assert deblock.estimate_subsampling(Image.from_uint8(once).pixels, (0, 0), 40) == sampling


@pytest.mark.parametrize("kind", ["gaussian_noise", "gaussian_blur", "scratches", "contrast"])
def test_other_damage_is_no_blocks(kind):
    assert damage_signs.measure_blocks(bad(cut(PHOTO), kind, 2).pixels).strength < 2.2


def test_plain_pictures_have_no_blocks():
    assert damage_signs.measure_blocks(np.full((3, 64, 64), 0.5, np.float32)).strength == pytest.approx(0, abs=1e-6)
    assert damage_signs.measure_blocks(np.full((3, 5, 9), 0.5, np.float32)).strength == 1.0


def test_blocks_of_a_large_photograph_are_measured_in_bands(monkeypatch):
    """The same strength, in the memory of some bands."""
    part = bad(cut(PHOTO), "jpeg", 2).pixels
    whole = damage_signs.measure_blocks(part)
    monkeypatch.setattr(damage_signs, "BAND", 7 * part.shape[2])
    banded = damage_signs.measure_blocks(part)
    assert banded.origin == whole.origin and banded.strength == pytest.approx(whole.strength, rel=1e-5)
    monkeypatch.undo()
    large = np.zeros((3, 1500, 2000), np.float32)
    tracemalloc.start()
    try:
        damage_signs.measure_blocks(large)
        assert tracemalloc.get_traced_memory()[1] < 30 * damage_signs.BAND
    finally:
        tracemalloc.stop()


def test_of_what_is_beside_a_mask_only_one_pixel_changes():
    mask = np.zeros((30, 30), bool)
    mask[:, 15] = True
    assert np.flatnonzero(dilate(mask)[10]).tolist() == [14, 15, 16]
    assert np.flatnonzero(dilate(mask, 3)[10]).tolist() == list(range(12, 19))
    assert 0 < NEIGHBOUR_WEIGHT < 1


# --- bad input


def test_weights_of_another_network_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="no such weights folder"):
        MendStage(Mend(scratches=True, weights=f"{tmp_path}/none"), StandaloneTools())
    (tmp_path / "odekit.json").write_text(json.dumps({"kind": "compact", "scale": 4}))
    with pytest.raises(WeightsError, match="not a scratch network"):
        MendStage(Mend(scratches=True, weights=f"{tmp_path}/"), StandaloneTools())


def test_values_that_are_not_finite_are_reported(network, monkeypatch):
    stage = MendStage(Mend(scratches=True), StandaloneTools())
    monkeypatch.setattr(stage.detector, "_run", lambda pixels: np.full(pixels.shape[1:], np.nan, np.float32))

    class Context:
        def note(self, i, **facts):
            pass

    with pytest.raises(InputError, match="returned NaN or infinite values"):
        stage.run([cut(PHOTO)], Context())


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(PluginError, match=r"odekit\[photos\]"):
        MendStage(Mend(scratches=True), StandaloneTools())
    MendStage(Mend(), StandaloneTools())
