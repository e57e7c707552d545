"""Whole photographs with JPEG blocks, scratches or blur, before and after the stage `mend`; and undamaged ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.photo import Known
from odekit.core.image import Image, Pixels
from odekit.parts.corruptions.kinds import corrupt

KINDS = {
    "none": (0,),
    "jpeg": (1, 2, 3, 4),
    "scratches": (2, 3, 4),
    "gaussian_blur": (1, 2, 3, 4),
    "defocus_blur": (1, 2, 3),
}
"""Damage, and its severities in the table for 224 pixels."""


@dataclass(frozen=True)
class Row:
    """One photograph with one damage."""

    photo: str
    kind: str
    severity: int
    before: float
    """PSNR of the whole photograph against the undamaged one, in dB; inf where they are alike."""
    after: float
    faces_before: float
    """Mean over the faces that the damage touched, in dB; nan where it touched none."""
    faces_after: float
    touched: int
    """Faces that the damage touched."""
    harmed: int
    """Faces that it did not touch and the stage changed."""


def measure(
    stage: Callable[[Image], Image], photos: Iterable[tuple[Known, Image]], kinds: Mapping[str, Sequence[int]]
) -> Iterator[Row]:
    """Every photograph with every damage; the damage of a photograph depends on its place, kind and severity alone."""
    for place, (known, truth) in enumerate(photos):
        for kind, severities in kinds.items():
            for severity in severities:
                damaged = truth if kind == "none" else damage(truth, kind, severity, place)
                yield compared(known, kind, severity, truth, damaged, stage(damaged))


def damage(truth: Image, kind: str, severity: int, seed: int) -> Image:
    """As `odekit degrade --table 224` does it, from a stream of its own."""
    rng = np.random.Generator(np.random.Philox(seed))
    return truth.with_pixels(Image.from_uint8(corrupt(truth.to_uint8(), kind, severity, rng, "224")).pixels)


def compared(known: Known, kind: str, severity: int, truth: Image, before: Image, after: Image) -> Row:
    """The figures of one photograph, whole and in the listed boxes of its faces."""
    pairs = [
        (psnr(part(before, box), part(truth, box)), psnr(part(after, box), part(truth, box)))
        for box in (face.box for face in known.faces if face.box)
    ]
    touched = [(b, a) for b, a in pairs if np.isfinite(b)]
    harmed = sum(bool(np.isfinite(a) and np.isinf(b)) for b, a in pairs)
    faces = np.mean(touched, axis=0) if touched else np.full(2, np.nan)
    was, now = (psnr(image.pixels, truth.pixels) for image in (before, after))
    return Row(known.path.name, kind, severity, was, now, float(faces[0]), float(faces[1]), len(touched), harmed)


def part(image: Image, box: tuple[int, ...]) -> Pixels:
    """The pixels in a box, as far as it lies in the picture."""
    x0, y0, x1, y1 = (max(0, v) for v in box)
    return image.pixels[:, y0:y1, x0:x1]


def psnr(pixels: Pixels, truth: Pixels) -> float:
    """In dB for values in [0, 1]; inf where all are alike."""
    error = float(np.mean((pixels.astype(np.float64) - truth) ** 2))
    return float("inf") if error == 0 else -10 * float(np.log10(error))


@dataclass(frozen=True)
class Total:
    """Means over the photographs with one damage."""

    kind: str
    severity: int
    photos: int
    before: float
    after: float
    least_gain: float
    most_gain: float
    faces_before: float
    faces_after: float
    """Over all faces that were touched."""
    touched: int
    harmed: int


def totals(rows: Sequence[Row]) -> list[Total]:
    """One line for each damage and severity, in the order of the rows."""
    out = []
    for kind, severity in dict.fromkeys((row.kind, row.severity) for row in rows):
        some = [row for row in rows if (row.kind, row.severity) == (kind, severity)]
        gains = [0.0 if row.after == row.before else row.after - row.before for row in some]
        count = sum(row.touched for row in some)
        was, now = (
            sum(getattr(row, name) * row.touched for row in some if row.touched) / count if count else float("nan")
            for name in ("faces_before", "faces_after")
        )
        before, after = (float(np.mean([getattr(row, name) for row in some])) for name in ("before", "after"))
        harmed = sum(row.harmed for row in some)
        out.append(Total(kind, severity, len(some), before, after, min(gains), max(gains), was, now, count, harmed))
    return out
