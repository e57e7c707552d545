"""`python -m benchmarks aligner`: errors of the aligner's points and of its score on held-out faces."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from benchmarks.options import AsJson
from benchmarks.output import print_result
from benchmarks.table import Goal, Table
from odekit.evaluation.experiments.faces import faces_of_split
from odekit.parts.corruptions.kinds import KINDS
from odekit.parts.faces.aligner import Aligner
from odekit.parts.faces.geometry import TEMPLATES, Frame
from odekit.testing import StandaloneTools
from odekit.training import seeding
from odekit.training.data import canvases
from odekit.training.data.canvases import CANVAS_SIDE, FACE_SIDE, Picture
from odekit.training.options.aligner import CanvasOptions

SHIFT, ANGLE, ZOOM, SEED = 0.15, 20.0, 1.15, 7
TEMPLATE = TEMPLATES["ffhq-5"]


COLUMNS = {
    "kind": "faces", "count": "count", "error": "median error", "error_90": "90 %", "found": "score >= 0.6",
    "false": "false positives", "milliseconds": "ms",
}  # fmt: skip


def command(
    data: Annotated[Path, typer.Argument(help="Folder, tar or npz of aligned faces with their split.")],
    weights: Annotated[
        str, typer.Option(help="Registered weights, or a folder (with a slash) of a training run.")
    ] = "aligner",
    split: Annotated[Literal["val", "test"], typer.Option(help="The split; use test last.")] = "val",
    as_json: AsJson = False,
) -> None:
    """Errors of the points that the aligner finds in two passes from inexact boxes, on clean and on damaged faces.

    Example: python -m benchmarks aligner faces128.tar
    """
    faces = faces_of_split(data, split, 128)
    rows = [vars(row) for row in measure(Aligner(weights, StandaloneTools()), faces)]
    goals = [
        Goal("median error, clean", 100 * rows[0]["error"], most=2.5, unit="%"),
        Goal("median error, damaged (severity 4)", 100 * rows[1]["error"], most=4, unit="%"),
    ]
    how = f"{weights}; {len(faces)} {split} faces, boxes off by up to 15 % and 20 degrees"
    print_result(Table("aligner", how, COLUMNS, rows, goals), as_json)


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
    """Share of places without a face that have such a score."""
    milliseconds: float
    """For one face, all passes."""


def measure(aligner: Aligner, faces: Picture, backgrounds: Path | None = None) -> list[Aligned]:
    """Figures for clean and damaged faces (each of the 24 kinds in turn, severity 4), and half as many empty places.

    The boxes are off by up to 15 % of the side along each axis, by 20 degrees and by 15 % in size.
    """
    return [measure_kind(aligner, faces, canvases.load_backgrounds(backgrounds), kind) for kind in ("clean", "damaged")]


def measure_kind(aligner: Aligner, faces: Picture, scenes: list[Picture], kind: str) -> Aligned:
    """The figures of one kind of input, `clean` or `damaged`."""
    errors: list[float] = []
    scores: list[float] = []
    empty: list[float] = []
    began = time.perf_counter()
    for number, (pixels, start, real) in enumerate(examples(faces, scenes, kind)):
        if number == 0:  # a warm-up
            aligner.refine(pixels, [start])
            began = time.perf_counter()
        frame, score = aligner.refine(pixels, [start])[0]
        truth = TEMPLATE * FACE_SIDE + (CANVAS_SIDE - FACE_SIDE) / 2
        if real:
            errors.append(float(np.hypot(*(frame.place(TEMPLATE) - truth).T).mean()) / FACE_SIDE)
        (scores if real else empty).append(score)
    milliseconds = 1000 * (time.perf_counter() - began) / (len(scores) + len(empty))
    found, false = (float((np.array(s) >= 0.6).mean()) for s in (scores, empty))
    return Aligned(
        kind, len(errors), float(np.median(errors)), float(np.quantile(errors, 0.9)), found, false, milliseconds
    )


def examples(faces: Picture, scenes: list[Picture], kind: str) -> Iterator[tuple[np.ndarray, Frame, bool]]:
    """(pixels, inexact frame, whether there is a face)."""
    how = CanvasOptions(smallest=64)
    for number in range(len(faces) + len(faces) // 2):
        rng = seeding.keyed_generator(SEED, f"bench-{kind}", number)
        real = number < len(faces)
        damage = [] if kind == "clean" else [(KINDS[number % len(KINDS)], 4)]
        picture = canvases.compose_canvas(faces[number] if real else None, scenes, list(faces), rng, how, damage)
        x, y = CANVAS_SIDE / 2 + FACE_SIDE * rng.uniform(-SHIFT, SHIFT, 2)
        side = FACE_SIDE * np.exp(rng.uniform(-1, 1) * np.log(ZOOM))
        start = Frame.from_centre((x, y), side, float(np.deg2rad(rng.uniform(-ANGLE, ANGLE))))
        yield picture.transpose(2, 0, 1).astype(np.float32) / np.float32(255), start, real
