"""Colours of a pasted face: Lab, the ring's mean, the photograph's own tone."""

import numpy as np
import pytest
from photos import PHOTOS, noise

from odekit import read
from odekit.parts.faces.tone import lab_to_srgb, match_mean, match_tone, photo_curve, srgb_to_lab

FACE = read(PHOTOS / "astronaut.jpg").pixels[:, 60:188, 160:288]
ALL = np.ones(FACE.shape[1:], np.float32)


def test_lab_is_cie_lab_and_back():
    """sRGB's red, green, blue and white in Lab (D65), as published with the CIE's formulas (brucelindbloom.com)."""
    corners = np.eye(3, dtype=np.float32)[:, :, None]
    wanted = np.array([[53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86]])
    assert np.abs(srgb_to_lab(corners)[:, :, 0].T - wanted).max() < 0.05
    assert np.abs(srgb_to_lab(np.ones((3, 1, 1), np.float32))[:, 0, 0] - [100, 0, 0]).max() < 0.02
    pixels = noise(20, 20).pixels
    assert np.abs(lab_to_srgb(srgb_to_lab(pixels)) - pixels).max() < 1e-5


def test_a_shift_of_colour_is_taken_back():
    shifted = np.clip(FACE * 0.9 + np.array([0.06, 0.02, -0.01], np.float32)[:, None, None], 0, 1)
    ring = np.zeros_like(ALL)
    ring[:, :20] = 1
    back = srgb_to_lab(match_mean(shifted, FACE, ring))
    assert np.abs((back - srgb_to_lab(FACE))[:, :, :20].mean((1, 2))).max() < 0.5


def test_a_monochrome_photograph_stays_monochrome():
    grey = np.repeat(FACE.mean(0, keepdims=True), 3, axis=0)
    out = match_tone(FACE, grey, ALL, photo_curve(grey))
    assert np.abs(srgb_to_lab(out)[1:]).max() < 1.0


def test_a_sepia_photograph_stays_sepia():
    grey = FACE.mean(0)
    sepia = np.stack([grey**0.8, grey, grey**1.3]).astype(np.float32)
    out = match_tone(FACE, sepia, ALL, photo_curve(sepia))
    at = np.abs(srgb_to_lab(out)[0] - srgb_to_lab(sepia)[0]) < 5
    assert np.abs((srgb_to_lab(out) - srgb_to_lab(sepia))[1:, at]).mean() < 3


def test_a_faded_photograph_stays_faded():
    faded = (0.5 + 0.35 * (FACE - 0.5) + 0.3 * (FACE.mean(0) - FACE) * 0.35).astype(np.float32)
    out = match_tone(FACE, faded, ALL)
    assert srgb_to_lab(out)[0].std() < 1.3 * srgb_to_lab(faded)[0].std() < srgb_to_lab(FACE)[0].std()


def test_a_face_of_a_photograph_with_its_contrast_is_not_touched():
    assert match_tone(FACE, np.clip(FACE + 0.05, 0, 1), ALL) is FACE


def test_lab_keeps_the_type_and_float32_is_near_float64():
    pixels = noise(20, 20).pixels
    exact, fast = srgb_to_lab(pixels.astype(np.float64)), srgb_to_lab(pixels)
    assert (exact.dtype, fast.dtype) == (np.float64, np.float32)
    assert np.abs(exact - fast).max() < 1e-4


def test_no_photograph_in_colour_is_taken_for_a_toned_one():
    for name in ("astronaut.jpg", "portrait.jpg", "speakers.jpg"):
        assert photo_curve(read(PHOTOS / name).pixels) is None


@pytest.mark.parametrize(("deviation", "toned"), [(1.7, True), (3.2, False)])
def test_a_pale_photograph_in_colour_whose_chroma_nearly_follows_its_lightness_keeps_its_colours(deviation, toned):
    """As a blurred face before a dark ground: lips and cheeks are what differs, and was taken away."""
    lightness = np.tile(np.linspace(15, 80, 96, dtype=np.float32), (96, 1))
    redder = deviation * (-1.0) ** (np.arange(96)[:, None] // 12)
    photo = lab_to_srgb(np.stack([lightness, 5 + redder + 0 * lightness, 0.15 * lightness]))
    assert (photo_curve(photo) is not None) is toned


def test_noise_does_not_hide_a_tone():
    grey = read(PHOTOS / "portrait.jpg").pixels.mean(0)
    sepia = np.stack([grey**0.8, grey, grey**1.3])
    noisy = sepia + np.random.default_rng(0).normal(0, 0.1, sepia.shape)
    assert photo_curve(np.clip(noisy, 0, 1).astype(np.float32)) is not None


def test_a_photograph_in_full_colour_leaves_the_face_alone():
    assert np.abs(match_tone(FACE, np.clip(FACE * 1.02, 0, 1), ALL) - FACE).max() < 1e-5
