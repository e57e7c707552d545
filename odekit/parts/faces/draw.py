"""Draw the numbered boxes and landmarks of faces on a photograph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from odekit.core.image import Image
from odekit.core.interfaces import Face

SELECTED_COLOUR, LEFT_OUT_COLOUR, REJECTED_COLOUR = (60, 220, 60), (235, 70, 50), (250, 190, 40)


def draw_faces(
    photo: Image, faces: Sequence[Face], out: Mapping[int, str], rejected: Sequence[tuple[Face, str]] = ()
) -> Image:
    """The upright photograph with box, number and landmarks of every face.

    Faces in `out` are red, the others green; rejected proposals are yellow and have a score instead of a number.
    """
    picture = PIL.Image.fromarray(photo.to_uint8())
    draw = PIL.ImageDraw.Draw(picture)
    for face, _ in rejected:
        draw_face(draw, picture.size, face, f"{face.score:.2f}", REJECTED_COLOUR)
    for number, face in enumerate(faces, 1):
        draw_face(draw, picture.size, face, str(number), LEFT_OUT_COLOUR if number in out else SELECTED_COLOUR)
    return Image.from_uint8(np.asarray(picture))


def draw_face(
    draw: PIL.ImageDraw.ImageDraw, size: tuple[int, int], face: Face, label: str, colour: tuple[int, int, int]
) -> None:
    """Draw one face on a picture of this size (width, height)."""
    width = max(1, round(max(size) / 500))
    draw.rectangle(face.box, outline=colour, width=width)
    height = max(11.0, min(0.35 * (face.box[2] - face.box[0]), max(size) / 25))
    font = PIL.ImageFont.load_default(height)
    corner = (face.box[0] + width, max(0.0, face.box[1] - 1.15 * height))
    draw.text(corner, label, fill=colour, font=font, stroke_width=max(1, width // 2), stroke_fill=(0, 0, 0))
    for x, y in face.points:
        draw.ellipse((x - width, y - width, x + width, y + width), fill=colour)
