"""The stage `mend`: JPEG blocks, scratches and blur of whole photographs, where they are found; others pass unchanged.

Each kind of damage is measured first, and mended by what is best at it: blocks by the mean of shifted compressions,
scratches by a small network of our own (see `odekit train mender`), blur by Wiener's filter. Noise is left to the stage
`denoise`.
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
from odekit.parts.repair import damage_signs, deblock, deblur
from odekit.parts.repair.options import Mend, Sign
from odekit.parts.repair.scratches import Mender

SIDE = 512
"""Scratches are looked for in a copy whose shorter side is at least this, and less than twice: as wide as there the
network knows them. A copy of at most this, as it was before, lost 1.9 dB on the mean of ten scratched photographs."""
BESIDE = np.float32(2 / 3)
"""How much of the filling the pixels of that copy get that touch a scratch; none leaves a dotted edge, two pixels all
around and two fading (as before) blur small faces away."""

FAINTER = 0.85
"""Where scratches were found, so much less surety is enough for others."""


class MendStage:
    """See `odekit.parts.repair.options.Mend`."""

    def __init__(self, options: Mend, tools: Tools) -> None:
        """Load the network, where scratches are looked for.

        Raises:
            WeightsError: no such weights, or a folder that is no mender's.
            PluginError: OpenCV or scipy is not installed.
        """
        self.options = o = options
        self.mender = None if o.scratches is False else Mender(o.weights, tools)
        if self.mender is not None:
            damage_signs.tools()

    def run(self, batch: Sequence[Image], context: Any) -> list[Image]:
        """Each photograph, mended where damage is found; the record says what was measured and what was done."""
        out = []
        for i, before in enumerate(batch):
            facts: dict[str, Any] = {}
            after = before
            done: list[str] = []
            for name, mend in (("blocks", self._blocks), ("scratches", self._scratches), ("blur", self._blur)):
                if name == "blur" and self.options.blur == "auto" and "blocks" in done:
                    continue  # what is left of them would be sharpened too
                fresh = mend(after, facts)
                if fresh is not None:
                    after, done = after.with_pixels(fresh), [*done, name]
            context.note(i, **facts, mended=done)
            out.append(before.with_pixels(self._by_amount(before.pixels, after.pixels)) if done else before)
        return out

    def _by_amount(self, before: Pixels, after: Pixels) -> Pixels:
        amount = np.float32(self.options.amount)
        return after if amount == 1 else before + amount * (after - before)

    def _blocks(self, image: Image, facts: dict[str, Any]) -> Pixels | None:
        """Without blocks, or None where they are not to be touched."""
        seen = damage_signs.blocks(image.pixels)
        facts["blocks"] = round(seen.strength, 2)
        if not taken(self.options.blocks, seen.strength, self.options.least_blocks):
            return None
        return deblock.deblocked(image, seen.origin)

    def _blur(self, image: Image, facts: dict[str, Any]) -> Pixels | None:
        """Sharpened, or None where it is to stay as it is."""
        if self.options.blur is False:
            return None
        seen = deblur.measured(image.pixels)
        facts["blur"] = round(seen.sigma, 2)
        wanted = seen.sigma > 0 and taken(self.options.blur, seen.sigma, self.options.least_blur)
        return deblur.deblurred(image, seen) if wanted else None

    def _scratches(self, image: Image, facts: dict[str, Any]) -> Pixels | None:
        """With scratches filled, or None.

        Raises:
            InputError: the network gave values that are no numbers.
        """
        o = self.options
        if self.mender is None:
            return None
        small = reduced(image)
        added, logit = self.mender.look(small.pixels)
        if not (np.isfinite(added).all() and np.isfinite(logit).all()):
            raise InputError("the network for scratches gave values that are not finite; set mend.scratches=false")
        seen = (1 / (1 + np.exp(-logit))).astype(np.float32)
        straight = damage_signs.along_lines(seen)
        peak = (1 + o.sure) / 2
        found = damage_signs.scratches(seen, straight, o.sure, peak)
        facts |= {"scratches": found.count, "scratched": round(found.length, 2)}
        if not found.count or not taken(o.scratches, found.length, o.least_scratches):
            return None
        mask = damage_signs.scratches(seen, straight, FAINTER * o.sure, peak).mask
        added = (added + surroundings(small.pixels, mask) - small.pixels) / np.float32(2)
        if image.meta.grey:
            added = np.repeat(added.mean(0, keepdims=True), 3, axis=0)
        fill, weight = small.pixels + added, near(mask)[None]
        if small is not image:  # the fill itself: of what lies under a scratch, nothing finer is known
            fill, weight = (enlarged(x, image.height, image.width) for x in (fill, weight))
        mixed = np.clip(image.pixels + weight * (fill - image.pixels), 0, 1)
        filled: Pixels = np.where(weight > 0, mixed, image.pixels)
        return filled.astype(np.float32, copy=False)


def taken(wish: Sign, value: float, least: float) -> bool:
    """Whether something is mended: as wished, or where enough of it was measured."""
    return value >= least if wish == "auto" else bool(wish)


def reduced(image: Image) -> Image:
    """The photograph, or means over areas of it where its shorter side is twice `SIDE` or more."""
    factor = min(image.height, image.width) // SIDE
    if factor < 2:
        return image
    height, width = (-(-n // factor) for n in (image.height, image.width))
    rest = (height * factor - image.height, width * factor - image.width)
    wide = np.pad(image.pixels, ((0, 0), (0, rest[0]), (0, rest[1])), mode="edge")
    small = wide.reshape(3, height, factor, width, factor).mean((2, 4), dtype=np.float32)
    return replace(image, pixels=np.ascontiguousarray(small), alpha=None)


def surroundings(pixels: Pixels, mask: NDArray[np.bool_]) -> Pixels:
    """The picture with what is on a mask, and one pixel around it, drawn in from what lies beside it.

    A. Telea, "An image inpainting technique based on the fast marching method", Journal of Graphics Tools 9 (2004), as
    OpenCV has it. The mean of this and of what the network says is half a decibel nearer to the truth than either.
    """
    import cv2

    level = np.ascontiguousarray((pixels.transpose(1, 2, 0) * 255 + 0.5).astype(np.uint8))
    wide = touched(mask)
    drawn = cv2.inpaint(level, wide.astype(np.uint8), 3, cv2.INPAINT_TELEA).transpose(2, 0, 1)
    return np.where(wide, drawn.astype(np.float32) / 255, pixels).astype(np.float32)


def enlarged(planes: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Planes (C, h, w) of a reduced copy at the photograph's size, linear between the middles of areas."""
    factor = -(-height // planes.shape[1])
    size = (planes.shape[2] * factor, planes.shape[1] * factor)
    big = [np.asarray(PIL.Image.fromarray(p).resize(size, PIL.Image.Resampling.BILINEAR)) for p in planes]
    return np.stack([each[:height, :width] for each in big])


def near(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """1 on a mask (H, W), `BESIDE` on the pixels that touch it, 0 elsewhere."""
    return np.where(mask, np.float32(1), BESIDE * touched(mask)).astype(np.float32)


def touched(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask (H, W) and the pixels around it, corners too."""
    import cv2

    wide: NDArray[np.bool_] = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return wide
