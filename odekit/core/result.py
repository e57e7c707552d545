"""The result of a chain for one image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from odekit.core.image import Image

if TYPE_CHECKING:
    import PIL.Image
    from torch import Tensor


@dataclass(repr=False)
class Result:
    """What a chain made of one image: the restored `image`, or the `error` that prevented it, and the `record`.

    Attributes:
        source: the image that was given.
        output: the restored image; None where it failed.
        record: how it was computed, as plain data. Of `Chain.run` the whole record, as `odekit run` writes it beside a
            result: chain, seed, machine, versions and distributions of all parts, weights, and the entries of stages.
        error: why it failed, or None.
        stages: input, inverted latent and the output of every stage, with their names, if they were requested.
        extras: additional images of a stage: `sample2`, `sample3`, ... and their `spread`.
        original: what guided upsamplers see as the original, if a stage corrected it; None: `source`.
    """

    source: Image
    output: Image | None
    record: dict[str, Any]
    error: Exception | None = None
    stages: list[tuple[str, Image]] = field(default_factory=list)
    extras: list[tuple[str, Image]] = field(default_factory=list)
    original: Image | None = None

    @property
    def image(self) -> Image:
        """The restored image. Raises `error` if the image could not be restored."""
        if self.error is not None:
            raise self.error
        assert self.output is not None
        return self.output

    def to_pil(self) -> PIL.Image.Image:
        """The restored image as a Pillow picture. Raises `error`."""
        return self.image.to_pil()

    def to_numpy(self, dtype: DTypeLike = np.uint8) -> NDArray[Any]:
        """The restored image as an array (H, W, 3); see `Image.to_numpy`. Raises `error`."""
        return self.image.to_numpy(dtype)

    def to_tensor(self) -> Tensor:
        """The restored image as a tensor (3, H, W); see `Image.to_tensor`. Raises `error`."""
        return self.image.to_tensor()

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """What `np.asarray(result)` gives; see `Image.__array__`. Raises `error`."""
        return self.image.__array__(dtype, copy)

    def _repr_png_(self) -> bytes | None:
        """The picture that a notebook shows; None for a result without one."""
        return None if self.output is None else self.output._repr_png_()

    def __repr__(self) -> str:
        """What happened, in one line, without pixels: `Result(64 x 64 -> 256 x 256, 28 network calls)`."""
        before = f"{self.source.width} x {self.source.height}"
        if self.error is not None:
            return f"Result({before}, failed: {' '.join(str(self.error).split())[:200]})"
        after = "" if self.output is None else f" -> {self.output.width} x {self.output.height}"
        calls = sum(stage.get("calls", 0) for stage in self.record.get("stages", ()))
        return f"Result({before}{after}, {calls} network calls)"
