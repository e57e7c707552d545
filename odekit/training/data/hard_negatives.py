"""Hard negatives of an aligner: windows without a face that still get a high score after its refinement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from odekit.chains.tools import PartTools
from odekit.parts.faces.aligner import Aligner
from odekit.parts.faces.aligner_network import SIDE
from odekit.parts.faces.geometry import Frame
from odekit.parts.faces.warp import crop_face
from odekit.parts.installed import catalog
from odekit.training import seeding
from odekit.training.data import canvases
from odekit.training.data.canvases import CANVAS_SIDE, FACE_SIDE, Picture
from odekit.training.options.aligner import AlignerOptions

WINDOWS_PER_CANVAS = 4
"""Initial windows on each canvas."""
SCORE_THRESHOLD = 0.3
"""Threshold of the score of a false positive."""


def find_hard_negatives(
    folder: Path, scenes: Sequence[Picture], faces: Sequence[Picture] | Picture, options: AlignerOptions
) -> list[Picture]:
    """Crops (64, 64, 3) of false positives on `options.hard` canvases, found with the network in `folder`.

    Every second canvas shows a face; windows on that face are not false positives.
    """
    aligner = Aligner(f"{folder}/", PartTools(catalog(), "cpu", "float32"))
    negatives = []
    for number in range(options.hard):
        rng = seeding.keyed_generator(options.seed, "hard", number)
        face = faces[int(rng.integers(len(faces)))] if number % 2 else None
        picture = canvases.compose_canvas(face, scenes, faces, rng, options.canvas)
        pixels = np.ascontiguousarray(picture.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)
        sides = FACE_SIDE * np.exp(rng.uniform(-0.7, 0.7, WINDOWS_PER_CANVAS))
        centres = rng.uniform(0.2 * CANVAS_SIDE, 0.8 * CANVAS_SIDE, (WINDOWS_PER_CANVAS, 2))
        windows = [Frame.from_centre((x, y), side) for (x, y), side in zip(centres, sides, strict=True)]
        for frame, score in aligner.refine(pixels, windows):
            if score > SCORE_THRESHOLD and (face is None or misses_face(frame)):
                crop = crop_face(pixels, frame, SIDE).transpose(1, 2, 0)
                negatives.append((crop * 255).round().astype(np.uint8))
    return negatives


def misses_face(frame: Frame) -> bool:
    """Whether the frame misses both the face in the centre of the canvas and its mirror images next to it."""
    x, y = frame.centre
    offset = [abs((v - CANVAS_SIDE / 2 + FACE_SIDE / 2) % FACE_SIDE - FACE_SIDE / 2) / FACE_SIDE for v in (x, y)]
    wrong_side = not 0.5 < frame.side / FACE_SIDE < 2
    return max(offset) > 0.3 or wrong_side or (abs(frame.angle) > 1.0 and math.hypot(*offset) > 0.2)
