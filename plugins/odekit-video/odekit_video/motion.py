"""How a face moved from one frame to the next, by the pixels: where a detector places its points errs by far more.

Corners of the face are followed by the method of B. D. Lucas and T. Kanade, "An iterative image registration technique"
(1981), in pyramids, there and back, and most of them agree on one similarity transform.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Pixels
from odekit.images.colour import luma

Matrix = NDArray[np.float64]
"""(2, 3): maps a point (x, y, 1) of one frame into another one."""
VIEW = 128
"""Largest side of a view, in its pixels."""
AROUND = 0.25
"""What a view shows on each side of the face's box, in its width and height."""
CORNERS, LEAST = 80, 8
"""Corners of a face that are followed at most, and that must agree at least."""
WINDOW = 15
"""Side of the square around a corner that is found again, in pixels of the view."""
RETURN = 0.5
"""A corner that is not found at its place again, followed there and back, by this many pixels is left out."""
AGREEMENT = 0.7
"""Largest distance from the common transform, in pixels of the view."""
LEAST_STEP = 0.15
"""A face whose box moved by less, in pixels, is taken to be still."""
CERTAIN = 10.0
"""A face is still, too, if its corners agree with the transform by so little better than with none: F statistic of its
four parameters. In noise every face seems to move; the errors of corners that lie side by side are alike."""
IDENTITY = np.array([[1.0, 0, 0], [0, 1, 0]])


@dataclass(frozen=True)
class View:
    """A face and its surroundings in grey."""

    grey: NDArray[np.uint8]
    left: int
    top: int
    scale: float
    """Pixels of the view over those of the frame."""
    box: tuple[float, ...]
    """Of the face, in the frame."""

    def find(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Places (n, 2) of the view in the frame."""
        out: NDArray[np.float64] = (points.astype(np.float64) + 0.5) / self.scale + [self.left, self.top]
        return out

    def place(self, points: NDArray[Any]) -> NDArray[np.float32]:
        """Places (n, 2) of the frame in the view."""
        out: NDArray[np.float32] = ((points - [self.left, self.top]) * self.scale - 0.5).astype(np.float32)
        return out


def view_of(pixels: Pixels, box: Sequence[float]) -> View:
    """The view of a face in a frame (3, H, W); its box in pixels."""
    width, height = box[2] - box[0], box[3] - box[1]
    left, top = (max(0, int(low - AROUND * size)) for low, size in ((box[0], width), (box[1], height)))
    right, bottom = int(box[2] + AROUND * width) + 1, int(box[3] + AROUND * height) + 1
    part = pixels[:, top:bottom, left:right]
    grey = (255 * luma(part) + 0.5).astype(np.uint8)
    scale = min(1.0, VIEW / max(grey.shape))
    if scale < 1:
        grey = np.asarray(cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    return View(grey, left, top, scale, tuple(float(v) for v in box))


def step(before: View, after: View) -> Matrix | None:
    """The similarity transform of a face from one frame to another; None if it cannot be seen."""
    inside = np.zeros_like(before.grey)
    (x0, y0), (x1, y1) = (
        np.rint(before.place(np.array(corner))).astype(int) for corner in (before.box[:2], before.box[2:])
    )
    cv2.ellipse(
        inside, (int(x0 + x1) // 2, int(y0 + y1) // 2), (int(x1 - x0) // 2, int(y1 - y0) // 2), 0, 0, 360, 255, -1
    )
    corners = cv2.goodFeaturesToTrack(before.grey, CORNERS, 0.01, 3, mask=inside)
    if corners is None or len(corners) < LEAST:
        return None
    there, seen = followed(before, after, corners[:, 0])
    back, seen_back = followed(after, before, there)
    good = seen & seen_back & (np.abs(back - corners[:, 0]).max(1) < RETURN)
    if good.sum() < LEAST:
        return None
    start, end = before.find(corners[good, 0]), after.find(there[good])
    matrix, agree = cv2.estimateAffinePartial2D(start, end, ransacReprojThreshold=AGREEMENT / before.scale)
    if matrix is None or int(agree.sum()) < max(LEAST, good.sum() // 2):
        return None
    kept = agree[:, 0] > 0
    squares, of_still = (float(np.square(x[kept]).sum()) for x in (moved_by(matrix, start) - end, start - end))
    certain = (of_still - squares) / 4 > CERTAIN * squares / (2 * kept.sum() - 4)
    ends = np.array(before.box, np.float64).reshape(2, 2)
    moved = float(np.abs(moved_by(matrix, ends) - ends).max())
    return np.asarray(matrix, np.float64) if certain and moved >= LEAST_STEP else IDENTITY


def followed(before: View, after: View, points: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Where points (n, 2) of one view lie in the other, and whether they were found."""
    middle = np.array([[(b[0] + b[2]) / 2, (b[1] + b[3]) / 2] for b in (before.box, after.box)])
    guess = after.place(before.find(points) + (middle[1] - middle[0]))
    size = np.maximum(before.grey.shape, after.grey.shape)
    one, two = padded(before.grey, size), padded(after.grey, size)
    there, seen, _ = cv2.calcOpticalFlowPyrLK(
        one, two, points.astype(np.float32), guess, winSize=(WINDOW, WINDOW), maxLevel=2,
        criteria=(cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 0.01), flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )  # fmt: skip
    return np.asarray(there, np.float32), np.asarray(seen)[:, 0] > 0


def padded(grey: NDArray[np.uint8], size: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The view with its right and lower border continued to this height and width."""
    down, right = (int(n) for n in size - grey.shape)
    return np.pad(grey, ((0, down), (0, right)), mode="edge")


def moved_by(matrix: Matrix, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (..., 2) after a transform."""
    out: NDArray[np.float64] = points @ matrix[:, :2].T + matrix[:, 2]
    return out


def after_both(first: Matrix, second: Matrix) -> Matrix:
    """The transform that does one and then the other."""
    out: Matrix = second[:, :2] @ first + np.array([[0, 0, second[0, 2]], [0, 0, second[1, 2]]])
    return out


def inverse(matrix: Matrix) -> Matrix:
    """The transform back."""
    return np.asarray(cv2.invertAffineTransform(matrix), np.float64)
