"""Images and states. The conventions on values are stated here only; other modules refer to this one.

- An `Image` is one picture: `pixels` float32 (3, H, W), sRGB-encoded RGB in [0, 1]. Files, faces, upsamplers, metrics
  and plugins see this. Colours with another ICC profile are converted on reading, and the profile is kept.
- A `State` is float64 (N, 3, H, W) in model space, `2 * pixels - 1` when clean. Solvers and enhancers see this.
  Only `to_state` and `from_state` convert between the two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from odekit.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

Pixels = NDArray[np.float32]
"""float32 (3, H, W), sRGB-encoded RGB in [0, 1]."""

RELIABILITY = "reliability"
"""Key in `Image.extra` of a map of what was observed: 1 where the original shows the face, 0 where it was hidden, and
was drawn anew. (h, w) covers the picture, whatever the picture's size."""
_BLOCK = 1 << 20
"""Number of values quantised at a time. A whole photograph of 100 megapixels would take several GB in float64."""


@dataclass(frozen=True)
class Metadata:
    """Metadata of an image file, so that the result can be written with the same properties."""

    path: Path | None = None
    """The file that the image was read from."""
    format: str = "PNG"
    """File format as Pillow names it: PNG, JPEG, WEBP, TIFF or BMP; GIF, AVIF and HEIF are read, but not written."""
    bits: Literal[8, 16] = 8
    """Bits per channel of the file."""
    grey: bool = False
    """The file has one colour channel; `pixels` holds it three times."""
    exif: bytes | None = None
    """EXIF block with the orientation tag reset, because the pixels are already upright."""
    icc: bytes | None = None
    """The ICC profile of the file. `pixels` are sRGB in any case."""
    dpi: tuple[float, float] | None = None
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Image:
    """One picture.

    `pixels` is float32 (3, H, W), sRGB-encoded RGB in [0, 1]; `alpha` is float32 (H, W) in [0, 1] or None.
    `origin` identifies the source image by the SHA-256 of its pixels as first decoded. It keys the noise (see
    `odekit.core.noise`), so it stays the same while stages change the pixels.
    """

    pixels: Pixels
    alpha: NDArray[np.float32] | None = None
    meta: Metadata = field(default_factory=Metadata)
    origin: str = ""
    face: int = 0
    """Number of the face in its photograph; 0 if the image is not a face crop."""
    native: float = 0.0
    """Side of a face crop in pixels of its photograph, whatever the size of `pixels`; 0 if it is not a crop."""
    extra: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """Maps (h, w) in [0, 1] that travel with the picture from stage to stage, such as `RELIABILITY`."""

    def __post_init__(self) -> None:
        """Check shapes and types, and set `origin` if it is empty.

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

    def __repr__(self) -> str:
        """Size, range of the values and source, without the pixels: `Image(width=64, height=48, values=0.02..0.98)`."""
        low, high = float(self.pixels.min()), float(self.pixels.max())
        source = [] if self.meta.path is None else [f"path={str(self.meta.path)!r}"]
        facts = [f"width={self.width}", f"height={self.height}", f"values={low:.3g}..{high:.3g}"]
        facts += [] if self.alpha is None else ["alpha"]
        facts += [f"face={self.face}"] if self.face else []
        return f"Image({', '.join(facts + source)})"

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[1])

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[2])

    def with_pixels(self, pixels: Pixels) -> Image:
        """A copy with other pixels. If the size changes, alpha is dropped; resize it together with the pixels."""
        alpha = self.alpha if self.alpha is not None and self.alpha.shape == pixels.shape[1:] else None
        return replace(self, pixels=pixels, alpha=alpha)

    @classmethod
    def of(cls, picture: object) -> Image:
        """An image from an `Image`, a numpy array as `from_uint8` takes it, or a Pillow picture.

        Raises:
            InputError: anything else, such as an array of floats, of which the range is unknown.
        """
        import PIL.Image
        import PIL.ImageOps

        if isinstance(picture, cls):
            return picture
        array: Any = picture
        if isinstance(picture, PIL.Image.Image):
            array = np.asarray(PIL.ImageOps.exif_transpose(picture).convert("RGB"))
        if not isinstance(array, np.ndarray):
            raise InputError(f"a picture is an Image, a path, a numpy array or a Pillow picture, not {_kind(picture)}")
        grey_or_rgb = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
        if array.dtype != np.uint8 or not grey_or_rgb or not array.size:
            raise InputError(
                f"an array of a picture is uint8 (H, W, 3) RGB or (H, W) grey, not {array.dtype} {array.shape}; for "
                "float32 (3, H, W) in [0, 1]: odekit.Image(pixels)"
            )
        return cls.from_uint8(array)

    @classmethod
    def from_uint8(cls, array: NDArray[np.uint8], meta: Metadata | None = None) -> Image:
        """An image from uint8 (H, W, 3) RGB or (H, W) grey, the layout of other libraries."""
        if array.ndim == 2:
            array = np.repeat(array[..., None], 3, axis=2)
        pixels = np.ascontiguousarray(array.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)
        return cls(pixels, meta=meta or Metadata())

    def to_uint8(self) -> NDArray[np.uint8]:
        """The image as uint8 (H, W, 3) RGB; values are clipped to [0, 1] and rounded to nearest."""
        return np.ascontiguousarray(quantise(self.pixels, 8).transpose(1, 2, 0)).astype(np.uint8)


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")


def quantise(values: NDArray[np.float32], bits: Literal[8, 16]) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Values in [0, 1] as integers of 8 or 16 bits: clipped, scaled, rounded to nearest."""
    largest = float(2**bits - 1)
    out = np.empty(values.shape, np.uint8 if bits == 8 else np.uint16)
    source, target = np.ascontiguousarray(values).reshape(-1), out.reshape(-1)
    for start in range(0, source.size, _BLOCK):
        scaled = source[start : start + _BLOCK].astype(np.float64)
        np.rint(np.clip(scaled, 0.0, 1.0, out=scaled) * largest, out=scaled)
        with np.errstate(invalid="ignore"):  # NaN is refused where an image is used, not here
            target[start : start + _BLOCK] = scaled
    return out


def fingerprint(pixels: Pixels) -> str:
    """SHA-256 of the pixels as 16-bit integers, so that an 8-bit image and its 16-bit copy have the same one."""
    numbers = quantise(pixels, 16).astype("<u2")
    return hashlib.sha256(repr(pixels.shape).encode() + numbers.tobytes()).hexdigest()


def to_state(pixels: Sequence[Pixels]) -> Tensor:
    """Pixels of images of one size as a state: float64 (N, 3, H, W), `2 * pixels - 1`."""
    import torch

    return torch.from_numpy(2.0 * np.stack(pixels).astype(np.float64) - 1.0)


def from_state(state: Tensor) -> list[Pixels]:
    """The rows of a clean state as pixels, float32 (3, H, W), clipped to [0, 1]."""
    array = state.detach().cpu().numpy()
    return [np.clip((row + 1.0) / 2.0, 0.0, 1.0).astype(np.float32) for row in array]


def stack(images: Sequence[Image]) -> Tensor:
    """The pixels of images of one size as a state."""
    return to_state([image.pixels for image in images])


SQUARE_TOLERANCE = 0.05
"""Largest difference of the sides of an aligned face, as a fraction of the longer side."""


def is_square(image: Image) -> bool:
    """Whether the sides differ by at most 5 %, as required of aligned faces."""
    short, long = sorted((image.height, image.width))
    return long - short <= SQUARE_TOLERANCE * long
