"""Paste a restored face back into its photograph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.core.abilities import HasMaskAt
from odekit.core.image import RELIABILITY, VISIBLE, Image, Pixels
from odekit.images.colour import luma
from odekit.parts.faces import detail, tone
from odekit.parts.faces.geometry import Frame, pixel_centres
from odekit.parts.faces.masks import smoothstep
from odekit.parts.faces.options import PasteOptions
from odekit.parts.faces.warp import covered_box, crop_coordinates, crop_face, reduce_square, sample, sample_crop

MIN_DETAIL_RATIO = 1.25
"""Up to this ratio of face side to narrowest side, the face has no detail that its chain could not represent."""
MAX_DETAIL_SIDE = 512
"""Side of the crop in which detail is separated from noise, in pixels."""

KEPT = {"kept": "good enough"}
"""Facts for the record of a face that stays as it was."""


@dataclass(frozen=True)
class RestoredFace:
    """A restored face, with what is needed to paste it."""

    number: int
    frame: Frame
    """Position in the photograph as it was read."""
    original: Image
    """The aligned crop before restoration."""
    result: Image
    """The aligned crop after restoration."""
    narrow: int
    """Smallest side of a picture in the face's chain, in pixels."""
    without_updates: bool = False
    """The chain chose no update for this face (`iterations: auto`)."""
    cleaned: bool = False
    """`original` is cut from the photograph after the background's chain."""
    kept: bool = False
    """The chain returned the face as it was."""


@dataclass(frozen=True)
class PhotoTone:
    """The tone of a photograph, kept by `tone: keep`."""

    curve: tone.ChromaCurve | None
    grey: bool
    """The photograph is greyscale (three equal channels), and the result must be too."""

    @classmethod
    def of(cls, photo: Image) -> PhotoTone:
        """The tones of a photograph."""
        return cls(tone.photo_curve(photo.pixels), photo.meta.grey)


def paste_face(
    canvas: Pixels, photo: Pixels, face: RestoredFace, mask: Any, options: PasteOptions, tones: PhotoTone | None = None
) -> dict[str, Any]:
    """Paste a face into `canvas` in place.

    Args:
        canvas: (3, H, W), a copy of the photograph or its enlarged background.
        photo: (3, h, w), the photograph whose detail, colour and tone the face keeps.
        face: the restored face.
        mask: which region of the face is pasted (`odekit.core.interfaces.FaceMask`).
        options: of the paste.
        tones: of the photograph; None keeps the colours of the restored face.

    Returns:
        Facts for the record: how much of the original's detail was kept, the measurements behind it, and the largest
        change of a pixel.
    """
    factor = canvas.shape[2] / photo.shape[2]
    if factor == 1 and stays(face, photo, options):
        return dict(KEPT)
    frame = Frame(*(v * factor for v in (face.frame.a, face.frame.b, face.frame.x, face.frame.y)))
    box = covered_box(frame, canvas.shape[2], canvas.shape[1])
    u, v = crop_coordinates(frame, box)
    restored, side = face.result.pixels, face.result.height
    original = resized(face.original.pixels, side)
    alpha = mask_at(mask, face, *pixel_centres(side, side), options.feather)
    seen = reliability(face.result, side)
    if tones is not None:
        restored = tone.match_tone(restored, original, alpha * seen, tones.curve)
    if options.match_colour == "lab-mean":
        ring = ((alpha > 0.02) & (alpha < 0.98)).astype(np.float32)
        restored = tone.match_mean(restored, original, ring * seen)
    x0, y0, x1, y1 = box
    background = canvas[:, y0:y1, x0:x1]
    foreground = sample_crop(restored, frame, u, v)
    facts, share = detail_share(face, photo, restored, options)
    if share > 0:
        low_change = detail.low_pass_change(original, restored, min(face.narrow, side))
        unchanged = detail.unchanged_weight(low_change) * reliability(face.result, low_change.shape[1])
        kept = np.float32(share) * sample_crop(unchanged, frame, u, v)
        if options.detail == "auto":
            native = crop_face(photo, face.frame, min(max(MAX_DETAIL_SIDE, 2 * face.narrow), round(face.frame.side)))
            kept *= np.clip(sample_crop(detail.noise_weight(native, face.narrow), frame, u, v), 0, 1)
        foreground = foreground + kept * (background + sample_crop(low_change, frame, u, v) - foreground)
    if tones is not None and tones.grey:
        foreground = np.repeat(luma(foreground)[None], 3, axis=0)
    weight = mask_at(mask, face, u, v, options.feather) * np.float32(options.blend)
    visible = face.original.extra.get(VISIBLE)
    if visible is not None:
        weight = weight * np.clip(sample_crop(visible[None], frame, u, v)[0], 0, 1)
    if face.cleaned and options.detail == "auto":
        weight = weight * np.float32(
            detail.scaled_smoothstep(face.frame.side / face.narrow, *reversed(detail.CLEANED_FACE_RANGE))
        )
    pasted = np.clip(background + weight * (foreground - background), 0, 1)
    change = float(np.max(np.abs(pasted - background), where=weight > 0, initial=0))
    np.copyto(background, pasted, where=weight > 0)
    return {"kept_detail": facts, "change": round(change, 4)}


def stays(face: RestoredFace, photo: Pixels, options: PasteOptions) -> bool:
    """Whether a face stays as it was in a photograph that is not enlarged."""
    return options.undamaged == "keep" and (face.kept or (face.without_updates and keeps_original(face, photo)))


def reliability(image: Image, side: int) -> NDArray[np.float32]:
    """Where a face was observed and not hidden, (side, side): 1 if the picture has no such map (see `RELIABILITY`)."""
    known = image.extra.get(RELIABILITY)
    if known is None:
        return np.ones((side, side), np.float32)
    weight: NDArray[np.float32] = np.clip(resized(known[None], side)[0], 0, 1).astype(np.float32)
    return weight


def keeps_original(face: RestoredFace, photo: Pixels) -> bool:
    """Whether a face without updates keeps its original pixels: all do, except large blurred ones.

    Replacing them costs 0.1 to 0.5 dB in JPEG of severity 3, up to 2 dB beside scratches, and small faces lose their
    glasses. Blurred faces gain 0.1 to 2 dB.
    """
    if face.frame.side <= MIN_DETAIL_RATIO * face.narrow:
        return True
    side = min(max(detail.MEASURE_SIDE, 2 * face.narrow), round(face.frame.side))
    native, restored = crop_face(photo, face.frame, side), resized(face.result.pixels, side)
    return detail.measure_quality(native, restored, face.narrow, 1.0).sharpness >= detail.MIN_KEPT_SHARPNESS


def detail_share(
    face: RestoredFace, photo: Pixels, restored: Pixels, options: PasteOptions
) -> tuple[dict[str, float], float]:
    """How much of the original's fine detail is kept: (facts for the record, share from 0 to 1).

    The share is 0 if the face has no more detail than the pictures of its chain.
    """
    if face.frame.side <= MIN_DETAIL_RATIO * face.narrow or options.detail == 0:
        return {"trust": 0.0}, 0.0
    if options.detail != "auto":
        return {"trust": float(options.detail)}, float(options.detail)
    side = min(max(detail.MEASURE_SIDE, 2 * face.narrow), round(face.frame.side))
    native = crop_face(photo, face.frame, side)
    blocks = face_blockiness(photo, face.frame)
    judgement = detail.measure_quality(native, resized(restored, side), face.narrow, blocks, face.frame.side)
    return judgement.tree(), judgement.trust


def face_blockiness(photo: Pixels, frame: Frame) -> float:
    """Visibility of JPEG blocks in the inner half of a face, on the photograph's 8-pixel grid (see `blockiness`)."""
    x0, y0, x1, y1 = covered_box(frame, photo.shape[2], photo.shape[1])
    top, left = ((3 * low + high) // 32 * 8 for low, high in ((y0, y1), (x0, x1)))
    part = photo[:, top : (y0 + 3 * y1) // 4, left : (x0 + 3 * x1) // 4]
    return detail.blockiness(part) if min(part.shape[1:]) >= 17 else 1.0


def mask_at(mask: Any, face: RestoredFace, u: Any, v: Any, feather: float) -> NDArray[np.float32]:
    """The mask at fractions (u, v) of the crop. A mask without `at` is sampled, and fades out at the crop's border."""
    if isinstance(mask, HasMaskAt):
        return mask.at(u, v, feather)
    picture = np.asarray(mask(face.result), dtype=np.float32)[None]
    side = picture.shape[1]
    border_distance = np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v)) / feather
    alpha: NDArray[np.float32] = np.clip(sample(picture, u * side, v * side, "edge")[0], 0, 1) * smoothstep(
        border_distance
    )
    return alpha


def resized(pixels: Pixels, side: int) -> Pixels:
    """Resize a square picture: area averaging down, cubic up."""
    if pixels.shape[1] == side:
        return pixels
    return reduce_square(pixels, side) if pixels.shape[1] > side else enlarge_square(pixels, side)


def enlarge_square(pixels: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Enlarge a square picture by cubic interpolation; values are not clipped."""
    if pixels.shape[1] == side:
        return pixels
    u, v = pixel_centres(side, side)
    return sample(pixels, u * pixels.shape[1], v * pixels.shape[1], "edge")
