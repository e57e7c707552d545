"""The detector `builtin`: cascades propose, the aligner refines and scores, one face stays where several agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from odekit.core.image import Image
from odekit.core.interfaces import Face, Tools
from odekit.parts.faces.aligner import Aligner, from_box
from odekit.parts.faces.cascades import copies, proposals
from odekit.parts.faces.geometry import TEMPLATES, Frame, Points
from odekit.parts.faces.options import BuiltinDetector
from odekit.parts.faces.select import distinct, same

POINTS = TEMPLATES["ffhq-5"]
HEAD = np.array([[0.22, 0.266], [0.78, 0.917]])
"""Ear to ear and brows to chin, in fractions of the aligned crop: the box of a face."""
MANUAL = (0.5, 0.5915, 0.651)
"""Where such a box lies in the aligned crop: middle and longer side (see `aligner.BOX`)."""

LEAST = 0.2
"""Proposals that the aligner finds less face-like than this do not count."""
DOUBT = 7.0
"""Odds that a single proposal must overcome."""


class Builtin:
    """See `odekit.core.interfaces.FaceDetector`."""

    def __init__(self, options: BuiltinDetector, tools: Tools) -> None:
        """Raises WeightsError where the aligner's weights are missing."""
        self.options = options
        self.aligner = Aligner(self.options.weights, tools)

    def detect(self, image: Image) -> Sequence[Face]:
        """All faces of a photograph, best first.

        Raises:
            PluginError: OpenCV is not installed.
        """
        o = self.options
        frames = [f for copy in copies(image.pixels, o.largest_side, o.turned) for f in proposals(copy, o.smallest)]
        return self.judged(image, frames, o.score, 0.4)

    def judged(self, image: Image, frames: Sequence[Frame], score: float, limit: float) -> list[Face]:
        """Rough frames of a photograph as faces, best first; those below the score and doubles are dropped."""
        found = [face_of(frame, s) for frame, s in self.aligner.refine(image.pixels, frames) if sane(frame, image)]
        found = [face for face in found if face.score >= LEAST]
        kept = [agreed(face, sum(same(face.box, f.box, limit) for f in found)) for face in distinct(found, limit)[0]]
        return sorted((face for face in kept if face.score >= score), key=lambda face: -face.score)

    def given(self, image: Image, box: Sequence[float]) -> Face:
        """The face in a box that a person drew (ear to ear, brows to chin), whatever its score."""
        start = from_box(box, MANUAL)
        frame, score = self.aligner.refine(image.pixels, [start])[0]
        near = math.dist(frame.centre, start.centre) < 0.3 * start.side and 0.6 < frame.side / start.side < 1.6
        return face_of(frame if near else start, score)


def agreed(face: Face, proposals: int) -> Face:
    """The face with a score that counts how many proposals led to it: odds times their number, over a constant.

    One cascade's single proposal is wrong far more often than not; a face is mostly proposed at several sizes.
    """
    odds = face.score / max(1 - face.score, 1e-6) * proposals / DOUBT
    return replace(face, score=round(odds / (1 + odds), 4))


def face_of(frame: Frame, score: float) -> Face:
    """A frame as a face: the template's points in it, and its box."""
    places: Points = frame.place(POINTS)
    centre = frame.place(HEAD.mean(0)[None])[0]
    half = frame.side * (HEAD[1] - HEAD[0]) / 2
    (x0, y0), (x1, y1) = centre - half, centre + half
    return Face(
        (float(x0), float(y0), float(x1), float(y1)), tuple((float(x), float(y)) for x, y in places), round(score, 4)
    )


def sane(frame: Frame, image: Image) -> bool:
    """The middle of the face lies in the photograph, and it is neither a speck nor much larger than all of it."""
    x, y = frame.centre
    inside = 0 <= x < image.width and 0 <= y < image.height
    return inside and 8 <= frame.side <= 4 * max(image.width, image.height)
