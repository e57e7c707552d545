"""Inputs of which one kills whoever reads it. A module, so that workers can import it."""

import os
import signal
from pathlib import Path

from odekit_ray.objects import Objects

from odekit.runs.files import read_input


def read_or_die(file, max_megapixels, salvage=False):
    if "poison" in Path(file).name:
        os.kill(os.getpid(), signal.SIGKILL)
    return read_input(file, max_megapixels, salvage)


class Poisonous(Objects):
    read = staticmethod(read_or_die)
