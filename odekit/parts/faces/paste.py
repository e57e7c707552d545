"""One restored face back into its photograph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.core.abilities import HasMaskAt
from odekit.core.image import Image, Pixels
from odekit.images.colour import luma
from odekit.parts.faces import detail, tone
from odekit.parts.faces.geometry import Frame
from odekit.parts.faces.masks import ramp
from odekit.parts.faces.options import Paste
from odekit.parts.faces.warp import cut, fractions, patch, placed, sample, shrunk

LITTLE = 1.25
"""A face of at most so many times the narrowest side holds no detail that its chain could not see."""
FINEST = 512
"""Side of the crop in which detail is told from noise."""


@dataclass(frozen=True)
class Restored:
    """A face and what is needed to put it back."""

    number: int
    frame: Frame
    """In the photograph as it was read."""
    original: Image
    """The aligned crop as it was."""
    result: Image
    narrow: int
    """Smallest side of a picture that it went through."""
    idle: bool = False
    """Its chain measured it, and chose to do nothing to it."""
    cleaned: bool = False
    """`original` is cut from what the background's chain made of the photograph."""


@dataclass(frozen=True)
class Tones:
    """What `tone: keep` keeps of a photograph."""

    curve: tone.Curve | None
    grey: bool
    """The photograph has one colour channel, held three times; so has the result."""

    @classmethod
    def of(cls, photo: Image) -> Tones:
        """The tones of a photograph."""
        return cls(tone.photo_curve(photo.pixels), photo.meta.grey)


def put(
    canvas: Pixels, photo: Pixels, face: Restored, mask: Any, options: Paste, tones: Tones | None = None
) -> dict[str, Any]:
    """Paste a face into `canvas` (3, H, W) in place, a copy of the photograph or its enlarged background.

    Where `tones` is None the face keeps the colours that it was restored with.

    Returns:
        Facts for the record: how much of the original's own detail was kept, and why.
    """
    factor = canvas.shape[2] / photo.shape[2]
    if face.idle and factor == 1 and options.undamaged == "keep" and stays(face, photo):
        return {"kept": "undamaged"}
    frame = Frame(*(v * factor for v in (face.frame.a, face.frame.b, face.frame.x, face.frame.y)))
    where = patch(frame, canvas.shape[2], canvas.shape[1])
    u, v = fractions(frame, where)
    restored, side = face.result.pixels, face.result.height
    original = resized(face.original.pixels, side)
    soft = mask_at(mask, face, *grid(side), options.feather)
    if tones is not None:
        restored = tone.toned(restored, original, soft, tones.curve)
    if options.match_colour == "lab-mean":
        restored = tone.matched(restored, original, ((soft > 0.02) & (soft < 0.98)).astype(np.float32))
    x0, y0, x1, y1 = where
    under = canvas[:, y0:y1, x0:x1]
    over = placed(restored, frame, u, v)
    judged, share = keep_share(face, photo, restored, options)
    if share > 0:
        changed = detail.change(original, restored, min(face.narrow, side))
        kept = np.float32(share) * placed(detail.agreement(changed), frame, u, v)
        if options.detail == "auto":
            sharp = cut(photo, face.frame, min(max(FINEST, 2 * face.narrow), round(face.frame.side)))
            kept *= np.clip(placed(detail.standing_out(sharp, face.narrow), frame, u, v), 0, 1)
        over = over + kept * (under + placed(changed, frame, u, v) - over)
    if tones is not None and tones.grey:
        over = np.repeat(luma(over)[None], 3, axis=0)
    weight = mask_at(mask, face, u, v, options.feather) * np.float32(options.blend)
    if face.cleaned and options.detail == "auto":
        weight = weight * np.float32(detail.step(face.frame.side / face.narrow, *reversed(detail.CLEANED)))
    np.copyto(under, np.clip(under + weight * (over - under), 0, 1), where=weight > 0)
    return {"kept_detail": judged}


def stays(face: Restored, photo: Pixels) -> bool:
    """Whether a face that its chain found undamaged stays as it is: all do but blurred ones larger than it could see.

    Replaced, such faces lose: 0.1 to 0.5 dB in JPEG of severity 3, up to 2 dB beside scratches, and small ones their
    glasses. Blurred ones gain 0.1 to 2 dB.
    """
    if face.frame.side <= LITTLE * face.narrow:
        return True
    side = min(max(detail.SIDE, 2 * face.narrow), round(face.frame.side))
    native, restored = cut(photo, face.frame, side), resized(face.result.pixels, side)
    return detail.judge(native, restored, face.narrow, 1.0).sharpness >= detail.AS_SHARP


def keep_share(face: Restored, photo: Pixels, restored: Pixels, options: Paste) -> tuple[dict[str, float], float]:
    """How much of the original's fine detail stays: (why, 0 to 1). None where the face is no finer than the chain."""
    if face.frame.side <= LITTLE * face.narrow or options.detail == 0:
        return {"trust": 0.0}, 0.0
    if options.detail != "auto":
        return {"trust": float(options.detail)}, float(options.detail)
    side = min(max(detail.SIDE, 2 * face.narrow), round(face.frame.side))
    native = cut(photo, face.frame, side)
    blocks = blocks_in(photo, face.frame)
    judged = detail.judge(native, resized(restored, side), face.narrow, blocks, face.frame.side)
    return judged.tree(), judged.trust


def blocks_in(photo: Pixels, frame: Frame) -> float:
    """How much JPEG blocks show in the inner half of a face, on the photograph's own grid of 8 pixels."""
    x0, y0, x1, y1 = patch(frame, photo.shape[2], photo.shape[1])
    top, left = ((3 * low + high) // 32 * 8 for low, high in ((y0, y1), (x0, x1)))
    part = photo[:, top : (y0 + 3 * y1) // 4, left : (x0 + 3 * x1) // 4]
    return detail.blockiness(part) if min(part.shape[1:]) >= 17 else 1.0


def mask_at(mask: Any, face: Restored, u: Any, v: Any, feather: float) -> NDArray[np.float32]:
    """The mask at fractions (u, v) of the crop; one that is a picture gets a soft edge towards the crop's border."""
    if isinstance(mask, HasMaskAt):
        return mask.at(u, v, feather)
    picture = np.asarray(mask(face.result), dtype=np.float32)[None]
    side = picture.shape[1]
    inside = np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v)) / feather
    soft: NDArray[np.float32] = np.clip(sample(picture, u * side, v * side, "edge")[0], 0, 1) * ramp(inside)
    return soft


def resized(pixels: Pixels, side: int) -> Pixels:
    """A square picture at another side: area means down, cubic up."""
    if pixels.shape[1] == side:
        return pixels
    return shrunk(pixels, side) if pixels.shape[1] > side else enlarged(pixels, side)


def enlarged(pixels: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """A square picture at another side, cubic, values not clipped."""
    if pixels.shape[1] == side:
        return pixels
    u, v = grid(side)
    return sample(pixels, u * pixels.shape[1], v * pixels.shape[1], "edge")


def grid(side: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fractions of the middles of a square picture's pixels."""
    steps = (np.arange(side) + 0.5) / side
    u, v = np.meshgrid(steps, steps)
    return u, v
