"""YuNet, the network that proposes faces: boxes, five points and a score for one picture.

Wu, Peng and Yu 2023, "YuNet: A Tiny Millisecond-level Face Detector" (doi:10.1007/s11633-023-1423-y). OpenCV runs it.
"""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Pixels
from odekit.core.interfaces import Tools
from odekit.core.threads import in_threads
from odekit.errors import PluginError, Stopped
from odekit.parts.faces.geometry import Points
from odekit.parts.faces.select import Box
from odekit.plugins.weights.lookup import weights_file

BgrPicture = NDArray[np.uint8]
"""(H, W, 3), blue, green, red: the order that YuNet was trained on."""
MIN_SCORE = 0.5
"""Smallest score of a proposal."""
OVERLAP = 0.3
"""Proposals of one picture that overlap by more (intersection over union) are one."""
MOST = 5000
"""Largest number of proposals before non-maximum suppression."""

LOG_LEVEL = threading.Lock()
"""OpenCV's log level belongs to the process: two threads that change it would leave it changed, or print."""
BAND_ROWS = 256
"""Rows that are converted at a time."""


@dataclass(frozen=True)
class Proposal:
    """A face as YuNet sees it."""

    box: Box
    """x0, y0, x1, y1 in pixels."""
    points: Points
    """(5, 2): eyes (left and right in the upright picture), nose, corners of the mouth."""
    score: float
    """0 to 1; 0.9 and more for most faces."""


class OfThread(threading.local):
    """What each thread has of its own."""

    network: Any = None


class YuNet:
    """The network, loaded once by each thread that uses it. It takes pictures of any size."""

    def __init__(self, tools: Tools, weights: str = "yunet") -> None:
        """Load the network.

        Raises:
            WeightsError: no such weights.
        """
        self.file = weights_file(weights, tools)
        self.stopped = False
        """Set by another thread: `propose` raises `Stopped` from then on."""
        self._own = OfThread()

    @property
    def _network(self) -> Any:
        """The network of this thread: it keeps its input size and buffers."""
        if self._own.network is None:
            self._own.network = self._load()
        return self._own.network

    def release(self) -> None:
        """Free this thread's network, whose buffers grow with its pictures; it is loaded again if needed."""
        self._own.network = None

    def _load(self) -> Any:
        cv = import_opencv()
        log = cv.utils.logging
        with LOG_LEVEL:  # OpenCV 5 warns of a target that is set for this class always
            level = log.setLogLevel(log.LOG_LEVEL_ERROR)
            try:
                return cv.FaceDetectorYN.create(str(self.file), "", (320, 320), MIN_SCORE, OVERLAP, MOST)
            finally:
                log.setLogLevel(level)

    def propose(self, picture: BgrPicture) -> list[Proposal]:
        """Faces of a picture (H, W, 3), in its pixels, best first.

        Raises:
            PluginError: OpenCV is not installed.
            Stopped: `stopped` is set.
        """
        if self.stopped:
            raise Stopped
        height, width = picture.shape[:2]
        network = self._network
        network.setInputSize((width, height))
        rows = network.detect(np.ascontiguousarray(picture))[1]
        if rows is None:
            return []
        found = []
        for row in rows.astype(np.float64):
            x, y, w, h = row[:4]
            found.append(Proposal((x, y, x + w, y + h), row[4:14].reshape(5, 2), float(row[14])))
        return sorted(found, key=lambda p: (-p.score, p.box))


def to_bgr(pixels: Pixels) -> BgrPicture:
    """A picture (3, H, W) with values in [0, 1] as YuNet takes it, with 8 bits a channel."""
    levels = np.empty((*pixels.shape[1:], 3), np.uint8)

    def fill(top: int) -> None:
        for channel in range(3):
            values = pixels[channel, top : top + BAND_ROWS] * np.float32(255)
            values += np.float32(0.5)
            levels[top : top + BAND_ROWS, :, 2 - channel] = np.clip(values, 0, 255, out=values)

    in_threads(fill, range(0, pixels.shape[1], BAND_ROWS))
    return levels


@functools.cache
def import_opencv() -> Any:
    """The OpenCV module.

    Raises:
        PluginError: OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise PluginError(
            f"the built-in face detector needs OpenCV ({error}); pip install 'odekit[photos]', or give boxes "
            "(faces.select.boxes), or install odekit-facexlib and set faces.detect to retinaface"
        ) from error
    return cv2
