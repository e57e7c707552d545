"""The stage `mend`: detects and removes JPEG blocks, scratches, blur and fading in whole photographs.

Each kind of damage is measured first and has its own method: the mean of shifted recompressions for blocks, a small
network (see `odekit train mender`) and inpainting for scratches, a Wiener filter for blur, a stretched contrast for
fading. Photographs without such
damage stay unchanged. Noise is left to the stage `denoise`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from odekit.core.abilities import report_phase
from odekit.core.image import Image, Pixels
from odekit.core.interfaces import Tools
from odekit.errors import InputError
from odekit.images.resize import block_means, enlarge_blocks
from odekit.images.tone import measure_tone
from odekit.parts.repair import damage_signs, deblock, deblur
from odekit.parts.repair.fading import measure_fading
from odekit.parts.repair.options import Mend, Switch
from odekit.parts.repair.scratch_evidence import DetectedScratches, Plane, detect_scratches
from odekit.parts.repair.scratch_fill import add_grain, fill_hole, tone_curve
from odekit.parts.repair.scratch_masks import Mask, MaskFolder, drawn_mask, mask_picture
from odekit.parts.repair.scratches import ORIENTATIONS, ScratchDetector

Repair = Callable[[Image, dict[str, Any]], Pixels | None]
"""Takes a photograph and its entry in the record; returns the repaired pixels, or None if they stay unchanged."""
DETECTION_SIDE = 512
"""Scratches are detected in a copy whose shorter side is from this to less than twice this, where they have the width
that the network was trained on. A copy of at most this side costs 1.9 dB on the mean of ten scratched photographs."""
NEIGHBOUR_WEIGHT = np.float32(2 / 3)
"""Weight of the inpainting at the pixels that touch a mask. 0 leaves a dotted edge; a wide border blurs faces."""
UNSURE = 0.3
"""Once a monochrome print is known to be scratched, marks that reach this probability are filled, too."""
COLOUR_FAINT = 0.4
"""In a picture in colour, marks are followed along pixels of this probability only."""
SURE_SHARE = 0.5
"""Smallest share of the sure marks in the length of all, for that: in a healthy picture most marks are unsure."""
FAINT = 0.06
"""In a monochrome picture, marks are followed along pixels of this probability."""


class MendStage:
    """See `odekit.parts.repair.options.Mend`."""

    def __init__(self, options: Mend, tools: Tools) -> None:
        """Load the scratch network if scratches are to be repaired.

        Raises:
            WeightsError: no such weights, or a folder that is not a scratch network's.
            PluginError: OpenCV or scipy is not installed.
            InputError: `mask` is no file or folder.
        """
        self.options = o = options
        self.masks = None if o.mask is None else MaskFolder(o.mask)
        self.detector = None if o.scratches is False else ScratchDetector(o.weights, tools)
        if o.fills:
            damage_signs.import_ndimage()

    def run(self, batch: Sequence[Image], context: Any) -> list[Image]:
        """Photographs with damage repaired where it is detected. Measurements and repairs go to the record."""
        out = []
        for i, before in enumerate(batch):
            report_phase(context, "mending", i, len(batch))
            facts: dict[str, Any] = {}
            after = before
            repaired: list[str] = []
            scratches = partial(self._scratches, number=i, context=context)
            repairs: dict[str, Repair] = {
                "blocks": self._blocks,
                "scratches": scratches,
                "blur": self._blur,
                "fading": self._fading,
            }
            for name, repair in repairs.items():
                if before.decided.get(name) is False:
                    continue
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
        switch = image.decided.get("blocks", self.options.blocks)
        if not should_repair(switch, blocks.strength, self.options.least_blocks):
            return None
        facts["quality"] = deblock.quality_of(image, blocks.origin)
        return deblock.remove_blocks(image, blocks.origin, facts["quality"])

    def _blur(self, image: Image, facts: dict[str, Any]) -> Pixels | None:
        """The sharpened pixels; None if they stay unchanged."""
        switch = image.decided.get("blur", self.options.blur)
        if switch is False:
            return None
        blur = deblur.estimate_photo_blur(image.pixels)
        facts["blur"] = round(blur.sigma, 2)
        sharpen = blur.sigma > 0 and should_repair(switch, blur.sigma, self.options.least_blur)
        return deblur.remove_blur(image, blur) if sharpen else None

    def _fading(self, image: Image, facts: dict[str, Any]) -> Pixels | None:
        """The pixels with their contrast stretched; None if they stay unchanged."""
        option = image.decided.get("fading", self.options.fading)
        if option is False:
            return None
        fading = measure_fading(image.pixels)
        facts["fading"] = round(fading.lost, 3)
        if option == "auto" and measure_tone(image.pixels) is None:
            return None
        return (
            fading.undo(image.pixels)
            if fading.lost and should_repair(option, fading.lost, self.options.least_fading)
            else None
        )

    def _scratches(self, image: Image, facts: dict[str, Any], number: int, context: Any) -> Pixels | None:
        """The pixels with scratches filled; None if they stay unchanged. The mask of what was filled is an extra.

        Raises:
            InputError: the mask cannot be used, or the network returned NaN or infinite values.
        """
        mask = given = drawn_mask(image)
        if given is None and self.masks is not None:
            mask = given = self.masks.mask_of(image)
        if given is not None:
            facts |= {"scratch_mask": "given", "scratched_share": round(float(given.mean()), 6)}
        elif self.detector is not None:
            mask = self._find(image, self.detector, facts)
        if mask is None or not mask.any():
            return None
        context.extra(number, "scratches", mask_picture(mask))
        return self._fill(image, mask, 1 if given is not None else reduction(image))

    def _find(self, image: Image, detector: ScratchDetector, facts: dict[str, Any]) -> Mask | None:
        """The mask (H, W) of the scratches to fill, found in a copy of the photograph; None if there are too few.

        In a picture in colour scratches are only reported, unless the user wants them filled. One orientation is
        enough to see that there are none, in an eighth of the time.
        """
        o = self.options
        small = detection_copy(image)
        everything = np.ones(small.pixels.shape[1:], bool)
        brief = o.scratches == "auto" and tone_curve(small.pixels, everything) is None
        for orientations in (1, ORIENTATIONS) if brief else (ORIENTATIONS,):
            probability = scratch_probability(detector.detect(small.pixels, orientations))
            toned = tone_curve(small.pixels, probability < COLOUR_FAINT) is not None
            found = detect_scratches(small.pixels, probability, o.sure, FAINT if toned else COLOUR_FAINT)
            if not (toned or found.count):
                break
        reason = why_left(found, toned, o)
        if toned and not reason:
            every = detect_scratches(small.pixels, probability, min(o.sure, UNSURE), FAINT)
            if o.scratches == "auto" and found.length < SURE_SHARE * every.length:
                reason = "most marks are unsure and may be content; set mend.scratches=true or mend.mask"
            else:
                found = every
        facts |= {
            "scratches": found.count, "scratched": round(found.length, 2), "scratched_share": round(found.share, 6),
        }  # fmt: skip
        if reason:
            facts["scratches_left"] = reason
            return None
        if found.other_kind:
            facts["scratches_other"] = [found.other_kind, "dark" if found.light else "light"]
        if small is image:
            return found.mask
        enlarged: Mask = enlarge_blocks(found.mask[None].astype(np.float32), image.height, image.width)[0] >= 0.5
        return enlarged

    def _fill(self, image: Image, mask: Mask, border: int) -> Pixels:
        """The pixels with a mask (H, W) filled; `border` pixels around it change by `NEIGHBOUR_WEIGHT`.

        The filling is computed in the copy in which scratches are detected and enlarged; the grain is that of the
        photograph at its full size.
        """
        around = dilate(mask, border)
        small = detection_copy(image)
        hole = around if small is image else reduce_mask(around, small.pixels.shape[1:])
        filled = fill_hole(small.pixels, hole)
        if small is not image:  # the fill is enlarged, not the correction: the detail under a scratch is damaged
            filled = enlarge_blocks(filled, image.height, image.width)
        weight = np.where(mask, np.float32(1), NEIGHBOUR_WEIGHT * around).astype(np.float32)
        fill = add_grain(np.where(around, filled, image.pixels).astype(np.float32), around)
        blended = np.clip(image.pixels + weight * (fill - image.pixels), 0, 1)
        result: Pixels = np.where(weight > 0, np.where(mask, fill, blended), image.pixels)
        return result.astype(np.float32, copy=False)


def scratch_probability(logit: Plane) -> Plane:
    """The probability of "scratched", from its logit.

    Raises:
        InputError: NaN or infinite values.
    """
    if not np.isfinite(logit).all():
        raise InputError("the scratch network returned NaN or infinite values; set mend.scratches=false")
    return (1 / (1 + np.exp(-logit))).astype(np.float32)


def why_left(found: DetectedScratches, toned: bool, options: Mend) -> str:
    """Why scratches are not filled; empty if they are. `toned`: the picture is monochrome."""
    if not found.count:
        return f"none found; {found.rejected} marks look like content" if found.rejected else "none found"
    if options.scratches == "auto" and not toned:
        return "in a picture in colour they may be content; set mend.scratches=true or mend.mask"
    if should_repair(options.scratches, found.length, options.least_scratches):
        return ""
    return f"their total length {found.length:.2f} is below mend.least_scratches {options.least_scratches:g}"


def should_repair(option: Switch, value: float, least: float) -> bool:
    """Whether to repair damage: as the option says; with `auto`, if the measured value reaches the threshold."""
    return value >= least if option == "auto" else bool(option)


def reduction(image: Image) -> int:
    """The factor by which `detection_copy` reduces a photograph."""
    return max(1, min(image.height, image.width) // DETECTION_SIDE)


def detection_copy(image: Image) -> Image:
    """The photograph, reduced by area averaging if its shorter side is twice `DETECTION_SIDE` or more."""
    factor = reduction(image)
    if factor < 2:
        return image
    return replace(image, pixels=np.ascontiguousarray(block_means(image.pixels, factor)), alpha=None)


def reduce_mask(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """A mask (H, W) for a reduced copy (h, w): True where a block has any masked pixel."""
    factor = -(-mask.shape[0] // shape[0])
    rows, columns = shape[0] * factor - mask.shape[0], shape[1] * factor - mask.shape[1]
    padded = np.pad(mask, ((0, rows), (0, columns)))
    reduced = padded.reshape(shape[0], factor, shape[1], factor).any((1, 3))
    return np.asarray(reduced)


def dilate(mask: Mask, radius: int = 1) -> Mask:
    """A mask (H, W) dilated by `radius` pixels, diagonals included."""
    import cv2

    kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    grown = np.asarray(cv2.dilate(mask.astype(np.uint8), kernel))
    return grown.astype(bool)
