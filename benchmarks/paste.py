"""How visible a pasted face is: the seam at the mask's border, and the displacement of an unchanged face."""

from __future__ import annotations

import numpy as np

from odekit.core.image import Image, Pixels
from odekit.parts.faces.geometry import Frame
from odekit.parts.faces.masks import EllipseMask
from odekit.parts.faces.options import PasteOptions
from odekit.parts.faces.paste import RestoredFace, paste_face
from odekit.parts.faces.warp import covered_box, crop_coordinates, crop_face

SIDE = 512
"""Side of the aligned crop."""
BRIGHTNESS_SHIFT = 10 / 255
PATTERN_AMPLITUDE = 3 / 255


def altered(crop: Pixels) -> Pixels:
    """The crop, lighter by 10/255 and with a fine pattern."""
    x, y = np.meshgrid(np.arange(crop.shape[2]), np.arange(crop.shape[1]))
    pattern = PATTERN_AMPLITUDE * np.sin(2 * np.pi * x / 16) * np.sin(2 * np.pi * y / 16)
    changed: Pixels = np.clip(crop + np.float32(BRIGHTNESS_SHIFT) + pattern.astype(np.float32), 0, 1)
    return changed


def pasted(photo: Pixels, frame: Frame, change: bool, options: PasteOptions) -> Pixels:
    """The photograph with an aligned face pasted back, altered or not."""
    crop = crop_face(photo, frame, SIDE)
    face = RestoredFace(1, frame, Image(crop), Image(altered(crop) if change else crop), SIDE)
    canvas = photo.copy()
    paste_face(canvas, photo, face, EllipseMask(), options)
    return canvas


def seam(photo: Pixels, frame: Frame) -> float:
    """The relative change of the mean gradient across the mask's border by a pasted face that is `altered`.

    Gradients are taken along the normal of the border, where the mask lies between 0 and 1.

    Raises:
        AssertionError: the paste changed nothing.
    """
    options = PasteOptions.model_validate({"mask": "ellipse"})
    after = pasted(photo, frame, True, options)
    x0, y0, x1, y1 = covered_box(frame, photo.shape[2], photo.shape[1])
    mask = EllipseMask().at(*crop_coordinates(frame, (x0, y0, x1, y1)), options.feather)
    assert np.abs(after - photo)[:, y0:y1, x0:x1][:, mask == 1].mean() > PATTERN_AMPLITUDE / 8, (
        "the paste changed nothing"
    )
    gy, gx = np.gradient(mask)
    length = np.hypot(gx, gy)
    border = length > 1e-6
    if not border.any():
        return 0.0

    def gradient_across(picture: Pixels) -> float:
        dy, dx = np.gradient(picture[:, y0:y1, x0:x1].mean(0))
        return float(np.abs((dx * gx + dy * gy)[border] / length[border]).mean())

    return abs(gradient_across(after) / gradient_across(photo) - 1)


def shift(photo: Pixels, frame: Frame) -> float:
    """The displacement of an unchanged pasted face in pixels: `after - before = d . gradient`, least squares."""
    options = PasteOptions.model_validate({"mask": "ellipse", "match_colour": "none", "detail": 0.0})
    after = pasted(photo, frame, False, options)
    x0, y0, x1, y1 = covered_box(frame, photo.shape[2], photo.shape[1])
    inside = EllipseMask().at(*crop_coordinates(frame, (x0, y0, x1, y1)), options.feather) == 1
    before = photo[:, y0:y1, x0:x1].mean(0)
    dy, dx = np.gradient(before)
    change = (after[:, y0:y1, x0:x1].mean(0) - before)[inside]
    displacement = np.linalg.lstsq(np.stack([dx[inside], dy[inside]], 1), change, rcond=None)[0]
    return float(np.hypot(*displacement))
