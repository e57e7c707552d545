"""Remove JPEG blocks from a photograph: the mean of copies that are compressed again, each with shifted blocks.

A. Nosratinia, "Enhancement of JPEG-compressed images by re-application of JPEG", Journal of VLSI Signal Processing 27
(2001). Steps at block borders are smoothed by the copies whose blocks lie across them. Detail that survived the
compression is kept, because every copy keeps it.
"""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from odekit.core.image import Image, Pixels
from odekit.images.colour import luma
from odekit.parts.repair.tiles import apply_in_tiles

BLOCK = 8
SHIFTS = tuple((2 * i + 8 * (j % 2), 2 * j + 8 * (i % 2)) for i in range(4) for j in range(4))
"""Shifts of the blocks in rows and columns: every second position in a luma block, and likewise in a chroma block,
which is twice as large if chroma has half the resolution."""
TILE = 1024
MARGIN = 32
"""Pixels around a tile that are compressed with it. Both are multiples of 16, so that all tiles have one block grid."""
QUALITY_SIDE = 384
"""Side of the central part from which the quality is estimated."""
QUALITIES = range(5, 96)
MAX_CHANGE_RATIO = 0.8
"""Recompression at the original quality must change a picture by less than this fraction of the change at neighbouring
qualities."""
DEFAULT_QUALITY = 30
"""Default quality if the estimate fails, because the photograph was scaled or edited after its compression."""


def remove_blocks(image: Image, origin: tuple[int, int], quality: int) -> Pixels:
    """The pixels with JPEG blocks removed. A grey photograph stays exactly grey.

    Args:
        image: the photograph.
        origin: row and column, 0 to 7, of the first block's corner.
        quality: of the compression, 1 to 100 as in libjpeg (see `quality_of`).
    """
    planes = image.pixels[:1] if image.meta.grey else image.pixels
    sampling = -1 if image.meta.grey else estimate_subsampling(planes, origin, quality)
    out = apply_in_tiles(lambda tile: mean_of_shifts(tile, origin, quality, sampling), planes, TILE, MARGIN)
    return np.repeat(out, 3, axis=0) if image.meta.grey else out


def quality_of(image: Image, origin: tuple[int, int]) -> int:
    """The quality of a photograph's compression: the known one, an estimate, or `DEFAULT_QUALITY`."""
    return image.quality or estimate_quality(image.pixels, origin) or DEFAULT_QUALITY


def mean_of_shifts(
    planes: NDArray[np.float32], origin: tuple[int, int], quality: int, sampling: int
) -> NDArray[np.float32]:
    """Recompress planes (1 or 3, H, W) in [0, 1] at every shift of `SHIFTS`, counted from `origin`, and average."""
    height, width = planes.shape[1:]
    levels = _bytes(planes)
    rounding = planes - levels.transpose(2, 0, 1).astype(np.float32) / np.float32(255)  # keeps more than 8 bits
    total = np.zeros((height, width, levels.shape[2]), np.int32)
    for shift in SHIFTS:
        down, right = ((by - start) % (2 * BLOCK) for by, start in zip(shift, origin, strict=True))
        padded = np.pad(levels, ((down, 2 * BLOCK), (right, 2 * BLOCK), (0, 0)), mode="edge")
        total += recompress(padded, quality, sampling)[down : down + height, right : right + width]
    out = total.transpose(2, 0, 1).astype(np.float32) / np.float32(255 * len(SHIFTS)) + rounding
    clipped: NDArray[np.float32] = np.clip(out, 0, 1).astype(np.float32)
    return clipped


def estimate_quality(pixels: Pixels, origin: tuple[int, int]) -> int | None:
    """Estimate the quality (as in libjpeg) at which a photograph (3, H, W) was compressed; None if unknown.

    Recompression at the original quality changes a picture least ("JPEG ghosts": H. Farid, IEEE Transactions on
    Information Forensics and Security 4, 2009).
    """
    y = luma(pixels)
    corner = [
        (max(0, (side - QUALITY_SIDE) // 2) // BLOCK) * BLOCK + start
        for side, start in zip(y.shape, origin, strict=True)
    ]
    part = y[corner[0] : corner[0] + QUALITY_SIDE, corner[1] : corner[1] + QUALITY_SIDE]
    part = part[: part.shape[0] // BLOCK * BLOCK, : part.shape[1] // BLOCK * BLOCK]
    if not part.size:
        return None
    levels = _bytes(part[None])
    change = {q: float(np.abs(recompress(levels, q, -1).astype(np.int16) - levels).mean()) for q in QUALITIES}
    best = min(list(QUALITIES)[2:-2], key=lambda q: change[q] / max(1e-3, min(change[q - 2], change[q + 2])))
    return best if change[best] < MAX_CHANGE_RATIO * min(change[best - 2], change[best + 2]) else None


def estimate_subsampling(planes: NDArray[np.float32], origin: tuple[int, int], quality: int) -> int:
    """Estimate the chroma subsampling, as Pillow numbers it: 2 for half resolution, 0 for full resolution.

    Recompression with the original subsampling changes the picture less.
    """

    def change(y: int, x: int, sampling: int) -> float:
        part = _bytes(planes[:, origin[0] + y :, origin[1] + x :][:, :QUALITY_SIDE, :QUALITY_SIDE])
        return float(np.abs(recompress(part, quality, sampling).astype(np.int16) - part).mean())

    if min(planes.shape[1:]) <= 2 * BLOCK + max(origin):
        return 2
    halved = min(change(y, x, 2) for y in (0, BLOCK) for x in (0, BLOCK))  # blocks of chroma are 16 pixels wide
    return 2 if halved <= change(0, 0, 0) + 0.1 else 0


def recompress(levels: NDArray[np.uint8], quality: int, sampling: int) -> NDArray[np.uint8]:
    """Compress and decode levels (H, W, 1 or 3) as JPEG; `sampling` as Pillow numbers it."""
    file = io.BytesIO()
    picture = PIL.Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels)
    picture.save(file, "JPEG", quality=quality, subsampling=sampling)
    return np.asarray(PIL.Image.open(file)).reshape(levels.shape)


def _bytes(planes: NDArray[np.float32]) -> NDArray[np.uint8]:
    return (np.clip(planes, 0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)
