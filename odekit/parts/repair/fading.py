"""Fading: an old print whose blacks have become grey and whose whites have darkened.

The luma between the darkest and the lightest places is stretched to the whole range, linearly. The colours of a toned
print follow from its tone (`odekit.images.tone`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from odekit.core.image import Pixels
from odekit.images.colour import luma

TAIL = 0.5
"""Percentage of the pixels that are darker than the black point, and of those lighter than the white point: dust and
cracks, not the print."""
MARGIN = 0.06
"""Width of the border that is not measured, in fractions of each side: mounts and white paper margins."""
DARK, LIGHT = 0.05, 0.95
"""Black and white points of a restored print."""
LEAST_BLACK, MOST_WHITE = 0.1, 0.9
"""A print is not faded if its black point is darker or its white point lighter: fog and bright motifs are no fading."""
MOST_GAIN = 2.0
"""Greatest stretching; more makes grain and JPEG blocks visible."""


@dataclass(frozen=True)
class Fading:
    """Black and white point of a picture, in luma from 0 to 1."""

    black: float
    white: float

    @property
    def lost(self) -> float:
        """Share of the range of luma that is not used, 0 to 1; 0 if the blacks are black or the whites are white."""
        faded = self.black >= LEAST_BLACK and self.white <= MOST_WHITE
        return 1 - (self.white - self.black) if faded else 0.0

    def undo(self, pixels: Pixels) -> Pixels:
        """Pixels (3, H, W) in [0, 1], stretched; differences of the channels grow with the luma's."""
        gain = min(MOST_GAIN, (LIGHT - DARK) / max(self.white - self.black, 1e-3))
        out: Pixels = np.clip((pixels - np.float32(self.black)) * np.float32(gain) + np.float32(DARK), 0, 1)
        return out.astype(np.float32, copy=False)


def measure_fading(pixels: Pixels) -> Fading:
    """Black and white point of a picture (3, H, W) in [0, 1], without its border."""
    height, width = pixels.shape[1:]
    y, x = round(MARGIN * height), round(MARGIN * width)
    inner = luma(pixels[:, y : height - y, x : width - x])
    black, white = np.percentile(inner, (TAIL, 100 - TAIL))
    return Fading(float(black), float(white))
