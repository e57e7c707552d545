"""Takes JPEG's blocks off a photograph: the mean of copies that were compressed again, each with its blocks elsewhere.

A. Nosratinia, "Enhancement of JPEG-compressed images by re-application of JPEG", Journal of VLSI Signal Processing 27
(2001). What a block's border tears is healed in the copies whose blocks lie across it; what the compression may well
have left as it was stays, because every copy keeps it.
"""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from odekit.core.image import Image, Pixels
from odekit.images.colour import luma

BLOCK = 8
SHIFTS = tuple((2 * i + 8 * (j % 2), 2 * j + 8 * (i % 2)) for i in range(4) for j in range(4))
"""Rows and columns by which the blocks lie elsewhere: every second place of a block of luma, and likewise of chroma,
whose blocks are twice as large where its resolution is half."""
TILE = 1024
MARGIN = 32
"""Pixels beyond a tile that are compressed with it. Both are multiples of 16, so that blocks lie alike in all tiles."""
LOOK = 384
"""Side of the part in the middle whose quality is guessed."""
QUALITIES = range(5, 96)
DIP = 0.8
"""Compressed again at its own quality a picture changes by less than this part of what its neighbours change it."""
UNKNOWN = 30
"""Quality taken where the photograph was scaled or altered since, and does not say."""


def deblocked(image: Image, origin: tuple[int, int], quality: int | None = None) -> Pixels:
    """The pixels without blocks; a grey photograph stays grey to the bit.

    `origin` is the row and column, 0 to 7, at which blocks begin; `quality` is guessed where it is not given.
    """
    planes = image.pixels[:1] if image.meta.grey else image.pixels
    known = quality or guess(image.pixels, origin) or UNKNOWN
    sampling = -1 if image.meta.grey else chroma(planes, origin, known)
    out = np.empty_like(planes)
    for top in range(0, image.height, TILE):
        for left in range(0, image.width, TILE):
            y, x = max(0, top - MARGIN), max(0, left - MARGIN)
            tile = mean(planes[:, y : top + TILE + MARGIN, x : left + TILE + MARGIN], origin, known, sampling)
            part = tile[:, top - y : top - y + TILE, left - x : left - x + TILE]
            out[:, top : top + TILE, left : left + TILE] = part
    return np.repeat(out, 3, axis=0) if image.meta.grey else out


def mean(planes: NDArray[np.float32], origin: tuple[int, int], quality: int, sampling: int) -> NDArray[np.float32]:
    """The mean over `SHIFTS`, counted from `origin`, of planes (1 or 3, H, W) in [0, 1] compressed again."""
    height, width = planes.shape[1:]
    level = _bytes(planes)
    rest = planes - level.transpose(2, 0, 1).astype(np.float32) / np.float32(255)  # of 16 bits
    total = np.zeros((height, width, level.shape[2]), np.int32)
    for shift in SHIFTS:
        down, right = ((by - at) % (2 * BLOCK) for by, at in zip(shift, origin, strict=True))
        wide = np.pad(level, ((down, 2 * BLOCK), (right, 2 * BLOCK), (0, 0)), mode="edge")
        total += again(wide, quality, sampling)[down : down + height, right : right + width]
    out = total.transpose(2, 0, 1).astype(np.float32) / np.float32(255 * len(SHIFTS)) + rest
    clipped: NDArray[np.float32] = np.clip(out, 0, 1).astype(np.float32)
    return clipped


def guess(pixels: Pixels, origin: tuple[int, int]) -> int | None:
    """The quality (as libjpeg counts) at which a photograph (3, H, W) was compressed, or None where it does not say.

    Compressed again at its own quality it hardly changes, at all others more ("JPEG ghosts": H. Farid, IEEE
    Transactions on Information Forensics and Security 4, 2009).
    """
    y = luma(pixels)
    tops = [(max(0, (side - LOOK) // 2) // BLOCK) * BLOCK + at for side, at in zip(y.shape, origin, strict=True)]
    part = y[tops[0] : tops[0] + LOOK, tops[1] : tops[1] + LOOK]
    part = part[: part.shape[0] // BLOCK * BLOCK, : part.shape[1] // BLOCK * BLOCK]
    if not part.size:
        return None
    level = _bytes(part[None])
    moved = {q: float(np.abs(again(level, q, -1).astype(np.int16) - level).mean()) for q in QUALITIES}
    best = min(list(QUALITIES)[2:-2], key=lambda q: moved[q] / max(1e-3, min(moved[q - 2], moved[q + 2])))
    return best if moved[best] < DIP * min(moved[best - 2], moved[best + 2]) else None


def chroma(planes: NDArray[np.float32], origin: tuple[int, int], quality: int) -> int:
    """2 where chroma seems to be stored at half its resolution, 0 where whole: whichever changes the picture less."""

    def moved(y: int, x: int, sampling: int) -> float:
        part = _bytes(planes[:, origin[0] + y :, origin[1] + x :][:, :LOOK, :LOOK])
        return float(np.abs(again(part, quality, sampling).astype(np.int16) - part).mean())

    if min(planes.shape[1:]) <= 2 * BLOCK + max(origin):
        return 2
    halved = min(moved(y, x, 2) for y in (0, BLOCK) for x in (0, BLOCK))  # chroma's blocks are 16 pixels wide
    return 2 if halved <= moved(0, 0, 0) + 0.1 else 0


def again(level: NDArray[np.uint8], quality: int, sampling: int) -> NDArray[np.uint8]:
    """Bytes (H, W, 1 or 3) through a JPEG file; `sampling` as Pillow counts."""
    file = io.BytesIO()
    picture = PIL.Image.fromarray(level[..., 0] if level.shape[2] == 1 else level)
    picture.save(file, "JPEG", quality=quality, subsampling=sampling)
    return np.asarray(PIL.Image.open(file)).reshape(level.shape)


def _bytes(planes: NDArray[np.float32]) -> NDArray[np.uint8]:
    return (np.clip(planes, 0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)
