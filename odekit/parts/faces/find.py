"""The faces of a photograph: detection, choice, and why some are left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from odekit.core.image import Image
from odekit.core.interfaces import Face, FaceDetector, Tools
from odekit.parts.faces import select
from odekit.parts.faces.options import BuiltinDetector, Faces


@dataclass
class Found:
    """One photograph: its faces by number from 1, and why some are left out."""

    photo: Image
    faces: list[Face] = field(default_factory=list)
    out: dict[int, str] = field(default_factory=dict)

    def chosen(self) -> list[int]:
        """Numbers of the faces to restore."""
        return [number for number in range(1, len(self.faces) + 1) if number not in self.out]

    def tree(self, facts: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
        """Every face for the record."""
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


class Finder:
    """Detection and choice: what `odekit faces` shows and the stage restores."""

    def __init__(self, options: Faces, tools: Tools) -> None:
        """The detector is made here, so that a missing part is told before any work; given boxes need none."""
        from odekit.parts.faces.detector import Builtin

        self.options = options
        self.given = options.select.boxes
        self.detector: FaceDetector | None = None if self.given is not None else tools.make(options.detect)
        own = isinstance(self.detector, Builtin)
        self.points: Any = self.detector if own else Builtin(BuiltinDetector(), tools)
        """Refines boxes without points."""

    def find(self, photo: Image) -> Found:
        """The faces of a photograph, numbered in reading order, and the reasons of those left out."""
        options = self.options.select
        if self.given is not None:
            faces = [self.points.given(photo, box) for box in select.boxes_for(photo, self.given)]
            return Found(photo, faces, select.choose(faces, options, photo.width, photo.height))
        assert self.detector is not None
        kept, doubles = select.distinct(self.detector.detect(photo), options.overlap)
        kept = [face if face.points else self.points.given(photo, face.box) for face in kept]
        faces = select.numbered(kept)
        out = select.choose(faces, options, photo.width, photo.height)
        for face, reason in doubles:
            faces.append(face)
            out[len(faces)] = reason
        return Found(photo, faces, out)
