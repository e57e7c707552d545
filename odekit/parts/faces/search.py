"""Search a photograph for faces of all sizes: in reduced copies, then in finer pictures for the small faces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from odekit.parts.faces.select import Box, area
from odekit.parts.faces.yunet import BgrPicture, Proposal, YuNet, import_opencv

Boxes = NDArray[np.float64]
"""(N, 4): x0, y0, x1, y1."""

SMALLEST_COPY = 160
"""Copies are halved as long as their longer side is at least this, in pixels."""
SMALL_FACE = 100
"""Boxes of a finer picture count up to this width, in pixels of that picture: larger ones are parts of larger faces."""
CLEAR_FACE = 36
"""Width from which a face is found in any case, in pixels of the picture that is searched."""
TILE_OVERLAP = 128
"""Overlap of neighbouring tiles in pixels: a box of `SMALL_FACE` pixels lies within one of them."""
ENLARGED = 2.0
"""Greatest factor by which a small photograph is enlarged."""
LEAST_FINER = 1.25
"""Least factor by which a finer picture is larger than the largest copy; less is not worth the time."""
SAME = 0.4
"""Boxes of two searches that overlap by more (intersection over union) are of one face."""
INSIDE = 0.6
"""A box lies in another one if this fraction of its area does."""
SURE = 0.8
"""Score of a face from which boxes inside of it, found in finer pictures only, are dropped."""


@dataclass(frozen=True)
class SearchSize:
    """How finely a photograph is searched."""

    largest: int = 1280
    """Longer side of the largest reduced copy, in pixels."""
    tile: int = 1280
    """Largest side of the tiles at full size, in pixels."""
    smallest: float = 16
    """Width of the smallest face, in pixels of the photograph."""

    def scale(self, width: int, height: int) -> float:
        """Of the largest copy of a photograph of this size."""
        return min(1.0, self.largest / max(height, width))

    def coarse_only(self, width: int, height: int) -> int:
        """The least `smallest` with which a photograph of this size is searched in its copies only."""
        return math.ceil(CLEAR_FACE / self.scale(width, height))

    def widest_of_finer(self, width: int, height: int) -> float:
        """Width of the widest face that a search in finer pictures finds in a photograph of this size."""
        return SMALL_FACE / (1.0 if self.scale(width, height) * LEAST_FINER <= 1 else self.enlargement(width, height))

    def enlargement(self, width: int, height: int) -> float:
        """How much a small photograph is enlarged for faces that are small."""
        return min(ENLARGED, self.largest / max(height, width))


def search(network: YuNet, photo: BgrPicture, size: SearchSize, finer: bool = True) -> list[Proposal]:
    """Faces of a photograph (H, W, 3), in its pixels, best first.

    Large, blurred and noisy faces are found best in a small copy, small faces in a large one. Each picture adds the
    faces that coarser ones lack, and replaces those that it sees better.

    Args:
        network: the detector.
        photo: the photograph.
        size: see there.
        finer: also search the photograph in tiles at full size, or enlarged if it is small.
    """
    height, width = photo.shape[:2]
    scale = size.scale(width, height)
    found: list[Proposal] = []
    for factor in halvings(scale, max(height, width)):
        found = merge(found, search_scaled(network, photo, factor))
    if finer and size.smallest * scale < CLEAR_FACE:
        found = merge(found, search_finer(network, photo, scale, size))
    return sorted(found, key=lambda p: (-p.score, p.box))


def halvings(scale: float, side: int) -> list[float]:
    """Scales of the copies, coarsest first: `scale` and its halves."""
    count = max(0, math.floor(math.log2(max(1.0, scale * side / SMALLEST_COPY))))
    return [scale / 2**k for k in range(count, -1, -1)]


def search_scaled(network: YuNet, photo: BgrPicture, scale: float) -> list[Proposal]:
    """Faces of a copy of the photograph, in pixels of the photograph."""
    height, width = photo.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size == (width, height):
        return network.propose(photo)
    cv = import_opencv()
    copy = cv.resize(photo, size, interpolation=cv.INTER_AREA if scale < 1 else cv.INTER_CUBIC)
    return [scaled(p, width / size[0], height / size[1]) for p in network.propose(copy)]


def search_finer(network: YuNet, photo: BgrPicture, scale: float, size: SearchSize) -> list[Proposal]:
    """Small faces of the photograph at full size, in tiles; of one that is small already, in an enlarged copy."""
    height, width = photo.shape[:2]
    if scale * LEAST_FINER <= 1:

        def search_tile(tile: tuple[tuple[int, int], tuple[int, int]]) -> list[Proposal]:
            (y, rows), (x, columns) = tile
            proposals = network.propose(photo[y : y + rows, x : x + columns])
            return [moved(p, x, y) for p in proposals if box_width(p.box) < SMALL_FACE]

        # One after the other: OpenCV has threads of its own, and a network keeps 120 MB for a tile of this size.
        tiles = [(rows, columns) for rows in spans(height, size.tile) for columns in spans(width, size.tile)]
        found = distinct([p for tile in tiles for p in search_tile(tile)])
        network.release()
        return found
    factor = size.enlargement(width, height)
    if factor < LEAST_FINER:
        return []
    return [p for p in search_scaled(network, photo, factor) if box_width(p.box) * factor < SMALL_FACE]


def spans(length: int, longest: int) -> list[tuple[int, int]]:
    """Start and length of the tiles along one axis: equally long, at most `longest`, overlapping by `TILE_OVERLAP`."""
    count = max(1, math.ceil((length - TILE_OVERLAP) / (longest - TILE_OVERLAP)))
    span = math.ceil((length + (count - 1) * TILE_OVERLAP) / count)
    return [(min(i * (span - TILE_OVERLAP), length - span), span) for i in range(count)]


def merge(coarse: Sequence[Proposal], fine: Sequence[Proposal]) -> list[Proposal]:
    """Faces of a coarser picture, and what a finer one adds.

    The better box of one face is kept. A box of the finer picture that lies in a clear face of the coarser one is
    dropped: at high magnification parts of a large face look like faces.
    """
    kept = list(coarse)
    sure = boxes_of([p for p in coarse if p.score >= SURE])
    for proposal in sorted(fine, key=lambda p: (-p.score, p.box)):
        shared, _ = overlaps(proposal.box, boxes_of(kept))
        best = int(shared.argmax()) if kept else 0
        if kept and shared[best] > SAME:
            if proposal.score > kept[best].score:
                kept[best] = proposal
        elif not (overlaps(proposal.box, sure)[1] > INSIDE).any():
            kept.append(proposal)
    return kept


def distinct(found: Sequence[Proposal]) -> list[Proposal]:
    """The faces of overlapping tiles without duplicates and without parts of faces that a tile's border cuts."""
    kept: list[Proposal] = []
    for proposal in sorted(found, key=lambda p: (-p.score, p.box)):
        shared, inside = overlaps(proposal.box, boxes_of(kept))
        if not ((shared > SAME) | (inside > INSIDE)).any():
            kept.append(proposal)
    return kept


def boxes_of(proposals: Sequence[Proposal]) -> Boxes:
    """The boxes of proposals as an array (N, 4)."""
    return np.array([p.box for p in proposals], dtype=np.float64).reshape(-1, 4)


def overlaps(box: Box, others: Boxes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Overlap of one box with others (N, 4): intersection over union, and the share of the box inside of each."""
    size = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    intersection = size.clip(0).prod(1)
    union = area(box) + (others[:, 2:] - others[:, :2]).prod(1) - intersection
    return intersection / np.maximum(union, 1e-9), intersection / max(area(box), 1e-9)


def box_width(box: Box) -> float:
    """Width of a box."""
    return box[2] - box[0]


def scaled(proposal: Proposal, x: float, y: float) -> Proposal:
    """A proposal with its coordinates multiplied by x and y."""
    x0, y0, x1, y1 = proposal.box
    return replace(proposal, box=(x0 * x, y0 * y, x1 * x, y1 * y), points=proposal.points * np.array([x, y]))


def moved(proposal: Proposal, x: float, y: float) -> Proposal:
    """A proposal shifted by x and y."""
    x0, y0, x1, y1 = proposal.box
    return replace(proposal, box=(x0 + x, y0 + y, x1 + x, y1 + y), points=proposal.points + np.array([x, y]))
