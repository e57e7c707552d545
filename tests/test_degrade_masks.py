"""Masks, scratches and stains: what they hit, and that every option has an effect."""

from __future__ import annotations

import numpy as np
import pytest
from degrade_faces import faces

from odekit.errors import ConfigError
from odekit.parts.corruptions.kinds import SEVERITIES, corrupt

BIG = np.full((400, 400, 3), 255, np.uint8)
"""Masks draw levels 0 to 254, so whatever is hit differs from 255."""


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_masks_hit_eight_percent_per_severity(severity):
    hit = (corrupt(BIG, "mask_pixels", severity, rng()) != BIG).any(-1)
    assert hit.mean() == pytest.approx(0.08 * severity, abs=0.005)
    columns = corrupt(np.full((2, 40000, 3), 255, np.uint8), "mask_lines", severity, rng())[0] != 255
    assert columns.mean() == pytest.approx(0.08 * severity, abs=0.01)


def test_pixels_get_one_colour_and_leave_the_rest_alone():
    face = faces()[0]
    damaged = corrupt(face, "mask_pixels", 4, rng())
    changed = damaged[(damaged != face).any(-1)]
    assert len(np.unique(changed, axis=0)) == 1


def test_pixels_can_have_each_its_colour_or_a_given_one():
    each = corrupt(BIG, "mask_pixels", 4, rng(), colour="each")
    assert len(np.unique(each[(each != 255).any(-1)], axis=0)) > 1000
    red = corrupt(BIG, "mask_pixels", 4, rng(), colour=(200, 10, 20), fraction=0.5)
    assert (red == [200, 10, 20]).all(-1).mean() == pytest.approx(0.5, abs=0.01)


def test_a_mask_per_channel_hits_channels_apart():
    together = corrupt(BIG, "mask_pixels", 4, rng(), colour=(0, 0, 0)) != 255
    apart = corrupt(BIG, "mask_pixels", 4, rng(), colour=(0, 0, 0), per_channel=True) != 255
    assert (together.all(-1) == together.any(-1)).all()
    assert apart.any(-1).mean() == pytest.approx(1 - 0.68**3, abs=0.01)


def test_lines_are_whole_columns_each_channel_by_itself():
    damaged = corrupt(BIG, "mask_lines", 4, rng())
    assert (damaged == damaged[:1]).all()
    hit = damaged[0] != 255
    assert (hit.any(-1) != hit.all(-1)).any()
    assert len(np.unique(damaged[0][hit[:, 0], 0])) > 50
    whole = corrupt(BIG, "mask_lines", 4, rng(), per_channel=False, colour="one")[0]
    assert len(np.unique(whole[(whole != 255).any(-1)], axis=0)) == 1


def test_the_gaussian_mask_is_half_black_and_its_spread_can_be_set():
    grey = np.full((400, 400, 3), 128, np.uint8)
    damaged = corrupt(grey, "mask_gaussian", 5, rng(), fraction=1.0)
    assert (damaged == 0).mean() == pytest.approx(0.5, abs=0.01)
    assert (damaged == 255).mean() == pytest.approx(0.1587, abs=0.01)  # P(N > 1)
    narrow = corrupt(grey, "mask_gaussian", 5, rng(), fraction=1.0, std=20.0)
    assert narrow[narrow > 0].mean() == pytest.approx(20 * np.sqrt(2 / np.pi), abs=1.0)
    joint = (corrupt(grey, "mask_gaussian", 2, rng()) != 128).any(-1).mean()
    apart = (corrupt(grey, "mask_gaussian", 2, rng(), per_channel=True) != 128).any(-1).mean()
    assert joint == pytest.approx(0.16, abs=0.01)
    assert apart > 2 * joint


@pytest.mark.parametrize("colour", ["red", (1, 2), (0, 0, 256), (0.5, 0, 0), None])
def test_a_colour_that_is_none_is_refused(colour):
    with pytest.raises(ConfigError, match="'one', 'each' or three whole numbers"):
        corrupt(BIG, "mask_pixels", 1, rng(), colour=colour)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_scratches_are_thin_and_reach_far(severity):
    grey = np.full((128, 128, 3), 128, np.uint8)
    hit = np.array([(corrupt(grey, "scratches", severity, rng(i)) != 128).any(-1) for i in range(12)])
    assert 0.005 * severity < hit.mean() < 0.09 * severity
    assert hit.any(axis=2).mean() > 0.5  # rows with a scratch somewhere: most lines are upright


def test_scratches_bare_bright_paper_or_are_dark():
    grey = np.full((128, 128, 3), 128, np.uint8)
    damaged = corrupt(grey, "scratches", 5, rng(1))
    assert damaged.max() > 200
    assert damaged.min() < 60
    assert (damaged[..., 0] >= damaged[..., 2])[damaged[..., 0] > 150].all()  # old paper is warm


def test_stains_only_take_light_and_blue_first():
    for seed, face in enumerate(faces()[::16]):
        damaged = corrupt(face, "stains", 5, rng(seed)).astype(int)
        assert (damaged <= face).all()
    white = corrupt(np.full((128, 128, 3), 255, np.uint8), "stains", 5, rng())
    stained = white[white[..., 2] < 200]
    assert len(stained) > 500
    assert (stained[:, 0] >= stained[:, 1]).all()
    assert (stained[:, 1] >= stained[:, 2]).all()
