"""`odekit.restore`: restore pictures with the default chains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from odekit.chains.adjust import StrengthName
from odekit.chains.chain import Chain
from odekit.chains.tools import PartTools
from odekit.core.image import Image, is_square
from odekit.images.accept import as_images
from odekit.parts.faces.is_aligned import AlignedFaceCheck
from odekit.parts.installed import catalog

if TYPE_CHECKING:
    from odekit.core.progress import Tell
    from odekit.images.accept import Picture


@overload
def restore(  # type: ignore[overload-overlap]  # a text is a path, not a list of letters
    picture: Picture, *, strength: StrengthName = ..., side: int | None = ..., seed: int = ..., device: str = ...,
    tell: Tell | None = ...,
) -> Image: ...  # fmt: skip


@overload
def restore(
    picture: Sequence[Picture], *, strength: StrengthName = ..., side: int | None = ..., seed: int = ...,
    device: str = ..., tell: Tell | None = ...,
) -> list[Image]: ...  # fmt: skip


def restore(
    picture: Picture | Sequence[Picture],
    *,
    strength: StrengthName = "auto",
    side: int | None = None,
    seed: int = 0,
    device: str = "auto",
    tell: Tell | None = None,
) -> Image | list[Image]:
    """Restore one picture, or a list of them, with the default chains.

    The chain is `odedit-plus` for an aligned face (square within 5 %, and not a whole photograph, see
    `odekit.parts.faces.is_aligned`), and `photo` for all other pictures. The result of an aligned face has the side of
    the input, but 256 pixels at least and 512 at most.

    Args:
        picture: an `Image`, the path or the bytes of a file, a numpy array (H, W, 3), a torch tensor (3, H, W), a
            Pillow picture (`odekit.as_image` tells the types and ranges of their values), or a list of these.
        strength: auto measures what each face needs; none, light, medium or heavy: the same for every face.
        side: of the result of an aligned face in pixels; None: see above.
        seed: of the noise.
        device: auto, cpu, cuda, cuda:N or mps.
        tell: progress callback; receives a `Progress` after each network call and phase, and may raise
            `odekit.Stopped`, which ends the call.

    Returns:
        The restored picture; for a list all of them, in order. `Chain.run` gives results with their records.

    Raises:
        InputError: a picture cannot be read, or is nothing of these; of a list the first one that fails.
        ConfigError: an unknown strength, or a side for a whole photograph.
    """
    pictures, single = as_images(picture)
    restored = _restored(pictures, strength, side, seed, device, tell)
    return restored[0] if single else restored


def _restored(
    pictures: list[Image], strength: StrengthName, side: int | None, seed: int, device: str, tell: Tell | None
) -> list[Image]:
    """The pictures of each default chain in one run of it."""
    check = AlignedFaceCheck(PartTools(catalog(), "cpu", "float32"))
    aligned = [is_square(image) and not check.reasons([image])[0] for image in pictures]
    restored: dict[int, Image] = {}
    for name, wanted in (("odedit-plus", True), ("photo", False)):
        numbers = [number for number, is_face in enumerate(aligned) if is_face == wanted]
        if numbers:
            chain = Chain.load(name).adjusted(strength, side)
            results = chain.run([pictures[number] for number in numbers], seed=seed, device=device, tell=tell)
            restored |= {number: result.image for number, result in zip(numbers, results, strict=True)}
    return [restored[number] for number in range(len(pictures))]
