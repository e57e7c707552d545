"""`Image.faces`, `Image.track` and `Image.decided`: what hosts of moving pictures decide instead of the stages."""

from dataclasses import replace

import numpy as np
import PIL.Image
import pytest
from photos import PHOTOS, noise, points
from test_faces_stage import LEFT, RIGHT

import odekit
from odekit import Chain, Image
from odekit.core.image import KnownFace
from odekit.parts.faces.visible import uncovered
from odekit.parts.repair.denoise import DenoiseStage
from odekit.parts.repair.options import Mend

SAMPLED = {"restore": {"inverter": {"use": "ode", "steps": 4}, "enhancer": {"use": "langevin", "levels": [0], "iterations": 3}}}  # fmt: skip


def known(frame, track="", **decided):
    place = points(frame)
    low, high = place.min(0) - 10, place.max(0) + 10
    return KnownFace((*low, *high), tuple(map(tuple, place)), track, decided=decided)


def with_faces(photo, *faces, **more):
    return Image(photo.pixels, origin=more.pop("origin", ""), faces=faces, **more)


def chain(*each, prior="mixture"):
    options = {
        "detect": "builtin",
        "each": list(each),
        "tone": "free",
        "paste": {"match_colour": "none", "detail": 0.0},
    }
    return Chain([{"faces": options}], priors={"face": {"use": prior, "side": 16}})


def test_given_faces_are_restored_where_no_detector_would_find_any():
    photo = noise(140, 210)
    result = chain(SAMPLED).run([with_faces(photo, known(LEFT), known(RIGHT))])[0]
    assert [face["number"] for face in result.record["stages"][0]["faces"]] == [1, 2]
    changed = np.abs(result.image.pixels - photo.pixels).max(0) > 0
    assert changed[70, 60] and changed[70, 150] and not changed[5, 5]


def test_what_hides_a_face_stays_as_it_is():
    """`KnownFace.visible` covers the aligned face, whatever its own size."""
    photo, seen = noise(140, 210), np.ones((8, 8), np.float32)
    seen[:, :4] = 0
    half, whole = (
        np.abs(chain(SAMPLED).run([with_faces(photo, face)])[0].image.pixels - photo.pixels).max(0)
        for face in (replace(known(LEFT), visible=seen), known(LEFT))
    )
    middle = round(float(points(LEFT)[2, 0]))
    np.testing.assert_allclose(half[:, middle + 20 :], whole[:, middle + 20 :], atol=1e-5)
    assert half[:, middle + 20 :].any()
    assert not half[:, : middle - 20].any() and whole[:, : middle - 20].any()


def test_the_chain_sees_the_hidden_part_of_a_face_as_other_pictures_show_it():
    """`KnownFace.behind` and `visible` may have any size; what is seen of the face is its own."""
    seen, crop = np.ones((8, 8), np.float32), np.full((3, 32, 32), 0.2, np.float32)
    seen[:, :4] = 0
    face = replace(known(LEFT), visible=seen, behind=np.full((3, 16, 16), 0.9, np.float32))
    filled = uncovered(crop, face)
    assert np.allclose(filled[:, :, :12], 0.9, atol=1e-6) and np.allclose(filled[:, :, 20:], 0.2, atol=1e-6)
    for other in (None, known(LEFT), replace(face, behind=None), replace(face, visible=None)):
        assert uncovered(crop, other) is crop


def test_given_no_faces_none_are_searched():
    photo = odekit.read(PHOTOS / "astronaut.jpg")
    with pytest.warns(odekit.errors.OdekitWarning, match="no face"):
        result = chain(SAMPLED).run([with_faces(photo)])[0]
    assert np.array_equal(result.image.pixels, photo.pixels)


def test_a_track_has_the_same_noise_in_every_picture_and_under_every_number():
    """Two different pictures with the same face: its result is the same, though it is face 1 in one and 2 in the other."""
    one = noise(140, 210, 1)
    two = Image(one.pixels.copy())
    two.pixels[:, :4, :4] = 0.5
    first = chain(SAMPLED).run([with_faces(one, known(LEFT, "a"))])[0].image.pixels
    second = chain(SAMPLED).run([with_faces(two, known(RIGHT, "b"), known(LEFT, "a"))])[0].image.pixels
    other = chain(SAMPLED).run([with_faces(two, known(LEFT, "c"))])[0].image.pixels
    inside = (slice(None), slice(50, 90), slice(40, 80))
    assert np.array_equal(first[inside], second[inside])
    assert not np.array_equal(first[inside], other[inside])


def test_a_face_for_which_nothing_was_decided_to_be_done_is_left_out():
    photo = noise(140, 210)
    faces = known(LEFT, restore=False, detail=False), known(RIGHT)
    result = chain(SAMPLED).run([with_faces(photo, *faces)])[0]
    entries = result.record["stages"][0]["faces"]
    assert entries[0]["left_out"] == "left as it is: decided before" and "left_out" not in entries[1]
    assert np.array_equal(result.image.pixels[:, :, :100], photo.pixels[:, :, :100])


@pytest.mark.parametrize(("decided", "calls"), [(None, 2), (True, 6), (False, 0)])
def test_blind_treats_a_face_as_it_was_decided(decided, calls):
    """A good face is left untouched after two calls, unless it was decided before."""
    face = odekit.read(sorted((PHOTOS.parent / "clean").glob("*.png"))[0])
    face = odekit.as_image(face.to_pil().resize((64, 64), PIL.Image.Resampling.BOX))
    face = Image(face.pixels, decided={} if decided is None else {"restore": decided})
    made = Chain.load("odedit-auto", ["restore.first={use: blind, steps: 6}", "restore.occlusions=keep"])
    entry = made.run([face])[0].record["stages"][0]
    assert entry["blind"]["untouched"] is (decided is not True)
    assert entry["calls"] in (calls, calls + 1 if decided else calls)


def test_denoise_does_what_was_decided():
    clean = noise(96, 96)
    rng = np.random.Generator(np.random.Philox(2))
    noisy = np.clip(clean.pixels + 0.1 * rng.standard_normal(clean.pixels.shape, dtype=np.float32), 0, 1)
    faint = np.clip(clean.pixels + 0.01 * rng.standard_normal(clean.pixels.shape, dtype=np.float32), 0, 1)
    left = DenoiseStage().denoise(Image(noisy, decided={"noise": False, "impulses": False}))
    assert np.array_equal(left[0].pixels, noisy) and left[1] == {"denoised": False}
    assert DenoiseStage().denoise(Image(faint))[1]["denoised"] is False
    treated = DenoiseStage().denoise(Image(faint, decided={"noise": True}))[1]
    assert treated["denoised"] == (treated["noise"] > 0)


def test_mend_does_what_was_decided():
    from odekit.evaluation.degrade.recipe import damage

    blocky = damage(odekit.read(PHOTOS / "astronaut.jpg"), "jpeg", 0, 5)
    mend = Chain([{"mend": {}}])
    assert "blocks" in mend.run([blocky])[0].record["stages"][0]["mended"]
    left = Image(blocky.pixels, decided=dict.fromkeys(("blocks", "blur", "fading", "scratches"), False))
    result = mend.run([left])[0]
    assert result.record["stages"][0]["mended"] == [] and np.array_equal(result.image.pixels, blocky.pixels)
    assert Mend().scratches is False


def test_mend_removes_the_blocks_of_the_quality_that_is_known():
    from odekit.evaluation.degrade.recipe import damage

    blocky = damage(odekit.read(PHOTOS / "astronaut.jpg"), "jpeg", 0, 5)
    mend = Chain([{"mend": {"blur": False}}])
    found = mend.run([blocky])[0]
    quality = found.record["stages"][0]["quality"]
    same, other = (mend.run([Image(blocky.pixels, quality=q)])[0] for q in (quality, quality + 20))
    assert other.record["stages"][0]["quality"] == quality + 20
    assert np.array_equal(same.image.pixels, found.image.pixels)
    assert not np.array_equal(other.image.pixels, found.image.pixels)


def test_a_guided_upsampler_does_what_was_decided():
    face = odekit.read(next((PHOTOS.parent / "clean").glob("*.png")))
    face = odekit.as_image(face.to_pil().resize((256, 256)))
    made = Chain([{"upsample": "face-guided"}])
    for decided, act in ((True, True), (False, False)):
        result = made.run([Image(face.pixels, decided={"detail": decided})])[0]
        assert result.record["stages"][0]["detail"]["act"] is act
        assert np.array_equal(result.image.pixels, face.pixels) is not act
