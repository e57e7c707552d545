"""Helpers for tests of training: tiny runs on the CPU, and columns of their logs."""

import csv

import numpy as np
import pytest
import torch

from odekit.training import loop
from odekit.training.distributed import SingleProcess


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tiny networks are faster on one thread. Active in each module that imports it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def changed(options, **changes):
    """A validated copy of the options with some changes."""
    return type(options).model_validate({**options.model_dump(), **changes})


def train(task, folder, resume=False, watch=None):
    """A run of one process on the CPU."""
    return loop.train(task, folder, resume=resume, team=SingleProcess("cpu"), watch=watch)


def column(folder, name="loss", file="log.csv"):
    """A column of a log of a run, as text."""
    with (folder / file).open() as table:
        return [row[name] for row in csv.DictReader(table)]


def discs(count, side, centres, radii):
    """Pictures (count, side, side, 3) of a light disc on a dark ground: sharp edges that a network can learn."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:side, 0:side]
    images = np.empty((count, side, side, 3), dtype=np.uint8)
    for image in images:
        centre, radius = rng.uniform(*centres, 2), rng.uniform(*radii)
        inside = (np.hypot(x - centre[0], y - centre[1]) < radius)[..., None]
        image[:] = np.where(inside, rng.uniform(150, 250, 3), rng.uniform(5, 100, 3))
    return images


class Dies(loop.NoProgress):
    """Interrupts a run after its eleventh step."""

    def step_done(self, step, outcome):
        if step == 11:
            raise KeyboardInterrupt
