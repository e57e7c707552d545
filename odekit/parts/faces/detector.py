"""The detectors `builtin` and `yunet`: YuNet proposes faces, the aligner refines their frames and scores them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from odekit.core.image import Image
from odekit.core.interfaces import Face, Tools
from odekit.parts.faces.ahead import search_size, searched
from odekit.parts.faces.aligner import Aligner, Assessment, frame_from_box
from odekit.parts.faces.geometry import TEMPLATES, Frame, Points
from odekit.parts.faces.options import BuiltinDetector, YunetDetector
from odekit.parts.faces.search import SearchSize, search
from odekit.parts.faces.select import ear_to_ear, suppress_duplicates
from odekit.parts.faces.turns import TURNS, levelled, search_turned, turn_of, turned_around
from odekit.parts.faces.yunet import BgrPicture, Proposal, YuNet, to_bgr

TEMPLATE = TEMPLATES["ffhq-5"]
HEAD_BOX = np.array([[0.22, 0.266], [0.78, 0.917]])
"""The box of a face, ear to ear and brows to chin, in fractions of the aligned crop: top left and bottom right."""
HEAD_BOX_POSITION = (0.5, 0.5915, 0.651)
"""Position of that box in the aligned crop: centre (x, y) and longer side (see `aligner.frame_from_box`)."""

DUPLICATE = 0.4
"""Overlap (intersection over union) above which two faces are one."""
SETTLED, STEADY = 0.03, 0.08
"""Mean displacements of the points by one iteration of the aligner, in fractions of the crop: up to the first, one is
enough; up to the second, its frame is taken even if further iterations lead away."""
CONFIRMED = 0.5
"""Aligner score from which a face is upright in its crop; others are looked at in quarter turns."""
LIKELY, CLEAR = 0.6, 0.92
"""YuNet's scores between which an unconfirmed face is looked at in quarter turns: turned faces reach 0.91 at most."""
TURNED_SIDE = 640
"""Longer side of the copies in which a photograph's turn is determined, in pixels."""
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
        return replace(face, scores=own)


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
        self.turns_photo = options.turned
        """Whether a photograph without a clear face is searched in quarter turns; `turned` alone does so with faces."""

    def detect(self, image: Image) -> Sequence[Face]:
        """All faces of a photograph, best first.

        Raises:
            PluginError: OpenCV is not installed.
        """
        return self.detect_and_reject(image)[0]

    def detect_and_reject(self, image: Image) -> tuple[list[Face], list[tuple[Face, str]]]:
        """The faces of a photograph, best first, and the proposals that were rejected, with the reason.

        If there is no clear upright face, the photograph may be turned: see `_turn`.
        """
        o = self.options
        size = search_size(o)
        ahead = searched(image.pixels, size, self.network.file)
        photo = to_bgr(image.pixels) if ahead is None else ahead[0]
        proposals = search(self.network, photo, size) if ahead is None else ahead[1]
        candidates = self._upright(image, photo, proposals, 0)
        turn = self._turn(image, photo, candidates) if self.turns_photo else 0
        if turn:
            candidates = self._upright(image, photo, search_turned(self.network, photo, size, turn), turn)
        return self._decide(candidates)

    def _upright(self, image: Image, photo: BgrPicture, found: Sequence[Proposal], turn: int) -> list[Candidate]:
        """Candidates from proposals of the photograph turned clockwise by `turn`, each in its own quarter turn."""
        candidates = self._candidates(image, found)
        return [self._turned(image, photo, c, turn) for c in candidates] if self.options.turned else candidates

    def _candidates(self, image: Image, proposals: Sequence[Proposal]) -> list[Candidate]:
        """Proposals with the aligner's score and its frame."""
        frames = [Frame.fit(proposal.points, TEMPLATE) for proposal in proposals]
        usable = [i for i, frame in enumerate(frames) if is_plausible(frame, image)]
        assessed = self.aligner.assess(image.pixels, [frames[i] for i in usable])
        again = [i for i, a in zip(usable, assessed, strict=True) if a.displacement > SETTLED]
        starts = [a.refined for a in assessed if a.displacement > SETTLED]
        second = dict(zip(again, self.aligner.assess(image.pixels, starts), strict=True))
        return [
            Candidate(proposals[i], best_frame(frames[i], a, second.get(i)), a.score)
            for i, a in zip(usable, assessed, strict=True)
        ]

    def _turned(self, image: Image, photo: BgrPicture, candidate: Candidate, turn: int) -> Candidate:
        """The candidate in the turn in which both networks see a better face; most stay as they are."""
        proposal = candidate.proposal
        if candidate.aligner >= CONFIRMED or not LIKELY <= proposal.score < CLEAR:
            return candidate
        others = turned_around(self.network, photo, proposal, turn)
        others += levelled(self.network, image.pixels, candidate.frame)
        better = [c for c in self._candidates(image, others) if c.proposal.score > proposal.score]
        return max((c for c in better if c.aligner >= CONFIRMED), key=lambda c: c.aligner, default=candidate)

    def _turn(self, image: Image, photo: BgrPicture, candidates: Sequence[Candidate]) -> int:
        """Clockwise turn, in degrees, in which the photograph shows the clearest faces; 0 if one is clear as it is.

        YuNet sees turned faces too, with lower scores and wrong points; so in turns the aligner must confirm them.
        """
        upright = [c for c in candidates if turn_of(c.frame) == 0]
        if any(c.proposal.score >= CLEAR for c in upright):
            return 0
        size = SearchSize(min(TURNED_SIDE, self.options.largest_side), self.options.tile, self.options.smallest)
        finer = max(photo.shape[:2]) <= size.largest
        clearness = {0: sum(trust(c.proposal.score) for c in upright if self.score(c) >= self.options.score)}
        for turn in TURNS[1:]:
            proposals = search_turned(self.network, photo, size, turn, finer)
            seen = self._candidates(image, [p for p in proposals if trust(p.score) > 0])
            clearness[turn] = sum(trust(c.proposal.score) for c in seen if c.aligner >= CONFIRMED)
        return max(clearness, key=lambda turn: clearness[turn])

    def _decide(self, candidates: Sequence[Candidate]) -> tuple[list[Face], list[tuple[Face, str]]]:
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
        return face_from_frame(frame if is_near(frame, start) else start, score)


class BuiltinFaceDetector(YunetFaceDetector):
    """See `odekit.core.interfaces.FaceDetector`. `score` is the aligner's, raised where YuNet is sure."""

    def score(self, candidate: Candidate) -> float:
        """See `joint_score`."""
        return joint_score(candidate.proposal.score, candidate.aligner)


def joint_score(yunet: float, aligner: float) -> float:
    """Score of a face from those of the two networks: `1 - (1 - aligner) (1 - trust(yunet))`.

    The aligner alone rejects one of twenty real
    faces (profiles, tilted heads, faces of 20 pixels), to which YuNet gives 0.84 and more; what is no face hardly ever
    gets that.
    """
    return 1 - (1 - aligner) * (1 - trust(yunet))


def trust(yunet: float) -> float:
    """What YuNet's score counts for: it rises linearly from 0 to 1 between the two values of `TRUSTED`."""
    low, high = TRUSTED
    return min(1.0, max(0.0, (yunet - low) / (high - low)))


def face_from_frame(frame: Frame, score: float) -> Face:
    """The face in a frame: the landmarks of the template, and the box of the head."""
    landmarks: Points = frame.place(TEMPLATE)
    centre = frame.place(HEAD_BOX.mean(0)[None])[0]
    half = frame.side * (HEAD_BOX[1] - HEAD_BOX[0]) / 2
    turn = turn_of(frame)
    (x0, y0), (x1, y1) = (centre - half[::-1], centre + half[::-1]) if turn % 180 else (centre - half, centre + half)
    box = float(x0), float(y0), float(x1), float(y1)
    return Face(box, tuple((float(x), float(y)) for x, y in landmarks), round(score, 4), turn)


def best_frame(proposed: Frame, first: Assessment, second: Assessment | None) -> Frame:
    """The frame to crop: the aligner's, unless it moves far without arriving at a face nearby.

    Args:
        proposed: the frame of YuNet's points.
        first: one iteration of the aligner from there.
        second: a further one from the result of the first, where the first moved the points.
    """
    if second is not None and second.score >= CONFIRMED and is_near(second.refined, proposed):
        return second.refined
    return first.refined if first.displacement <= STEADY else proposed


def is_near(frame: Frame, start: Frame) -> bool:
    """Whether a refined frame is of the face from whose frame it started."""
    return math.dist(frame.centre, start.centre) < 0.3 * start.side and 0.6 < frame.side / start.side < 1.6


def is_plausible(frame: Frame, image: Image) -> bool:
    """Whether the centre of a frame lies in the photograph and its side is from 8 px to 4 times the photograph's."""
    x, y = frame.centre
    inside = 0 <= x < image.width and 0 <= y < image.height
    return inside and 8 <= frame.side <= 4 * max(image.width, image.height)
