"""How much the result of an upsampler must gain before it may change how a person looks."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from odekit.core.image import Image
from odekit.core.interfaces import Tools

if TYPE_CHECKING:
    from odekit.parts.metrics.face_distance import FaceDistanceMetric

DESCRIPTOR = "face-descriptor"
"""Name of the weights of `face-distance`."""
SAFE_DISTANCE = 0.2
"""Face distance between a face and its result that costs nothing: two good pictures of a person differ by more."""
WEIGHT = 0.5
"""Weight of the distance beyond, the one that it has in `odekit calibrate act`. In a soft scan of 29 faces of 37 pixels
the detail moved faces by 0.3 to 0.5 and took spectacles off, for an expected gain of 0.1; blurred faces gain more."""


class IdentityRisk:
    """The metric `face-distance` between a face and its result, as a cost."""

    def __init__(self, tools: Tools) -> None:
        """Find the weights of the descriptor, which belong into the record. Raises WeightsError if they are missing."""
        self.tools = tools
        tools.weights(DESCRIPTOR)

    @functools.cached_property
    def metric(self) -> FaceDistanceMetric:
        """The metric; its network is loaded with the first result that is worth using."""
        from odekit.parts.metrics.face_distance import FaceDistance, FaceDistanceMetric

        return FaceDistanceMetric(FaceDistance(), self.tools)

    def of(self, original: Image, result: Image) -> dict[str, float]:
        """`moved`, the face distance, and `risk`, what the expected gain must exceed its threshold by.

        Empty where the distance means nothing.
        """
        moved = self.metric.between(original, result)
        return {} if moved is None else {"moved": moved, "risk": round(WEIGHT * max(0.0, moved - SAFE_DISTANCE), 4)}
