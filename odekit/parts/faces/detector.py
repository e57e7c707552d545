"""The detector `builtin`: cascades propose boxes, the aligner refines and scores them, duplicates are merged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from odekit.core.image import Image
from odekit.core.interfaces import Face, Tools
from odekit.parts.faces.aligner import Aligner, frame_from_box
from odekit.parts.faces.cascades import proposals, search_images
from odekit.parts.faces.geometry import TEMPLATES, Frame, Points
from odekit.parts.faces.options import BuiltinDetector
from odekit.parts.faces.select import is_same_face, suppress_duplicates

TEMPLATE = TEMPLATES["ffhq-5"]
HEAD_BOX = np.array([[0.22, 0.266], [0.78, 0.917]])
"""The box of a face, ear to ear and brows to chin, in fractions of the aligned crop: top left and bottom right."""
HEAD_BOX_POSITION = (0.5, 0.5915, 0.651)
"""Position of that box in the aligned crop: centre (x, y) and longer side (see `aligner.FRONTAL_BOX`)."""

MIN_PROPOSAL_SCORE = 0.2
"""Proposals with a lower aligner score are dropped."""
PRIOR_ODDS_AGAINST = 7.0
"""Prior odds against a single proposal."""


class BuiltinFaceDetector:
    """See `odekit.core.interfaces.FaceDetector`."""

    def __init__(self, options: BuiltinDetector, tools: Tools) -> None:
        """Load the aligner.

        Raises:
            WeightsError: the aligner's weights are missing.
        """
        self.options = options
        self.aligner = Aligner(self.options.weights, tools)

    def detect(self, image: Image) -> Sequence[Face]:
        """All faces of a photograph, best first.

        Raises:
            PluginError: OpenCV is not installed.
        """
        o = self.options
        frames = [
            f for copy in search_images(image.pixels, o.largest_side, o.turned) for f in proposals(copy, o.smallest)
        ]
        return self.score_frames(image, frames, o.score, 0.4)

    def score_frames(self, image: Image, frames: Sequence[Frame], score: float, limit: float) -> list[Face]:
        """Refine and score rough frames of a photograph.

        Args:
            image: the photograph.
            frames: proposals.
            score: smallest score of a face that is returned.
            limit: overlap (intersection over union) above which two faces are duplicates.

        Returns:
            Faces, best first.
        """
        faces = [
            face_from_frame(frame, s)
            for frame, s in self.aligner.refine(image.pixels, frames)
            if is_plausible(frame, image)
        ]
        faces = [face for face in faces if face.score >= MIN_PROPOSAL_SCORE]
        kept = [
            rescore(face, sum(is_same_face(face.box, f.box, limit) for f in faces))
            for face in suppress_duplicates(faces, limit)[0]
        ]
        return sorted((face for face in kept if face.score >= score), key=lambda face: -face.score)

    def face_in_box(self, image: Image, box: Sequence[float]) -> Face:
        """The face in a box given by the user (ear to ear, brows to chin), whatever its score.

        The box itself is used if the aligner moves too far from it.
        """
        start = frame_from_box(box, HEAD_BOX_POSITION)
        frame, score = self.aligner.refine(image.pixels, [start])[0]
        close = math.dist(frame.centre, start.centre) < 0.3 * start.side and 0.6 < frame.side / start.side < 1.6
        return face_from_frame(frame if close else start, score)


def rescore(face: Face, proposals: int) -> Face:
    """Update the score of a face by its number of proposals: its odds, times their number, over `PRIOR_ODDS_AGAINST`.

    A single proposal of a cascade is usually wrong; a real face is mostly proposed at several sizes.
    """
    odds = face.score / max(1 - face.score, 1e-6) * proposals / PRIOR_ODDS_AGAINST
    return replace(face, score=round(odds / (1 + odds), 4))


def face_from_frame(frame: Frame, score: float) -> Face:
    """The face in a frame: the landmarks of the template, and the box of the head."""
    landmarks: Points = frame.place(TEMPLATE)
    centre = frame.place(HEAD_BOX.mean(0)[None])[0]
    half = frame.side * (HEAD_BOX[1] - HEAD_BOX[0]) / 2
    (x0, y0), (x1, y1) = centre - half, centre + half
    return Face(
        (float(x0), float(y0), float(x1), float(y1)), tuple((float(x), float(y)) for x, y in landmarks), round(score, 4)
    )


def is_plausible(frame: Frame, image: Image) -> bool:
    """Whether the centre of a frame lies in the photograph and its side is from 8 px to 4 times the photograph's."""
    x, y = frame.centre
    inside = 0 <= x < image.width and 0 <= y < image.height
    return inside and 8 <= frame.side <= 4 * max(image.width, image.height)
