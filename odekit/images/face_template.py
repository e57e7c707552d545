"""Where the points of an aligned face lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FFHQ_5: NDArray[np.float64] = (
    np.array(
        [
            [192.98138, 239.94708],
            [318.90277, 240.19360],
            [256.63416, 314.01935],
            [201.26117, 371.41043],
            [313.08905, 371.15118],
        ]
    )
    / 512
)
"""(5, 2), x and y as fractions of the side: eyes (left and right in the picture), nose, corners of the mouth. The usual
alignment of face restorers trained on FFHQ (the 512-pixel coordinates are those of facexlib, MIT)."""
