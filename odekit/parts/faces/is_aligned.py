"""Is a square picture an aligned face, or a whole photograph that happens to be square?

`restore` makes every picture as small as its prior is: a group of people would come back as a smear of 64 pixels.
A face that fills the frame is seen by the aligner at one look, which costs milliseconds; only where it is not, because
the picture is a photograph or the damage heavy, are faces searched for elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from odekit.core.image import Image
from odekit.core.interfaces import Tools
from odekit.errors import PluginError
from odekit.images.resize import area_resized
from odekit.parts.faces.aligner import Aligner, steady
from odekit.parts.faces.aligner_network import SIDE
from odekit.parts.faces.detector import Builtin
from odekit.parts.faces.geometry import TEMPLATES, Frame
from odekit.parts.faces.options import BuiltinDetector

MIN_SIDE = 160
"""Smaller pictures hold no face that could be cut out of them: they are taken as they are."""
SEARCH_SIDE = 480
"""Side at which faces are searched for, in pixels."""
PLAIN = 0.4
"""Score of the whole picture, and of its points lying where they should, from which it is an aligned face."""
LARGE = 0.66
"""Side of a face's aligned crop over the picture's from which the picture may pass as that crop."""


class AlignedFaceCheck:
    """Tells aligned faces from whole photographs. The networks are loaded when first needed."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools

    @cached_property
    def aligner(self) -> Aligner:
        """Looks at the whole picture as one face."""
        return Aligner("aligner", self.tools)

    @cached_property
    def detector(self) -> Builtin:
        """Searches smaller faces in it."""
        return Builtin(BuiltinDetector(turned=False), self.tools)

    def why_not(self, images: Sequence[Image]) -> list[str]:
        """For each picture why it is no aligned face, or '' where it is one, or where that cannot be told.

        It cannot be told where the picture is smaller than 160 pixels, where no face is found at all (a face under
        much damage), or where OpenCV is not installed.
        """
        large = [i for i, image in enumerate(images) if min(image.height, image.width) >= MIN_SIDE]
        reasons = [""] * len(images)
        if not large:
            return reasons
        crops = np.stack([area_resized(images[i], SIDE, SIDE).pixels for i in large])
        for i, (inner, score) in zip(large, self.aligner.look(crops), strict=True):
            reasons[i] = "" if score * steady(inner) >= PLAIN else self._faces_within(images[i])
        return reasons

    def _faces_within(self, image: Image) -> str:
        """The faces of a picture that does not look like one, in words; '' where one fills it or none is found."""
        side = min(SEARCH_SIDE, image.height, image.width)
        small = area_resized(image, side, side)
        try:
            faces = self.detector.detect(small)
        except PluginError:
            return ""
        sides = [Frame.fit(face.points, TEMPLATES["ffhq-5"]).side / side for face in faces if face.points]
        if not sides or max(sides) > LARGE:
            return ""
        found = "a face was found in it" if len(sides) == 1 else f"{len(sides)} faces were found in it"
        return f"{found}, {max(sides):.0%} as wide as an aligned one"
