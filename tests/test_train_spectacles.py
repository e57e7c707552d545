"""Spectacles that are drawn on training faces: where they lie, what stays, how often."""

from dataclasses import replace

import numpy as np
import pytest

from odekit.parts.faces.geometry import TEMPLATES
from odekit.training.data.guided_faces import draw_face
from odekit.training.data.spectacles import Spectacles, draw_at_random, put_on, superellipse
from odekit.training.options.guided import GuidedDamageOptions

ROUND = Spectacles(0.1, 0.08, 2.0, 0.012, False, (0, 0, 0), 1.0, (0, 0), 0.0, 0.0, 0.2, 0.0, 0.0)
FACE = np.full((3, 128, 128), 0.6, np.float32)


def at(pixels, x, y):
    return pixels[0, round(y * 128 - 0.5), round(x * 128 - 0.5)]


def test_rims_surround_the_eyes_and_the_rest_stays():
    worn = put_on(FACE, ROUND)
    for x, y in TEMPLATES["ffhq-5"][:2]:
        assert at(worn, x, y) == pytest.approx(0.6)
        for dx, dy in ((0.1, 0), (-0.1, 0), (0, 0.08), (0, -0.08)):
            assert at(worn, x + dx, y + dy) < 0.2
    assert np.array_equal(worn[:, 90:], FACE[:, 90:]) and np.array_equal(worn[:, :40], FACE[:, :40])


def test_half_rims_have_no_lower_half():
    worn = put_on(FACE, replace(ROUND, half_rim=True))
    x, y = TEMPLATES["ffhq-5"][0]
    assert at(worn, x, y - 0.08) < 0.2 and at(worn, x, y + 0.08) == pytest.approx(0.6)


def test_tint_and_reflection_lie_behind_the_rims():
    x, y = TEMPLATES["ffhq-5"][0]
    assert at(put_on(FACE, replace(ROUND, tint=-0.1)), x, y) == pytest.approx(0.5)
    brighter = put_on(FACE, replace(ROUND, reflection=0.5)) - put_on(FACE, ROUND)
    assert brighter.min() >= -1e-6 and brighter.max() == pytest.approx(0.2, abs=0.01)


def test_light_from_above_draws_a_gleam_on_the_rims_and_a_shadow_below_them():
    x, y = TEMPLATES["ffhq-5"][0]
    gleaming = put_on(FACE, replace(ROUND, gleam=0.8)) - put_on(FACE, ROUND)
    assert gleaming.min() >= -1e-6 and gleaming.max() > 0.3
    assert gleaming[0].sum() == pytest.approx(gleaming[0][: round(128 * 0.6)].sum())
    darker = put_on(FACE, ROUND) - put_on(FACE, replace(ROUND, shadow=0.4))
    assert darker.min() >= -1e-6
    assert at(darker, x, y + 0.08 + 0.015) > 0.02 and at(darker, x, y + 0.03) < 0.01


def test_large_exponents_are_nearly_rectangles():
    assert np.abs(superellipse(2)).sum(1).max() == pytest.approx(2**0.5, abs=0.01)
    assert np.abs(superellipse(8)).sum(1).max() > 1.8
    assert superellipse(2)[12] == pytest.approx([0, 1], abs=1e-9)  # downwards first


def test_drawn_spectacles_differ_and_are_a_function_of_the_generator():
    one, again, other = (draw_at_random(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one == again != other
    for seed in range(200):
        assert 0 <= put_on(np.ones_like(FACE), draw_at_random(np.random.default_rng(seed))).min() < 0.95


def test_so_many_training_faces_wear_them():
    options = GuidedDamageOptions(share=0, clean=1, grey=0, toned=0, jitter=0, hue=0, spectacles=0.3, in_front=0)
    picture = np.full((64, 64, 3), 150, np.uint8)
    worn = [np.ptp(draw_face(picture, None, 64, 16, options, np.random.default_rng(i)).truth) > 0 for i in range(400)]
    assert np.mean(worn) == pytest.approx(0.3, abs=0.06)
