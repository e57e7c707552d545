"""Helpers for tests of training: tiny runs on the CPU, and columns of their logs."""

import csv

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
