"""`python -m benchmarks noise`: what is measured, what is reached, and the noise that is added."""

import numpy as np
import pytest
from photos import PHOTOS

from benchmarks import noise as bench
from odekit.images.io import read

PHOTO = bench.middle(read(PHOTOS / "portrait.jpg"), 256)


def test_figures_of_a_photograph(monkeypatch):
    white = next(kind for kind in bench.KINDS if kind.name == "white")
    few = (bench.KINDS[0], bench.Kind("white", (0.1,), white.add, tolerance=white.tolerance))
    monkeypatch.setattr(bench, "KINDS", few)
    table = bench.measure([PHOTO])
    none, noisy = table.rows
    assert none["most"] < 0.02 and none["before"] == np.inf
    assert noisy["least"] == pytest.approx(0.1, rel=0.15) and noisy["gain"] > 8
    assert noisy["after"] == pytest.approx(noisy["before"] + noisy["gain"])
    assert all(goal.reached for goal in table.goals) and len(table.goals) == 2


@pytest.mark.parametrize("kind", [kind for kind in bench.KINDS if kind.name != "none"], ids=lambda kind: kind.name)
def test_the_noise_is_what_its_name_says(kind):
    flat = np.full((3, 128, 128), 0.5, np.float32)
    added = kind.add(flat, kind.amounts[0], np.random.Generator(np.random.Philox(0))) - flat
    wanted = {
        "white": kind.amounts[0], "grain": bench.GRAIN_STD, "jpeg": bench.JPEG_STD,
        "salt and pepper": 0.5 * np.sqrt(kind.amounts[0]), "replaced": np.sqrt(kind.amounts[0] / 12),
    }[kind.name]  # fmt: skip
    assert added.std() == pytest.approx(wanted, rel=0.3 if kind.name == "jpeg" else 0.1)
