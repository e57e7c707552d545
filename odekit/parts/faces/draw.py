"""Draw the numbered boxes and landmarks of faces on a photograph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from odekit.core.image import Image
from odekit.core.interfaces import Face

SELECTED_COLOUR, LEFT_OUT_COLOUR = (60, 220, 60), (235, 70, 50)


def draw_faces(photo: Image, faces: Sequence[Face], out: Mapping[int, str]) -> Image:
    """The upright photograph with box, number and landmarks of every face; faces in `out` are red, the others green."""
    picture = PIL.Image.fromarray(photo.to_uint8())
    draw = PIL.ImageDraw.Draw(picture)
    width = max(1, round(max(picture.size) / 500))
    for number, face in enumerate(faces, 1):
        colour = LEFT_OUT_COLOUR if number in out else SELECTED_COLOUR
        draw.rectangle(face.box, outline=colour, width=width)
        size = max(11.0, min(0.35 * (face.box[2] - face.box[0]), max(picture.size) / 25))
        font = PIL.ImageFont.load_default(size)
        corner = (face.box[0] + width, max(0.0, face.box[1] - 1.15 * size))
        draw.text(corner, str(number), fill=colour, font=font, stroke_width=max(1, width // 2), stroke_fill=(0, 0, 0))
        for x, y in face.points:
            draw.ellipse((x - width, y - width, x + width, y + width), fill=colour)
    return Image.from_uint8(np.asarray(picture))
