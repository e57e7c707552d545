"""Detect the faces of a photograph and select those to restore."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from odekit.core.abilities import ReportsRejected
from odekit.core.image import Image
from odekit.core.interfaces import Face, FaceDetector, Tools
from odekit.parts.faces import select
from odekit.parts.faces.options import BuiltinDetector, Faces

LEFT_BEFORE = "left as it is: decided before"
"""Reason of a face that `Image.faces` says to leave."""


@dataclass
class PhotoFaces:
    """The faces of one photograph, numbered from 1, and the reasons why some are left out."""

    photo: Image
    faces: list[Face] = field(default_factory=list)
    out: dict[int, str] = field(default_factory=dict)
    """Number of a face that is left out -> reason."""
    rejected: list[tuple[Face, str]] = field(default_factory=list)
    """What the detector considered and rejected, with the reason. These have no number."""

    def selected(self) -> list[int]:
        """Numbers of the faces to restore."""
        return [number for number in range(1, len(self.faces) + 1) if number not in self.out]

    def tree(self, facts: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
        """All faces in the form of the record; `facts` are added to those that are restored."""
        return [
            {"number": number}
            | face_tree(face)
            | ({"left_out": self.out[number]} if number in self.out else facts.get(number, {}))
            for number, face in enumerate(self.faces, 1)
        ]

    def rejected_tree(self) -> list[dict[str, Any]]:
        """The rejected proposals in the form of the record."""
        return [face_tree(face) | {"rejected": reason} for face, reason in self.rejected]


def face_tree(face: Face) -> dict[str, Any]:
    """A face in the form of the record: pixels of the photograph, scores, and the turn in degrees."""
    return {
        "box": [round(v, 1) for v in face.box],
        "points": [[round(v, 2) for v in point] for point in face.points],
        "score": face.score,
        "scores": dict(face.scores),
        "turn": face.turn,
    }


class FaceFinder:
    """Detects and selects faces, for the stage `faces` and the command `odekit faces`."""

    def __init__(self, options: Faces, tools: Tools, turned: bool = True) -> None:
        """Make the detector, so that a missing part fails before any work. Boxes of the options need no detector.

        Args:
            options: of the stage.
            tools: for the parts.
            turned: False: the built-in detectors search no quarter turns of the whole picture, only those of a face.
        """
        from odekit.parts.faces.detector import BuiltinFaceDetector, YunetFaceDetector

        self.options = options
        given = options.select.boxes
        self.boxes = None if given is None else select.read_boxes(given)
        self.detector: FaceDetector | None = None if self.boxes is not None else tools.make(options.detect)
        builtin = isinstance(self.detector, YunetFaceDetector)
        if isinstance(self.detector, YunetFaceDetector):
            self.detector.turns_photo &= turned
        self.points: Any = self.detector if builtin else BuiltinFaceDetector(BuiltinDetector(), tools)
        """Finds the landmarks of boxes that come without."""

    def find(self, photo: Image) -> PhotoFaces:
        """The faces of a photograph, numbered in reading order, with a reason for each that is left out."""
        options = self.options.select
        if photo.faces is not None:
            faces = [Face(known.box, known.points, known.score) for known in photo.faces]
            out = select.left_out(faces, options, photo.width, photo.height)
            for number, known in enumerate(photo.faces, 1):
                if known.decided.get("restore") is False and known.decided.get("detail") is False:
                    out.setdefault(number, LEFT_BEFORE)
            return PhotoFaces(photo, faces, out)
        if self.boxes is not None:
            faces = [self.points.face_in_box(photo, box) for box in select.boxes_for(photo, self.boxes)]
            return PhotoFaces(photo, faces, self._left_out(photo, faces))
        assert self.detector is not None
        found, rejected = detect_and_reject(self.detector, photo)
        kept, duplicates = select.suppress_duplicates(found, options.overlap)
        kept = [face if face.points else self.points.face_in_box(photo, face.box) for face in kept]
        faces = select.reading_order(kept)
        out = self._left_out(photo, faces)
        for face, reason in duplicates:
            faces.append(face)
            out[len(faces)] = reason
        return PhotoFaces(photo, faces, out, list(rejected))

    def _left_out(self, photo: Image, faces: Sequence[Face]) -> dict[int, str]:
        """The faces that a person left out of this photograph, and those that the options leave out."""
        options = self.options.select
        size = np.array([photo.width, photo.height] * 2)
        left = [select.as_box(np.array(box) * size) for box in photo.leave]
        out = select.left_out(faces, options, photo.width, photo.height)
        for number, face in enumerate(faces, 1):
            if any(select.is_same_face(face.box, box, options.overlap) for box in left):
                out[number] = "by choice"
        return out


def detect_and_reject(detector: FaceDetector, photo: Image) -> tuple[Sequence[Face], Sequence[tuple[Face, str]]]:
    """The faces of a photograph, and what the detector rejected if it reports that."""
    if isinstance(detector, ReportsRejected):
        return detector.detect_and_reject(photo)
    return detector.detect(photo), ()
