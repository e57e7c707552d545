"""The stage `keep-identity`: a face that moved too far from the person in the original is treated more gently."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from odekit.core.image import Image
from odekit.core.interfaces import StageContext, Tools
from odekit.images.resize import resized
from odekit.parts.stages.options import KeepIdentity

SHARES = (0.75, 0.5, 0.25)
"""Shares of the result in a mixture with the original, tried in turn."""


class KeepIdentityStage:
    """Mixes results with their originals until the metric `face-distance` between them is at most `max_shift`."""

    def __init__(self, options: KeepIdentity, tools: Tools) -> None:
        """Load the descriptor. Raises WeightsError if its weights are missing."""
        from odekit.parts.metrics.face_distance import FaceDistance, FaceDistanceMetric

        self.options = options
        self.metric = FaceDistanceMetric(FaceDistance(), tools)

    def run(self, batch: Sequence[Image], context: StageContext) -> list[Image]:
        """The faces, or mixtures with their originals, or the originals."""
        return [self._kept(i, image, context) for i, image in enumerate(batch)]

    def _kept(self, i: int, result: Image, context: StageContext) -> Image:
        original = context.originals[i]
        moved = self.metric.between(original, result)
        if moved is None or moved <= self.options.max_shift:
            context.note(i, identity={"moved": moved, "share": 1.0})
            return result
        size = (result.height, result.width)
        same_size = (original.height, original.width) == size
        # `with_pixels` keeps what else belongs to the result, such as its file's metadata.
        start = original if same_size else result.with_pixels(resized(original, *size, "bicubic").pixels)
        for share in SHARES:
            pixels = start.pixels + np.float32(share) * (result.pixels - start.pixels)
            mixture = result.with_pixels(pixels.astype(np.float32))
            left = self.metric.between(original, mixture)
            if left is not None and left <= self.options.max_shift:
                context.note(i, identity={"moved": moved, "share": share, "left": left})
                return mixture
        context.note(i, identity={"moved": moved, "share": 0.0})
        return start
