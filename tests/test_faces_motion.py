"""Motion blur of aligned faces: the line is found in the spectrum, and undone."""

import numpy as np
import pytest

from odekit.core.image import Image
from odekit.evaluation.experiments.faces import face_set
from odekit.parts.corruptions.kinds import corrupt
from odekit.parts.repair.motion import SIDE, Line, find_line, remove_line, undo_motion

FACES = [Image.from_uint8(picture) for picture in face_set(None, 64).test[:6]]


def rounded(pixels):
    return Image.from_uint8((np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0))


def moved(image, line):
    flat = image.pixels.reshape(3, -1).T
    return rounded((line.matrix() @ flat).T.reshape(3, SIDE, SIDE))


def psnr(a, b):
    return -10 * np.log10(np.mean((a - b) ** 2))


def hurt(image, kind, **options):
    return Image.from_uint8(corrupt(image.to_uint8(), kind, 4, np.random.Generator(np.random.Philox(1)), **options))


def test_the_family_holds_the_corruption_of_this_name():
    face = FACES[0]
    same = moved(face, Line(2.5, 30, True))
    assert np.abs(same.pixels - hurt(face, "motion_blur", angle=30).pixels).max() <= 1.01 / 255


@pytest.mark.parametrize("line", [Line(2.5, 30, True), Line(5, -60, False)], ids=["fading", "even"])
def test_a_line_keeps_constant_pictures_and_its_response_at_0_is_1(line):
    ones = np.ones((SIDE**2, 1))
    assert line.matrix() @ ones == pytest.approx(ones)
    assert line.response()[0, 0] == pytest.approx(1)


def test_with_the_true_line_the_mean_solves_the_normal_equations():
    from scipy.fft import dctn, idctn

    from odekit.parts.repair.motion import LEVEL, SLOPE, WIENER_NOISE

    line, face = Line(2.0, 20, True), FACES[1]
    y = moved(face, line).pixels.astype(np.float64)
    mean = y.mean((1, 2), keepdims=True)
    x = remove_line(y.astype(np.float32), line)
    k = np.arange(SIDE)
    own = (np.maximum(np.hypot(k[:, None], k), 1) / (2 * SIDE)) ** SLOPE / LEVEL
    planes = (x - mean).reshape(3, -1).T
    blurred = (line.matrix().T @ (line.matrix() @ planes - (y - mean).reshape(3, -1).T)).T.reshape(y.shape)
    prior = idctn(own * dctn(x - mean, axes=(1, 2), norm="ortho"), axes=(1, 2), norm="ortho")
    gradient = blurred / WIENER_NOISE**2 + prior
    assert np.abs(gradient).max() < 0.02 * np.abs(prior).max()
    assert psnr(x, face.pixels) > psnr(y, face.pixels) + 10


@pytest.mark.parametrize("angle", [-70, -40, 0, 25, 80])
def test_the_angle_is_found(angle):
    lines = [find_line(moved(face, Line(2.5, angle, True)).pixels)[0] for face in FACES]
    found = [line for line in lines if line is not None]
    assert len(found) >= 5
    off = [abs((line.angle - angle + 90) % 180 - 90) for line in found]
    assert max(off) <= 8
    assert np.median(off) <= 4


def test_motion_blur_is_undone_by_6_decibels_and_no_face_loses():
    angles = (-40, -20, 0, 10, 30, 44)
    pairs = [(face, hurt(face, "motion_blur", angle=angle)) for face, angle in zip(FACES, angles, strict=True)]
    gains = []
    for face, damaged in pairs:
        sharp, facts = undo_motion(damaged)
        assert (sharp is damaged) == (not facts)
        gains.append(psnr(sharp.pixels, face.pixels) - psnr(damaged.pixels, face.pixels))
    assert np.mean(gains) > 6
    assert min(gains) >= 0


@pytest.mark.parametrize("kind", ["jpeg", "elastic", "glass_blur", "gaussian_blur", "gaussian_noise", "pixelate"])
def test_other_damage_is_left_alone_bit_for_bit(kind):
    for face in FACES:
        damaged = hurt(face, kind)
        assert undo_motion(damaged) == (damaged, {})


def test_undamaged_faces_and_pictures_of_one_colour_are_left_alone_bit_for_bit():
    grey = Image(np.full((3, SIDE, SIDE), 0.5, np.float32))
    for image in (*FACES, grey):
        same, facts = undo_motion(image)
        assert same is image
        assert facts == {}


def test_other_sizes_are_left_alone():
    large = Image(np.random.default_rng(0).random((3, 96, 96)).astype(np.float32))
    assert undo_motion(large) == (large, {})
