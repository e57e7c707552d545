"""How threads of the network wait for each other, and how many there are: chosen before torch is loaded.

By default the threads of OpenMP spin for milliseconds while they wait, which takes the processor from other programs,
and from the threads they wait for: with two busy programs on two cores a run takes three times as long. If they always
slept at once, waking them would take longer than many operations of a network. So they spin for about as long as a
wake-up takes; and where other programs use the processors when a command starts, they sleep at once. How they wait
changes no result. OpenMP reads these variables when torch is loaded; values of the user are kept.
"""

from __future__ import annotations

import os
import sys

from odekit.core.processors import WAITING, LoadWatch, read_quota, usable_processors

SPIN = 10_000
"""Rounds of waiting of GNU's implementation before a thread sleeps, some tenths of a millisecond, on a free machine."""
BUSY = 0.25
"""Share of the processors that other programs use from which threads sleep at once."""
THREADS = "OMP_NUM_THREADS"
watch = LoadWatch()
"""Begins when the command line is loaded, so that a command does not have to wait for it."""


def prepare_threads() -> bool:
    """Set the variables that are not set; False if torch is loaded, so that they no longer have an effect.

    The number of threads is set only where a container has a quota, which OpenMP does not see: it would start a thread
    for each processor of the machine. It does not depend on the load, because the last bits of results depend on it.
    """
    if "torch" in sys.modules:
        return False
    spin = 0 if watch.others() >= BUSY * usable_processors() else SPIN
    for name, value in zip(WAITING, ("PASSIVE", str(spin), "0"), strict=True):
        os.environ.setdefault(name, value)
    if read_quota() is not None:
        os.environ.setdefault(THREADS, str(usable_processors()))
    return True
