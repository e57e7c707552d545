"""Has a prior learnt its training faces by heart? Samples beside the training faces nearest to them.

A distance alone says little, since some faces have many like them. So it stands beside the distance of faces that the
prior never saw: samples that are memorised lie nearer to the training faces than those do.
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
from odekit.runs.report.sheet import sheet

SIDE = 32
"""Distances are those of area means of this side: of faces, not of grain."""
NEAREST = 3
_BLOCK = 1 << 8


@dataclass(frozen=True)
class Near:
    """The training faces nearest to each of some pictures."""

    index: NDArray[np.int64]
    """(pictures, NEAREST), nearest first."""
    mirrored: NDArray[np.bool_]
    """Whether it is the mirror image that is so near; the prior saw both."""
    distance: NDArray[np.float64]
    """RMS over pixels, in the range 0 to 1."""


def nearest(pictures: Pictures, train: Pictures, count: int = NEAREST) -> Near:
    """By RMS distance over pixels, to a training face (N, S, S, 3) or its mirror image."""
    count = min(count, len(train))
    some, seen = _small(pictures), _small(train)
    both = np.concatenate([_flat(seen), _flat(seen[:, :, ::-1])])
    squares = (both**2).sum(1)
    index = np.empty((len(some), count), np.int64)
    mirrored, distance = np.empty((len(some), count), bool), np.empty((len(some), count))
    for start in range(0, len(some), _BLOCK):
        rows = _flat(some[start : start + _BLOCK])
        square = (rows**2).sum(1)[:, None] + squares - 2 * rows @ both.T
        apart = np.sqrt(np.maximum(square, 0) / rows.shape[1]).reshape(len(rows), 2, len(seen))
        least = apart.min(1)
        order = np.argsort(least, axis=1, kind="stable")[:, :count]
        here = slice(start, start + len(rows))
        index[here], distance[here] = order, np.take_along_axis(least, order, 1)
        mirrored[here] = np.take_along_axis(apart.argmin(1) == 1, order, 1)
    return Near(index, mirrored, distance)


def draw(path: Path, samples: Pictures, train: Pictures, near: Near, columns: int = 2) -> None:
    """A sheet: each sample and the training faces nearest to it, with their distances."""
    groups = []
    for number, picture in enumerate(samples):
        group = [(f"sample {number}", Image.from_uint8(picture))]
        for i, flipped, apart in zip(near.index[number], near.mirrored[number], near.distance[number], strict=True):
            face = train[i][:, ::-1] if flipped else train[i]
            group.append((f"train {i}: {apart:.3f}", Image.from_uint8(np.ascontiguousarray(face))))
        groups.append(group)
    rows = [list(itertools.chain(*groups[i : i + columns])) for i in range(0, len(groups), columns)]
    made = sheet(rows)
    made.resize((made.width // 2, made.height // 2), PIL.Image.Resampling.LANCZOS).save(path)


def _small(pictures: Pictures) -> NDArray[np.float64]:
    small = at_side(pictures, SIDE) if pictures.shape[1] > SIDE else pictures
    return small.astype(np.float64) / 255


def _flat(pictures: NDArray[np.float64]) -> NDArray[np.float64]:
    return pictures.reshape(len(pictures), -1)
