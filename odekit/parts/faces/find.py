"""Detect the faces of a photograph and select those to restore."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from odekit.core.image import Image
from odekit.core.interfaces import Face, FaceDetector, Tools
from odekit.parts.faces import select
from odekit.parts.faces.options import BuiltinDetector, Faces


@dataclass
class PhotoFaces:
    """The faces of one photograph, numbered from 1, and the reasons why some are left out."""

    photo: Image
    faces: list[Face] = field(default_factory=list)
    out: dict[int, str] = field(default_factory=dict)
    """Number of a face that is left out -> reason."""

    def selected(self) -> list[int]:
        """Numbers of the faces to restore."""
        return [number for number in range(1, len(self.faces) + 1) if number not in self.out]

    def tree(self, facts: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
        """All faces in the form of the record; `facts` are added to those that are restored."""
        return [
            {
                "number": number,
                "box": [round(v, 1) for v in face.box],
                "points": [[round(v, 2) for v in point] for point in face.points],
                "score": face.score,
            }
            | ({"left_out": self.out[number]} if number in self.out else facts.get(number, {}))
            for number, face in enumerate(self.faces, 1)
        ]


class FaceFinder:
    """Detects and selects faces, for the stage `faces` and the command `odekit faces`."""

    def __init__(self, options: Faces, tools: Tools) -> None:
        """Make the detector, so that a missing part fails before any work. Boxes of the options need no detector."""
        from odekit.parts.faces.detector import BuiltinFaceDetector

        self.options = options
        self.boxes = options.select.boxes
        self.detector: FaceDetector | None = None if self.boxes is not None else tools.make(options.detect)
        builtin = isinstance(self.detector, BuiltinFaceDetector)
        self.points: Any = self.detector if builtin else BuiltinFaceDetector(BuiltinDetector(), tools)
        """Finds the landmarks of boxes that come without."""

    def find(self, photo: Image) -> PhotoFaces:
        """The faces of a photograph, numbered in reading order, with a reason for each that is left out."""
        options = self.options.select
        if self.boxes is not None:
            faces = [self.points.face_in_box(photo, box) for box in select.boxes_for(photo, self.boxes)]
            return PhotoFaces(photo, faces, select.left_out(faces, options, photo.width, photo.height))
        assert self.detector is not None
        kept, duplicates = select.suppress_duplicates(self.detector.detect(photo), options.overlap)
        kept = [face if face.points else self.points.face_in_box(photo, face.box) for face in kept]
        faces = select.reading_order(kept)
        out = select.left_out(faces, options, photo.width, photo.height)
        for face, reason in duplicates:
            faces.append(face)
            out[len(faces)] = reason
        return PhotoFaces(photo, faces, out)
