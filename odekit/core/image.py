"""What a picture is. This page states the conventions on values once; everything else refers to it.

- An `Image` is one picture: `pixels` float32 (3, H, W), sRGB-encoded RGB in [0, 1]. Files, faces, upsamplers, metrics
  and plugins see this. An ICC profile other than sRGB is converted on reading (and the profile is carried along).
- A `State` is float64 (N, 3, H, W) in model space, `2 * pixels - 1` when clean. Solvers and enhancers see this.
  `to_state` and `from_state` in `odekit.core.image` are the only two places that convert between them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Pixels = NDArray[np.float32]
"""float32 (3, H, W), sRGB-encoded RGB in [0, 1]."""

_BLOCK = 1 << 20
"""Values quantised at a time: a photograph of 100 megapixels would take several GB in float64."""


@dataclass(frozen=True)
class Metadata:
    """What a file says besides its colours, so that writing the result loses nothing."""

    path: Path | None = None
    """Where the picture was read from."""
    format: str = "PNG"
    """File format by Pillow's name: PNG, JPEG, WEBP, TIFF or BMP."""
    bits: Literal[8, 16] = 8
    """Bits per channel of the file."""
    grey: bool = False
    """The file had one colour channel; `pixels` holds it three times."""
    exif: bytes | None = None
    """EXIF block with the orientation tag reset (the pixels are already upright)."""
    icc: bytes | None = None
    """The ICC profile of the file, as read. `pixels` are sRGB whatever it says."""
    dpi: tuple[float, float] | None = None
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Image:
    """One picture.

    `pixels` is float32 (3, H, W), sRGB-encoded RGB in [0, 1]; `alpha` is float32 (H, W) in [0, 1] or None.
    `origin` names the picture that this one was made from: the SHA-256 of the pixels as first decoded. It keys the
    noise (see `odekit.core.noise`), so it stays the same while stages change the pixels.
    """

    pixels: Pixels
    alpha: NDArray[np.float32] | None = None
    meta: Metadata = field(default_factory=Metadata)
    origin: str = ""
    face: int = 0
    """Number of the face in its photograph; 0 where the picture is not a crop."""

    def __post_init__(self) -> None:
        """Check shapes and types, and fill in `origin`.

        Raises:
            ValueError: pixels are not float32 (3, H, W) with H, W >= 1, or alpha does not match.
        """
        if (
            self.pixels.dtype != np.float32
            or self.pixels.ndim != 3
            or self.pixels.shape[0] != 3
            or not self.pixels.size
        ):
            raise ValueError(f"pixels must be float32 (3, H, W), not {self.pixels.dtype} {self.pixels.shape}")
        if self.alpha is not None and self.alpha.shape != self.pixels.shape[1:]:
            raise ValueError(f"alpha {self.alpha.shape} does not match pixels {self.pixels.shape}")
        if not self.origin:
            object.__setattr__(self, "origin", fingerprint(self.pixels))

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[1])

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[2])

    def with_pixels(self, pixels: Pixels) -> Image:
        """The same picture with other pixels; alpha is dropped when the size changes (resize it with the pixels)."""
        alpha = self.alpha if self.alpha is not None and self.alpha.shape == pixels.shape[1:] else None
        return replace(self, pixels=pixels, alpha=alpha)

    @classmethod
    def from_uint8(cls, array: NDArray[np.uint8], meta: Metadata | None = None) -> Image:
        """An image from uint8 (H, W, 3) RGB or (H, W) grey, as other libraries hold it."""
        if array.ndim == 2:
            array = np.repeat(array[..., None], 3, axis=2)
        pixels = np.ascontiguousarray(array.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)
        return cls(pixels, meta=meta or Metadata())

    def to_uint8(self) -> NDArray[np.uint8]:
        """The picture as uint8 (H, W, 3) RGB, values rounded to nearest after clipping to [0, 1]."""
        return np.ascontiguousarray(quantise(self.pixels, 8).transpose(1, 2, 0)).astype(np.uint8)


def quantise(values: NDArray[np.float32], bits: Literal[8, 16]) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Values in [0, 1] as integers of 8 or 16 bits: clipped, scaled, rounded to nearest."""
    top = float(2**bits - 1)
    out = np.empty(values.shape, np.uint8 if bits == 8 else np.uint16)
    source, target = np.ascontiguousarray(values).reshape(-1), out.reshape(-1)
    for start in range(0, source.size, _BLOCK):
        scaled = source[start : start + _BLOCK].astype(np.float64)
        np.rint(np.clip(scaled, 0.0, 1.0, out=scaled) * top, out=scaled)
        target[start : start + _BLOCK] = scaled
    return out


def fingerprint(pixels: Pixels) -> str:
    """SHA-256 of the decoded pixels as 16-bit integers, so that an 8-bit picture and its 16-bit copy are one."""
    numbers = quantise(pixels, 16).astype("<u2")
    return hashlib.sha256(repr(pixels.shape).encode() + numbers.tobytes()).hexdigest()


def to_state(pixels: Sequence[Pixels]) -> Tensor:
    """Pictures of one size as a state: float64 (N, 3, H, W), `2 * pixels - 1`."""
    import torch

    return torch.from_numpy(2.0 * np.stack(pixels).astype(np.float64) - 1.0)


def from_state(state: Tensor) -> list[Pixels]:
    """A clean state as pictures, float32 (3, H, W); values outside [0, 1] are clipped."""
    array = state.detach().cpu().numpy()
    return [np.clip((row + 1.0) / 2.0, 0.0, 1.0).astype(np.float32) for row in array]


def stack(images: Sequence[Image]) -> Tensor:
    """The pixels of images of one size as a state."""
    return to_state([image.pixels for image in images])


SQUARE = 0.05
"""How far the sides of an aligned face may differ, as a fraction of the longer one."""


def is_square(image: Image) -> bool:
    """The sides differ by at most 5 %, as those of an aligned face do."""
    short, long = sorted((image.height, image.width))
    return long - short <= SQUARE * long
