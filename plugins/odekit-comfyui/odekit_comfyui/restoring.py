"""Batches of ComfyUI through an open chain: tensors in, tensors, masks and words out; progress and interruption."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import odekit

from .choices import ChainChoice

if TYPE_CHECKING:
    from torch import Tensor

OVERSHOOT = 0.25
"""How far the values of other nodes may leave [0, 1]."""
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


def without_overshoot(images: Tensor) -> Tensor:
    """Pictures in [0, 1]. Bicubic resizing leaves it a little; what leaves it by more is no picture in [0, 1]."""
    inside = bool(((images > -OVERSHOOT) & (images < 1 + OVERSHOOT)).all())
    return images.clamp(0, 1) if inside else images


def restore(
    images: Tensor, choice: ChainChoice, seed: int, bar: Callable[[int, int], None], fill: Tensor | None = None
) -> Restored:
    """Restore a batch.

    Args:
        images: float32 (B, H, W, 3) in [0, 1]; up to `OVERSHOOT` beyond is clipped.
        choice: the chain.
        seed: of the noise.
        bar: receives (done, total). What it raises, such as an interruption, ends the call and is raised again.
        fill: float32 (B or 1, H, W): 1 where the stage `mend` fills; None: what the chain finds.

    Raises:
        OdekitError: the chain cannot be opened, or a picture cannot be restored; the message names its number.
    """
    if images.ndim != 4 or not images.numel():
        raise odekit.InputError(f"image: a batch of {' x '.join(map(str, images.shape))} has no pictures to restore")
    session = open_chain(choice)
    session.seed = seed
    pictures = [odekit.as_image(image[..., :3].contiguous().cpu().numpy()) for image in without_overshoot(images)]
    for number, mask in enumerate(masks_for(fill, images)):
        pictures[number] = replace(pictures[number], extra={FILL: mask})
    raised: list[BaseException] = []
    far = 0.0

    def tell(progress: odekit.Progress) -> None:
        nonlocal far
        far = max(far, progress.share)
        try:
            bar(round(STEPS * far), STEPS)
        except BaseException as error:  # odekit isolates the failures of a picture, and would take this for one
            raised.append(error)
            raise odekit.Stopped from error

    try:
        results = session.restore(pictures, tell)
    except odekit.Stopped:
        raise raised[0] from None
    for number, result in enumerate(results, 1):
        if result.error is not None:
            place = f"picture {number} of {len(results)}: " if len(results) > 1 else ""
            raise odekit.OdekitError(f"{place}{result.error}") from result.error
    return Restored(
        torch.stack([torch.from_numpy(result.to_numpy(np.float32)[..., :3].copy()) for result in results]),
        torch.stack([face_mask(result) for result in results]),
        torch.stack([reliability_mask(result) for result in results]),
        "\n".join(odekit.findings_of(result.record).text for result in results),
    )


def masks_for(fill: Tensor | None, images: Tensor) -> list[Any]:
    """One mask (H, W) for each picture; none where there are none.

    Raises:
        InputError: another number or size of masks. An empty mask of 64 x 64, as ComfyUI loads of pictures without
            transparency, counts as none.
    """
    if fill is None or not bool((fill > 0.5).any()):
        return []
    if fill.ndim == 2:
        fill = fill[None]
    if fill.shape[1:] != images.shape[1:3] or len(fill) not in (1, len(images)):
        size, wanted = (" x ".join(map(str, shape)) for shape in (fill.shape, images.shape[:3]))
        raise odekit.InputError(f"scratches: a mask of {size} does not fit pictures of {wanted}")
    masks = fill.float().cpu().numpy()
    return [masks[0 if len(masks) == 1 else number] for number in range(len(images))]


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
