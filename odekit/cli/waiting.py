"""How threads of the network wait for each other: asleep instead of spinning.

By default the threads of OpenMP spin while they wait, which takes the processor from other programs, and from the
threads they wait for: with two busy programs on two cores a run takes twice as long. OpenMP reads these variables when
torch is loaded; values that the user has set are kept.
"""

from __future__ import annotations

import os
import sys

PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0"}
"""Variables of OpenMP, of GNU's and of Intel's and LLVM's implementation."""


def wait_passively() -> bool:
    """Set the variables that are not set; False if torch is loaded, so that they no longer have an effect."""
    if "torch" in sys.modules:
        return False
    for name, value in PASSIVE.items():
        os.environ.setdefault(name, value)
    return True
