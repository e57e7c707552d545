"""The faces of a photograph as a chain would find them, without restoring anything."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from odekit.chains.execution import Execution
from odekit.chains.resolve import iter_stages
from odekit.chains.session import Session
from odekit.chains.tools import PartTools
from odekit.errors import ConfigError
from odekit.images.accept import as_image
from odekit.parts.faces.find import FaceFinder, PhotoFaces
from odekit.parts.faces.options import Faces, YunetDetector
from odekit.parts.faces.search import SearchSize

if TYPE_CHECKING:
    from odekit.chains.chain import Chain
    from odekit.images.accept import Picture


class FaceSearch:
    """Face detection and selection of the first stage `faces` of a chain, after the stages before it.

    Args:
        chain: with a stage `faces`.

    Raises:
        ConfigError: the chain has none.
    """

    def __init__(self, chain: Chain) -> None:
        self.finder = face_finder(chain)
        self.earlier = _earlier_stages(chain)

    def find(self, picture: Picture) -> PhotoFaces:
        """The faces of a photograph: numbers, boxes and reasons are those that a run of the chain has.

        `photo` of the result is the photograph after the stages before `faces`, such as `mend`.

        Raises:
            InputError: the picture cannot be read, or a stage before `faces` refuses it.
        """
        photo = as_image(picture)
        if self.earlier is not None:
            photo = self.earlier.run([photo])[0].image
        return self.finder.find(photo)


def face_finder(chain: Chain, turned: bool = True, smallest: int = 0) -> FaceFinder:
    """Face detection and selection of the first stage `faces` of a chain.

    Args:
        chain: with such a stage.
        turned: False: the built-in detectors search no quarter turns of the whole picture, only those of a face.
        smallest: the built-in detectors search no smaller faces, in pixels, whatever the chain says.

    Raises:
        ConfigError: the chain has none.
    """
    for item, _ in iter_stages(chain.spec.items):
        options = item.options
        if isinstance(options, Faces):
            detect = options.detect
            if isinstance(detect.options, YunetDetector):
                own = detect.options
                limited = replace(detect, options=own.model_copy(update={"smallest": max(own.smallest, smallest)}))
                options = options.model_copy(update={"detect": limited})
            return FaceFinder(options, PartTools(chain.parts, "cpu", "float32"), turned)
    raise ConfigError(f"the chain '{chain.spec.name}' has no stage 'faces'; use a chain that has one, such as photo")


def finer_search(chain: Chain, width: int, height: int) -> tuple[int, float]:
    """What a search of finer pictures for small faces (`odekit.parts.faces.search`) means in pictures of this size.

    Returns:
        The least `smallest` without one, and the width up to which it changes what is found of a face; 0 and 0 for
        detectors that have none.
    """
    for item, _ in iter_stages(chain.spec.items):
        if isinstance(item.options, Faces) and isinstance(item.options.detect.options, YunetDetector):
            o = item.options.detect.options
            size = SearchSize(o.largest_side, o.tile, o.smallest)
            return size.coarse_only(width, height), size.widest_of_finer(width, height)
    return 0, 0.0


def _earlier_stages(chain: Chain) -> Session | None:
    items = tuple(itertools.takewhile(lambda item: not isinstance(item.options, Faces), chain.spec.items))
    execution = Execution("cpu", "float32", 1)
    return Session(replace(chain.spec, items=items), chain.parts, 0, execution) if items else None
