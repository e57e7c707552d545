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
    """The search of a photograph (3, H, W), which nobody may write to, by a network of its own in another thread."""

    pixels: Pixels
    size: SearchSize
    network: YuNet
    found: Future[Found] = field(default_factory=Future)
    urgent: bool = False
    """Somebody waits for it."""
    threads: int = 0
    """Of OpenCV, before this search takes one of them only; 0: it has not done so."""

    def hurry(self) -> None:
        """Give OpenCV all its threads again."""
        self.urgent = True
        if self.threads:
            import_opencv().setNumThreads(self.threads)


_searches: list[AheadSearch] = []
"""The one that nobody has asked for yet."""


def announce_search(pixels: Pixels, options: YunetDetector, network: YuNet) -> AheadSearch:
    """Have `searched` wait for a search of these pixels; `run_search` must follow, in any thread."""
    ahead = AheadSearch(pixels, search_size(options), network)
    _searches[:] = [ahead]
    return ahead


def run_search(ahead: AheadSearch) -> None:
    """Search. An error is left to the search of the stage, which meets it, too.

    OpenCV gets one thread of its own until `searched` waits for it: the other processor has other work.
    """
    try:
        photo = to_bgr(ahead.pixels)
        cv = import_opencv()
        usual = cv.getNumThreads()
        if not ahead.urgent:
            ahead.threads = usual
            cv.setNumThreads(1)
        try:
            ahead.found.set_result((photo, search(ahead.network, photo, ahead.size)))
        finally:
            cv.setNumThreads(usual)
    except BaseException as error:
        ahead.found.set_exception(error)


def searched(pixels: Pixels, size: SearchSize, weights: Path) -> Found | None:
    """What was found ahead in these pixels, once; waits for a search in progress. None: search now."""
    ahead = next(iter(_searches), None)
    if ahead is None or ahead.pixels is not pixels or (ahead.size, ahead.network.file) != (size, weights):
        forget_search()
        return None
    _searches.clear()
    ahead.hurry()
    with contextlib.suppress(Exception):
        return ahead.found.result()
    return None


def forget_search() -> None:
    """End a search that nobody will ask for, and free its photograph."""
    for ahead in _searches:
        ahead.network.stopped = True
        ahead.hurry()
    _searches.clear()


def search_size(options: YunetDetector) -> SearchSize:
    """How finely the built-in detectors search."""
    return SearchSize(options.largest_side, options.tile, options.smallest)
