"""What tests of training share: tiny runs on the processor, and columns of their logs."""

import csv

import pytest
import torch

from odekit.training import loop
from odekit.training.distributed import SingleProcess


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tiny networks are faster on one thread, above all beside other work. A module that imports it has it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def changed(options, **changes):
    """The same options but for some, checked again."""
    return type(options).model_validate({**options.model_dump(), **changes})


def train(task, folder, resume=False, watch=None):
    """A run of one process on the processor."""
    return loop.train(task, folder, resume=resume, team=SingleProcess("cpu"), watch=watch)


def column(folder, name="loss", file="log.csv"):
    """A column of a run's table as text."""
    with (folder / file).open() as table:
        return [row[name] for row in csv.DictReader(table)]
