"""Select which of the detected faces are restored, with a reason for each that is left out."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.core.files import read_text
from odekit.core.image import Image
from odekit.core.interfaces import Face
from odekit.errors import ConfigError, InputError
from odekit.parts.faces.options import FaceSelection

Box = tuple[float, float, float, float]


def as_box(values: Sequence[float] | NDArray[np.float64]) -> Box:
    """Four numbers as a box."""
    x0, y0, x1, y1 = map(float, values)
    return x0, y0, x1, y1


def intersection_over_union(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    intersection = width * height
    return intersection / (area(a) + area(b) - intersection)


def area(box: Box) -> float:
    """Area of a box in square pixels; 0 if it is empty."""
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def suppress_duplicates(faces: Sequence[Face], limit: float) -> tuple[list[Face], list[tuple[Face, str]]]:
    """Non-maximum suppression by score; faces with the same centre count as duplicates too (see `is_same_face`).

    Returns:
        The faces that are kept, best first, and the duplicates with the reason.
    """
    kept: list[Face] = []
    out: list[tuple[Face, str]] = []
    for face in sorted(faces, key=lambda f: (-f.score, f.box)):
        if any(is_same_face(face.box, better.box, limit) for better in kept):
            out.append((face, "overlaps a better one"))
        else:
            kept.append(face)
    return kept, out


def is_same_face(a: Box, b: Box, limit: float) -> bool:
    """Whether two boxes are of one face: they overlap by more than the limit, or have nearly the same centre."""
    if intersection_over_union(a, b) > limit:
        return True
    distance = math.dist(((a[0] + a[2]) / 2, (a[1] + a[3]) / 2), ((b[0] + b[2]) / 2, (b[1] + b[3]) / 2))
    return distance < 0.35 * math.sqrt(min(area(a), area(b)))


def reading_order(faces: Sequence[Face]) -> list[Face]:
    """Faces in reading order: rows of about one face's height from top to bottom, each from left to right."""
    remaining = sorted(faces, key=lambda f: (f.box[1] + f.box[3], f.box[0]))
    ordered: list[Face] = []
    while remaining:
        top = remaining[0]
        row_end = (top.box[1] + top.box[3]) / 2 + 0.6 * (top.box[3] - top.box[1])
        row = [face for face in remaining if (face.box[1] + face.box[3]) / 2 <= row_end]
        ordered += sorted(row, key=lambda f: (f.box[0], f.box[1]))
        remaining = [face for face in remaining if face not in row]
    return ordered


def left_out(faces: Sequence[Face], options: FaceSelection, width: int, height: int) -> dict[int, str]:
    """The faces that are left out, as number (from 1) -> reason. The others are restored.

    Args:
        faces: in the order of their numbers.
        options: the rules.
        width: of the photograph, in pixels.
        height: of the photograph, in pixels.
    """
    out: dict[int, str] = {}
    for number, face in enumerate(faces, 1):
        side = ear_to_ear(face)
        if number in options.skip:
            out[number] = "in select.skip"
        elif side < options.min_side:
            out[number] = f"{side:.0f} px wide, under select.min_side {options.min_side:g}"
        elif face.score < options.score:
            out[number] = f"score {face.score:.2f}, under select.score {options.score:g}"
        elif options.which == "index" and number not in options.index:
            out[number] = "not in select.index"
    selected = [number for number in range(1, len(faces) + 1) if number not in out]
    if options.which in ("largest", "centre") and selected:
        best = max(selected, key=lambda n: area(faces[n - 1].box))
        if options.which == "centre":
            best = min(selected, key=lambda n: centre_distance(faces[n - 1].box, width, height))
        out |= {number: f"not the one of 'which: {options.which}'" for number in selected if number != best}
        selected = [best]
    if options.max_faces is not None:
        for number in sorted(selected, key=lambda n: (-area(faces[n - 1].box), n))[options.max_faces :]:
            out[number] = f"beyond select.max_faces {options.max_faces}"
    return out


def ear_to_ear(face: Face) -> float:
    """Width of a face in pixels; of one that lies on its side, the height of its box."""
    x0, y0, x1, y1 = face.box
    return y1 - y0 if face.turn % 180 else x1 - x0


def centre_distance(box: Box, width: int, height: int) -> float:
    """Distance from the centre of a box to that of the photograph, in pixels."""
    return math.dist(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), (width / 2, height / 2))


def read_boxes(boxes: Sequence[Any] | str) -> Sequence[Any] | dict[str, Any]:
    """The boxes that the user gave: a list for every photograph, or the table of a JSON file, by file name.

    Raises:
        ConfigError: the JSON cannot be read or is no table, or the list is not one of boxes.
    """
    if not isinstance(boxes, str):
        try:
            checked_boxes(boxes)
        except InputError as error:
            raise ConfigError(str(error)) from error
        return boxes
    try:
        table = json.loads(read_text(boxes))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"select.boxes: {boxes} cannot be read as JSON ({error})") from error
    if not isinstance(table, dict):
        raise ConfigError(f"select.boxes: {boxes} must hold one JSON object, from file names to lists of boxes")
    return table


def boxes_for(image: Image, boxes: Sequence[Any] | dict[str, Any]) -> list[Box]:
    """The boxes of `read_boxes` for a photograph.

    Raises:
        InputError: the table has no entry for its file name, or the entry is not a list of boxes.
    """
    if not isinstance(boxes, dict):
        return checked_boxes(boxes)
    name = image.meta.path.name if image.meta.path else ""
    if name not in boxes:
        raise InputError(f"select.boxes has no entry for '{name}'; add one, [] for no face")
    return checked_boxes(boxes[name])


def checked_boxes(entry: Any) -> list[Box]:
    """The boxes of an entry. Raises InputError if it is not a list of [x0, y0, x1, y1]."""
    try:
        out = [tuple(float(v) for v in box) for box in entry]
    except (TypeError, ValueError, OverflowError):
        out = [()]
    if any(len(box) != 4 or not all(map(math.isfinite, box)) or box[2] <= box[0] or box[3] <= box[1] for box in out):
        shown = repr(entry)[:120]
        raise InputError(f"select.boxes: {shown} is not a list of [x0, y0, x1, y1] with x0 < x1 and y0 < y1")
    return out  # type: ignore[return-value]
