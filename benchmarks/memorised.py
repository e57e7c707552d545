"""Memorisation of training faces by a prior: the distance of samples to their nearest training faces.

It is compared with the distance of held-out faces: memorised samples lie nearer to the training faces than those do.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from odekit.core.image import Image
from odekit.evaluation.experiments.faces import Pictures, at_side
from odekit.runs.report.sheet import contact_sheet

SIDE = 32
"""Distances are measured on area means of this side, which are free of grain."""
NEAREST = 3
_BLOCK = 1 << 8


@dataclass(frozen=True)
class NearestFaces:
    """The training faces nearest to each image."""

    index: NDArray[np.int64]
    """(images, NEAREST), nearest first."""
    mirrored: NDArray[np.bool_]
    """Whether the mirror image is the nearer one; training uses both."""
    distance: NDArray[np.float64]
    """RMS over pixels, in the range 0 to 1."""


def nearest(pictures: Pictures, train: Pictures, count: int = NEAREST) -> NearestFaces:
    """The nearest training faces (N, S, S, 3) or their mirror images, by RMS distance over pixels."""
    count = min(count, len(train))
    small, trained = _small(pictures), _small(train)
    both = np.concatenate([_flat(trained), _flat(trained[:, :, ::-1])])
    squares = (both**2).sum(1)
    index = np.empty((len(small), count), np.int64)
    mirrored, distance = np.empty((len(small), count), bool), np.empty((len(small), count))
    for start in range(0, len(small), _BLOCK):
        rows = _flat(small[start : start + _BLOCK])
        square = (rows**2).sum(1)[:, None] + squares - 2 * rows @ both.T
        distances = np.sqrt(np.maximum(square, 0) / rows.shape[1]).reshape(len(rows), 2, len(trained))
        least = distances.min(1)
        order = np.argsort(least, axis=1, kind="stable")[:, :count]
        batch = slice(start, start + len(rows))
        index[batch], distance[batch] = order, np.take_along_axis(least, order, 1)
        mirrored[batch] = np.take_along_axis(distances.argmin(1) == 1, order, 1)
    return NearestFaces(index, mirrored, distance)


def draw(path: Path, samples: Pictures, train: Pictures, neighbours: NearestFaces, columns: int = 2) -> None:
    """Draw a sheet of each sample and its nearest training faces, with their distances."""
    groups = []
    for number, picture in enumerate(samples):
        group = [(f"sample {number}", Image.from_uint8(picture))]
        for i, flipped, gap in zip(
            neighbours.index[number], neighbours.mirrored[number], neighbours.distance[number], strict=True
        ):
            face = train[i][:, ::-1] if flipped else train[i]
            group.append((f"train {i}: {gap:.3f}", Image.from_uint8(np.ascontiguousarray(face))))
        groups.append(group)
    rows = [list(itertools.chain(*groups[i : i + columns])) for i in range(0, len(groups), columns)]
    drawn = contact_sheet(rows)
    drawn.resize((drawn.width // 2, drawn.height // 2), PIL.Image.Resampling.LANCZOS).save(path)


def _small(pictures: Pictures) -> NDArray[np.float64]:
    small = at_side(pictures, SIDE) if pictures.shape[1] > SIDE else pictures
    return small.astype(np.float64) / 255


def _flat(pictures: NDArray[np.float64]) -> NDArray[np.float64]:
    return pictures.reshape(len(pictures), -1)
