"""The detectors `builtin` and `yunet`: YuNet proposes faces, the aligner refines their frames and scores them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from odekit.core.image import Image
from odekit.core.interfaces import Face, Tools
from odekit.parts.faces.aligner import Aligner, frame_from_box
from odekit.parts.faces.geometry import TEMPLATES, Frame, Points
from odekit.parts.faces.options import BuiltinDetector, YunetDetector
from odekit.parts.faces.search import SearchSize, bgr, search
from odekit.parts.faces.select import suppress_duplicates
from odekit.parts.faces.turns import search_turned, turned_around
from odekit.parts.faces.yunet import BgrPicture, Proposal, YuNet

TEMPLATE = TEMPLATES["ffhq-5"]
HEAD_BOX = np.array([[0.22, 0.266], [0.78, 0.917]])
"""The box of a face, ear to ear and brows to chin, in fractions of the aligned crop: top left and bottom right."""
HEAD_BOX_POSITION = (0.5, 0.5915, 0.651)
"""Position of that box in the aligned crop: centre (x, y) and longer side (see `aligner.frame_from_box`)."""

DUPLICATE = 0.4
"""Overlap (intersection over union) above which two faces are one."""
STEADY = 0.08
"""Largest mean displacement of the points, in fractions of the crop, up to which the aligner's frame is taken."""
CONFIRMED = 0.5
"""Aligner score from which a face is upright in its crop; others are looked at in quarter turns."""
TRUSTED = (0.75, 0.9)
"""YuNet's score counts for nothing up to the first value, and for a face on its own from the second one on."""


@dataclass(frozen=True)
class Candidate:
    """A proposal with the aligner's view of it."""

    proposal: Proposal
    frame: Frame
    aligner: float
    """The aligner's score of the proposed frame, 0 to 1."""

    def face(self, score: float) -> Face:
        """The face with this score, and both networks' own."""
        face = face_from_frame(self.frame, score)
        own = {"yunet": round(self.proposal.score, 4), "aligner": round(self.aligner, 4)}
        return replace(face, scores=own, turn=self.proposal.turn)


class YunetFaceDetector:
    """See `odekit.core.interfaces.FaceDetector`. `score` is YuNet's own."""

    def __init__(self, options: BuiltinDetector | YunetDetector, tools: Tools) -> None:
        """Load the networks.

        Raises:
            WeightsError: weights are missing.
        """
        self.options = options
        self.aligner = Aligner(options.weights, tools)
        self.network = YuNet(tools)

    def detect(self, image: Image) -> Sequence[Face]:
        """All faces of a photograph, best first.

        Raises:
            PluginError: OpenCV is not installed.
        """
        return self.detect_and_reject(image)[0]

    def detect_and_reject(self, image: Image) -> tuple[list[Face], list[tuple[Face, str]]]:
        """The faces of a photograph, best first, and the proposals that were rejected, with the reason.

        Quarter turns of the photograph are searched if it has no face as it is. A face in a turned photograph must be
        confirmed by the aligner, because YuNet sees faces in the wrong turns too.
        """
        o = self.options
        photo = bgr(image)
        size = SearchSize(o.largest_side, o.tile, o.smallest)
        candidates = self._candidates(image, search(self.network, photo, size))
        if o.turned:
            candidates = [self._upright(image, photo, candidate) for candidate in candidates]
        faces, rejected = self._decide(image, candidates)
        if not faces and o.turned:
            turned = self._candidates(image, search_turned(self.network, photo, size))
            faces, more = self._decide(image, [c for c in turned if c.aligner >= CONFIRMED])
            rejected += more
        return faces, rejected

    def _candidates(self, image: Image, proposals: Sequence[Proposal]) -> list[Candidate]:
        """Proposals with the aligner's score and its frame, or their own frame where the aligner moves far."""
        frames = [Frame.fit(proposal.points, TEMPLATE) for proposal in proposals]
        usable = [i for i, frame in enumerate(frames) if is_plausible(frame, image)]
        assessed = self.aligner.assess(image.pixels, [frames[i] for i in usable])
        return [
            Candidate(proposals[i], a.refined if a.displacement <= STEADY else frames[i], a.score)
            for i, a in zip(usable, assessed, strict=True)
        ]

    def _upright(self, image: Image, photo: BgrPicture, candidate: Candidate) -> Candidate:
        """The candidate in the quarter turn in which both networks see a better face; most stay as they are."""
        if candidate.aligner >= CONFIRMED:
            return candidate
        others = self._candidates(image, turned_around(self.network, photo, candidate.proposal))
        better = [c for c in others if c.proposal.score > candidate.proposal.score and c.aligner >= CONFIRMED]
        return max(better, key=lambda c: c.aligner, default=candidate)

    def _decide(self, image: Image, candidates: Sequence[Candidate]) -> tuple[list[Face], list[tuple[Face, str]]]:
        """The candidates that are faces, best first, and the others with the reason."""
        o = self.options
        kept, rejected = suppress_duplicates([c.face(self.score(c)) for c in candidates], DUPLICATE)
        faces = []
        for face in kept:
            width = ear_to_ear(face)
            if face.score < o.score:
                rejected.append((face, f"score {face.score:.2f}, under detect.score {o.score:g}"))
            elif width < o.smallest:
                rejected.append((face, f"{width:.0f} px wide, under detect.smallest {o.smallest:g}"))
            else:
                faces.append(face)
        return faces, rejected

    def score(self, candidate: Candidate) -> float:
        """YuNet's score."""
        return candidate.proposal.score

    def face_in_box(self, image: Image, box: Sequence[float]) -> Face:
        """The face in a box given by the user (ear to ear, brows to chin), whatever its score.

        The box itself is used if the aligner moves too far from it.
        """
        start = frame_from_box(box, HEAD_BOX_POSITION)
        frame, score = self.aligner.refine(image.pixels, [start])[0]
        close = math.dist(frame.centre, start.centre) < 0.3 * start.side and 0.6 < frame.side / start.side < 1.6
        return replace(face_from_frame(frame if close else start, score), scores={"aligner": round(score, 4)})


class BuiltinFaceDetector(YunetFaceDetector):
    """See `odekit.core.interfaces.FaceDetector`. `score` is the aligner's, raised where YuNet is sure."""

    def score(self, candidate: Candidate) -> float:
        """See `joint_score`."""
        return joint_score(candidate.proposal.score, candidate.aligner)


def joint_score(yunet: float, aligner: float) -> float:
    """Score of a face from those of the two networks: `1 - (1 - aligner) (1 - trust)`.

    `trust` rises linearly from 0 to 1 between the two values of `TRUSTED`. The aligner alone rejects one of twenty real
    faces (profiles, tilted heads, faces of 20 pixels), to which YuNet gives 0.84 and more; what is no face hardly ever
    gets that.
    """
    low, high = TRUSTED
    trust = min(1.0, max(0.0, (yunet - low) / (high - low)))
    return 1 - (1 - aligner) * (1 - trust)


def face_from_frame(frame: Frame, score: float) -> Face:
    """The face in a frame: the landmarks of the template, and the box of the head."""
    landmarks: Points = frame.place(TEMPLATE)
    centre = frame.place(HEAD_BOX.mean(0)[None])[0]
    half = frame.side * (HEAD_BOX[1] - HEAD_BOX[0]) / 2
    if abs(math.sin(frame.angle)) > math.sqrt(0.5):  # lies on its side
        half = half[::-1]
    (x0, y0), (x1, y1) = centre - half, centre + half
    return Face(
        (float(x0), float(y0), float(x1), float(y1)), tuple((float(x), float(y)) for x, y in landmarks), round(score, 4)
    )


def ear_to_ear(face: Face) -> float:
    """Width of a face in pixels, whichever way it is turned."""
    x0, y0, x1, y1 = face.box
    return min(x1 - x0, y1 - y0)


def is_plausible(frame: Frame, image: Image) -> bool:
    """Whether the centre of a frame lies in the photograph and its side is from 8 px to 4 times the photograph's."""
    x, y = frame.centre
    inside = 0 <= x < image.width and 0 <= y < image.height
    return inside and 8 <= frame.side <= 4 * max(image.width, image.height)
