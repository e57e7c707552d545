"""Peak signal-to-noise ratio of arrays and tensors."""

from __future__ import annotations

import math
from typing import Any


def psnr(a: Any, b: Any, peak: float = 1.0) -> float:
    """`10 log10(peak^2 / mean((a - b)^2))` in dB, over all values of two arrays or tensors of one shape.

    Infinite if they are equal. `peak` is the width of the range of values: 1 for pixels in [0, 1], 2 for states.
    """
    return psnr_of(float(((a - b) ** 2).mean()), peak)


def psnr_of(mse: float, peak: float = 1.0) -> float:
    """The PSNR in dB of a mean squared error; infinite for 0."""
    return math.inf if mse == 0 else -10 * math.log10(mse / peak**2)
