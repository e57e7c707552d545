"""One open chain for all visitors: the last settings stay loaded, and one picture is restored at a time.

All pictures are worked on in one thread. Gradio calls from up to forty, and for each of them torch, oneDNN and OpenCV
would keep threads and buffers of their own (90 MB for a photograph of 400 x 400).
"""

from __future__ import annotations

import contextvars
import functools
import gc
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

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


P = ParamSpec("P")
R = TypeVar("R")


def in_its_thread(method: Callable[Concatenate[Engine, P], R]) -> Callable[Concatenate[Engine, P], R]:
    """Call a method in the engine's thread, within the caller's context (Gradio's progress reads it)."""

    @functools.wraps(method)
    def call(engine: Engine, /, *args: P.args, **kwargs: P.kwargs) -> R:
        context = contextvars.copy_context()
        return engine.thread.submit(lambda: context.run(method, engine, *args, **kwargs)).result()

    return call


@dataclass
class Engine:
    """Opens chains, finds faces, restores. Its methods wait for each other, in the order of the calls."""

    thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="engine"))
    opened: dict[Settings, Any] = field(default_factory=dict)
    """The session of the last settings."""
    searches: dict[str, Any] = field(default_factory=dict)
    """The search of the last chain."""

    @in_its_thread
    def find(self, image: Image, name: str) -> list[FoundFace]:
        """The faces of a photograph; none for a chain of aligned faces.

        Raises:
            OdekitError: no such chain, or the picture is refused.
        """
        chain = chain_of(Settings(name))
        if not finds_faces(chain):
            return []
        with quiet(), tidy():
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

    @in_its_thread
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
        with quiet(), tidy():
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
