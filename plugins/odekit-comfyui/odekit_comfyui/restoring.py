"""Batches of ComfyUI through an open chain: tensors in, tensors, masks and words out; progress and interruption."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import odekit

from .batch_share import BatchShare
from .checks import check_image, check_loaded_chain, check_scratches, check_seed, check_square, place
from .choices import ChainChoice

if TYPE_CHECKING:
    from torch import Tensor

STEPS = 1000
"""Steps of a node's progress bar."""
FILL, RELIABILITY = "fill", "reliability"
"""Maps that travel with a picture: where `mend` fills, and what was observed (docs/python.md, docs/blind.md)."""
_OPEN: dict[ChainChoice, Any] = {}
"""The session of the last chain; networks are loaded once."""


@dataclass(frozen=True)
class Restored:
    """What became of a batch."""

    images: Tensor
    """float32 (B, H, W, 3) in [0, 1]."""
    faces: Tensor
    """float32 (B, H, W): 1 in the boxes of the restored faces."""
    reliability: Tensor
    """float32 (B, H, W): 1 where the original was observed, 0 where it was hidden and drawn anew."""
    text: str
    """One line for each picture."""


def open_chain(choice: ChainChoice) -> Any:
    """The session of a chain; another one is closed first, so that one set of networks is in memory.

    Raises:
        OdekitError: no such chain, or weights or packages are missing.
    """
    if choice not in _OPEN:
        chain = choice.load()
        _OPEN.clear()
        _OPEN[choice] = chain.open(images=8)
    return _OPEN[choice]


@dataclass(frozen=True)
class Request:
    """The inputs of a node, checked."""

    images: Tensor
    """float32 (B, H, W, C) in [0, 1]."""
    choice: ChainChoice
    seed: int
    masks: list[Any]
    """(H, W) for each picture, 1 where the stage `mend` fills; none: what the chain finds."""


def checked(
    image: Any, chain: Any, strength: Any, seed: Any, loaded_chain: Any, scratches: Any = None, aligned: bool = False
) -> Request:
    """The inputs of a node.

    Args:
        image: a batch of pictures; up to `OVERSHOOT` beyond [0, 1] is clipped.
        chain: its name; with `loaded_chain`, it does not count.
        strength: likewise.
        seed: of the noise.
        loaded_chain: what *Load Chain* gives, or None.
        scratches: masks, or None.
        aligned: whether the node takes square pictures of one face only.

    Raises:
        OdekitError: an input is refused; the message names it and says what it may be.
    """
    images, seed = check_image(image), check_seed(seed)
    check_loaded_chain(loaded_chain, ChainChoice)
    choice = ChainChoice(chain, strength) if loaded_chain is None else loaded_chain
    loaded = choice.load()
    if aligned:
        check_square(images, loaded)
    return Request(images, choice, seed, check_scratches(scratches, images, loaded))


def restore(request: Request, bar: Callable[[int, int], None]) -> Restored:
    """Restore a batch.

    Args:
        request: the inputs.
        bar: receives (done, total). What it raises, such as an interruption, ends the call and is raised again.

    Raises:
        OdekitError: the chain cannot be opened, or a picture cannot be restored; the message names its number.
    """
    session = open_chain(request.choice)
    session.seed = request.seed
    pictures = [odekit.as_image(image[..., :3].contiguous().cpu().numpy()) for image in request.images]
    for number, mask in enumerate(request.masks):
        pictures[number] = replace(pictures[number], extra={FILL: mask})
    raised: list[BaseException] = []
    share = BatchShare([stage.name for stage in request.choice.load().plan().stages])

    def tell(progress: odekit.Progress) -> None:
        try:
            bar(round(STEPS * share(progress)), STEPS)
        except BaseException as error:  # odekit isolates the failures of a picture, and would take this for one
            raised.append(error)
            raise odekit.Stopped from error

    try:
        results = session.restore(pictures, tell)
    except odekit.Stopped:
        raise raised[0] from None
    for number, result in enumerate(results, 1):
        if result.error is not None:
            raise odekit.OdekitError(f"image: {place(number, len(results))}{result.error}") from result.error
    return Restored(
        torch.stack([torch.from_numpy(result.to_numpy(np.float32)[..., :3].copy()) for result in results]),
        torch.stack([face_mask(result) for result in results]),
        torch.stack([reliability_mask(result) for result in results]),
        "\n".join(odekit.findings_of(result.record).text for result in results),
    )


def face_mask(result: Any) -> Tensor:
    """(H, W) of the result: 1 in the boxes of the restored faces; of an aligned face, everywhere."""
    height, width = result.image.height, result.image.width
    crops = odekit.face_crops(result.record, result.source, result.image)
    found = any(isinstance(stage.get("faces"), list) for stage in result.record["stages"])
    mask = torch.zeros(height, width) if found else torch.ones(height, width)
    for face in crops:
        if face.outcome == "restored" and face.box is not None:
            x0, y0, x1, y1 = face.box
            mask[round(y0 * height) : round(y1 * height), round(x0 * width) : round(x1 * width)] = 1
    return mask


def reliability_mask(result: Any) -> Tensor:
    """(H, W) of the result: 1 where the original was observed."""
    size = result.image.height, result.image.width
    known = result.image.extra.get(RELIABILITY)
    if known is None:
        return torch.ones(size)
    scaled = torch.nn.functional.interpolate(torch.from_numpy(known)[None, None], size=size, mode="nearest")
    return scaled[0, 0]
