"""The aligner on held-out faces: how far off its points are after two looks, and how often its score is wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from odekit.parts.corruptions.kinds import KINDS
from odekit.parts.faces.aligner import Aligner
from odekit.parts.faces.geometry import TEMPLATES, Frame
from odekit.training import seeding
from odekit.training.data import canvases
from odekit.training.data.canvases import FACE, SIZE, Picture
from odekit.training.options.aligner import Canvas

SHIFT, ANGLE, ZOOM, SEED = 0.15, 20.0, 1.15, 7
TEMPLATE = TEMPLATES["ffhq-5"]


@dataclass(frozen=True)
class Aligned:
    """Figures for one kind of input; errors are mean distances of five points as fractions of the crop's side."""

    kind: str
    count: int
    error: float
    error_90: float
    found: float
    """Share of faces with a score of at least 0.6."""
    false: float
    """Share of places without a face with such a score."""
    milliseconds: float
    """For one face, all looks."""


def measure(aligner: Aligner, faces: Picture, backgrounds: Path | None = None) -> list[Aligned]:
    """Clean faces, and damaged ones (each of the 24 kinds in turn, severity 4), from boxes off by up to 15 % of the
    side along each axis, 20 degrees and 15 % in size; half as many places without a face.
    """
    return [_kind(aligner, faces, canvases.backgrounds(backgrounds), kind) for kind in ("clean", "damaged")]


def _kind(aligner: Aligner, faces: Picture, scenes: list[Picture], kind: str) -> Aligned:
    errors: list[float] = []
    scores: list[float] = []
    empty: list[float] = []
    began = time.perf_counter()
    for number, (pixels, start, real) in enumerate(_questions(faces, scenes, kind)):
        if number == 0:
            aligner.refine(pixels, [start])
            began = time.perf_counter()
        frame, score = aligner.refine(pixels, [start])[0]
        truth = TEMPLATE * FACE + (SIZE - FACE) / 2
        if real:
            errors.append(float(np.hypot(*(frame.place(TEMPLATE) - truth).T).mean()) / FACE)
        (scores if real else empty).append(score)
    taken = 1000 * (time.perf_counter() - began) / (len(scores) + len(empty))
    found, false = (float((np.array(s) >= 0.6).mean()) for s in (scores, empty))
    return Aligned(kind, len(errors), float(np.median(errors)), float(np.quantile(errors, 0.9)), found, false, taken)


def _questions(faces: Picture, scenes: list[Picture], kind: str) -> Iterator[tuple[np.ndarray, Frame, bool]]:
    how = Canvas(smallest=64)
    for number in range(len(faces) + len(faces) // 2):
        rng = seeding.generator(SEED, f"bench-{kind}", number)
        real = number < len(faces)
        damage = [] if kind == "clean" else [(KINDS[number % len(KINDS)], 4)]
        picture = canvases.canvas(faces[number] if real else None, scenes, list(faces), rng, how, damage)
        x, y = SIZE / 2 + FACE * rng.uniform(-SHIFT, SHIFT, 2)
        side = FACE * np.exp(rng.uniform(-1, 1) * np.log(ZOOM))
        start = Frame.around((x, y), side, float(np.deg2rad(rng.uniform(-ANGLE, ANGLE))))
        yield picture.transpose(2, 0, 1).astype(np.float32) / np.float32(255), start, real
