"""`odekit.restore`: restore one picture with the default chain."""

from __future__ import annotations

from pathlib import Path

from odekit.chains.chain import Chain
from odekit.chains.tools import PartTools
from odekit.core.image import Image, is_square
from odekit.images.io import read
from odekit.parts.faces.is_aligned import AlignedFaceCheck
from odekit.parts.installed import catalog


def restore(picture: Image | str | Path, *, seed: int = 0, device: str = "auto") -> Image:
    """Restore one picture with the default chain.

    The chain is `odedit-plus` for an aligned face (square within 5 %, and not a whole photograph, see
    `odekit.parts.faces.is_aligned`), and `photo` for all other pictures.

    Args:
        picture: an `Image`, or the path of a file.
        seed: of the noise.
        device: auto, cpu, cuda, cuda:N or mps.

    Raises:
        InputError: the picture cannot be read.
    """
    image = picture if isinstance(picture, Image) else read(picture)
    check = AlignedFaceCheck(PartTools(catalog(), "cpu", "float32"))
    name = "odedit-plus" if is_square(image) and not check.reasons([image])[0] else "photo"
    return Chain.load(name).run([image], seed=seed, device=device)[0].image
