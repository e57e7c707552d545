"""What a restored face cannot know: detail of the original that is finer than the narrowest picture it went through.

The result is `(1 - w) R + w (O + low(R - O))`: R the restored face, O the original, `low` what the narrowest picture
can hold. Where w is 1, only what the face's chain could see is changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from odekit.images.colour import luma
from odekit.parts.faces.masks import ramp
from odekit.parts.faces.warp import shrunk

SIDE = 256
"""Damage is judged on crops of this side at most, or of twice the narrowest side."""
GRAIN = (0.012, 0.022)
"""Noise (standard deviation, pixels in [0, 1]) up to which all detail counts, and from which only what stands out of
the noise does. Clean faces at 256 px: 0.003 in the median, 0.008 at the 90th percentile."""
NOISE = (0.06, 0.11)
"""Noise up to which detail is looked for at all, and from which it is not. Gaussian noise of severity 1: 0.05."""
SPECKS = (0.03, 0.07)
"""Likewise the share of pixels that differ by over 0.1 from the median of their neighbours. Clean: 0.018 at the 90th
percentile; a twentieth of the pixels masked: 0.056."""
BLOCKS = (1.25, 1.8)
"""Likewise the ratio of steps at the 8-pixel borders of JPEG blocks to the other steps."""
LARGE = (3.0, 4.0)
"""Side of the face over the narrowest picture: from the second on, even a face of JPEG blocks (quality 15) holds more
than was seen of it, and blocks do not count. Measured on faces of 128 to 1,749 pixels: taken whole, those of 192 gain
0.3 dB, those of 267 lose 1.5, the largest 4.7."""
AS_SHARP = 0.95
"""Fine detail over that of the restored face from which the original is as sharp. Of the faces of our ten photographs
that are large enough: undamaged 1.15 at least, after JPEG of severity 2 and 3 0.98, after Gaussian blur of severity 2
0.93 at most."""
CLEANED = (2.0, 3.0)
"""Side of the face over the narrowest picture: in a photograph that its background's chain cleaned, a face is taken up
to the first, and stays as it was cleaned from the second on. In noise of severity 2 (and 3), restored faces of 60
pixels gain 0.5 to 1.1 dB over those that were only denoised, those of 140 0 (1.0), those of 200 lose 1.5 (0.2), those
of 300 2.0 (0.4 to 1.4), their lips and the colour of their eyes."""
SHARP = (0.15, 0.5)
"""Fine detail over that of the restored face: below the first the original is blurred, above the second sharp."""
CHANGED = (0.08, 0.2)
"""Where the chain moved a low-passed pixel by more, it found damage there."""


@dataclass(frozen=True)
class Judgement:
    """How sharp and clean an original is, for the record."""

    noise: float
    specks: float
    blocks: float
    sharpness: float
    trust: float
    """0: nothing of its detail is kept, 1: all of it."""

    def tree(self) -> dict[str, float]:
        """Rounded, as plain data."""
        return {name: round(value, 4) for name, value in vars(self).items()}


def judge(
    original: NDArray[np.float32], restored: NDArray[np.float32], narrow: int, blocks: float, side: float = 0.0
) -> Judgement:
    """Judge an aligned original against its restored face, both (3, S, S), the narrowest side being `narrow`.

    `blocks` as `blockiness` says of the photograph, in which the face has this `side`.

    Noise: the median absolute value of a 3 x 3 Laplacian difference that straight edges leave alone (Immerkaer 1996,
    doi:10.1006/cviu.1996.0060), over 0.6745; the median in place of the mean, so that edges count less.
    """
    y = luma(original)
    inner, noise = inside(y), grain(y)
    specks = float((np.abs(y - median(y))[inner] > 0.1).mean())
    ours, theirs = (fine(luma(x), narrow)[inner] for x in (original, restored))
    lasting = max(0.0, float((ours**2).mean()) - noise**2)
    sharpness = float(np.sqrt(lasting / max(float((theirs**2).mean()), 1e-8)))
    trust = max(step(blocks, *reversed(BLOCKS)), step(side / narrow, *LARGE))
    for value, (good, bad) in ((noise, NOISE), (specks, SPECKS)):
        trust *= step(value, bad, good)
    return Judgement(noise, specks, blocks, sharpness, trust * step(sharpness, *SHARP))


def change(original: NDArray[np.float32], restored: NDArray[np.float32], narrow: int) -> NDArray[np.float32]:
    """`low(R - O)` as a picture (3, narrow, narrow)."""
    return shrunk(restored, narrow) - shrunk(original, narrow)


def agreement(changed: NDArray[np.float32]) -> NDArray[np.float32]:
    """(1, n, n): 1 where the chain hardly changed what it saw, 0 where it found damage (scratches, stains, gaps)."""
    far = np.abs(changed).max(0)
    wide = np.pad(far, 1, mode="edge")
    mean = sum(wide[dy : dy + far.shape[0], dx : dx + far.shape[1]] for dy in range(3) for dx in range(3)) / 9
    return 1 - ramp((np.asarray(mean) - CHANGED[0]) / (CHANGED[1] - CHANGED[0]))[None]


def standing_out(original: NDArray[np.float32], narrow: int) -> NDArray[np.float32]:
    """(1, S, S): how much of the fine detail of (3, S, S) stands out of its noise, pixel by pixel; 1 where it is clean.

    Wiener's gain with the noise taken three times, `1 - 3 n^2 / e`, e the mean square of the detail in 5 x 5 pixels.
    """
    y = luma(original)
    noise = grain(y)
    share = step(noise, *GRAIN)
    square = fine(y, narrow) ** 2
    wide = np.pad(square, 2, mode="edge")
    size = len(y)
    near = sum(wide[dy : dy + size, dx : dx + size] for dy in range(5) for dx in range(5)) / np.float32(25)
    gain = np.clip(1 - 3 * noise**2 / np.maximum(near, 1e-9), 0, 1)
    return (1 - share * (1 - gain)).astype(np.float32)[None]


def grain(y: NDArray[np.float32]) -> float:
    """The noise of an aligned face (S, S): see `judge`."""
    return float(np.median(np.abs(laplacian(y)[inside(y)]))) / 0.6745


def inside(y: NDArray[np.float32]) -> tuple[slice, slice]:
    """The part of an aligned crop that is face."""
    return slice(y.shape[0] // 4, -(y.shape[0] // 5)), slice(y.shape[1] // 4, -(y.shape[1] // 4))


def blockiness(pixels: NDArray[np.float32]) -> float:
    """Steps across the borders of 8 x 8 blocks, counted from the picture's corner, over all other steps."""
    y = luma(pixels)
    ratios = []
    for plane in (y, y.T):
        steps = np.abs(np.diff(plane, axis=1)).mean(0)
        border = np.arange(1, plane.shape[1]) % 8 == 0
        if border.any() and not border.all():
            ratios.append(float(steps[border].mean()) / max(float(steps[~border].mean()), 1e-4))
    return float(np.mean(ratios)) if ratios else 1.0


def laplacian(y: NDArray[np.float32]) -> NDArray[np.float32]:
    """The difference of two Laplacians, scaled so that white noise keeps its standard deviation."""
    wide = np.pad(y, 1, mode="reflect")
    rows = wide[:-2] - 2 * wide[1:-1] + wide[2:]
    out: NDArray[np.float32] = (rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]) / 6
    return out


def median(y: NDArray[np.float32]) -> NDArray[np.float32]:
    """The median of each 3 x 3 neighbourhood."""
    wide = np.pad(y, 1, mode="reflect")
    near = [wide[dy : dy + y.shape[0], dx : dx + y.shape[1]] for dy in range(3) for dx in range(3)]
    return np.asarray(np.median(np.stack(near), axis=0), dtype=np.float32)


def fine(y: NDArray[np.float32], narrow: int) -> NDArray[np.float32]:
    """What is left of (S, S) without what a picture of `narrow` pixels can hold."""
    from odekit.images.resize import resample

    if narrow >= len(y):
        return np.zeros_like(y)
    low = resample(shrunk(y[None], narrow)[0], len(y), len(y), "bicubic")
    return y - low


def step(value: float, low: float, high: float) -> float:
    """0 at `low`, 1 at `high` (either way round), smooth between."""
    return float(ramp(np.array((value - low) / (high - low))))
