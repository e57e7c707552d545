"""One open chain for all visitors: the last settings stay loaded, and one picture is restored at a time."""

from __future__ import annotations

import gc
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import odekit
from odekit.core.memory import return_free_memory
from odekit_web.settings import Settings, chain_of, check, fills, finds_faces

if TYPE_CHECKING:
    from odekit.plugins import Image

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 as fractions of the photograph's width and height."""
FILL = "fill"
"""Key of a drawn mask in `Image.extra` (docs/python.md)."""


@dataclass(frozen=True)
class FoundFace:
    """A face that a chain would restore, or why it would not."""

    number: int
    box: Box
    left_out: str = ""


@dataclass
class Engine:
    """Opens chains, finds faces, restores. Its methods wait for each other."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    opened: dict[Settings, Any] = field(default_factory=dict)
    """The session of the last settings."""
    searches: dict[str, Any] = field(default_factory=dict)
    """The search of the last chain."""

    def find(self, image: Image, name: str) -> list[FoundFace]:
        """The faces of a photograph; none for a chain of aligned faces.

        Raises:
            OdekitError: no such chain, or the picture is refused.
        """
        chain = chain_of(Settings(name))
        if not finds_faces(chain):
            return []
        with self.lock, quiet(), tidy():
            if name not in self.searches:
                self.searches.clear()
                self.searches[name] = odekit.FaceSearch(chain)
            found = self.searches[name].find(image)
        width, height = found.photo.width, found.photo.height
        return [
            FoundFace(
                number,
                (face.box[0] / width, face.box[1] / height, face.box[2] / width, face.box[3] / height),
                found.out.get(number, ""),
            )
            for number, face in enumerate(found.faces, 1)
            if found.out.get(number) != "overlaps a better one"
        ]

    def restore(
        self, image: Image, settings: Settings, tell: Any, leave: Sequence[Box] = (), mask: Any = None
    ) -> odekit.Result:
        """Restore one picture.

        Args:
            image: the picture.
            settings: the chain and its changes.
            tell: receives `odekit.Progress`, and may raise `odekit.Stopped`.
            leave: boxes of faces that stay as they are.
            mask: float32 (H, W), over 0.5 where a person drew scratches; None: none were drawn.

        Raises:
            OdekitError: the chain cannot be opened (weights that are missing), or the picture cannot be restored.
            Stopped: `tell` raised it.
        """
        check(settings)
        with self.lock, quiet(), tidy():
            if settings not in self.opened:
                chain = chain_of(settings)
                self.opened.clear()
                tell(odekit.Progress(images=1, phase="loading networks"))
                self.opened[settings] = chain.open(images=1)
            if mask is not None and not fills(chain_of(settings)):
                raise odekit.ConfigError(f"the chain '{settings.chain}' fills no scratches; choose one such as photo")
            extra = {} if mask is None else {FILL: mask}
            (result,) = self.opened[settings].restore([replace(image, leave=tuple(leave), extra=extra)], tell)
        if result.error is not None:
            raise odekit.OdekitError(str(result.error)) from result.error
        done: odekit.Result = result
        return done


@contextmanager
def tidy() -> Iterator[None]:
    """What the work has left is freed and returned to the system, however it ends.

    Loading chains and writing records leave some hundred objects in cycles, which Python would collect after many
    photographs only, and arrays of many sizes leave gaps in the memory of the C library.
    """
    try:
        yield
    finally:
        gc.collect()
        return_free_memory()


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings on the console: what they say is in the line of the photograph."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", odekit.OdekitWarning)
        yield
