"""Pictures as programs hold them, converted to `Image`: paths, bytes, arrays, tensors, Pillow pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Image, Metadata
from odekit.core.result import Result
from odekit.errors import InputError
from odekit.images.formats.colour import Codes
from odekit.images.formats.decode import described, eight_bit_samples
from odekit.images.formats.deep import Refusal
from odekit.images.formats.encode import FORMATS
from odekit.images.io import image_of, read, read_bytes

if TYPE_CHECKING:
    import PIL.Image
    from torch import Tensor

    Picture: TypeAlias = Image | Result | str | Path | bytes | PIL.Image.Image | NDArray[Any] | Tensor
    """What `as_image` takes."""

TOLERANCE = 1e-3
"""How far floats may lie outside [0, 1], as bicubic resizing leaves them; they are clipped."""
KINDS = "an Image, a path, the bytes of a file, a numpy array, a torch tensor or a Pillow picture"


def as_image(picture: Picture) -> Image:
    """The picture as an `Image`.

    Args:
        picture: an `Image` (returned as it is); a `Result` (its image); the path of a file; the bytes of a file; a
            Pillow picture (turned as its EXIF says, its profile converted to sRGB); a numpy array (H, W, 3), or (H, W)
            and (H, W, 1) for grey, or (H, W, 4) with alpha; a torch tensor (3, H, W), or with 1 or 4 channels. Arrays
            and tensors are RGB: uint8 in [0, 255], uint16 in [0, 65535], or floats in [0, 1].

    Raises:
        InputError: the file cannot be read, or the picture is nothing of these; the message says what to write. Of a
            result that failed its error.
    """
    if isinstance(picture, Image):
        return picture
    if isinstance(picture, Result):
        return picture.image
    if isinstance(picture, (str, Path)):
        return read(picture)
    if isinstance(picture, (bytes, bytearray, memoryview)):
        return read_bytes(bytes(picture))
    if isinstance(picture, np.ndarray):
        return from_array(picture, "an array", "(H, W, 3)")
    if _is_of(picture, "torch", "Tensor"):
        return from_tensor(picture)
    if _is_of(picture, "PIL", "Image"):
        return from_pillow(picture)
    raise InputError(f"a picture is {KINDS}, not {_kind(picture)}")


def as_images(pictures: Any) -> tuple[list[Image], bool]:
    """One picture, or the pictures of a sequence, as `Image`s; and whether it was one picture.

    Raises:
        InputError: see `as_image`; of a sequence, the message names the number of the picture, from 0.
    """
    if isinstance(pictures, (str, bytes, bytearray, memoryview)) or not isinstance(pictures, Sequence):
        one: Any = pictures
        return [as_image(one)], True
    images = []
    for number, picture in enumerate(pictures):
        try:
            images.append(as_image(picture))
        except InputError as error:
            raise InputError(f"picture {number}: {error}") from error
    return images, False


def from_array(array: NDArray[Any], what: str, layout: str) -> Image:
    """An image from (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); `what` and `layout` are for messages."""
    channels = 1 if array.ndim == 2 else array.shape[2] if array.ndim == 3 else 0
    if channels not in (1, 3, 4) or not array.size:
        raise InputError(f"{what} of one picture has the shape {layout}, not {array.shape}{_advice(array)}")
    planes = np.moveaxis(array.reshape(*array.shape[:2], channels), 2, 0)
    values, bits = _in_unit_range(planes, what)
    pixels = np.repeat(values, 3, axis=0) if channels == 1 else values[:3]
    meta = Metadata(bits=16 if bits == 16 else 8, grey=channels == 1)
    return Image(np.ascontiguousarray(pixels), values[3].copy() if channels == 4 else None, meta)


def from_tensor(tensor: Any) -> Image:
    """An image from a torch tensor (C, H, W) or (H, W), on any device."""
    if tensor.ndim not in (2, 3):
        raise InputError(
            f"a tensor of one picture has the shape (3, H, W), not {tuple(tensor.shape)}; pass list(tensor) for a batch"
        )
    values = tensor.detach().cpu()
    array = (values.float() if values.is_floating_point() else values).numpy()
    if array.ndim == 3 and array.shape[0] not in (1, 3, 4):
        raise InputError(f"a tensor of one picture has the shape (3, H, W), not {array.shape}; see tensor.permute")
    return from_array(array if array.ndim == 2 else np.moveaxis(array, 0, 2), "a tensor", "(3, H, W)")


def from_pillow(picture: Any) -> Image:
    """An image from a Pillow picture, upright and in sRGB."""
    import PIL.ImageOps

    name = picture.format if picture.format in FORMATS else "PNG"
    upright = PIL.ImageOps.exif_transpose(picture)
    deep = upright.mode.startswith("I;16")
    try:
        samples: tuple[Codes, Codes | None] = (
            (np.asarray(upright).astype(np.uint16)[..., None], None) if deep else eight_bit_samples(upright)
        )
    except Refusal as refusal:
        raise InputError(f"the Pillow picture {refusal}") from None
    return image_of(None, described(name, upright, *samples))


def _in_unit_range(planes: NDArray[Any], what: str) -> tuple[NDArray[np.float32], int]:
    """Values as float32 in [0, 1], and their bits; floats have 32."""
    if planes.dtype == np.uint8:
        return planes.astype(np.float32) / np.float32(255), 8
    if planes.dtype == np.uint16:
        return planes.astype(np.float32) / np.float32(65535), 16
    if not np.issubdtype(planes.dtype, np.floating):
        raise InputError(f"{what} of a picture holds uint8, uint16 or floats in [0, 1], not {planes.dtype}")
    low, high = float(planes.min()), float(planes.max())
    if not (low >= -TOLERANCE and high <= 1 + TOLERANCE):  # NaN, too
        advice = "; (x + 1) / 2 converts from [-1, 1]" if -1.001 <= low < 0 and high <= 1.001 else ""
        advice = advice or ("; divide by 255, or convert to uint8" if low >= 0 and 1 < high <= 255.5 else "")
        raise InputError(f"floats of a picture are in [0, 1], not {low:.3g} to {high:.3g}{advice}")
    return np.clip(planes, 0, 1).astype(np.float32), 32


def _advice(array: NDArray[Any]) -> str:
    if array.ndim == 4:
        return "; pass list(array) for a batch"
    if array.ndim == 3 and array.shape[0] in (1, 3, 4):
        return "; array.transpose(1, 2, 0) moves the channels to the end"
    return ""


def _is_of(value: Any, package: str, name: str) -> bool:
    """Whether the class of a value, or a base of it, is `package....name`; imports nothing."""
    return any(kind.__name__ == name and kind.__module__.partition(".")[0] == package for kind in type(value).__mro__)


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
