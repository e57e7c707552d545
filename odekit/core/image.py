"""Images and states. The conventions on values are stated here only; other modules refer to this one.

- An `Image` is one picture: `pixels` float32 (3, H, W), sRGB-encoded RGB in [0, 1]. Files, faces, upsamplers, metrics
  and plugins see this. Colours with another ICC profile are converted on reading, and the profile is kept.
- A `State` is float64 (N, 3, H, W) in model space, `2 * pixels - 1` when clean. Solvers and enhancers see this.
  Only `to_state` and `from_state` convert between the two.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from odekit.core.threads import in_threads

if TYPE_CHECKING:
    import PIL.Image
    from torch import Tensor

Pixels = NDArray[np.float32]
"""float32 (3, H, W), sRGB-encoded RGB in [0, 1]."""

RELIABILITY = "reliability"
"""Key in `Image.extra` of a map of what was observed: 1 where the original shows the face, 0 where it was hidden, and
was drawn anew. (h, w) covers the picture, whatever the picture's size."""
VISIBLE = "visible"
"""Key in `Image.extra` of a map of an aligned face: 0 where something hides it that stays as it is; see
`KnownFace.visible`."""
FILL = "fill"
"""Key in `Image.extra` of a map that a person drew: the stage `mend` fills the pixels where it is over 0.5. Its size is
that of the picture."""
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
    """Resolution in x and y, in pixels per inch; None if the file has none."""


@dataclass(frozen=True)
class KnownFace:
    """A face that was found before the chain runs, such as one that is followed through a video."""

    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 in pixels of the photograph: ear to ear, brows to chin."""
    points: tuple[tuple[float, float], ...]
    """Eyes, nose and corners of the mouth, five points (x, y); the picture's left first."""
    track: str = ""
    """See `Image.track`."""
    score: float = 1.0
    decided: Mapping[str, bool] = field(default_factory=dict)
    """See `Image.decided`; a face with `restore` and `detail` False is left out."""
    visible: NDArray[np.float32] | None = None
    """Weight (s, s) in [0, 1] of the face's pixels after alignment; 0 where something else hides it, which stays as it
    is. None: all of it is seen."""
    behind: Pixels | None = None
    """(3, s, s): the aligned face as other pictures show it where it is hidden; the chain sees this there."""


@dataclass(frozen=True, eq=False)
class Image:
    """One picture.

    `pixels` is float32 (3, H, W), sRGB-encoded RGB in [0, 1]; `alpha` is float32 (H, W) in [0, 1] or None.
    `origin` identifies the source image by the SHA-256 of its pixels as first decoded. It keys the noise (see
    `odekit.core.noise`), so it stays the same while stages change the pixels.
    """

    pixels: Pixels
    """float32 (3, H, W), sRGB-encoded RGB in [0, 1]."""
    alpha: NDArray[np.float32] | None = None
    """float32 (H, W) in [0, 1], or None."""
    meta: Metadata = field(default_factory=Metadata)
    """What the file tells beside the pixels."""
    origin: str = ""
    """SHA-256 of the pixels as first decoded."""
    face: int = 0
    """Number of the face in its photograph; 0 if the image is not a face crop."""
    native: float = 0.0
    """Side of a face crop in pixels of its photograph, whatever the size of `pixels`; 0 if it is not a crop."""
    extra: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """Maps (h, w) in [0, 1] that travel with the picture from stage to stage, such as `RELIABILITY`."""
    leave: tuple[tuple[float, float, float, float], ...] = ()
    """Faces of this picture that a person wants left as they are: boxes x0, y0, x1, y1, as fractions of its width and
    height."""
    faces: tuple[KnownFace, ...] | None = None
    """The faces of a photograph, for the stage `faces`; None: it searches them."""
    track: str = ""
    """Names what is the same from picture to picture, such as a face in a video: pictures of one track get the same
    noise, so that a still face does not flicker. Empty: `origin` and `face` key the noise."""
    decided: Mapping[str, bool] = field(default_factory=dict)
    """What was decided before the chain runs, instead of by each stage for each picture: `blocks`, `scratches`, `blur`,
    `fading` (stage `mend`), `impulses`, `noise` (`denoise`), `restore` (`restore.first`), `detail` (guided upsamplers).
    True: treated, whatever its strength; False: left; missing: the stage decides."""
    quality: int = 0
    """Quality, 1 to 100 as in libjpeg, of the compression whose blocks `mend` removes. 0: it is estimated."""

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
    def from_uint8(cls, array: NDArray[np.uint8], meta: Metadata | None = None) -> Image:
        """An image from uint8 (H, W, 3) RGB or (H, W) grey, the layout of other libraries."""
        if array.ndim == 2:
            array = np.repeat(array[..., None], 3, axis=2)
        pixels = np.ascontiguousarray(array.transpose(2, 0, 1)).astype(np.float32) / np.float32(255)
        return cls(pixels, meta=meta or Metadata())

    def to_uint8(self) -> NDArray[np.uint8]:
        """The image as uint8 (H, W, 3) RGB; values are clipped to [0, 1] and rounded to nearest."""
        return np.ascontiguousarray(quantise(self.pixels, 8).transpose(1, 2, 0)).astype(np.uint8)

    def to_numpy(self, dtype: DTypeLike = np.uint8) -> NDArray[Any]:
        """The image as an array (H, W, 3) RGB, or (H, W, 4) with alpha.

        Args:
            dtype: uint8 in [0, 255], uint16 in [0, 65535], or a float type in [0, 1].

        Raises:
            ValueError: another type.
        """
        planes = self.pixels if self.alpha is None else np.concatenate([self.pixels, self.alpha[None]])
        kind = np.dtype(dtype)
        if kind == np.uint8 or kind == np.uint16:
            planes = quantise(planes, 8 if kind == np.uint8 else 16)
        elif kind.kind != "f":
            raise ValueError(f"an image becomes uint8, uint16 or floats, not {kind}")
        return np.ascontiguousarray(planes.transpose(1, 2, 0)).astype(kind, copy=False)

    def to_pil(self) -> PIL.Image.Image:
        """The image as a Pillow picture of mode RGB, or RGBA with alpha; 8 bits."""
        import PIL.Image

        return PIL.Image.fromarray(self.to_numpy())

    def to_tensor(self) -> Tensor:
        """The pixels as a torch tensor, float32 (3, H, W) in [0, 1], without alpha; changes do not reach the image."""
        import torch

        return torch.from_numpy(self.pixels.copy())

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """What `np.asarray(image)` gives: `to_numpy()`, so that libraries of arrays take an image as it is.

        Raises:
            ValueError: `copy=False`, since the values are converted.
        """
        if copy is False:
            raise ValueError("an array of an image is a copy, in another layout; its own values are `pixels`")
        return self.to_numpy(np.uint8 if dtype is None else dtype)

    def _repr_png_(self) -> bytes:
        """The picture that a notebook shows."""
        file = io.BytesIO()
        self.to_pil().save(file, "PNG")
        return file.getvalue()


def quantise(values: NDArray[np.float32], bits: Literal[8, 16]) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Values in [0, 1] as integers of 8 or 16 bits: clipped, scaled, rounded to nearest."""
    largest = float(2**bits - 1)
    out = np.empty(values.shape, np.uint8 if bits == 8 else np.uint16)
    source, target = np.ascontiguousarray(values).reshape(-1), out.reshape(-1)

    def convert(start: int) -> None:
        scaled = source[start : start + _BLOCK].astype(np.float64)
        np.rint(np.clip(scaled, 0.0, 1.0, out=scaled) * largest, out=scaled)
        with np.errstate(invalid="ignore"):  # NaN is refused where an image is used, not here
            target[start : start + _BLOCK] = scaled

    in_threads(convert, range(0, source.size, _BLOCK))
    return out


def fingerprint(pixels: Pixels) -> str:
    """SHA-256 of the pixels as 16-bit integers, so that an 8-bit image and its 16-bit copy have the same one."""
    total = hashlib.sha256(repr(pixels.shape).encode())
    values = np.ascontiguousarray(pixels).reshape(-1)
    for start in range(0, values.size, 8 * _BLOCK):  # not at once: a large photograph would take four copies
        total.update(quantise(values[start : start + 8 * _BLOCK], 16).astype("<u2", copy=False).data)
    return total.hexdigest()


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
