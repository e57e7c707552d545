"""What an aligner wrongly takes for a face: windows without one, moved to where it sees one, that score well there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from odekit.chains.tools import Toolbox
from odekit.parts.faces.aligner import Aligner
from odekit.parts.faces.aligner_network import SIDE
from odekit.parts.faces.geometry import Frame
from odekit.parts.faces.warp import cut
from odekit.parts.installed import catalog
from odekit.training import seeding
from odekit.training.data import canvases
from odekit.training.data.canvases import FACE, SIZE, Picture
from odekit.training.options.aligner import AlignerOptions

WINDOWS = 4
"""Windows tried on each canvas."""
SCORE = 0.3


def seek(
    folder: Path, scenes: Sequence[Picture], faces: Sequence[Picture] | Picture, options: AlignerOptions
) -> list[Picture]:
    """Crops (64, 64, 3) from `options.hard` canvases, every second one with a face that the window must stay off."""
    aligner = Aligner(f"{folder}/", Toolbox(catalog(), "cpu", "float32"))
    found = []
    for number in range(options.hard):
        rng = seeding.generator(options.seed, "hard", number)
        face = faces[int(rng.integers(len(faces)))] if number % 2 else None
        picture = canvases.canvas(face, scenes, faces, rng, options.canvas)
        pixels = np.ascontiguousarray(picture.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)
        sides = FACE * np.exp(rng.uniform(-0.7, 0.7, WINDOWS))
        middles = rng.uniform(0.2 * SIZE, 0.8 * SIZE, (WINDOWS, 2))
        starts = [Frame.around((x, y), side) for (x, y), side in zip(middles, sides, strict=True)]
        for frame, score in aligner.refine(pixels, starts):
            if score > SCORE and (face is None or astray(frame)):
                crop = cut(pixels, frame, SIDE).transpose(1, 2, 0)
                found.append((crop * 255).round().astype(np.uint8))
    return found


def astray(frame: Frame) -> bool:
    """The frame is not the face in the canvas's middle, nor one of its mirror images beside it."""
    x, y = frame.centre
    off = [abs((v - SIZE / 2 + FACE / 2) % FACE - FACE / 2) / FACE for v in (x, y)]
    return max(off) > 0.3 or not 0.5 < frame.side / FACE < 2 or (abs(frame.angle) > 1.0 and math.hypot(*off) > 0.2)
