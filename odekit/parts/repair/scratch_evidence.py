"""Decide which of the pixels that the network takes for scratched are damage, mark by mark.

Damage of a print is thin, lighter or darker than both of its sides all along, and does not run along the picture's
border. Marks that fail are left, whatever the network says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Pixels
from odekit.images.colour import luma
from odekit.parts.repair.damage_signs import import_ndimage

Mask = NDArray[np.bool_]
"""(H, W)."""
Plane = NDArray[np.float32]
"""(H, W)."""
MIN_CONTRAST = 0.025
"""Smallest difference of a faint pixel from both sides, in luma: six of 255 levels."""
RADII = (3, 5, 8)
"""Distances at which both sides are compared with a pixel."""
DIRECTIONS = 8
"""Directions in which they are."""
FAIR = 0.25
"""Parts of a mark below this probability are bridges between surer parts, or short."""
MAX_DANGLING = 26
"""Largest number of pixels of such a part that ends nowhere, unless its mean contrast is `STRONG_CONTRAST`."""
STRONG_CONTRAST = 0.18
"""Mean difference from both sides, in luma, of a part that is damage although its probability is low."""
STRONG_FAINT = 0.5
"""Pixels of that contrast are followed from this share of the faint probability on."""
OPPOSITE_CONTRAST = 0.1
"""A faint pixel that is darker by this than both sides belongs to no light mark (an eyelid beside a crack), and the
other way round."""
KIND_SURE, KIND_PIXELS, KIND_SHARE = 0.6, 40, 0.25
"""For the kind of the marks of a print: probability of the pixels that count, their smallest number, and the share of
the rarer kind up to which its marks are left."""
THICK = 9
"""Side of the square that fits into a part that is too thick for a crack, in pixels."""
MIN_PIXELS = 12
"""Smaller marks are left."""
MIN_ASPECT = 4.0
"""Smallest ratio of length to width of a mark."""
MIN_TYPICAL = 0.13
"""Smallest median of the probabilities of a mark that are not below the faint one: content that looks like a crack does
so in places, a crack all along."""
MIN_TWO_SIDED = 0.65
"""Smallest share of a mark's pixels that are lighter (or darker) than both sides."""
BORDER = 0.02
"""Width of the zone beside the picture's border, as a fraction of the shorter side."""
MAX_BORDER_SHARE = 0.6
"""Largest share of a long mark that lies in this zone."""


@dataclass(frozen=True)
class DetectedScratches:
    """Scratches that are to be filled."""

    mask: Mask
    length: float
    """Total length, over the shorter side of the photograph."""
    count: int
    rejected: int = 0
    """Marks that reached the threshold and that the evidence ruled out."""
    other_kind: int = 0
    """Those of them that are dark where most are light, or light where most are dark."""
    light: bool = True
    """Whether most marks are light."""

    @property
    def share(self) -> float:
        """Share of the photograph's pixels."""
        return float(self.mask.mean())


def detect_scratches(pixels: Pixels, probability: Plane, sure: float, faint: float) -> DetectedScratches:
    """The scratches of a photograph.

    Args:
        pixels: (3, H, W).
        probability: (H, W), the network's probability of "scratched".
        sure: a mark must reach this probability somewhere.
        faint: from there it is followed along pixels that reach this probability and differ from both sides.

    Raises:
        PluginError: OpenCV or scipy is not installed.
    """
    label, find_objects = import_ndimage()
    lighter, darker = two_sided_contrast(luma(pixels))
    contrast = np.maximum(lighter, darker)
    probability = without_dangling_parts(probability, contrast, faint)
    followed = (probability >= faint) | ((probability >= STRONG_FAINT * faint) & (contrast >= STRONG_CONTRAST))
    marked = followed & ((contrast >= MIN_CONTRAST) | (probability >= sure))
    marked &= ~thick_parts(marked) | (probability >= sure)
    labels, count = label(marked, structure=np.ones((3, 3)))
    side = min(probability.shape)
    kept, lengths, rejected, other_kind, light = np.zeros(count + 1, bool), np.zeros(count + 1), 0, 0, 0.0
    kinds = mark_kinds(labels, count, lighter >= darker, probability)
    for number, window in enumerate(find_objects(labels), 1):
        mark = labels[window] == number
        inside = probability[window][mark]
        if inside.size < MIN_PIXELS or inside.max() < sure:
            continue
        length, width = length_of(mark), mean_width(mark)
        shares = [float((plane[window][mark] >= MIN_CONTRAST).mean()) for plane in (lighter, darker)]
        if (
            np.median(inside[inside >= min(faint, sure)]) < min(MIN_TYPICAL, sure)
            or length < MIN_ASPECT * width
            or max(shares) < MIN_TWO_SIDED
            or runs_along_border(mark, window, probability.shape)
        ):
            rejected += 1
            continue
        if kinds[number]:
            rejected, other_kind = rejected + 1, other_kind + 1
            continue
        kept[number] = True
        lengths[number] = length
        light += length * float(np.sign(shares[0] - shares[1]))
        own, other = (lighter, darker) if shares[0] >= shares[1] else (darker, lighter)
        opposite = (other[window] >= OPPOSITE_CONTRAST) & (other[window] > own[window])
        labels[window][mark & opposite & (probability[window] < FAIR)] = 0
    mask = without_fragments(kept[labels])
    return DetectedScratches(mask, float(lengths.sum()) / side, int(kept.sum()), rejected, other_kind, light >= 0)


def without_fragments(mask: Mask) -> Mask:
    """A mask without connected parts of fewer than `MIN_PIXELS`: what is left of an eyelid that a crack touched."""
    label, _ = import_ndimage()
    parts, _ = label(mask, structure=np.ones((3, 3)))
    sizes = np.bincount(parts.ravel())
    whole: Mask = mask & (sizes[parts] >= MIN_PIXELS)
    return whole


def mark_kinds(labels: NDArray[np.int32], count: int, light: Mask, probability: Plane) -> Mask:
    """For each mark, whether it is of the rarer kind, (count + 1,): paper shows in a print, or dirt, seldom both.

    It is False for all where there are too few sure pixels, or where the rarer kind (light or dark) has more than a
    quarter of those of the other.

    Args:
        labels: (H, W), the number of the mark of each pixel; 0: none.
        count: number of marks.
        light: pixels that are lighter than both sides rather than darker.
        probability: (H, W), of "scratched".
    """
    sure = (labels > 0) & (probability > KIND_SURE)
    counts = int((sure & light).sum()), int((sure & ~light).sum())
    if max(counts) < KIND_PIXELS or min(counts) > KIND_SHARE * max(counts):
        return np.zeros(count + 1, bool)
    size = np.bincount(labels.ravel(), minlength=count + 1)
    lights = np.bincount(labels.ravel(), weights=light.ravel(), minlength=count + 1)
    is_light = 2 * lights > size
    rarer: Mask = is_light != (counts[0] > counts[1])
    return rarer


def two_sided_contrast(y: Plane) -> tuple[Plane, Plane]:
    """By how much each pixel of a luma plane (H, W) is lighter, and darker, than both of its sides.

    It is the largest value over directions and distances of the smaller difference: at an edge of the content one of
    both sides is as light as the pixel, in every direction. Beyond the picture's border the picture is mirrored.
    """
    from scipy.ndimage import gaussian_filter, uniform_filter

    height, width = y.shape
    reach = max(RADII) + 1
    sides = np.pad(uniform_filter(y, 3), reach, mode="symmetric")
    middle = gaussian_filter(y, 0.7)
    lighter, darker = np.full(y.shape, -1, np.float32), np.full(y.shape, -1, np.float32)
    for radius in RADII:
        for angle in np.pi * np.arange(DIRECTIONS) / DIRECTIONS:
            dy, dx = round(radius * float(np.sin(angle))), round(radius * float(np.cos(angle)))
            one, two = (sides[reach + sign * dy :, reach + sign * dx :][:height, :width] for sign in (-1, 1))
            np.maximum(lighter, middle - np.maximum(one, two), out=lighter)
            np.maximum(darker, np.minimum(one, two) - middle, out=darker)
    return lighter, darker


def without_dangling_parts(probability: Plane, contrast: Plane, faint: float) -> Plane:
    """Probabilities (H, W), set to 0 in parts from `faint` to `FAIR` that lead from a surer part to nowhere.

    Along such parts a mark would leave a crack for the edge of a thing that it crosses. Parts of strong contrast stay.
    """
    from scipy.ndimage import binary_dilation

    label, find_objects = import_ndimage()
    around = np.ones((3, 3), bool)
    fair, _ = label(probability >= FAIR, structure=around)
    parts, _ = label((probability >= faint) & (probability < FAIR), structure=around)
    out = probability.copy()
    for number, window in enumerate(find_objects(parts), 1):
        part = parts[window] == number
        if part.sum() <= MAX_DANGLING or contrast[window][part].mean() >= STRONG_CONTRAST:
            continue
        wide = tuple(slice(max(0, axis.start - 1), axis.stop + 1) for axis in window)
        ends = np.unique(fair[wide][binary_dilation(parts[wide] == number, around)])
        if (ends > 0).sum() < 2:
            out[window][part] = 0
    return out


def thick_parts(marked: Mask) -> Mask:
    """The parts of a mask into which a square of side `THICK` fits."""
    import cv2

    square = np.ones((THICK, THICK), np.uint8)
    return np.asarray(cv2.morphologyEx(marked.astype(np.uint8), cv2.MORPH_OPEN, square)).astype(bool)


def length_of(mark: Mask) -> float:
    """Length of a thin mark in pixels, branches included: its area over its mean width; within about 10 %."""
    return float(mark.sum()) / max(1.0, mean_width(mark))


def mean_width(mark: Mask) -> float:
    """Mean width of a mark, from the mean distance of its pixels to its border.

    That distance is (w + 2) / 4 for a strip of width w. It holds for two crossing strips too, where area over length
    would overestimate the width.
    """
    from scipy.ndimage import distance_transform_edt

    distance = distance_transform_edt(np.pad(mark, 1))[1:-1, 1:-1]
    return 4 * float(distance[mark].mean()) - 2


def runs_along_border(mark: Mask, window: tuple[slice, slice], shape: tuple[int, ...]) -> bool:
    """Whether a long mark lies mostly beside one border of the picture."""
    zone = max(3.0, BORDER * min(shape))
    rows, columns = np.nonzero(mark)
    rows, columns = rows + window[0].start, columns + window[1].start
    long = max(mark.shape) > 3 * zone
    distances = (rows, columns, shape[0] - 1 - rows, shape[1] - 1 - columns)
    return long and max(float((d < zone).mean()) for d in distances) > MAX_BORDER_SHARE
