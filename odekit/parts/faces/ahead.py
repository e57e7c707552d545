"""A search of a photograph that began before anybody asked for it.

Importing torch takes a second of one processor. The first photograph of a run can be searched meanwhile: YuNet needs no
torch. What is found counts for the very same pixels only, so that it does not matter whether a stage before `faces`
changes them.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from odekit.core.image import Pixels
from odekit.parts.faces.options import YunetDetector
from odekit.parts.faces.search import SearchSize, search
from odekit.parts.faces.yunet import BgrPicture, Proposal, YuNet, import_opencv, to_bgr

Found = tuple[BgrPicture, list[Proposal]]
"""The photograph as YuNet takes it, and what YuNet found."""


@dataclass
class AheadSearch:
    """The search of a photograph (3, H, W) in another thread."""

    pixels: Pixels
    size: SearchSize
    weights: Path
    found: Future[Found] = field(default_factory=Future)
    threads: int = 0
    """Of OpenCV, before this search takes one of them only; 0: not known yet."""

    def hurry(self) -> None:
        """Give OpenCV all its threads again."""
        if self.threads:
            import_opencv().setNumThreads(self.threads)


_searches: list[AheadSearch] = []
"""The one that nobody has asked for yet."""


def announce_search(pixels: Pixels, options: YunetDetector, network: YuNet) -> AheadSearch:
    """Have `searched` wait for a search of these pixels; `run_search` must follow, in any thread."""
    ahead = AheadSearch(pixels, search_size(options), network.file)
    _searches[:] = [ahead]
    return ahead


def run_search(ahead: AheadSearch, network: YuNet) -> None:
    """Search. An error is left to the search of the stage, which meets it, too.

    OpenCV gets one thread of its own until `searched` waits for it: the other processor has other work.
    """
    try:
        photo = to_bgr(ahead.pixels)
        cv = import_opencv()
        ahead.threads = cv.getNumThreads()
        cv.setNumThreads(1)
        try:
            ahead.found.set_result((photo, search(network, photo, ahead.size)))
        finally:
            ahead.hurry()
    except BaseException as error:
        ahead.found.set_exception(error)


def searched(pixels: Pixels, size: SearchSize, weights: Path) -> Found | None:
    """What was found ahead in these pixels, once; waits for a search in progress. None: search now."""
    ahead = next(iter(_searches), None)
    _searches.clear()
    if ahead is None:
        return None
    ahead.hurry()
    if ahead.pixels is not pixels or (ahead.size, ahead.weights) != (size, weights):
        return None
    with contextlib.suppress(Exception):
        return ahead.found.result()
    return None


def search_size(options: YunetDetector) -> SearchSize:
    """How finely the built-in detectors search."""
    return SearchSize(options.largest_side, options.tile, options.smallest)
