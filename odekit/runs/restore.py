"""`odekit.restore`: restore one picture with the default chain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from odekit.chains.adjust import StrengthName
from odekit.chains.chain import Chain
from odekit.chains.tools import PartTools
from odekit.core.image import Image, is_square
from odekit.images.io import read
from odekit.parts.faces.is_aligned import AlignedFaceCheck
from odekit.parts.installed import catalog

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image
    from numpy.typing import NDArray


def restore(
    picture: Image | str | Path | NDArray[np.uint8] | PIL.Image.Image,
    *,
    strength: StrengthName = "auto",
    side: int | None = None,
    seed: int = 0,
    device: str = "auto",
) -> Image:
    """Restore one picture with the default chain.

    The chain is `odedit-plus` for an aligned face (square within 5 %, and not a whole photograph, see
    `odekit.parts.faces.is_aligned`), and `photo` for all other pictures. The result of an aligned face has the side of
    the input, but 256 pixels at least and 512 at most.

    Args:
        picture: an `Image`, the path of a file, a numpy array uint8 (H, W, 3) RGB or (H, W) grey, or a Pillow picture.
        strength: auto measures what each face needs; none, light, medium or heavy: the same for every face.
        side: of the result of an aligned face in pixels; None: see above.
        seed: of the noise.
        device: auto, cpu, cuda, cuda:N or mps.

    Raises:
        InputError: the picture cannot be read, or is nothing of these.
        ConfigError: an unknown strength, or a side for a whole photograph.
    """
    image = read(picture) if isinstance(picture, (str, Path)) else Image.of(picture)
    check = AlignedFaceCheck(PartTools(catalog(), "cpu", "float32"))
    name = "odedit-plus" if is_square(image) and not check.reasons([image])[0] else "photo"
    chain = Chain.load(name).adjusted(strength, side)
    return chain.run([image], seed=seed, device=device)[0].image
