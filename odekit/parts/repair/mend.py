"""The stage `mend`: detects and removes JPEG blocks, scratches and blur in whole photographs.

Each kind of damage is measured first and has its own method: the mean of shifted recompressions for blocks, inpainting
with a small network for scratches (see `odekit train mender`), a Wiener filter for blur. Photographs without such
damage stay unchanged. Noise is left to the stage `denoise`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from odekit.core.image import Image, Pixels
from odekit.core.interfaces import Tools
from odekit.errors import InputError
from odekit.images.resize import block_means
from odekit.parts.repair import damage_signs, deblock, deblur
from odekit.parts.repair.options import Mend, Switch
from odekit.parts.repair.scratches import ScratchInpainter

DETECTION_SIDE = 512
"""Scratches are detected in a copy whose shorter side is from this to less than twice this, where they have the width
that the network was trained on. A copy of at most this side costs 1.9 dB on the mean of ten scratched photographs."""
NEIGHBOUR_WEIGHT = np.float32(2 / 3)
"""Weight of the inpainting at the pixels of that copy that touch a scratch. 0 leaves a dotted edge; a wider border (two
pixels of weight 1 and two that fade) blurs small faces."""
FAINT_FACTOR = 0.85
"""Factor on the detection threshold `sure` once scratches are detected."""


class MendStage:
    """See `odekit.parts.repair.options.Mend`."""

    def __init__(self, options: Mend, tools: Tools) -> None:
        """Load the scratch network if scratches are to be repaired.

        Raises:
            WeightsError: no such weights, or a folder that is not a scratch network's.
            PluginError: OpenCV or scipy is not installed.
        """
        self.options = o = options
        self.inpainter = None if o.scratches is False else ScratchInpainter(o.weights, tools)
        if self.inpainter is not None:
            damage_signs.import_ndimage()

    def run(self, batch: Sequence[Image], context: Any) -> list[Image]:
        """Photographs with damage repaired where it is detected. Measurements and repairs go to the record."""
        out = []
        for i, before in enumerate(batch):
            facts: dict[str, Any] = {}
            after = before
            repaired: list[str] = []
            for name, repair in (("blocks", self._blocks), ("scratches", self._scratches), ("blur", self._blur)):
                if name == "blur" and self.options.blur == "auto" and "blocks" in repaired:
                    continue  # sharpening would amplify the block artefacts that are left
                pixels = repair(after, facts)
                if pixels is not None:
                    after, repaired = after.with_pixels(pixels), [*repaired, name]
            context.note(i, **facts, mended=repaired)
            out.append(before.with_pixels(self._blend(before.pixels, after.pixels)) if repaired else before)
        return out

    def _blend(self, before: Pixels, after: Pixels) -> Pixels:
        """The fraction `amount` of the correction."""
        amount = np.float32(self.options.amount)
        return after if amount == 1 else before + amount * (after - before)

    def _blocks(self, image: Image, facts: dict[str, Any]) -> Pixels | None:
        """The pixels without JPEG blocks; None if they stay unchanged."""
        blocks = damage_signs.measure_blocks(image.pixels)
        facts["blocks"] = round(blocks.strength, 2)
        if not should_repair(self.options.blocks, blocks.strength, self.options.least_blocks):
            return None
        return deblock.remove_blocks(image, blocks.origin)

    def _blur(self, image: Image, facts: dict[str, Any]) -> Pixels | None:
        """The sharpened pixels; None if they stay unchanged."""
        if self.options.blur is False:
            return None
        blur = deblur.estimate_photo_blur(image.pixels)
        facts["blur"] = round(blur.sigma, 2)
        sharpen = blur.sigma > 0 and should_repair(self.options.blur, blur.sigma, self.options.least_blur)
        return deblur.remove_blur(image, blur) if sharpen else None

    def _scratches(self, image: Image, facts: dict[str, Any]) -> Pixels | None:
        """The pixels with scratches inpainted; None if they stay unchanged.

        Raises:
            InputError: the network returned NaN or infinite values.
        """
        o = self.options
        if self.inpainter is None:
            return None
        small = detection_copy(image)
        added, logit = self.inpainter.predict(small.pixels)
        if not (np.isfinite(added).all() and np.isfinite(logit).all()):
            raise InputError("the scratch network returned NaN or infinite values; set mend.scratches=false")
        probability = (1 / (1 + np.exp(-logit))).astype(np.float32)
        straight = damage_signs.best_line_means(probability)
        peak = (1 + o.sure) / 2
        scratches = damage_signs.detect_scratches(probability, straight, o.sure, peak)
        facts |= {"scratches": scratches.count, "scratched": round(scratches.length, 2)}
        if not scratches.count or not should_repair(o.scratches, scratches.length, o.least_scratches):
            return None
        mask = damage_signs.detect_scratches(probability, straight, FAINT_FACTOR * o.sure, peak).mask
        added = (added + inpaint_telea(small.pixels, mask) - small.pixels) / np.float32(2)
        if image.meta.grey:
            added = np.repeat(added.mean(0, keepdims=True), 3, axis=0)
        fill, weight = small.pixels + added, blend_weights(mask)[None]
        if small is not image:  # enlarge the fill, not the correction: the detail under a scratch is damaged
            fill, weight = (enlarge_copy(x, image.height, image.width) for x in (fill, weight))
        blended = np.clip(image.pixels + weight * (fill - image.pixels), 0, 1)
        result: Pixels = np.where(weight > 0, blended, image.pixels)
        return result.astype(np.float32, copy=False)


def should_repair(option: Switch, value: float, least: float) -> bool:
    """Whether to repair damage: as the option says; with `auto`, if the measured value reaches the threshold."""
    return value >= least if option == "auto" else bool(option)


def detection_copy(image: Image) -> Image:
    """The photograph, reduced by area averaging if its shorter side is twice `DETECTION_SIDE` or more."""
    factor = min(image.height, image.width) // DETECTION_SIDE
    if factor < 2:
        return image
    return replace(image, pixels=np.ascontiguousarray(block_means(image.pixels, factor)), alpha=None)


def inpaint_telea(pixels: Pixels, mask: NDArray[np.bool_]) -> Pixels:
    """Inpaint a mask, widened by one pixel, from the pixels around it.

    A. Telea, "An image inpainting technique based on the fast marching method", Journal of Graphics Tools 9 (2004),
    OpenCV's implementation. The mean of this and the network's prediction is 0.5 dB better than either.
    """
    import cv2

    levels = np.ascontiguousarray((pixels.transpose(1, 2, 0) * 255 + 0.5).astype(np.uint8))
    widened = dilate(mask)
    inpainted = cv2.inpaint(levels, widened.astype(np.uint8), 3, cv2.INPAINT_TELEA).transpose(2, 0, 1)
    return np.where(widened, inpainted.astype(np.float32) / 255, pixels).astype(np.float32)


def enlarge_copy(planes: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Planes (C, h, w) of a reduced copy at the photograph's size, by linear interpolation."""
    factor = -(-height // planes.shape[1])
    size = (planes.shape[2] * factor, planes.shape[1] * factor)
    large = [np.asarray(PIL.Image.fromarray(p).resize(size, PIL.Image.Resampling.BILINEAR)) for p in planes]
    return np.stack([plane[:height, :width] for plane in large])


def blend_weights(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Weights: 1 on a mask (H, W), `NEIGHBOUR_WEIGHT` on the pixels that touch it, 0 elsewhere."""
    return np.where(mask, np.float32(1), NEIGHBOUR_WEIGHT * dilate(mask)).astype(np.float32)


def dilate(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask (H, W) dilated by one pixel, diagonals included."""
    import cv2

    dilated: NDArray[np.bool_] = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return dilated
