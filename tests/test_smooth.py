"""Blur and means of small planes are those of scipy."""

import subprocess
import sys

import numpy as np
import pytest
from photos import PHOTOS
from scipy.ndimage import gaussian_filter, uniform_filter

from odekit.images.smooth import gaussian, window_mean


@pytest.mark.parametrize("shape", [(9, 30), (64, 64), (31, 7)])
def test_they_are_those_of_scipy(shape):
    plane = np.random.Generator(np.random.Philox(0)).random(shape)
    for width in (3, 5, 9, 23):
        assert window_mean(plane, width) == pytest.approx(uniform_filter(plane, width), abs=1e-12)
        assert window_mean(plane, width, "edge") == pytest.approx(
            uniform_filter(plane, width, mode="nearest"), abs=1e-12
        )
    for sigma in (0.7, 1.2, 4.9):
        assert gaussian(plane, sigma) == pytest.approx(gaussian_filter(plane, sigma), abs=1e-12)
        levels = (plane * 255).astype(np.uint8)
        assert gaussian(levels, sigma) == pytest.approx(gaussian_filter(levels.astype(float), sigma), abs=1e-9)


def test_a_face_that_is_left_needs_no_scipy(tmp_path):
    code = "import sys; from odekit.__main__ import main; from odekit.cli import startup; startup.leave = lambda code: print(any(name.startswith('scipy') for name in sys.modules), file=sys.stderr); main()"  # fmt: skip
    command = [sys.executable, "-c", code, "run", "photo", str(PHOTOS / "portrait.jpg"), "-o", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stderr.split()[-1] == "False", done.stderr
