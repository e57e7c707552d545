"""Check whether a square picture is an aligned face or a whole photograph that happens to be square.

`restore` reduces every picture to the size of its prior, so a group photograph would become an unusable 64-pixel
picture. The aligner recognises a face that fills the frame in one network call, which takes milliseconds. Only if it
does not, because the picture is a photograph or heavily damaged, the detector searches the picture for faces.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from odekit.core.image import Image
from odekit.core.interfaces import Tools
from odekit.errors import PluginError
from odekit.images.resize import area_resize_image
from odekit.parts.faces.aligner import Aligner, stability
from odekit.parts.faces.aligner_network import SIDE
from odekit.parts.faces.detector import BuiltinFaceDetector
from odekit.parts.faces.geometry import TEMPLATES, Frame
from odekit.parts.faces.options import BuiltinDetector

MIN_SIDE = 160
"""Smaller pictures are not checked: they contain no face large enough to be cropped."""
SEARCH_SIDE = 480
"""Side at which the detector searches, in pixels."""
MIN_SCORE = 0.4
"""Smallest score of the whole picture (face score times landmark agreement) for which it is an aligned face."""
MIN_FACE_FRACTION = 0.66
"""A picture is accepted if it contains a face whose aligned crop has more than this fraction of the picture's side."""


class AlignedFaceCheck:
    """Distinguishes aligned faces from whole photographs. The networks are loaded on first use."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools

    @cached_property
    def aligner(self) -> Aligner:
        """Scores the whole picture as one face."""
        return Aligner("aligner", self.tools)

    @cached_property
    def detector(self) -> BuiltinFaceDetector:
        """Searches the picture for smaller faces."""
        return BuiltinFaceDetector(BuiltinDetector(turned=False), self.tools)

    def reasons(self, images: Sequence[Image]) -> list[str]:
        """For each picture, the reason why it is not an aligned face; '' if it is one, or if that is unknown.

        It is unknown if the picture is smaller than 160 pixels, if no face is detected (heavy damage), or if OpenCV is
        not installed.
        """
        large = [i for i, image in enumerate(images) if min(image.height, image.width) >= MIN_SIDE]
        reasons = [""] * len(images)
        if not large:
            return reasons
        crops = np.stack([area_resize_image(images[i], SIDE, SIDE).pixels for i in large])
        for i, (inner, score) in zip(large, self.aligner.predict(crops), strict=True):
            reasons[i] = "" if score * stability(inner) >= MIN_SCORE else self._faces_within(images[i])
        return reasons

    def _faces_within(self, image: Image) -> str:
        """Describe the faces in a picture that does not score as one; '' if a face fills it or none is detected."""
        side = min(SEARCH_SIDE, image.height, image.width)
        small = area_resize_image(image, side, side)
        try:
            faces = self.detector.detect(small)
        except PluginError:
            return ""
        sides = [Frame.fit(face.points, TEMPLATES["ffhq-5"]).side / side for face in faces if face.points]
        if not sides or max(sides) > MIN_FACE_FRACTION:
            return ""
        faces_text = "a face was found in it" if len(sides) == 1 else f"{len(sides)} faces were found in it"
        return f"{faces_text}, {max(sides):.0%} as wide as an aligned one"
