"""`python -m benchmarks photo`: time and memory of the chain `photo`, phase by phase, for a large photograph.

With a folder of labelled photographs: face detection, and how visible a pasted face is.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.options import AsJson
from benchmarks.output import print_result
from benchmarks.parts import make_part
from benchmarks.paste import seam, shift
from benchmarks.photo_phases import photo_phases
from benchmarks.table import Goal, Row, Table
from odekit.chains.chain import Chain
from odekit.core.device import peak_memory_gb
from odekit.core.image import Image
from odekit.core.interfaces import Face, FaceDetector
from odekit.errors import InputError
from odekit.images.io import read
from odekit.parts.faces.geometry import TEMPLATES, Frame
from odekit.parts.metrics.psnr import PsnrMetric

POINTS = TEMPLATES["ffhq-5"]
NEAR = 0.25
"""Largest distance between the centres of the found and the true points of a found face, in sides of the crop."""
COLUMNS = {
    "photo": "photograph", "megapixels": "Mpx", "faces": "faces", "missed": "missed",
    "missed_small": "small missed", "false": "false", "seam": "seam", "shift": "shift px", "seconds": "s",
    "processor": "processor s",
}  # fmt: skip


def command(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of photographs with a faces.json that lists their faces.")
    ] = None,
    picture: Annotated[
        list[Path] | None,
        typer.Option(help="Without a folder: time this photograph, not drawn ones; repeatable."),
    ] = None,
    part: Annotated[str, typer.Option("--detector", help="A detector by name, or as a YAML mapping.")] = "builtin",
    chain: Annotated[
        str | None, typer.Option(help="Also restore the photographs with this chain (slow): PSNR.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many photographs.")] = None,
    as_json: AsJson = False,
) -> None:
    """Seconds and memory of `odekit run photo`, phase by phase, for 12 megapixels, undamaged and noisy.

    With a folder: recall, false boxes, points, seams, seconds and memory on photographs with labelled faces; with
    --chain also the PSNR of the restored photographs against the given ones.

    Example: python -m benchmarks photo
    """
    if folder is None:
        print_result(photo_phases(picture or []), as_json)
        return
    detector: FaceDetector = make_part("detector", part, "cpu", "float32")
    restorer = Chain.load(chain) if chain else None
    every, rows = [], []
    for labelled in labelled_photos(folder)[:limit]:
        photo = read(labelled.path)
        detections = detect(detector, labelled, photo)
        every.append(detections)
        row = photo_row(labelled, photo, detections)
        if restorer is not None:
            row["psnr"] = PsnrMetric().measure(restorer.run([photo])[0].image, photo)
        rows.append(row)
    total = summary(every) | {"time": max((slowness(row) for row in rows), default=math.nan)}
    columns = COLUMNS | ({} if restorer is None else {"psnr": "PSNR dB"})
    print_result(Table("photo", describe(part, total), columns, rows, goals_of(total)), as_json)


@dataclass(frozen=True)
class LabelledFace:
    """A labelled face of a photograph."""

    points: NDArray[np.float64]
    box: tuple[int, ...]
    """x0, y0, x1, y1 in whole pixels, as listed; empty where none is listed."""
    small: bool
    hard: bool

    @property
    def plain(self) -> bool:
        """Whether the face is neither small nor hard."""
        return not self.small and not self.hard

    @property
    def frame(self) -> Frame:
        """The aligned crop."""
        return Frame.fit(self.points, POINTS)


@dataclass(frozen=True)
class LabelledPhoto:
    """A photograph and its faces; `complete` where all faces are listed."""

    path: Path
    faces: Sequence[LabelledFace]
    complete: bool


@dataclass
class Detections:
    """The results of a detector on one photograph."""

    photo: LabelledPhoto
    seconds: float
    processor: float
    """Processor seconds of the detector, all cores together."""
    errors: list[tuple[LabelledFace, float]] = field(default_factory=list)
    """Found faces, with the mean distance of the five points as a fraction of the crop's side."""
    missed: list[LabelledFace] = field(default_factory=list)
    false: list[Face] = field(default_factory=list)
    """Detections without a face; only counted in complete photographs."""
    seam: float = math.nan
    """Largest relative difference of the mean gradient across the mask's border."""
    shift: float = math.nan
    """Largest displacement of a pasted face, in pixels."""


def labelled_photos(folder: Path) -> list[LabelledPhoto]:
    """The photographs of a folder with a `faces.json`.

    Raises:
        InputError: there is none, or it has another form.
    """
    path = folder / "faces.json"
    try:
        photos = json.loads(path.read_text(encoding="utf-8"))["photos"]
        return [
            LabelledPhoto(folder / name, [labelled_face(face) for face in one["faces"]], one["complete"])
            for name, one in sorted(photos.items())
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: no list of labelled faces ({error!r}); under 'photos', each file has 'complete' and "
            "'faces' with five 'points', 'small' and 'hard'"
        ) from error


def labelled_face(face: Mapping[str, Any]) -> LabelledFace:
    """A face of `faces.json`."""
    points = np.array(face["points"], dtype=np.float64)
    return LabelledFace(points, tuple(round(v) for v in face.get("box", ())), face["small"], face["hard"])


def detect(detector: FaceDetector, labelled: LabelledPhoto, photo: Image, paste: bool = True) -> Detections:
    """Detect and compare; with `paste`, paste an altered face at every true place and measure the seam."""
    began, processor = time.perf_counter(), time.process_time()
    faces = list(detector.detect(photo))
    out = Detections(labelled, time.perf_counter() - began, time.process_time() - processor)
    left = list(faces)
    for truth in labelled.faces:
        side, middle = truth.frame.side, truth.points.mean(0)
        near = [f for f in left if f.points and math.dist(np.mean(f.points, axis=0), middle) < NEAR * side]
        if not near:
            out.missed.append(truth)
            continue
        best = max(near, key=lambda f: f.score)
        left = [f for f in left if f not in near]
        out.errors.append((truth, float(np.hypot(*(np.array(best.points) - truth.points).T).mean()) / side))
    out.false = left if labelled.complete else []
    if paste:
        measured = [(seam(photo.pixels, t.frame), shift(photo.pixels, t.frame)) for t in labelled.faces if not t.small]
        out.seam = max((s for s, _ in measured), default=math.nan)
        out.shift = max((s for _, s in measured), default=math.nan)
    return out


def summary(detections: Sequence[Detections]) -> dict[str, Any]:
    """The figures over all photographs."""
    plain = [face for one in detections for face in one.photo.faces if face.plain]
    small = [face for one in detections for face in one.photo.faces if face.small]
    missed = [(one.photo.path.name, face) for one in detections for face in one.missed]
    errors = [error for one in detections for face, error in one.errors if not face.hard]
    return {
        "faces": len(plain),
        "missed": [
            f"{name} {face.box or tuple(round(v) for v in face.points.mean(0))}" for name, face in missed if face.plain
        ],
        "recall": 1 - sum(face.plain for _, face in missed) / max(1, len(plain)),
        "recall_all": 1 - len(missed) / max(1, sum(len(one.photo.faces) for one in detections)),
        "small": len(small),
        "recall_small": 1 - sum(face.small for _, face in missed) / max(1, len(small)),
        "false": sum(len(one.false) for one in detections),
        "error": float(np.median(errors)) if errors else math.nan,
        "seam": float(np.nanmax([one.seam for one in detections] + [0.0])),
        "shift": float(np.nanmax([one.shift for one in detections] + [0.0])),
        "seconds": float(np.mean([one.seconds for one in detections])) if detections else math.nan,
        "peak_gb": peak_memory_gb(),
    }


def photo_row(labelled: LabelledPhoto, photo: Image, detections: Detections) -> Row:
    """The row of a photograph."""
    return {
        "photo": labelled.path.name,
        "megapixels": photo.width * photo.height / 1e6,
        "faces": len(labelled.faces),
        "missed": sum(face.plain for face in detections.missed),
        "missed_small": sum(face.small for face in detections.missed),
        "false": len(detections.false) if labelled.complete else None,
        "seam": detections.seam,
        "shift": detections.shift,
        "seconds": detections.seconds,
        "processor": detections.processor,
    }


def slowness(row: Row) -> float:
    """Processor time of a search as a share of what two cores have in the allowed time (`allowed_seconds`)."""
    return float(row["processor"] / (2 * allowed_seconds(row["megapixels"])))


def allowed_seconds(megapixels: float) -> float:
    """Time that a search may take on two idle cores: 0.5 s up to 2.7 megapixels, 0.25 s for each further one."""
    return 0.5 + 0.25 * max(0.0, megapixels - 2.7)


def goals_of(total: Mapping[str, Any]) -> list[Goal]:
    """The goals over all photographs."""
    return [
        Goal("recall of faces neither small nor hard", 100 * total["recall"], least=100, unit="%"),
        Goal("recall of all faces", 100 * total["recall_all"], least=97, unit="%"),
        Goal("false boxes in complete photographs", float(total["false"]), most=0),
        Goal("processor time, of what two cores have in the time allowed", 100 * total["time"], most=100, unit="%"),
        Goal("seam: gradient across the mask's border, change", 100 * total["seam"], most=10, unit="%"),
        Goal("shift of a pasted face", total["shift"], most=0.25, unit="px"),
    ]


def describe(part: str, total: Mapping[str, Any]) -> str:
    """Detector, missed and small faces, points, time and memory in one line."""
    missed = ", ".join(total["missed"]) or "none"
    return (
        f"detector {part}; {total['faces']} faces, missed: {missed}; {total['small']} small ones, "
        f"recall {100 * total['recall_small']:.0f} %; "
        f"median error of the points {100 * total['error']:.1f} % of the crop's side; "
        f"{total['seconds']:.1f} s a photograph; peak memory {total['peak_gb']:.2f} GB"
    )
