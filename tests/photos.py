"""What tests of whole photographs share: example photographs, their faces, and quick sub-chains."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from odekit.core.image import Image
from odekit.core.interfaces import Face
from odekit.parts.faces.geometry import TEMPLATES, Frame

PHOTOS = Path(__file__).parent.parent / "examples" / "photos"
BOXES = {
    "speakers.jpg": [[267, 121, 393, 292], [879, 68, 1010, 217]],
    "portrait.jpg": [[189, 142, 398, 387]],
    "astronaut.jpg": [[174.6, 71.4, 271.9, 176.6]],
}
"""Eyebrows to chin, ear to ear, drawn by hand."""
POINTS = {"astronaut.jpg": [[202.0, 102.0], [247.6, 103.7], [225.0, 132.5], [200.7, 139.7], [246.2, 142.2]]}
"""From a landmark model, checked by eye."""


def noise(height: int, width: int, seed: int = 0) -> Image:
    """A photograph of nothing: smooth random colours."""
    rng = np.random.Generator(np.random.Philox(seed))
    small = rng.random((height // 8 + 2, width // 8 + 2, 3))
    big = np.kron(small, np.ones((8, 8, 1)))[:height, :width]
    return Image(np.ascontiguousarray(big.transpose(2, 0, 1)).astype(np.float32))


class At:
    """A detector that returns given faces."""

    frames: list[Frame] = []

    def __init__(self, options: object = None, tools: object = None) -> None:
        """Nothing to load."""

    def detect(self, image: Image) -> list[Face]:
        """The class's frames."""
        from odekit.parts.faces.detector import face_from_frame

        return [face_from_frame(frame, 0.9 - 0.01 * i) for i, frame in enumerate(self.frames)]


def points(frame: Frame) -> np.ndarray:
    return frame.place(TEMPLATES["ffhq-5"])
