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


def face_finder(chain: Chain, turned: bool = True) -> FaceFinder:
    """Face detection and selection of the first stage `faces` of a chain.

    Args:
        chain: with such a stage.
        turned: False: the built-in detectors do not search quarter turns.

    Raises:
        ConfigError: the chain has none.
    """
    for item, _ in iter_stages(chain.spec.items):
        options = item.options
        if isinstance(options, Faces):
            detect = options.detect
            if not turned and isinstance(detect.options, YunetDetector):
                upright = detect.options.model_copy(update={"turned": False})
                options = options.model_copy(update={"detect": replace(detect, options=upright)})
            return FaceFinder(options, PartTools(chain.parts, "cpu", "float32"))
    raise ConfigError(f"the chain '{chain.spec.name}' has no stage 'faces'; use a chain that has one, such as photo")


def _earlier_stages(chain: Chain) -> Session | None:
    items = tuple(itertools.takewhile(lambda item: not isinstance(item.options, Faces), chain.spec.items))
    execution = Execution("cpu", "float32", 1)
    return Session(replace(chain.spec, items=items), chain.parts, 0, execution) if items else None
