"""Faces under too much light: what was there is lost, and a prior of faces takes what is left for rubbish."""

from __future__ import annotations

import numpy as np

from odekit.core.image import Pixels
from odekit.parts.repair.occlusion import SATURATED, ellipse, extreme

BURNT = 0.08
"""`burnt_share` from which a face is burnt out. Nine faces of five healthy photographs have 0.10 to 0.47 under 1.5 to
2.2 times their light; those of 93 photographs as they were taken have at most 0.02."""


def burnt_share(face: Pixels) -> float:
    """Share of an aligned face (3, H, W), inside the ellipse, in which some channels are burnt out and others are not.

    Too much light passes the end of the range of one channel after the other. Areas count, not single pixels, and not
    pure colours, as of paint: so noise and masks have none.
    """
    high = np.pad((face >= 1 - SATURATED).astype(np.float32), ((0, 0), (1, 1), (1, 1)), mode="edge")
    burnt = extreme(np.minimum, high) > 0
    partly = np.asarray(burnt.any(0) & ~burnt.all(0) & (face > SATURATED).all(0))
    return float(partly[ellipse(*partly.shape)].mean())
