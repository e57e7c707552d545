"""What a known face looks like where something hides it."""

from __future__ import annotations

import numpy as np

from odekit.core.image import KnownFace, Pixels
from odekit.images.resize import square_resize


def uncovered(crop: Pixels, known: KnownFace | None) -> Pixels:
    """An aligned face (3, S, S) with what `KnownFace.behind` shows where it is not `visible`."""
    if known is None or known.visible is None or known.behind is None:
        return crop
    side = crop.shape[1]
    seen = np.clip(square_resize(known.visible[None], side), 0, 1)
    behind = square_resize(known.behind, side)
    filled: Pixels = np.clip(behind + seen * (crop - behind), 0, 1).astype(np.float32)
    return filled
